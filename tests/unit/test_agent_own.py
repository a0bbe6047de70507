"""What an agent makes of what DNS shows of its own member."""

from datetime import UTC, datetime

import pytest

from dnssd.agent.own import Published, Seen, sight
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Address, Srv, Txt
from dnssd.registration.addressmembers import AddressMember

NAME = Name.parse("web._http._tcp.example.test.")
HOST = Name.parse("i-0.example.test.")
OWN = Published(NAME, NAME.child(b"i-0-80"), 60, HOST, 80)
VALUE = Srv(0, 100, 80, HOST)
MEMBER = Member(
    label="i-0-80",
    srv=VALUE,
    addresses=(),
    owner="name/i-0",
    since=datetime(2026, 1, 1, tzinfo=UTC),
    id="k3f9",
)


def record(member: Member, *also: bytes) -> Txt:
    """The member record's data, with more strings."""
    return Txt((*member.to_txt().strings, *also))


@pytest.mark.parametrize(
    ("txt", "srvs", "expected"),
    [
        (record(MEMBER), {VALUE}, "there"),
        (record(MEMBER), {Srv(9, 1, 80, HOST)}, "there"),
        (record(MEMBER), set(), "gone"),
        (record(MEMBER), {Srv(0, 100, 81, HOST)}, "gone"),
        (None, {VALUE}, "gone"),
        (Txt((b"v=spf1",)), {VALUE}, "gone"),
        (record(MEMBER.leaving()), {VALUE}, "gone"),
        (record(MEMBER.leaving(), b"hold=k3f9"), set(), "held"),
        (record(MEMBER.leaving(), b"hold=older"), set(), "gone"),
    ],
)
def test_what_dns_shows(txt: Txt | None, srvs: set[Srv], expected: str) -> None:
    """Published is what has its record and value; held what somebody took out on purpose.

    A hold is a word about one announcement: one of an older life does not count.
    """
    assert sight(Seen(txt, frozenset(srvs)), OWN) == expected


WWW = Name.parse("www.example.test.")
ADDRESSES = Address.parse("192.0.2.7"), Address.parse("2001:db8::7")
WWW_RECORD = AddressMember(
    label="i-0", addresses=ADDRESSES, owner="name/i-0", since=MEMBER.since, id="k3f9"
).to_txt()


@pytest.mark.parametrize(
    ("txt", "values", "expected"),
    [
        (WWW_RECORD, {*ADDRESSES, Address.parse("192.0.2.9")}, "there"),
        (WWW_RECORD, {ADDRESSES[0]}, "gone"),
        (None, {*ADDRESSES}, "gone"),
        (Txt((b"v=spf1",)), {*ADDRESSES}, "gone"),
    ],
)
def test_what_dns_shows_of_a_plain_address(
    txt: Txt | None, values: set[Address], expected: str
) -> None:
    """Its record and all of its values; where a provider stands before it, the record alone."""
    record = WWW.child(b"_dnssd", b"i-0")
    own = Published(WWW, record, 60, addresses=frozenset(ADDRESSES))
    assert sight(Seen(txt, frozenset(values)), own) == expected
    proxied = Published(WWW, record, 60)
    assert sight(Seen(txt, frozenset()), proxied) == ("there" if txt == WWW_RECORD else "gone")
