"""Which address is tried when: the schedule, on a clock of the test's own."""

from collections import Counter
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import DeadlineExceeded, Unavailable
from dnssd.resolver.connecting import host_name
from dnssd.resolver.race import AT_ONCE, Attempt, Race, attempts
from dnssd.resolver.snapshot import Endpoint

A = Endpoint("a.example.test.", 80, 0, 1, ("10.0.0.1", "10.0.0.2", "2001:db8::1"))
B = Endpoint("b.example.test.", 81, 0, 1, ("10.0.0.3",))
REFUSED = ConnectionRefusedError(111, "Connection refused")


class Heard:
    """Remembers what was reported."""

    def __init__(self) -> None:
        self.reports: list[tuple[Endpoint, bool, float | None]] = []

    def __call__(self, endpoint: Endpoint, ok: bool, seconds: float | None = None) -> None:
        """Note it."""
        self.reports.append((endpoint, ok, seconds))


def paced(
    *endpoints: Endpoint, timeout: float | None = 3.0, can_grow: bool = False
) -> tuple[Race, Heard]:
    """A schedule that begins at 100 s, and what it reports."""
    heard = Heard()
    return Race(attempts(endpoints), 100.0, timeout, heard, can_grow=can_grow), heard


def started(pacing: Race, now: float) -> Attempt:
    """The attempt that starts now."""
    attempt = pacing.start(now)
    assert attempt is not None
    return attempt


def test_families_take_turns_within_an_endpoint_ipv6_first() -> None:
    """A host whose IPv6 is broken costs one delay, not one for each of its addresses."""
    assert [(a.endpoint, a.address, a.port) for a in attempts([B, A])] == [
        (B, "10.0.0.3", 81),
        (A, "2001:db8::1", 80),
        (A, "10.0.0.1", 80),
        (A, "10.0.0.2", 80),
    ]


@given(st.lists(st.sampled_from(["1.1.1.1", "1.1.1.2", "1.1.1.3", "::1", "::2"])))
def test_every_address_is_tried_once(addresses: list[str]) -> None:
    """None is lost or doubled, however the families are mixed."""
    endpoint = Endpoint("a.", 80, 0, 1, tuple(addresses))

    tried = [attempt.address for attempt in attempts([endpoint, endpoint])]

    assert Counter(tried) == dict.fromkeys(addresses, 1)
    assert sorted(tried, key=lambda a: ":" in a) == sorted(
        dict.fromkeys(addresses), key=lambda a: ":" in a
    )


def test_attempts_start_a_delay_apart() -> None:
    """While nothing happens, one more is started every 250 ms."""
    pacing, _ = paced(A, B)

    assert started(pacing, 100.0).address == "2001:db8::1"
    assert pacing.start(100.2) is None
    assert pacing.wait(100.2) == pytest.approx(0.05)
    assert started(pacing, 100.25).address == "10.0.0.1"
    assert started(pacing, 100.6).address == "10.0.0.2"
    assert pacing.start(100.8) is None  # 250 ms after the last one, however late that was
    assert started(pacing, 100.85).address == "10.0.0.3"
    assert pacing.wait(100.85) == pytest.approx(2.15)  # nothing is left but the deadline


def test_after_a_failure_the_next_starts_at_once() -> None:
    """A refusal costs no waiting."""
    pacing, _ = paced(A, B)

    pacing.fail(started(pacing, 100.0), REFUSED, 100.01)
    assert pacing.wait(100.01) == 0
    assert started(pacing, 100.01).address == "10.0.0.1"
    assert pacing.start(100.01) is None


def test_a_failure_does_not_put_off_what_is_due() -> None:
    """One that ends after the next was due leaves it due."""
    pacing, _ = paced(A, B)
    first = started(pacing, 100.0)

    pacing.fail(first, REFUSED, 101.0)
    assert pacing.wait(101.0) == 0
    assert pacing.start(101.0) is not None


def test_an_endpoint_fails_with_its_last_address() -> None:
    """It is reported once, and the one that succeeds with the seconds of its own attempt."""
    pacing, heard = paced(A, B)

    for now in 100.0, 100.1:
        pacing.fail(started(pacing, now), REFUSED, now)
    assert heard.reports == []
    pacing.fail(started(pacing, 100.5), REFUSED, 100.75)
    assert heard.reports == [(A, False, 0.25)]
    pacing.succeed(started(pacing, 101.0), 101.5)
    assert heard.reports[1:] == [(B, True, 0.5)]


def test_an_endpoint_that_succeeds_has_not_failed() -> None:
    """Its other address was refused, another endpoint is abandoned: neither is reported."""
    pacing, heard = paced(B, A)
    started(pacing, 100.0)
    pacing.fail(started(pacing, 100.25), REFUSED, 100.3)
    pacing.succeed(started(pacing, 100.3), 100.5)

    assert [(endpoint, ok) for endpoint, ok, _ in heard.reports] == [(A, True)]


def test_time_ends_it() -> None:
    """What is under way has failed then; an endpoint with an untried address has not."""
    pacing, heard = paced(B, A, timeout=0.3)
    started(pacing, 100.0)
    started(pacing, 100.25)

    assert pacing.wait(100.25) == pytest.approx(0.05)
    assert not pacing.is_over(100.29)
    assert pacing.is_over(100.3)
    assert pacing.start(100.5) is None
    error = pacing.expire(100.3)
    assert isinstance(error, DeadlineExceeded)
    assert str(error) == (
        "no connection in 0.3 s: b.example.test. at 10.0.0.3:81: no answer, "
        "a.example.test. at [2001:db8::1]:80: no answer; "
        "check that the service runs, or allow more time"
    )
    ((endpoint, ok, seconds),) = heard.reports
    assert (endpoint, ok) == (B, False)
    assert seconds == pytest.approx(0.3)


def test_without_a_time_out_it_waits_for_ever() -> None:
    """Until the last attempt has ended."""
    pacing, _ = paced(B, timeout=None)
    attempt = started(pacing, 100.0)

    assert pacing.wait(100.0) is None
    assert not pacing.is_over(1e9)
    pacing.fail(attempt, REFUSED, 1e9)
    assert pacing.is_over(1e9)


def test_the_error_tells_what_was_tried() -> None:
    """In one line, with the last failure as its cause; of many only the first few."""
    pacing, _ = paced(B)
    pacing.fail(started(pacing, 100.0), REFUSED, 100.0)
    error = pacing.expire(100.0)

    assert type(error) is Unavailable
    assert str(error) == (
        "no connection: b.example.test. at 10.0.0.3:81: Connection refused; "
        "check that the service runs"
    )
    assert error.__cause__ is REFUSED

    many = Endpoint("c.", 80, 0, 1, tuple(f"10.0.0.{n}" for n in range(9)))
    pacing, _ = paced(many)
    while not pacing.is_over(100.0):
        pacing.fail(started(pacing, 100.0), TimeoutError(), 100.0)
    assert str(pacing.expire(100.0)).count(": TimeoutError") == 4
    assert " and 5 more; " in str(pacing.expire(100.0))


def test_where_there_is_nothing_to_try() -> None:
    """No address is another matter than no time."""
    pacing, _ = paced(Endpoint("c.", 80, 0, 1))
    assert pacing.is_over(100.0)
    assert "no endpoint has an address" in str(pacing.expire(100.0))

    pacing, heard = paced(B, timeout=0)
    assert pacing.is_over(100.0)
    assert "nothing was tried" in str(pacing.expire(100.0))
    assert heard.reports == []


def test_so_many_are_under_way_and_no_more() -> None:
    """A service of thousands that are all silent does not use up the sockets."""
    many = Endpoint("c.", 80, 0, 1, tuple(f"10.0.{n}.1" for n in range(AT_ONCE + 5)))
    pacing, _ = paced(many, timeout=None)
    first = started(pacing, 100.0)
    for n in range(1, AT_ONCE):
        started(pacing, 100.0 + n)

    assert pacing.start(1000.0) is None
    assert pacing.wait(1000.0) is None
    pacing.fail(first, REFUSED, 1000.0)
    assert pacing.start(1000.0) is not None


BOTH = replace(B, addresses=("10.0.0.3", "2001:db8::3"))


def test_once_all_is_tried_further_addresses_are_asked_for() -> None:
    """After a failure at once, after silence a delay later; what is new of them is tried next."""
    pacing, heard = paced(B, A, can_grow=True)
    pacing.fail(started(pacing, 100.0), REFUSED, 100.0)
    for now in 100.0, 100.25, 100.5:
        assert not pacing.lacks(now)
        started(pacing, now)
    assert pacing.wait(100.6) == pytest.approx(0.15)
    assert not pacing.lacks(100.6)
    assert pacing.lacks(100.75)
    assert not pacing.lacks(101.0)
    assert pacing.wait(100.75) == pytest.approx(2.25)

    pacing.extend([A, BOTH])

    assert heard.reports == []
    further = started(pacing, 101.0)
    assert (further.endpoint, further.address) == (BOTH, "2001:db8::3")
    pacing.succeed(further, 101.5)
    assert heard.reports == [(BOTH, True, 0.5)]


def test_further_addresses_come_in_the_order_of_the_endpoints() -> None:
    """Those chosen first are tried first; hosts that are new go last."""
    new = Endpoint("c.example.test.", 1, 0, 1, ("10.0.0.4",))
    pacing, _ = paced(B, A, timeout=None, can_grow=True)
    for now in 100.0, 101.0, 102.0, 102.5:
        started(pacing, now)
    assert pacing.lacks(102.75)

    pacing.extend([new, replace(A, addresses=(*A.addresses, "10.0.0.9")), BOTH])

    tried = [started(pacing, now).address for now in (102.75, 103.0, 103.25)]
    assert tried == ["2001:db8::3", "10.0.0.9", "10.0.0.4"]


@pytest.mark.parametrize("come", [True, False])
def test_without_further_addresses_it_ends_as_ever(come: bool) -> None:
    """Who has failed is told once that is certain; an answer that never comes ends it too."""
    pacing, heard = paced(B, timeout=None, can_grow=True)
    pacing.fail(started(pacing, 100.0), REFUSED, 100.0)
    assert pacing.lacks(100.0)
    assert not pacing.is_over(102.9)
    if come:
        pacing.extend([B])
        assert heard.reports == [(B, False, 0.0)]
        assert pacing.is_over(100.0)

    assert pacing.is_over(103.0)
    pacing.expire(103.0)
    assert heard.reports == [(B, False, 0.0)]


outcomes = st.lists(st.tuples(st.sampled_from(["wait", "fail", "succeed"]), st.floats(0.001, 1)))


@given(
    outcomes,
    st.lists(st.sampled_from([A, B, Endpoint("c.", 1, 0, 1)])),
    st.one_of(st.none(), st.floats(0, 3)),
    st.one_of(st.none(), st.lists(st.sampled_from([A, B, BOTH]))),
)
def test_whatever_happens_it_ends_and_reports_once(
    events: list[tuple[str, float]],
    endpoints: list[Endpoint],
    timeout: float | None,
    further: list[Endpoint] | None,
) -> None:
    """While it is not over something is under way or due; nobody is reported twice."""
    pacing, heard = paced(*endpoints, timeout=timeout, can_grow=further is not None)
    now, under_way, won = 100.0, list[Attempt](), False
    for event, seconds in [*events, *[("fail", 0.3)] * 20]:
        if pacing.is_over(now):
            break
        while attempt := pacing.start(now):
            under_way.append(attempt)
        if pacing.lacks(now):
            pacing.extend(further or ())
            continue
        assert under_way
        wait = pacing.wait(now)
        assert wait is None or wait > 0
        now += min(seconds, inf if wait is None else wait)
        if event == "fail":
            pacing.fail(under_way.pop(0), REFUSED, now)
        elif event == "succeed":
            pacing.succeed(under_way.pop(), now)
            won = True
            break
    if not won:
        pacing.expire(now)

    assert won or pacing.is_over(now)
    assert all(count == 1 for count in Counter(e for e, _, _ in heard.reports).values())
    assert [ok for _, ok, _ in heard.reports].count(True) == won


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("web-1.example.test.", "web-1.example.test"),
        ("A_b.example.test", "A_b.example.test"),
        (r"a\.b c/d@ü.", "a%5C.b%20c%2Fd%40%C3%BC"),
    ],
)
def test_a_target_as_a_host_name(target: str, name: str) -> None:
    """Nothing in it can end the host's part of a URL or a header."""
    assert host_name(target) == name
