"""What a hosted zone is made of: RRsets as text to the letter, and the routing of some."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from dnssd.names import Name
from dnssd.zones.route53.text import write_name

Key = tuple[str, str, str]  # what orders RRsets: `listing_key` of the name, type, set identifier
Routing = tuple[tuple[str, "str | Routing"], ...]  # elements of the API by tag, to the letter

POLICIES = ("Weight", "Region", "GeoLocation", "Failover", "MultiValueAnswer")


class Action(StrEnum):
    """What a change in a batch does."""

    CREATE = "CREATE"
    DELETE = "DELETE"
    UPSERT = "UPSERT"


@dataclass(frozen=True, slots=True)
class HostedRRset:
    """One RRset as a hosted zone holds and lists it.

    Attributes:
        name: In lower case.
        ttl: Seconds; 0 of an alias.
        texts: The values as they were written; an alias has none.
        routing: What makes it more than a simple RRset; it is kept, and nobody acts on it.
        key: Orders RRsets as Route 53 lists them.
    """

    name: Name
    rdtype: str
    ttl: int
    texts: tuple[str, ...]
    routing: Routing = ()
    key: Key = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name.lower())
        key = (listing_key(self.name.key), self.rdtype, self.set_identifier)
        object.__setattr__(self, "key", key)

    @property
    def set_identifier(self) -> str:
        """What tells RRsets of one name and type apart; empty for a simple one."""
        return next((str(text) for tag, text in self.routing if tag == "SetIdentifier"), "")

    @property
    def policy(self) -> str:
        """The routing policy, by its element; empty for none."""
        return next((tag for tag, _ in self.routing if tag in POLICIES), "")

    @property
    def is_alias(self) -> bool:
        """Whether it leads elsewhere instead of holding values."""
        return any(tag == "AliasTarget" for tag, _ in self.routing)

    def matches(self, other: "HostedRRset") -> bool:
        """Whether a DELETE that shows `other` means this: all equal but the order of values."""
        return (self.key, self.ttl, self.routing, sorted(self.texts)) == (
            other.key,
            other.ttl,
            other.routing,
            sorted(other.texts),
        )


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a batch."""

    action: Action
    rrset: HostedRRset


@lru_cache(maxsize=4096)
def listing_key(name_key: bytes) -> str:
    """The reversed labels, each followed by a dot: a name's descendants follow it directly.

    Labels are escaped, so that the dots in them are no dots here.

    Args:
        name_key: `Name.key` of a name.
    """
    return "".join(write_name(Name((label,))) for label in Name.of_wire(name_key).reversed)


def described(rrset: HostedRRset) -> str:
    """An RRset in a message, as Route 53 names it."""
    identifier = rrset.set_identifier
    extra = f", set-identifier='{identifier}'" if identifier else ""
    return f"resource record set [name='{write_name(rrset.name)}', type='{rrset.rdtype}'{extra}]"
