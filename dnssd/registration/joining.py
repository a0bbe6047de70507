"""One join: announce, then fold until the member is published."""

from collections.abc import Callable
from datetime import datetime

from dnssd.members import Member
from dnssd.registration import plan
from dnssd.registration.commits import Commits, Result
from dnssd.registration.request import Wish
from dnssd.registration.views import HostView, InstanceView

GIVE_WAY = 2  # times, to hosts that announced themselves earlier
WAY = 3.0  # seconds, each time


class Joining:
    """A join under way.

    Attributes:
        is_new: Whether it has announced a member that was not there before.
    """

    def __init__(
        self,
        wish: Wish,
        commits: Commits,
        *,
        splay: float,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._wish = wish
        self._commits = commits
        self._splay = splay
        self._now = now
        self._new_id = new_id
        self._announced: Member | None = None
        self.is_new = False
        self._way_given = 0
        self._sent = ""  # the id of an announcement whose answer was lost

    def run(self) -> None:
        """Announce blind, then take steps until there is none left."""
        draft = self._draft()
        result = self._commits.attempt(plan.announce(self._wish, draft))
        if result is Result.MADE:
            self.is_new = True
            self._note_announced(draft)
        elif result is Result.UNKNOWN:
            self._sent = draft.id
        while not self._advance():
            pass

    def look(self) -> plan.JoinStep:
        """The step that would be taken first, from reads alone."""
        host = self._commits.read_host(self._wish.host)
        return self._plan(self._draft(), self._commits.read_instance(self._wish.name), host)

    def _advance(self) -> bool:
        """Read, plan, commit; whether the host has joined."""
        host = None if self._announced else self._commits.read_host(self._wish.host)
        view = self._commits.read_instance(self._wish.name)
        if self._announced and self._wish.label not in view.members:
            self._announced = None  # somebody removed the announcement: start over
            return False
        if self._announced and self._gives_way(view):
            return False
        if self._wish.label in view.members:
            self.is_new |= view.members[self._wish.label][0].id == self._sent
        step = self._plan(self._announced or self._draft(), view, host)
        if step.changes or step.completes:
            result = self._commits.attempt(step.changes)
            if result is Result.MADE:
                return step.completes
            if result is Result.UNKNOWN or self._announced:
                self._commits.back_off()
                return False
        self._announce_alone(step, view)
        return False

    def _announce_alone(self, step: plan.JoinStep, view: InstanceView) -> None:
        """What nobody contends for; the fold comes next."""
        if self._commits.attempt(step.own) is Result.MADE:
            self.is_new |= self._wish.label not in view.members
            self._note_announced(step.member)
        else:
            self._commits.back_off()

    def _gives_way(self, view: InstanceView) -> bool:
        """Wait for the host that came first, at a time when every request counts."""
        if self._way_given == GIVE_WAY or not plan.gives_way(self._wish, view, self._now()):
            return False
        self._way_given += 1
        self._commits.deadline.give_way(WAY, "waiting for the host that came first")
        return True

    def _plan(self, draft: Member, view: InstanceView, host: HostView | None) -> plan.JoinStep:
        definition = None
        while True:
            step = plan.join(
                self._wish,
                draft,
                view,
                host,
                definition,
                announced=self._announced is not None,
                now=self._now(),
                limits=self._commits.zone.limits,
                alone=self._commits.unexplained,
            )
            if step is not None:
                return step
            definition = self._commits.read_definition(self._wish.service, self._wish.enumeration)

    def _draft(self) -> Member:
        return self._wish.member(self._new_id(), self._now().replace(microsecond=0))

    def _note_announced(self, member: Member) -> None:
        self._announced = member
        self._commits.truth = (
            f"{self._wish.record_name} is announced, and may not be published yet; "
            "join again to finish, or leave"
        )
        self._commits.deadline.splay(self._splay)
