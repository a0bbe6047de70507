"""Servers that give no valid answer: they are asked little, and their return is noticed soon."""

from collections.abc import Callable
from functools import partial

import pytest

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Address
from dnssd.wire.answers import Answer
from dnssd.wire.belief import TRUSTING, Doubt
from dnssd.wire.budget import Budget, Counts
from dnssd.wire.client import DnsClient
from dnssd.wire.dark import ATTEMPTS, BURST, FIRST_HOLD, LAST_HOLD, LAST_LOOK, Holds, Silence
from dnssd.wire.nameservers import NameServer
from dnssd.wire.query import Query
from kit.simnet import BROKEN, Fault, SimLoop, SimNetwork, breaking, honest, servfail, silent, where

ONE, TWO = NameServer("192.0.2.1"), NameServer("192.0.2.2")
RECORDS = {(f"h{at}.example.com.", "A"): ["10.0.0.1"] for at in range(200)}
FAULTS = pytest.mark.parametrize("fault", [silent, servfail, BROKEN["garbage"]])


class Bench:
    """A client of servers that have a fault, and what came of each question."""

    def __init__(self, fault: Fault, *servers: NameServer) -> None:
        self.loop = SimLoop()
        self.network = SimNetwork(self.loop, RECORDS, fault=fault)
        self.counts = Counts()
        self.client = DnsClient(
            self.loop, servers or (ONE,), self.network, budget=Budget(), counts=self.counts
        )
        self.came: list[Answer | Unavailable] = []

    def ask(
        self,
        number: int = 0,
        done: Callable[[Answer | Unavailable], object] | None = None,
        doubt: Doubt = TRUSTING,
    ) -> None:
        """Ask for the address of a host, for two seconds."""
        name = Name.parse(f"h{number}.example.com.")
        self.client.ask(name, "A", self.loop.now + 2.0, done or self.came.append, doubt)

    def packets(self, seconds: float) -> int:
        """How many are sent in a time."""
        before = len(self.network.queries)
        self.loop.run(seconds)
        return len(self.network.queries) - before


@FAULTS
def test_an_outage_costs_one_burst_and_not_one_for_each_question(fault: Fault) -> None:
    """Each question after that gets three packets in all; one that has failed gets none."""
    bench = Bench(fault)
    for _ in range(2):  # while a server has never answered, there is less in a burst
        bench.ask()
    assert bench.packets(2.0) <= BURST + 4 * ATTEMPTS
    assert bench.counts.dark == {"192.0.2.1:53"}

    for number in range(1, 11):
        bench.ask(number)
    assert bench.packets(2.0) <= 10 * ATTEMPTS
    assert len(bench.came) == 12
    bench.ask(10)
    assert bench.packets(0.01) == 0
    assert [str(error) for error in bench.came[-2:]] == [str(bench.came[-1])] * 2


@FAULTS
def test_questions_that_are_put_again_and_again_in_an_outage(fault: Fault) -> None:
    """A hundred, each a second after it has failed, for five minutes: 50,000 packets before."""
    bench = Bench(fault)

    def again(number: int, _: object) -> None:
        bench.loop.call_at(bench.loop.now + 1.0, bench.ask, number, partial(again, number))

    for number in range(100):
        again(number, None)

    assert bench.packets(300.0) < 4000
    assert bench.packets(300.0) < 700


@FAULTS
def test_who_is_back_is_noticed_within_seconds(fault: Fault) -> None:
    """However long it was dark; one valid answer brings the bursts back for all."""
    bench = Bench(fault)
    came_at: list[float] = []

    def again(answer: Answer | Unavailable) -> None:
        if isinstance(answer, Answer):
            came_at.append(bench.loop.now)
        else:
            bench.loop.call_at(bench.loop.now + 0.5, bench.ask, 0, again)

    bench.ask(0, again)
    bench.loop.run(1200.0)
    began = bench.loop.now
    bench.network.fault = honest
    bench.loop.run(lambda: bool(came_at))
    assert came_at[0] - began <= LAST_LOOK + 0.6
    assert bench.counts.dark == set()

    bench.network.fault = breaking(0.7, 1, "drop servfail garbage")
    for number in range(100):
        bench.ask(number)
    bench.loop.run(2.0)
    assert sum(isinstance(one, Answer) for one in bench.came) == 100


def test_who_waits_for_a_look_hears_what_came_of_it() -> None:
    """Nobody fails while one is finding out whether servers are back."""
    for fault, kind in ((silent, Unavailable), (honest, Answer)):
        bench = Bench(silent)
        for number in range(10):
            bench.ask(number)
        bench.loop.run(2.0)
        for number in range(1, 10):  # each failure is held for longer now
            bench.ask(number)
        bench.loop.run(2.0)
        bench.loop.run(FIRST_HOLD)
        bench.came.clear()
        bench.network.fault = fault
        for number in range(10):
            bench.ask(number)
        bench.loop.run(0.0005)
        assert bench.came == []
        bench.loop.run(2.0)
        assert [type(one) for one in bench.came] == [kind] * 10


@pytest.mark.parametrize("number", [0, 999], ids=["other values", "none"])
def test_what_has_changed_in_an_outage_is_believed_at_once(number: int) -> None:
    """The first answer is in doubt, and a valid one: what confirms it is asked for in a burst."""
    bench = Bench(silent)
    bench.ask(1)
    bench.ask(2)
    bench.loop.run(2.0)
    assert bench.counts.dark
    bench.network.fault = honest

    bench.ask(number, doubt=Doubt(frozenset({Address.parse("10.0.0.2")})))
    bench.loop.run(0.2)
    assert [type(one) for one in bench.came] == [Unavailable, Unavailable, Answer]


def test_who_is_dark_costs_others_nothing() -> None:
    """Questions go to the one that answers; no failure is held, and nothing is limited."""
    bench = Bench(where(lambda query: query.server == ONE, silent), ONE, TWO)
    for number in range(200):
        bench.ask(number)
        bench.loop.run(0.01)
    bench.loop.run(2.0)
    assert sum(isinstance(one, Answer) for one in bench.came) == 200

    bench.network.fault = where(lambda query: query.server == TWO, silent)
    bench.ask()
    bench.loop.run(2.0)
    assert isinstance(bench.came[-1], Answer)  # the other one is back


def test_many_answers_that_are_on_their_way_are_no_silence() -> None:
    """A server is dark when they are late, as it takes its time."""
    silence = Silence()
    for _ in range(BURST):
        silence.sent(1.0)
    assert not silence.look(1.1, 0.25)
    assert silence.look(1.25, 0.25)
    assert silence.broken()
    assert not silence.look(9.0, 0.2)
    assert not silence.broken()


def test_failures_are_held_for_twice_as_long_each_time() -> None:
    """From one second to five minutes; what is looked at meanwhile is one question."""
    holds, now, held = Holds(), 0.0, []
    query = Query(Name.parse("a.example.com."), "A", 1e9, lambda _: None)
    error = Unavailable("nothing")
    for _ in range(12):
        holds.failed(query, error, now)
        other = Query(Name.parse("b.example.com."), "A", 1e9, lambda _: None)
        assert holds.until(other, now) is None
        begin, holds._look_at = now, 1e9
        while holds.until(query, now) is not None:
            now += 0.5
        held.append(now - begin)

    assert held[:4] == [FIRST_HOLD, 2.0, 4.0, 8.0]
    assert held[-3:] == [LAST_HOLD] * 3
