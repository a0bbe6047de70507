"""What to write next, from what was read. Pure: joining, leaving and removal do what this says.

A join:

    announce blind --------------------------------------> fold until done
        | conflict                                            ^
        v                                                     |
    direct: announce and fold in one batch --conflict--> announce alone

and a leave:

    direct: fold and clean up in one batch
        | conflict
        v
    mark leaving --> fold until the value is gone --> clean up (removal.py)
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dnssd.errors import HeldOut, OwnedByAnother, PlaceTaken, Refused, RRsetFull, Superseded
from dnssd.members import Member
from dnssd.registration import address
from dnssd.registration import definition as definitions
from dnssd.registration.fold import Aim, Fold, MemberChange, fold, member_rrset, unchanged
from dnssd.registration.views import DefinitionView, HostView, InstanceView
from dnssd.registration.wish import Wish
from dnssd.rrsets import Change, RRset
from dnssd.zones.limits import CommitLimits

FOUNDING = timedelta(minutes=2)  # how long a live host may take from announcing to folding


@dataclass(frozen=True, slots=True)
class Step:
    """The next batch.

    Attributes:
        changes: Empty if there is nothing to do, or nothing that can be done at once.
        completes: Whether the host has joined, or left, once they are made.
    """

    changes: tuple[Change, ...]
    completes: bool


@dataclass(frozen=True, slots=True)
class JoinStep(Step):
    """The next batch of a join.

    Attributes:
        own: What of it announces: only this host's own records, so nobody contends.
        member: The own member once those are made.
    """

    own: tuple[Change, ...]
    member: Member


def announce(wish: Wish, member: Member) -> tuple[Change, ...]:
    """Announce a member of which nothing is there yet."""
    return Change(None, member_rrset(wish.name, member, wish.ttl)), *address.claim(wish)


def join(
    wish: Wish,
    draft: Member,
    view: InstanceView,
    host: HostView | None,
    definition: DefinitionView | None,
    *,
    announced: bool,
    now: datetime,
    limits: CommitLimits,
    alone: bool = False,
) -> JoinStep | None:
    """Plan the next step of a join.

    Args:
        wish: What is wanted.
        draft: The member to announce, or as it was announced.
        view: The instance, read after `host`.
        host: What stands at the host's name; None if it was announced already, or if the
            wish has a target of its own.
        definition: The PTR RRsets; None while they have not been read.
        announced: Whether this run has announced `draft`.
        now: The time of day.
        limits: What a commit can hold.
        alone: Leave other members' values for another time.

    Returns:
        The step; None if `definition` has to be read first.

    Raises:
        Refused: Another owner's records, or records of another kind, are in the way.
        RRsetFull: The value does not fit.
    """
    view.check()
    if definition is None and definitions.is_needed(wish, view):
        return None
    check_place(wish, view)
    entry = _still_there(wish, draft, view) if announced else own_change(wish, draft, view, now)
    member = entry.new or draft
    announces = member != entry.old
    own = address.use(wish, host, announcing=announces, freed=freed_owner(entry.old, now))
    aim = Aim.ALONE if alone else Aim.JOIN if announced else Aim.REPAIR
    for defined in definitions.complete(wish, view, definition, limits):
        beside = (*defined, *own)
        folded = _fold_in(wish, view, entry, aim, beside=beside, now=now, limits=limits)
        if folded.complete:
            break
    if announces:
        own = (Change(entry.record, record_rrset(wish, member, entry.record)), *own)
    changes = (*beside, *folded.changes) if folded.complete else folded.changes
    return JoinStep(changes, folded.complete, own=own, member=member)


def gives_way(wish: Wish, view: InstanceView, now: datetime) -> bool:
    """Whether an older announcement is about to found the instance, and publish this one too.

    Of hosts that boot together into a new instance, all would read its definition, and all
    but one in vain.
    """
    own, _ = view.members[wish.label]
    older = (
        member
        for member, _ in view.members.values()
        if (member.since, member.label) < (own.since, own.label)
    )
    return definitions.is_needed(wish, view) and any(
        member.state == "up" and member.since > now - FOUNDING for member in older
    )


def withdraw(
    labels: AbstractSet[str],
    view: InstanceView,
    host: HostView | None,
    *,
    now: datetime,
    limits: CommitLimits,
) -> Step:
    """Take members of one host out and remove their records, in one batch, if one can hold it.

    The SRV RRset is in the batch even where it does not hold their values: an announcement
    that somebody is just adopting then conflicts. An absent one cannot be restated, so where
    it is absent a leave has to mark first.
    """
    entries = unchanged(view)
    entries |= {label: replace(entries[label], new=None) for label in labels}
    names = [view.members[label][1].name for label in labels]
    released = address.release(host, names)
    try:
        folded = fold(view, entries, Aim.LEAVE, own=labels, now=now, limits=limits, beside=released)
    except RRsetFull:
        return Step((), completes=False)
    if not folded.complete:
        return Step((), completes=False)
    return Step((*folded.changes, *released), completes=True)


def mark_leaving(view: InstanceView, labels: AbstractSet[str]) -> tuple[Change, ...]:
    """Mark members as leaving: from here on anybody's fold takes their values out."""
    return tuple(
        Change(record, record.with_values((member.leaving().to_txt(),)))
        for label, (member, record) in view.members.items()
        if label in labels and member.state == "up"
    )


def fold_out(
    view: InstanceView,
    labels: AbstractSet[str],
    *,
    now: datetime,
    limits: CommitLimits,
    held: bool = False,
) -> Fold:
    """Mark members as leaving and take their values out; `needed` tells whether one is left.

    Args:
        view: The instance as read.
        labels: The members.
        now: The time of day.
        limits: What a commit can hold.
        held: Tell their agents to stay out.
    """
    entries = unchanged(view)
    for label in labels:
        member = view.members[label][0]
        entries[label] = replace(entries[label], new=member.leaving(held=held))
    return fold(view, entries, Aim.LEAVE, own=labels, now=now, limits=limits)


def _fold_in(
    wish: Wish,
    view: InstanceView,
    entry: MemberChange,
    aim: Aim,
    *,
    beside: tuple[Change, ...],
    now: datetime,
    limits: CommitLimits,
) -> Fold:
    """Fold the own member in. What an announcement needs may fit apart from it."""
    known = entry.new is not None and view.publishes(entry.new)
    try:
        return fold(
            view,
            {**unchanged(view), wish.label: entry},
            aim,
            own={wish.label},
            now=now,
            limits=limits if known else limits.for_newcomers(),
            ttl=wish.ttl,
            beside=beside,
        )
    except RRsetFull:
        if entry.new == entry.old:
            raise
        return Fold((), needed=True, complete=False)


def own_change(wish: Wish, draft: Member, view: InstanceView, now: datetime) -> MemberChange:
    """The own member as found, and as this join wants it."""
    for rrset in view.others:
        if rrset.name == wish.record_name:
            raise Refused(
                f"{wish.record_name}: a foreign {rrset.rdtype} record stands at this member's "
                "name; remove it, or give another --host"
            )
    if wish.label not in view.members:
        return MemberChange(None, None, draft)
    found, record = view.members[wish.label]
    _check_owner(wish, found, now)
    if found.same_as(draft):
        return MemberChange(record, found, found.renewed(draft, confirmed=wish.confirm))
    was = dict.fromkeys(v for v in (*found.was, found.srv) if not draft.claims(v))
    kept = () if found.is_newer else found.unknown
    return MemberChange(record, found, replace(draft, was=tuple(was), unknown=kept))


def _still_there(wish: Wish, announced: Member, view: InstanceView) -> MemberChange:
    """The own member after its announcement, provided that nobody had a later word."""
    found, record = view.members[wish.label]
    if found.owner != announced.owner:
        why = f"{found.owner} has taken it over meanwhile; give another --host, or find out which "
        raise _about(found, OwnedByAnother, f"{why}host is meant to have the name")
    if found.state == "leaving" and announced.state == "up":
        why = "marked as leaving meanwhile, by a leave of this host or by uninstall-records; "
        raise _about(found, Superseded, f"{why}join again when that has ended")
    if not found.same_as(announced):
        why = f"another run on this host has changed it meanwhile to {found.srv.format()!r}, "
        raise _about(found, Superseded, f"{why}{found.state}; let one of them manage it")
    return MemberChange(record, found, found)


def check_place(wish: Wish, view: InstanceView) -> None:
    """One member for each target and port: of two, neither could tell whose the value is."""
    for label, (member, _) in view.members.items():
        if label != wish.label and member.state == "up" and member.claims(wish.srv):
            raise PlaceTaken(
                f"{wish.srv.target}:{wish.srv.port}: already published by member {label} of "
                f"{member.owner}; once is enough, or leave there first",
                owner=member.owner,
            )


def freed_owner(found: Member | None, now: datetime) -> str | None:
    """The owner whose lease of the member has ended."""
    return found.owner if found and found.until is not None and found.until <= now else None


def _check_owner(wish: Wish, found: Member, now: datetime) -> None:
    if wish.agent and found.is_held:
        raise _about(found, HeldOut, "taken out on purpose; 'dnssd join' there ends that")
    if wish.takeover:
        return
    if found.is_newer:
        why = "its record is of a newer format; upgrade dnssd, or replace it with --takeover"
        raise _about(found, Refused, why)
    if found.owner != freed_owner(found, now) and not wish.owns(found.owner):
        why = f"belongs to {found.owner} since {found.since:%Y-%m-%d %H:%M} UTC, this is "
        advice = "give another --host, or --takeover if that owner is gone"
        raise _about(found, OwnedByAnother, f"{why}{wish.owner}; {advice}")


def _about(found: Member, kind: type[Refused], why: str) -> Refused:
    return kind(f"member {found.label}: {why}", owner=found.owner)


def record_rrset(wish: Wish, member: Member, record: RRset | None) -> RRset:
    """The RRset of a member's record, with the TTL that is wished for or that it has."""
    return member_rrset(wish.name, member, record.ttl if record and wish.ttl is None else wish.ttl)
