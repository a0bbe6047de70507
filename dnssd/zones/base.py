"""What registration asks of a zone, whoever provides it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from dnssd.deadline import Deadline
from dnssd.names import Name
from dnssd.rrsets import Change, RRset
from dnssd.zones.limits import CommitLimits

Question = tuple[Name, str]  # an owner name and a type


@dataclass(frozen=True, slots=True)
class Traits:
    """What a provider can do beyond the least; registration decides by this alone.

    Attributes:
        merges: Adds and deletes single values of shared RRsets, and relies on absence.
        fresh: A read shows every commit that was made before it.
        proxies: Takes addresses that it stands before itself.
        lists: A listing shows all that stands below a name, and not only what dnssd wrote.
    """

    merges: bool = False
    fresh: bool = True
    proxies: bool = False
    lists: bool = True


class Zone(Protocol):
    """One zone, readable and writable through its provider.

    Every call retries throttling, and what was certainly not sent, until its `deadline` ends.

    Attributes:
        actor: Who acts, as `join i-0abc`, for the log of a provider that keeps one. Whoever
            writes sets it.
    """

    actor: str

    @property
    def address(self) -> str:
        """What the user calls the zone."""

    @property
    def zone_id(self) -> str:
        """What its provider calls it; empty where that has no word for it."""

    @property
    def origin(self) -> Name:
        """The name at its apex."""

    @property
    def limits(self) -> CommitLimits:
        """What a commit can hold."""

    @property
    def traits(self) -> Traits:
        """What else it can do."""

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included; what is sent together counts as one."""

    @property
    def throttled(self) -> int:
        """How many of them the provider refused because there were too many."""

    def read(self, name: Name, rdtype: str, deadline: Deadline) -> RRset | None:
        """The RRset of one name and type, None if there is none."""

    def read_node(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """Every RRset at exactly `name`."""

    def read_below(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """Every RRset at `name` and at the names below it.

        A long listing is not one moment's view: the zone may change between its pages.
        """

    def read_many(self, questions: Sequence[Question], deadline: Deadline) -> tuple[RRset, ...]:
        """The RRsets of several names and types, and aliases that stand at those names.

        One round trip where the provider can; otherwise one read after the other.
        """

    def is_answered_by_wildcard(self, name: Name, deadline: Deadline) -> bool:
        """Whether a wildcard answers for `name`, at and below which nothing was read."""

    def commit(
        self,
        changes: Sequence[Change],
        deadline: Deadline,
        *,
        absent: Collection[Question] = (),
    ) -> str:
        """Make all `changes` or none; never lose a value they do not themselves remove.

        Args:
            changes: Exact swaps, but for shared RRsets where the zone merges.
            deadline: When to give up.
            absent: What must not be there; only zones that merge take any.

        Returns:
            An identifier for `wait_served`.

        Raises:
            Conflict: The zone refused the batch: some `before` is stale, or it takes no
                such records. Nothing was written; reading again tells which it is.
            OutcomeUnknown: The answer was lost; read again before retrying.
            RRsetFull: More than `limits` allow; nothing was sent.
        """

    def wait_served(self, commit: str, deadline: Deadline) -> None:
        """Return once every authoritative server answers with what was committed."""
