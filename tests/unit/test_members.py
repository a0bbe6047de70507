"""Member and host records: what is written is read back, and nothing else is taken for one."""

import contextlib
import ipaddress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import MalformedRecord
from dnssd.members import FORMAT, HostRecord, Member, member_label
from dnssd.names import Name
from dnssd.records import Address, Srv, Txt

ORIGIN = Name.parse("example.com")
LABELS = st.binary(min_size=1, max_size=20)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: Name(tuple(labels)))
PORTS = st.integers(0, 65535)
SRVS = st.builds(Srv, PORTS, PORTS, PORTS, NAMES)
WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=50
)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda time: time.replace(microsecond=0, tzinfo=UTC)
)
UNKNOWN = st.binary(max_size=100).map(lambda string: b"x-" + string)
HOST_LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,55}[a-z0-9])?", fullmatch=True)
MEMBERS = st.builds(
    Member,
    label=st.builds(member_label, HOST_LABELS, st.integers(1, 65535)),
    srv=SRVS,
    addresses=st.lists(st.ip_addresses().map(Address), max_size=3).map(tuple),
    owner=WORDS,
    since=TIMES,
    id=WORDS,
    state=st.sampled_from(["up", "leaving"]),
    was=st.lists(SRVS, max_size=3).map(tuple),
    until=st.none() | TIMES,
    agent=st.just("") | WORDS,
    hold=st.just("") | WORDS,
    version=st.integers(1, 999_999_999),
    unknown=st.lists(UNKNOWN, max_size=3).map(tuple),
)
MEMBER = Txt(
    (
        b"dnssd=1",
        b"srv=0 100 4218 i-0abc.example.com.",
        b"addr=10.0.0.5",
        b"owner=ec2/123456789012/us-west-2/i-0abc",
        b"since=2026-11-21T01:00:00Z",
        b"id=k3f9",
        b"state=up",
    )
)


def test_words_about_another_announcement_do_not_count() -> None:
    """A version that does not know them copies them into the next one."""
    txt = Txt((*MEMBER.strings, b"agent=k3f9", b"hold=old"))
    member = Member.from_txt(b"i-0abc-4218", txt)
    assert (member.has_agent, member.is_held) == (True, False)
    assert not Member.from_txt(b"i-0abc-4218", MEMBER).has_agent


@given(MEMBERS)
def test_a_member_record_reads_as_it_was_written(member: Member) -> None:
    """Whatever the target's bytes, the owner's letters, and keys of later versions."""
    assert Member.from_txt(member.label.encode(), member.to_txt()) == member


def test_the_member_record_is_as_documented() -> None:
    """The form that other versions and people read."""
    member = Member.from_txt(b"I-0ABC-4218", MEMBER)
    assert member.label == "i-0abc-4218"
    assert member.srv == Srv(0, 100, 4218, Name.parse("i-0abc.example.com"))
    assert member.addresses == (Address(ipaddress.ip_address("10.0.0.5")),)
    assert member.since == datetime(2026, 11, 21, 1, tzinfo=UTC)
    assert member.to_txt() == MEMBER


@pytest.mark.parametrize(
    ("index", "string"),
    [
        (0, b""),
        (0, b"dnssd="),
        (0, b"dnssd=0"),
        (0, b"dnssd=01"),
        (0, b"dnssd=one"),
        (0, b"dnssd=-1"),
        (0, b"dnssd=1234567890"),
        (1, b"srv="),
        (1, b"srv=0 100 i-0abc.example.com."),
        (1, b"srv=0 100 65536 i-0abc.example.com."),
        (2, b"addr=10.0.0"),
        (3, b"owner="),
        (3, b"owner=\xff"),
        (4, b"since=yesterday"),
        (4, b"since=2026-13-01T00:00:00Z"),
        (5, b"ID=k3f9"),
        (6, b"state=gone"),
        (6, b"until=soon"),
        (6, b"dnssd=1"),
    ],
)
def test_anything_else_is_no_member_record(index: int, string: bytes) -> None:
    """A damaged record is nobody's, and says so."""
    strings = [*MEMBER.strings[:index], string, *MEMBER.strings[index + 1 :]]
    with pytest.raises(MalformedRecord, match="not a member record"):
        Member.from_txt(b"i-0abc-4218", Txt(tuple(strings)))


@pytest.mark.parametrize("label", [b"web", b"a-b", b"-80", b"caf\xc3\xa9-80", b"a b-80"])
def test_a_member_record_stands_at_host_and_port(label: bytes) -> None:
    """Another name is not a member's."""
    with pytest.raises(MalformedRecord):
        Member.from_txt(label, MEMBER)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_text_breaks_the_readers(strings: list[bytes]) -> None:
    """TXT records hold anything; the readers raise their own error or none."""
    for read in (
        lambda txt: Member.from_txt(b"a-80", txt),
        lambda txt: HostRecord.from_txt(txt, ORIGIN),
    ):
        with contextlib.suppress(MalformedRecord):
            read(Txt(tuple(strings)))


@given(
    st.builds(
        HostRecord,
        owner=WORDS,
        used=st.lists(NAMES.map(lambda name: ORIGIN.child(*name.labels)), max_size=3).map(tuple),
        version=st.integers(1, 99),
        unknown=st.lists(UNKNOWN, max_size=3).map(tuple),
    )
)
def test_a_host_record_reads_as_it_was_written(record: HostRecord) -> None:
    """The names of its users are relative to the zone."""
    assert HostRecord.from_txt(record.to_txt(ORIGIN), ORIGIN) == record


def test_a_host_record_goes_with_its_last_user() -> None:
    """Taking a user out leaves the others, and nothing when there is none."""
    one, two = ORIGIN.child(b"one"), ORIGIN.child(b"two")
    record = HostRecord("me", (one, two))
    assert record.without([two]) == HostRecord("me", (one,))
    assert record.without([one, two]) is None


def test_a_newer_format_is_known_as_such() -> None:
    """So that this version leaves it as it is."""
    newer = Txt((b"dnssd=2", *MEMBER.strings[1:], b"color=blue"))
    member = Member.from_txt(b"i-0abc-4218", newer)
    assert member.is_newer
    assert member.version == FORMAT + 1
    assert member.to_txt() == newer


def test_a_member_claims_values_by_target_and_port() -> None:
    """Whatever their weight; and those it had before."""
    member = Member.from_txt(b"i-0abc-4218", Txt((*MEMBER.strings, b"was=0 0 1 old.example.com.")))
    host = Name.parse("I-0ABC.example.com")
    assert member.claims(Srv(9, 9, 4218, host))
    assert not member.claims(Srv(0, 100, 4219, host))
    assert member.claims(Srv(0, 0, 1, Name.parse("old.example.com")))
    assert member.claims(Srv(1, 0, 1, Name.parse("old.example.com")))
    assert not member.claims(Srv(0, 0, 2, Name.parse("old.example.com")))
    assert not member.claims("0 100 4218 i-0abc.example.com.")
