"""Members go: by their host's leave, by an uninstallation, by whoever may say that they are dead.

    up ----------> leaving, value in SRV --fold--> leaving, value gone --clean up--> none
        mark, alone or in the same batch as the fold

The value goes before the record that explains it, or with it. A record is removed only if it
was leaving before the listing began that shows its value gone, or in a batch that restates
the SRV RRset: otherwise somebody may be adopting it at this moment. A record of a newer format
is removed and never changed: it goes at once with its value, or not at all.
"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from dnssd.names import Name
from dnssd.registration import address, merge, plan
from dnssd.registration.operation import PART, Operation, Result
from dnssd.registration.views import InstanceView
from dnssd.rrsets import Change


@dataclass(slots=True)
class Removal:
    """Who is to go from an instance, and how far that has come.

    Attributes:
        name: The service instance name.
        select: Those of a listing that are to go, by label; none ends the removal.
        marks_first: Mark them in a batch of their own, for which nobody contends.
        settled: The ids of members that were leaving before the next listing begins.
    """

    name: Name
    select: Callable[[InstanceView], frozenset[str]]
    marks_first: bool = False
    settled: set[str] = field(default_factory=set)


def remove(operation: Operation, removal: Removal) -> None:
    """Take members and their records out, until none is left.

    Raises:
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; `operation.truth` says how far it came.
    """
    while not _advance(operation, removal):
        pass


def mark(
    operation: Operation, removal: Removal, view: InstanceView, labels: AbstractSet[str]
) -> None:
    """Mark members as leaving: from here on anybody's fold takes their values out."""
    if operation.attempt(plan.mark_leaving(view, labels)) is not Result.MADE:
        operation.back_off()
        return
    removal.settled |= {view.members[label][0].id for label in labels}
    operation.truth = (
        f"{', '.join(sorted(labels))}: marked as leaving: the next join or leave of any "
        "host takes the value out; leave again to remove the rest"
    )
    operation.splay()


def hold_out(operation: Operation, removal: Removal) -> None:
    """Take members' values out, and leave their records for their agents to see.

    An agent whose record is gone joins again; one that reads `hold` stays out.

    Raises:
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; `operation.truth` says how far it came.
    """
    while True:
        view = operation.read_instance(removal.name)
        labels = removal.select(view)
        limits = operation.zone.limits
        folded = plan.fold_out(view, labels, now=operation.now(), limits=limits, held=True)
        if not folded.needed:
            return
        _done(operation, folded.changes)


def _advance(operation: Operation, removal: Removal) -> bool:
    """Read, then mark, fold or clean up; whether nothing is left."""
    view = operation.read_instance(removal.name)
    labels = removal.select(view)
    if not labels:
        return True
    if operation.zone.traits.merges:
        _withdraw(operation, view, labels)
        return False  # read back: one listing more shows that they are gone
    if newer := frozenset(label for label in labels if view.members[label][0].is_newer):
        return _remove_newer(operation, view, newer) and newer == labels
    if removal.marks_first and plan.mark_leaving(view, labels):
        mark(operation, removal, view, labels)
        return False
    folded = plan.fold_out(view, labels, now=operation.now(), limits=operation.zone.limits)
    if folded.needed:
        if _done(operation, folded.changes):
            operation.truth = PART
            removal.settled |= _ids(view, labels, folded.changes)
        return False
    ids = {view.members[label][0].id for label in labels}
    known = ids <= removal.settled
    removal.settled |= ids
    if not known and view.srv is None:
        return False  # an absent RRset cannot be restated: list once more
    changes, cleaned = _clean_up(operation, view, labels, guarded=not known)
    return _done(operation, changes) and cleaned == labels


def _withdraw(operation: Operation, view: InstanceView, labels: AbstractSet[str]) -> None:
    """Remove values and records of one host after another, where nobody contends for them."""
    for host, own in _by_host(operation, labels):
        commit = merge.withdraw(own, view, operation.read_host(host))
        if operation.attempt(commit.changes, commit.absent) is not Result.MADE:
            operation.back_off()
            return
        operation.truth = PART


def _done(operation: Operation, changes: tuple[Change, ...]) -> bool:
    """Whether a batch was made; waits if it was not."""
    if operation.attempt(changes) is Result.MADE:
        return True
    operation.back_off()
    return False


def _ids(view: InstanceView, labels: AbstractSet[str], changes: tuple[Change, ...]) -> set[str]:
    """The ids of those members whose records a batch has held."""
    names = {change.name for change in changes}
    found = (view.members[label] for label in labels)
    return {member.id for member, record in found if record.name in names}


def _remove_newer(operation: Operation, view: InstanceView, labels: AbstractSet[str]) -> bool:
    """Remove one host's records of a newer format, together with their values."""
    host, own = next(_by_host(operation, labels))
    step = plan.withdraw(
        own, view, operation.read_host(host), now=operation.now(), limits=operation.zone.limits
    )
    return _done(operation, step.changes) and own == labels


def _clean_up(
    operation: Operation, view: InstanceView, labels: AbstractSet[str], *, guarded: bool
) -> tuple[tuple[Change, ...], frozenset[str]]:
    """Remove the records of members whose values are gone, with what their hosts used.

    Returns:
        One host's after another's, as many as fit; and whose they are.
    """
    guard = (Change(view.srv, view.srv),) if guarded and view.srv else ()
    changes: tuple[Change, ...] = guard
    cleaned: frozenset[str] = frozenset()
    for host, own in _by_host(operation, labels):
        records = tuple(Change(view.members[label][1], None) for label in sorted(own))
        names = [change.name for change in records]
        released = address.release(operation.read_host(host), names)
        more = (*changes, *records, *released)
        if cleaned and not operation.zone.limits.fits(more):
            break
        changes, cleaned = more, cleaned | own
    return changes, cleaned


def _by_host(
    operation: Operation, labels: AbstractSet[str]
) -> Iterator[tuple[Name, frozenset[str]]]:
    """The labels of each host, with the name that may hold its addresses."""
    hosts = sorted({label.rpartition("-")[0] for label in labels})
    for host in hosts:
        own = frozenset(label for label in labels if label.rpartition("-")[0] == host)
        yield operation.zone.origin.child(host.encode()), own
