"""What must hold in every state of a zone: the invariants of registration."""

from collections.abc import Collection, Mapping

from dnssd.errors import MalformedRecord
from dnssd.members import HostRecord
from dnssd.names import Name
from dnssd.records import Ptr, Rdata, Srv, Txt
from dnssd.registration.views import InstanceView
from dnssd.rrsets import RRset
from dnssd.sandbox.api.hostedzones import HostedZone
from dnssd.sandbox.api.rrsets import HostedRRset
from dnssd.services import Service
from dnssd.zones.route53.text import read_rrset, write_name

State = Mapping[tuple[Name, str], RRset]

ORIGIN = Name.parse("example.test")
SERVICE = Service("http")
BROWSE = SERVICE.in_domain(ORIGIN)
ENUMERATION = SERVICE.enumeration_in(ORIGIN)
INSTANCE = BROWSE.child(b"web")


def rrset_of(hosted: HostedRRset) -> RRset:
    """An RRset of the sandbox, as whoever lists it reads it."""
    listed = {
        "Name": write_name(hosted.name),
        "Type": hosted.rdtype,
        "TTL": hosted.ttl,
        "ResourceRecords": [{"Value": text} for text in hosted.texts],
    }
    routing = ((tag, part if isinstance(part, str) else dict(part)) for tag, part in hosted.routing)
    return read_rrset(listed | dict(routing))


def state_of(zone: HostedZone) -> State:
    """A snapshot of the sandbox's zone, its apex left out."""
    rrsets = map(rrset_of, zone.rrsets)
    return {(r.name, r.rdtype): r for r in rrsets if r.name != zone.origin}


def view_of(state: State, name: Name = INSTANCE) -> InstanceView:
    """The instance in a state."""
    return InstanceView.of(name, [r for r in state.values() if r.name.is_below(name)])


def check_state(
    state: State, foreign: Collection[Rdata] = (), revived: Collection[Rdata] = ()
) -> None:
    """Invariants 1, 4 and 5 in one state.

    Args:
        state: The zone's RRsets.
        foreign: SRV values that another hand wrote and nobody may remove.
        revived: Values of hosts that another tool may have written back after they left:
            foreign until that host joins again, and then its own.
    """
    view = view_of(state)
    assert set(foreign) <= set(view.values), "1: a foreign value was removed"
    assert set(view.unexplained) <= {*foreign, *revived}, "4: a value has no member record"
    members = [member for member, _ in view.members.values()]
    for host in {m.srv.target for m in members if m.addresses}:
        if (host, "A") in state or (host, "AAAA") in state:
            assert host_record(state, host), f"4: the address of {host} has no host record"
    if any(view.publishes(member) for member in members):
        check_definition(state)


def check_definition(state: State) -> None:
    """Invariant 5: the service and the instance are known."""
    assert (INSTANCE, "TXT") in state, "5: the instance has no TXT"
    for owner, target in ((BROWSE, INSTANCE), (ENUMERATION, BROWSE)):
        pointers = state.get((owner, "PTR"))
        assert pointers is not None, f"5: {owner} has no PTR"
        assert Ptr(target) in pointers.values, f"5: no PTR to {target}"


def check_projection(
    state: State, foreign: Collection[Rdata] = (), revived: Collection[Rdata] = ()
) -> None:
    """The SRV RRset is what the member records say, and nothing else but foreign values."""
    view = view_of(state)
    members = [member for member, _ in view.members.values()]
    wanted = {member.srv for member in members if member.state == "up"} | set(foreign)
    wanted |= set(view.unexplained) & set(revived)
    assert set(view.values) == wanted
    for member in members:
        if member.state == "up" and member.addresses:
            addresses = state.get((member.srv.target, member.addresses[0].rdtype))
            assert addresses is not None, f"{member.label} has no address"


def host_record(state: State, host: Name) -> HostRecord | None:
    """The host record at a name."""
    rrset = state.get((host, "TXT"))
    if rrset is None or not isinstance(rrset.values[0], Txt):
        return None
    try:
        return HostRecord.from_txt(rrset.values[0], ORIGIN)
    except MalformedRecord:
        return None


def srv(host: str, port: int = 80, weight: int = 100, priority: int = 0) -> Srv:
    """The value of a host."""
    return Srv(priority, weight, port, ORIGIN.child(host.encode()))
