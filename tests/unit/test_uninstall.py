"""Uninstalling: everything this tool wrote goes, nothing else does."""

from dataclasses import replace

import pytest

from dnssd import errors
from dnssd.records import Address, Ptr
from dnssd.registration import joining
from dnssd.registration.operation import Outcome
from dnssd.registration.request import Registration
from dnssd.registration.uninstall import (
    Brake,
    Uninstalled,
    hold_agents_out,
    plan_uninstall,
    seconds_to_see,
    uninstall,
)
from dnssd.rrsets import Change, RRset
from dnssd.zones.limits import CommitLimits
from dnssd.zones.memory import MemoryZone
from kit.interleaving import NOW, Actor, Stepped, operation, patient
from kit.invariants import BROWSE, ENUMERATION, INSTANCE, ORIGIN, SERVICE, check_state, srv, view_of


def join(zone: MemoryZone, host: str, *, port: int = 80, instance: str = "web") -> None:
    """Join a host."""
    joining.join(operation(zone), registration(host, port=port, instance=instance).wish_in(ORIGIN))


def registration(host: str, *, port: int = 80, instance: str = "web") -> Registration:
    """A membership of a host."""
    return Registration(
        service="http", instance=instance, port=port, host=host, addresses=["10.0.0.1"]
    )


def remove(zone: MemoryZone | Stepped, limit: int = 1000) -> Uninstalled:
    """Uninstall without waiting."""
    return uninstall(operation(zone), SERVICE, Brake(limit))


@pytest.fixture(params=[False, True], ids=["swaps", "merges"])
def merges(request: pytest.FixtureRequest) -> bool:
    """Both modes of a zone."""
    return bool(request.param)


def test_an_empty_zone_is_left_again(merges: bool) -> None:
    """Several instances, hosts and ports, of any owner."""
    zone = MemoryZone(ORIGIN, merges=merges)
    join(zone, "a")
    join(zone, "a", port=81)
    join(zone, "b", instance="Café. 2")
    assert remove(zone).changed
    assert zone.states[-1] == {}
    assert not remove(zone).changed


def test_what_another_hand_wrote_stays(merges: bool) -> None:
    """Foreign values with their definition, other services and instances, foreign addresses."""
    foreign = [
        RRset(INSTANCE, "SRV", 300, (srv("hand"),)),
        RRset(BROWSE, "PTR", 300, (Ptr(INSTANCE), Ptr(ORIGIN.child(b"x", b"y")))),
        RRset(ENUMERATION, "PTR", 300, (Ptr(BROWSE), Ptr(ORIGIN.child(b"_ipp", b"_tcp")))),
        RRset(ORIGIN.child(b"a"), "A", 300, (Address.parse("10.0.0.1"),)),
    ]
    zone = MemoryZone(ORIGIN, foreign, merges=merges)
    join(zone, "a")
    join(zone, "b", instance="second")
    stayed = {(rrset.name, rrset.rdtype) for rrset in remove(zone).stayed}
    assert stayed == {(INSTANCE, "SRV"), (INSTANCE, "TXT")}
    expected = {(r.name, r.rdtype): r for r in foreign}
    left = dict(zone.states[-1])
    assert left.pop((INSTANCE, "TXT")), "the definition of an instance that is offered stays"
    assert left == expected


def test_a_dry_run_tells_it_all_and_changes_nothing(merges: bool) -> None:
    """It is the real thing on a copy, so what it shows is what would happen."""
    zone = MemoryZone(ORIGIN, merges=merges)
    join(zone, "a")
    join(zone, "b")
    before = zone.states[-1]
    changes = plan_uninstall(zone, SERVICE, patient(), Brake())
    assert zone.states[-1] == before
    assert {(c.name, c.rdtype) for c in changes if c.after is None} == set(before)


def test_many_members_go_in_batches_that_fit(merges: bool) -> None:
    """No commit is larger than the provider takes."""
    zone = MemoryZone(ORIGIN, merges=merges)
    for number in range(60):
        join(zone, f"h{number}")
    zone.limits = CommitLimits(characters=6000)
    remove(zone)
    assert zone.states[-1] == {}
    for state in zone.states:
        check_state(state)


def test_records_of_a_newer_format_go_too(merges: bool) -> None:
    """What may not be changed may be removed, or uninstalling would leave it all."""
    zone = MemoryZone(ORIGIN, merges=merges)
    join(zone, "a")
    for host in ("new1", "new2"):
        join(zone, host)
        member, record = view_of(zone.states[-1]).members[f"{host}-80"]
        newer = record.with_values((replace(member, version=2).to_txt(),))
        zone.commit([Change(record, newer)], patient())
    remove(zone)
    assert zone.states[-1] == {}
    for state in zone.states:
        check_state(state)


def test_members_that_are_up_are_not_taken_out_unasked(merges: bool) -> None:
    """The brake counts them in all instances, before anything is written; others may go."""
    zone = MemoryZone(ORIGIN, merges=merges)
    join(zone, "a")
    join(zone, "b", instance="second")
    before = zone.states[-1]
    with pytest.raises(errors.Refused, match=r"2 members are up: a-80, b-80; .* --limit 2"):
        remove(zone, limit=1)
    assert zone.states[-1] == before
    assert not remove(zone, limit=2).stayed
    assert not remove(zone, limit=0).changed


def test_who_joins_while_others_go_counts(merges: bool) -> None:
    """More than were allowed are not taken out, whenever they came."""
    zone = MemoryZone(ORIGIN, merges=merges)
    join(zone, "a")
    actor = Actor(zone, lambda stepped: remove(stepped, limit=1))
    actor.step()
    join(zone, "b")
    while not actor.done:
        actor.step()
    assert isinstance(actor.result, errors.Refused)
    assert set(view_of(zone.states[-1]).values) >= {srv("b")}


def test_agents_are_told_to_stay_out_and_get_the_time_to_hear_it(merges: bool) -> None:
    """A record that is gone is joined again, one that says hold is not."""
    zone = MemoryZone(ORIGIN, merges=merges)
    join(zone, "plain")
    assert hold_agents_out(operation(zone), SERVICE, Brake()) == 0
    agent = replace(registration("a").wish_in(ORIGIN), agent=True)
    joining.join(operation(zone), agent)
    before = zone.states[-1]
    with pytest.raises(errors.Refused):
        hold_agents_out(operation(zone), SERVICE, Brake(limit=1))
    assert zone.states[-1] == before
    assert hold_agents_out(operation(zone), SERVICE, Brake(limit=2)) == 90 + 66
    members = {label: member for label, (member, _) in view_of(zone.states[-1]).members.items()}
    assert (members["a-80"].is_held, members["plain-80"].state) == (True, "up")
    assert seconds_to_see(members["a-80"], 300, NOW) == 630
    assert hold_agents_out(operation(zone), SERVICE, Brake()) > 0, "interrupted, and run again"
    assert not remove(zone).stayed
    assert zone.states[-1] == {}


@pytest.mark.parametrize("steps", range(16))
def test_a_host_that_joins_meanwhile_is_whole_or_gone(merges: bool, steps: int) -> None:
    """Whenever it joins; if only its definition is gone, that is said."""
    zone = MemoryZone(ORIGIN, merges=merges)
    join(zone, "a")
    actor = Actor(zone, remove)
    for _ in range(steps):
        if not actor.done:
            actor.step()
    late = Actor(
        zone, lambda stepped: joining.join(operation(stepped), registration("b").wish_in(ORIGIN))
    )
    while not (actor.done and late.done):
        for one in (actor, late):
            if not one.done:
                one.step()
    assert isinstance(late.result, Outcome | errors.Superseded)
    if isinstance(late.result, errors.Superseded):
        assert "uninstall-records" in str(late.result)
        assert "is leaving" in str(late.result)
        assert "may not be published" not in str(late.result)
    assert isinstance(actor.result, Uninstalled | errors.Superseded)
    view = view_of(zone.states[-1])
    assert not view.unexplained
    if isinstance(actor.result, Uninstalled) and view.values:
        check_state(zone.states[-1])
