"""Look-ups through a proxy that breaks 70 % of all answers; `scripts/chaos` calls it.

A real server holds the zone; every worker is a process with a resolver of its own, which
looks up one service after the other with an empty cache. The workers share the proxy.
"""

import argparse
import math
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import latencypicture
from chaosclients import CLIENTS, Result, look_up
from chaosfaults import LIES, TCP_ONLY, Fault, Plan
from chaosproxy import ChaosProxy, Counts
from chaosserving import serving
from chaoszone import HOSTS, SERVICES, ZONE, Service, master_file

HERE = Path(__file__).parent
WORKERS = 8
COUNT = 2000
SHARE = float(os.environ.get("S", "0.7"))
SHOWN = 5  # failures that are printed of each kind
_WITH = 3  # questions of a look-up where addresses come along: PTR, SRV, TXT
_WITHOUT = _WITH + 2 * HOSTS  # and A and AAAA of every host


@dataclass(frozen=True)
class Measured:
    """What came of many look-ups.

    Attributes:
        results: Of each.
        counts: Of the proxy.
        questions: What they would have asked had every answer been right.
        seconds: That all of them took.
    """

    results: tuple[Result, ...]
    counts: Counts
    questions: int
    seconds: float

    @property
    def times(self) -> list[float]:
        """Seconds of each look-up, sorted; infinite if it was wrong or failed."""
        return sorted(math.inf if r.wrong else r.seconds for r in self.results)

    @property
    def wrong(self) -> list[str]:
        """What is wrong with those that are."""
        return [result.wrong for result in self.results if result.wrong]

    def percentile(self, share: float) -> str:
        """The time within which that share was answered."""
        times = self.times
        seconds = times[min(len(times) - 1, math.ceil(share * len(times)) - 1)]
        return "never" if seconds == math.inf else f"{seconds * 1000:.3g} ms"

    def figures(self) -> tuple[str, ...]:
        """As a table has them, for `HEADINGS`."""
        good = len(self.results) - len(self.wrong)
        return (
            f"{len(self.results):,}",
            "all" if not self.wrong else f"{good / len(self.results):.2%}",
            *(self.percentile(share) for share in (0.5, 0.99, 0.999)),
            f"{self.counts.packets / self.questions:.2f}",
        )


HEADINGS = ("look-ups", "right", "p50", "p99", "p99.9", "packets a question")


class Arena:
    """A server, and workers that ask it through a proxy."""

    def __init__(self, server: str, workers: ProcessPoolExecutor) -> None:
        self._server = server
        self._workers = workers

    def measure(self, client: str, plan: Plan, count: int, *, dual: bool = True) -> Measured:
        """Look services up.

        Args:
            client: Its name in `CLIENTS`.
            plan: What the proxy does.
            count: How many look-ups.
            dual: Whether the hosts have IPv6 addresses as well.
        """
        services = [Service(number % SERVICES, dual) for number in range(count)]
        with ChaosProxy(self._server, plan, zone=ZONE) as proxy:
            begin = time.perf_counter()
            parts = [
                self._workers.submit(look_up, client, proxy.nameserver, part, self._server)
                for part in (services[first::WORKERS] for first in range(WORKERS))
                if part
            ]
            results = tuple(result for part in parts for result in part.result())
            seconds = time.perf_counter() - begin
            counts = proxy.counts()
        questions = count * (_WITH if plan.additional else _WITHOUT)
        return Measured(results, counts, questions, seconds)


def main() -> int:
    """Measure, print, and tell by the exit code whether every answer of dnssd was right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=COUNT, help="cold look-ups")
    parser.add_argument("--peers", type=int, help="look-ups of each other client")
    parser.add_argument("--seed", type=int, default=1, help="another one, other faults")
    parser.add_argument("--server", choices=["named", "knotd"], default="named")
    parser.add_argument("--picture", type=Path, help="where to draw, as SVG")
    options = parser.parse_args()
    peers = options.peers if options.peers is not None else max(48, options.count // 100)
    base = Plan(share=SHARE, seed=options.seed)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"Measured on {machine}, {options.server}, {WORKERS} look-ups at a time.\n")
    with _arena(options.server) as arena:
        wrong = [
            *_healthy(arena, base, max(WORKERS, options.count // 10)),
            *_cold(arena, base, options.count, peers, options.picture),
            *_classes(arena, base, max(WORKERS, options.count // 20)),
        ]
    for line in wrong:
        print(f"scripts/chaos: wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _healthy(arena: Arena, base: Plan, count: int) -> Iterator[str]:
    """Nothing is broken: what a question costs then."""
    rows = []
    for additional in (True, False):
        plan = replace(base, share=0.0, additional=additional)
        measured = arena.measure("dnssd", plan, count)
        rows.append((_addresses(plan), *measured.figures()))
        yield from _complaints(f"nothing broken, {_addresses(plan)}", measured)
    _print("Nothing broken", ("addresses", *HEADINGS), rows)


def _cold(arena: Arena, base: Plan, count: int, peers: int, picture: Path | None) -> Iterator[str]:
    """Every class that is no lie, drawn evenly: dnssd, and the others with the addresses."""
    without = replace(base, additional=False)
    runs = [("dnssd", base, True, count), ("dnssd", without, True, count)]
    runs.append(("dnssd", without, False, count // 10))
    runs += [(peer, base, True, peers) for peer in CLIENTS if peer != "dnssd" and peers]
    rows, curves = [], {}
    for client, plan, dual, times in runs:
        measured = arena.measure(client, plan, times, dual=dual)
        title = f"{_addresses(plan)}{'' if dual else ', IPv4 only'}"
        rows.append((client, title, *measured.figures()))
        if dual:
            curves[f"{client}, {title}" if client == "dnssd" else client] = measured.times
        if client == "dnssd":
            yield from _complaints(f"{SHARE:.0%} broken, {title}", measured)
    _print(f"{SHARE:.0%} of all answers broken", ("client", "addresses", *HEADINGS), rows)
    if picture:
        title = f"Cold look-ups of {HOSTS} hosts, {SHARE:.0%} of all answers broken"
        latencypicture.draw(picture, title, curves)


def _classes(arena: Arena, base: Plan, count: int) -> Iterator[str]:
    """Every class alone; and the lies, which a cold look-up cannot always see through."""
    rows = []
    for fault in Fault:
        plan = replace(base, faults=(fault,), udp=fault not in TCP_ONLY)
        measured = arena.measure("dnssd", plan, count)
        met = measured.counts.udp.get(fault, 0) + measured.counts.tcp.get(fault, 0)
        rows.append((_lie(fault), f"{met:,}", *measured.figures()))
        if fault not in LIES:
            yield from _complaints(f"{SHARE:.0%} {fault}", measured)
    _print(
        f"{SHARE:.0%} of all answers broken in one way; TCP's after a true TC each",
        ("fault", "met", *HEADINGS),
        rows,
    )


def _complaints(title: str, measured: Measured) -> list[str]:
    wrong = measured.wrong
    more = [f"{title}: and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
    return [f"{title}: {text}" for text in wrong[:SHOWN]] + more


def _addresses(plan: Plan) -> str:
    return "come along" if plan.additional else "are asked for"


def _lie(fault: Fault) -> str:
    return f"{fault} (a lie)" if fault in LIES else fault.value


@contextmanager
def _arena(program: str) -> Iterator[Arena]:
    with (
        serving(program, ZONE, master_file()) as server,
        ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as workers,
    ):
        yield Arena(server, workers)


def _print(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"### {title}\n")
    print("| " + " | ".join(headings) + " |")
    print("|" + " --- |" * len(headings))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
