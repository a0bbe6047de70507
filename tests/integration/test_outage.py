"""Name servers that fail, lie or are gone for an hour: the whole resolver on a virtual clock."""

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnssd.resolver.events import Event
from dnssd.resolver.known import LAST_RETRY
from dnssd.resolver.snapshot import Snapshot
from kit.simnet import BROKEN, SERVICE, WEB, Fault, Records, breaking, honest, silent
from kit.simresolver import SimResolver, hosts_of, kinds

# Sixteen classes of faults, of which two are lies that no single answer gives away.
CLASSES = (
    "drop drop drop drop servfail servfail nosoa nosoa nosoa garbage garbage wrong-id tc tc "
    "lie partial"
)
SEEN = 2.0  # seconds of a refresh in which a change is to be seen


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Hours of outages make long logs."""
    caplog.set_level(logging.CRITICAL, "dnssd")


def watched(records: Records, fault: Fault, *, additional: bool = True) -> SimResolver:
    """A resolver that came to know a service while all was well."""
    sim = SimResolver(records, additional=additional)
    sim.watch(WEB)
    sim.advance(50)  # the first refresh has asked for what was missing
    sim.network.fault = fault
    return sim


def targets(snapshot: Snapshot | None) -> set[str]:
    """Where endpoints are that can be reached."""
    return {e.target for e in snapshot.endpoints if e.addresses} if snapshot else set()


@pytest.mark.parametrize(
    ("kinds_of_faults", "hosts", "additional", "refreshes"),
    [
        (CLASSES, 3, True, 2500),
        (CLASSES, 3, False, 1000),
        (CLASSES, 25, True, 500),
        (" ".join(BROKEN), 3, True, 1000),
    ],
)
def test_no_healthy_endpoint_is_dropped_for_a_lie(
    kinds_of_faults: str, hosts: int, additional: bool, refreshes: int
) -> None:
    """Seventy percent of all answers broken, lies among them, refresh after refresh."""
    records = hosts_of(range(1, hosts + 1))
    sim = watched(records, breaking(0.7, 4, kinds_of_faults), additional=additional)
    told = sim.watch(WEB)
    told.clear()

    for _ in range(refreshes):
        sim.until_asked()
        assert sim.until_learned(WEB) <= SEEN

    assert Counter(kinds(told)) == {}
    assert len(targets(sim.lookup(WEB))) == hosts


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_a_real_removal_is_seen_within_one_refresh(share: float) -> None:
    """One host less, one more, all of them others: among lies too, and each time.

    A newcomer may be hidden until the next refresh, by an answer that holds all others.
    """
    zones = [hosts_of(range(*bounds)) for bounds in [(1, 4), (1, 3), (1, 5), (7, 12), (30, 31)]]
    sim = watched(zones[0], breaking(share, 5, CLASSES))
    rng = random.Random(6)
    took, late = [], 0

    for _ in range(200):
        zone = rng.choice(zones)
        sim.network.change(zone)
        truth = {value.split()[3] for value in zone[WEB, "SRV"]}
        sim.until_asked()
        took.append(sim.until(lambda: targets(sim.known(WEB)) <= truth))  # noqa: B023 (used at once)
        sim.advance(SEEN)  # no refresh is under way any more
        late += targets(sim.known(WEB)) != truth
        sim.until(lambda: targets(sim.known(WEB)) == truth)  # noqa: B023 (likewise)

    assert max(took) <= (SEEN if share else 0.3)
    assert late <= (5 if share else 0)


def test_a_service_that_ends_is_seen_to_end_among_lies() -> None:
    """Enough answers agree."""
    for seed in range(20):
        sim = watched(hosts_of(range(1, 4)), breaking(0.7, seed, CLASSES))
        told = sim.watch(WEB)
        sim.network.change({})
        sim.until_asked()

        assert sim.until(lambda: len(told) >= 6) <= SEEN  # noqa: B023 (used at once)
        assert kinds(told)[3:] == ["removed h1", "removed h2", "removed h3"]


def left_over(events: Iterable[Event | None]) -> set[str]:
    """The targets that are there after some events."""
    seen: set[str] = set()
    for event in events:
        if event and event.endpoint:
            (seen.discard if event.kind == "removed" else seen.add)(event.endpoint.target)
    return seen


FAULTS: list[Fault] = [honest, silent, breaking(0.7, 7, CLASSES), breaking(0.9, 8, CLASSES)]
ZONES: list[Records] = [
    {},
    hosts_of(range(1, 4)),
    hosts_of(range(3, 6)),
    hosts_of(range(1, 3), "v2") | {(SERVICE, "TXT"): ['"no=matter"']},
    {(SERVICE, "SRV"): ["0 0 80 h1.example.com."], ("h1.example.com.", "AAAA"): ["2001:db8::1"]},
]
STEPS = st.one_of(
    st.sampled_from(ZONES).map(lambda zone: ("zone", zone)),
    st.sampled_from(FAULTS).map(lambda fault: ("fault", fault)),
    st.floats(0.0005, 100).map(lambda seconds: ("wait", seconds)),
    st.sampled_from(["want", "known", "clear", "watch"]).map(lambda what: (what, None)),
)


@settings(max_examples=60)
@given(st.lists(STEPS, max_size=25), st.booleans())
def test_whatever_happened_the_truth_is_known_in_the_end(
    steps: list[tuple[str, object]], additional: bool
) -> None:
    """Changes, faults, look-ups and clearing in any order; then half a minute of peace."""
    sim = SimResolver(ZONES[1], additional=additional)
    told = [sim.watch(SERVICE)]
    perform: dict[str, Callable[[Any], object]] = {
        "zone": sim.network.change,
        "fault": lambda fault: setattr(sim.network, "fault", fault),
        "wait": sim.advance,
        "want": lambda _: sim.want(SERVICE),
        "watch": lambda _: told.append(sim.watch(SERVICE)),
        "clear": lambda _: sim.engine.clear(),
        "known": lambda _: None,
    }
    for what, value in steps:
        perform[what](value)
    sim.network.fault = honest
    sim.advance(130)  # an answer's TTL, an absence's, and a retry's wait

    truth = SimResolver(sim.network.records)
    expected = truth.watch(SERVICE)
    truth.advance(1)
    final = targets(truth.entry(SERVICE).snapshot)  # type: ignore[union-attr]  # it is watched
    for events in told:
        assert left_over(events) == final
        assert kinds(events).count("stale") == kinds(events).count("recovered")
    assert len(expected) == len(final)


NAMES = [f"v{number}.{SERVICE}" for number in range(60)]


@pytest.fixture(scope="module")
def many() -> Records:
    """Sixty instances on the same few hosts."""
    merged: Records = {}
    for number in range(len(NAMES)):
        merged |= hosts_of(range(1, 4), f"v{number}")
    return merged


def client(sim: SimResolver, seconds: int) -> Iterator[Snapshot]:
    """A client that wants to know each name every few seconds."""
    for second in range(seconds):
        sim.advance(1)
        for name in NAMES[second % 5 :: 5]:
            snapshot = sim.known(name)
            assert snapshot, "somebody had to wait"
            yield snapshot


def test_an_hour_without_any_name_server(many: Records) -> None:
    """Picks go on, watchers hear of it once, few packets are sent, and the end is noticed."""
    sim = SimResolver(many)
    for name in NAMES:
        sim.lookup(name)
    told = sim.watch(NAMES[0])
    assert all(snapshot.status == "fresh" for snapshot in client(sim, 120))

    sim.network.fault = silent
    asked = sim.questions
    states = Counter(snapshot.status for snapshot in client(sim, 3600))
    packets = sim.questions - asked

    assert states["stale"] > 0.98 * states.total()
    assert kinds(told) == ["added h1", "added h2", "added h3", "stale"]
    assert packets / 3600 < len(NAMES) / 2  # a second: half a packet for each name

    sim.network.fault = honest
    sim.network.asked.clear()
    back = sim.now
    while any(sim.cache.by_text[name].latest().status == "stale" for name in NAMES):
        sim.advance(0.1)
    assert sim.now - back <= 1.1 * LAST_RETRY + 3
    assert kinds(told)[4:] == ["recovered"]
    # No stampede: each name is looked up once; what was under way just then took a few packets.
    assert max(sim.network.asked[name, "SRV"] for name in NAMES) <= 4
    assert sum(sim.network.asked[name, "SRV"] for name in NAMES) <= 1.3 * len(NAMES)


def test_servers_that_come_back_slowly_are_not_overrun(many: Records) -> None:
    """Refreshes of many names that failed at one moment are spread over time."""
    sim = SimResolver(many)
    for name in NAMES:
        sim.lookup(name)
    sim.network.fault = silent
    sim.advance(300)
    sim.network.fault = honest
    before = sim.questions

    sim.advance(40)

    seconds = Counter(int(query.at) for query in sim.network.queries[before:])
    assert max(seconds.values()) <= 0.25 * sum(seconds.values())
