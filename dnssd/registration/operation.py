"""One join, leave or removal in one zone: its reads and commits, and what is now true."""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from dnssd.deadline import Deadline
from dnssd.errors import ChangeRejected, Conflict, DnssdError, OutcomeUnknown
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Rdata
from dnssd.registration.views import DefinitionView, HostView, InstanceView
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Question, Zone

_log = logging.getLogger("dnssd.registration")

NOTHING = "nothing was written"
WITHDRAWN = "its announcement was withdrawn"
PART = "part of it is done: run it again to go on"
LOST = "a change was sent and its answer lost; 'dnssd status' shows what is true"

REFUSED_ALONE = 2  # refusals over an unchanged listing before only the own records are tried
REFUSED_FOR_GOOD = 3  # and before it is the zone that refuses them, not a race


class Result(Enum):
    """What became of a commit."""

    MADE = "made"
    STALE = "stale"  # refused, nothing written: the zone is not as it was read
    UNKNOWN = "unknown"  # the answer was lost


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a join, leave or removal did.

    Attributes:
        name: The service instance name.
        members: The labels of the members that joined or left.
        changed: Whether the zone was changed, or, after a lost answer, may have been.
        changes: What was changed, in order; what was only restated is left out.
        defined: Whether the instance's definition was written: this was its first join.
        folded: Whether its own last commit carried the SRV RRset; otherwise the values came
            right by another host's.
        requests: Requests sent to the zone's provider.
        former: The member of this label as a join found it, None if there was none.
        removed: The SRV values that the departed members had.
        held: The labels of those whose records stay for their agents to see.

    Example:
        >>> api = Registration(service="http", instance="api", port=8080, host="api-1",
        ...                    addresses=["10.0.0.9"])
        >>> outcome = join(open_zone("example.test"), api)
        >>> str(outcome.name), outcome.members, outcome.changed
        ('api._http._tcp.example.test.', ('api-1-8080',), True)
    """

    name: Name
    members: tuple[str, ...]
    changed: bool
    changes: tuple[Change, ...]
    defined: bool
    folded: bool
    requests: int
    former: Member | None = None
    removed: frozenset[Rdata] = frozenset()
    held: tuple[str, ...] = ()


class Operation:
    """One operation's dealings with a zone, under one deadline. Use a new one for each.

    Args:
        zone: Where.
        deadline: When to give up.
        splay: Seconds; a random part of it is waited between announcing and folding.
        now: The time of day, in UTC.
        new_id: A new identifier for a member record.

    Attributes:
        truth: What is true in the zone now, for errors.
        uncertain: Whether an answer was lost.
        conflicts: Batches that were refused because the zone was not as they said.
    """

    def __init__(
        self,
        zone: Zone,
        deadline: Deadline,
        *,
        splay: float = 0.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: f"{random.getrandbits(40):010x}",
    ) -> None:
        self.zone = zone
        self.deadline = deadline
        self.now = now
        self.new_id = new_id
        self.truth = NOTHING
        self.uncertain = False
        self.conflicts = 0
        self._splay = splay
        self._start = zone.requests, zone.throttled
        self._last: str | None = None
        self._folded = False
        self._changes: list[Change] = []
        self._conflicts = 0
        self._listings = 0
        self._refusals: dict[tuple[Name, str], _Refusal] = {}
        self._refused = 0

    @property
    def throttled(self) -> bool:
        """Whether the provider had too many requests during this operation."""
        return self.zone.throttled > self._start[1]

    @property
    def state(self) -> str:
        """Of what failed, for programs: `nothing written`, `unknown`, or `partly done`."""
        known = {NOTHING: "nothing written", WITHDRAWN: "nothing written", LOST: "unknown"}
        return known.get(self.truth, "partly done")

    @property
    def refused_alone(self) -> bool:
        """Whether batches are refused although the zone is as they say."""
        return self._refused >= REFUSED_ALONE

    def read_instance(self, name: Name) -> InstanceView:
        """One listing from an instance's name."""
        self._listings += 1
        return InstanceView.of(name, self.zone.read_below(name, self.deadline))

    def read_host(self, name: Name | None) -> HostView | None:
        """What stands at a host's name; None for none."""
        if name is None:
            return None
        return HostView.of(name, self.zone.read_node(name, self.deadline), self.zone.origin)

    def read_definition(self, service: Name, enumeration: Name) -> DefinitionView:
        """The two PTR RRsets."""
        questions = ((service, "PTR"), (enumeration, "PTR"))
        found = self.zone.read_many(questions, self.deadline)
        return DefinitionView.of(found, service, enumeration)

    def attempt(self, changes: Sequence[Change], absent: Sequence[Question] = ()) -> Result:
        """Commit once; `absent` must not be there, where the zone merges.

        Raises:
            ChangeRejected: The zone keeps refusing although it is as the batch says.
            ZoneError: It says no in another way.
        """
        if not changes:
            return Result.MADE
        known, self.truth = self.truth, LOST  # for an interruption while it is under way
        try:
            self._last = self.zone.commit(changes, self.deadline, absent=absent)
        except OutcomeUnknown as error:
            _log.info("an answer was lost, reading again: %s", error)
            self.uncertain = True
            return Result.UNKNOWN
        except Conflict as error:
            self.truth = known
            self.conflicts += 1
            if self._listings:
                _log.info("the zone is not as it was read, reading again: %s", error)
            else:
                _log.info("this host has records here already: reading them")
            self._count_refusal(changes, error)
            return Result.STALE
        except DnssdError:
            self.truth = known
            raise
        self.truth = PART if known == NOTHING else known
        self._refused = 0
        self._folded = any(change.rdtype == "SRV" for change in changes)
        for change in changes:
            if not change.is_guard:
                self._changes.append(change)
                _log.info("%s %s %s", _verb(change), change.rdtype, change.name)
        return Result.MADE

    def back_off(self) -> None:
        """Wait after a conflict.

        Raises:
            DeadlineExceeded: There is no time left.
        """
        self.deadline.back_off(self._conflicts, "other hosts keep changing the same records")
        self._conflicts += 1

    def splay(self) -> None:
        """Wait a random part of the splay, so that hosts that boot together part."""
        self.deadline.splay(self._splay)

    @contextmanager
    def telling(self, name: Name | None = None) -> Iterator[None]:
        """Add to every error, and to an interruption, what is true in the zone now.

        Args:
            name: What an error is about that says nothing else; the zone by default.
        """
        try:
            yield
        except DnssdError as error:
            raise error.about(name=str(name or self.zone.origin)).telling(self.truth) from error
        except (KeyboardInterrupt, SystemExit) as error:
            error.args = (self.truth,)
            raise

    def wait(self, name: Name) -> None:
        """Return once what was just joined or left under `name` is being served.

        Where the SRV RRset came right by somebody else's commit, one that changes nothing
        is made behind it, and waited for.

        Raises:
            DeadlineExceeded: It is not served yet.
        """
        with self.telling():
            while not self._folded:
                view = self.read_instance(name)
                rrset = view.srv or view.txt
                if rrset is None or self.attempt((Change(rrset, rrset),)) is Result.MADE:
                    break
                self.back_off()
        self.wait_made()

    def wait_made(self) -> None:
        """Return once the last commit is being served.

        Raises:
            DeadlineExceeded: It is not served yet.
        """
        with self.telling():
            if self._last is not None:
                self.zone.wait_served(self._last, self.deadline)

    def outcome(
        self,
        name: Name,
        members: tuple[str, ...],
        *,
        former: Member | None = None,
        removed: frozenset[Rdata] = frozenset(),
    ) -> Outcome:
        """What was done until now."""
        return Outcome(
            name=name,
            members=members,
            changed=self._last is not None or self.uncertain,
            changes=tuple(self._changes),
            defined=any(change.rdtype == "PTR" and change.after for change in self._changes),
            folded=self._folded,
            requests=self.zone.requests - self._start[0],
            former=former,
            removed=removed,
        )

    def _count_refusal(self, changes: Sequence[Change], error: Conflict) -> None:
        """Tell a race, in which somebody changes something, from a zone that says no.

        What is said before anything was listed may well be wrong, and does not count.
        """
        if not self._listings:
            return
        for change in changes:
            key = change.name, change.rdtype
            known = self._refusals.get(key)
            if known is None or known.before != change.before:
                known = _Refusal(change.before)
            self._refusals[key] = known.again(self._listings)
        self._refused = min(self._refusals[c.name, c.rdtype].times for c in changes)
        if self._refused >= REFUSED_FOR_GOOD:
            what = f"the zone refuses the change for good: {error}"
            raise ChangeRejected(what, **error.fields) from error


@dataclass(frozen=True, slots=True)
class _Refusal:
    """How often a batch with this RRset was refused, once for each listing."""

    before: RRset | None
    times: int = 0
    listing: int = 0

    def again(self, listing: int) -> "_Refusal":
        """The same, refused over a listing."""
        return replace(self, times=self.times + (listing != self.listing), listing=listing)


def _verb(change: Change) -> str:
    if change.before is None:
        return "created"
    return "deleted" if change.after is None else "changed"
