"""Before the end: a drain, in which clients turn away from a host, and the parting of its agent."""

from dataclasses import replace

from dnssd.members import Member
from dnssd.records import LAST_PRIORITY
from dnssd.registration.joining import join
from dnssd.registration.leaving import own_members
from dnssd.registration.operation import Operation, Outcome
from dnssd.registration.wish import DEFAULT_TTL, Departure, Wish
from dnssd.services import ENUMERATION


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
        wish = _restated(departure, member)
        join(operation, replace(wish, srv=replace(member.srv, priority=LAST_PRIORITY, weight=0)))
    if not members:
        return 0
    operation.truth = "it has not left, and stands behind all others"
    return view.srv.ttl if view.srv else DEFAULT_TTL


def part(operation: Operation, departure: Departure) -> Outcome:
    """Say of the host's members that no agent answers for them any more.

    Raises:
        DnssdError: As `join` does.
    """
    view = operation.read_instance(departure.name)
    for member in own_members(departure, view).values():
        if member.state == "up" and member.has_agent:
            join(operation, replace(_restated(departure, member), agent=False))
    return operation.outcome(departure.name, ())


def _restated(departure: Departure, member: Member) -> Wish:
    """What the member is by now."""
    return Wish(
        origin=departure.origin,
        name=departure.name,
        service=departure.name.parent,
        enumeration=departure.origin.child(*ENUMERATION),
        label=member.label,
        srv=member.srv,
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
