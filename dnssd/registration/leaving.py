"""One leave: all at once, or else mark as leaving, fold, clean up."""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from dnssd.errors import Superseded
from dnssd.members import Member
from dnssd.records import Change
from dnssd.registration import plan
from dnssd.registration.commits import Commits, Result
from dnssd.registration.request import Departure
from dnssd.registration.views import InstanceView


class Leaving:
    """A leave under way."""

    def __init__(
        self,
        departure: Departure,
        commits: Commits,
        *,
        splay: float,
        now: Callable[[], datetime],
    ) -> None:
        self._departure = departure
        self._commits = commits
        self._splay = splay
        self._now = now
        self._members: dict[str, Member] = {}  # that set out to leave, by label
        self._settled: set[str] = set()  # ids that were leaving before the next listing begins

    def run(self) -> tuple[Member, ...]:
        """Take this host's members out; return them."""
        view = self._commits.read_instance(self._departure.name)
        self._members = _members(view, plan.own_labels(self._departure, view))
        if not self._members:
            return ()
        result = Result.STALE
        throttled = self._commits.requests > 1  # then a record of its own is surer
        if view.srv and not throttled:
            step = self._withdrawal(view)
            if step.completes:
                result = self._commits.attempt(step.changes)
        if result is Result.MADE:
            return tuple(self._members.values())
        if result is Result.STALE:
            labels = frozenset(self._members)
            self._mark(plan.mark_leaving(view, labels), view, labels)
        while not self._advance():
            pass
        return tuple(self._members.values())

    def look(self) -> plan.Step:
        """How the members would leave, all at once, from reads alone."""
        view = self._commits.read_instance(self._departure.name)
        self._members = _members(view, plan.own_labels(self._departure, view))
        return self._withdrawal(view)

    def _withdrawal(self, view: InstanceView) -> plan.Step:
        # Read after the listing: what a listed member announced is there by now.
        host = self._commits.read_host(self._departure.host_name if self._members else None)
        return plan.withdraw(
            self._departure,
            frozenset(self._members),
            view,
            host,
            now=self._now(),
            limits=self._commits.zone.limits,
        )

    def _advance(self) -> bool:
        """Read, then mark, fold or clean up; whether the host has left."""
        view = self._commits.read_instance(self._departure.name)
        labels = self._still_there(view)
        if not labels:
            return True
        if marks := plan.mark_leaving(view, labels):
            self._mark(marks, view, labels)
            return False
        limits = self._commits.zone.limits
        folded = plan.fold_out(view, labels, now=self._now(), limits=limits)
        ids = {view.members[label][0].id for label in labels}
        known = ids <= self._settled
        self._settled |= ids
        if folded.needed:
            changes, last = folded.changes, False
        elif known or view.srv:
            host = self._commits.read_host(self._departure.host_name)
            changes = plan.clean_up(self._departure, labels, view, host, guarded=not known)
            last = True
        else:
            return False  # an absent RRset cannot be restated: list once more
        if self._commits.attempt(changes) is Result.MADE:
            return last
        self._commits.back_off()
        return False

    def _mark(self, marks: Sequence[Change], view: InstanceView, labels: AbstractSet[str]) -> None:
        if self._commits.attempt(marks) is not Result.MADE:
            self._commits.back_off()
            return
        self._settled |= {view.members[label][0].id for label in labels}
        self._commits.truth = (
            f"{', '.join(sorted(labels))}: marked as leaving: the next join or leave of any "
            "host takes the value out; leave again to remove the rest"
        )
        self._commits.deadline.splay(self._splay)

    def _still_there(self, view: InstanceView) -> frozenset[str]:
        """The labels of those that set out to leave and are listed."""
        labels = plan.own_labels(self._departure, view) & self._members.keys()
        for label in labels:
            if view.members[label][0].id != self._members[label].id:
                raise Superseded(
                    f"member {label}: this host has joined again meanwhile; "
                    "leave again if it is to go"
                )
        return labels


def _members(view: InstanceView, labels: Iterable[str]) -> dict[str, Member]:
    return {label: view.members[label][0] for label in sorted(labels)}
