"""A real server, workers that look services up through a proxy before it, and their figures."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import chaoswarm
from chaosclients import Result, look_up
from chaoszone import HOSTS, ORIGIN, SERVICES, Kind, Service, whole_zone

from kit.faultproxy import Counts, FaultProxy
from kit.faultproxy.faults import Plan
from kit.servers import Server, bind, knot

SERVERS = {"bind": bind, "knot": knot}
WORKERS = 12  # processes that look up, each one service at a time
KEEPERS = 3  # processes that keep services fresh, with a proxy each
KEPT = 120  # services that they keep, together
LOST = 25  # services that lose a host, after those in number
HEADINGS = ("look-ups", "right", "p50", "p99", "p99.9", "packets a question")
_WITH = 3  # questions of a look-up where addresses come along: PTR, SRV, TXT
_WITHOUT = _WITH + 2 * HOSTS  # and A and AAAA of every host


@dataclass(frozen=True, slots=True)
class Cold:
    """What came of many look-ups.

    Attributes:
        results: Of each.
        counts: Of the proxy.
        questions: What they would have asked had every answer been right.
    """

    results: tuple[Result, ...]
    counts: Counts
    questions: int

    @property
    def times(self) -> list[float]:
        """Seconds of each look-up, sorted; `math.inf` if it was wrong or failed."""
        return sorted(math.inf if result.wrong else result.seconds for result in self.results)

    @property
    def wrong(self) -> list[str]:
        """What is wrong with those that are."""
        return [result.wrong for result in self.results if result.wrong]

    def figures(self) -> tuple[str, ...]:
        """As a table has them, under `HEADINGS`."""
        right = 1 - len(self.wrong) / len(self.results)
        return (
            f"{len(self.results):,}",
            "all" if right == 1 else f"{right:.2%}",
            *(percentile(self.times, share) for share in (0.5, 0.99, 0.999)),
            f"{self.counts.packets / self.questions:.2f}",
        )


@dataclass(frozen=True, slots=True)
class Warm:
    """What came of services that are kept fresh.

    Attributes:
        kept: Of those that stayed as they were, by worker.
        removals: Seconds until the loss of a host was seen, sorted.
    """

    kept: tuple[chaoswarm.Kept, ...]
    removals: list[float]

    @property
    def wrong(self) -> list[str]:
        """What was wrong with refreshes, and removals that were not seen."""
        unseen = self.removals.count(math.inf)
        lost = [f"{unseen} removals were not seen"] if unseen else []
        return [wrong for kept in self.kept for wrong in kept.wrong] + lost

    def figures(self) -> tuple[str, ...]:
        """Refreshes, wrong ones, stale looks, packets a question, and how removals were seen."""
        refreshes = sum(kept.refreshes for kept in self.kept)
        packets = sum(kept.counts.packets for kept in self.kept)
        stale = sum(kept.stale for kept in self.kept) / sum(kept.looks for kept in self.kept)
        return (
            f"{refreshes:,}",
            str(sum(len(kept.wrong) for kept in self.kept)),
            f"{stale:.2%}",
            f"{packets / _WITH / (refreshes + KEPT):.2f}",
            percentile(self.removals, 0.5),
            percentile(self.removals, 1),
        )


class Arena:
    """A server, and workers that ask it through a proxy."""

    def __init__(self, server: Server, workers: ProcessPoolExecutor) -> None:
        self._server = server
        self._workers = workers
        self._lost = KEPT

    def cold(self, client: str, plan: Plan, count: int, kind: Kind = "dual") -> Cold:
        """Look services up with empty caches.

        Args:
            client: Its name in `chaosclients.CLIENTS`.
            plan: What the proxy does.
            count: How many look-ups.
            kind: Of which services.
        """
        services = [Service(number % SERVICES, kind) for number in range(count)]
        real = self._server.address
        with FaultProxy(real, plan, zone=ORIGIN) as proxy:
            parts = [
                self._workers.submit(look_up, client, proxy.nameserver, part, real)
                for part in (services[first::WORKERS] for first in range(WORKERS))
                if part
            ]
            results = tuple(result for part in parts for result in part.result())
            counts = proxy.counts()
        return Cold(results, counts, count * (_WITH if plan.additional else _WITHOUT))

    def warm(self, plan: Plan, refreshes: int) -> Warm:
        """Keep services fresh, all together so many times; then have others lose a host."""
        share = math.ceil(refreshes / KEEPERS)
        parts = [
            self._workers.submit(chaoswarm.keep, self._server.address, plan, part, share)
            for part in (_brief(range(first, KEPT, KEEPERS)) for first in range(KEEPERS))
        ]
        kept = tuple(part.result() for part in parts)
        losing = _brief(range(self._lost, self._lost + LOST))
        self._lost += LOST
        return Warm(kept, sorted(chaoswarm.remove(self._server, plan, losing)))


@contextmanager
def arena(server: str) -> Iterator[Arena]:
    """An arena with that server, until it is left; all workers have started."""
    context = get_context("spawn")
    start = context.Barrier(WORKERS)
    with (
        SERVERS[server](whole_zone()) as running,
        ProcessPoolExecutor(WORKERS, context, initializer=_meet, initargs=(start,)) as workers,
    ):
        wait([workers.submit(_meet, None) for _ in range(WORKERS)])
        yield Arena(running, workers)


def _meet(start: Barrier | None) -> None:
    """Wait for the other workers: none is to be measured while others load modules."""
    if start:
        start.wait()


def percentile(times: Sequence[float], share: float) -> str:
    """The time within which that share of sorted seconds was, as text."""
    seconds = times[math.ceil(share * len(times)) - 1]
    return "never" if seconds == math.inf else f"{seconds * 1000:,.0f} ms"


def _brief(numbers: range) -> list[Service]:
    return [Service(number, "brief") for number in numbers]
