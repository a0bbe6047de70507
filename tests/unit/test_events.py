"""What is told of a service that has changed."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dnssd.records import Txt
from dnssd.resolver.events import Event, events
from dnssd.resolver.snapshot import Endpoint, Instance, Snapshot, Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "_http._tcp.example.com."
A = Endpoint("a.example.com.", 80, 0, 10, ("10.0.0.1",), "web", "_http._tcp")
B = Endpoint("b.example.com.", 80, 0, 10, ("10.0.0.2",), "web", "_http._tcp")


def snapshot(*endpoints: Endpoint, status: Status = "fresh", expires_at: float = 9.0) -> Snapshot:
    """What is known of them."""
    return Snapshot(
        NAME, (Instance(f"web.{NAME}", "web", Txt(), endpoints),), endpoints, expires_at, status
    )


def told(old: Snapshot | None, new: Snapshot | None) -> list[tuple[str, Endpoint | None]]:
    """What happened, and to whom."""
    found = events(old, new, NAME, NOW)
    assert all((event.time, event.name) == (NOW, NAME) for event in found)
    return [(event.kind, event.endpoint) for event in found]


def test_at_first_all_are_added() -> None:
    """So that who watches needs no look-up of its own."""
    assert told(None, snapshot(A, B)) == [("added", A), ("added", B)]


def test_what_stays_as_it_was_is_not_told() -> None:
    """A new expiry is no event."""
    assert told(snapshot(A), snapshot(A, expires_at=99.0)) == []
    assert told(None, None) == []


def test_one_goes_and_one_comes() -> None:
    """The one that is gone as it was."""
    assert told(snapshot(A), snapshot(B)) == [("removed", A), ("added", B)]


def test_a_change_shows_the_endpoint_as_it_is_now() -> None:
    """Weight, priority or addresses; a name in another case is the same host."""
    heavier = replace(A, target="A.example.com.", weight=99)

    assert told(snapshot(A, B), snapshot(heavier, B)) == [("changed", heavier)]


def test_another_port_is_another_endpoint() -> None:
    """And so is another instance on the same host."""
    moved, copied = replace(A, port=81), replace(A, instance="v2")

    assert told(snapshot(A), snapshot(moved)) == [("removed", A), ("added", moved)]
    assert told(snapshot(A), snapshot(A, copied)) == [("added", copied)]


def test_another_case_and_another_order_are_no_change() -> None:
    """Forwarders change the one, and name servers the other, with every answer."""
    one = replace(A, addresses=("10.0.0.1", "10.0.0.2"))
    other = replace(
        one, target=A.target.upper(), instance="WEB", addresses=("10.0.0.2", "10.0.0.1")
    )

    assert told(snapshot(one), snapshot(other)) == []


def test_old_age_is_told_once() -> None:
    """And its end, before what has changed meanwhile."""
    old = snapshot(A, status="stale")

    assert told(snapshot(A), old) == [("stale", None)]
    assert told(old, old) == []
    assert told(None, old) == [("added", A), ("stale", None)]
    assert told(old, snapshot(B)) == [("recovered", None), ("removed", A), ("added", B)]


def test_the_end_of_a_service_is_told() -> None:
    """Name servers say that there is none: they have answered."""
    assert told(snapshot(A, B), None) == [("removed", A), ("removed", B)]
    assert told(snapshot(A, status="stale"), None) == [("recovered", None), ("removed", A)]


ENDPOINTS = st.builds(
    Endpoint,
    st.sampled_from(["a.", "b."]),
    st.integers(1, 2),
    st.integers(0, 1),
    st.integers(0, 1),
    instance=st.sampled_from([None, "web"]),
)
SNAPSHOTS = st.none() | st.builds(snapshot, status=st.sampled_from(["fresh", "stale"])).flatmap(
    lambda one: st.lists(
        ENDPOINTS, min_size=1, unique_by=lambda e: (e.target.lower(), e.port, e.instance)
    ).map(lambda endpoints: replace(one, endpoints=tuple(endpoints)))
)


@given(st.lists(SNAPSHOTS))
def test_who_only_hears_of_events_knows_the_same(history: list[Snapshot | None]) -> None:
    """Kept up from event to event, a list of endpoints is always that of the snapshot."""
    known: dict[object, Endpoint] = {}
    stale = False
    for old, new in zip([None, *history], history, strict=False):
        for event in events(old, new, NAME, NOW):
            stale = follow(event, known, stale)
        assert set(known.values()) == set(new.endpoints if new else ())
        assert stale == (new is not None and new.status == "stale")


def follow(event: Event, known: dict[object, Endpoint], stale: bool) -> bool:
    """Make of what is known what it is after an event; whether that is stale."""
    if event.endpoint is None:
        assert event.kind == ("recovered" if stale else "stale")
        return not stale
    place = event.endpoint.target.lower(), event.endpoint.port, event.endpoint.instance
    assert (place in known) == (event.kind != "added")
    if event.kind == "removed":
        assert known.pop(place) == event.endpoint
    else:
        assert known.get(place) != event.endpoint
        known[place] = event.endpoint
    return stale
