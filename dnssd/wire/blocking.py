"""One question at a time, for programs that have nothing else to do meanwhile."""

import time
from collections.abc import Callable, Sequence

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.wire.answers import Answer
from dnssd.wire.client import DnsClient
from dnssd.wire.loop import SelectLoop
from dnssd.wire.nameservers import NameServer
from dnssd.wire.sockets import Sockets


def ask(
    servers: Sequence[NameServer],
    name: Name,
    rdtype: str,
    seconds: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> Answer:
    """Ask for one RRset, following aliases, and wait for the answer.

    Args:
        servers: n >= 1 that hold the same data.
        name: The owner.
        rdtype: PTR, SRV, TXT, A, AAAA or SOA.
        seconds: How long it may take.
        monotonic: The clock, in seconds.

    Raises:
        Unavailable: None of them has answered.
    """
    loop = SelectLoop(monotonic)
    client = DnsClient(loop, servers, Sockets(loop))
    came: list[Answer | Unavailable] = []
    try:
        client.ask(name, rdtype, monotonic() + seconds, came.append)
        loop.run(until=lambda: bool(came))
    finally:
        client.close()
        loop.close()
    if isinstance(came[0], Unavailable):
        raise came[0]
    return came[0]
