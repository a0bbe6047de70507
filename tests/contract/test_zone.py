"""What every `Zone` promises: one suite over memory, Route 53 and servers that take updates."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dnssd.errors import ChangeRejected, Conflict, RRsetFull
from dnssd.names import Name
from dnssd.records import Address, Ptr, Rdata, Txt
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Zone
from kit.everyzone import any_name, listing, merging
from kit.interleaving import patient
from kit.invariants import BROWSE, INSTANCE, ORIGIN, srv

PACE = patient(3_600)


def rrset(name: Name, *values: Rdata, ttl: int = 60) -> RRset:
    """An RRset of values of one type."""
    return RRset(name, values[0].rdtype, ttl, values)


def shared(before: RRset | None, after: RRset | None) -> Change:
    """A change of single values."""
    return Change(before, after, shared=True)


def put(zone: Zone, *rrsets: RRset) -> None:
    """Create RRsets."""
    zone.commit([Change(None, one) for one in rrsets], PACE)


def test_what_is_committed_is_read_back(zone: Zone) -> None:
    """An RRset reads as it was written; another type or name reads as nothing."""
    written = rrset(INSTANCE, srv("a"), srv("b", weight=7))
    put(zone, written)
    assert zone.read(INSTANCE, "SRV", PACE) == written
    assert zone.read(INSTANCE, "TXT", PACE) is None
    assert zone.read(BROWSE, "SRV", PACE) is None


@any_name
@pytest.mark.parametrize(
    "value",
    [
        Txt((b'a="quoted"', b"back\\slash", bytes(range(256))[:200], b"caf\xc3\xa9", b"")),
        Txt(()),
        Ptr(BROWSE.child("Café · bar. 3\\4".encode())),
        Ptr(BROWSE.child(b"\x00\xff *")),
        Address.parse("10.0.0.5"),
        Address.parse("2001:db8::1"),
    ],
    ids=str,
)
def test_any_byte_survives_the_way_there_and_back(zone: Zone, value: Rdata) -> None:
    """Names and strings hold any byte, whatever the provider's escapes."""
    is_address = isinstance(value, Address)  # BIND wants a host's name above one
    name = ORIGIN.child(b"host") if is_address else BROWSE.child("Ünï cødé.*".encode())
    put(zone, rrset(name, value))
    assert zone.read(name, value.rdtype, PACE) == rrset(name, value)
    assert zone.read_node(name, PACE) == (rrset(name, value),)


def test_names_are_found_whatever_their_case(zone: Zone) -> None:
    """DNS names have no case (RFC 4343)."""
    put(zone, rrset(Name.parse("Web.Example.TEST"), Address.parse("10.0.0.5")))
    assert zone.read(Name.parse("wEB.example.test"), "A", PACE) is not None


@listing
def test_below_a_name_are_its_descendants_and_nobody_else(zone: Zone) -> None:
    """A sibling that starts alike is not below; a deeper name is."""
    child = INSTANCE.child(b"a-80")
    inside = [rrset(INSTANCE, srv("a")), rrset(INSTANCE, Txt()), rrset(child, Txt((b"x",)))]
    inside.append(rrset(child.child(b"deep"), Txt((b"y",))))
    outside = [BROWSE.child(label) for label in (b"web-2", b"webb", b"we", b"0", b"zz")]
    put(zone, *inside, *(rrset(name, srv("o")) for name in outside))
    found = zone.read_below(INSTANCE, PACE)
    assert {(one.name, one.rdtype) for one in found} == {(o.name, o.rdtype) for o in inside}


def test_at_a_name_is_only_what_stands_at_it(zone: Zone) -> None:
    """Descendants and neighbours are left out."""
    host = ORIGIN.child(b"host")
    put(zone, rrset(host, Address.parse("10.0.0.5")), rrset(host, Txt((b"x",))))
    put(zone, rrset(host.child(b"below"), Txt((b"y",))))
    put(zone, rrset(ORIGIN.child(b"hosu"), Txt((b"z",))))
    assert [one.rdtype for one in zone.read_node(host, PACE)] == ["A", "TXT"]
    assert zone.read_node(ORIGIN.child(b"nobody"), PACE) == ()


@listing
def test_a_long_listing_is_whole(zone: Zone) -> None:
    """More RRsets than a page holds."""
    names = [INSTANCE.child(f"host{number:03}-80".encode()) for number in range(650)]
    for start in range(0, len(names), 325):
        put(zone, *(rrset(name, Txt((b"x",))) for name in names[start : start + 325]))
    assert sorted(one.name for one in zone.read_below(INSTANCE, PACE)) == sorted(names)


def test_a_change_swaps_what_was_read(zone: Zone) -> None:
    """Read, change, commit: the values, and the TTL."""
    put(zone, rrset(INSTANCE, srv("a")))
    before = zone.read(INSTANCE, "SRV", PACE)
    assert before is not None
    after = before.with_values((srv("a"), srv("b")), ttl=90)
    zone.commit([Change(before, after)], PACE)
    assert zone.read(INSTANCE, "SRV", PACE) == rrset(INSTANCE, srv("a"), srv("b"), ttl=90)


def test_a_guard_is_a_commit_that_changes_nothing(zone: Zone) -> None:
    """DELETE and CREATE of the same content are taken, and leave it there."""
    put(zone, rrset(INSTANCE, srv("a")))
    read = zone.read(INSTANCE, "SRV", PACE)
    zone.commit([Change(read, read)], PACE)
    assert zone.read(INSTANCE, "SRV", PACE) == read


@pytest.mark.parametrize(
    ("there", "believed"),
    [
        (rrset(INSTANCE, srv("a")), None),
        (None, rrset(INSTANCE, srv("a"))),
        (rrset(INSTANCE, srv("a")), rrset(INSTANCE, srv("a", weight=1))),
        (rrset(INSTANCE, srv("a"), srv("b")), rrset(INSTANCE, srv("a"))),
        (rrset(INSTANCE, srv("a")), rrset(INSTANCE, srv("a"), srv("b"))),
    ],
    ids=["exists", "absent", "other value", "more values", "fewer values"],
)
def test_a_stale_belief_conflicts_and_writes_nothing(
    zone: Zone, there: RRset | None, believed: RRset | None
) -> None:
    """A batch is made whole or not at all; one stale change spoils it."""
    if there:
        put(zone, there)
    good = Change(None, rrset(ORIGIN.child(b"host"), Address.parse("10.0.0.5")))
    with pytest.raises(Conflict) as caught:
        zone.commit([good, Change(believed, rrset(INSTANCE, srv("c")))], PACE)
    assert caught.value.name in (str(ORIGIN), str(INSTANCE))
    with pytest.raises(Conflict):
        zone.commit([Change(believed, rrset(INSTANCE, srv("c"))), good], PACE)
    assert zone.read(INSTANCE, "SRV", PACE) == there
    assert zone.read(good.name, "A", PACE) is None


@listing
def test_a_stale_ttl_conflicts(zone: Zone) -> None:
    """Where RRsets are compared as a whole; prerequisites of updates leave it out."""
    put(zone, rrset(INSTANCE, srv("a")))
    believed = rrset(INSTANCE, srv("a"), ttl=61)
    with pytest.raises(Conflict):
        zone.commit([Change(believed, rrset(INSTANCE, srv("c")))], PACE)


def test_what_is_not_in_the_zone_is_refused(zone: Zone) -> None:
    """Nothing is written under a name that the zone does not contain."""
    with pytest.raises((Conflict, ChangeRejected)):
        put(zone, rrset(Name.parse("host.badexample.test"), Address.parse("10.0.0.5")))


def test_more_values_than_an_rrset_holds_are_refused(zone: Zone) -> None:
    """Before anything is sent; the error names the way out."""
    with pytest.raises(RRsetFull, match="second instance"):
        put(zone, rrset(INSTANCE, *(srv(f"host{number}") for number in range(401))))
    assert zone.read_node(INSTANCE, PACE) == ()


@listing
def test_more_than_a_commit_holds_is_refused_before_it_is_sent(zone: Zone) -> None:
    """32,000 characters in a batch."""
    values = [Txt((b"x" * 250,) * 14 + (str(number).encode(),)) for number in range(10)]
    with pytest.raises(RRsetFull, match="second instance"):
        put(zone, rrset(INSTANCE, *values))
    assert zone.read_node(INSTANCE, PACE) == ()


def test_concurrent_swaps_lose_nothing(zone: Zone) -> None:
    """Eight writers that read, add and commit until it is taken: eight values."""
    put(zone, rrset(INSTANCE, srv("first")))

    def add(number: int) -> None:
        while True:
            before = zone.read(INSTANCE, "SRV", PACE)
            assert before is not None
            after = before.with_values((*before.values, srv(f"host{number}")))
            try:
                zone.commit([Change(before, after)], PACE)
                return
            except Conflict:
                continue

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    found = zone.read(INSTANCE, "SRV", PACE)
    assert found is not None
    assert set(found.values) == {srv("first"), *(srv(f"host{number}") for number in range(8))}


@any_name  # Cloudflare's name servers are beyond this machine
def test_waiting_ends_once_a_commit_is_served(zone: Zone) -> None:
    """What was committed is waited for by its identifier."""
    commit = zone.commit([Change(None, rrset(INSTANCE, srv("a")))], PACE)
    zone.wait_served(commit, PACE)


@any_name  # Cloudflare's first commit lists the zone, too
def test_requests_are_counted(zone: Zone) -> None:
    """The figures that users see are the requests that were sent."""
    before = zone.requests
    put(zone, rrset(INSTANCE, Txt((b"x",))))
    zone.read(INSTANCE, "TXT", PACE)
    zone.read_node(INSTANCE, PACE)
    zone.read_below(INSTANCE, PACE)
    assert zone.requests == before + 4


@merging
def test_single_values_are_added_and_deleted_beside_others(zone: Zone) -> None:
    """Of a shared RRset: whatever stands there otherwise stays, and nobody conflicts."""
    first = rrset(INSTANCE, srv("a"))
    zone.commit([shared(None, first)], PACE)
    zone.commit([shared(None, rrset(INSTANCE, srv("b")))], PACE)
    zone.commit([shared(first, first.with_values((*first.values, srv("c"))))], PACE)
    assert zone.read(INSTANCE, "SRV", PACE) == rrset(INSTANCE, srv("a"), srv("b"), srv("c"))
    zone.commit([shared(first, None)], PACE)
    zone.commit([shared(first, None)], PACE)
    assert zone.read(INSTANCE, "SRV", PACE) == rrset(INSTANCE, srv("b"), srv("c"))


@merging
def test_what_is_to_be_absent_is_a_condition(zone: Zone) -> None:
    """A commit that relies on it conflicts if it is there, and writes nothing."""
    put(zone, rrset(INSTANCE, srv("a")))
    new = Change(None, rrset(INSTANCE, Txt((b"x",))))
    with pytest.raises(Conflict):
        zone.commit([new], PACE, absent=[(INSTANCE, "SRV")])
    zone.commit([new], PACE, absent=[(BROWSE, "PTR")])
    assert zone.read(INSTANCE, "TXT", PACE) == new.after


def test_many_questions_are_answered_at_once(zone: Zone) -> None:
    """What is there, in any order; nothing for what is not."""
    texts, values = rrset(INSTANCE, Txt((b"x",))), rrset(BROWSE, Ptr(INSTANCE))
    put(zone, texts, values)
    asked = [(INSTANCE, "SRV"), (INSTANCE, "TXT"), (BROWSE, "PTR"), (BROWSE, "TXT")]
    found = zone.read_many(asked, PACE)
    assert sorted(found, key=lambda one: one.rdtype) == [values, texts]
