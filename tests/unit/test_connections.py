"""Who waits for an answer, and where; how long a server takes."""

import itertools

import pytest

from dnssd.names import Name
from dnssd.wire.budget import Counts
from dnssd.wire.connections import Connection
from dnssd.wire.nameservers import NameServer
from dnssd.wire.query import Query
from dnssd.wire.server import IDLE, MAX_LATE, MIN_LATE, Server
from kit.simnet import SimLoop, SimNetwork, honest, silent

ONE = NameServer("192.0.2.1")


class Bench:
    """One server, and what has come of each query."""

    def __init__(self) -> None:
        self.loop = SimLoop()
        self.network = SimNetwork(self.loop, {("a.example.com.", "A"): ["10.0.0.1"]})
        self.told: dict[Query, list[object]] = {}
        ids = itertools.count()
        self.server = Server(
            0,
            ONE,
            self.loop,
            self.network,
            lambda size: next(ids).to_bytes(2, "big") if size == 2 else b"\0",
            Counts(),
            self.note,
            self.note,
        )

    def note(self, query: Query, connection: Connection, what: object) -> None:
        """An answer has come, or why there is none."""
        self.told[query].append(what)

    def ask(self, *, by_tcp: bool = True) -> list[object]:
        """Ask a question, which fits any connection; the list is filled with what comes."""
        query = Query(Name.parse("a.example.com."), "A", 0.0, lambda _: None)
        self.told[query] = []
        self.server.send(query, by_tcp=by_tcp, now=self.loop.time())
        self.connection = query.sent[0][0]
        return self.told[query]


def test_a_connection_with_a_question_is_not_idle() -> None:
    """However long ago the last answer came; it is once that question has been answered."""
    bench = Bench()
    assert bench.ask() == []
    bench.loop.run(IDLE - 1)
    bench.network.fault = lambda query: [(3 * IDLE, query.answer)]
    told = bench.ask()
    bench.loop.run(3 * IDLE - 1)
    assert bench.network.open_channels == 1
    bench.loop.run(IDLE)
    assert told
    assert bench.network.open_channels == 1
    bench.loop.run(1.1)
    assert bench.network.open_channels == 0
    assert bench.loop.pending() == 0


@pytest.mark.parametrize("by_tcp", [True, False])
def test_what_is_lost_is_told_to_all_who_wait(by_tcp: bool) -> None:
    """And to each once; a connection is of no more use, a UDP port is."""
    bench = Bench()
    bench.network.fault = silent
    all_told = [bench.ask(by_tcp=by_tcp) for _ in range(3)]

    for _ in range(2):
        bench.connection.lost("connection refused")

    assert all_told == [["connection refused"]] * 3
    assert bench.network.open_channels == (0 if by_tcp else 1)
    bench.network.fault = honest
    told = bench.ask(by_tcp=by_tcp)
    bench.loop.run(0.01)
    assert len(told) == 1


def test_closing_leaves_no_timer() -> None:
    """Of connections that were idle, and of those that were not."""
    bench = Bench()
    bench.ask()
    bench.loop.run(0.1)
    assert bench.loop.pending() == 1

    bench.server.close()

    assert bench.loop.pending() == 0
    assert bench.network.open_channels == 0


def test_a_server_that_varies_is_waited_for() -> None:
    """Four times the variation beyond the mean (RFC 6298): its slow answers are not late."""
    bench = Bench()
    for seconds in (0.01, 0.1) * 50:
        bench.server.measured(seconds)

    assert 0.1 < bench.server.late < 0.35


@pytest.mark.parametrize(("seconds", "late"), [(0.0, MIN_LATE), (30.0, MAX_LATE)])
def test_lateness_has_bounds(seconds: float, late: float) -> None:
    """Neither does a fast server make us impatient, nor a slow one patient for ever."""
    bench = Bench()
    bench.server.measured(seconds)

    assert bench.server.late == late
