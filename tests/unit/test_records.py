import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import MalformedRecord
from dnssd.names import Name
from dnssd.records import MAX_TTL, Address, Opaque, Ptr, Rdata, Srv, Txt, parse_rdata
from dnssd.rrsets import Change, RRset

NAMES = st.lists(st.binary(min_size=1, max_size=30), max_size=4).map(tuple).map(Name)
PORTS = st.integers(0, 65535)
SRVS = st.builds(Srv, PORTS, PORTS, PORTS, NAMES)
TXTS = st.builds(Txt, st.lists(st.binary(max_size=255), max_size=4).map(tuple))
ADDRESSES = st.builds(Address, st.ip_addresses())
KEYS = st.from_regex(r"\A[ -<>-~]{1,20}\Z")
OWNER = Name.parse("v1._http._tcp.example.com.")


@given(st.one_of(SRVS, st.builds(Ptr, NAMES), TXTS, ADDRESSES))
def test_rdata_reads_back(rdata: Srv | Ptr | Txt | Address) -> None:
    """Text in a master file's escapes gives the same rdata again."""
    text = rdata.format()

    assert text.isascii()
    assert text.isprintable()
    assert type(rdata).parse(text) == rdata
    assert parse_rdata(rdata.rdtype, text) == rdata


FEW = st.lists(st.sampled_from([b"a", b"A", b"b", b"a-"]), max_size=2).map(tuple).map(Name)
ORDERED = [
    FEW,
    st.builds(Srv, st.integers(0, 1), st.just(0), st.just(0), FEW),
    st.builds(Ptr, FEW),
    st.builds(Txt, st.lists(st.sampled_from([b"", b"a", b"A"]), max_size=2).map(tuple)),
    st.builds(Address, st.ip_addresses(v=4)),
    st.builds(Opaque, st.sampled_from(["A", "MX"]), st.sampled_from(["", "a"])),
]


@given(st.one_of([st.tuples(one, one, one) for one in ORDERED]))
def test_names_and_rdata_are_in_a_total_order(three: tuple[Any, Any, Any]) -> None:
    """Of two one is less, or they are equal, case or not; nothing is compared with strangers."""
    low, middle, high = sorted(three)

    assert low <= middle <= high
    assert low <= high
    assert sorted([three[2], three[1], three[0]]) == [low, middle, high]
    for one, other in ((low, middle), (middle, low), (low, high)):
        assert [one < other, one == other, one > other].count(True) == 1
        assert (one <= other) is (one < other or one == other)
    with pytest.raises(TypeError):
        sorted([low, ""])


@given(SRVS)
def test_the_case_of_a_target_is_kept(srv: Srv) -> None:
    """Names are compared without case, so equality alone would not show it."""
    assert Srv.parse(srv.format()).target.labels == srv.target.labels


@given(st.sampled_from([Srv, Ptr, Txt, Address]), st.text())
def test_any_text_is_rdata_or_a_clear_error(kind: Any, text: str) -> None:
    """Nothing but MalformedRecord comes out of text that is none, on one printable line."""
    try:
        message = kind.parse(text).format()
    except MalformedRecord as error:
        message = str(error)
    assert message.isprintable()


@given(st.text(alphabet='"\\ \n0129a;'))
def test_quotes_in_any_arrangement_are_read_or_refused(text: str) -> None:
    """What is read as TXT data has the same meaning written again."""
    try:
        txt = Txt.parse(text)
    except MalformedRecord:
        return
    assert Txt.parse(txt.format()) == txt


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Srv, ""),
        (Srv, "0 0 80"),
        (Srv, "0 0 80 a. b."),
        (Srv, "-1 0 80 a."),
        (Srv, "0 65536 80 a."),
        (Srv, "0 0 ٨ a."),
        (Srv, "0 0 80 a..b."),
        (Srv, "+1 0 80 a."),
        (Srv, "9" * 5000 + " 0 80 a."),
        (Ptr, ""),
        (Ptr, "a. b."),
        (Ptr, "a\\"),
        (Txt, ""),
        (Txt, "unquoted"),
        (Txt, '"open'),
        (Txt, '"a""b"'),
        (Txt, '"\\256"'),
        (Txt, '"' + "x" * 256 + '"'),
        (Address, ""),
        (Address, "10.0.0.256"),
        (Address, "fe80::1%eth0"),
        (Address, "010.0.0.1"),
    ],
)
def test_illegal_rdata_is_refused(kind: Any, text: str) -> None:
    """The error quotes the text and names the type."""
    with pytest.raises(MalformedRecord):
        kind.parse(text)


@pytest.mark.parametrize(
    ("text", "strings"),
    [
        ('""', (b"",)),
        ('"a" "b"', (b"a", b"b")),
        ('  "a"\t"b"\n', (b"a", b"b")),
        (r'"a\"b\\c"', (b'a"b\\c',)),
        (r'"\195\169"', ("é".encode(),)),
        ('"é;"', ("é;".encode(),)),
        ('"a.b"', (b"a.b",)),
    ],
)
def test_txt_text(text: str, strings: tuple[bytes, ...]) -> None:
    """Quoted strings, their escapes undone; dots mean nothing in them."""
    assert Txt.parse(text).strings == strings


def test_no_strings_and_an_empty_one_are_equal() -> None:
    """RFC 6763 section 6.1."""
    assert Txt(()) == Txt((b"",)) == Txt.from_pairs({})
    assert Txt(()).pairs == {}


@given(st.dictionaries(KEYS, st.none() | st.binary(max_size=200), max_size=8))
def test_pairs_read_back(pairs: dict[str, bytes | None]) -> None:
    """Absent, no value, empty value, value: four states, and the value is bytes."""
    pairs = {key.lower(): value for key, value in pairs.items()}

    assert Txt.from_pairs(pairs).pairs == pairs


def test_the_four_states_of_a_key() -> None:
    """RFC 6763 section 6.4, as strings and as pairs."""
    txt = Txt.from_pairs({"novalue": None, "empty": "", "value": "a=b", "bytes": b"\xff"})

    assert txt.strings == (b"novalue", b"empty=", b"value=a=b", b"bytes=\xff")
    assert txt.pairs == {"novalue": None, "empty": b"", "value": b"a=b", "bytes": b"\xff"}


def test_the_first_of_equal_keys_counts_and_nonsense_is_passed_over() -> None:
    """RFC 6763 section 6.4: case does not count, `=x` and unprintable keys are ignored."""
    txt = Txt((b"A=1", b"a=2", b"=x", b"", b"\xff=3", b"b"))

    assert txt.pairs == {"A": b"1", "b": None}


@pytest.mark.parametrize(
    "pairs",
    [
        {"": "x"},
        {"a=b": "x"},
        {"é": "x"},
        {"a\n": "x"},
        {"a": "1", "A": "2"},
        {"a": "x" * 254},
        {"a": "\udcff"},
    ],
)
def test_illegal_pairs_are_refused(pairs: dict[str, str | bytes | None]) -> None:
    """Empty, doubled and unprintable keys, overlong strings, text that is not Unicode."""
    with pytest.raises(MalformedRecord):
        Txt.from_pairs(pairs)


@given(st.text(max_size=10), st.text(max_size=30))
def test_rdata_that_does_not_parse_is_kept(rdtype: str, text: str) -> None:
    """A zone may hold anything; what is not ours is handed back to the letter."""
    rdata = parse_rdata(rdtype, text)

    assert isinstance(rdata, Opaque)
    assert rdata.format() == text


def test_an_address_of_the_other_family_is_opaque() -> None:
    """An IPv6 address is no A rdata."""
    assert parse_rdata("A", "2001:db8::1") == Opaque("A", "2001:db8::1")
    assert parse_rdata("AAAA", "10.0.0.5") == Opaque("AAAA", "10.0.0.5")


def test_an_address_knows_its_type() -> None:
    """A for IPv4, AAAA for IPv6."""
    assert Address(ipaddress.IPv4Address("10.0.0.5")).rdtype == "A"
    assert Address(ipaddress.IPv6Address("2001:db8::1")).rdtype == "AAAA"


@given(st.lists(SRVS, min_size=1, max_size=6))
def test_an_rrset_is_a_set(srvs: list[Srv]) -> None:
    """Order and repetition do not count, nor how it was read."""
    rrset = RRset(OWNER, "SRV", 60, tuple(srvs))

    assert rrset == RRset(OWNER, "SRV", 60, (*reversed(srvs), srvs[0]), as_read=("x",))
    assert set(rrset.values) == set(srvs)
    assert rrset.texts() == tuple(srv.format() for srv in rrset.values)


def test_an_rrset_may_hold_values_that_do_not_parse() -> None:
    """They are sorted behind the others."""
    opaque = Opaque("SRV", "nonsense")
    srv = Srv(0, 0, 80, OWNER)

    assert RRset(OWNER, "SRV", 60, (opaque, srv)).values == (srv, opaque)


def test_changing_values_forgets_how_they_were_read() -> None:
    """None is left of an RRset without values; the TTL stays unless another is given."""
    rrset = RRset(OWNER, "SRV", 60, (Srv(0, 0, 80, OWNER),), as_read=("0  0 80 x.",))
    value = Srv(0, 0, 81, OWNER)

    changed = rrset.with_values([value])

    assert changed == RRset(OWNER, "SRV", 60, (value,))
    assert changed.as_read is None
    assert rrset.with_values([value], ttl=5) == RRset(OWNER, "SRV", 5, (value,))
    assert rrset.with_values([]) is None


@pytest.mark.parametrize("values", [(), (Ptr(OWNER),), (Srv(0, 0, 80, OWNER), Opaque("A", ""))])
def test_an_rrset_has_values_of_its_type(values: tuple[Rdata, ...]) -> None:
    """What has none is no RRset; others could not even be sorted."""
    with pytest.raises(MalformedRecord, match="values"):
        RRset(OWNER, "SRV", 60, values)


@pytest.mark.parametrize("ttl", [-1, MAX_TTL + 1])
def test_illegal_ttls_are_refused(ttl: int) -> None:
    """RFC 2181 section 8: 31 bits."""
    with pytest.raises(MalformedRecord, match="TTL"):
        RRset(OWNER, "SRV", ttl, (Srv(0, 0, 80, OWNER),))


def test_a_change_is_about_one_rrset() -> None:
    """Both sides have one name and type; a change to the same is a guard."""
    one = RRset(OWNER, "PTR", 60, (Ptr(OWNER),))
    other = RRset(OWNER, "TXT", 60, (Txt(),))

    assert Change(None, one).name == OWNER
    assert Change(one, None).rdtype == "PTR"
    assert Change(one, one).is_guard
    assert not Change(one, None).is_guard
    for before, after in ((one, other), (None, None)):
        with pytest.raises(ValueError, match="one name and type"):
            Change(before, after)
