"""What an agent makes of what DNS shows of its own member."""

from datetime import UTC, datetime

import pytest

from dnssd.agent.own import Published, Seen, sight
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Srv, Txt

NAME = Name.parse("web._http._tcp.example.test.")
OWN = Published(NAME, NAME.child(b"i-0-80"), Name.parse("i-0.example.test."), 80, 60)
VALUE = Srv(0, 100, 80, OWN.target)
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
        (record(MEMBER), {Srv(9, 1, 80, OWN.target)}, "there"),
        (record(MEMBER), set(), "gone"),
        (record(MEMBER), {Srv(0, 100, 81, OWN.target)}, "gone"),
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
