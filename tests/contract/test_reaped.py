"""Taking the dead out, the same on every provider."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from dnssd import Registration, join
from dnssd.registration.operation import Operation
from dnssd.registration.reaper import Reaped, Reaper
from dnssd.rrsets import Change
from dnssd.zones.base import Zone
from kit.everyzone import Opener
from kit.interleaving import patient
from kit.invariants import INSTANCE, ORIGIN

PACE = patient(3_600)


def owner(host: str) -> str:
    """The owner of a host's members."""
    return f"ec2/123456789012/us-east-1/{host}"


def reap(zone: Zone, dead: Iterable[str], *, later: timedelta = timedelta(hours=1)) -> Reaped:
    """One run, some time from now, where EC2 says that these hosts are terminated."""

    def words(owners: Iterable[str]) -> Mapping[str, str]:
        terminated = set(map(owner, dead))
        return {one: "terminated" if one in terminated else "running" for one in owners}

    operation = Operation(zone, patient(3_600), now=lambda: datetime.now(UTC) + later)
    reaper = Reaper(operation, words)
    return reaper.remove(reaper.find(1))


def hosts(zone: Zone) -> set[str]:
    """The targets of the instance's values."""
    rrset = zone.read(INSTANCE, "SRV", PACE)
    return {text.rpartition(" ")[2].partition(".")[0] for text in rrset.texts()} if rrset else set()


def test_the_dead_go_and_then_their_records(opener: Opener) -> None:
    """Their values at once, under the brake, and their records ten minutes later."""
    zone = opener()
    for host in "abc":
        web = Registration(
            service="http",
            instance="web",
            port=80,
            host=host,
            addresses=["10.0.0.1"],
            owner=owner(host),
        )
        join(zone, web)
    record = zone.read(INSTANCE.child(b"b-80"), "TXT", PACE)
    zone.commit([Change(record, None)], PACE)  # by another hand: its value and its host stay

    first = reap(opener(), "ab")

    assert [one.label for one in first.removed] == ["a-80"]
    assert [one.label for one in first.held] == ["b-80"]
    assert hosts(zone) == {*"bc"}
    second = reap(opener(), "ab", later=timedelta(hours=2))
    assert [one.label for one in second.removed] == ["b-80"]
    assert second.cleaned == [(INSTANCE, "a-80")]
    assert hosts(zone) == {"c"}
    assert {rrset.name for rrset in zone.read_below(INSTANCE, PACE)} == {
        INSTANCE,
        INSTANCE.child(b"b-80"),  # it has a record again, and that is marked
        INSTANCE.child(b"c-80"),
    }
    assert not zone.read_node(ORIGIN.child(b"a"), PACE)
