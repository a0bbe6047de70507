"""The plain name of an instance: when it is written, the same on every provider."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.records import Address, Opaque, Rdata
from dnssd.registration.plainname import Told, plain_record, write
from dnssd.registration.request import Registration
from dnssd.registration.wish import Wish, check_plain
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Zone
from dnssd.zones.memory import MemoryZone
from kit.everyzone import SERVERS, Opener
from kit.interleaving import Fate, Recorded, Stepped, patient
from kit.invariants import ORIGIN, srv

PACE = patient(3_600)
HOST = ORIGIN.child(b"web")
PLAIN = HOST.child(b"_http", b"_tcp")
ELSEWHERE = Opaque("CNAME", "elsewhere.example.com.")
A, NS = Address.parse("192.0.2.1"), Opaque("NS", "ns.elsewhere.test.")
WILDCARD = (ORIGIN.child(b"*"), A)

Records = tuple[tuple[Name, Rdata], ...]


def wish(instance: str = "web") -> Wish:
    """A host's, of this instance."""
    registration = Registration(
        service="http", instance=instance, port=80, host="a", addresses=["192.0.2.1"]
    )
    return registration.wish_in(ORIGIN)


def wanted(zone: Zone, instance: str = "web") -> Told:
    """Have its plain name there."""
    return write(zone, wish(instance), None, PACE)


def put(zone: Zone, *records: tuple[Name, Rdata]) -> None:
    """What another hand has written."""
    for name, value in records:
        zone.commit([Change(None, RRset(name, value.rdtype, 300, (value,)))], PACE)


def at(zone: Zone, name: Name = PLAIN) -> list[str]:
    """The CNAME record at a name."""
    rrset = zone.read(name, "CNAME", PACE)
    return list(rrset.texts()) if rrset else []


ALLOWED: dict[str, Records] = {
    "nothing there": (),
    "a host, and another service's": ((HOST, A), (HOST.child(b"_ssh", b"_tcp"), srv("h"))),
    "a wildcard, and a host of that name": (WILDCARD, (HOST, A)),
    "a wildcard, and something below": (WILDCARD, (HOST.child(b"x"), A)),
    "a wildcard nearer than that": (WILDCARD, (HOST.child(b"*"), A)),
    "a wildcard elsewhere": ((ORIGIN.child(b"*", b"other"), A),),
}


@pytest.mark.parametrize("records", ALLOWED.values(), ids=ALLOWED)
def test_it_is_written_once(zone: Zone, records: Records) -> None:
    """And found from then on, under an origin of its own case."""
    put(zone, *records)
    assert wanted(zone) == Told(PLAIN, "written")
    (value,) = at(zone)
    assert Name.parse(value) == wish().name
    assert wanted(zone) == wanted(zone, "WEB") == Told(PLAIN, "there")
    assert plain_record(zone, wish().name, PACE) is not None


DENIED: dict[str, tuple[str, Records]] = {
    "another alias": ("CNAME", ((PLAIN, ELSEWHERE),)),
    "a plain SRV record": ("SRV", ((PLAIN, srv("h")),)),
    "a delegation": ("delegated", ((HOST, NS),)),
    "a delegation of _tcp": ("delegated", ((HOST.child(b"_tcp"), NS),)),
    "a wildcard": ("would not any more", (WILDCARD,)),
    "a wildcard that is an alias": ("would not", ((ORIGIN.child(b"*"), ELSEWHERE),)),
}


@pytest.mark.parametrize(("why", "records"), DENIED.values(), ids=DENIED)
def test_it_is_not_written_where_it_does_harm(zone: Zone, why: str, records: Records) -> None:
    """It is told why, and what stands there stays."""
    put(zone, *records)
    told = wanted(zone)
    assert (told.name, told.state) == (PLAIN, "not written")
    assert why in (told.why or "")
    if why != "delegated":
        assert wish().name not in map(Name.parse, at(zone))


@pytest.mark.parametrize("opener", ["memory", *SERVERS], indirect=True)
def test_it_is_not_written_below_a_dname(zone: Zone) -> None:
    """Route 53 and Cloudflare have no such records."""
    put(zone, (HOST, Opaque("DNAME", "elsewhere.example.com.")))
    told = wanted(zone)
    assert (told.state, "DNAME" in (told.why or "")) == ("not written", True)


def test_hosts_that_write_it_at_the_same_time_agree(opener: Opener) -> None:
    """One of them has written it, and no other minds."""
    zones = [opener() for _ in range(4)]
    with ThreadPoolExecutor(len(zones)) as pool:
        told = list(pool.map(wanted, zones))
    assert {each.state for each in told} <= {"written", "there"}
    assert at(zones[0])


@pytest.mark.parametrize(
    ("fate", "state"), [(Fate.LOST_AFTER, "written"), (Fate.LOST_BEFORE, "not written")]
)
def test_a_lost_answer_is_judged_by_reading_again(fate: Fate, state: str) -> None:
    """Of the one commit, which is not repeated."""
    memory = MemoryZone(ORIGIN)
    fates = iter([Fate.FAIR, Fate.FAIR, fate])
    zone = Stepped(Recorded.memory(memory), lambda: next(fates, Fate.FAIR))
    told = wanted(zone)
    assert told.state == state
    assert len(memory.states) == (2 if state == "written" else 1)
    assert bool(told.why) == (state == "not written")


@pytest.mark.parametrize("instance", [None, "default", "My web", "a.b", "-a", "a-", "_a", "é"])
def test_some_instances_can_have_none(instance: str | None) -> None:
    """Where no host could be called so."""
    with pytest.raises(UsageError, match="one label of letters"):
        check_plain(instance)
    check_plain("web-1")


def test_what_says_something_else_is_not_ours(zone: Zone) -> None:
    """So it is not removed with the instance."""
    put(zone, (PLAIN, ELSEWHERE))
    assert plain_record(zone, wish().name, PACE) is None
    assert plain_record(zone, wish("other").name, PACE) is None
