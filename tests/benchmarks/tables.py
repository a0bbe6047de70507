"""How figures are printed, and taken against a peer."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


def show(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print(f"### {title}\n")
    print("| " + " | ".join(headings) + " |")
    print("|" + " --- |" * len(headings))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often something was done in a second, in each of several rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def over(self, peer: "Rates") -> "Rates":
        """The ratio to a peer's, round by round."""
        return Rates(tuple(a / b for a, b in zip(self.values, peer.values, strict=True)))

    def text(self, digits: int = 0, unit: str = "") -> str:
        """Median and spread."""
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{digits}f}{unit} ({low:,.{digits}f} to {high:,.{digits}f})"


def rates(rounds: int, seconds: float, works: Sequence[Callable[[int], object]]) -> list[Rates]:
    """Time several works in turn, so that a noisy moment hits all of them.

    Args:
        rounds: How often each is timed.
        seconds: How long each is to take in a round.
        works: Each does something so many times.
    """
    numbers = [_calibrated(work, seconds) for work in works]
    values: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for at, work in enumerate(works):
            begin = time.perf_counter()
            work(numbers[at])
            values[at].append(numbers[at] / (time.perf_counter() - begin))
    return [Rates(tuple(one)) for one in values]


def _calibrated(work: Callable[[int], object], seconds: float) -> int:
    number = 1
    while True:
        begin = time.perf_counter()
        work(number)
        took = time.perf_counter() - begin
        if took > seconds / 20:
            return max(1, int(number * seconds / took))
        number *= 4
