"""The fold: bring an instance's SRV RRset to the projection of its member records. Pure.

    value in the SRV RRset            after the fold
    claimed by no member              stays: it is foreign
    claimed by a newer format         stays: its rules are not known here
    claimed by a leaving member       goes
    claimed by a member that is up    is that member's value, and no other of its values
    of an up member, never published  added, if the member is the caller's own, or young and
                                      the caller sees to the definition

What the caller's own members need is always done first. What is done for others depends on
what the fold is for:

    aim      own members need something   own members need nothing   publishes the young
    JOIN     others are folded too        nothing is done            yes
    REPAIR   others are folded too        others are folded          yes
    LEAVE    others are folded too        nothing is done            no
    ALONE    others are left as they are  nothing is done            no

A batch restates the record of every member whose value it adds or removes. So it conflicts
with whatever changes such a record meanwhile, even though the SRV RRset looks the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from dnssd.errors import RRsetFull
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Rdata
from dnssd.registration.views import InstanceView
from dnssd.registration.wish import DEFAULT_TTL
from dnssd.rrsets import Change, RRset
from dnssd.zones.limits import CommitLimits, Cost

ADOPTABLE_FOR = timedelta(minutes=15)  # an announcement older than this waits for its own host


class Aim(Enum):
    """What a fold is for; the table above says what follows from it."""

    JOIN = "the caller has announced a member"
    REPAIR = "the caller found its member published"
    LEAVE = "the caller takes members out"
    ALONE = "the zone refuses the batch for no reason that can be read"


@dataclass(frozen=True, slots=True)
class MemberChange:
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


def unchanged(view: InstanceView) -> dict[str, MemberChange]:
    """Every member of a view, left as it is."""
    return {
        label: MemberChange(record, member, member)
        for label, (member, record) in view.members.items()
    }


def fold(
    view: InstanceView,
    entries: Mapping[str, MemberChange],
    aim: Aim,
    *,
    own: AbstractSet[str],
    now: datetime,
    limits: CommitLimits,
    ttl: int | None = None,
    beside: Sequence[Change] = (),
) -> Fold:
    """Plan one fold, within what a commit can hold: own members first, then the oldest.

    Args:
        view: The instance as read.
        entries: Its members, with what the same batch makes of them.
        aim: What it is for.
        own: Labels of the caller's own members.
        now: The time of day.
        limits: What a commit can hold.
        ttl: Seconds for the SRV RRset and for new records; None keeps what is there.
        beside: Further changes of the same batch, for their cost.

    Raises:
        RRsetFull: Nothing of what is needed fits.
    """
    adopts = aim in (Aim.JOIN, Aim.REPAIR)
    tasks = _tasks(view, entries, own, now if adopts else None, ttl)
    needed = {task.label for task in tasks if task.label in own}
    if aim is Aim.ALONE:
        tasks = [task for task in tasks if task.label in own]
    elif not needed and aim is not Aim.REPAIR:
        tasks = []
    base = limits.cost([*beside, *([Change(view.srv, view.srv)] if view.srv else [])])
    chosen, values = _choose(tasks, own, frozenset(view.values), base, limits)
    if needed and not chosen:
        raise _full(view, limits)
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
    entries: Mapping[str, MemberChange],
    own: AbstractSet[str],
    now: datetime | None,
    ttl: int | None,
) -> list[_Task]:
    current = frozenset(view.values)
    wanted = {label: _wanted(entry, current, label in own, now) for label, entry in entries.items()}
    kept = frozenset().union(*wanted.values(), _pinned(entries, current))
    tasks = []
    for label, entry in entries.items():
        if entry.new is not None and entry.new.is_newer:
            continue
        claimed = {v for v in current if any(member.claims(v) for member in entry.sides)}
        add, drop = wanted[label] - current, frozenset(claimed - kept)
        stale = label in own and entry.new is not None and bool(entry.new.was)
        if add or drop or stale or entry.old != entry.new:
            since = (entry.new or entry.sides[0]).since
            tasks.append(_Task(label, since, add, drop, _record_change(view.name, entry, ttl)))
    return tasks


def _wanted(
    entry: MemberChange, current: AbstractSet[Rdata], is_own: bool, now: datetime | None
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


def _pinned(entries: Mapping[str, MemberChange], current: AbstractSet[Rdata]) -> frozenset[Rdata]:
    """The values of members of a newer format that stay."""
    newer = [e.new for e in entries.values() if e.new is not None and e.new.is_newer]
    return frozenset(value for value in current if any(m.claims(value) for m in newer))


def _record_change(instance: Name, entry: MemberChange, ttl: int | None) -> Change:
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


def _full(view: InstanceView, limits: CommitLimits) -> RRsetFull:
    return RRsetFull(
        f"{view.name}: its SRV RRset is full: {len(view.values)} values, and {limits.characters} "
        "characters a change; use a second instance of the service: clients merge them"
    )


def _length(values: Iterable[Rdata]) -> int:
    return sum(len(value.format()) for value in values)
