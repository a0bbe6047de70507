"""Many questions at once, on a made-up network and a virtual clock."""

import errno
import random
from collections.abc import Callable, Iterable
from functools import partial

import dns.flags
import dns.message
import dns.rcode
import pytest

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Address, Srv
from dnssd.wire.answers import Answer
from dnssd.wire.belief import TRUSTING, Doubt
from dnssd.wire.budget import Budget
from dnssd.wire.client import AT_ONCE, DnsClient
from dnssd.wire.connections import PORT_LIFE
from dnssd.wire.nameservers import NameServer
from dnssd.wire.query import MAX_ALIASES
from dnssd.wire.resolution import BURST
from dnssd.wire.server import FIRST_LATE, IDLE, MAX_LATE, MIN_LATE, PORTS, SILENT, STUCK
from kit.simnet import (
    BROKEN,
    Delivery,
    Fault,
    Query,
    Records,
    SimChannel,
    SimLoop,
    SimNetwork,
    breaking,
    honest,
    servfail,
    silent,
    unsigned,
    where,
)

ONE, TWO, THREE = (NameServer(f"192.0.2.{at}") for at in (1, 2, 3))
HOST = "a.example.com."
MANY = "many.example.com."
ADDRESS = Address.parse("10.0.0.1")
RECORDS: Records = {
    (HOST, "A"): ["10.0.0.1"],
    (MANY, "SRV"): [f"0 0 {port} {HOST}" for port in range(1, 201)],
}


class Bench:
    """A client in its made-up world; what it is asked, and what it says."""

    def __init__(
        self,
        records: Records | None = None,
        *,
        servers: tuple[NameServer, ...] = (ONE,),
        fault: Fault = honest,
        budget: Budget | None = None,
        entropy: Callable[[int], bytes] | None = None,
        is_measured: bool = True,
    ) -> None:
        self.loop = SimLoop()
        self.network = SimNetwork(self.loop, records or RECORDS, fault=fault)
        self.came: list[Answer | Unavailable] = []
        self.client = DnsClient(
            self.loop,
            servers,
            self.network,
            budget=budget or Budget(),
            entropy=entropy or random.Random(1).randbytes,
        )
        for server in self.client._servers:  # as if it had answered before
            server.is_measured = is_measured

    def ask(
        self, name: str = HOST, rdtype: str = "A", seconds: float = 2.0, doubt: Doubt = TRUSTING
    ) -> None:
        """Ask, and let the answer come when it comes."""
        deadline = self.loop.now + seconds
        self.client.ask(Name.parse(name), rdtype, deadline, self.came.append, doubt)

    def answer(
        self, name: str = HOST, rdtype: str = "A", seconds: float = 2.0, doubt: Doubt = TRUSTING
    ) -> Answer:
        """Ask, and let time pass until the answer has come."""
        error = self.outcome(name, rdtype, seconds, doubt)
        assert isinstance(error, Answer), error
        return error

    def failure(self, name: str = HOST, rdtype: str = "A", seconds: float = 2.0) -> str:
        """Ask in vain; why it was."""
        error = self.outcome(name, rdtype, seconds, TRUSTING)
        assert isinstance(error, Unavailable), error
        return str(error)

    def outcome(self, name: str, rdtype: str, seconds: float, doubt: Doubt) -> Answer | Unavailable:
        """Ask, and let time pass until something has come."""
        before, began = len(self.came), self.loop.now
        self.ask(name, rdtype, seconds, doubt)
        self.loop.run(lambda: len(self.came) > before)
        assert self.loop.now <= began + seconds + 1e-6
        return self.came[-1]

    @property
    def packets(self) -> int:
        """How many were sent."""
        return len(self.network.queries)

    @property
    def addressees(self) -> list[NameServer]:
        """Whom they were sent to."""
        return [query.server for query in self.network.queries]

    def by_tcp(self) -> list[bool]:
        """How they were sent."""
        return [query.by_tcp for query in self.network.queries]


def noted(numbers: list[int], number: int, _: object) -> None:
    """Take note of which question was answered."""
    numbers.append(number)


def after(seconds: float) -> Fault:
    """The right answer, so late."""
    return lambda query: [(seconds, query.answer)]


def loses(why: str) -> Fault:
    """The network tells that the packet was lost."""
    return lambda _: [(0.001, why)]


def to(*servers: NameServer) -> Callable[[Query], bool]:
    """Whether a query is for one of these."""
    return lambda query: query.server in servers


def only(number: int, fault: Fault) -> Fault:
    """A fault that one query meets."""
    return where(lambda query: query.number == number, fault)


def cut(query: Query) -> Iterable[Delivery]:
    """TC by UDP, whatever the size."""
    return honest(query) if query.by_tcp else BROKEN["tc"](query)


# One question


def test_a_healthy_server_sees_one_packet_a_question() -> None:
    """However many there are, and nothing is left to come but old looks."""
    bench = Bench()
    for _ in range(3 * AT_ONCE):
        bench.ask()

    bench.loop.run(lambda: len(bench.came) == 3 * AT_ONCE)

    assert bench.packets == 3 * AT_ONCE
    assert {answer.values for answer in bench.came if isinstance(answer, Answer)} == {(ADDRESS,)}
    assert bench.client.disturbed == 0
    assert bench.client.servers == (ONE,)


def test_an_answer_that_waits_to_be_read_is_not_late() -> None:
    """Where timers are called before sockets are read, sockets are read once more first."""
    bench = Bench(fault=after(FIRST_LATE))

    bench.answer()

    assert bench.packets == 1


def test_an_answer_that_waits_at_the_deadline_counts() -> None:
    """The same for giving up."""
    bench = Bench(fault=after(0.1))

    assert bench.answer(seconds=0.1).values == (ADDRESS,)


def test_a_late_answer_is_heard() -> None:
    """Of the first attempt, while others are under way; those do no harm later."""
    bench = Bench(fault=where(lambda query: query.number > 0, silent))
    bench.network.fault = lambda query: after(0.21)(query) if query.number == 0 else []

    assert bench.answer().values == (ADDRESS,)
    assert bench.packets == 1 + BURST
    bench.network.fault = honest
    assert bench.answer().values == (ADDRESS,)
    assert bench.packets == 2 + BURST


def test_all_of_70_percent_broken_answers_come_right() -> None:
    """Each kind of fault, with three at a time against it."""
    bench = Bench(fault=breaking(0.7, 1, "drop servfail nosoa garbage wrong-id tc"))

    for _ in range(300):
        assert bench.answer().values == (ADDRESS,)
    assert bench.packets < 300 * 6
    assert bench.client.disturbed > 100


def test_a_deadline_ends_it() -> None:
    """The error names the question, who was asked, and what to do."""
    bench = Bench(servers=(ONE, TWO), fault=where(to(ONE), servfail))
    bench.network.fault = lambda query: servfail(query) if query.server == ONE else []

    assert bench.failure() == (
        "a.example.com. A: 192.0.2.1:53 SERVFAIL, 192.0.2.2:53 no answer; "
        "check the network, or give another --nameserver"
    )


def test_a_question_without_time_is_not_sent() -> None:
    """And its failure comes later, never while it is being asked."""
    bench = Bench()

    bench.ask(seconds=0.0)
    assert bench.came == []
    bench.loop.run(0.001)

    assert "no time left" in str(bench.came[0])
    assert bench.packets == 0


@pytest.mark.parametrize("seconds", [0.5, 600.0])
def test_silence_lasts_as_long_as_the_deadline_says(seconds: float) -> None:
    """Ten minutes too, with ever fewer packets, and IDs that are never used twice at a time."""
    bench = Bench(fault=silent)
    bench.ask(seconds=seconds)
    bench.loop.run(seconds + 0.001)

    assert len(bench.came) == 1
    assert bench.packets < 600 + seconds * 15


# Aliases


def chain(length: int, end: bool = True) -> Records:
    """Names that lead from one to the next, and in the end to an address."""
    records: Records = {
        (f"c{at}.example.com.", "CNAME"): [f"c{at + 1}.example.com."] for at in range(length)
    }
    if end:
        records[f"c{length}.example.com.", "A"] = ["10.0.0.1"]
    return records


@pytest.mark.parametrize("length", [1, MAX_ALIASES])
def test_aliases_are_followed(length: int) -> None:
    """One question each; the answer tells where they led."""
    bench = Bench(chain(length))

    answer = bench.answer("c0.example.com.")

    assert answer.values == (ADDRESS,)
    assert str(answer.via) == f"c{length}.example.com."
    assert bench.packets == length + 1


def test_too_many_aliases_are_not_followed() -> None:
    """The error names the question and the place."""
    bench = Bench(chain(MAX_ALIASES + 1))

    assert bench.failure("c0.example.com.").startswith(
        "c0.example.com.: 8 aliases (CNAME) in a row, the last to c9.example.com.;"
    )
    assert bench.packets == MAX_ALIASES + 1


def test_aliases_in_a_circle_end() -> None:
    """The same bound."""
    bench = Bench({(HOST, "CNAME"): ["b.example.com."], ("b.example.com.", "CNAME"): [HOST]})

    assert "8 aliases" in bench.failure()
    assert bench.packets == MAX_ALIASES + 1


def test_an_alias_holds_no_longer_than_the_whole_chain() -> None:
    """The smallest TTL of all that was passed, also for what is not there in the end."""
    bench = Bench(chain(2))
    bench.network.ttl = 30
    bench.ask("c0.example.com.")
    bench.loop.run(0.0015)  # the first alias has come, with 30 s
    bench.network.ttl = 90
    bench.network.change(bench.network.records)
    bench.loop.run(lambda: bool(bench.came))
    assert isinstance(bench.came[0], Answer)
    assert bench.came[0].ttl == 30

    bench = Bench(chain(1, end=False))
    bench.network.negative_ttl = 20
    assert bench.answer("c0.example.com.").ttl == 20


def test_aliases_share_the_deadline() -> None:
    """Eight of them do not get eight times as long."""
    bench = Bench(chain(8), fault=after(0.15))

    assert bench.failure("c0.example.com.", seconds=0.5)
    assert bench.packets <= 5


# Many questions


def test_so_many_are_under_way_at_most() -> None:
    """The others wait for their turn, in the order in which they came."""
    bench = Bench(fault=after(0.1))
    order: list[int] = []
    for at in range(2 * AT_ONCE + 1):
        bench.client.ask(Name.parse(HOST), "A", bench.loop.now + 2, partial(noted, order, at))

    assert bench.packets == AT_ONCE
    bench.loop.run(0.11)
    assert bench.packets == 2 * AT_ONCE
    bench.loop.run(lambda: len(order) == 2 * AT_ONCE + 1)
    assert order == sorted(order)


def test_whoever_asks_again_waits_behind_those_who_wait() -> None:
    """Answers that lead to new questions at once starve nobody."""
    bench = Bench()
    left = 20 * AT_ONCE
    patient: list[int] = []

    def again(_: object) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            bench.client.ask(Name.parse(HOST), "A", bench.loop.now + 60, again)

    for _ in range(AT_ONCE):
        again(None)
    bench.client.ask(Name.parse(HOST), "A", bench.loop.now + 60, lambda _: patient.append(left))
    bench.loop.run(lambda: bool(patient))

    assert patient[0] >= 18 * AT_ONCE


def test_whoever_waits_is_given_up_in_time() -> None:
    """Its deadline is its own, whatever those in front of it have; its turn is passed over."""
    bench = Bench(fault=silent, budget=Budget(0, 0, 0))
    for _ in range(AT_ONCE):
        bench.ask(seconds=10.0)
    bench.ask(seconds=1.0)
    bench.ask(seconds=20.0)

    bench.loop.run(1.001)
    assert [str(error) for error in bench.came] == [
        "a.example.com. A: no time left; check the network, or give another --nameserver"
    ]
    bench.network.fault = honest
    bench.loop.run(lambda: len(bench.came) == AT_ONCE + 2)
    assert isinstance(bench.came[-1], Answer)
    bench.loop.run(1.0)
    before = bench.packets
    for _ in range(AT_ONCE):
        bench.ask()
    assert bench.packets == before + AT_ONCE  # it has taken nobody's place


def test_what_is_answered_is_not_come_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of answers within the time of one being late leave nothing to do."""
    bench = Bench()
    for _ in range(1000):
        bench.answer()
    timers: list[float] = []
    monkeypatch.setattr(bench.loop, "call_at", lambda when, *_: timers.append(when))
    bench.loop.run(5.0)

    assert timers == []


def test_ids_never_collide() -> None:
    """Randomness that repeats itself is drawn again; each answer finds its question."""
    many = PORT_LIFE  # of one port
    ids = [at // 3 for at in range(3 * many)]  # each three times
    entropy = iter(ids)
    bench = Bench(
        {(f"h{at}.example.com.", "A"): [f"10.0.0.{at}"] for at in range(many)},
        entropy=lambda size: next(entropy).to_bytes(2, "big") if size == 2 else b"\0",
    )
    for at in range(many):
        bench.ask(f"h{at}.example.com.")
    bench.loop.run(0.01)

    assert [str(one.values[0].ip) for one in bench.came if isinstance(one, Answer)] == [  # type: ignore[union-attr] # addresses are asked for
        f"10.0.0.{at}" for at in range(many)
    ]
    sent = [query.data[:2] for query in bench.network.queries]
    assert len(set(sent)) == many


def _other_question(query: Query) -> Iterable[Delivery]:
    other = dns.message.make_query("b.example.com.", "A")
    response = dns.message.make_response(other)
    return [(0.001, query.reply(response.to_wire())), (0.002, query.answer)]


def _no_response(query: Query) -> Iterable[Delivery]:
    return [(0.001, query.data), (0.002, query.answer)]


def _no_response_to_nothing(query: Query) -> Iterable[Delivery]:
    return [(0.001, query.data[:4] + bytes(8)), (0.002, query.answer)]


def _other_id(query: Query) -> Iterable[Delivery]:
    return [*BROKEN["wrong-id"](query), (0.002, query.answer)]


def _short(query: Query) -> Iterable[Delivery]:
    return [(0.001, query.data[:11]), (0.001, b""), (0.002, query.answer)]


@pytest.mark.parametrize(
    "fault", [_other_question, _no_response, _no_response_to_nothing, _other_id, _short]
)
def test_what_answers_nothing_is_passed_over(fault: Fault) -> None:
    """It is not even a failure: the answer itself comes after it (RFC 5452)."""
    bench = Bench(fault=fault)

    assert bench.answer().values == (ADDRESS,)
    assert bench.packets == 1


def test_a_question_may_come_back_in_another_case() -> None:
    """Some servers change it."""
    bench = Bench(fault=lambda query: [(0.001, query.answer.replace(b"example", b"EXAMPLE"))])

    assert bench.answer().values == (ADDRESS,)
    assert bench.packets == 1


# Truncation


def test_what_was_long_goes_straight_to_tcp_next_time() -> None:
    """UDP is tried once only, whatever the case of the name."""
    bench = Bench()

    assert len(bench.answer(MANY, "SRV").values) == 200
    assert len(bench.answer(MANY.upper(), "SRV").values) == 200
    assert bench.answer(HOST).values == (ADDRESS,)

    assert bench.by_tcp() == [False, True, True, False]
    assert bench.client.disturbed == 0


def test_what_became_short_is_asked_by_udp_again() -> None:
    """The TCP answer says so."""
    bench = Bench()
    bench.answer(MANY, "SRV")
    bench.network.change({(MANY, "SRV"): ["0 0 80 a.example.com."]})
    bench.answer(MANY, "SRV")
    bench.answer(MANY, "SRV")

    assert bench.by_tcp() == [False, True, True, False]


def test_a_false_cut_is_not_remembered() -> None:
    """The answer is short: TCP was not needed."""
    bench = Bench(fault=cut)

    bench.answer()
    bench.network.fault = honest
    bench.answer()

    assert bench.by_tcp() == [False, True, False]


def test_only_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many long names the first are forgotten."""
    monkeypatch.setattr("dnssd.wire.client.REMEMBERED", 2)
    names = [f"many{at}.example.com." for at in range(3)]
    bench = Bench({(name, "SRV"): RECORDS[MANY, "SRV"] for name in names})
    for name in names:
        bench.answer(name, "SRV")
    seen = bench.packets
    for name in (*names[1:], names[0]):
        bench.answer(name, "SRV")

    assert bench.by_tcp()[seen:] == [True, True, False, True]


def test_a_long_answer_by_udp_does_not_ask_for_tcp() -> None:
    """A server that sends more than was welcome may have no TCP at all."""

    def whole(query: Query) -> Iterable[Delivery]:
        large = Query(query.data, query.server, True, 0, 0.0)
        return [(0.001, bench.network.respond(large))]

    bench = Bench(fault=whole)
    for _ in range(2):
        assert len(bench.answer(MANY, "SRV").values) == 200

    assert bench.by_tcp() == [False, False]


@pytest.mark.parametrize("seconds", [0.3, 0.55, 1.1, 2.0])
@pytest.mark.parametrize(("by_udp", "told"), [(silent, "no answer"), (cut, "connection refused")])
def test_where_tcp_is_only_tried_the_silence_of_udp_is_told(
    by_udp: Fault, told: str, seconds: float
) -> None:
    """Whichever was the last to fail; TCP is what is told of where UDP leads to it."""
    refused = loses("connection refused")
    bench = Bench(fault=lambda query: refused(query) if query.by_tcp else by_udp(query))

    assert bench.failure(seconds=seconds).startswith(f"{HOST} A: 192.0.2.1:53 {told}")
    assert any(bench.by_tcp())


def test_a_cut_is_survived_where_tcp_fails() -> None:
    """TCP is refused: what comes by UDP in the end is taken."""
    bench = Bench(
        fault=lambda query: (
            loses("connection refused")(query)
            if query.by_tcp
            else cut(query)
            if query.number == 0
            else honest(query)
        )
    )

    assert bench.answer().values == (ADDRESS,)


def test_tcp_is_kept_open_and_closed_when_idle() -> None:
    """Ten seconds after the last answer, with one timer however many there were."""
    bench = Bench()
    for _ in range(100):
        bench.answer(MANY, "SRV")
    assert bench.network.open_by_tcp == 1
    assert bench.loop.pending() <= 3

    bench.loop.run(IDLE - 1)
    bench.answer(MANY, "SRV")
    bench.loop.run(IDLE - 1)
    assert bench.network.open_by_tcp == 1
    bench.loop.run(1.1)
    assert bench.network.open_by_tcp == 0
    assert len(bench.answer(MANY, "SRV").values) == 200


def test_tcp_that_waits_is_not_idle() -> None:
    """An answer that takes longer than that still comes."""
    bench = Bench(budget=Budget(0, 0, 0))
    bench.answer(MANY, "SRV")
    bench.network.fault = lambda query: after(12.0)(query) if query.by_tcp else []

    assert len(bench.answer(MANY, "SRV", seconds=15.0).values) == 200


def test_tcp_that_is_stuck_is_not_used_again() -> None:
    """Another is opened once it has been silent for a second; others use that one too."""
    bench = Bench()
    bench.answer(MANY, "SRV")
    bench.network.fault = where(lambda query: query.by_tcp, silent)
    bench.ask(MANY, "SRV")
    bench.loop.run(STUCK - 0.1)
    assert bench.network.opened_by_tcp == 1
    bench.loop.run(0.5)
    assert bench.network.opened_by_tcp == 2
    bench.network.fault = honest
    bench.loop.run(lambda: len(bench.came) == 2)
    before = bench.packets

    bench.answer(MANY, "SRV")

    assert bench.packets == before + 1
    bench.loop.run(IDLE + 1)
    assert bench.network.open_by_tcp == 0


def test_tcp_that_is_out_of_step_is_not_used_again() -> None:
    """What cannot be read may mean that its lengths are wrong; others still get theirs."""

    def broken(query: Query) -> Iterable[Delivery]:
        if query.number == 2:
            return [(0.001, query.answer[:-7])]
        return after(0.05)(query)

    bench = Bench()
    bench.answer(MANY, "SRV")
    bench.network.fault = broken
    bench.ask(MANY, "SRV")  # is mangled
    bench.ask(MANY, "SRV")  # is answered later, by the same connection
    bench.loop.run(0.002)
    assert bench.network.open_by_tcp == 2
    bench.loop.run(0.2)

    assert [isinstance(one, Answer) for one in bench.came] == [True] * 3
    assert bench.network.open_by_tcp == 1


@pytest.mark.parametrize(
    ("fault", "most"),
    [(silent, 2), (lambda _: [(0.001, b"")], 45), (loses("connection refused"), 60)],
    ids=["silent", "in part", "refused"],
)
def test_a_stalled_path_is_not_stormed(fault: Fault, most: int) -> None:
    """Copies share one connection: the next opens after a second, or when that one has failed."""
    bench = Bench()
    bench.answer(MANY, "SRV")
    bench.loop.run(IDLE + 1)
    bench.network.fault = where(lambda query: query.by_tcp, fault)
    before = bench.network.opened_by_tcp

    for _ in range(3):  # side by side
        bench.ask(MANY, "SRV")
    bench.loop.run(1.99)

    assert bench.network.opened_by_tcp - before <= most
    assert bench.network.open_by_tcp <= most


def test_who_waits_where_lengths_are_wrong_asks_anew_at_once() -> None:
    """Nothing that comes by that connection can be told apart any more."""
    bench = Bench()
    bench.answer(MANY, "SRV")  # it is known to be long
    seen = bench.packets
    bench.network.fault = lambda query: {
        seen: [(0.001, query.answer[:-7])],
        seen + 1: [],
    }.get(query.number, honest(query))
    bench.came.clear()
    for _ in range(2):
        bench.ask(MANY, "SRV")
    bench.loop.run(0.01)

    assert [isinstance(one, Answer) for one in bench.came] == [True] * 2


# EDNS


def _says(rcode: str, *, repeat: bool) -> Fault:
    """A server that does not know EDNS, and says so in one of the ways there are."""

    def fault(query: Query) -> Iterable[Delivery]:
        if query.message.edns < 0:
            return honest(query)
        response = dns.message.make_response(query.message)
        if rcode != "BADVERS":
            response.use_edns(-1)
        response.set_rcode(dns.rcode.from_text(rcode))
        if not repeat:
            response.question.clear()
        return [(0.001, query.reply(response.to_wire()))]

    return fault


@pytest.mark.parametrize("repeat", [True, False])
@pytest.mark.parametrize("rcode", ["FORMERR", "NOTIMP", "BADVERS"])
def test_a_server_without_edns_is_asked_without(rcode: str, repeat: bool) -> None:
    """At once, whether or not its refusal repeats the question."""
    bench = Bench(fault=_says(rcode, repeat=repeat))
    began = bench.loop.now

    assert bench.answer().values == (ADDRESS,)
    assert bench.loop.now - began < 0.01
    assert [query.message.edns for query in bench.network.queries] == [0, -1, -1, -1]


@pytest.mark.parametrize("rcode", ["NOERROR", "NXDOMAIN", "SERVFAIL"])
def test_what_repeats_no_question_is_never_believed(rcode: str) -> None:
    """It takes an ID only to forge it: whatever it says, it is a failure."""
    bench = Bench(fault=only(0, _says(rcode, repeat=False)))

    assert bench.answer().values == (ADDRESS,)
    assert bench.client.disturbed == 1


def test_other_errors_do_not_turn_edns_off() -> None:
    """SERVFAIL has other reasons."""
    bench = Bench(fault=only(0, servfail))

    bench.answer()

    assert {query.message.edns for query in bench.network.queries} == {0}


def _drops_edns(query: Query) -> Iterable[Delivery]:
    return [] if query.message.edns >= 0 else honest(query)


def test_where_edns_is_dropped_it_is_left_out() -> None:
    """Some of the copies have none, and it is remembered that those are answered."""
    bench = Bench(fault=_drops_edns)
    assert bench.answer().values == (ADDRESS,)
    seen = bench.packets

    began = bench.loop.now
    assert bench.answer().values == (ADDRESS,)
    assert bench.loop.now - began < FIRST_LATE
    assert [query.message.edns for query in bench.network.queries[seen:]] == [-1]


# Servers


def test_a_path_that_nobody_knows_is_given_time() -> None:
    """0.8 s an answer: a few copies, and none once it is known."""
    bench = Bench(fault=after(0.8), is_measured=False)
    bench.answer()
    assert bench.packets <= 4
    seen = bench.packets

    bench.answer()

    assert bench.packets == seen + 1


def test_a_server_that_has_never_answered_gets_bursts_in_the_end() -> None:
    """Silence may be loss: seven packets of ten."""
    bench = Bench(fault=breaking(0.7, 3, "drop"), is_measured=False)

    assert bench.answer().values == (ADDRESS,)


def test_the_first_server_is_asked_as_long_as_it_answers() -> None:
    """Others see nothing."""
    bench = Bench(servers=(ONE, TWO))
    for _ in range(10):
        bench.answer()

    assert set(bench.addressees) == {ONE}


@pytest.mark.parametrize("fault", [silent, servfail, unsigned, loses("connection refused")])
def test_whoever_answers_is_asked_first_from_then_on(fault: Fault) -> None:
    """A dead server costs once, and again only when the next one dies."""
    bench = Bench(servers=(ONE, TWO), fault=where(to(ONE), fault))
    bench.answer()
    seen = bench.packets
    for _ in range(5):
        bench.answer()
    assert bench.addressees[seen:] == [TWO] * 5

    bench.network.fault = where(to(TWO), fault)
    bench.answer()
    seen = bench.packets
    bench.answer()
    assert bench.addressees[seen:] == [ONE]


def test_doubt_is_no_reason_to_change_the_server() -> None:
    """All are asked when a value has vanished; the first of them did nothing wrong."""
    gone = Doubt(frozenset({ADDRESS, Address.parse("10.0.0.2")}), answers=3)
    bench = Bench(servers=(ONE, TWO, THREE))

    assert bench.answer(doubt=gone).values == (ADDRESS,)
    assert set(bench.addressees) == {ONE, TWO, THREE}
    seen = bench.packets
    bench.answer()

    assert bench.addressees[seen:] == [ONE]
    assert bench.client.disturbed == 0


def test_a_server_that_only_denies_without_soa_is_not_preferred() -> None:
    """It answers fast, but says nothing."""
    bench = Bench(
        servers=(ONE, TWO, THREE),
        fault=lambda query: {ONE: silent, TWO: unsigned, THREE: after(0.02)}[query.server](query),
    )
    bench.answer()
    seen = bench.packets
    bench.answer()

    assert bench.addressees[seen] == THREE


def test_one_dead_server_of_three_delays_once() -> None:
    """200 ms until the first is known to be late; then no more."""
    bench = Bench(servers=(ONE, TWO, THREE), fault=where(to(ONE), silent))
    began = bench.loop.now
    bench.answer()
    assert bench.loop.now - began == pytest.approx(FIRST_LATE + 0.001)
    began = bench.loop.now
    bench.answer()
    assert bench.loop.now - began == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("seconds", "low", "high"),
    [(0.001, MIN_LATE, MIN_LATE), (0.1, 0.1, 0.15), (0.9, 0.9, MAX_LATE)],
)
def test_what_is_late_is_learned(seconds: float, low: float, high: float) -> None:
    """A steady server is waited for a little longer than it takes (RFC 6298)."""
    bench = Bench(fault=after(seconds))
    for _ in range(60):
        bench.answer()
    bench.network.fault = silent
    seen, began = bench.packets, bench.loop.now
    bench.ask()
    bench.loop.run(lambda: bench.packets > seen + 1)

    assert low - 1e-6 <= bench.loop.now - began <= high + 1e-6


def test_a_slow_server_is_not_asked_twice_for_long() -> None:
    """Once it is known how long it takes, it sees one packet a question."""
    bench = Bench(fault=after(0.3))
    for _ in range(10):
        bench.answer()
    seen = bench.packets
    for _ in range(10):
        bench.answer()

    assert bench.packets == seen + 10


# Sockets


class Failing(SimNetwork):
    """A network where sockets of some servers fail on sending, or on being opened."""

    dead: tuple[NameServer, ...] = ()
    opens = True
    full = False  # no more sockets can be opened
    fails = 0  # so many packets cannot be sent

    def open(
        self,
        server: NameServer,
        by_tcp: bool,
        receive: Callable[[bytes], object],
        lost: Callable[[str], object],
    ) -> SimChannel:
        """Open a channel, or not."""
        if self.full or (server in self.dead and not self.opens):
            raise OSError(errno.EMFILE, "Too many open files")
        self._count(by_tcp)
        return _FailingChannel(self, server, by_tcp, receive, lost)


class _FailingChannel(SimChannel):
    def __init__(
        self,
        network: Failing,
        server: NameServer,
        by_tcp: bool,
        receive: Callable[[bytes], object],
        lost: Callable[[str], object],
    ) -> None:
        super().__init__(network, server, by_tcp, receive, lost)
        self._failing, self._to = network, server

    def send(self, packet: bytes) -> None:
        if self._failing.fails or self._to in self._failing.dead:
            self._failing.fails = max(0, self._failing.fails - 1)
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        super().send(packet)


def failing(dead: tuple[NameServer, ...], opens: bool) -> Bench:
    """Two servers, some of which cannot be reached from here."""
    bench = Bench(servers=(ONE, TWO))
    bench.network = Failing(bench.loop, RECORDS)
    bench.network.dead, bench.network.opens = dead, opens
    bench.client = DnsClient(
        bench.loop, (ONE, TWO), bench.network, budget=Budget(), entropy=random.Random(1).randbytes
    )
    return bench


@pytest.mark.parametrize("opens", [True, False])
def test_a_server_that_cannot_be_reached_is_passed_over_at_once(opens: bool) -> None:
    """No time is lost, and the other one is preferred from then on."""
    bench = failing((ONE,), opens)
    began = bench.loop.now

    assert bench.answer().values == (ADDRESS,)
    assert bench.loop.now - began < 0.01
    seen = bench.packets
    bench.answer()
    assert bench.addressees[seen:] == [TWO]


@pytest.mark.parametrize("opens", [True, False])
def test_a_network_that_is_down_is_told(opens: bool) -> None:
    """At the deadline, with the system's word for each server; it may come back before."""
    bench = failing((ONE, TWO), opens)
    why = "Network is unreachable" if opens else "Too many open files"
    assert bench.failure().startswith(f"a.example.com. A: 192.0.2.1:53 {why}, 192.0.2.2:53 {why};")

    bench.ask()
    bench.loop.run(0.5)
    assert isinstance(bench.network, Failing)
    bench.network.dead = ()
    bench.client.close()


def test_questions_leave_by_many_ports_which_are_drawn_anew() -> None:
    """By sixteen at a time; what was asked by a former one still gets its answer."""
    bench = Bench(fault=after(0.02))
    for _ in range(200):
        bench.ask()
    assert bench.network.open_channels == PORTS
    bench.loop.run(lambda: len(bench.came) == 200)
    for _ in range(20 * PORT_LIFE):
        bench.answer()

    assert bench.packets == 200 + 20 * PORT_LIFE
    assert bench.network.open_channels == PORTS
    assert bench.network.opened >= bench.packets // PORT_LIFE
    bench.loop.run(IDLE + 0.1)
    assert bench.network.open_channels == 0


def test_what_a_forger_has_to_guess() -> None:
    """For each forged packet the odds are 1 in 16 * 65,536, however often a question is asked.

    Where copies have IDs of their own, and all leave by one port, they are 31 in 65,536.
    """
    bench = Bench(fault=silent)
    bench.ask(seconds=SILENT)
    bench.loop.run(SILENT)
    copies = [query for query in bench.network.queries if not query.by_tcp]
    assert len(copies) >= 28
    assert len({(query.channel, query.data[:2]) for query in copies}) == 1

    for _ in range(1000):
        bench.ask(seconds=SILENT)
    assert len({query.channel for query in bench.network.queries[-1000:]}) >= PORTS


def test_a_port_that_failed_is_closed_with_the_others() -> None:
    """What could not be sent is not waited for."""
    bench = failing((), opens=True)
    bench.answer()
    assert isinstance(bench.network, Failing)
    for server in (TWO, ONE):
        bench.network.fails = 1
        for _ in range(2 * PORTS * PORT_LIFE):
            bench.answer()
        assert bench.network.queries[-1].server == server
        assert bench.network.open_channels <= 2 * PORTS


def test_a_port_that_cannot_be_replaced_is_used_on() -> None:
    """Where descriptors have run out, the old sockets are better than none."""
    bench = failing((), opens=True)
    bench.answer()
    assert isinstance(bench.network, Failing)
    bench.network.full = True
    for _ in range(2 * PORTS * PORT_LIFE):
        assert bench.answer().values == (ADDRESS,)

    assert bench.network.open_channels == 1


# Callbacks and the end


def test_a_callback_that_fails_harms_nobody_else() -> None:
    """Its error is the loop's to tell; answers, deadlines and those who wait go on."""

    def fails(_: object) -> None:
        raise ZeroDivisionError

    for fault in (honest, silent, loses("connection refused")):
        bench = Bench(fault=fault)
        deadline = bench.loop.now + 1
        for at in range(AT_ONCE + 10):
            done = fails if at % 2 else bench.came.append
            bench.client.ask(Name.parse(HOST), "A", deadline, done)
        errors = 0
        while errors < AT_ONCE // 2 + 5:
            with pytest.raises(ZeroDivisionError):
                bench.loop.run(5.0)
            errors += 1
        bench.loop.run(5.0)
        assert len(bench.came) == AT_ONCE // 2 + 5


def test_a_callback_may_ask_and_close() -> None:
    """Asking from within an answer is usual; closing there ends everything."""
    bench = Bench(fault=after(0.01))

    def again(answer: Answer | Unavailable) -> None:
        bench.came.append(answer)
        if len(bench.came) < 5:
            bench.client.ask(Name.parse(HOST), "A", bench.loop.now + 1, again)
        else:
            bench.client.close()

    bench.client.ask(Name.parse(HOST), "A", bench.loop.now + 1, again)
    bench.ask(MANY, "SRV")
    bench.loop.run(5.0)

    assert len([one for one in bench.came if isinstance(one, Answer)]) == len(bench.came) >= 5
    assert bench.network.open_channels == 0


@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.1, 0.25, 0.5])
def test_closing_leaves_nothing(seconds: float) -> None:
    """No channel, no timer, no word: neither of what is asked nor of what waits."""
    bench = Bench()
    bench.answer(MANY, "SRV")
    bench.came.clear()
    bench.network.fault = breaking(1.0, 1, "drop")
    for at in range(AT_ONCE + 50):
        bench.ask(*((MANY, "SRV") if at % 2 else (HOST, "A")), seconds=1.0)
    bench.loop.run(seconds)

    bench.client.close()

    assert bench.network.open_channels == 0
    assert bench.loop.pending() == 0
    bench.loop.run(5.0)
    bench.ask()
    bench.loop.run(5.0)
    assert bench.came == []
    assert bench.network.open_channels == 0


@pytest.mark.parametrize("tcp", [True, False])
def test_closing_while_failures_are_told_ends_them(tcp: bool) -> None:
    """A socket fails under many questions whose time is over; the first to be told closes all."""
    bench = Bench(fault=after(0.1))  # then nothing is late before 0.1 s
    bench.answer(MANY, "SRV")
    name, rdtype = (MANY, "SRV") if tcp else (HOST, "A")
    bench.network.fault = lambda _: [(0.1, "connection reset by peer")]

    def close(error: Answer | Unavailable) -> None:
        bench.came.append(error)
        bench.client.close()

    for _ in range(10):
        bench.client.ask(Name.parse(name), rdtype, bench.loop.now + 0.1, close)
    bench.loop.run(5.0)

    assert len(bench.came) == 2
    assert bench.network.open_channels == 0


def test_a_random_life_leaves_nothing() -> None:
    """Every kind of trouble at once: each question is answered once, and nothing stays open."""
    rng = random.Random(7)
    kinds = {**BROKEN, "lost": loses("connection reset by peer"), "late": after(0.5), "cut": cut}

    def fault(query: Query) -> Iterable[Delivery]:
        return kinds[rng.choice(list(kinds))](query) if rng.random() < 0.6 else honest(query)

    bench = Bench({**RECORDS, **chain(3)}, servers=(ONE, TWO, THREE), fault=fault)
    told: list[int] = []
    names = ((HOST, "A"), (MANY, "SRV"), ("c0.example.com.", "A"), ("none.example.com.", "TXT"))
    for at in range(1500):
        name, rdtype = rng.choice(names)
        deadline = bench.loop.now + rng.choice((0.05, 0.5, 2.0))
        bench.client.ask(Name.parse(name), rdtype, deadline, partial(noted, told, at))
        if rng.random() < 0.1:
            bench.loop.run(rng.random() / 10)
    bench.loop.run(lambda: len(told) == 1500)
    bench.loop.run(IDLE + 3.0)

    assert sorted(told) == list(range(1500))
    assert bench.network.open_channels == 0
    bench.client.close()
    assert bench.network.open_channels == 0


def test_an_answer_is_read_in_full() -> None:
    """Of 200 values by TCP none is lost."""
    answer = Bench().answer(MANY, "SRV")

    assert {value.port for value in answer.values if isinstance(value, Srv)} == set(range(1, 201))
    assert answer.ttl == 60
