"""Removes everything that this tool wrote for a service: members, their values, definitions.

For each instance: mark every member as leaving and fold it out, then remove member records
with their host records and addresses, then, if no foreign value is left, the definition.
Each step is a compare-and-swap, so a host that joins meanwhile is either removed with the
others or left whole; only the definition that it relied on may be gone, which is told.
"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

from dnssd.deadline import Deadline
from dnssd.errors import Superseded
from dnssd.names import Name
from dnssd.records import Change, Ptr, RRset
from dnssd.registration import address
from dnssd.registration.commits import Commits, Result
from dnssd.registration.fold import entries_of, fold
from dnssd.registration.views import InstanceView
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


def uninstall(
    zone: Zone, service: Service, deadline: Deadline, *, now: Callable[[], datetime]
) -> Uninstalled:
    """Remove what `join` has written for a service, whoever ran it; foreign values stay.

    Args:
        zone: Where.
        service: Every instance of it.
        deadline: When to give up.
        now: The time of day.

    Raises:
        Superseded: A host has joined meanwhile.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; run it again to go on.
    """
    commits = Commits(zone, deadline)
    with commits.telling():
        run = _Uninstalling(service, commits, now)
        instances = run.instances()
        for instance in instances:
            run.remove(instance)
    return Uninstalled(instances, commits.last is not None, commits.requests)


def plan_uninstall(
    zone: Zone, service: Service, deadline: Deadline, *, now: Callable[[], datetime]
) -> tuple[Change, ...]:
    """What `uninstall` would change: it is run on a copy. Reads only.

    Raises:
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long.
    """
    browse = service.in_domain(zone.origin)
    below = zone.read_below(browse, deadline)
    hosts = {host for view in _views(browse, below) for host in _hosts(view, zone.origin)}
    nodes = [rrset for host in sorted(hosts) for rrset in zone.read_node(host, deadline)]
    enumeration = zone.read(service.enumeration_in(zone.origin), "PTR", deadline)
    copy = MemoryZone(
        zone.origin, [*below, *nodes, *([enumeration] if enumeration else [])], limits=zone.limits
    )
    uninstall(copy, service, deadline, now=now)
    before, after = copy.states[0], copy.states[-1]
    return tuple(
        Change(before[key], after.get(key)) for key in before if before[key] != after.get(key)
    )


class _Uninstalling:
    def __init__(self, service: Service, commits: Commits, now: Callable[[], datetime]) -> None:
        self._browse = service.in_domain(commits.zone.origin)
        self._enumeration = service.enumeration_in(commits.zone.origin)
        self._commits = commits
        self._now = now

    def instances(self) -> tuple[Name, ...]:
        """The instances that have records."""
        below = self._commits.zone.read_below(self._browse, self._commits.deadline)
        return tuple(view.name for view in _views(self._browse, below))

    def remove(self, name: Name) -> None:
        """Remove one instance's members and its definition."""
        while True:
            view = self._commits.read_instance(name)
            labels = {label for label, (m, _) in view.members.items() if not m.is_newer}
            changes = self._fold_out(view, labels) or next(self._records(view, labels), ())
            if not changes:
                break
            self._attempt(changes)
        if view.srv is None and not view.members:
            self._remove_definition(view)

    def _fold_out(self, view: InstanceView, labels: AbstractSet[str]) -> tuple[Change, ...]:
        entries = entries_of(view)
        leaving = {
            label: replace(entries[label], new=member.leaving())
            for label, (member, _) in view.members.items()
            if label in labels
        }
        folded = fold(
            view,
            {**entries, **leaving},
            own=labels,
            now=self._now(),
            limits=self._commits.zone.limits,
            adopt=False,
            repair=False,
        )
        return folded.changes

    def _records(
        self, view: InstanceView, labels: AbstractSet[str]
    ) -> Iterator[tuple[Change, ...]]:
        """Member records of one host after another, as many as fit, with what it uses."""
        changes: tuple[Change, ...] = ()
        for host in sorted({view.members[label][0].srv.target for label in labels}):
            own = [label for label in labels if view.members[label][0].srv.target == host]
            records = tuple(Change(view.members[label][1], None) for label in sorted(own))
            released = address.release(
                self._commits.read_host(host if host.is_below(self._commits.zone.origin) else None),
                [change.name for change in records],
                self._commits.zone.origin,
            )
            limits = self._commits.zone.limits
            if not limits.fits([*changes, *records, *released]):
                yield changes
                changes = ()
            changes = (*changes, *records, *released)
        yield changes

    def _remove_definition(self, view: InstanceView) -> None:
        pointers = self._commits.zone.read(self._browse, "PTR", self._commits.deadline)
        services = self._commits.zone.read(self._enumeration, "PTR", self._commits.deadline)
        changes = [Change(view.txt, None)] if view.txt else []
        left = _without(pointers, view.name)
        if left is not None:
            changes.append(left)
        if pointers is None or (left is not None and left.after is None):
            last = _without(services, self._browse)
            changes += [last] if last else []
        if self._commits.attempt(changes) is not Result.MADE:
            self._commits.back_off()
            self.remove(view.name)
            return
        joined = self._commits.read_instance(view.name)
        if changes and (joined.srv or joined.members):
            raise Superseded(
                f"{view.name}: a host has joined while its definition was removed; "
                "join it again, or uninstall again"
            )

    def _attempt(self, changes: tuple[Change, ...]) -> None:
        if self._commits.attempt(changes) is Result.MADE:
            self._commits.truth = "part of it is removed: run it again to go on"
        else:
            self._commits.back_off()


def _views(browse: Name, below: tuple[RRset, ...]) -> list[InstanceView]:
    """Every instance that has records in a listing from a service's name.

    One that is only pointed to was not written by this tool, which always adds TXT data.
    """
    names = {_below(rrset.name, browse) for rrset in below if rrset.name != browse}
    return [
        InstanceView.of(name, [rrset for rrset in below if rrset.name.is_below(name)])
        for name in sorted(names)
        if name.parent == browse and name.labels[0].lower() != b"_sub"
    ]


def _below(name: Name, browse: Name) -> Name:
    """The instance that a name below a service belongs to."""
    return browse.child(name.labels[len(name.labels) - len(browse.labels) - 1])


def _hosts(view: InstanceView, origin: Name) -> set[Name]:
    targets = {member.srv.target for member, _ in view.members.values()}
    return {target for target in targets if target.is_below(origin)}


def _without(rrset: RRset | None, target: Name) -> Change | None:
    """The change that takes a pointer out; None if it is not there."""
    if rrset is None or Ptr(target) not in rrset.values:
        return None
    return Change(rrset, rrset.with_values(v for v in rrset.values if v != Ptr(target)))
