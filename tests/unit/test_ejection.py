import random
from collections import Counter
from dataclasses import dataclass
from itertools import permutations
from math import inf, nan

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dnssd.errors import UsageError
from dnssd.resolver.balance import choose
from dnssd.resolver.ejection import MAX_KEYS, Ejection, Health, Key
from dnssd.resolver.snapshot import Endpoint

A, B = ("a.example.test.", 80), ("b.example.test.", 80)


def fail(health: Health, key: Key, now: float, times: int = 3) -> list[bool]:
    """Report failures at one moment; what each report says."""
    return [health.report(key, False, now) for _ in range(times)]


def ejected_once(now: float = 0.0) -> Health:
    """A was ejected at `now`, until five seconds later."""
    health = Health()
    fail(health, A, now)
    return health


def test_three_failures_in_a_row_eject_for_five_seconds() -> None:
    """The third says that something has changed, and the time counts from it."""
    health = Health()

    assert [health.report(A, False, now) for now in (1.0, 2.0, 3.0)] == [False, False, True]
    assert health.ejected(3.0) == {A: 8.0}
    assert health.ejected(7.9) == {A: 8.0}
    assert health.ejected(8.0) == {}


def test_a_success_ends_a_run_of_failures() -> None:
    """Two failures, a success and two failures are no three in a row."""
    health = Health()

    fail(health, A, 1.0, times=2)
    assert not health.report(A, True, 2.0)
    assert fail(health, A, 3.0, times=2) == [False, False]
    assert health.report(A, False, 3.0)


def test_a_call_of_which_nobody_can_tell_ends_and_says_nothing() -> None:
    """The caller has given it up: that is neither a failure nor the end of a run of them."""
    health = Health()
    fail(health, A, 1.0, times=2)
    health.begun(A)

    assert not health.report(A, None, 2.0)

    assert not health.pending
    assert health.report(A, False, 3.0)


def test_a_call_that_was_not_counted_ends_none_that_was() -> None:
    """It was not picked: another that was is in flight still."""
    health = Health()
    health.begun(A)

    health.report(A, True, 1.0, counted=False)
    assert health.pending == {A: 1}
    health.report(A, True, 1.0)
    assert not health.pending


def test_one_endpoint_tells_nothing_about_another() -> None:
    """The same host at another port is another endpoint, and so is another host."""
    health = Health()
    other_port = (A[0], 81)

    for key in (A, B, other_port):
        fail(health, key, 1.0, times=2)
    health.report(B, True, 1.0)

    assert health.report(A, False, 1.0)
    assert set(health.ejected(1.0)) == {A}


def test_failing_again_at_once_doubles_the_time_up_to_the_longest() -> None:
    """Of one that comes back and fails, a single call is lost each time."""
    health, now = Health(), 0.0
    fail(health, A, now)
    lengths = []

    for _ in range(9):
        lengths.append(health.ejected(now)[A] - now)
        now = health.ejected(now)[A]
        assert health.report(A, False, now)

    assert lengths == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_a_success_on_return_ends_the_trial_but_not_the_growth() -> None:
    """Three failures are needed again; what they earn is longer than the time before."""
    health = ejected_once()

    health.report(A, True, 6.0)

    assert fail(health, A, 7.0) == [False, False, True]
    assert health.ejected(7.0) == {A: 17.0}


@pytest.mark.parametrize("well", [True, False])
def test_growth_begins_anew_after_long_in_service(well: bool) -> None:
    """After 300 seconds back it is as if it had never failed, whether or not it was used."""
    health = ejected_once()

    if well:
        health.report(A, True, 304.0)

    assert fail(health, A, 305.0) == [False, False, True]
    assert health.ejected(305.0) == {A: 310.0}


def test_growth_begins_anew_in_the_midst_of_failures() -> None:
    """It counts when the endpoint is ejected, not when its failures began."""
    health = ejected_once()
    health.report(A, True, 6.0)

    fail(health, A, 304.0, times=2)
    assert health.report(A, False, 305.0)

    assert health.ejected(305.0) == {A: 310.0}


def test_failures_far_apart_are_no_run() -> None:
    """One failure every five minutes and no other call is no reason to eject."""
    health = Health()

    assert [health.report(A, False, now * 300.0) for now in range(9)] == [False] * 9


def test_failures_now_and_then_do_not_keep_the_growth() -> None:
    """Single failures between successes are no reason to remember the last time-out."""
    health = ejected_once()

    for now in range(6, 399):
        health.report(A, ok=now % 2 == 0, now=float(now))

    assert fail(health, A, 400.0) == [False, False, True]
    assert health.ejected(400.0) == {A: 405.0}


def test_late_failures_do_not_prolong_an_ejection() -> None:
    """Fifty calls were under way when the endpoint died: that is one ejection."""
    health = ejected_once()

    assert fail(health, A, 0.1, times=50) == [False] * 50
    assert health.ejected(0.1) == {A: 5.0}
    assert health.report(A, False, 5.0)
    assert health.ejected(5.0) == {A: 15.0}


def test_a_call_that_began_before_the_return_does_not_count_against_it() -> None:
    """A time-out longer than the ejection ends after it, and is still of the time before."""
    health = ejected_once()

    assert not health.report(A, False, now=9.0, seconds=9.5)
    assert not health.report(A, False, now=9.0, seconds=4.5)
    assert health.report(A, False, now=9.0, seconds=4.0)


def test_an_ejected_endpoint_that_answers_is_back_within_the_shortest_time() -> None:
    """It was used since others were missing: the rest of a long ejection is cut, once."""
    health = ejected_once()
    health.report(A, False, 5.0)
    health.report(A, False, 15.0)
    assert health.ejected(15.0) == {A: 35.0}

    assert health.report(A, True, 20.0, seconds=1.0)
    assert health.ejected(20.0) == {A: 25.0}
    assert not health.report(A, True, 21.0)
    assert health.ejected(21.0) == {A: 25.0}
    assert fail(health, A, 25.0) == [False, False, True]


def test_a_late_success_does_not_shorten_an_ejection() -> None:
    """A slow call that began before the ejection says nothing about the time since."""
    health = ejected_once()
    health.report(A, False, 5.0)

    assert not health.report(A, True, now=6.0, seconds=1.5)
    assert health.ejected(6.0) == {A: 15.0}
    assert health.report(A, False, 15.0)


def test_every_interleaving_of_late_reports_leaves_one_ejection() -> None:
    """Whatever the order in which calls under way end, the time-out is not doubled."""
    late = [(False, 2.0), (False, 0.0), (True, 2.0), (True, 3.0), (False, 1.0)]

    for reports in permutations(late):
        health = ejected_once(now=10.0)
        for step, (ok, seconds) in enumerate(reports):
            health.report(A, ok, 10.0 + step / 10, seconds + 0.5)
        assert health.ejected(11.0) == {A: 15.0}


def test_only_what_has_failed_is_remembered() -> None:
    """Endpoints that are well cost nothing, and those that recover are forgotten."""
    health = Health()

    health.report(A, True, 1.0)
    assert not health.knows(A)
    health.report(A, False, 1.0)
    assert health.knows(A)
    health.report(A, True, 2.0)
    assert not health.knows(A)


def test_what_is_never_heard_of_again_is_forgotten() -> None:
    """A host that failed and has left DNS is not kept for ever."""
    health = ejected_once()
    health.report(B, False, 0.0)

    health.ejected(300.0)
    assert (health.knows(A), health.knows(B)) == (True, False)
    health.ejected(305.0)
    assert not health.knows(A)


def test_memory_is_bounded() -> None:
    """Of too many, the one whose last failure is the oldest is forgotten, and that is told."""
    rules = Ejection(failures=2)
    health = Health(rules)
    fail(health, A, 0.0, times=2)
    fail(health, B, 0.0, times=1)
    others = [(f"{number}.example.test.", 80) for number in range(MAX_KEYS)]
    for key in others[: MAX_KEYS - 2]:
        assert not health.report(key, False, 1.0)
    health.report(B, False, 1.0)

    told = [health.report(key, False, 1.0) for key in others[MAX_KEYS - 2 :]]

    assert told == [True, False]
    assert sum(map(health.knows, [A, B, *others])) == MAX_KEYS
    assert (health.knows(A), health.knows(B), health.knows(others[0])) == (False, True, False)


def test_calls_in_flight_are_counted() -> None:
    """Each report ends one call, a report without a call none."""
    health = Health()

    health.report(A, True, 1.0)
    health.begun(A)
    health.begun(A)
    health.begun(B)
    assert health.pending == {A: 2, B: 1}
    assert health.knows(A)
    health.report(A, False, 1.0)
    health.report(B, True, 1.0)
    health.report(B, True, 1.0)
    assert health.pending == {A: 1}
    assert not health.knows(B)


def test_calls_that_never_end_are_bounded() -> None:
    """Callers who do not report cannot fill the memory."""
    health = Health()

    for number in range(MAX_KEYS + 5):
        health.begun((f"{number}.example.test.", 80))
    health.begun((f"{MAX_KEYS}.example.test.", 80))

    assert len(health.pending) == MAX_KEYS
    assert (f"{MAX_KEYS}.example.test.", 80) in health.pending


@pytest.mark.parametrize(
    ("failures", "first", "growth", "longest"),
    [
        (0, 5.0, 2.0, 300.0),
        (3, 0.0, 2.0, 300.0),
        (3, 5.0, 0.5, 300.0),
        (3, 5.0, 2.0, 4.0),
        (3, 5.0, 2.0, inf),
        (3, nan, 2.0, 300.0),
        (3, 5.0, nan, 300.0),
        (3, 5.0, 2.0, nan),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(
    failures: int, first: float, growth: float, longest: float
) -> None:
    """The message says what is allowed."""
    with pytest.raises(UsageError, match="at least 1"):
        Ejection(failures, first, growth, longest)


def test_a_dead_host_costs_a_few_calls() -> None:
    """Of four hosts one is dead for a minute of 100 calls/s: three failures, then one a return."""
    hosts = [Endpoint(f"{name}.", 80, 0, 100, ("192.0.2.1",)) for name in "abcd"]
    health, rng, failures = Health(), random.Random(4), 0
    choice = choose(hosts)

    for now in (step / 100 for step in range(6000)):
        if now >= choice.until:
            choice = choose(hosts, health.ejected(now), now)
        host = choice.pick(rng.random)
        failures += host.target == "d."
        if health.report((host.target, host.port), host.target != "d.", now):
            choice = choose(hosts, health.ejected(now), now)

    assert failures == 6  # three, and one at each return, after 5, 10 and 20 seconds


def test_after_an_outage_of_all_every_host_is_back_soon() -> None:
    """Although ejections had grown to minutes, the whole group is in service within seconds."""
    hosts = [Endpoint(f"{name}.", 80, 0, 100, ("192.0.2.1",)) for name in "abcd"]
    health, rng = Health(), random.Random(5)
    repaired = 3600.0

    for now in (step / 10 for step in range(36_100)):
        choice = choose(hosts, health.ejected(now), now)
        host = choice.pick(rng.random)
        health.report((host.target, host.port), now >= repaired, now)

    assert health.ejected(repaired + 10) == {}
    assert len(choose(hosts, health.ejected(3610.0), 3610.0).endpoints) == 4


@dataclass
class Past:
    """One endpoint as the rules tell it, with nothing forgotten to save memory."""

    rules: Ejection
    run: int = 0
    failed: float = -inf
    length: float = 0.0
    began: float = -inf
    ends: float = -inf

    def report(self, ok: bool, now: float, seconds: float) -> None:
        """Follow the rules by the book."""
        if now - max(self.failed, self.ends) >= self.rules.longest:
            self.run = 0
        if now - self.ends >= self.rules.longest:
            self.length = 0.0
        if now < self.ends:
            if ok and now - seconds >= self.began:
                self.run = 0
                self.ends = min(self.ends, now + self.rules.first)
        elif ok:
            self.run = 0
        elif now - seconds >= self.ends or now - self.ends >= self.rules.longest:
            self._fail(now)

    def _fail(self, now: float) -> None:
        self.run, self.failed = self.run + 1, now
        if self.run >= self.rules.failures:
            longer = self.length * self.rules.growth if self.length else self.rules.first
            self.length = min(longer, self.rules.longest)
            self.began, self.ends = now, now + self.length
            self.run = self.rules.failures - 1


KEYS = st.sampled_from([A, B, ("c.example.test.", 80)])
# Quarters of seconds, so that sums are exact; often the very lengths of ejections.
TIMES = st.sampled_from([0.0, 0.25, 1.0, 3.75, 4.0, 4.25, 8.0, 12.0, 16.0, 31.75, 32.0, 100.0])


class HealthMachine(RuleBasedStateMachine):
    """Reports in any order and at any time, beside a model that forgets nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.begin(Ejection())

    def begin(self, rules: Ejection) -> None:
        """Start over with other rules."""
        self.health = Health(rules)
        self.past = {key: Past(rules) for key in (A, B, ("c.example.test.", 80))}
        self.open: Counter[Key] = Counter()
        self.reported = False

    @precondition(lambda self: not self.reported)
    @rule(failures=st.integers(1, 3), growth=st.sampled_from([1.0, 2.0, 3.0]))
    def choose_rules(self, failures: int, growth: float) -> None:
        """Only before the first report."""
        self.begin(Ejection(failures, 4.0, growth, 32.0))

    @rule(key=KEYS, ok=st.booleans(), seconds=TIMES, times=st.integers(1, 4))
    def report(self, key: Key, ok: bool, seconds: float, times: int) -> None:
        """What is said of a change is true."""
        self.reported = True
        for _ in range(times):
            before = self.expected()
            self.past[key].report(ok, self.now, seconds)
            changed = self.health.report(key, ok, self.now, seconds)
            self.open[key] = max(0, self.open[key] - 1)
            assert changed == (self.expected() != before)

    @rule(key=KEYS)
    def begin_call(self, key: Key) -> None:
        """A call in flight."""
        self.health.begun(key)
        self.open[key] += 1

    @rule(seconds=TIMES)
    def pass_time(self, seconds: float) -> None:
        """The clock goes on."""
        self.now += seconds

    @rule()
    def ask(self) -> None:
        """Asking may forget, and may change nothing by it."""
        assert self.health.ejected(self.now) == self.expected()

    @invariant()
    def counts_and_knows(self) -> None:
        """Counts are right, and only what is of no consequence is unknown."""
        assert self.health.pending == +self.open
        for key, past in self.past.items():
            trouble = past.run and self.now - max(past.failed, past.ends) < past.rules.longest
            grown = self.now - past.ends < past.rules.longest
            assert self.health.knows(key) or not (trouble or grown or self.open[key])

    def teardown(self) -> None:
        """In the end both agree."""
        assert self.health.ejected(self.now) == self.expected()

    def expected(self) -> dict[Key, float]:
        """Who is ejected, by the book."""
        return {key: past.ends for key, past in self.past.items() if self.now < past.ends}


TestHealthMachine = HealthMachine.TestCase
