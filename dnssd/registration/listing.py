"""What a zone holds of services: their instances, and what keeps clients from seeing them."""

from collections.abc import Iterable, Mapping, Sequence

from dnssd.deadline import Deadline
from dnssd.names import Name
from dnssd.registration.views import InstanceView
from dnssd.rrsets import RRset
from dnssd.services import PROTOCOLS, ServiceType, instance_text
from dnssd.zones.base import Zone

_FEW = 4  # hosts whose addresses are asked for one by one; of more the zone is listed


def instance_views(browse: Name, below: Sequence[RRset]) -> list[InstanceView]:
    """Every instance that has records in a listing from a service's name.

    One that is only pointed to was not written by this tool, which always adds TXT data.
    """
    depth = len(browse.labels) + 1
    names = {
        Name(rrset.name.labels[-depth:])
        for rrset in below
        if rrset.name != browse and rrset.name.is_below(browse)
    }
    return [
        InstanceView.of(name, [rrset for rrset in below if rrset.name.is_below(name)])
        for name in sorted(names)
        if name.labels[0].lower() != b"_sub"
    ]


def service_views(
    zone: Zone, deadline: Deadline, service: ServiceType | None = None, *, plain: bool = False
) -> dict[ServiceType, list[InstanceView]]:
    """The instances of one service, or of all that the zone holds, by service.

    Args:
        zone: Where.
        deadline: When to give up.
        service: Which service; None for all.
        plain: Whether a service's own SRV records are an instance, the last one, under its name.

    Raises:
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long.
    """
    if service is not None:
        browse = service.in_domain(zone.origin)
        below = zone.read_below(browse, deadline)
        return {service: instance_views(browse, below) + (_plain(browse, below) if plain else [])}
    found: dict[ServiceType, list[InstanceView]] = {}
    for protocol in PROTOCOLS:
        top = zone.origin.child(protocol.encode())
        below = zone.read_below(top, deadline)
        for each in _services(top, below):
            browse = each.in_domain(zone.origin)
            views = instance_views(browse, below) + (_plain(browse, below) if plain else [])
            if views:
                found[each] = views
    return found


def all_views(origin: Name, rrsets: Sequence[RRset]) -> list[InstanceView]:
    """Every instance of every service in a listing of a zone."""
    tops = [origin.child(protocol.encode()) for protocol in PROTOCOLS]
    parts = [(top, [rrset for rrset in rrsets if rrset.name.is_below(top)]) for top in tops]
    return [
        view
        for top, below in parts
        for each in _services(top, below)
        for view in instance_views(each.in_domain(origin), below)
    ]


def elsewhere(
    zone: Zone, service: ServiceType, label: str, owner: str, deadline: Deadline
) -> tuple[str, ...]:
    """The instances of a service that a host is a member of.

    Args:
        zone: Where.
        service: Which service.
        label: The host's label.
        owner: The host's owner.
        deadline: When to give up.

    Raises:
        ZoneError: The provider said no.
    """
    return tuple(
        instance_text(view.name.labels[0])
        for view in service_views(zone, deadline, service)[service]
        if any(
            member.owner == owner and member.label.rpartition("-")[0] == label.lower()
            for member, _ in view.members.values()
        )
    )


def delegation_above(zone: Zone, name: Name, deadline: Deadline) -> Name | None:
    """The name between a zone's apex and `name` that is delegated to other servers, if one is.

    Clients are sent there, and see nothing of what this zone holds below it.

    Raises:
        ZoneError: The provider said no.
    """
    above = name.relative_to(zone.origin)
    for start in range(len(above) - 1, -1, -1):
        cut = zone.origin.child(*above[start:])
        if zone.read(cut, "NS", deadline) is not None:
            return cut
    return None


def addresses_of(
    zone: Zone, targets: Iterable[Name], deadline: Deadline
) -> Mapping[Name, tuple[str, ...]]:
    """The A and AAAA records of the targets that are in the zone; those of others are not here.

    Raises:
        ZoneError: The provider said no.
    """
    inside = sorted({target for target in targets if target.is_below(zone.origin)})
    if len(inside) <= _FEW:
        rrsets = [rrset for target in inside for rrset in zone.read_node(target, deadline)]
    else:
        rrsets = list(zone.read_below(zone.origin, deadline))
    found: dict[Name, tuple[str, ...]] = dict.fromkeys(inside, ())
    for rrset in rrsets:
        if rrset.name in found and rrset.rdtype in ("A", "AAAA"):
            found[rrset.name] += rrset.texts() or (str(rrset.kind),)  # an alias has no values
    return found


def _plain(browse: Name, below: Iterable[RRset]) -> list[InstanceView]:
    """The SRV records of a service itself, which are somebody else's (RFC 2782)."""
    own = [rrset for rrset in below if (rrset.name, rrset.rdtype) == (browse, "SRV")]
    return [InstanceView.of(browse, own)] if own else []


def _services(top: Name, below: Iterable[RRset]) -> list[ServiceType]:
    """The service types right below `_tcp` or `_udp`."""
    labels = {rrset.name.labels[-len(top.labels) - 1] for rrset in below if rrset.name != top}
    types = sorted(label for label in labels if label[:1] == b"_" and label.lower() != b"_dns-sd")
    return [ServiceType.of((label, top.labels[0])) for label in types]
