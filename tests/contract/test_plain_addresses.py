"""Plain addresses: what joins and leaves do, the same on every provider."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dnssd.errors import NotShareable, OwnedByAnother, PlaceTaken, UsageError
from dnssd.names import Name
from dnssd.records import Address, Opaque, Rdata
from dnssd.registration.addressing import join_address, leave_address, plan_join_address
from dnssd.registration.operation import Operation, Outcome
from dnssd.registration.plainaddress import AddressWish
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Zone
from kit.everyzone import Opener
from kit.interleaving import patient
from kit.invariants import ORIGIN

PACE = patient(3_600)
WWW = ORIGIN.child(b"www")
HOSTS = {f"h{number}": f"192.0.2.{number}" for number in range(1, 7)}


def wish(host: str, *addresses: str, name: Name = WWW, **others: Any) -> AddressWish:
    """What a host wants."""
    values = tuple(map(Address.parse, addresses))
    settings = {"owner": f"name/{host}", **others}
    return AddressWish(
        origin=ORIGIN,
        name=name,
        label=host,
        addresses=values,
        **settings,
    )


def join(zone: Zone, host: str, *addresses: str, **others: Any) -> Outcome:
    """Join a host."""
    return join_address(Operation(zone, PACE), wish(host, *addresses, **others))


def leave(zone: Zone, host: str, **others: Any) -> Outcome:
    """Take a host out."""
    return leave_address(Operation(zone, PACE), wish(host, **others))


def values(zone: Zone, *types: str, name: Name = WWW) -> set[str]:
    """The addresses at a name."""
    found = (zone.read(name, rdtype, PACE) for rdtype in types or ("A", "AAAA"))
    return {text for rrset in found if rrset for text in rrset.texts()}


def records(zone: Zone, parent: Name) -> set[str]:
    """The labels of the member records below a name."""
    return {
        str(r.name.labels[0].decode()) for r in zone.read_below(parent, PACE) if r.rdtype == "TXT"
    }


def put(zone: Zone, rdtype: str, *put: Rdata, name: Name = WWW) -> None:
    """What another hand writes."""
    zone.commit([Change(None, RRset(name, rdtype, 300, put))], PACE)


@pytest.mark.parametrize("name", [WWW, ORIGIN, ORIGIN.child(b"eu", b"shop")], ids=str)
def test_hosts_share_a_name_and_go_one_by_one(zone: Zone, name: Name) -> None:
    """Both families, and the zone's own name too; the last one leaves nothing."""
    beside = ORIGIN.child(*(name.relative_to(ORIGIN) or (b"_apex",)), b"_dnssd")
    assert join(zone, "a", "192.0.2.1", "2001:db8::1", name=name).changed
    assert not join(zone, "a", "192.0.2.1", "2001:db8::1", name=name).changed
    assert join(zone, "b", "192.0.2.2", name=name).changed
    assert values(zone, name=name) == {"192.0.2.1", "192.0.2.2", "2001:db8::1"}
    assert records(zone, beside) == {"a", "b"}

    assert leave(zone, "a", name=name).members == ("a",)
    assert leave(zone, "a", name=name).members == ()
    assert values(zone, name=name) == {"192.0.2.2"}
    assert leave(zone, "b", name=name).changed
    assert values(zone, name=name) == set()
    assert records(zone, beside) == set()


def test_an_address_that_changes_takes_the_former_one_along(zone: Zone) -> None:
    """And nobody else's; its TTL is changed where one is given."""
    join(zone, "a", "192.0.2.1", "2001:db8::1")
    join(zone, "b", "192.0.2.2")
    assert join(zone, "a", "192.0.2.7").changed
    assert values(zone) == {"192.0.2.7", "192.0.2.2"}
    leave(zone, "b")
    assert join(zone, "a", "192.0.2.7", ttl=120).changed
    rrset = zone.read(WWW, "A", PACE)
    assert rrset is not None
    assert rrset.ttl == 120


def test_what_another_hand_wrote_stays_and_an_equal_one_is_taken_over(zone: Zone) -> None:
    """The usual migration: a value by hand becomes the host's that has this address."""
    put(zone, "A", Address.parse("192.0.2.1"), Address.parse("192.0.2.9"))
    assert join(zone, "a", "192.0.2.1").changed
    assert values(zone) == {"192.0.2.1", "192.0.2.9"}
    assert leave(zone, "a").changed
    assert values(zone) == {"192.0.2.9"}


def test_an_alias_is_refused(zone: Zone) -> None:
    """A name that is a CNAME takes no address."""
    put(zone, "CNAME", Opaque("CNAME", "elsewhere.example.com."))
    with pytest.raises(NotShareable, match="CNAME"):
        join(zone, "a", "192.0.2.1")


def test_one_address_is_one_hosts_and_one_record_one_owners(zone: Zone) -> None:
    """Two hosts behind one address, and two owners of one label, are refused."""
    join(zone, "a", "192.0.2.1")
    with pytest.raises(PlaceTaken, match="by name/a"):
        join(zone, "b", "192.0.2.1")
    with pytest.raises(OwnedByAnother):
        join(zone, "a", "192.0.2.2", owner="name/other")
    with pytest.raises(OwnedByAnother):
        leave(zone, "a", owner="name/other")
    assert values(zone) == {"192.0.2.1"}
    assert leave(zone, "a", owner="name/other", force=True).changed
    assert values(zone) == set()


def test_a_plan_changes_nothing(zone: Zone) -> None:
    """It shows what would be written; a name elsewhere is a usage error."""
    planned = plan_join_address(Operation(zone, PACE), wish("a", "192.0.2.1"))
    assert {(change.rdtype, change.before) for change in planned} == {("A", None), ("TXT", None)}
    assert values(zone) == set()
    with pytest.raises(UsageError, match="not in the zone"):
        wish("a", name=Name.parse("www.example.com"))


def test_hosts_that_join_and_leave_at_once_lose_nothing(opener: Opener) -> None:
    """All in, then all out, beside a value of another hand."""
    zone = opener()
    put(zone, "A", Address.parse("192.0.2.99"))

    def every(act: Iterable[tuple[str, ...]]) -> None:
        with ThreadPoolExecutor(len(HOSTS)) as pool:
            for _ in pool.map(lambda one: act_in(*one), act):
                pass

    def act_in(host: str, *addresses: str) -> Outcome:
        return (join if addresses else leave)(opener(), host, *addresses)

    every(HOSTS.items())
    assert values(zone) == {*HOSTS.values(), "192.0.2.99"}
    every((host,) for host in HOSTS)
    assert values(zone) == {"192.0.2.99"}
