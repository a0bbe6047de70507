"""Route 53's notation: octal escapes, values to the letter, and what a batch may hold."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import MalformedName, RRsetFull
from dnssd.names import Name
from dnssd.records import Address, Opaque, Ptr, Rdata, Srv, Txt
from dnssd.rrsets import Change, RRset
from dnssd.zones.route53.text import (
    LIMITS,
    MAX_COMMENT,
    comment,
    read_name,
    read_rrset,
    read_value,
    texts,
    write_change,
    write_name,
    write_value,
)

NAMES = st.lists(st.binary(min_size=1, max_size=30), max_size=4).map(tuple).map(Name)
PORTS = st.integers(0, 65535)
VALUES = st.one_of(
    st.builds(Srv, PORTS, PORTS, PORTS, NAMES),
    st.builds(Ptr, NAMES),
    st.builds(Txt, st.lists(st.binary(max_size=255), max_size=4).map(tuple)),
    st.builds(Address, st.ip_addresses()),
)
OWNER = Name.parse("v1._http._tcp.example.com.")


@given(NAMES)
def test_a_name_reads_back_with_its_case(name: Name) -> None:
    """It is plain ASCII on the way."""
    text = write_name(name)
    assert set(text) <= set(map(chr, range(0x21, 0x7F)))
    assert read_name(text).labels == name.labels


def test_a_star_and_a_space_are_octal() -> None:
    """In a master file they are decimal."""
    name = Name((b"*", b"a b", "é".encode()))
    assert write_name(name) == r"\052.a\040b.\303\251."
    assert read_name(r"\052.a\040b.\303\251.") == name


@pytest.mark.parametrize("text", ["\\400", "\\089", "\\189", "\\777", "\\", "\\1"])
def test_illegal_octal_is_refused(text: str) -> None:
    """Three digits must be one byte in base eight."""
    with pytest.raises(MalformedName):
        read_name(text)


@given(VALUES)
def test_a_value_reads_back(value: Srv | Ptr | Txt | Address) -> None:
    """With its names' case, which equality does not see."""
    text = write_value(value)
    assert text.isascii()
    assert text.isprintable()
    assert read_value(value.rdtype, text) == value
    assert write_value(read_value(value.rdtype, text)) == text


@given(st.sampled_from(["SRV", "TXT", "PTR", "A", "MX"]), st.text(alphabet='"\\ \n0189a.;é'))
def test_what_does_not_parse_is_kept_to_the_letter(rdtype: str, text: str) -> None:
    """A zone may hold anything, and a DELETE must say it again."""
    value: Rdata = read_value(rdtype, text)
    if isinstance(value, Opaque):
        assert write_value(value) == text
    else:
        assert read_value(rdtype, write_value(value)) == value


def test_txt_data_is_read_in_octal() -> None:
    """Quotes and backslashes have no digits."""
    assert read_value("TXT", r'"\303\251\"\\c"') == Txt(('é"\\c'.encode(),))


LISTED = {
    "Name": r"\052.example.com.",
    "Type": "SRV",
    "TTL": 30,
    "ResourceRecords": [{"Value": "0  0 80 Host.example.com"}],
}


def test_a_delete_repeats_the_listing_to_the_letter_and_a_create_does_not() -> None:
    """Which is what Route 53 compares; a guard repeats it in both."""
    rrset = read_rrset(LISTED)
    value = Srv(0, 1, 80, Name.parse("host.example.com"))
    swapped, guard = Change(rrset, rrset.with_values([value])), Change(rrset, rrset)
    assert [values(item) for item in write_change(swapped)] == [
        ("DELETE", ["0  0 80 Host.example.com"]),
        ("CREATE", ["0 1 80 host.example.com."]),
    ]
    assert [values(item) for item in write_change(guard)] == [
        ("DELETE", ["0  0 80 Host.example.com"]),
        ("CREATE", ["0  0 80 Host.example.com"]),
    ]
    assert next(write_change(guard))["ResourceRecordSet"]["Name"] == r"\052.example.com."


@pytest.mark.parametrize(
    ("extra", "kind"),
    [
        ({}, None),
        ({"SetIdentifier": "a", "Weight": 0}, "weighted"),
        ({"SetIdentifier": "a", "MultiValueAnswer": True}, "multivalue"),
        ({"SetIdentifier": "a", "CidrRoutingConfig": {}}, "IP-based"),
        ({"SetIdentifier": "a", "SomethingNew": 1}, "routed"),
        ({"HealthCheckId": "h"}, "health-checked"),
    ],
)
def test_what_routes_is_another_kind(extra: dict[str, Any], kind: str | None) -> None:
    """Also where the way of routing is not known yet."""
    assert read_rrset({**LISTED, **extra}).kind == kind


def test_an_alias_shows_where_it_leads() -> None:
    """It has no values and no TTL of its own."""
    rrset = read_rrset({"Name": "a.", "Type": "A", "AliasTarget": {"DNSName": "b."}})
    assert (rrset.kind, rrset.ttl, rrset.values) == ("alias", 0, (Opaque("A", "ALIAS b."),))
    assert texts(rrset) == ()


@pytest.mark.parametrize(
    ("count", "size", "says"),
    [
        (401, 1, "401 values"),
        (2, 4000, "a record has 4002 characters"),
        (9, 3900, r"characters would be needed and 32000 are allowed"),
    ],
)
def test_a_batch_holds_so_much(count: int, size: int, says: str) -> None:
    """400 values an RRset, 4,000 characters a value, 32,000 a batch."""
    made = tuple(Opaque("SPF", f'"{number:0{size}}"') for number in range(count))
    with pytest.raises(RRsetFull, match=says):
        LIMITS.check([Change(None, RRset(OWNER, "SPF", 60, made))])
    assert not LIMITS.fits([Change(None, RRset(OWNER, "SPF", 60, made))])
    LIMITS.check([Change(None, RRset(OWNER, "SPF", 60, (Opaque("SPF", "x" * 4000),)))])


def test_characters_are_counted_as_listed() -> None:
    """Of what is deleted it is the listed text that goes into the batch."""
    listed = read_rrset({**LISTED, "ResourceRecords": [{"Value": r"0 0 80 \141\142."}]})
    assert LIMITS.cost([Change(listed, None)]).characters == len(r"0 0 80 \141\142.")
    assert LIMITS.for_newcomers().characters == 30_400


def values(item: dict[str, Any]) -> tuple[str, list[str]]:
    """The action and the values of one item of a batch."""
    rrset = item["ResourceRecordSet"]
    return item["Action"], [record["Value"] for record in rrset["ResourceRecords"]]


def test_a_batch_says_who_made_it_and_whose_values_it_folds() -> None:
    """For the account's log, within what Route 53 takes."""
    names = ["a-80.web._http._tcp", "a", "b-8080.web._http._tcp", "web._http._tcp"]
    rrsets = [
        RRset(Name.parse(f"{name}.example.com."), "TXT", 60, (Txt((b"",)),)) for name in names
    ]
    changes = [Change(rrset, rrset) for rrset in (*rrsets, *rrsets)]
    assert comment("join a", changes) == "dnssd join a: a-80, b-8080"
    assert comment("", changes[3:4]) == "dnssd"
    many = [
        replace(rrsets[0], name=Name.parse(f"i-{number:017x}-80.example.com."))
        for number in range(30)
    ]
    told = comment("join a", [Change(rrset, None) for rrset in many])
    assert len(told) == MAX_COMMENT
    assert told.endswith(" ...")
