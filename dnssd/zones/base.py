"""What registration asks of a zone, whoever provides it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dnssd.errors import RRsetFull
from dnssd.names import Name
from dnssd.records import Change, RRset
from dnssd.zones.pace import Pace


@dataclass(frozen=True, slots=True)
class Limits:
    """What one commit and one RRset can hold; the figures are Route 53's."""

    values: int = 400  # in one RRset
    elements: int = 1_000  # values in one commit, deleted and created ones
    characters: int = 32_000  # of all those values as text


@dataclass(frozen=True, slots=True)
class Cost:
    """What a commit spends of the limits."""

    values: int  # of its largest RRset
    elements: int
    characters: int

    @classmethod
    def of(cls, changes: Iterable[Change]) -> "Cost":
        """Add up what `changes` delete and create."""
        values = elements = characters = 0
        for change in changes:
            for side in (change.before, change.after):
                if side is not None:
                    texts = side.texts(radix=8)
                    elements += len(texts)
                    characters += sum(map(len, texts))
            values = max(values, len(change.after.values) if change.after else 0)
        return cls(values, elements, characters)

    def check(self, limits: Limits) -> None:
        """Refuse what does not fit.

        Raises:
            RRsetFull: One of the limits would be passed.
        """
        for what in ("values", "elements", "characters"):
            spent, limit = getattr(self, what), getattr(limits, what)
            if spent > limit:
                raise RRsetFull(
                    f"RRset full: {spent} {what} would be needed and {limit} are allowed; "
                    "use a second instance of the service: clients merge them"
                )


class Zone(Protocol):
    """One zone, readable and writable through its provider.

    Every call retries throttling, and what was certainly not sent, until its `pace` ends.

    Attributes:
        address: What the user calls the zone.
        origin: The name at its apex.
        limits: What a commit can hold.
        requests: Requests sent so far, retries included.
    """

    address: str
    origin: Name
    limits: Limits
    requests: int

    def read(self, name: Name, rdtype: str, pace: Pace) -> RRset | None:
        """The RRset of one name and type, None if there is none."""

    def read_node(self, name: Name, pace: Pace) -> tuple[RRset, ...]:
        """Every RRset at exactly `name`."""

    def read_below(self, name: Name, pace: Pace) -> tuple[RRset, ...]:
        """Every RRset at `name` and at the names below it.

        A long listing is not one moment's view: the zone may change between its pages.
        """

    def commit(self, changes: Sequence[Change], pace: Pace) -> str:
        """Make all `changes` or none; never lose a value they do not themselves remove.

        Returns:
            An identifier for `wait_served`.

        Raises:
            Conflict: The zone refused the batch: some `before` is stale, or it takes no
                such records. Nothing was written; reading again tells which it is.
            OutcomeUnknown: The answer was lost; read again before retrying.
            RRsetFull: More than `limits` allow; nothing was sent.
        """

    def wait_served(self, commit: str, pace: Pace) -> None:
        """Return once every authoritative server answers with what was committed."""
