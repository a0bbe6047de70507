"""The sandbox's zones: what a batch makes of them, and what a listing shows."""

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.names import Name
from dnssd.sandbox.api.hostedzones import HostedZone, HostedZones, Vpc
from dnssd.sandbox.api.rdata import wire_rdata
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset, Routing, listing_key
from dnssd.sandbox.api.validation import read_name, value_problem
from dnssd.zones.route53.text import write_name

ORIGIN = Name.parse("example.test")


def rrset(name: str, *values: str, rdtype: str = "A", ttl: int = 60) -> HostedRRset:
    """An RRset whose name may hold octal escapes."""
    return HostedRRset(read_name(name), rdtype, ttl, values or ("10.0.0.1",))


def create(name: str, *values: str, rdtype: str = "A", ttl: int = 60) -> Edit:
    """A CREATE of `rrset(...)`."""
    return Edit(Action.CREATE, rrset(name, *values, rdtype=rdtype, ttl=ttl))


def delete(name: str, *values: str, rdtype: str = "A", ttl: int = 60) -> Edit:
    """A DELETE of `rrset(...)`."""
    return Edit(Action.DELETE, rrset(name, *values, rdtype=rdtype, ttl=ttl))


def store_with(edits: Iterable[Edit] = ()) -> tuple[HostedZones, str]:
    """A store with one zone that `edits` were made to, and the zone's identifier."""
    store = HostedZones()
    zone = store.create_zone(ORIGIN, caller_reference="test")
    for edit in edits:
        store.change(zone.id, [edit])
    return store, zone.id


def names(zone: HostedZone) -> list[str]:
    """The owner names in the order of a listing."""
    return [write_name(found.name) for found in zone.rrsets]


def test_a_new_zone_holds_its_name_servers_and_soa() -> None:
    """The apex has four NS values and a SOA of 60 seconds, so absence is soon forgotten."""
    zone = HostedZones().create_zone(Name.parse("Example.Test"), caller_reference="a")

    ns, soa = zone.node(ORIGIN)
    assert (ns.rdtype, ns.ttl, len(ns.texts)) == ("NS", 172800, 4)
    assert (soa.rdtype, soa.ttl) == ("SOA", 60)
    assert soa.texts[0].endswith(" 60")
    assert not zone.private


def test_a_node_has_what_stands_at_its_name_and_nothing_else() -> None:
    """Neighbours and descendants are not part of a node."""
    store, zone_id = store_with(
        [create("a.example.test"), create("b.a.example.test"), create("a-b.example.test")]
    )
    zone = store.zone(zone_id)

    assert [rrset.name for rrset in zone.node(Name.parse("A.example.TEST"))] == [
        Name.parse("a.example.test")
    ]
    assert zone.node(Name.parse("c.example.test")) == ()


def test_an_empty_non_terminal_is_seen_from_what_stands_below_it() -> None:
    """Labels are looked at: neither a longer label nor an escaped dot is a descendant."""
    store, zone_id = store_with(
        [create("x.a.example.test"), create("bb.example.test"), create(r"x\056c.example.test")]
    )
    zone = store.zone(zone_id)

    for label, exists in (("a", True), ("x.a", True), ("b", False), ("c", False), ("zz", False)):
        assert zone.exists(listing_key(Name.parse(f"{label}.example.test").key)) is exists


LABELS = st.text("ab.-*", min_size=1, max_size=2).map(str.encode) | st.binary(
    min_size=1, max_size=2
)


@given(st.lists(LABELS, max_size=3), st.lists(LABELS, max_size=3), st.booleans())
def test_a_listing_key_starts_with_that_of_each_ancestor(
    one: list[bytes], other: list[bytes], related: bool
) -> None:
    """In the order of a listing exactly the descendants of a name follow it directly."""
    above, name = Name(tuple(one)), Name((*other, *one) if related else tuple(other))
    assert listing_key(name.key).startswith(listing_key(above.key)) == name.is_below(above)
    assert (listing_key(name.key) == listing_key(above.key)) == (name == above)


def test_a_listing_is_in_the_order_of_reversed_labels_with_the_dot() -> None:
    """A hyphen comes before the dot, so `a-b` precedes `a` and all below `a`."""
    wanted = ["a-b", "a", "z.a", "b"]
    store, zone_id = store_with(create(f"{label}.example.test") for label in reversed(wanted))

    assert names(store.zone(zone_id))[2:] == [f"{label}.example.test." for label in wanted]


def test_a_snapshot_stays_as_it_was() -> None:
    """A reader that holds a zone sees none of the later changes."""
    store, zone_id = store_with()
    before = store.zone(zone_id)
    store.change(zone_id, [create("a.example.test")])

    assert before.node(Name.parse("a.example.test")) == ()
    assert store.zone(zone_id).node(Name.parse("a.example.test"))


def test_a_rejected_batch_leaves_the_zone_itself() -> None:
    """An error in the last change undoes the first."""
    store, zone_id = store_with([create("a.example.test")])
    before = store.zone(zone_id)

    with pytest.raises(Rejection) as caught:
        store.change(zone_id, [create("b.example.test"), create("a.example.test")])
    assert caught.value.code == "InvalidChangeBatch"
    assert store.zone(zone_id) is before
    assert len(store.log()) == 1


SMALL = st.tuples(
    st.sampled_from(list(Action)),
    st.sampled_from(["a.example.test", "b.example.test"]),
    st.sampled_from([("10.0.0.1",), ("10.0.0.2",), ("10.0.0.1", "10.0.0.2")]),
)
Step = tuple[Action, str, tuple[str, ...]]


def outcome(held: dict[str, tuple[str, ...]], batch: list[Step]) -> dict[str, tuple[str, ...]]:
    """What a batch makes of `held`, by Route 53's rules; `held` itself if it is refused."""
    after = dict(held)
    for name in {name for _, name, _ in batch}:
        match [(action, values) for action, named, values in batch if named == name]:
            case [(Action.UPSERT, values)]:
                after[name] = values
            case [(Action.CREATE, values)] if name not in held:
                after[name] = values
            case [(Action.DELETE, values)] if held.get(name) == values:
                del after[name]
            case [(Action.DELETE, old), (Action.CREATE, new)] if held.get(name) == old:
                after[name] = new
            case _:
                return held
    return after


@given(st.lists(st.lists(SMALL, min_size=1, max_size=4), max_size=12))
def test_batches_are_compare_and_swap(batches: list[list[Step]]) -> None:
    """Any batches do to a zone what they do to a dict under the same rules, or nothing."""
    store, zone_id = store_with()
    held: dict[str, tuple[str, ...]] = {}
    for batch in batches:
        wanted = outcome(held, batch)
        edits = [Edit(action, rrset(name, *values)) for action, name, values in batch]
        try:
            store.change(zone_id, edits)
        except Rejection:
            assert wanted is held
        else:
            assert wanted is not held
        held = wanted

        zone = store.zone(zone_id)
        assert {
            write_name(found.name).rstrip("."): found.texts for found in zone.rrsets[2:]
        } == held


def test_the_apex_may_be_changed_but_not_emptied() -> None:
    """NS and SOA can be swapped in one batch; without them there is no zone."""
    store, zone_id = store_with()
    ns, soa = store.zone(zone_id).since(("", "", ""))
    shorter = HostedRRset(ORIGIN, "SOA", 30, soa.texts)

    store.change(zone_id, [Edit(Action.DELETE, soa), Edit(Action.CREATE, shorter)])
    assert store.zone(zone_id).node(ORIGIN)[1].ttl == 30
    with pytest.raises(Rejection, match="exactly one SOA record"):
        store.change(zone_id, [Edit(Action.DELETE, shorter)])
    with pytest.raises(Rejection, match="at least one NS record for the zone itself"):
        store.change(zone_id, [Edit(Action.DELETE, ns)])


def test_a_soa_stands_at_the_apex_only() -> None:
    """Below it there is no zone that it could begin."""
    store, zone_id = store_with()
    (text,) = store.zone(zone_id).node(ORIGIN)[1].texts

    with pytest.raises(Rejection, match="only at the apex"):
        store.change(zone_id, [create("a.example.test", text, rdtype="SOA")])


def test_an_alias_counts_as_one_record() -> None:
    """A batch of aliases has its limit too."""
    store, zone_id = store_with()
    routing: Routing = (("AliasTarget", (("DNSName", "b.example.test."),)),)
    edits = [
        Edit(Action.CREATE, HostedRRset(Name.parse(f"h{n}.example.test"), "A", 0, (), routing))
        for n in range(1001)
    ]
    with pytest.raises(Rejection, match="Number of records limit of 1000 exceeded"):
        store.change(zone_id, edits)
    store.change(zone_id, edits[1:])


def test_writers_take_turns() -> None:
    """Threads that are interrupted anywhere lose none of their commits."""
    store, zone_id = store_with()

    def write(thread: int) -> None:
        for number in range(40):
            store.change(zone_id, [create(f"h{thread}-{number}.example.test")])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
    finally:
        sys.setswitchinterval(interval)

    assert len(store.zone(zone_id).rrsets) == 2 + 8 * 40
    sizes = [len(zone.rrsets) for zone in store.log()]
    assert sizes == list(range(3, 3 + 8 * 40))


def test_a_zone_is_full_at_its_limit() -> None:
    """One RRset more than the limit is refused; a swap at the limit is not."""
    store = HostedZones(max_rrsets=3)
    zone = store.create_zone(ORIGIN, caller_reference="a")
    store.change(zone.id, [create("a.example.test")])

    with pytest.raises(Rejection, match="limit of 3 exceeded"):
        store.change(zone.id, [create("b.example.test")])
    store.change(zone.id, [delete("a.example.test"), create("b.example.test")])


def test_the_log_remembers_the_zone_after_each_batch_and_forgets_the_oldest() -> None:
    """As it was, not as it is."""
    store = HostedZones(max_log=2)
    zone = store.create_zone(ORIGIN, caller_reference="a")
    for label in "abc":
        store.change(zone.id, [create(f"{label}.example.test")])

    first, second = store.log()
    assert [len(each.rrsets) for each in (first, second)] == [4, 5]
    assert second is store.zone(zone.id)


def test_a_change_is_in_sync_after_its_time() -> None:
    """The passed-in clock alone decides."""
    clock = [0.0]
    store = HostedZones(now=lambda: clock[0], insync_after=30)
    zone = store.create_zone(ORIGIN, caller_reference="a")
    change = store.change(zone.id, [create("a.example.test")])

    assert not store.insync(store.submission(change.id))
    clock[0] = 30.0
    assert store.insync(store.submission(change.id))


def test_zones_of_one_name_are_told_apart() -> None:
    """A public and a private zone of one name may both be there, each with its own records."""
    store = HostedZones()
    public = store.create_zone(ORIGIN, caller_reference="a")
    private = store.create_zone(ORIGIN, caller_reference="b", vpc=Vpc(), zone_id="ZPRIVATE")
    store.change(private.id, [create("a.example.test")])

    assert [zone.id for zone in store.zones()] == [public.id, "ZPRIVATE"]
    assert [zone.private for zone in store.zones()] == [False, True]
    assert len(store.zone(public.id).rrsets) == 2


@pytest.mark.parametrize(("reference", "zone_id"), [("a", "ZB"), ("b", "ZA")])
def test_a_zone_is_made_once(reference: str, zone_id: str) -> None:
    """A caller reference or identifier that was used is refused."""
    store = HostedZones()
    store.create_zone(ORIGIN, caller_reference="a", zone_id="ZA")

    with pytest.raises(Rejection, match="HostedZoneAlreadyExists"):
        store.create_zone(ORIGIN, caller_reference=reference, zone_id=zone_id)
    assert len(store.zones()) == 1


@pytest.mark.parametrize(
    ("rdtype", "text"),
    [
        ("A", "10.0.0.1"),
        ("AAAA", "2001:db8::1"),
        ("CAA", '0 issue "ca.example.net"'),
        ("CNAME", "Other.example.test"),
        ("MX", "10 mail.example.test."),
        ("NS", "ns-1.sandbox.test."),
        ("PTR", r"My\040Site._http._tcp.example.test."),
        ("SOA", "ns.example.test. admin.example.test. 1 7200 900 1209600 86400"),
        ("SPF", '"v=spf1 -all"'),
        ("SRV", "0 100 4218 i-0abc.example.test."),
        ("SRV", "0 0 0 ."),
        ("TXT", '""'),
        ("TXT", r'"a\;b\,c"'),
        ("TXT", r'"path=/a \"b\" \\ \303\251" "x"  "y"'),
        ("TXT", " ".join(['"' + "a" * 255 + '"'] * 15 + ['"' + "a" * 128 + '"'])),  # 4,000
        ("TXT", '"' + r"\303" * 255 + '"'),
        ("NAPTR", '100 10 "u" "E2U+sip" "!^.*$!sip:a@example.test!" .'),
        ("PTR", 'a;b(c@d"e$f.example.test.'),
    ],
)
def test_a_value_of_its_type_is_taken(rdtype: str, text: str) -> None:
    """What is well formed has no problem."""
    assert value_problem(rdtype, text) is None


@pytest.mark.parametrize(
    ("rdtype", "text", "problem"),
    [
        ("A", "10.0.0", "ARRDATAIllegalIPv4Address"),
        ("A", "::1", "ARRDATAIllegalIPv4Address"),
        ("A", "10.0.0.1 ", "ARRDATANotSingleField"),
        ("A", "", "ARRDATAIllegalIPv4Address"),
        ("AAAA", "10.0.0.1", "AAAARRDATAIllegalIPv6Address"),
        ("AAAA", "fe80::1%eth0", "AAAARRDATAIllegalIPv6Address"),
        ("CAA", "0 issue ca", "CAA"),
        ("CAA", '256 issue "ca"', "CAA"),
        ("CNAME", "", "DomainLabelEmpty"),
        ("CNAME", "a..b", "DomainLabelEmpty"),
        ("CNAME", "a b", "CNAMERRDATANotSingleField"),
        ("CNAME", "a" * 64 + ".test.", "DomainLabelTooLong"),
        ("CNAME", ".".join(["a" * 63] * 4), "DomainNameTooLong"),
        ("PTR", "é.example.test.", "UnsupportedCharacter"),
        ("PTR", r"my\.site.example.test.", "UnsupportedCharacter"),
        ("PTR", r"my\400site.example.test.", "UnsupportedCharacter"),
        ("MX", "mail.example.test.", "MXRRDATAIllegal"),
        ("MX", "65536 mail.example.test.", "MXRRDATAIllegal"),
        ("SOA", "ns. admin. 1 7200 900 1209600", "SOARRDATAIllegal"),
        ("SOA", "ns. admin. 1 7200 900 1209600 4294967296", "SOARRDATAIllegal"),
        ("SRV", "0 100 4218", "SRVRRDATANot4Fields"),
        ("SRV", "0  100 4218 a.", "SRVRRDATANot4Fields"),
        ("SRV", "0 100 65536 a.", "SRVRRDATAIllegalPort"),
        ("SRV", "-1 100 1 a.", "SRVRRDATAIllegalPriority"),
        ("SRV", "0 100 1 a..b.", "DomainLabelEmpty"),
        ("TXT", "plain", "InvalidCharacterString"),
        ("TXT", '"a" b', "InvalidCharacterString"),
        ("TXT", '"a""b"', "InvalidCharacterString"),
        ("TXT", '"a', "InvalidCharacterString"),
        ("TXT", r'"\9"', "InvalidCharacterString"),
        ("TXT", '"' + "a" * 256 + '"', "CharacterStringTooLong"),
        ("TXT", '"é"', "UnsupportedCharacter"),
        ("TXT", '"a\nb"', "UnsupportedCharacter"),
        ("TXT", " ".join(['"' + "a" * 255 + '"'] * 15 + ['"' + "a" * 129 + '"']), "TooLong"),
        ("NAPTR", "é", "UnsupportedCharacter"),
        ("NAPTR", "anything", "NAPTRRRDATAIllegal"),
    ],
)
def test_a_value_not_of_its_type_is_refused(rdtype: str, text: str, problem: str) -> None:
    """What is not well formed is called by Route 53's name for the problem."""
    found = value_problem(rdtype, text)
    assert found is not None
    assert problem in found


@given(st.lists(st.binary(min_size=1, max_size=5), min_size=1, max_size=4))
def test_a_name_that_is_listed_can_be_sent_again(labels: list[bytes]) -> None:
    """The octal form of any name is read as that name."""
    name = Name(tuple(labels))
    assert read_name(write_name(name)) == name


TEXTS = st.text() | st.text('ab.@$;()"\\0 1', max_size=12)


@given(st.sampled_from(["A", "AAAA", "CAA", "MX", "PTR", "SOA", "SRV", "TXT"]), TEXTS)
def test_no_text_is_too_odd_to_be_judged(rdtype: str, text: str) -> None:
    """A value is taken or refused, whatever it is; what is taken has a meaning."""
    if value_problem(rdtype, text) is None:
        octets = wire_rdata(rdtype, text).octets
        assert octets == read_name(text).octets if rdtype == "PTR" else octets
