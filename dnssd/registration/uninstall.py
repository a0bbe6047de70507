"""Removes everything that this tool wrote for a service: members, their values, definitions.

For each instance: all members go as if they had left, and then, if no foreign value is left,
the definition. Each step is a compare-and-swap, so a host that joins meanwhile is either
removed with the others or left whole; only the definition that it relied on may be gone,
which is told.

A member that is up may be serving: a `Brake` holds unless the caller allows that many. An
agent joins again what is lost, so those with an agent are first marked, and their records left
until it has read them.
"""

import contextlib
import sys
from dataclasses import dataclass, field, replace
from datetime import datetime

from dnssd.deadline import Deadline
from dnssd.errors import AccessDenied, Refused, Superseded
from dnssd.members import AGENT_SETTLES, Member
from dnssd.names import Name
from dnssd.records import Ptr
from dnssd.registration.listing import instance_views
from dnssd.registration.operation import Operation, Result
from dnssd.registration.plainname import plain_record
from dnssd.registration.removal import Removal, hold_out, remove
from dnssd.registration.views import InstanceView
from dnssd.rrsets import Change, RRset
from dnssd.services import Service
from dnssd.zones.base import Zone
from dnssd.zones.memory import MemoryZone


@dataclass(frozen=True, slots=True)
class Uninstalled:
    """What was removed.

    Attributes:
        instances: The service instance names that were looked at.
        stayed: What is still there of them, such as another hand's values.
        changed: Whether the zone was changed.
        requests: Requests sent to the zone's provider.
    """

    instances: tuple[Name, ...]
    stayed: tuple[RRset, ...]
    changed: bool
    requests: int


@dataclass(slots=True)
class Brake:
    """Holds where more members are up than the caller has allowed.

    Attributes:
        limit: How many may be taken out.
        up: Those that were seen up, each announcement of theirs.
    """

    limit: int = sys.maxsize
    up: set[tuple[Name, str, str]] = field(default_factory=set)

    def check(self, *views: InstanceView) -> None:
        """Look at instances as they are listed.

        Raises:
            Refused: More members are up than may go.
        """
        self.up |= {
            (view.name, label, member.id)
            for view in views
            for label, (member, _) in view.members.items()
            if member.state == "up"
        }
        if len(self.up) > self.limit:
            labels = sorted({label for _, label, _ in self.up})
            more = ", …" if labels[10:] else ""
            raise Refused(
                f"{len(self.up)} members are up: {', '.join(labels[:10])}{more}; leave on their "
                f"hosts, or allow that many with --limit {len(self.up)}",
                name=str(min(name for name, _, _ in self.up)),
            )

    def select(self, view: InstanceView) -> frozenset[str]:
        """All members of an instance.

        Raises:
            Refused: As `check` does.
        """
        self.check(view)
        return frozenset(view.members)


def hold_agents_out(operation: Operation, service: Service, brake: Brake) -> float:
    """Take out the members that have an agent, which is told to stay out.

    Returns:
        Seconds until every agent has read that; 0 if there is none.

    Raises:
        Refused: The brake holds; nothing was written.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; run it again to go on.
    """
    views = _views(operation, service)
    brake.check(*views)
    seconds = 0.0
    with operation.telling():
        for view in views:
            agents = [(m, record) for m, record in view.members.values() if _listens(m)]
            if agents:
                hold_out(operation, Removal(view.name, _not_yet_told))
                operation.truth = "agents were told to stay out: run it again to remove the rest"
                now = operation.now()
                seconds = max(seconds, *(seconds_to_see(m, r.ttl, now) for m, r in agents))
    if seconds:
        with contextlib.suppress(AccessDenied):  # whoever may not ask waits for the TTL alone
            operation.wait(service.in_domain(operation.zone.origin))
    return seconds


def seconds_to_see(member: Member, ttl: int, now: datetime) -> float:
    """How long an agent may take to read its member's record anew, once it is served.

    Args:
        member: As it was.
        ttl: Of its record, in seconds: how long the old one may be in a cache.
        now: The time of day.
    """
    age = max(0.0, (now - member.since).total_seconds())
    return max(ttl, AGENT_SETTLES - age) + 1.1 * max(10, ttl)


def uninstall(operation: Operation, service: Service, brake: Brake) -> Uninstalled:
    """Remove what `join` has written for a service, whoever ran it; foreign values stay.

    Args:
        operation: Where, and when to give up.
        service: Every instance of it.
        brake: How many members that are up may go.

    Raises:
        Refused: The brake holds.
        Superseded: A host has joined meanwhile.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; run it again to go on.
    """
    views = _views(operation, service)
    brake.check(*views)
    with operation.telling():
        for view in views:
            _remove_instance(operation, service, view.name, brake)
        stayed = _views(operation, service) if views else []
    done = operation.outcome(service.in_domain(operation.zone.origin), ())
    return Uninstalled(
        tuple(view.name for view in views),
        tuple(rrset for view in stayed for rrset in view.rrsets),
        done.changed,
        done.requests,
    )


def plan_uninstall(
    zone: Zone, service: Service, deadline: Deadline, brake: Brake
) -> tuple[Change, ...]:
    """What `uninstall` would change: it is run on a copy. Reads only.

    Raises:
        Refused: The brake holds.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long.
    """
    browse = service.in_domain(zone.origin)
    below = zone.read_below(browse, deadline)
    hosts = {
        zone.origin.child(label.rpartition("-")[0].encode())
        for view in instance_views(browse, below)
        for label in view.members
    }
    nodes = [rrset for host in sorted(hosts) for rrset in zone.read_node(host, deadline)]
    enumeration = zone.read(service.enumeration_in(zone.origin), "PTR", deadline)
    plain = [plain_record(zone, view.name, deadline) for view in instance_views(browse, below)]
    known = [*below, *nodes, *filter(None, [enumeration, *plain])]
    copy = MemoryZone(zone.origin, known, merges=zone.traits.merges, limits=zone.limits)
    uninstall(Operation(copy, deadline), service, brake)
    before, after = copy.states[0], copy.states[-1]
    return tuple(
        Change(before[key], after.get(key)) for key in before if before[key] != after.get(key)
    )


def _views(operation: Operation, service: Service) -> list[InstanceView]:
    browse = service.in_domain(operation.zone.origin)
    return instance_views(browse, operation.zone.read_below(browse, operation.deadline))


def _listens(member: Member) -> bool:
    """Whether an agent looks after it, which would join it again."""
    return member.has_agent and not member.is_newer


def _not_yet_told(view: InstanceView) -> frozenset[str]:
    members = view.members.items()
    return frozenset(label for label, (m, _) in members if _listens(m) and not m.is_held)


def _remove_instance(operation: Operation, service: Service, name: Name, brake: Brake) -> None:
    """Remove one instance's members and its definition."""
    removal = Removal(name, brake.select)
    while True:
        remove(operation, removal)
        view = operation.read_instance(name)
        if view.srv is not None:
            return
        _remove_plain_name(operation, name)
        if not view.members and _remove_definition(operation, service, view):
            return


def _remove_plain_name(operation: Operation, name: Name) -> None:
    """Remove what leads to an instance by its plain name, if it still says so: before the rest.

    In a batch of its own, which is all that the statement of a policy for it allows.
    """
    while (record := plain_record(operation.zone, name, operation.deadline)) is not None:
        if operation.attempt([Change(record, None)]) is Result.MADE:
            return
        operation.back_off()


def _remove_definition(operation: Operation, service: Service, view: InstanceView) -> bool:
    """Remove the definition of an instance that nobody offers; whether it is gone."""
    origin = operation.zone.origin
    browse, enumeration = service.in_domain(origin), service.enumeration_in(origin)
    definition = operation.read_definition(browse, enumeration)
    changes = [Change(view.txt, None)] if view.txt else []
    left = _without(definition.service, view.name)
    if left is not None:  # the last pointer goes only if it is: the enumeration goes with it
        changes.append(replace(left, shared=left.after is not None))
    if definition.service is None or (left is not None and left.after is None):
        last = _without(definition.enumeration, browse)
        changes += [last] if last else []
    absent = ((view.name, "SRV"),) if operation.zone.traits.merges else ()
    if operation.attempt(changes, absent) is not Result.MADE:
        operation.back_off()
        return False
    joined = operation.read_instance(view.name)
    if changes and (joined.srv or joined.members):
        raise Superseded(
            f"{view.name}: a host has joined while its definition was removed; "
            "join it again, or uninstall again",
            name=str(view.name),
        )
    return True


def _without(rrset: RRset | None, target: Name) -> Change | None:
    """The change that takes a pointer out; None if it is not there."""
    if rrset is None or Ptr(target) not in rrset.values:
        return None
    left = rrset.with_values(v for v in rrset.values if v != Ptr(target))
    return Change(rrset, left, shared=True)
