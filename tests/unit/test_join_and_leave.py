"""Joins and leaves over the zone in memory: what each writes, and what it leaves alone."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dnssd import errors, joined
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Address, Opaque, Ptr, Rdata, Txt
from dnssd.registration import draining, joining, leaving
from dnssd.registration.operation import Operation, Outcome
from dnssd.registration.request import Registration
from dnssd.registration.wish import Departure
from dnssd.rrsets import Change, RRset
from dnssd.zones.limits import CommitLimits
from dnssd.zones.memory import MemoryZone
from dnssd.zones.route53.text import LIMITS
from kit.interleaving import NOW, Actor, Fate, joins, leaves, operation, patient
from kit.invariants import (
    BROWSE,
    ENUMERATION,
    INSTANCE,
    ORIGIN,
    check_projection,
    check_state,
    srv,
    view_of,
)


def registration(host: str = "a", **more: Any) -> Registration:
    """A membership of a host."""
    settings: dict[str, Any] = {"service": "http", "instance": "web", "port": 80}
    return Registration(host=host, **{**settings, "addresses": ["10.0.0.1"], **more})


HOST_NEW = ORIGIN.child(b"new")


def join(zone: MemoryZone, host: str = "a", **more: Any) -> Outcome:
    """Join a host."""
    return joining.join(operation(zone), registration(host, **more).wish_in(ORIGIN))


def leave(zone: MemoryZone, host: str = "a", **more: Any) -> Outcome:
    """Take a host out."""
    return leaving.leave(operation(zone), registration(host, **more).departure_in(ORIGIN))


def rrset(name: Name, *values: Rdata, ttl: int = 60) -> RRset:
    """An RRset of values of one type."""
    return RRset(name, values[0].rdtype, ttl, values)


def edit(zone: MemoryZone, name: Name, rdtype: str, *values: Rdata, ttl: int = 60) -> None:
    """Change an RRset by another hand."""
    before = zone.read(name, rdtype, patient())
    after = RRset(name, rdtype, ttl, values) if values else None
    zone.commit([Change(before, after)], patient())


def edit_member(zone: MemoryZone, label: str, change: Callable[[Member], Member]) -> None:
    """Change a member record by another hand."""
    member, _ = view_of(zone.states[-1]).members[label]
    edit(zone, INSTANCE.child(label.encode()), "TXT", change(member).to_txt())


def announce(zone: MemoryZone, host: str, since: datetime) -> None:
    """Write the member record of another host, as its own announcement would."""
    member = Member(
        label=f"{host}-80",
        srv=srv(host),
        addresses=(),
        owner="somebody",
        since=since,
        id="1",
    )
    edit(zone, INSTANCE.child(member.label.encode()), "TXT", member.to_txt())


def values(zone: MemoryZone) -> set[Rdata]:
    """The SRV RRset's values."""
    return set(view_of(zone.states[-1]).values)


def texts(zone: MemoryZone) -> dict[str, tuple[str, ...]]:
    """The zone as text."""
    return {f"{name} {rdtype}": r.texts() for (name, rdtype), r in zone.states[-1].items()}


def test_a_first_join_writes_definition_membership_and_address() -> None:
    """Seven RRsets, in two commits, with five requests."""
    zone = MemoryZone(ORIGIN)
    outcome = join(zone)
    assert (outcome.requests, outcome.changed, outcome.defined) == (5, True, True)
    found = texts(zone)
    member = found.pop("a-80.web._http._tcp.example.test. TXT")[0]
    assert '"srv=0 100 80 a.example.test." "addr=10.0.0.1" "owner=name/a"' in member
    assert found == {
        "_services._dns-sd._udp.example.test. PTR": ("_http._tcp.example.test.",),
        "_http._tcp.example.test. PTR": ("web._http._tcp.example.test.",),
        "web._http._tcp.example.test. TXT": ('""',),
        "web._http._tcp.example.test. SRV": ("0 100 80 a.example.test.",),
        "a.example.test. A": ("10.0.0.1",),
        "a.example.test. TXT": ('"dnssd=1" "owner=name/a" "used=a-80.web._http._tcp"',),
    }


def test_the_definition_outlives_the_last_host() -> None:
    """So that clients find nobody, and not nothing, and no join races with a last leave."""
    zone = MemoryZone(ORIGIN)
    join(zone)
    assert leave(zone).requests == 3
    assert {rdtype for _, rdtype in zone.states[-1]} == {"PTR", "TXT"}
    assert len(zone.states[-1]) == 3


def test_a_hand_made_srv_rrset_gets_its_definition() -> None:
    """A first join onto values without PTR records still makes the service known."""
    zone = MemoryZone(ORIGIN, [rrset(INSTANCE, srv("hand"), ttl=300)])
    outcome = join(zone)
    assert outcome.defined
    check_state(zone.states[-1], {srv("hand")})
    assert view_of(zone.states[-1]).srv == rrset(INSTANCE, srv("hand"), srv("a"), ttl=300)


def test_pointers_of_other_services_and_instances_stay() -> None:
    """Shared PTR RRsets are added to."""
    others = Ptr(BROWSE.child(b"other")), Ptr(ORIGIN.child(b"_ipp", b"_tcp"))
    zone = MemoryZone(ORIGIN, [rrset(BROWSE, others[0]), rrset(ENUMERATION, others[1])])
    join(zone)
    pointers = zone.states[-1]
    assert set(pointers[BROWSE, "PTR"].values) == {others[0], Ptr(INSTANCE)}
    assert set(pointers[ENUMERATION, "PTR"].values) == {others[1], Ptr(BROWSE)}


@pytest.mark.parametrize(
    ("merges", "full", "limits"),
    [
        (False, 4, CommitLimits(values=4)),
        (True, 4, CommitLimits(values=4)),
        (False, 90, CommitLimits(characters=4_000)),
        (False, 7, CommitLimits()),
        (True, 7, CommitLimits()),
    ],
    ids=["values", "merging values", "characters", "roomy", "merging roomy"],
)
def test_a_full_list_of_services_stops_no_join(
    merges: bool, full: int, limits: CommitLimits, caplog: pytest.LogCaptureFixture
) -> None:
    """The list is optional (RFC 6763 section 9): it is told, and everything else is there."""
    there = [Ptr(ORIGIN.child(b"_s%d" % n, b"_tcp")) for n in range(full)]
    zone = MemoryZone(ORIGIN, [rrset(ENUMERATION, *there)], merges=merges, limits=limits)
    join(zone)
    roomy = limits == CommitLimits()
    assert set(zone.states[-1][ENUMERATION, "PTR"].values) == {*there, *([Ptr(BROWSE)] * roomy)}
    assert values(zone) == {srv("a")}
    assert zone.states[-1][BROWSE, "PTR"].values == (Ptr(INSTANCE),)
    told = [r.message for r in caplog.records if "not in the list of services" in r.message]
    assert len(told) == (not roomy)
    assert not join(zone).changed
    leave(zone)


def test_values_that_do_not_parse_are_foreign_and_stay() -> None:
    """To the letter."""
    odd = Opaque("SRV", "not an srv value")
    zone = MemoryZone(ORIGIN, [RRset(INSTANCE, "SRV", 60, (odd, srv("hand")))])
    join(zone)
    leave(zone)
    assert values(zone) == {odd, srv("hand")}


def test_a_young_announcement_is_adopted_and_an_old_one_is_not() -> None:
    """A host that died between announce and fold is not published weeks later."""
    zone = MemoryZone(ORIGIN)
    join(zone, "a")
    for host, age in (("young", 14), ("old", 16)):
        announce(zone, host, NOW - timedelta(minutes=age))
    join(zone, "b")
    assert values(zone) == {srv("a"), srv("b"), srv("young")}
    edit_member(zone, "old-80", lambda m: replace(m, until=NOW + timedelta(minutes=1)))
    join(zone, "c")
    assert srv("old") in values(zone)


def test_a_leaving_member_is_folded_out_and_its_records_stay() -> None:
    """Only its owner, or reaping, removes those."""
    zone = MemoryZone(ORIGIN)
    join(zone, "a")
    join(zone, "b")
    edit_member(zone, "a-80", Member.leaving)
    join(zone, "c")
    assert values(zone) == {srv("b"), srv("c")}
    assert "a-80" in view_of(zone.states[-1]).members
    assert (ORIGIN.child(b"a"), "A") in zone.states[-1]
    leave(zone, "a")
    assert "a-80" not in view_of(zone.states[-1]).members
    assert (ORIGIN.child(b"a"), "A") not in zone.states[-1]


def test_joining_again_repairs_what_others_left() -> None:
    """A live host's fold reaches the projection although its own value is right."""
    zone = MemoryZone(ORIGIN)
    join(zone, "a")
    join(zone, "b")
    edit(zone, INSTANCE, "SRV", srv("a"), srv("b", weight=1), srv("b"))
    edit_member(zone, "b-80", Member.leaving)
    assert join(zone, "a").changed
    check_projection(zone.states[-1])
    assert values(zone) == {srv("a")}
    assert not join(zone, "a").changed


def test_an_overwritten_rrset_is_healed_by_the_next_join() -> None:
    """Another tool's stale UPSERT drops members until then."""
    zone = MemoryZone(ORIGIN)
    join(zone, "a")
    join(zone, "b")
    edit(zone, INSTANCE, "SRV", srv("hand"))
    join(zone, "a")
    assert values(zone) == {srv("hand"), srv("a"), srv("b")}


def newer(zone: MemoryZone, host: str, **more: Any) -> RRset:
    """A host joins, and a later version has the last word about its member record."""
    join(zone, host)
    edit_member(zone, f"{host}-80", lambda m: replace(m, version=2, unknown=(b"x=y",), **more))
    return zone.states[-1][INSTANCE.child(f"{host}-80".encode()), "TXT"]


@pytest.mark.parametrize("state", ["up", "leaving"])
@pytest.mark.parametrize("call", [join, leave])
def test_another_hosts_newer_record_and_value_are_left_alone(
    call: Callable[..., Outcome], state: str
) -> None:
    """An older reader does not know its rules: even leaving, its value stays."""
    zone = MemoryZone(ORIGIN)
    join(zone, "b")
    record = newer(zone, "new", state=state)

    call(zone, "b", weight=7)

    assert srv("new") in values(zone)
    assert zone.states[-1][INSTANCE.child(b"new-80"), "TXT"] == record


def test_an_own_newer_record_is_removed_and_never_changed() -> None:
    """After a downgrade a host can still leave; it joins again only by replacing the record."""
    zone = MemoryZone(ORIGIN)
    newer(zone, "new")
    with pytest.raises(errors.Refused, match="newer format; upgrade dnssd, or replace it"):
        join(zone, "new")

    assert leave(zone, "new").members == ("new-80",)
    assert values(zone) == set()
    assert (HOST_NEW, "TXT") not in zone.states[-1]

    newer(zone, "new")
    join(zone, "new", takeover=True, weight=7)
    member, _ = view_of(zone.states[-1]).members["new-80"]
    assert (member.version, member.unknown) == (1, ())
    assert values(zone) == {srv("new", weight=7)}


def test_a_newer_record_goes_in_one_batch_however_contended() -> None:
    """Somebody folds at each moment of the leave: the record goes with its value or stays."""
    for steps in range(6):
        zone = MemoryZone(ORIGIN)
        newer(zone, "new")
        actor = Actor(zone, leaves(registration("new")))
        for _ in range(steps):
            if not actor.done:
                actor.step()
        join(zone, f"other{steps}")
        actor.finish()
        assert srv("new") not in values(zone)
        for state in zone.states:
            check_state(state)


def test_keys_of_later_versions_survive_a_change() -> None:
    """Unknown strings of the own record, and of one that is marked as leaving, are kept."""
    zone = MemoryZone(ORIGIN)
    join(zone)
    edit_member(zone, "a-80", lambda m: replace(m, unknown=(b"color=blue",)))
    join(zone, weight=7)
    member, _ = view_of(zone.states[-1]).members["a-80"]
    assert member.unknown == (b"color=blue",)
    assert values(zone) == {srv("a", weight=7)}


def test_an_ended_lease_may_be_replaced_by_another_owner() -> None:
    """Without taking over; one that holds may not."""
    zone = MemoryZone(ORIGIN)
    join(zone, target="elsewhere.example.org", addresses=[], owner="first")
    edit_member(zone, "a-80", lambda m: replace(m, until=NOW + timedelta(seconds=1)))
    second: dict[str, Any] = {"target": "elsewhere.example.org", "addresses": [], "owner": "second"}
    with pytest.raises(errors.OwnedByAnother):
        join(zone, **second)
    edit_member(zone, "a-80", lambda m: replace(m, until=NOW))
    assert join(zone, **second).changed


def test_a_change_of_target_leaves_no_value_behind() -> None:
    """Superseded values are remembered in `was=` until a fold has removed them."""
    zone = MemoryZone(ORIGIN)
    for target in ("one.example.org", "two.example.org"):
        join(zone, target=target, addresses=[])
    (value,) = values(zone)
    assert value.format() == "0 100 80 two.example.org."
    member, _ = view_of(zone.states[-1]).members["a-80"]
    assert member.was == ()


def test_services_of_a_host_share_its_address() -> None:
    """It goes with its last user; a family that only one asked for goes with that one."""
    zone = MemoryZone(ORIGIN)
    host = ORIGIN.child(b"a")
    join(zone, port=80)
    join(zone, port=81, addresses=["10.0.0.1", "2001:db8::1"])
    assert zone.states[-1][host, "AAAA"].values == (Address.parse("2001:db8::1"),)
    join(zone, port=80)
    assert (host, "AAAA") in zone.states[-1], "the other service asked for it"
    leave(zone, port=81)
    assert (host, "A") in zone.states[-1]
    join(zone, port=80)
    assert (host, "AAAA") not in zone.states[-1], "the only user does not want it"
    leave(zone, port=80)
    assert not [key for key in zone.states[-1] if key[0] == host]


def test_a_foreign_equal_address_is_used_and_never_removed() -> None:
    """And gets no host record."""
    host = ORIGIN.child(b"a")
    zone = MemoryZone(ORIGIN, [rrset(host, Address.parse("10.0.0.1"), ttl=300)])
    join(zone)
    assert (host, "TXT") not in zone.states[-1]
    leave(zone)
    assert zone.states[-1][host, "A"].ttl == 300


def test_leaving_all_ports_of_a_host_at_once() -> None:
    """One batch, whatever other hosts and other owners have."""
    zone = MemoryZone(ORIGIN)
    join(zone, "a", port=80)
    join(zone, "a", port=81)
    join(zone, "a-1", port=80)
    join(zone, "a", port=82, target="x.example.org", addresses=[], owner="another")
    departure = Departure.of(ORIGIN, "http", instance="web", host="a")
    outcome = leaving.leave(operation(zone), departure)
    assert (outcome.members, outcome.requests) == (("a-80", "a-81"), 3)
    assert sorted(view_of(zone.states[-1]).members) == ["a-1-80", "a-82"]


def test_a_full_rrset_refuses_and_withdraws_the_announcement() -> None:
    """The error says the way out; nothing of the host is left."""
    crowd = [srv(f"foreign{number}", 8080) for number in range(400)]
    zone = MemoryZone(
        ORIGIN, [RRset(INSTANCE, "SRV", 60, tuple(crowd))], limits=CommitLimits(values=400)
    )
    before = texts(zone)
    with pytest.raises(errors.RRsetFull, match=r"second instance.*withdrawn"):
        join(zone)
    assert texts(zone) == before


def test_a_full_rrset_has_room_once_somebody_leaves() -> None:
    """Values that are on their way out make room for the newcomer, in steps if need be."""
    zone = MemoryZone(ORIGIN, limits=CommitLimits(values=3))
    for host in ("a", "b", "c"):
        join(zone, host)
    with pytest.raises(errors.RRsetFull):
        join(zone, "d")
    edit_member(zone, "b-80", Member.leaving)
    join(zone, "d")
    assert values(zone) == {srv("a"), srv("c"), srv("d")}


def test_a_fold_takes_in_as_many_as_fit_its_own_first() -> None:
    """Then the oldest; the others wait for the next fold."""
    zone = MemoryZone(ORIGIN, limits=CommitLimits(characters=1900, reserve=400))
    for number in range(10):
        host = f"h{number}"
        announce(zone, host, NOW - timedelta(seconds=number))
    join(zone, "z")
    taken = {value.format().split()[-1].split(".")[0] for value in values(zone)}
    assert "z" in taken
    assert 1 < len(taken) < 11
    assert taken - {"z"} == {f"h{9 - number}" for number in range(len(taken) - 1)}
    before, after = zone.states[-2:]
    changed = [Change(before.get(k), after.get(k)) for k in after if before.get(k) != after.get(k)]
    assert zone.limits.cost(changed).characters <= 1500


def test_about_350_hosts_fit_into_one_instance() -> None:
    """32,000 characters a batch bind before 400 values do; the error comes before the loss."""
    crowd = tuple(srv(f"i-0123456789abcde{number:03}") for number in range(400))
    fits = 0
    for count in (300, 340, 400):
        zone = MemoryZone(ORIGIN, [RRset(INSTANCE, "SRV", 60, crowd[:count])], limits=LIMITS)
        try:
            join(zone, "i-0123456789abcdef0")
            fits = count
        except errors.RRsetFull:
            assert len(values(zone)) == count
    assert fits == 340


@pytest.mark.parametrize("call", ["join", "leave"])
def test_a_deadline_says_what_is_true_in_the_zone(call: str) -> None:
    """After the announcement, and after marking."""

    class Contended(MemoryZone):
        """Somebody changes the SRV RRset before every commit that carries it."""

        def commit(self, changes: Any, deadline: Any, *, absent: Any = ()) -> str:
            if any(change.rdtype == "SRV" for change in changes):
                before = self.states[-1][INSTANCE, "SRV"]
                after = before.with_values([srv("a"), srv("x", len(self.states))])
                super().commit([Change(before, after)], deadline)
            return super().commit(changes, deadline, absent=absent)

    zone = Contended(ORIGIN)
    seed = MemoryZone(ORIGIN)
    join(seed, "a")
    zone.states = seed.states
    run = Operation(zone, patient(5), now=lambda: NOW)
    work: dict[str, Callable[[], Outcome]] = {
        "join": lambda: joining.join(run, registration("b").wish_in(ORIGIN)),
        "leave": lambda: leaving.leave(run, registration("a").departure_in(ORIGIN)),
    }
    with pytest.raises(errors.DeadlineExceeded) as caught:
        work[call]()
    expected = "is announced, and may not be published" if call == "join" else "marked as leaving"
    assert expected in str(caught.value)


def test_an_agents_word_is_about_one_announcement() -> None:
    """A join without an agent takes it away again."""
    zone = MemoryZone(ORIGIN)
    for agent in (True, False):
        assert join(zone, agent=agent).changed
        assert not join(zone, agent=agent).changed
        member, _ = view_of(zone.states[-1]).members["a-80"]
        assert member.has_agent == agent


class Guarded(MemoryZone):
    """A zone with a rule: it refuses what takes or makes SRV records, as a protection does."""

    def __init__(self, *rrsets: RRset, protects: str = "SRV") -> None:
        super().__init__(ORIGIN, rrsets)
        self.protects = protects
        self.refused = 0

    def commit(self, changes: Any, deadline: Any, *, absent: Any = ()) -> str:
        """Refuse, or commit."""
        if any(change.rdtype == self.protects and not change.is_guard for change in changes):
            self.refused += 1
            raise errors.Conflict("[protection keep-it covers the record]")
        return super().commit(changes, deadline, absent=absent)


@pytest.mark.parametrize(("protects", "most"), [("SRV", 5), ("TXT", 7)])
def test_three_refusals_over_an_unchanged_listing_are_final(protects: str, most: int) -> None:
    """It is no race then: the zone's own words are told, and nothing of the host stays."""
    zone = Guarded(protects=protects)
    with pytest.raises(errors.ChangeRejected, match=r"for good: .protection keep-it") as caught:
        join(zone)
    assert isinstance(caught.value, errors.Refused)
    assert zone.refused <= most
    assert not [rrset for rrset in zone.states[-1].values() if rrset.rdtype != "PTR"]


def test_a_leave_that_is_refused_for_good_says_what_is_left() -> None:
    """Of the last host, by a rule against removing what is still asked for."""
    zone = Guarded(protects="none")
    join(zone)
    zone.protects = "SRV"
    with pytest.raises(errors.ChangeRejected, match=r"protection keep-it.*marked as leaving"):
        leave(zone)
    assert zone.refused <= 4


def test_joined_leaves_at_the_end_however_it_ends() -> None:
    """The context manager of the Python interface."""
    zone = MemoryZone(ORIGIN)

    def serve() -> None:
        with joined(zone, registration()) as outcome:
            assert outcome.members == ("a-80",)
            assert values(zone) == {srv("a")}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        serve()
    assert values(zone) == set()


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("port", 0, "port 0"),
        ("port", 65536, "port 65536"),
        ("weight", -1, "weight -1"),
        ("priority", 65536, "priority 65536"),
        ("ttl", 0, "ttl 0"),
        ("ttl", 2**31, "ttl 2147483648"),
        ("instance", "x" * 64, "64 octets"),
        ("instance", "\x7f", "control"),
        ("host", "x" * 58, "58 octets"),
        ("host", "ſ", "one label"),
        ("service", "abcdefghijklmnop", "16 characters"),
        ("addresses", [], "no address"),
        ("addresses", ["10.0.0.1", "ten"], "'ten': not an IPv4"),
        ("addresses", ["fe80::1%eth0"], "not an IPv4"),
        ("addresses", "10.0.0.1", "'10.0.0.1': one text; give a list"),
        ("addresses", ["::"], "connect"),
        ("txt", {"a=b": "c"}, "without ="),
        ("txt", {"": "c"}, "TXT key"),
        ("txt", {"a": "x" * 254}, "256 octets"),
        ("txt", {f"key{n}": "x" * 200 for n in range(7)}, "1300"),
        ("owner", "two\nlines", "printable"),
        ("owner", "x" * 201, "200 octets"),
        ("target", "x.example.org", "give none"),
    ],
)
def test_a_registration_that_is_not_legal_is_a_usage_error(
    field: str, value: Any, says: str
) -> None:
    """Before anything is sent, and the message names it."""
    with pytest.raises(errors.UsageError, match=says):
        registration(**{field: value})


def test_an_explicit_empty_txt_empties_it() -> None:
    """None keeps what is there; an empty mapping is a wish like another."""
    zone = MemoryZone(ORIGIN)
    join(zone, txt={"a": "1"})
    join(zone)
    assert zone.states[-1][INSTANCE, "TXT"].values == (Txt((b"a=1",)),)
    join(zone, txt={})
    assert zone.states[-1][INSTANCE, "TXT"].values == (Txt(),)


def test_an_address_that_a_join_relies_on_is_restated() -> None:
    """Two runs of one host that want different families: it never ends up without an address."""
    zone = MemoryZone(ORIGIN)
    join(zone, addresses=["10.0.0.1", "2001:db8::1"])
    slow = Actor(zone, joins(registration(addresses=["2001:db8::1"])))
    for _ in range(3):  # the blind announcement is refused; host and instance are read
        slow.step()
    join(zone, addresses=["10.0.0.1"])
    assert isinstance(slow.finish(), Outcome | errors.Superseded)
    host = ORIGIN.child(b"a")
    assert {"A", "AAAA"} & {rdtype for name, rdtype in zone.states[-1] if name == host}


def test_a_place_is_one_members() -> None:
    """Two members with one target and port could not tell whose the value is."""
    zone = MemoryZone(ORIGIN)
    shared: dict[str, Any] = {"target": "lb.example.org", "addresses": []}
    join(zone, "a", **shared)
    before = texts(zone)
    with pytest.raises(errors.PlaceTaken, match="already published by member a-80"):
        join(zone, "b", **shared)
    assert texts(zone) == before
    leave(zone, "a", **shared)
    assert join(zone, "b", **shared).changed


@pytest.mark.parametrize("lead", range(1, 8))
def test_of_two_that_want_one_place_at_once_one_is_refused_at_least(lead: int) -> None:
    """Whoever announces first: no value is left without its member."""
    zone = MemoryZone(ORIGIN)
    shared: dict[str, Any] = {"target": "lb.example.org", "addresses": []}
    actors = [Actor(zone, joins(registration(host, **shared))) for host in ("a", "b")]
    for _ in range(lead):
        if not actors[0].done:
            actors[0].step()
    results = [actor.finish() for actor in reversed(actors)]
    assert any(isinstance(result, errors.PlaceTaken) for result in results)
    check_projection(zone.states[-1])


def crowd(count: int) -> tuple[Rdata, ...]:
    """Values as long as those of EC2 instances."""
    return tuple(srv(f"i-0123456789abcde{number:03}") for number in range(count))


def test_a_member_of_an_overfull_rrset_is_marked_and_told() -> None:
    """Where another hand has filled it past what a batch can swap, the leave says so."""
    zone = MemoryZone(ORIGIN, limits=LIMITS)
    join(zone)
    edit(zone, INSTANCE, "SRV", srv("a"), *crowd(399))
    with pytest.raises(errors.RRsetFull, match="marked as leaving"):
        leave(zone)
    assert view_of(zone.states[-1]).members["a-80"][0].state == "leaving"
    edit(zone, INSTANCE, "SRV", srv("a"), *crowd(300))
    leave(zone)
    assert values(zone) == set(crowd(300))
    assert (ORIGIN.child(b"a"), "A") not in zone.states[-1]


def test_whoever_could_join_can_leave_and_change() -> None:
    """Joins keep a reserve of the batch free, so that the brim is never a trap."""
    zone = MemoryZone(ORIGIN, limits=LIMITS)
    edit(zone, INSTANCE, "SRV", *crowd(330))
    joined_hosts = []
    for number in range(60):
        try:
            join(zone, f"i-0123456789abcdf{number:03}")
        except errors.RRsetFull:
            break
        joined_hosts.append(f"i-0123456789abcdf{number:03}")
    assert len(joined_hosts) < 60
    assert joined_hosts
    assert join(zone, joined_hosts[0], weight=7).changed
    for host in joined_hosts:
        leave(zone, host)
    assert values(zone) == set(crowd(330))


def test_many_ports_leave_a_crowded_rrset_whole() -> None:
    """Records, host record and address go, although one batch cannot hold it all."""
    zone = MemoryZone(ORIGIN)
    for port in range(80, 104):
        join(zone, port=port)
    view = view_of(zone.states[-1])
    edit(zone, INSTANCE, "SRV", *view.values, *crowd(320))
    departure = Departure.of(ORIGIN, "http", instance="web", host="a")
    assert len(leaving.leave(operation(zone), departure).members) == 24
    assert values(zone) == set(crowd(320))
    assert not [key for key in zone.states[-1] if key[0] == ORIGIN.child(b"a")]


def test_a_superseded_value_is_claimed_by_its_place() -> None:
    """However often the weight changed before the target did."""
    zone = MemoryZone(ORIGIN)
    join(zone, weight=100)
    edit_member(zone, "a-80", lambda m: replace(m, srv=srv("a", weight=7)))
    join(zone, target="elsewhere.example.org", addresses=[])
    assert [value.format() for value in values(zone)] == ["0 100 80 elsewhere.example.org."]


def test_a_lost_announcement_is_withdrawn_too() -> None:
    """Where what follows finds the RRset full."""
    zone = MemoryZone(ORIGIN, limits=LIMITS, rrsets=[RRset(INSTANCE, "SRV", 60, crowd(400))])
    before = texts(zone)
    actor = Actor(zone, joins(registration()))
    actor.step(Fate.LOST_AFTER)
    assert isinstance(actor.finish(), errors.RRsetFull)
    assert texts(zone) == before


def test_an_announcement_from_the_future_is_not_young() -> None:
    """A clock that runs ahead does not make a dead host adoptable for ever."""
    zone = MemoryZone(ORIGIN)
    join(zone, "a")
    announce(zone, "late", NOW + timedelta(days=1))
    join(zone, "b")
    assert srv("late") not in values(zone)


def test_leaving_all_ports_leaves_a_newcomer_alone() -> None:
    """A port that joins meanwhile is not one of those that set out to leave."""
    zone = MemoryZone(ORIGIN)
    join(zone, port=80)
    departure = Departure.of(ORIGIN, "http", instance="web", host="a")
    actor = Actor(zone, lambda stepped: leaving.leave(operation(stepped), departure))
    actor.step()
    join(zone, port=81)
    result = actor.finish()
    assert isinstance(result, Outcome)
    assert result.members == ("a-80",)
    assert values(zone) == {srv("a", 81)}


def test_failing_to_wait_says_that_it_has_joined() -> None:
    """The change is made, although it is not yet served."""

    class Slow(MemoryZone):
        def wait_served(self, commit: str, deadline: Any) -> None:
            raise errors.DeadlineExceeded("not served yet")

    run = operation(Slow(ORIGIN))
    joining.join(run, registration().wish_in(ORIGIN))
    with pytest.raises(errors.DeadlineExceeded, match="it has joined"):
        run.wait(INSTANCE)


def forced(host: str) -> Departure:
    """The departure of another owner's host."""
    return Departure.of(ORIGIN, "_http._tcp", instance="web", host=host, force=True)


def test_force_takes_another_owners_member_out_and_writes_nothing_else() -> None:
    """Value, records and address of the dead host go; nothing of the caller's appears."""
    zone = MemoryZone(ORIGIN)
    join(zone, "a")
    before = zone.states[-1]
    join(zone, "dead", owner="ec2/123456789012/us-east-1/i-dead")

    outcome = leaving.leave(operation(zone), forced("dead"))

    assert (outcome.members, outcome.held) == (("dead-80",), ())
    assert zone.states[-1] == before
    assert not leaving.leave(operation(zone), forced("dead")).changed


def test_force_leaves_the_record_for_an_agent_to_see() -> None:
    """The value goes at once; the record says hold, until the call is made again."""
    zone = MemoryZone(ORIGIN)
    join(zone, "a")
    before = zone.states[-1]
    join(zone, "b", agent=True, owner="somebody")

    outcome = leaving.leave(operation(zone), forced("b"))

    assert (outcome.members, outcome.held) == (("b-80",), ("b-80",))
    assert values(zone) == {srv("a")}
    member, _ = view_of(zone.states[-1]).members["b-80"]
    assert (member.state, member.is_held) == ("leaving", True)

    assert leaving.leave(operation(zone), forced("b")).members == ("b-80",)
    assert zone.states[-1] == before


def test_force_stops_where_the_host_has_come_back() -> None:
    """A member that joins again meanwhile is not the one that was dead."""
    for steps in range(5):
        zone = MemoryZone(ORIGIN)
        join(zone, "a")
        join(zone, "b")
        actor = Actor(zone, lambda stepped: leaving.leave(operation(stepped), forced("b")))
        for _ in range(steps):
            if not actor.done:
                actor.step()
        join(zone, "b", weight=7)
        actor.finish()
        for state in zone.states:
            check_state(state)
        if isinstance(actor.result, errors.Superseded):
            assert srv("b", weight=7) in values(zone)


@pytest.mark.parametrize("merges", [False, True])
def test_a_lease_is_renewed_once_a_third_of_it_is_gone(merges: bool) -> None:
    """By the same join: announcement and value stay, and in between nothing changes."""
    zone = MemoryZone(ORIGIN, merges=merges)
    wish = registration(lease=900).wish_in(ORIGIN)
    ends = []
    for minutes in (0, 1, 5, 6, 10, 40):
        before = view_of(zone.states[-1]).members.get("a-80")
        now = NOW + timedelta(minutes=minutes)
        outcome = joining.join(operation(zone, now=now), wish)
        member, _ = view_of(zone.states[-1]).members["a-80"]
        assert before is None or member.id == before[0].id
        assert outcome.changed is (before is None or member != before[0])
        assert member.until
        ends.append((member.until - NOW) // timedelta(minutes=1))
        check_projection(zone.states[-1])
    assert ends == [15, 15, 20, 20, 25, 55]

    joining.join(operation(zone), registration().wish_in(ORIGIN))
    assert view_of(zone.states[-1]).members["a-80"][0].until is None


@pytest.mark.parametrize("merges", [False, True])
def test_who_confirms_that_it_lives_is_young_again(merges: bool) -> None:
    """After a zone was restored: one commit, of the member's time alone."""
    zone = MemoryZone(ORIGIN, merges=merges)
    wish = registration().wish_in(ORIGIN)
    joining.join(operation(zone), wish)
    before, _ = view_of(zone.states[-1]).members["a-80"]
    then = NOW + timedelta(hours=20)
    assert not joining.join(operation(zone, now=then), wish).changed

    outcome = joining.join(operation(zone, now=then), replace(wish, confirm=True))

    assert [change.rdtype for change in outcome.changes] == ["TXT"]
    after, _ = view_of(zone.states[-1]).members["a-80"]
    assert after == replace(before, since=then)
    check_projection(zone.states[-1])


def test_a_drained_member_stands_behind_all_others() -> None:
    """Its own agent goes on answering for it; others, and who has left, are not touched."""
    zone = MemoryZone(ORIGIN)
    join(zone, agent=True, ttl=30, lease=900)
    join(zone, "b", addresses=["10.0.0.2"])
    before = view_of(zone.states[-1]).members["b-80"]

    assert draining.drain(operation(zone), registration().departure_in(ORIGIN)) == 30

    view = view_of(zone.states[-1])
    assert view.srv
    assert {v.format().partition(" 80 ")[0] for v in view.srv.values} == {"65535 0", "0 100"}
    member, _ = view.members["a-80"]
    assert (member.has_agent, member.until) == (True, member.since + timedelta(seconds=900))
    assert view.members["b-80"] == before
    states = len(zone.states)
    assert draining.drain(operation(zone), registration("c").departure_in(ORIGIN)) == 0
    assert len(zone.states) == states
