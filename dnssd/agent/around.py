"""What is around an agent: who writes, what answers, the clock and the dice. Tests pass others."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from dnssd.agent import own
from dnssd.agent.own import Published, Seen
from dnssd.checks import Check, Result
from dnssd.probes import probe


class Writes(Protocol):
    """Carries out what an agent wants written; see `writing.Writer`."""

    spent: Counter[tuple[str, str]]
    starts: int

    async def ask(self, op: str, deadline: float, **details: Any) -> dict[str, Any]:
        """Have one operation carried out."""

    async def warm(self) -> None:
        """Be ready: a write may come soon."""

    async def settle(self, seconds: float) -> None:
        """Return once nothing is under way."""


async def look(nameservers: Sequence[str], published: Published) -> Seen:
    """Ask DNS, in a thread.

    Raises:
        Unavailable: There is no answer.
    """
    return await asyncio.to_thread(own.look, nameservers, published)


@dataclass(frozen=True, slots=True)
class Around:
    """What an agent acts by.

    Attributes:
        writer: Writes.
        look: Asks DNS what it shows of a member.
        probe: Probes a check.
        draw: Gives a random number in [0, 1).
        monotonic: The clock, in seconds.
    """

    writer: Writes
    look: Callable[[Sequence[str], Published], Awaitable[Seen]] = field(default=look)
    probe: Callable[[Check, float], Awaitable[Result]] = field(default=probe)
    draw: Callable[[], float] = field(default=random.random)
    monotonic: Callable[[], float] = field(default=time.monotonic)
