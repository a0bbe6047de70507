"""What a join says beside its result."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dnssd.records import RRset, Txt
from dnssd.registration.remarks import replaced, warnings
from dnssd.registration.request import Registration
from kit.interleaving import NOW
from kit.invariants import INSTANCE, ORIGIN, srv

TXT = RRset(INSTANCE, "TXT", 60, (Txt((b"a=1",)),))


def wish(**more: Any) -> Any:
    """What a host asks for."""
    settings: dict[str, Any] = {"addresses": ["10.0.0.1"], **more}
    return Registration(service="http", instance="web", port=80, host="a", **settings).wish_in(
        ORIGIN
    )


OLD = wish().member("1", NOW)


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
        ({"txt": {"a": "2"}, "ttl": 30}, ['TXT "a=1" -> "a=2"', "TTL 60 -> 30"]),
        ({"txt": {"a": "1"}, "ttl": 60}, []),
    ],
)
def test_what_a_join_replaces_is_told(asked: dict[str, Any], told: list[str]) -> None:
    """As old and new; what stays is no news."""
    it = wish(**asked)
    assert list(replaced(it, OLD, it.member("2", NOW), TXT)) == told


def test_a_first_join_replaces_nothing() -> None:
    """Whatever it asks for."""
    it = wish(txt={"a": "2"}, ttl=5, weight=1)
    assert list(replaced(it, None, it.member("2", NOW), None)) == []


@pytest.mark.parametrize(
    ("minutes", "address", "owner", "warned"),
    [
        (2, "10.0.0.2", "", True),
        (20, "10.0.0.2", "", False),
        (2, "10.0.0.1", "", False),
        (2, "10.0.0.2", "new", False),
    ],
)
def test_a_young_member_at_another_address_may_be_a_clone(
    minutes: int, address: str, owner: str, warned: bool
) -> None:
    """Two machines of one image have one identity; a host that moved is seldom that quick."""
    new = wish(addresses=[address], owner=owner).member("2", NOW)
    old = replace(OLD, since=NOW - timedelta(minutes=minutes))
    told = list(warnings(old, new, (), NOW))
    assert [f"{minutes} min ago" in line and "clone" in line for line in told] == [True] * warned
    assert not list(warnings(replace(old, state="leaving"), new, (), NOW))


@pytest.mark.parametrize(("hosts", "warned"), [(89, 0), (90, 1)])
def test_a_crowded_instance_is_warned_of(hosts: int, warned: int) -> None:
    """Before it is too late: beyond 100 values BIND answers nothing."""
    values = tuple(srv(f"h{number}") for number in range(hosts))
    assert len(list(warnings(None, OLD, values, NOW))) == warned
