"""Takes out the dead: looks several times, asks who knows, and removes them under the brake."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dnssd.checks import Check
from dnssd.errors import DnssdError
from dnssd.members import Member
from dnssd.names import Name
from dnssd.probes import probe
from dnssd.records import Srv
from dnssd.registration import reaping
from dnssd.registration.listing import all_views, instance_views
from dnssd.registration.operation import Operation, Result
from dnssd.registration.reaping import Dead, Facts, Place
from dnssd.registration.removal import Removal, remove
from dnssd.registration.views import HostView, InstanceView
from dnssd.rrsets import RRset
from dnssd.services import ServiceType

ROUNDS, PROBE_ROUNDS = 2, 3
PAUSE = 60.0  # seconds between rounds
PROBE_SECONDS = 3.0  # for one connection
AT_ONCE = 100  # connections

_log = logging.getLogger("dnssd.registration")

Words = Callable[[Iterable[str]], Mapping[str, str]]
Probe = Callable[[Sequence[Member]], Sequence[bool]]


@dataclass(frozen=True, slots=True)
class Listing:
    """What a zone holds: its instances, and what stands at hosts' names."""

    views: tuple[InstanceView, ...]
    hosts: tuple[HostView, ...]


@dataclass(slots=True)
class Reaped:
    """What became of the dead.

    Attributes:
        removed: Who was taken out, or would be.
        held: Whom the brake holds.
        cleaned: Members whose records went, or would go.
        changed: Whether the zone was changed.
        unheard: Why EC2 could not be asked; None if it answered.
        failed: Why a removal failed, the first of them; None if none did.
    """

    removed: list[Dead] = field(default_factory=list)
    held: list[Dead] = field(default_factory=list)
    cleaned: list[Place] = field(default_factory=list)
    changed: bool = False
    unheard: DnssdError | None = None
    failed: DnssdError | None = None

    def to_json(self) -> dict[str, Any]:
        """Who is dead and what was cleaned, for programs."""
        dead = [(one, False) for one in self.removed] + [(one, True) for one in self.held]
        return {
            "dead": [one.to_json() | {"held": held} for one, held in dead],
            "cleaned": [{"name": str(name), "member": label} for name, label in self.cleaned],
        }


@dataclass(slots=True)
class Reaper:
    """One run.

    Args:
        operation: Where, and when to give up.
        words: EC2's word on owners, as `dnssd.hosts.aws.Ec2.words` gives it.
        service: Only this one; None for the whole zone.
        probe: Whether members answer; None to ask none.
        limit: How many may be taken out; None for what the brake allows.

    Attributes:
        reaped: What has come of it.
    """

    operation: Operation
    words: Words
    service: ServiceType | None = None
    probe: Probe | None = None
    limit: int | None = None
    reaped: Reaped = field(default_factory=Reaped)
    _listing: Listing | None = None

    def find(self, rounds: int, *, hint: Mapping[str, str] | None = None) -> list[Dead]:
        """Everybody who is dead in each of several rounds, a minute apart.

        Args:
            rounds: How many; one is a look, and not enough to remove anybody.
            hint: Somebody's word on owners; then EC2 alone has to say the same, at once.

        Raises:
            DnssdError: The zone cannot be read, or it took too long.
        """
        found: list[Dead] | None = None
        listing = self.read()
        if hint is not None:
            judged = self._judge(listing, Facts(hint))
            found = [one for one in judged if one.kind == "ec2"]
        for turn in range(rounds):
            if found is not None and not found:
                break
            if turn:
                self.operation.deadline.pause(PAUSE, "looking again, a minute later")
                listing = self.read()
            seen = self._round(listing, found)
            known = {(one.key, one.kind) for one in found or seen}  # by the same witness
            found = [one for one in seen if (one.key, one.kind) in known]
        return found or []

    def plan(self, dead: Sequence[Dead]) -> Reaped:
        """What `remove` would do. Reads only."""
        now = self.operation.now()
        for view in self._views(dead):
            chosen, held = reaping.choose(view, dead, now, self.limit)
            self._spend(chosen)
            self.reaped.held += held
            self._clean(view.name, reaping.leftovers(view, dead, now))
        return self.reaped

    def remove(self, dead: Sequence[Dead]) -> Reaped:
        """Take them out, instance by instance; what fails in one does not hold up the others."""
        for view in self._views(dead):
            try:
                with self.operation.telling():
                    self._remove_from(view.name, dead)
            except DnssdError as error:
                _log.info("%s: %s", view.name, error)
                self.reaped.failed = self.reaped.failed or error
        self.reaped.changed = self.operation.outcome(self.operation.zone.origin, ()).changed
        return self.reaped

    def read(self) -> Listing:
        """What the zone holds now."""
        zone, deadline = self.operation.zone, self.operation.deadline
        if self.service is None:
            rrsets = zone.read_below(zone.origin, deadline)
            views = all_views(zone.origin, rrsets)
        else:
            browse = self.service.in_domain(zone.origin)
            rrsets = zone.read_below(browse, deadline)
            views = instance_views(browse, rrsets)
        targets = {v.target for one in views for v in one.unexplained if isinstance(v, Srv)}
        unread = targets - {rrset.name for rrset in rrsets}  # not every zone can be listed
        inside = sorted(name for name in unread if name.parent == zone.origin)
        rrsets = (*rrsets, *(r for name in inside for r in zone.read_node(name, deadline)))
        self._listing = Listing(tuple(views), _hosts(rrsets, zone.origin))
        return self._listing

    def _round(self, listing: Listing, suspects: Sequence[Dead] | None) -> list[Dead]:
        """One round; of suspects alone, if there are any yet."""
        known = {one.key for one in suspects or ()}
        members = {
            (view.name, label): member
            for view in listing.views
            for label, (member, _) in view.members.items()
            if suspects is None or (view.name, label, member.id) in known
        }
        owners = {member.owner for member in members.values()}
        owners |= {host.record[0].owner for host in listing.hosts if host.record}
        try:
            words = self.words(sorted(owners))
        except DnssdError as error:
            self.reaped.unheard = error
            words = None
        silent = _silent(members, self.probe, strict=suspects is None) if self.probe else ()
        return self._judge(listing, Facts(words, silent))

    def _judge(self, listing: Listing, facts: Facts) -> list[Dead]:
        dead = reaping.judge(listing.views, listing.hosts, facts, self.operation.now())
        if self.service is None:
            return dead
        browse = self.service.in_domain(self.operation.zone.origin)
        return [one for one in dead if one.instance.is_below(browse)]

    def _views(self, dead: Sequence[Dead]) -> list[InstanceView]:
        """The instances that somebody is dead in, or was taken out of."""
        now = self.operation.now()
        listing = self._listing or self.read()
        views = {view.name: view for view in listing.views}
        views |= {d.instance: InstanceView.of(d.instance, ()) for d in dead} | views
        names = {one.instance for one in dead}
        return [
            view
            for name, view in sorted(views.items())
            if name in names or reaping.leftovers(view, (), now)
        ]

    def _remove_from(self, name: Name, dead: Sequence[Dead]) -> None:
        """Take the dead of one instance out, then the records of those who went before."""
        operation = self.operation
        taken = 0  # of a newer format: they leave no mark
        while True:
            view, now = operation.read_instance(name), operation.now()
            chosen, held = reaping.choose(view, dead, now, self.limit, taken=taken)
            if newer := [one for one in chosen if _is_newer(view, one)]:
                self._remove_all(name, {one.label: one.id for one in newer})
                self._spend(newer)
                taken += len(newer)
                continue
            limits = operation.zone.limits
            folded = reaping.bury(view, chosen, operation.new_id(), now=now, limits=limits)
            if not folded.needed:
                break
            if operation.attempt(folded.changes) is not Result.MADE:
                operation.back_off()
                continue
            changed = {change.name for change in folded.changes}
            self._spend([d for d in chosen if name.child(d.label.encode()) in changed])
            if folded.complete and all(reaping.counts(view, one) for one in chosen):
                break  # those whom it does not count go now
        self.reaped.held += held
        if left := reaping.leftovers(view, dead, now):
            self._remove_all(name, {label: view.members[label][0].id for label in left})
            self._clean(name, left)

    def _remove_all(self, name: Name, ids: Mapping[str, str]) -> None:
        """Remove the records of these announcements; one that came again stays."""
        remove(self.operation, Removal(name, lambda view: _announced(view, ids)))

    def _spend(self, dead: Sequence[Dead]) -> None:
        self.reaped.removed += dead
        if self.limit is not None:
            self.limit = max(0, self.limit - len(dead))

    def _clean(self, name: Name, labels: Iterable[str]) -> None:
        self.reaped.cleaned += sorted((name, label) for label in labels)


def _silent(members: Mapping[Place, Member], ask: Probe, *, strict: bool) -> set[Place]:
    """Members that do not answer; where most of an instance do not, it may be this host."""
    asked = {
        place: member
        for place, member in members.items()
        if member.state == "up" and member.addresses and not _is_udp(place[0])
    }
    answers = dict(zip(asked, ask(list(asked.values())), strict=True))
    silent = {place for place, answered in answers.items() if not answered}
    if not strict:
        return silent
    return {
        (name, label)
        for name, label in silent
        if 2 * sum(one[0] == name for one in silent) <= sum(one[0] == name for one in answers)
    }


def answers(members: Sequence[Member]) -> list[bool]:
    """Whether something listens at each member's port, at any of its addresses."""
    return asyncio.run(_ask(members))


async def _ask(members: Sequence[Member]) -> list[bool]:
    gate = asyncio.Semaphore(AT_ONCE)
    return await asyncio.gather(*(_answers(member, gate) for member in members))


async def _answers(member: Member, gate: asyncio.Semaphore) -> bool:
    check = Check.parse("tcp://")
    async with gate:
        for address in member.addresses:
            found = await probe(check.at(address.format(), member.srv.port), PROBE_SECONDS)
            if found.verdict == "pass":
                return True
    return False


def _hosts(rrsets: Sequence[RRset], origin: Name) -> tuple[HostView, ...]:
    """The names right below a zone's apex that have a host record."""
    nodes: dict[Name, list[RRset]] = {}
    for rrset in rrsets:
        if rrset.name != origin and rrset.name.parent == origin:
            nodes.setdefault(rrset.name, []).append(rrset)
    views = (HostView.of(name, found, origin) for name, found in nodes.items())
    return tuple(view for view in views if view.record)


def _announced(view: InstanceView, ids: Mapping[str, str]) -> frozenset[str]:
    """Those of these announcements that are there still."""
    return frozenset(
        label for label, (member, _) in view.members.items() if ids.get(label) == member.id
    )


def _is_newer(view: InstanceView, one: Dead) -> bool:
    return one.label in view.members and view.members[one.label][0].is_newer


def _is_udp(instance: Name) -> bool:
    return instance.labels[2].lower() == b"_udp"
