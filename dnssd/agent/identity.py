"""Who this host is: asked once, and again when something about it may have changed."""

import asyncio
import logging
import time
from typing import Any

from dnssd.agent.around import Writes
from dnssd.errors import DnssdError

METADATA = 30.0  # seconds that metadata may take
JUMP = 30.0  # seconds by which clocks part that ran on during a sleep, or were set

_log = logging.getLogger("dnssd.agent")


class Identity:
    """This host's facts, as the metadata or the machine tells them.

    Args:
        writer: Asks for them.
        host: The caller's own host label, if it has one.
        cloud: The cloud to ask; None to find out.
    """

    def __init__(self, writer: Writes, host: str | None, cloud: str | None) -> None:
        self._writer = writer
        self._asked = {"host": host, "cloud": cloud}
        self._facts: dict[str, Any] | None = None
        self._lock = asyncio.Lock()

    async def facts(self) -> dict[str, Any]:
        """What is known, asked for if nothing is.

        Raises:
            DnssdError: Nothing can be found out now.
        """
        async with self._lock:
            if self._facts is None:
                self._facts = await self._writer.ask("identify", METADATA, **self._asked)
            return self._facts

    async def has_changed(self) -> bool:
        """Ask again; whether something is different. What cannot be had now stays as it was."""
        try:
            facts = await self._writer.ask("identify", METADATA, **self._asked)
        except DnssdError as error:
            _log.warning("this host's identity: %s; the former one is kept", error)
            return False
        changed = facts != self._facts
        self._facts = facts
        return changed


class Clocks:
    """Tells when this host has slept, or its clock was set."""

    def __init__(self) -> None:
        self._parted = _parted()

    def have_jumped(self) -> bool:
        """Whether they have since the last call."""
        former, self._parted = self._parted, _parted()
        return any(abs(a - b) > JUMP for a, b in zip(former, self._parted, strict=True))


def _parted() -> tuple[float, ...]:
    now = time.monotonic()
    slept = time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
    return slept - now, time.time() - now
