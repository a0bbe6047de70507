"""A leave: all at once, or else by the general removal."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial

from dnssd.errors import OwnedByAnother, Superseded
from dnssd.members import Member
from dnssd.registration import merge, plan
from dnssd.registration.operation import Operation, Outcome, Result
from dnssd.registration.removal import Removal, hold_out, mark, remove
from dnssd.registration.views import InstanceView
from dnssd.registration.wish import Departure
from dnssd.rrsets import Change

LAG_SECONDS = 2.0  # until a provider whose reads are not fresh shows what was written


def leave(operation: Operation, departure: Departure) -> Outcome:
    """Take the host's members out; changes nothing if there are none.

    Raises:
        OwnedByAnother: They are another owner's.
        Superseded: The host has joined again meanwhile.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; the message says what is in the zone now.
    """
    if not departure.force:  # then it is another host that acts
        operation.zone.actor = f"leave {departure.host}"
    with operation.telling(departure.name):
        held = _hold_out(operation, departure) if departure.force else ()
        members = (*held, *take_out(operation, departure, frozenset(m.label for m in held)))
    operation.truth = "it has left"
    labels = tuple(sorted(member.label for member in members))
    values = frozenset(member.srv for member in members)
    outcome = operation.outcome(departure.name, labels, removed=values)
    return replace(outcome, held=tuple(sorted(member.label for member in held)))


def plan_leave(operation: Operation, departure: Departure) -> tuple[Change, ...]:
    """What `leave` would change. Reads only.

    Raises:
        DnssdError: As `leave` would.
    """
    with operation.telling(departure.name):
        view = operation.read_instance(departure.name)
        step = _withdrawal(operation, departure, view, own_members(departure, view))
    return tuple(change for change in step.changes if not change.is_guard)


def _hold_out(operation: Operation, departure: Departure) -> tuple[Member, ...]:
    """Take out the members that have an agent; their records stay until it has seen them."""
    found = own_members(departure, operation.read_instance(departure.name))
    members = {k: m for k, m in found.items() if m.has_agent and not (m.is_held or m.is_newer)}
    if members:
        hold_out(operation, Removal(departure.name, partial(_still_there, departure, members)))
    return tuple(members.values())


def take_out(
    operation: Operation, departure: Departure, held: AbstractSet[str] = frozenset()
) -> tuple[Member, ...]:
    """Take the host's members out but for those that are held; return them."""
    view = _first_listing(operation, departure)
    found = own_members(departure, view)
    members = {label: member for label, member in found.items() if label not in held}
    if not members:
        return ()
    select = partial(_still_there, departure, members)
    removal = Removal(departure.name, select, marks_first=True)
    if operation.zone.traits.merges:
        remove(operation, removal)
        return tuple(members.values())
    result = Result.STALE
    if view.srv and not operation.throttled:  # under throttling a record of its own is surer
        step = _withdrawal(operation, departure, view, members)
        if step.completes:
            result = operation.attempt(step.changes)
    if result is Result.STALE:
        mark(operation, removal, view, frozenset(members))
    if result is not Result.MADE:
        remove(operation, removal)
    return tuple(members.values())


def _first_listing(operation: Operation, departure: Departure) -> InstanceView:
    """The instance; looked at twice where reads lag behind and it shows no own member."""
    view = operation.read_instance(departure.name)
    if operation.zone.traits.fresh or own_members(departure, view):
        return view
    operation.deadline.pause(LAG_SECONDS, "looking once more for what has just joined")
    return operation.read_instance(departure.name)


def own_members(departure: Departure, view: InstanceView) -> Mapping[str, Member]:
    """The members that leave, by label.

    Raises:
        OwnedByAnother: There are some, and none is this owner's.
    """
    found = {
        label: member
        for label, (member, _) in sorted(view.members.items())
        if departure.means(label)
    }
    own = {label: member for label, member in found.items() if departure.owns(member.owner)}
    if found and not own:
        label, member = next(iter(found.items()))
        raise OwnedByAnother(
            f"member {label}: belongs to {member.owner}, this is {departure.owner}; "
            "leave from there, or take it out with leave --host LABEL --force",
            owner=member.owner,
        )
    return own


def _withdrawal(
    operation: Operation, departure: Departure, view: InstanceView, members: Mapping[str, Member]
) -> plan.Step:
    # Read after the listing: what a listed member announced is there by now.
    host = operation.read_host(departure.host_name) if members else None
    if operation.zone.traits.merges:
        return plan.Step(merge.withdraw(members.keys(), view, host).changes, completes=True)
    return plan.withdraw(
        frozenset(members), view, host, now=operation.now(), limits=operation.zone.limits
    )


def _still_there(
    departure: Departure, members: Mapping[str, Member], view: InstanceView
) -> frozenset[str]:
    """The labels of those that set out to leave and are listed."""
    labels = own_members(departure, view).keys() & members.keys()
    for label in labels:
        if view.members[label][0].id != members[label].id:
            raise Superseded(
                f"member {label}: this host has joined again meanwhile; leave again if it is to go"
            )
    return frozenset(labels)
