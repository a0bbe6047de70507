"""How loaded this host is, and what that makes of a weight."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dnssd.checks import Check
from dnssd.errors import UsageError
from dnssd.names import shown
from dnssd.probes import probe

STEPS = 10  # that a weight has
STICKY = 0.75  # steps by which the load must differ before the weight follows
LEAST_PAUSE = 60.0  # seconds between two changes of a weight in DNS
EACH_MEMBER = 2.0  # seconds more for each member: all together write every other second at most
SMOOTHING = 0.1  # share of a new reading in the average
COMMAND_TIMEOUT = 5.0  # seconds

PROC = Path("/proc")


def step_for(load: float, former: int) -> int:
    """How many tenths of its weight a member is worth.

    Args:
        load: 0 for idle to 1 for busy.
        former: The tenths so far: they change only for a difference that is clear.
    """
    wanted = STEPS * (1 - min(1.0, max(0.0, load)))
    if abs(wanted - former) < STICKY:
        return former
    return max(1, round(wanted))


def weight_for(base: int, step: int) -> int:
    """A weight of so many tenths; one that is not 0 never becomes so."""
    return max(1, round(base * step / STEPS)) if base else 0


def pause_for(members: int) -> float:
    """Seconds between two changes of a weight, in an instance of so many members."""
    return max(LEAST_PAUSE, EACH_MEMBER * members)


@dataclass(slots=True)
class Weight:
    """A weight that follows the load, not too often.

    Attributes:
        base: Of an idle host.
        step: Tenths of it that are in DNS.
        changed_at: When that changed, in seconds.
    """

    base: int
    step: int = STEPS
    changed_at: float = float("-inf")

    @property
    def value(self) -> int:
        """The weight."""
        return weight_for(self.base, self.step)

    def heard(self, load: float, now: float, members: int) -> None:
        """Take note of a load."""
        step = step_for(load, self.step)
        if step != self.step and now - self.changed_at >= pause_for(members):
            self.step, self.changed_at = step, now


class Load:
    """Reads one kind of load.

    Args:
        kind: `cpu`, `psi` or `exec:COMMAND`.
        proc: Where /proc is.

    Attributes:
        value: The last reading, averaged; 0 to 1.

    Raises:
        UsageError: No such kind.
    """

    def __init__(self, kind: str, proc: Path = PROC) -> None:
        self.value = 0.0
        self._proc = proc
        self._ticks = (0, 0)
        self._command = check_kind(kind)
        self._read: Callable[[], float] = self._cpu if kind == "cpu" else self._psi

    async def read(self) -> float:
        """A new reading; the former one where none can be had."""
        try:
            load = await self._ask() if self._command else self._read()
        except (OSError, ValueError, IndexError):
            return self.value
        self.value = min(1.0, max(0.0, load))
        return self.value

    def _cpu(self) -> float:
        """The share of its time that the host was busy, averaged over the last readings."""
        fields = (self._proc / "stat").read_text().split("\n", 1)[0].split()[1:9]
        numbers = list(map(int, fields))
        total, idle = sum(numbers), numbers[3] + numbers[4]
        former, self._ticks = self._ticks, (total, idle)
        if total == former[0]:
            return self.value
        busy = 1 - (idle - former[1]) / (total - former[0])
        return busy if former == (0, 0) else self.value + SMOOTHING * (busy - self.value)

    def _psi(self) -> float:
        """The share of the last minute in which somebody waited for the processor."""
        some = (self._proc / "pressure" / "cpu").read_text().split("\n", 1)[0]
        values = dict(pair.split("=") for pair in some.split()[1:])
        return float(values["avg60"]) / 100

    async def _ask(self) -> float:
        """What a command prints: a number from 0 to 1."""
        assert self._command  # noqa: S101 (read has looked)
        result = await probe(self._command, COMMAND_TIMEOUT)
        if result.verdict != "pass":
            raise ValueError(result.said)
        return float(result.said)


def check_kind(kind: str) -> Check | None:
    """The command of `exec:COMMAND`, None for the other kinds.

    Raises:
        UsageError: No such kind.
    """
    if kind in ("cpu", "psi"):
        return None
    if not kind.startswith("exec:"):
        raise UsageError(f"load {shown(kind)}: cpu, psi or exec:COMMAND is needed")
    return Check.parse(kind)


async def follow(load: Load, interval: float, told: Callable[[float], None]) -> None:
    """Read the load again and again, until cancelled."""
    while True:
        told(await load.read())
        await asyncio.sleep(interval)
