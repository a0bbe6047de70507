"""How loaded this host is."""

from collections.abc import Callable
from pathlib import Path

from dnssd.agent.loads import check_kind
from dnssd.probes import probe

SMOOTHING = 0.1  # share of a new reading in the average
COMMAND_TIMEOUT = 5.0  # seconds
PROC = Path("/proc")


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
        if total == former[0] or former == (0, 0):
            return self.value
        busy = 1 - (idle - former[1]) / (total - former[0])
        return self.value + SMOOTHING * (busy - self.value)

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
