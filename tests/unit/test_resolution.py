"""Whom to ask and when, and which answers to believe: without a clock, without a socket."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dnssd.names import Name
from dnssd.records import Address
from dnssd.wire.answers import Answer
from dnssd.wire.belief import TRUSTING, UNSIGNED, Doubt
from dnssd.wire.budget import Budget
from dnssd.wire.resolution import (
    BURST,
    LONGEST,
    UNPAID,
    Resolution,
)
from dnssd.wire.trouble import INTERVAL, Attempt

T0 = 1000.0
LATE = 0.2
A, B, C = (Address.parse(f"10.0.0.{at}") for at in (1, 2, 3))
DENIED = Answer((), 30)
UNSIGNED_DENIAL = Answer((), 0, signed=False)
ALIAS = Answer((), 30, alias=Name.parse("b.example.com."))
BOTH = Doubt(frozenset({A, B}))


def inquiry(
    *,
    servers: int = 1,
    first: int = 0,
    deadline: float = T0 + 2,
    by_tcp: bool = False,
    budget: Budget | None = None,
    doubt: Doubt = TRUSTING,
) -> Resolution:
    """A question that begins now."""
    return Resolution(
        servers,
        first,
        T0,
        deadline,
        late=LATE,
        by_tcp=by_tcp,
        budget=Budget() if budget is None else budget,
        doubt=doubt,
    )


def spent() -> Budget:
    """Nothing is left, and nothing comes back."""
    return Budget(capacity=0.0, trickle=0.0)


def sent_until(asked: Resolution, end: float) -> list[tuple[float, Attempt]]:
    """What it sends if nothing comes, and when."""
    sent = [(T0, attempt) for attempt in asked.begin()]
    while not asked.settled and asked.next_at <= end:
        now = asked.next_at
        sent += [(now, attempt) for attempt in asked.due(now)]
    return sent


def gave_up(asked: Resolution) -> bool:
    """Whether it has ended without anything to believe."""
    return asked.settled and asked.outcome is None


def pressed(asked: Resolution) -> Attempt:
    """Have something go wrong; an attempt that is under way then."""
    (attempt,) = asked.begin()
    return asked.failed(attempt, "SERVFAIL", T0)[0]


def test_a_healthy_server_sees_one_packet() -> None:
    """Nothing more is sent before an answer is late, and nothing after it."""
    asked = inquiry()

    (attempt,) = asked.begin()

    assert attempt == Attempt(0, by_tcp=False)
    assert asked.next_at == T0 + LATE
    assert asked.heard(attempt, Answer((A,)), T0 + 0.001) == ()
    assert asked.outcome == Answer((A,))
    assert asked.due(T0 + LATE) == ()
    assert not asked.disturbed


@pytest.mark.parametrize("what", ["failure", "lateness"])
def test_trouble_brings_three_at_a_time(what: str) -> None:
    """Once an attempt has failed or is late, three more, and three every 30 ms."""
    asked = inquiry()
    (attempt,) = asked.begin()
    when = T0 + 0.001 if what == "failure" else asked.next_at

    more = asked.failed(attempt, "SERVFAIL", when) if what == "failure" else asked.due(when)

    assert len(more) == BURST
    assert asked.next_at == when + INTERVAL
    assert len(asked.due(asked.next_at)) == BURST
    assert asked.disturbed == (what == "failure")


def test_failed_attempts_are_replaced_at_once_but_not_for_ever() -> None:
    """A server that says no as fast as it is asked gets six in 30 ms, not thousands."""
    asked = inquiry()
    (first,) = asked.begin()
    todo, sent = list(asked.failed(first, "REFUSED", T0)), 1
    while todo:
        sent += 1
        todo += asked.failed(todo.pop(), "REFUSED", T0 + 0.001)

    assert sent == 1 + 2 * BURST
    todo = list(asked.due(asked.next_at))
    assert len(todo) == BURST
    assert len(asked.failed(todo[0], "REFUSED", asked.next_at - 0.01)) == 1


def test_bursts_become_rarer() -> None:
    """Eight at 30 ms, then half as far apart again each time, up to 240 ms."""
    times = sorted({when for when, _ in sent_until(inquiry(deadline=T0 + 4), T0 + 3.9)})[1:]
    gaps = [round(after - before, 6) for before, after in pairwise(times)]

    assert gaps[:8] == [INTERVAL] * 8
    assert gaps[8:13] == [0.045, 0.0675, 0.10125, 0.151875, 0.227813]
    assert set(gaps[13:]) == {LONGEST}


def test_a_deadline_far_away_is_held() -> None:
    """An hour of silence is asked through: the growth of the pauses does not overflow."""
    asked = inquiry(deadline=T0 + 3600, budget=Budget())

    sent = sent_until(asked, T0 + 3600)

    assert gave_up(asked)
    assert sent[-1][0] < T0 + 3600
    assert len(sent) < 600 + 3600 * (1 / UNPAID + 11)


def test_nothing_is_sent_at_the_deadline() -> None:
    """The last look is to give up."""
    asked = inquiry(deadline=T0 + 0.1)
    (attempt,) = asked.begin()

    assert asked.next_at == T0 + 0.1
    assert asked.truncated(attempt, T0 + 0.1) == ()
    assert asked.failed(attempt, "SERVFAIL", T0 + 0.1) == ()
    assert gave_up(asked)
    assert asked.failures == {0: "SERVFAIL"}


def test_nothing_is_replaced_at_the_deadline() -> None:
    """Answers that are read late may still fail; there is no time for others."""
    asked = inquiry(deadline=T0 + 0.1)
    attempt = pressed(asked)

    assert len(asked.failed(attempt, "SERVFAIL", T0 + 0.09)) == 1
    assert asked.failed(attempt, "SERVFAIL", T0 + 0.1) == ()


def test_a_budget_fills_with_time_and_answers_up_to_its_capacity() -> None:
    """Ten a second, ten an answer; a clock that goes back takes nothing."""
    budget = Budget(capacity=5, refund=2, trickle=10)

    assert budget.take(9, T0) == 5
    assert budget.take(9, T0) == 0
    assert budget.take(9, T0 + 0.25) == 2
    assert budget.take(9, T0 + 0.25) == 0
    assert budget.take(9, T0 + 0.5) == 3  # half a packet was left
    budget.earn()
    assert budget.take(1, T0 + 0.5) == 1
    assert budget.take(9, T0 + 0.25) == 1
    for _ in range(10):
        budget.earn()
    assert budget.take(9, T0 + 99) == 5


def test_a_question_that_comes_too_late_is_not_asked() -> None:
    """Its turn came after its deadline: no packet, and nobody is blamed."""
    asked = inquiry(deadline=T0)

    assert asked.begin() == ()
    assert asked.next_at == T0
    assert asked.due(T0) == ()
    assert gave_up(asked)
    assert asked.failures == {}


@pytest.mark.parametrize("first", [0, 1, 2])
def test_servers_are_asked_in_turn(first: int) -> None:
    """From the first one on; replacements take their turn too."""
    asked = inquiry(servers=3, first=first)
    sent = list(asked.begin())
    for _ in range(2):
        sent += asked.due(asked.next_at)
        sent += asked.failed(sent[-1], "SERVFAIL", asked.next_at - 0.01)

    assert [attempt.server for attempt in sent] == [(first + at) % 3 for at in range(9)]


def test_whoever_is_silent_is_named() -> None:
    """Of the servers that were asked each has a reason, also the second one to be silent."""
    asked = inquiry(servers=3, deadline=T0 + 1)
    sent = sent_until(asked, T0 + 0.9)
    asked.failed(sent[1][1], "REFUSED", T0 + 0.9)
    asked.due(T0 + 1)
    assert asked.failures == {0: "no answer", 1: "REFUSED", 2: "no answer"}

    asked = inquiry(servers=3, deadline=T0 + LATE / 2)
    sent_until(asked, T0 + 1)
    assert asked.failures == {0: "no answer"}


def test_a_spent_budget_leaves_an_attempt_every_four_hundred_milliseconds() -> None:
    """A network that is down is not flooded, and not given up before the time."""
    times = [when for when, _ in sent_until(inquiry(budget=spent()), T0 + 1.99)]

    assert len(times) == 5
    for before, after in pairwise(times):
        assert after - before >= UNPAID - 1e-9


def test_the_budget_is_shared() -> None:
    """What one question has spent another cannot; an answer brings some back."""
    budget = Budget(capacity=4, refund=2, trickle=0)
    greedy, other, third = (inquiry(budget=budget) for _ in range(3))

    assert len(greedy.failed(greedy.begin()[0], "SERVFAIL", T0)) == 3
    assert len(other.failed(other.begin()[0], "SERVFAIL", T0)) == 1
    assert greedy.due(greedy.next_at) == ()
    greedy.heard(Attempt(0, by_tcp=False), Answer((A,)), T0 + 0.05)
    assert len(third.failed(third.begin()[0], "SERVFAIL", T0 + 0.06)) == 2


def test_what_was_cut_comes_by_tcp() -> None:
    """At once, from the same server; the answer has twice as long then."""
    asked = inquiry(servers=2, first=1)
    (attempt,) = asked.begin()

    assert asked.truncated(attempt, T0 + 0.05) == (Attempt(1, by_tcp=True),)
    assert not asked.trouble
    assert asked.next_at == T0 + 0.05 + 2 * LATE
    assert asked.heard(Attempt(1, by_tcp=True), Answer((A,)), T0 + 0.1) == ()
    assert asked.outcome == Answer((A,))


def test_a_name_known_to_be_long_begins_with_tcp() -> None:
    """No packet is lost on UDP."""
    asked = inquiry(by_tcp=True)

    assert asked.begin() == (Attempt(0, by_tcp=True),)
    assert asked.next_at == T0 + 2 * LATE
    assert [attempt.by_tcp for attempt in asked.due(asked.next_at)] == [True, False, False]


def test_a_false_cut_costs_little() -> None:
    """TCP was tried and failed: UDP is asked again beside it, and its answer counts."""
    asked = inquiry()
    (attempt,) = asked.begin()
    (by_tcp,) = asked.truncated(attempt, T0)

    more = asked.failed(by_tcp, "connection reset by peer", T0 + 0.001)

    assert [attempt.by_tcp for attempt in more] == [True, False, False]
    assert asked.truncated(more[1], T0 + 0.002) == ()  # TCP is tried already
    assert len(asked.due(asked.next_at)) == BURST
    asked.heard(more[2], Answer((A,)), T0 + 0.003)
    assert asked.outcome == Answer((A,))


def test_an_answer_cut_by_tcp_has_failed() -> None:
    """There is nothing longer than TCP."""
    asked = inquiry(by_tcp=True)

    assert len(asked.truncated(asked.begin()[0], T0)) == BURST
    assert asked.failures == {0: "an answer cut short"}


def test_a_signed_denial_is_believed_at_once_while_calm() -> None:
    """That is what a healthy server says (RFC 2308)."""
    asked = inquiry(doubt=Doubt(negatives=3))

    asked.heard(asked.begin()[0], DENIED, T0 + 0.001)

    assert asked.outcome == DENIED


@pytest.mark.parametrize("negatives", [1, 3])
def test_after_trouble_denials_must_agree(negatives: int) -> None:
    """So many as the doubt asks for; values end it at once."""
    for end in (DENIED, Answer((A,))):
        asked = inquiry(doubt=Doubt(negatives=negatives))
        attempt = pressed(asked)
        for _ in range(negatives - 1):
            asked.heard(attempt, DENIED, T0 + 0.001)
            assert not asked.settled
        asked.heard(attempt, end, T0 + 0.002)
        assert asked.outcome == end


def test_many_unsigned_denials_alone_are_believed() -> None:
    """Some servers never sign; what they say holds for no time."""
    asked = inquiry()
    attempt = asked.begin()[0]
    for _ in range(UNSIGNED - 1):
        asked.heard(attempt, UNSIGNED_DENIAL, T0)
        assert not asked.settled
    asked.heard(attempt, UNSIGNED_DENIAL, T0)

    assert asked.outcome == UNSIGNED_DENIAL
    assert asked.disturbed


@pytest.mark.parametrize("other", ["SERVFAIL", "denied"])
def test_unsigned_denials_beside_anything_else_are_not_believed(other: str) -> None:
    """Whoever else speaks shows that it is a fault."""
    asked = inquiry(doubt=Doubt(negatives=2))
    attempt = asked.begin()[0]
    asked.heard(attempt, UNSIGNED_DENIAL, T0)
    if other == "denied":
        asked.heard(attempt, DENIED, T0)
    else:
        asked.failed(attempt, other, T0)
    for _ in range(3 * UNSIGNED):
        asked.heard(attempt, UNSIGNED_DENIAL, T0)

    assert not asked.settled


def test_unsigned_denials_take_nothing_away() -> None:
    """What was there before goes on a signed word only, however often it is denied."""
    asked = inquiry(doubt=BOTH)
    attempt = asked.begin()[0]
    for _ in range(3 * UNSIGNED):
        asked.heard(attempt, UNSIGNED_DENIAL, T0)
    assert not asked.settled

    asked.due(T0 + 2)
    assert gave_up(asked)
    assert asked.failures == {0: "no SOA record in an empty answer"}


def test_values_that_are_all_there_are_believed_at_once() -> None:
    """And so are new ones beside them."""
    asked = inquiry(doubt=BOTH)

    assert asked.heard(asked.begin()[0], Answer((C, B, A)), T0) == ()
    assert asked.outcome == Answer((C, B, A))


def test_a_value_that_vanishes_needs_ten_answers() -> None:
    """Asked within 90 ms if the server is healthy; new values of any of them count."""
    asked = inquiry(doubt=BOTH)
    now, todo = T0, list(asked.begin())
    for heard in range(10):
        assert asked.outcome is None
        if not todo:
            now = asked.next_at
            todo += asked.due(now)
        todo += asked.heard(todo.pop(), Answer((A, C) if heard == 3 else (A,), 60 - heard), now)

    assert asked.outcome is not None
    assert set(asked.outcome.values) == {A, C}
    assert asked.outcome.ttl == 51
    assert now <= T0 + 3 * INTERVAL
    assert not asked.disturbed


def test_partial_answers_are_united() -> None:
    """Each holds a part of what was there: nothing has vanished."""
    asked = inquiry(doubt=BOTH)
    attempt = asked.begin()[0]
    asked.heard(attempt, Answer((A,), 60), T0)
    asked.heard(attempt, Answer((B,), 50), T0)

    assert asked.outcome == Answer((B, A), 50)


def test_what_an_alias_led_to_stays_known_in_a_union() -> None:
    """The latest answer's alias is that of the whole."""
    via = Name.parse("c.example.com.")
    asked = inquiry(doubt=BOTH)
    attempt = asked.begin()[0]
    asked.heard(attempt, Answer((A,), 60, via=via), T0)
    asked.heard(attempt, Answer((B,), 50, via=via), T0)

    assert asked.outcome == Answer((B, A), 50, via=via)


def test_ten_denials_take_all_away() -> None:
    """A service that has really gone is gone."""
    asked = inquiry(doubt=BOTH)
    attempt = asked.begin()[0]
    for _ in range(10):
        assert not asked.settled
        asked.heard(attempt, DENIED, T0)

    assert asked.outcome == DENIED


def test_an_alias_is_believed_at_once() -> None:
    """What is doubted is what it leads to."""
    asked = inquiry(doubt=BOTH)

    asked.heard(asked.begin()[0], ALIAS, T0)

    assert asked.outcome == ALIAS


def test_giving_up_takes_nothing_away() -> None:
    """Too few answers came to believe that anything has gone; new values count."""
    asked = inquiry(doubt=BOTH)
    asked.heard(asked.begin()[0], Answer((A, C)), T0)
    asked.due(T0 + 2)
    assert asked.outcome is not None
    assert set(asked.outcome.values) == {A, B, C}

    asked = inquiry(doubt=BOTH)
    asked.heard(asked.begin()[0], DENIED, T0)
    asked.due(T0 + 2)
    assert gave_up(asked)
    assert asked.outcome is None
    assert "too few answers" in asked.failures[0]


def test_giving_up_on_something_new_tells_what_was_heard() -> None:
    """A doubted denial is all there is: it holds for no time."""
    asked = inquiry(doubt=Doubt(negatives=3))
    asked.heard(pressed(asked), DENIED, T0)

    asked.due(T0 + 2)

    assert asked.outcome == Answer((), 0)


def test_late_answers_count() -> None:
    """The first attempt's answer settles it, though others are under way."""
    asked = inquiry()
    (first,) = asked.begin()
    asked.due(asked.next_at)

    assert asked.heard(first, Answer((A,)), T0 + 0.25) == ()
    assert asked.outcome == Answer((A,))


VALUES = st.lists(st.sampled_from((A, B, C)), min_size=1, unique=True).map(tuple)
DOUBTS = st.builds(
    Doubt,
    st.frozensets(st.sampled_from((A, B))),
    st.sampled_from((1, 2, 7)),
    st.sampled_from((1, 3)),
)


class Inquiries(RuleBasedStateMachine):
    """A question to which anything comes at any time; a model of it says what is believed."""

    @initialize(
        servers=st.integers(1, 3),
        first=st.integers(0, 2),
        patience=st.sampled_from((0.0, 0.05, 0.5, 2.0)),
        by_tcp=st.booleans(),
        capacity=st.sampled_from((0.0, 5.0, 500.0)),
        doubt=DOUBTS,
    )
    def begin(  # noqa: D102 (hypothesis shows it)
        self,
        servers: int,
        first: int,
        patience: float,
        by_tcp: bool,
        capacity: float,
        doubt: Doubt,
    ) -> None:
        self.servers, self.first, self.capacity, self.doubt = (
            servers,
            first % servers,
            capacity,
            doubt,
        )
        self.now, self.deadline = T0, T0 + patience
        self.asked = inquiry(
            servers=servers,
            first=self.first,
            deadline=self.deadline,
            by_tcp=by_tcp,
            budget=Budget(capacity=capacity),
            doubt=doubt,
        )
        self.expected: Answer | None = None  # what is to be believed
        self.union: list[Answer] = []
        self.heard = self.denials = self.unsigned = 0
        self.others = False
        self.calm = True
        self.bursts: list[float] = []
        self.sent_since = 0  # attempts since the last burst
        self.turns: list[int] = []
        self.extra = 0
        self.truncated_once = by_tcp
        self.under_way: list[Attempt] = []
        self.sends(self.asked.begin())

    def sends(self, attempts: Sequence[Attempt]) -> None:
        """Take note of what is sent."""
        if attempts:
            assert self.now < self.deadline
            assert self.expected is None
        self.under_way += attempts
        self.turns += [attempt.server for attempt in attempts]
        self.sent_since += len(attempts)

    def more(self, attempts: Sequence[Attempt], burst: bool) -> None:
        """Take note of what is sent after trouble."""
        if burst and not self.asked.settled:
            assert not self.bursts or self.now >= self.bursts[-1] + INTERVAL - 1e-9
            self.bursts.append(self.now)
            self.sent_since = 0
            self.calm = False
            assert len(attempts) <= BURST
        self.extra += len(attempts)
        self.sends(attempts)

    def attempt(self, data: st.DataObject) -> Attempt:
        """One of those under way; each is answered once."""
        return self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))

    def ready(self) -> bool:
        """Whether an answer can come."""
        return hasattr(self, "asked") and bool(self.under_way)

    @precondition(lambda self: hasattr(self, "asked"))
    @rule(share=st.floats(0.01, 0.99))
    def wait(self, share: float) -> None:
        """Time passes, but nothing is due yet."""
        if not self.asked.settled:
            self.now += max(0.0, self.asked.next_at - self.now) * share

    @precondition(lambda self: hasattr(self, "asked"))
    @rule()
    def due(self) -> None:
        """Time passes until something is due."""
        if self.asked.settled:
            assert self.asked.due(self.now) == ()
            return
        self.now = max(self.now, self.asked.next_at)
        if self.now >= self.deadline and self.expected is None:
            self.expected = self.at_last()
        self.more(self.asked.due(self.now), burst=True)

    @precondition(ready)
    @rule(data=st.data(), why=st.sampled_from(("SERVFAIL", "REFUSED")))
    def fail(self, data: st.DataObject, why: str) -> None:
        """An attempt fails for sure."""
        was = self.asked.settled
        self.others = self.others or not was
        self.more(self.asked.failed(self.attempt(data), why, self.now), self.breaks_calm(was))

    @precondition(ready)
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        """An answer is cut to fit a packet."""
        attempt = self.attempt(data)
        was = self.asked.settled
        if was or self.now >= self.deadline:
            assert self.asked.truncated(attempt, self.now) == ()
        elif self.truncated_once and not attempt.by_tcp:
            self.others = self.others or not self.calm
            assert self.asked.truncated(attempt, self.now) == ()
        elif attempt.by_tcp:
            self.others = True
            self.more(self.asked.truncated(attempt, self.now), self.breaks_calm(was))
        else:
            self.truncated_once = True
            self.turns.append(attempt.server)  # the same again, out of turn and unpaid
            more = self.asked.truncated(attempt, self.now)
            assert more == (Attempt(attempt.server, by_tcp=True),)
            self.turns.pop()
            self.under_way += more

    @precondition(ready)
    @rule(data=st.data(), values=VALUES)
    def answer(self, data: st.DataObject, values: tuple[Address, ...]) -> None:
        """Values come."""
        answer = Answer(values, 60)
        if not self.asked.settled:
            self.heard += 1
            self.union.insert(0, answer)
            if self.doubt.expected <= self.seen() or self.heard >= self.doubt.answers:
                self.expected = self.united()
        self.hears(data, answer)

    @precondition(ready)
    @rule(data=st.data())
    def deny(self, data: st.DataObject) -> None:
        """Absence with SOA comes."""
        if not self.asked.settled:
            self.heard += 1
            self.denials += 1
            if self.doubt.expected:
                enough = self.heard >= self.doubt.answers
            else:
                enough = self.calm or self.denials >= self.doubt.negatives
            if enough:
                self.expected = self.united() if self.union else DENIED
        self.hears(data, DENIED)

    @precondition(ready)
    @rule(data=st.data())
    def deny_unsigned(self, data: st.DataObject) -> None:
        """Absence without SOA comes."""
        if not self.asked.settled:
            self.unsigned += 1
            if (
                self.unsigned >= UNSIGNED
                and not (self.heard or self.others)
                and not self.doubt.expected
            ):
                self.expected = UNSIGNED_DENIAL
        self.hears(data, UNSIGNED_DENIAL)

    @precondition(ready)
    @rule(data=st.data())
    def alias(self, data: st.DataObject) -> None:
        """An alias comes."""
        if not self.asked.settled:
            self.expected = ALIAS
        self.hears(data, ALIAS)

    def hears(self, data: st.DataObject, answer: Answer) -> None:
        """Tell of an answer."""
        was = self.asked.settled
        attempt = self.attempt(data)
        burst = self.breaks_calm(was or self.expected is not None)
        self.more(self.asked.heard(attempt, answer, self.now), burst)

    def breaks_calm(self, settled: bool) -> bool:
        """Whether what came is the first trouble; at the deadline that is the end."""
        if settled or not self.calm:
            return False
        if self.now >= self.deadline:
            self.expected = self.at_last()
        return True

    def seen(self) -> frozenset[object]:
        """All values that came."""
        return frozenset(value for answer in self.union for value in answer.values)

    def united(self) -> Answer:
        """All values that came as one answer."""
        values = dict.fromkeys(value for answer in self.union for value in answer.values)
        return Answer(tuple(values), 60)

    def at_last(self) -> Answer | None:
        """What is believed at the deadline."""
        if self.union:
            missing = self.doubt.expected - self.seen()
            united = self.united()
            return Answer((*united.values, *missing), united.ttl)
        return Answer((), 0) if self.denials and not self.doubt.expected else None

    @invariant()
    def it_believes_what_it_should(self) -> None:
        """The outcome is the model's, no sooner and no later."""
        if not hasattr(self, "asked"):
            return
        outcome = self.asked.outcome
        if self.expected is None:
            assert outcome is None
        else:
            assert outcome is not None
            assert set(outcome.values) == set(self.expected.values)
            assert len(outcome.values) == len(self.expected.values)
            assert (outcome.ttl, outcome.alias) == (self.expected.ttl, self.expected.alias)

    @invariant()
    def it_ends(self) -> None:
        """While it goes on it wants to be called, at a time to come, before the deadline."""
        if hasattr(self, "asked") and not self.asked.settled:
            assert self.asked.next_at <= self.deadline
            assert self.now < self.deadline or self.asked.next_at == self.deadline

    @invariant()
    def it_sends_what_it_may(self) -> None:
        """One while calm; three, and three in their place, at a time; within its means."""
        if not hasattr(self, "asked"):
            return
        if self.calm:
            assert self.extra == 0
        assert self.sent_since <= 2 * BURST + (not self.bursts)
        seconds = self.now - T0
        assert self.extra <= self.capacity + 10 * seconds + seconds / UNPAID + 1
        turns = [(self.first + at) % self.servers for at in range(len(self.turns))]
        assert self.turns == turns


TestInquiries = Inquiries.TestCase
