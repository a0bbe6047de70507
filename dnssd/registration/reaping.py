"""Who is dead, and how many of them may be taken out at once. Pure.

    somebody's word                          believed
    EC2: terminated, shutting down           always: an instance does not come back from there
    EC2: stopped, stopping, absent           unless the member is young: EC2 may lag behind
    EC2: an error, another account           not at all
    the member's own lease has ended         some minutes later: clocks differ
    its port does not answer                 unless the member is young
    it is leaving, and its records stay      unless it is held for its agent to see
    its record is gone, its host's is not    unless EC2, or another member, says that it lives

Each is heard in every one of several rounds, about the same announcement, before it counts. A
host that starts again has the announcement that it had; its boot takes longer than EC2 lags.
Who is then taken out is marked `removed=reap/TIME` and stays in the zone for `WINDOW`, so that
the brake counts what anybody has removed by the listing that the next batch rests on. What no
client was sent to is not counted: it is marked without a time, and goes at once.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from dnssd.members import Member, format_time
from dnssd.names import Name
from dnssd.records import Srv
from dnssd.registration.fold import Aim, Fold, MemberChange, fold, unchanged
from dnssd.registration.views import HostView, InstanceView
from dnssd.zones.limits import CommitLimits

WINDOW = timedelta(minutes=10)  # in which the brake counts
SHARE = 4  # one of so many members may be taken out in a window
YOUNG = timedelta(minutes=5)  # an announcement that EC2, or a server that starts, may lag behind
LEASE_GRACE = timedelta(minutes=5)  # what providers forgive a clock that signs its requests

FINAL = frozenset({"shutting-down", "terminated"})
ENDED = FINAL | {"stopping", "stopped", "absent"}

Kind = Literal["ec2", "lease", "probe", "leaving", "gone"]
Place = tuple[Name, str]  # a service instance and a member's label


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the zone.

    Attributes:
        words: EC2's word on each owner that it can tell of; None if it gave no answer.
        silent: Members whose ports do not answer.
    """

    words: Mapping[str, str] | None = field(default_factory=dict)
    silent: Collection[Place] = ()


@dataclass(frozen=True, slots=True)
class Dead:
    """A member that somebody knows to be dead.

    Attributes:
        instance: The service instance name.
        label: The member's label.
        id: The announcement that it is about; empty for one whose record is gone.
        owner: Whose it is.
        kind: Who says so.
        why: The same for people.
    """

    instance: Name
    label: str
    id: str
    owner: str
    kind: Kind
    why: str

    @property
    def key(self) -> tuple[Name, str, str]:
        """What makes it this announcement of this member."""
        return self.instance, self.label, self.id

    def to_json(self) -> dict[str, str]:
        """For programs."""
        return {
            "name": str(self.instance),
            "member": self.label,
            "owner": self.owner,
            "kind": self.kind,
            "why": self.why,
        }


def judge(
    views: Iterable[InstanceView], hosts: Iterable[HostView], facts: Facts, now: datetime
) -> list[Dead]:
    """Everybody in a listing who is dead by what is known now.

    Args:
        views: The instances.
        hosts: What stands at the hosts' names.
        facts: What is known beside that.
        now: The time of day.
    """
    views = list(views)
    dead = [
        Dead(view.name, label, member.id, member.owner, *reason)
        for view in views
        for label, (member, _) in sorted(view.members.items())
        if (reason := _reason(view.name, member, facts, now))
    ]
    return [*dead, *_gone(views, hosts, facts, dead)]


def allowance(view: InstanceView, now: datetime, *, gone: int = 0, taken: int = 0) -> int:
    """How many published members may be taken out now: a quarter in `WINDOW`, never the last.

    Args:
        view: The instance.
        now: The time of day.
        gone: How many of its values belong to members whose records are gone.
        taken: How many were taken out without a mark.
    """
    recent = taken + sum(_is_recent(member, now) for member, _ in view.members.values())
    there = gone + sum(_is_endpoint(view, member) for member, _ in view.members.values())
    return max(0, min(max(1, (there + recent) // SHARE) - recent, there - 1))


def choose(
    view: InstanceView,
    dead: Iterable[Dead],
    now: datetime,
    limit: int | None = None,
    *,
    taken: int = 0,
) -> tuple[list[Dead], list[Dead]]:
    """Those who may be taken out of an instance now, and those whom the brake holds.

    Args:
        view: The instance.
        dead: Whoever is dead in it; those who have gone or come back since are left out.
        now: The time of day.
        limit: How many may go, whatever the brake says.
        taken: How many were taken out without a mark.
    """
    found = [one for one in dead if one.instance == view.name and _is_unchanged(view, one)]
    free = [one for one in found if not counts(view, one)]
    dear = [one for one in found if counts(view, one)]
    if limit is not None:
        return [*free, *dear][:limit], [*free, *dear][limit:]
    gone = sum(not one.id for one in dear)
    most = allowance(view, now, gone=gone, taken=taken)
    return [*free, *dear[:most]], dear[most:]


def bury(
    view: InstanceView,
    dead: Iterable[Dead],
    new_id: str,
    *,
    now: datetime,
    limits: CommitLimits,
) -> Fold:
    """Mark the dead, and take their values out, in one batch.

    A member whose record is gone gets one again, on its way out: where somebody joins under that
    name meanwhile, one of both conflicts, and what the host's name holds goes with the record.

    Args:
        view: The instance as read.
        dead: Who goes.
        new_id: For records that are gone.
        now: The time of day.
        limits: What a commit can hold.
    """
    entries = unchanged(view)
    labels = set()
    for one in dead:
        old, record = view.members.get(one.label, (None, None))
        if old is None or not old.is_newer:
            mark = f"reap/{format_time(now)}" if counts(view, one) else "reap"
            new = replace((old or _lost(one, new_id, now)).leaving(), removed=mark)
            entries[one.label] = MemberChange(record, old, new)
            labels.add(one.label)
    return fold(view, entries, Aim.LEAVE, own=labels, now=now, limits=limits)


def leftovers(view: InstanceView, dead: Iterable[Dead], now: datetime) -> frozenset[str]:
    """Members whose records can go: nobody is sent there, and the brake has counted them."""
    known = {one.key for one in dead}
    return frozenset(
        label
        for label, (member, _) in view.members.items()
        if member.state == "leaving"
        and not _is_recent(member, now)
        and (member.removed or (view.name, label, member.id) in known)
    )


def _reason(instance: Name, member: Member, facts: Facts, now: datetime) -> tuple[Kind, str] | None:
    """Why a member is dead; None if nobody says so."""
    is_old = abs(now - member.since) >= YOUNG
    word = (facts.words or {}).get(member.owner, "")
    if member.state == "leaving" and member.removed:
        return None  # it has been taken out
    if word in FINAL or (word in ENDED and is_old):
        return "ec2", f"EC2: {word}"
    if member.is_held:
        return None
    if member.state == "leaving":
        return "leaving", "it has left, and its records stayed"
    if member.until is not None and member.until + LEASE_GRACE < now:
        return "lease", f"its lease ended at {format_time(member.until)}"
    if is_old and (instance, member.label) in facts.silent:
        return "probe", f"port {member.srv.port} does not answer"
    return None


def _gone(
    views: Iterable[InstanceView], hosts: Iterable[HostView], facts: Facts, dead: Iterable[Dead]
) -> Iterator[Dead]:
    """Members that host records still name, and whose own records are gone."""
    taken = {one.key for one in dead}
    names = {rrset.name for view in views for rrset in view.rrsets}
    alive = {
        label.rpartition("-")[0]
        for view in views
        for label, (member, _) in view.members.items()
        if member.state == "up" and (view.name, label, member.id) not in taken
    }
    for host in hosts:
        record, _ = host.record or (None, None)
        label = host.name.labels[0].decode("latin-1").lower()
        if record is None or record.is_newer or label in alive or _lives(record.owner, facts):
            continue
        for name in record.used:
            member, port = _place(name, label)
            if port and name not in names:
                yield Dead(name.parent, member, "", record.owner, "gone", "its record is gone")


def _lives(owner: str, facts: Facts) -> bool:
    """Whether an owner is known to live, or would be if EC2 had answered."""
    if facts.words is None:
        return owner.startswith("ec2/")
    return facts.words.get(owner, "absent") not in ENDED


def _place(name: Name, host: str) -> tuple[str, int]:
    """The label and the port of a host's member record; port 0 if the name is none of its."""
    label = name.labels[0].decode("latin-1").lower()
    front, _, port = label.rpartition("-")
    return label, int(port) if front == host and port.isdecimal() and port.isascii() else 0


def _lost(one: Dead, new_id: str, now: datetime) -> Member:
    """The record of a member that has none any more."""
    host, _, port = one.label.rpartition("-")
    origin = Name(one.instance.labels[3:])  # behind an instance and a service type
    srv = Srv(0, 0, int(port), origin.child(host.encode()))
    return Member(one.label, srv, (), one.owner, now, new_id)


def _is_recent(member: Member, now: datetime) -> bool:
    """Whether the brake counts a removal; one by a clock that is ahead it counts for longer."""
    return member.removed_at is not None and now - member.removed_at < WINDOW


def _is_endpoint(view: InstanceView, member: Member) -> bool:
    return member.state == "up" and view.publishes(member)


def _is_unchanged(view: InstanceView, one: Dead) -> bool:
    """Whether a member is as it was judged, and still has something to lose."""
    member, _ = view.members.get(one.label, (None, None))
    if member is None:
        return not one.id
    return member.id == one.id and member.state == "up"


def counts(view: InstanceView, one: Dead) -> bool:
    """Whether clients are sent there, so that the brake counts it, if it is taken out."""
    if not one.id:
        return view.publishes(_lost(one, "", datetime.min))
    return _is_endpoint(view, view.members[one.label][0])
