"""RRsets as frozen values, and the changes that a zone can commit."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dnssd.errors import MalformedRecord
from dnssd.names import Name
from dnssd.records import MAX_TTL, Opaque, Rdata

PROXIED = "proxied"  # the kind of an RRset whose addresses are its provider's own


@dataclass(frozen=True, slots=True)
class RRset:
    """All records of one name and type.

    Attributes:
        values: n >= 1 different rdata of its type, sorted: two RRsets of the same values are
            equal.
        ttl: Seconds.
        as_read: What the zone that it was read from needs to know of it, and nobody else.
        kind: None for a plain RRset. Otherwise the provider's word for what else it is
            (`alias`, `weighted`, ...), which dnssd never writes.

    Raises:
        MalformedRecord: No value, one of another type, or a TTL that is none.
    """

    name: Name
    rdtype: str
    ttl: int
    values: tuple[Rdata, ...]
    as_read: object = field(default=None, compare=False, repr=False)
    kind: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.ttl <= MAX_TTL:
            raise MalformedRecord(f"TTL {self.ttl}: 0 to {MAX_TTL} seconds is allowed")
        if {value.rdtype for value in self.values} != {self.rdtype}:
            what = f"{self.name} {self.rdtype}: an RRset has values, all of its type"
            raise MalformedRecord(f"{what}; give some")
        unique = sorted(set(self.values), key=lambda value: (isinstance(value, Opaque), value))
        object.__setattr__(self, "values", tuple(unique))

    def with_values(self, values: Iterable[Rdata], ttl: int | None = None) -> "RRset | None":
        """This RRset holding `values` in place of its own; None if there are none."""
        changed = tuple(values)
        ttl = self.ttl if ttl is None else ttl
        return replace(self, values=changed, ttl=ttl, as_read=None) if changed else None

    def texts(self) -> tuple[str, ...]:
        """The values as text."""
        return tuple(value.format() for value in self.values)


@dataclass(frozen=True, slots=True)
class Change:
    """One RRset before and after.

    `before` is what the zone must hold for the change to be made, None for nothing. Where
    both are equal the change is a guard: it restates what the rest of a batch relies on.

    The values of a `shared` RRset belong to several hands. A zone that merges adds those that
    `after` has more, deletes those that `before` has more, and leaves the rest as it is.
    """

    before: RRset | None
    after: RRset | None
    shared: bool = False

    def __post_init__(self) -> None:
        keys = {(side.name, side.rdtype) for side in (self.before, self.after) if side}
        if len(keys) != 1:
            raise ValueError(f"a change is about one name and type, not {keys}")

    @property
    def _side(self) -> RRset:
        side = self.before or self.after
        assert side is not None  # noqa: S101 (held by __post_init__)
        return side

    @property
    def name(self) -> Name:
        """The owner name."""
        return self._side.name

    @property
    def rdtype(self) -> str:
        """The type."""
        return self._side.rdtype

    @property
    def added(self) -> tuple[Rdata, ...]:
        """The values that `after` has more."""
        there = self.before.values if self.before else ()
        return tuple(v for v in (self.after.values if self.after else ()) if v not in there)

    @property
    def removed(self) -> tuple[Rdata, ...]:
        """The values that `before` has more."""
        left = self.after.values if self.after else ()
        return tuple(v for v in (self.before.values if self.before else ()) if v not in left)

    @property
    def is_guard(self) -> bool:
        """Whether it changes nothing."""
        return self.before == self.after
