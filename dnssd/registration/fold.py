"""The fold: bring an instance's SRV RRset to the projection of its member records. Pure.

    value in the SRV RRset            after the fold
    claimed by no member              stays: it is foreign
    claimed by a newer format         stays: its rules are not known here
    claimed by a leaving member       goes
    claimed by a member that is up    is that member's value, and no other of its values
    of an up member, never published  added, if the member is young or the caller's own

A batch restates the record of every member whose value it adds or removes. So it conflicts
with whatever changes such a record meanwhile, even though the SRV RRset looks the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dnssd.errors import RRsetFull
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Change, Rdata, RRset
from dnssd.registration.request import DEFAULT_TTL
from dnssd.registration.views import InstanceView
from dnssd.zones.limits import CommitLimits, Cost

ADOPTABLE_FOR = timedelta(minutes=15)  # an announcement older than this waits for its own host


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as read, and as the batch will leave it.

    Attributes:
        record: Its RRset as read; None if the batch creates it.
        old: The member as read.
        new: The member as it will be; None if the batch removes it.
    """

    record: RRset | None
    old: Member | None
    new: Member | None

    @property
    def sides(self) -> tuple[Member, ...]:
        """The member before and after, as far as it is there."""
        return tuple(member for member in (self.old, self.new) if member)


@dataclass(frozen=True, slots=True)
class Fold:
    """What a fold changes.

    Attributes:
        changes: The SRV RRset first, then member records; empty if there is nothing to do.
        needed: Whether the caller's own members need a change.
        complete: Whether everything that they need is in it.
    """

    changes: tuple[Change, ...]
    needed: bool
    complete: bool


@dataclass(frozen=True, slots=True)
class _Task:
    """What one member needs of the SRV RRset, and what its record becomes."""

    label: str
    since: datetime
    add: frozenset[Rdata]
    drop: frozenset[Rdata]
    change: Change


def entries_of(view: InstanceView) -> dict[str, Entry]:
    """Every member of a view, to be left as it is."""
    return {
        label: Entry(record, member, member) for label, (member, record) in view.members.items()
    }


def fold(
    view: InstanceView,
    entries: Mapping[str, Entry],
    *,
    own: AbstractSet[str],
    now: datetime,
    limits: CommitLimits,
    ttl: int | None = None,
    beside: Sequence[Change] = (),
    adopt: bool = True,
    repair: bool = True,
    alone: bool = False,
) -> Fold:
    """Plan one fold, within what a commit can hold: own members first, then the oldest.

    Args:
        view: The instance as read.
        entries: Its members, with what the same batch makes of them.
        own: Labels of the caller's own members.
        now: The time of day.
        limits: What a commit can hold.
        ttl: Seconds for the SRV RRset and for new records; None keeps what is there.
        beside: Further changes of the same batch, for their cost.
        adopt: Publish what others have announced. Only for who sees to the definition too.
        repair: Fold for others although the caller's own members need nothing.
        alone: Leave other members' values for another time.

    Raises:
        RRsetFull: Nothing of what is needed fits.
    """
    current = frozenset(view.values)
    tasks = [
        task
        for task in _tasks(view, entries, own, now if adopt else None, ttl)
        if not alone or task.label in own
    ]
    needed = {task.label for task in tasks if task.label in own}
    base = limits.cost([*beside, *([Change(view.srv, view.srv)] if view.srv else [])])
    if not needed and not repair:
        tasks = []
    chosen, values = _choose(tasks, own, current, base, limits)
    if needed and not chosen:
        raise RRsetFull(
            f"{view.name}: its SRV RRset is full: {len(current)} values, and {limits.characters} "
            "characters a change; use a second instance of the service: clients merge them"
        )
    srv = _srv_change(view, values, ttl, restate=bool(chosen))
    return Fold(
        changes=(*([srv] if srv else []), *(task.change for task in chosen)),
        needed=bool(needed),
        complete=needed <= {task.label for task in chosen},
    )


def member_rrset(instance: Name, member: Member, ttl: int | None) -> RRset:
    """The RRset of a member's record."""
    name = instance.child(member.label.encode())
    return RRset(name, "TXT", DEFAULT_TTL if ttl is None else ttl, (member.to_txt(),))


def _tasks(
    view: InstanceView,
    entries: Mapping[str, Entry],
    own: AbstractSet[str],
    now: datetime | None,
    ttl: int | None,
) -> list[_Task]:
    current = frozenset(view.values)
    wanted = {label: _wanted(entry, current, label in own, now) for label, entry in entries.items()}
    kept = frozenset().union(*wanted.values(), _pinned(entries, current))
    tasks = []
    for label, entry in entries.items():
        if any(member.is_newer for member in entry.sides):
            continue
        claimed = {v for v in current if any(member.claims(v) for member in entry.sides)}
        add, drop = wanted[label] - current, frozenset(claimed - kept)
        stale = label in own and entry.new is not None and bool(entry.new.was)
        if add or drop or stale or entry.old != entry.new:
            since = (entry.new or entry.sides[0]).since
            tasks.append(_Task(label, since, add, drop, _record_change(view.name, entry, ttl)))
    return tasks


def _wanted(
    entry: Entry, current: AbstractSet[Rdata], is_own: bool, now: datetime | None
) -> frozenset[Rdata]:
    """The value that an up member is to have; nothing if it is not to be published."""
    member = entry.new
    if member is None or member.state != "up" or member.is_newer:
        return frozenset()
    published = any(side.claims(value) for side in entry.sides for value in current)
    adopted = now is not None and _is_adoptable(member, now)
    return frozenset({member.srv}) if is_own or published or adopted else frozenset()


def _is_adoptable(member: Member, now: datetime) -> bool:
    """Whether a member that was never published is likely to be alive still."""
    leased = member.until is not None and member.until > now
    return leased or abs(now - member.since) < ADOPTABLE_FOR


def _pinned(entries: Mapping[str, Entry], current: AbstractSet[Rdata]) -> frozenset[Rdata]:
    newer = [member for entry in entries.values() for member in entry.sides if member.is_newer]
    return frozenset(value for value in current if any(m.claims(value) for m in newer))


def _record_change(instance: Name, entry: Entry, ttl: int | None) -> Change:
    """The record's change, or its guard; superseded values go in the same batch."""
    if entry.new is None:
        return Change(entry.record, None)
    settled = replace(entry.new, was=())
    if settled == entry.old and entry.record:
        return Change(entry.record, entry.record)
    ttl = entry.record.ttl if entry.record and ttl is None else ttl
    return Change(entry.record, member_rrset(instance, settled, ttl))


def _choose(
    tasks: Iterable[_Task],
    own: AbstractSet[str],
    current: frozenset[Rdata],
    base: Cost,
    limits: CommitLimits,
) -> tuple[list[_Task], frozenset[Rdata]]:
    """The tasks that fit, and the values that they leave.

    Others' removals come before their additions, since they make room: after them what did
    not fit at first, the caller's own in a full RRset, is tried once more.
    """
    oldest = sorted(tasks, key=lambda task: (task.since, task.label))
    mine = [task for task in oldest if task.label in own]
    others = [task for task in oldest if task.label not in own]
    drops = [task for task in others if task.drop]
    chosen: list[_Task] = []
    labels: set[str] = set()
    values, elements, characters = current, base.elements, base.characters
    for task in [*mine, *drops, *mine, *others]:
        if task.label in labels:
            continue
        then = (values - task.drop) | task.add
        cost = limits.cost([task.change])
        more = elements + cost.elements + len(then) - len(values)
        longer = characters + cost.characters + _length(then - values) - _length(values - then)
        if (
            len(then) <= max(limits.values, len(values))
            and more <= limits.elements
            and longer <= limits.characters
        ):
            chosen.append(task)
            labels.add(task.label)
            values, elements, characters = then, more, longer
    return chosen, values


def _srv_change(
    view: InstanceView, values: frozenset[Rdata], ttl: int | None, *, restate: bool
) -> Change | None:
    """The SRV RRset's swap; its guard if only member records change; None for neither."""
    if view.srv is None:
        if not values:
            return None
        first_ttl = DEFAULT_TTL if ttl is None else ttl
        return Change(None, RRset(view.name, "SRV", first_ttl, tuple(values)))
    after = view.srv.with_values(values, ttl)
    if after == view.srv:
        return Change(view.srv, view.srv) if restate else None
    return Change(view.srv, after)


def _length(values: Iterable[Rdata]) -> int:
    return sum(len(value.format()) for value in values)
