"""What joins and leaves do, the same on every provider."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from dnssd import Registration, join, leave
from dnssd.errors import AddressConflict, NotShareable, OwnedByAnother, PlaceTaken, Refused
from dnssd.names import Name
from dnssd.records import Address, Opaque, Ptr, Rdata, Txt
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Zone
from kit.everyzone import Opener
from kit.interleaving import patient
from kit.invariants import BROWSE, ENUMERATION, INSTANCE, ORIGIN, srv

PACE = patient(3_600)
HOSTS = [f"h{number}" for number in range(8)]


def web(host: str, address: str = "10.0.0.1", **others: object) -> Registration:
    """A host's membership in `web`."""
    where = {} if "target" in others else {"addresses": [address]}
    settings = {"service": "http", "instance": "web", "port": 80, **where, **others}
    return Registration(host=host, **settings)  # type: ignore[arg-type] # checked by itself


def values(zone: Zone, name: Name, rdtype: str) -> set[Rdata]:
    """What stands under a name."""
    rrset = zone.read(name, rdtype, PACE)
    return set(rrset.values) if rrset else set()


def put(zone: Zone, name: Name, rdtype: str, *put: Rdata) -> None:
    """What another hand writes."""
    zone.commit([Change(None, RRset(name, rdtype, 60, put))], PACE)


def at_host(zone: Zone, host: str) -> set[str]:
    """The types that stand at a host's name."""
    return {rrset.rdtype for rrset in zone.read_node(ORIGIN.child(host.encode()), PACE)}


def test_a_join_publishes_the_service_and_its_host(zone: Zone) -> None:
    """Everything that a DNS-SD client asks for, and who put it there."""
    outcome = join(zone, web("a", txt={"version": "1"}))
    assert outcome.changed
    assert values(zone, ENUMERATION, "PTR") == {Ptr(BROWSE)}
    assert values(zone, BROWSE, "PTR") == {Ptr(INSTANCE)}
    assert values(zone, INSTANCE, "SRV") == {srv("a")}
    assert values(zone, INSTANCE, "TXT") == {Txt((b"version=1",))}
    assert values(zone, ORIGIN.child(b"a"), "A") == {Address.parse("10.0.0.1")}
    assert {rrset.name for rrset in zone.read_below(INSTANCE, PACE)} == {
        INSTANCE,
        INSTANCE.child(b"a-80"),
    }


def test_joining_again_changes_nothing(zone: Zone) -> None:
    """And a change of weight replaces one's own value alone."""
    join(zone, web("a"))
    join(zone, web("b"))
    assert not join(zone, web("a")).changed
    assert join(zone, web("a", weight=5)).changed
    assert values(zone, INSTANCE, "SRV") == {srv("a", weight=5), srv("b")}


def test_leaving_takes_ones_own_and_leaves_the_definition(zone: Zone) -> None:
    """The last host, too; leaving again changes nothing."""
    for host in "ab":
        join(zone, web(host))
    assert leave(zone, web("a")).members == ("a-80",)
    assert values(zone, INSTANCE, "SRV") == {srv("b")}
    assert at_host(zone, "a") == set()
    leave(zone, web("b"))
    assert not leave(zone, web("b")).changed
    assert values(zone, INSTANCE, "SRV") == set()
    assert values(zone, BROWSE, "PTR") == {Ptr(INSTANCE)}
    assert [rrset.rdtype for rrset in zone.read_below(INSTANCE, PACE)] == ["TXT"]


def test_the_address_goes_with_its_last_user(zone: Zone) -> None:
    """Two services of one host share it."""
    join(zone, web("a"))
    join(zone, web("a", port=81))
    leave(zone, web("a"))
    assert at_host(zone, "a") == {"A", "TXT"}
    leave(zone, web("a", port=81))
    assert at_host(zone, "a") == set()


def test_what_another_hand_wrote_stays(zone: Zone) -> None:
    """Values of the service, and an address that is equal."""
    put(zone, INSTANCE, "SRV", srv("by-hand", 8080))
    put(zone, BROWSE, "PTR", Ptr(BROWSE.child(b"other")))
    put(zone, ORIGIN.child(b"a"), "A", Address.parse("10.0.0.1"))
    join(zone, web("a"))
    assert values(zone, INSTANCE, "SRV") == {srv("a"), srv("by-hand", 8080)}
    leave(zone, web("a"))
    assert values(zone, INSTANCE, "SRV") == {srv("by-hand", 8080)}
    assert values(zone, BROWSE, "PTR") == {Ptr(INSTANCE), Ptr(BROWSE.child(b"other"))}
    assert values(zone, ORIGIN.child(b"a"), "A") == {Address.parse("10.0.0.1")}


def test_another_owner_is_refused_and_may_be_replaced(zone: Zone) -> None:
    """By who says so; the one that was replaced can no longer leave."""
    join(zone, web("a", owner="one"))
    with pytest.raises(OwnedByAnother, match="belongs to one"):
        join(zone, web("a", "10.0.0.2", owner="two"))
    with pytest.raises(OwnedByAnother):
        leave(zone, web("a", owner="two"))
    join(zone, web("a", "10.0.0.2", owner="two", takeover=True))
    assert values(zone, ORIGIN.child(b"a"), "A") == {Address.parse("10.0.0.2")}
    with pytest.raises(OwnedByAnother):
        leave(zone, web("a", owner="one"))
    leave(zone, web("a", owner="two"))
    assert values(zone, INSTANCE, "SRV") == set()


def test_another_address_under_the_name_is_refused(zone: Zone) -> None:
    """And nothing is left behind."""
    put(zone, ORIGIN.child(b"a"), "A", Address.parse("10.9.9.9"))
    with pytest.raises(AddressConflict, match=r"10\.9\.9\.9"):
        join(zone, web("a"))
    assert values(zone, INSTANCE, "SRV") == set()
    assert zone.read_below(BROWSE, PACE) == ()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (INSTANCE, NotShareable),
        (ORIGIN.child(b"a"), AddressConflict),
        (INSTANCE.child(b"a-80"), Refused),
        (BROWSE, Refused),
        (ENUMERATION, Refused),
        (INSTANCE.child(b"_members"), NotShareable),
    ],
    ids=str,
)
def test_an_alias_in_the_way_is_refused(zone: Zone, name: Name, error: type[Refused]) -> None:
    """At each name that is written; nothing is left behind."""
    if name == INSTANCE.child(b"_members") and zone.traits.lists:
        return  # no index is written there
    put(zone, name, "CNAME", Opaque("CNAME", "elsewhere.example.test."))
    with pytest.raises(error):
        join(zone, web("a"))
    assert [r.rdtype for r in zone.read_node(name, PACE)] == ["CNAME"]
    assert values(zone, INSTANCE.child(b"a-80"), "TXT") == set()


def test_an_explicit_txt_and_ttl_replace_the_instances(zone: Zone) -> None:
    """Otherwise they stay as the first join made them."""
    join(zone, web("a", txt={"version": "1"}, ttl=120))
    join(zone, web("b"))
    assert values(zone, INSTANCE, "TXT") == {Txt((b"version=1",))}
    found = zone.read(INSTANCE, "SRV", PACE)
    assert found is not None
    assert found.ttl == 120
    join(zone, web("b", txt={"version": "2"}))
    assert values(zone, INSTANCE, "TXT") == {Txt((b"version=2",))}


def test_one_target_and_port_is_one_members(zone: Zone) -> None:
    """Of two hosts behind one name, the second is refused."""
    join(zone, web("a", target="balancer.example.com."))
    with pytest.raises(PlaceTaken, match="a-80"):
        join(zone, web("b", target="balancer.example.com."))
    assert values(zone, INSTANCE.child(b"b-80"), "TXT") == set()
    leave(zone, web("a", target="balancer.example.com."))
    assert values(zone, INSTANCE, "SRV") == set()


def test_hosts_that_join_and_leave_at_once_lose_nothing(opener: Opener) -> None:
    """Eight of them, in threads."""
    zones = dict(zip(HOSTS, (opener() for _ in HOSTS), strict=True))
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        list(pool.map(lambda host: join(zones[host], web(host)), HOSTS))
    zone = opener()
    assert values(zone, INSTANCE, "SRV") == {srv(host) for host in HOSTS}
    assert members(zone) == set(HOSTS)
    with ThreadPoolExecutor(len(HOSTS)) as pool:
        list(pool.map(lambda host: leave(zones[host], web(host)), HOSTS[:4]))
    assert values(zone, INSTANCE, "SRV") == {srv(host) for host in HOSTS[4:]}
    assert members(zone) == set(HOSTS[4:])


def members(zone: Zone) -> Iterable[str]:
    """The hosts that have a member record."""
    found = zone.read_below(INSTANCE, PACE)
    labels = (r.name.labels[0].decode() for r in found if r.name != INSTANCE)
    return {label.rpartition("-")[0] for label in labels}
