"""Reads and commits of one operation: what was refused, what is uncertain, what is now true."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum

from dnssd.deadline import Deadline
from dnssd.errors import ChangeRejected, Conflict, DnssdError, OutcomeUnknown
from dnssd.names import Name
from dnssd.records import Change, RRset
from dnssd.registration.views import DefinitionView, HostView, InstanceView
from dnssd.zones.base import Zone

_log = logging.getLogger("dnssd.registration")

UNEXPLAINED = 2  # equal batches refused over equal reads before only the own records are tried
HOPELESS = 6  # and before it is the zone that refuses them, not a race


class Result(Enum):
    """What became of a commit."""

    MADE = "made"
    STALE = "stale"  # refused, nothing written: somebody was faster
    UNKNOWN = "unknown"  # the answer was lost


class Commits:
    """One operation's dealings with a zone.

    Attributes:
        zone: Where.
        deadline: When to give up.
        truth: What is true in the zone now, for errors.
        last: The last commit that was made.
        folded: Whether that one carried the SRV RRset.
        defined: Whether a definition was written.
        uncertain: Whether an answer was lost.
    """

    def __init__(self, zone: Zone, deadline: Deadline) -> None:
        self.zone = zone
        self.deadline = deadline
        self.truth = "nothing was written"
        self.last: str | None = None
        self.folded = False
        self.defined = False
        self.uncertain = False
        self._start = zone.requests
        self._conflicts = 0
        self._refused: Counter[frozenset[tuple[Name, str, RRset | None]]] = Counter()

    @property
    def requests(self) -> int:
        """Requests sent for this operation."""
        return self.zone.requests - self._start

    @property
    def unexplained(self) -> bool:
        """Whether batches are refused although the zone is as they say."""
        return max(self._refused.values(), default=0) >= UNEXPLAINED

    def read_instance(self, name: Name) -> InstanceView:
        """One listing from an instance's name."""
        return InstanceView.of(name, self.zone.read_below(name, self.deadline))

    def read_host(self, name: Name | None) -> HostView | None:
        """What stands at a host's name; None for none."""
        if name is None:
            return None
        return HostView.of(name, self.zone.read_node(name, self.deadline), self.zone.origin)

    def read_definition(self, service: Name, enumeration: Name) -> DefinitionView:
        """The two PTR RRsets."""
        return DefinitionView(
            service=self.zone.read(service, "PTR", self.deadline),
            enumeration=self.zone.read(enumeration, "PTR", self.deadline),
        )

    def attempt(self, changes: Sequence[Change]) -> Result:
        """Commit once.

        Raises:
            ChangeRejected: The zone keeps refusing although it is as the batch says.
            ZoneError: It says no in another way.
        """
        if not changes:
            return Result.MADE
        try:
            commit = self.zone.commit(changes, self.deadline)
        except OutcomeUnknown as error:
            _log.info("an answer was lost, reading again: %s", error)
            self.truth = "a change was sent and its answer lost; 'dnssd status' shows what is true"
            self.uncertain = True
            return Result.UNKNOWN
        except Conflict as error:
            _log.info("somebody was faster, reading again: %s", error)
            self._count_refusal(changes, error)
            return Result.STALE
        self.last = commit
        self.folded = any(change.rdtype == "SRV" for change in changes)
        for change in changes:
            if not change.is_guard:
                self.defined |= change.rdtype == "PTR"
                _log.info("%s %s %s", _verb(change), change.rdtype, change.name)
        return Result.MADE

    def back_off(self) -> None:
        """Wait after a conflict.

        Raises:
            DeadlineExceeded: There is no time left.
        """
        self.deadline.back_off(self._conflicts, "other hosts keep changing the same records")
        self._conflicts += 1

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Add to every error what is true in the zone now."""
        try:
            yield
        except DnssdError as error:
            raise type(error)(f"{error}; {self.truth}") from error

    def _count_refusal(self, changes: Sequence[Change], error: Conflict) -> None:
        state = frozenset((change.name, change.rdtype, change.before) for change in changes)
        self._refused[state] += 1
        if self._refused[state] >= HOPELESS:
            raise ChangeRejected(f"the zone refuses the change: {error}") from error


def _verb(change: Change) -> str:
    if change.before is None:
        return "created"
    return "deleted" if change.after is None else "changed"
