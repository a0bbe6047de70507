"""Kill and freeze each part of a service behind HAProxy; `scripts/chaos crashes` calls it.

Two web servers under `dnssd run`, the sandbox's API, Unbound as the name server, the bridge and
HAProxy are real processes. Clients make 200 requests a second. What does not start again by
itself is started again after three seconds.
"""

import argparse
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path

import crashpicture
from crashload import RATE, Load, Result
from crashparts import Agent, Part, Stage, stage
from tables import show

from kit.servers import HOST, absence

DOWN = 3.0  # seconds until somebody starts again what is dead
FROZEN = 10.0  # seconds
PATIENCE = 120.0  # seconds until all is well again
Row = tuple[str, str, int, int, str, str]
HEADINGS = ("what", "how", "requests", "failed", "slowest", "in order after")


def main() -> int:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(prog="scripts/chaos crashes", description=__doc__)
    parser.add_argument("--picture", type=Path, help="where to draw, as SVG")
    parser.add_argument("--quick", action="store_true", help="each part alone, none frozen")
    options = parser.parse_args()
    if why := absence("haproxy", "unbound"):
        parser.error(why)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"Measured on {machine}.\n", flush=True)
    with stage() as running, closing(Load(HOST, running.port)) as load:
        trial = Trial(running, load)
        rows = list(trial.all(quick=options.quick))
    show(f"Crashes, {RATE} requests a second", HEADINGS, rows)
    if options.picture:
        crashpicture.draw(options.picture, load.results, trial.marks)
    unexpected = [row for row in rows if row[3] and "HAProxy" not in row[0]]
    for row in unexpected:
        print(f"scripts/chaos crashes: {row[0]}, {row[1]}: {row[3]} failed", file=sys.stderr)
    return 1 if unexpected else 0


class Trial:
    """One part after the other.

    Attributes:
        marks: When what was killed alone, for the picture.
    """

    def __init__(self, stage: Stage, load: Load) -> None:
        self._stage = stage
        self._load = load
        self.marks: list[tuple[float, str]] = []

    def all(self, *, quick: bool) -> Iterator[Row]:
        """What came of each; the picture shows the first ones."""
        self._until_well(time.monotonic())
        yield self._ended()
        for part in self._stage.parts:
            yield self._killed([part])
        self.marks.append((time.monotonic(), ""))
        if quick:
            return
        for pair in combinations(self._stage.parts, 2):
            yield self._killed(pair)
        for part in self._stage.parts:
            yield self._frozen(part)

    def _ended(self) -> Row:
        """A server is shut down, and started again."""
        begin = time.monotonic()
        self.marks.append((begin, "a server drains"))
        self._stage.host.end()
        self._stage.host.again()
        return self._row("a server", "drained", begin)

    def _killed(self, parts: Sequence[Part | Agent]) -> Row:
        begin = time.monotonic()
        name = " and ".join(part.name for part in parts)
        self.marks.append((begin, name))
        for part in parts:
            part.signal(signal.SIGKILL)
        time.sleep(DOWN)
        for part in reversed(parts):  # a host needs the API and the name server to join
            part.again()
        return self._row(name, "killed", begin)

    def _frozen(self, part: Part | Agent) -> Row:
        begin = time.monotonic()
        part.signal(signal.SIGSTOP)
        time.sleep(FROZEN)
        part.signal(signal.SIGCONT)
        return self._row(part.name, f"frozen for {FROZEN:g} s", begin)

    def _row(self, name: str, how: str, begin: float) -> Row:
        self._until_well(time.monotonic())
        end = time.monotonic()
        results = self._load.between(begin, end)
        failed = sum(not result.server for result in results)
        slowest = max(result.seconds for result in results)
        row = (name, how, len(results), failed, f"{slowest:.1f} s", f"{end - begin:.0f} s")
        print(*row, sep=" | ", file=sys.stderr, flush=True)
        return row

    def _until_well(self, since: float) -> None:
        """Wait until, for a second, both servers answer and nothing fails."""
        while True:
            time.sleep(0.2)
            now = time.monotonic()
            results = self._load.between(max(since, now - 1.2), now - 0.2)
            if len(results) > RATE / 2 and _is_well(results):
                return
            assert now < since + PATIENCE, "it does not get well again"


def _is_well(results: Sequence[Result]) -> bool:
    servers = {result.server for result in results}
    return len(servers) == 2 and "" not in servers


if __name__ == "__main__":
    sys.exit(main())
