"""A join where a zone merges: read, one commit with everything, read back."""

import logging

from dnssd.errors import ZoneError
from dnssd.registration import merge, plan
from dnssd.registration.definition import full_list
from dnssd.registration.merge import Merge, Read
from dnssd.registration.operation import Operation, Outcome, Result
from dnssd.registration.wish import Wish
from dnssd.rrsets import Change

_log = logging.getLogger("dnssd.registration")

ENOUGH = 3  # commits that were made, until it is the server that does not keep them


def join(operation: Operation, wish: Wish) -> Outcome:
    """Publish a member; changes nothing if it is published as wanted.

    A commit that was made is read back: that a server took it says little.

    Raises:
        Refused: Another owner's records, or records of another kind, are in the way.
        RRsetFull: The instance is full.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; the message says what is in the zone now.
    """
    former = None
    made = 0
    with operation.telling(wish.name):
        while True:
            read, commit = _plan(operation, wish, keep_ttl=made > 0)
            if not made and not operation.uncertain and wish.label in read.view.members:
                former, _ = read.view.members[wish.label]
            if not commit.needed:
                break
            if made == ENOUGH:
                raise _not_kept(operation, commit)
            if operation.attempt(commit.changes, commit.absent) is Result.MADE:
                made += 1
                operation.truth = "it was written, and not read back; 'dnssd status' shows it"
            else:
                operation.back_off()
    operation.truth = "it has joined"
    return operation.outcome(wish.name, (wish.label,), former=former)


def plan_join(operation: Operation, wish: Wish) -> tuple[Change, ...]:
    """What `join` would change. Reads only.

    Raises:
        DnssdError: As `join` would.
    """
    with operation.telling(wish.name):
        _, commit = _plan(operation, wish, keep_ttl=False)
    return tuple(change for change in commit.changes if not change.is_guard)


def _not_kept(operation: Operation, commit: Merge) -> ZoneError:
    changed = {f"{change.rdtype} {change.name}" for change in commit.changes if not change.is_guard}
    return ZoneError(
        f"{operation.zone.origin}: the server takes the change and does not keep it: "
        f"{', '.join(sorted(changed))}; its log and its rules for updates say why"
    )


def _plan(operation: Operation, wish: Wish, *, keep_ttl: bool) -> tuple[Read, Merge]:
    questions = merge.questions(wish, proxies=operation.zone.traits.proxies)
    found = operation.zone.read_many(questions, operation.deadline)
    merge.check(wish, found)
    read = Read.of(wish, found)
    if merge.is_taken(wish, read.view):
        plan.check_place(wish, operation.read_instance(wish.name))
    draft = wish.member(operation.new_id(), operation.now().replace(microsecond=0))
    most = operation.zone.limits.values
    commit = merge.join(wish, draft, read, operation.now(), keep_ttl=keep_ttl, most=most)
    if full := not keep_ttl and full_list(wish, read.definition, commit.changes):
        _log.warning("%s", full)
    return read, commit
