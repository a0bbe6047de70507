"""What one commit can hold, and what changes spend of it. Pure."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from dnssd.errors import RRsetFull
from dnssd.rrsets import Change, RRset


def _lengths(rrset: RRset) -> tuple[int, ...]:
    return tuple(map(len, rrset.texts()))


@dataclass(frozen=True, slots=True)
class Cost:
    """What a commit spends of the limits."""

    values: int  # of its largest RRset
    elements: int
    characters: int
    value: int = 0  # characters of the longest one that is created


@dataclass(frozen=True, slots=True)
class CommitLimits:
    """What one commit and one RRset can hold at a provider; as good as endless by default.

    Attributes:
        values: Values in one RRset.
        elements: Values in one commit, deleted and created ones.
        characters: Of all those values as text.
        value: Characters of one value.
        reserve: Characters that newcomers leave free, so that everybody can leave.
        lengths: Counts the characters of each value of an RRset, as the provider does.
    """

    values: int = sys.maxsize
    elements: int = sys.maxsize
    characters: int = sys.maxsize
    value: int = sys.maxsize
    reserve: int = 0
    lengths: Callable[[RRset], tuple[int, ...]] = field(default=_lengths, repr=False)

    def for_newcomers(self) -> "CommitLimits":
        """These limits without the reserve."""
        return replace(self, characters=max(0, self.characters - self.reserve))

    def cost(self, changes: Iterable[Change]) -> Cost:
        """Add up what `changes` delete and create."""
        values = elements = characters = longest = 0
        for change in changes:
            for side in (change.before, change.after):
                if side is not None:
                    lengths = self.lengths(side)
                    elements += len(lengths)
                    characters += sum(lengths)
            if change.after is not None:
                values = max(values, len(change.after.values))
                longest = max(longest, *lengths)
        return Cost(values, elements, characters, longest)

    def fits(self, changes: Iterable[Change]) -> bool:
        """Whether none of the limits is passed."""
        cost = self.cost(changes)
        return (
            cost.values <= self.values
            and cost.elements <= self.elements
            and cost.characters <= self.characters
            and cost.value <= self.value
        )

    def check(self, changes: Iterable[Change]) -> None:
        """Refuse what does not fit.

        Raises:
            RRsetFull: One of the limits would be passed.
        """
        cost = self.cost(changes)
        name = str(max(changes, key=lambda change: self.cost([change]).characters).name)
        for what in ("values", "elements", "characters"):
            spent, limit = getattr(cost, what), getattr(self, what)
            if spent > limit:
                raise RRsetFull(
                    f"RRset full: {spent} {what} would be needed and {limit} are allowed; "
                    "use a second instance of the service: clients merge them",
                    name=name,
                )
        if cost.value > self.value:
            raise RRsetFull(
                f"a record has {cost.value} characters and {self.value} are allowed; "
                "use another host label, or another instance, for some of the services",
                name=name,
            )
