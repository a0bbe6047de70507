"""One leave: all at once, or else mark as leaving, fold, clean up."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime

from dnssd.errors import Superseded
from dnssd.members import Member
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
        self._settled: set[str] = set()  # ids that were leaving before the next listing begins

    def run(self) -> tuple[Member, ...]:
        """Take this host's members out; return them."""
        view, labels, step = self.look()
        members = tuple(view.members[label][0] for label in labels)
        if not members:
            return members
        result = self._commits.attempt(step.changes) if view.srv else Result.STALE
        if result is Result.MADE and step.completes:
            return members
        if result is Result.STALE:
            self._mark(view, labels)
        ids = {member.id for member in members}
        while not self._advance(ids):
            pass
        return members

    def look(self) -> tuple[InstanceView, AbstractSet[str], plan.Step]:
        """The members that leave, and how they would all at once, from reads alone."""
        view = self._commits.read_instance(self._departure.name)
        labels = plan.own_labels(self._departure, view)
        # Read after the listing: what a listed member announced is there by now.
        host = self._commits.read_host(self._departure.host_name if labels else None)
        limits = self._commits.zone.limits
        step = plan.withdraw(self._departure, labels, view, host, now=self._now(), limits=limits)
        return view, labels, step

    def _advance(self, ids: AbstractSet[str]) -> bool:
        """Read, then mark, fold or clean up; whether the host has left."""
        view = self._commits.read_instance(self._departure.name)
        labels = plan.own_labels(self._departure, view)
        if not labels:
            return True
        self._check_ids(view, labels, ids)
        if plan.mark_leaving(view, labels):
            self._mark(view, labels)
            return False
        limits = self._commits.zone.limits
        folded = plan.fold_out(view, labels, now=self._now(), limits=limits)
        known = _ids(view, labels) <= self._settled
        self._settled |= _ids(view, labels)
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

    def _mark(self, view: InstanceView, labels: AbstractSet[str]) -> None:
        if self._commits.attempt(plan.mark_leaving(view, labels)) is not Result.MADE:
            self._commits.back_off()
            return
        self._settled |= _ids(view, labels)
        self._commits.truth = (
            f"{', '.join(sorted(labels))}: marked as leaving: the next join or leave of any "
            "host takes the value out; leave again to remove the rest"
        )
        self._commits.pace.splay(self._splay)

    def _check_ids(self, view: InstanceView, labels: Iterable[str], ids: AbstractSet[str]) -> None:
        for label in labels:
            if view.members[label][0].id not in ids:
                raise Superseded(
                    f"member {label}: this host has joined again meanwhile; "
                    "leave again if it is to go"
                )


def _ids(view: InstanceView, labels: Iterable[str]) -> set[str]:
    return {view.members[label][0].id for label in labels}
