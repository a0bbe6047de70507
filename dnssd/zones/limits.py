"""What one commit can hold, and what changes spend of it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dnssd.errors import RRsetFull
from dnssd.records import Change


@dataclass(frozen=True, slots=True)
class Limits:
    """What one commit and one RRset can hold; the figures are Route 53's."""

    values: int = 400  # in one RRset
    elements: int = 1_000  # values in one commit, deleted and created ones
    characters: int = 32_000  # of all those values as text
    value: int = 4_000  # characters of one value

    def below(self, characters: int) -> "Limits":
        """These limits with some characters of a commit kept free."""
        return replace(self, characters=max(0, self.characters - characters))


@dataclass(frozen=True, slots=True)
class Cost:
    """What a commit spends of the limits."""

    values: int  # of its largest RRset
    elements: int
    characters: int
    value: int = 0  # characters of the longest one that is created

    @classmethod
    def of(cls, changes: Iterable[Change]) -> "Cost":
        """Add up what `changes` delete and create."""
        values = elements = characters = longest = 0
        for change in changes:
            for side in (change.before, change.after):
                if side is not None:
                    texts = side.texts(radix=8)
                    elements += len(texts)
                    characters += sum(map(len, texts))
            if change.after is not None:
                values = max(values, len(change.after.values))
                longest = max(longest, *map(len, change.after.texts(radix=8)))
        return cls(values, elements, characters, longest)

    def fits(self, limits: Limits) -> bool:
        """Whether none of the limits is passed."""
        return (
            self.values <= limits.values
            and self.elements <= limits.elements
            and self.characters <= limits.characters
            and self.value <= limits.value
        )

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
        if self.value > limits.value:
            raise RRsetFull(
                f"a record has {self.value} characters and {limits.value} are allowed; "
                "use another host label, or another instance, for some of the services"
            )
