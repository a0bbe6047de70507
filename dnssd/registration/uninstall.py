"""Removes everything that this tool wrote for a service: members, their values, definitions.

For each instance: all members go as if they had left, and then, if no foreign value is left,
the definition. Each step is a compare-and-swap, so a host that joins meanwhile is either
removed with the others or left whole; only the definition that it relied on may be gone,
which is told.
"""

from dataclasses import dataclass, replace

from dnssd.deadline import Deadline
from dnssd.errors import Superseded
from dnssd.names import Name
from dnssd.records import Ptr
from dnssd.registration.listing import instance_views
from dnssd.registration.operation import Operation, Result
from dnssd.registration.removal import Removal, remove
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
        changed: Whether the zone was changed.
        requests: Requests sent to the zone's provider.
    """

    instances: tuple[Name, ...]
    changed: bool
    requests: int


def uninstall(operation: Operation, service: Service) -> Uninstalled:
    """Remove what `join` has written for a service, whoever ran it; foreign values stay.

    Args:
        operation: Where, and when to give up.
        service: Every instance of it.

    Raises:
        Superseded: A host has joined meanwhile.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; run it again to go on.
    """
    browse = service.in_domain(operation.zone.origin)
    with operation.telling():
        below = operation.zone.read_below(browse, operation.deadline)
        instances = tuple(view.name for view in instance_views(browse, below))
        for instance in instances:
            _remove_instance(operation, service, instance)
    done = operation.outcome(browse, ())
    return Uninstalled(instances, done.changed, done.requests)


def plan_uninstall(zone: Zone, service: Service, deadline: Deadline) -> tuple[Change, ...]:
    """What `uninstall` would change: it is run on a copy. Reads only.

    Raises:
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
    known = [*below, *nodes, *([enumeration] if enumeration else [])]
    copy = MemoryZone(zone.origin, known, merges=zone.traits.merges, limits=zone.limits)
    uninstall(Operation(copy, deadline), service)
    before, after = copy.states[0], copy.states[-1]
    return tuple(
        Change(before[key], after.get(key)) for key in before if before[key] != after.get(key)
    )


def _remove_instance(operation: Operation, service: Service, name: Name) -> None:
    """Remove one instance's members and its definition."""
    removal = Removal(name, lambda view: frozenset(view.members))
    while True:
        remove(operation, removal)
        view = operation.read_instance(name)
        if view.srv is not None:
            return
        if not view.members and _remove_definition(operation, service, view):
            return


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
            "join it again, or uninstall again"
        )
    return True


def _without(rrset: RRset | None, target: Name) -> Change | None:
    """The change that takes a pointer out; None if it is not there."""
    if rrset is None or Ptr(target) not in rrset.values:
        return None
    left = rrset.with_values(v for v in rrset.values if v != Ptr(target))
    return Change(rrset, left, shared=True)
