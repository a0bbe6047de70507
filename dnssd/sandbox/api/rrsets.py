"""What a hosted zone is made of: RRsets with the routing that Route 53 adds to them."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Self

from dnssd.errors import MalformedRecord
from dnssd.names import Name, shown
from dnssd.records import Opaque, Rdata, RRset
from dnssd.sandbox.api.sortedmap import Key
from dnssd.zones.route53 import text as route53

MAX_VALUE = 4000  # characters of one value


class Action(StrEnum):
    """What a change in a batch does."""

    CREATE = "CREATE"
    DELETE = "DELETE"
    UPSERT = "UPSERT"


@dataclass(frozen=True, slots=True)
class Alias:
    """Where an alias leads instead of holding values."""

    zone_id: str
    target: Name
    evaluate_health: bool


@dataclass(frozen=True, slots=True)
class Routing:
    """How Route 53 chooses among RRsets of one name and type.

    Attributes:
        set_identifier: Tells them apart; empty for a simple RRset.
        geo_location: Pairs of element and code, in Route 53's order.

    Raises:
        MalformedRecord: No set identifier where there is a routing policy, no policy where
            there is an identifier, or several.
    """

    set_identifier: str = ""
    weight: int | None = None
    region: str = ""
    failover: str = ""
    multivalue: bool = False
    geo_location: tuple[tuple[str, str], ...] = ()
    health_check_id: str = ""
    alias: Alias | None = None

    def __post_init__(self) -> None:
        if len(self.kinds) != bool(self.set_identifier):
            raise MalformedRecord(
                f"routing {', '.join(self.kinds) or 'simple'} of set identifier "
                f"{shown(self.set_identifier)}: one policy goes with one identifier"
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """The routing policies asked for: at most one makes sense."""
        asked = {
            "weighted": self.weight is not None,
            "latency": bool(self.region),
            "failover": bool(self.failover),
            "multivalue": self.multivalue,
            "geolocation": bool(self.geo_location),
        }
        return tuple(kind for kind, present in asked.items() if present)


SIMPLE = Routing()


@dataclass(frozen=True, slots=True)
class Entry:
    """One RRset as the zone holds and lists it.

    Attributes:
        rrset: Its name is in lower case, `as_read` holds the values to the letter. That of
            an alias has no values and TTL 0.
        key: Orders entries as Route 53 lists them.
    """

    rrset: RRset
    routing: Routing = SIMPLE
    key: Key = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        key = (listing_key(self.rrset.name), self.rrset.rdtype, self.routing.set_identifier)
        object.__setattr__(self, "key", key)

    @classmethod
    def of(
        cls, name: Name, rdtype: str, ttl: int, texts: tuple[str, ...], routing: Routing = SIMPLE
    ) -> Self:
        """An entry holding `texts`, values as Route 53 writes them.

        Raises:
            MalformedRecord: The TTL is out of range.
        """
        values = [read_value(rdtype, text) for text in texts]
        kind = "alias" if routing.alias else "".join(routing.kinds[:1]) or None
        rrset = RRset(
            name=name.lower(),
            rdtype=rdtype,
            ttl=ttl,
            values=tuple(rdata for _, rdata in values),
            as_read=tuple(text for text, _ in values),
            kind=kind,
        )
        return cls(rrset, routing)

    @property
    def name(self) -> Name:
        """The owner name."""
        return self.rrset.name

    @property
    def rdtype(self) -> str:
        """The type."""
        return self.rrset.rdtype

    @property
    def texts(self) -> tuple[str, ...]:
        """The values to the letter."""
        return route53.texts(self.rrset)

    def matches(self, other: "Entry") -> bool:
        """Whether a DELETE that shows `other` means this: all equal but the order of values."""
        return (self.key, self.rrset.ttl, self.routing, sorted(self.texts)) == (
            other.key,
            other.rrset.ttl,
            other.routing,
            sorted(other.texts),
        )


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a batch."""

    action: Action
    entry: Entry


def listing_key(name: Name) -> str:
    """The reversed labels, each followed by a dot: a name's descendants follow it directly.

    Labels are escaped, so that the dots in them are no dots here.
    """
    labels = route53.write_name(name.lower()).rstrip(".").split(".")
    return "".join(f"{label}." for label in reversed(labels) if label)


def read_value(rdtype: str, text: str) -> tuple[str, Rdata]:
    """A value to the letter, and its meaning: shared by all the RRsets that hold it."""
    return _shared(rdtype, text) if len(text) <= MAX_VALUE else (text, Opaque(rdtype, text))


@lru_cache(maxsize=8192)
def _shared(rdtype: str, text: str) -> tuple[str, Rdata]:
    return text, route53.read_value(rdtype, text)
