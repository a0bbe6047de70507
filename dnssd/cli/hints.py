"""What keeps clients from seeing what was joined: said when it is, since nothing else tells."""

import contextlib
import ipaddress
from collections.abc import Iterable, Sequence

from dnssd.cli.reporting import warn
from dnssd.deadline import Deadline
from dnssd.errors import DnssdError, Unavailable
from dnssd.names import Name
from dnssd.records import Address
from dnssd.registration.definition import not_listed
from dnssd.registration.listing import delegation_above
from dnssd.registration.plainname import Told
from dnssd.registration.views import holds_pointer
from dnssd.rrsets import RRset
from dnssd.services import Service, ServiceType
from dnssd.wire.blocking import ask
from dnssd.wire.nameservers import NameServer
from dnssd.wire.system_servers import system_nameservers
from dnssd.zones.base import Zone

HINT_SECONDS = 1.0  # to wait for an answer that only a hint depends on
LONG_ABSENCE = 60  # seconds: longer than this an absence should not be remembered


def of_definition(zone: Zone, name: Name, nameservers: Sequence[str], deadline: Deadline) -> None:
    """Warn the first host of an instance, as far as DNS tells within a second or two.

    A client that asks before the first join does not ask again for as long as DNS lets it
    remember an absence. And where `_tcp` is delegated, as beside Active Directory, clients are
    sent to other servers: the zone itself is asked only where DNS hints at that.
    """
    warn_of_name(name)
    try:
        servers = NameServer.parse_all(nameservers) or system_nameservers()
        answer = ask(servers, zone.origin, "SOA", HINT_SECONDS)
    except DnssdError:
        return  # a hint is not worth an error
    for minimum in answer.values:
        warn_negative_ttl(zone.origin, answer.ttl, str(minimum))
    top = Name(name.labels[-len(zone.origin.labels) - 1 :])
    with contextlib.suppress(DnssdError):
        if _may_be_delegated(servers, top):
            warn_of_delegation(zone, top, deadline)


def warn_of_loopback(addresses: Sequence[Address], nameservers: Sequence[str]) -> None:
    """Warn of an address that leads clients to themselves.

    Not where the name servers are on this machine, too, as in the sandbox: then clients are.
    """
    local = [address.format() for address in addresses if _is_local(address.format())]
    servers = NameServer.parse_all(nameservers)
    if local and not (servers and all(_is_local(server.address) for server in servers)):
        warn(
            f"address {local[0]}: it leads each client to itself; "
            "give one that other hosts reach with --address"
        )


def _is_local(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return ip.is_loopback or ip.is_link_local


def warn_of_delegation(zone: Zone, name: Name, deadline: Deadline) -> None:
    """Warn if clients are sent to other servers for what this zone holds at or below a name.

    Raises:
        ZoneError: The provider said no.
    """
    cut = delegation_above(zone, name, deadline)
    if cut is not None:
        warn_of_cut(zone, cut)


def warn_of_cut(zone: Zone, cut: Name) -> None:
    """Warn of a name that is delegated away."""
    warn(
        f"{cut}: delegated to other name servers: clients are sent there, and see no service "
        f"below it; remove its NS records from {zone.origin}, or use a zone of your own"
    )


def warn_of_unlisted(origin: Name, services: Iterable[ServiceType], listed: RRset | None) -> None:
    """Warn of services that the list of services does not name, full as it may be."""
    for service in services:
        name = service.in_domain(origin)
        if not holds_pointer(listed, name):
            values = len(listed.values) if listed else 0
            warn(not_listed(Service("any").enumeration_in(origin), name, values))


def warn_of_name(name: Name) -> None:
    """Warn of an instance name that clients take and some tools that keep zones do not."""
    if not name.labels[0].isascii():
        warn(
            f"{name}: octodns stops for a zone that holds a name like this; if you use it, "
            "give the instance a name of ASCII letters"
        )


def warn_of_plain_name(told: Told) -> None:
    """Warn where programs do not find an instance by its plain name, although it was asked for."""
    if told.why is not None:
        warn(f"plain name {told.name}: {told.state}: {told.why}")


def _may_be_delegated(servers: Sequence[NameServer], name: Name) -> bool:
    try:
        return bool(ask(servers, name, "SOA", HINT_SECONDS).values)  # it has one of its own
    except Unavailable:  # a referral, or servers that it leads to and that do not answer
        return True


def warn_negative_ttl(origin: Name, ttl: int, soa: str) -> None:
    """Warn if min(TTL of the SOA record, its minimum) is long (RFC 2308 section 5).

    Args:
        origin: The zone.
        ttl: Seconds.
        soa: The record's data as text; its last field is the minimum, in seconds.
    """
    minimum = soa.split()[-1]
    seconds = min(ttl, int(minimum)) if minimum.isdigit() else ttl
    if seconds > LONG_ABSENCE:
        warn(
            f"{origin}: clients that ask before a service is there remember its absence for "
            f"{seconds} s; set the TTL of the zone's SOA record to {LONG_ABSENCE}"
        )
