"""What `dnssd join` waits for before it publishes a service: that it answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from dnssd.checks import Check, Result, address_to_check
from dnssd.cli.join import JoinOptions
from dnssd.cli.several import saying
from dnssd.deadline import Deadline
from dnssd.errors import Unavailable
from dnssd.hosts import HostFacts
from dnssd.names import shown
from dnssd.probes import probe

TIMEOUT = 2.0  # seconds that one check may take
PAUSE = 1.0  # seconds between two rounds of checks


def once_healthy(asked: JoinOptions, facts: HostFacts, deadline: Deadline) -> Deadline:
    """Return once what join was told to check passes; without a check, once its port answers.

    Args:
        asked: What join was told.
        facts: Who this host is.
        deadline: Of the join.

    Returns:
        The deadline of what is left: waiting for the service does not count.

    Raises:
        Unavailable: A check does not pass.
    """
    if not asked.checks and asked.wait_healthy is None:
        return deadline
    address = address_to_check(asked.addresses, facts.private)
    checks = [Check.parse(url).at(address, asked.port) for url in asked.checks or ("tcp://",)]
    with saying():
        asyncio.run(healthy(checks, asked.wait_healthy or 0.0))
    return Deadline(asked.deadline)


async def healthy(
    checks: Sequence[Check],
    seconds: float,
    *,
    ask: Callable[[Check, float], Awaitable[Result]] = probe,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return once every check passes; each is probed once at least.

    Args:
        checks: With nothing left out.
        seconds: How long to wait for that.
        ask: Probes one of them.
        monotonic: The clock, in seconds.
        sleep: Waits for that many seconds.

    Raises:
        Unavailable: One of them does not pass.
    """
    ends = monotonic() + seconds
    while True:
        results = await asyncio.gather(*(ask(check, TIMEOUT) for check in checks))
        failed = [(c, r) for c, r in zip(checks, results, strict=True) if r.verdict != "pass"]
        if not failed:
            return
        if monotonic() + PAUSE > ends:
            check, result = failed[0]
            raise Unavailable(
                f"check {shown(check.url)}: {result.said}: nothing was written; see to the "
                "service, or give it longer with --wait-healthy"
            )
        await sleep(PAUSE)
