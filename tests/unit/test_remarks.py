"""What a join says beside its result."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dnssd.members import Member
from dnssd.records import Ptr, Txt
from dnssd.registration.operation import Outcome
from dnssd.registration.remarks import replaced, warnings
from dnssd.registration.request import Registration
from dnssd.rrsets import Change, RRset
from kit.interleaving import NOW
from kit.invariants import BROWSE, INSTANCE, ORIGIN, srv

TXT = RRset(INSTANCE, "TXT", 60, (Txt((b"a=1",)),))


def wish(**more: Any) -> Any:
    """What a host asks for."""
    settings: dict[str, Any] = {"addresses": ["10.0.0.1"], **more}
    return Registration(service="http", instance="web", port=80, host="a", **settings).wish_in(
        ORIGIN
    )


OLD = wish().member("1", NOW)


def outcome(*changes: Change, former: Member | None = OLD, changed: bool = True) -> Outcome:
    """What came of a join."""
    return Outcome(
        name=INSTANCE,
        members=("a-80",),
        changed=changed,
        changes=changes,
        defined=False,
        folded=True,
        requests=3,
        former=former,
    )


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, []),
        ({"weight": 5}, ["weight 100 -> 5"]),
        (
            {"priority": 1, "addresses": ["10.0.0.2"]},
            ["priority 0 -> 1", "address 10.0.0.1 -> 10.0.0.2"],
        ),
        (
            {"target": "lb.example.org", "addresses": []},
            ["target a.example.test. -> lb.example.org.", "address 10.0.0.1 -> none"],
        ),
        ({"owner": "other"}, ["owner name/a -> other"]),
        ({"owner": "digest", "former_owners": ("name/a",)}, []),
    ],
)
def test_what_a_join_replaces_is_told(asked: dict[str, Any], told: list[str]) -> None:
    """As old and new; what stays is no news, and neither is anything of a first join."""
    it = wish(**asked)
    assert list(replaced(it, outcome())) == told
    assert not list(replaced(it, outcome(former=None)))
    assert not list(replaced(it, outcome(changed=False)))


def test_new_data_of_the_instance_is_told() -> None:
    """TXT and TTL, which all its hosts share; other records' TTLs are nobody's news."""
    txt = Change(TXT, TXT.with_values((Txt((b"a=2",)),), 30))
    record = RRset(wish().record_name, "TXT", 60, TXT.values)
    assert list(
        replaced(wish(), outcome(txt, Change(record, record.with_values(TXT.values, 5))))
    ) == [
        'TXT "a=1" -> "a=2"',
        "TTL 60 -> 30",
    ]


@pytest.mark.parametrize(
    ("minutes", "asked", "warned"),
    [
        (2, {"addresses": ["10.0.0.2"]}, True),
        (20, {"addresses": ["10.0.0.2"]}, False),
        (2, {}, False),
        (2, {"addresses": ["10.0.0.2"], "owner": "new"}, False),
    ],
)
def test_a_young_member_at_another_address_may_be_a_clone(
    minutes: int, asked: dict[str, Any], warned: bool
) -> None:
    """Two machines of one image have one identity; a host that moved is seldom that quick."""
    old = replace(OLD, since=NOW - timedelta(minutes=minutes))
    told = list(warnings(wish(**asked), outcome(former=old), NOW))
    assert [f"{minutes} min ago" in line and "clone" in line for line in told] == [True] * warned
    left = outcome(former=replace(old, state="leaving"))
    assert not list(warnings(wish(**asked), left, NOW))


@pytest.mark.parametrize(("hosts", "warned"), [(89, 0), (90, 1)])
def test_a_crowded_instance_is_warned_of(hosts: int, warned: int) -> None:
    """Before it is too late: beyond 100 values BIND answers nothing."""
    values = tuple(srv(f"h{number}") for number in range(hosts))
    pointers = tuple(Ptr(BROWSE.child(b"i%d" % number)) for number in range(hosts))
    for rrset in RRset(INSTANCE, "SRV", 60, values), RRset(BROWSE, "PTR", 60, pointers):
        told = list(warnings(wish(), outcome(Change(None, rrset)), NOW))
        assert [f"{rrset.name}: 90 values" in each for each in told] == [True] * warned
