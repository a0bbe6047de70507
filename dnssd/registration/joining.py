"""A join: announce, then fold until the member is published."""

import logging
from dataclasses import dataclass

from dnssd.errors import ChangeRejected, DnssdError, NotShareable, PlaceTaken, RRsetFull
from dnssd.members import Member
from dnssd.registration import merging, plan
from dnssd.registration.definition import full_list
from dnssd.registration.leaving import take_out
from dnssd.registration.operation import WITHDRAWN, Operation, Outcome, Result
from dnssd.registration.views import HostView, InstanceView
from dnssd.registration.wish import Wish
from dnssd.rrsets import Change

_log = logging.getLogger("dnssd.registration")

GIVE_WAY_TIMES = 2  # to hosts that announced themselves earlier
GIVE_WAY_SECONDS = 3.0  # each time


def join(operation: Operation, wish: Wish) -> Outcome:
    """Publish a member; changes nothing if it is published as wanted.

    Raises:
        Refused: Another owner's records, or records of another kind, are in the way.
        RRsetFull: The instance is full; the announcement was withdrawn.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; the message says what is in the zone now.
    """
    operation.zone.actor = f"join {wish.label.rpartition('-')[0]}"
    if operation.zone.traits.merges:
        return merging.join(operation, wish)
    own = _Announcement()
    with operation.telling(wish.name):
        try:
            _announce_blind(operation, wish, own)
            while not _advance(operation, wish, own):
                pass
        except (RRsetFull, NotShareable, PlaceTaken, ChangeRejected):
            if own.is_new:
                _withdraw(operation, wish)
            raise
    operation.truth = "it has joined"
    return operation.outcome(wish.name, (wish.label,), former=own.former)


def plan_join(operation: Operation, wish: Wish) -> tuple[Change, ...]:
    """What `join` would change. Reads only.

    Raises:
        DnssdError: As `join` would.
    """
    if operation.zone.traits.merges:
        return merging.plan_join(operation, wish)
    with operation.telling(wish.name):
        host = operation.read_host(wish.host)
        view = operation.read_instance(wish.name)
        step = _plan(operation, wish, _Announcement(), view, host)
    return tuple(change for change in step.changes if not change.is_guard)


@dataclass(slots=True)
class _Announcement:
    """How far a join has come with its own records.

    Attributes:
        member: As this run announced it; None while it has not.
        is_new: Whether this run has announced a member that was not there before.
        former: The member as it was first read, if it was there.
        sent: The id of an announcement whose answer was lost.
        ways_given: How often it has waited for a host that came first.
    """

    member: Member | None = None
    is_new: bool = False
    former: Member | None = None
    sent: str = ""
    ways_given: int = 0


def _announce_blind(operation: Operation, wish: Wish, own: _Announcement) -> None:
    """Announce without a look: most hosts are new."""
    draft = _draft(operation, wish)
    result = operation.attempt(plan.announce(wish, draft))
    if result is Result.MADE:
        own.is_new = True
        _note_announced(operation, wish, own, draft)
    elif result is Result.UNKNOWN:
        own.sent = draft.id


def _advance(operation: Operation, wish: Wish, own: _Announcement) -> bool:
    """Read, plan, commit; whether the host has joined."""
    host = None if own.member else operation.read_host(wish.host)
    view = operation.read_instance(wish.name)
    found = view.members.get(wish.label)
    if own.member and found is None:
        own.member = None  # somebody removed the announcement: start over
        return False
    if own.member and found and found[0].state == "leaving":
        operation.truth = f"{wish.record_name} is leaving"
    if own.member and _gives_way(operation, wish, own, view):
        return False
    if found and not own.member:
        own.is_new |= found[0].id == own.sent
        own.former = own.former or (None if own.is_new else found[0])
    step = _plan(operation, wish, own, view, host)
    if step.changes or step.completes:
        result = operation.attempt(step.changes)
        if result is Result.MADE:
            return step.completes
        if result is Result.UNKNOWN or own.member:
            operation.back_off()
            return False
    _announce_alone(operation, wish, own, step, is_new=found is None)
    return False


def _withdraw(operation: Operation, wish: Wish) -> None:
    """Leave nothing behind; what hinders that is told less urgently than why it is to go."""
    try:
        take_out(operation, wish.undone())
    except DnssdError as error:
        _log.warning("the announcement could not be withdrawn: %s", error)
    else:
        operation.truth = WITHDRAWN


def _announce_alone(
    operation: Operation, wish: Wish, own: _Announcement, step: plan.JoinStep, *, is_new: bool
) -> None:
    """What nobody contends for; the fold comes next."""
    if operation.attempt(step.own) is Result.MADE:
        own.is_new |= is_new
        _note_announced(operation, wish, own, step.member)
    else:
        operation.back_off()


def _gives_way(operation: Operation, wish: Wish, own: _Announcement, view: InstanceView) -> bool:
    """Wait for the host that came first, at a time when every request counts."""
    if own.ways_given == GIVE_WAY_TIMES or not plan.gives_way(wish, view, operation.now()):
        return False
    own.ways_given += 1
    operation.deadline.give_way(GIVE_WAY_SECONDS, "waiting for the host that came first")
    return True


def _plan(
    operation: Operation,
    wish: Wish,
    own: _Announcement,
    view: InstanceView,
    host: HostView | None,
) -> plan.JoinStep:
    draft = own.member or _draft(operation, wish)
    definition = None
    while True:
        step = plan.join(
            wish,
            draft,
            view,
            host,
            definition,
            announced=own.member is not None,
            now=operation.now(),
            limits=operation.zone.limits,
            alone=operation.refused_alone,
        )
        if step is not None:
            if full := step.completes and full_list(wish, definition, step.changes):
                _log.warning("%s", full)
            return step
        definition = operation.read_definition(wish.service, wish.enumeration)


def _draft(operation: Operation, wish: Wish) -> Member:
    return wish.member(operation.new_id(), operation.now().replace(microsecond=0))


def _note_announced(operation: Operation, wish: Wish, own: _Announcement, member: Member) -> None:
    own.member = member
    operation.truth = (
        f"{wish.record_name} is announced, and may not be published yet; "
        "join again to finish, or leave"
    )
    operation.splay()
