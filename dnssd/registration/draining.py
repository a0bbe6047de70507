"""A drain: members stand behind all others, so that clients turn away from them before they go."""

from dataclasses import replace

from dnssd.members import Member
from dnssd.registration.joining import join
from dnssd.registration.leaving import own_members
from dnssd.registration.operation import Operation
from dnssd.registration.wish import DEFAULT_TTL, Departure, Wish
from dnssd.services import ENUMERATION

LAST = 65_535  # the priority of who is on the way out: clients take any other first


def drain(operation: Operation, departure: Departure) -> int:
    """Put the host's members behind all others.

    Returns:
        Seconds for which clients may not know of it once it is served; 0 where nobody drains.

    Raises:
        DnssdError: As `join` does.
    """
    view = operation.read_instance(departure.name)
    members = [m for m in own_members(departure, view).values() if m.state == "up"]
    for member in members:
        join(operation, _last(departure, member))
    if not members:
        return 0
    return view.srv.ttl if view.srv else DEFAULT_TTL


def _last(departure: Departure, member: Member) -> Wish:
    """The same member, announced as the last one to take."""
    return Wish(
        origin=departure.origin,
        name=departure.name,
        service=departure.name.parent,
        enumeration=departure.origin.child(*ENUMERATION),
        label=member.label,
        srv=replace(member.srv, priority=LAST, weight=0),
        host=departure.host_name if member.addresses else None,
        addresses=member.addresses,
        owner=departure.owner,
        ttl=None,
        txt=None,
        takeover=False,
        former_owners=departure.former_owners,
        agent=member.has_agent,
        lease=round((member.until - member.since).total_seconds()) if member.until else 0,
    )
