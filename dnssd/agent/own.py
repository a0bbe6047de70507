"""What DNS says of an agent's own member: is it still there, and who took it out?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from dnssd.errors import MalformedRecord
from dnssd.members import AGENT_SETTLES, Member
from dnssd.names import Name
from dnssd.records import Address, Rdata, Srv, Txt
from dnssd.registration.addressmembers import AddressMember
from dnssd.wire.blocking import ask
from dnssd.wire.nameservers import NameServer
from dnssd.wire.system_servers import system_nameservers

SETTLING = AGENT_SETTLES  # until a write must be seen: propagation takes up to 60, and a margin
LOOKS = 2  # times in a row that it must be missing
MAX_SETTLING = 3600.0  # seconds: name servers that never show it are asked ever more rarely
ANSWER = 3.0  # seconds that a question may take

Sight = Literal["there", "gone", "held"]


@dataclass(frozen=True, slots=True)
class Published:
    """A member as its writer left it in DNS.

    Attributes:
        name: The service instance name, or the plain name.
        record: The name of its member record.
        ttl: Seconds.
        target: Of its SRV value; None for a plain name's.
        port: Likewise.
        addresses: Its values at a plain name; none where the zone's provider stands before it.
    """

    name: Name
    record: Name
    ttl: int
    target: Name | None = None
    port: int = 0
    addresses: frozenset[Address] = frozenset()

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Self:
        """What its writer says of it."""
        target = result.get("target")
        return cls(
            Name.parse(result["name"]),
            Name.parse(result["record"]),
            result["ttl"],
            Name.parse(target) if target else None,
            result.get("port", 0),
            frozenset(map(Address.parse, result.get("addresses", ()))),
        )

    @property
    def types(self) -> tuple[str, ...]:
        """Of the records that clients look for."""
        return ("SRV",) if self.target else tuple(sorted({a.rdtype for a in self.addresses}))


@dataclass(frozen=True, slots=True)
class Seen:
    """What DNS answered.

    Attributes:
        txt: The strings at the member record's name; None where there is none.
        values: What clients find: SRV values, or addresses.
    """

    txt: Txt | None
    values: frozenset[Rdata]


def look(nameservers: Sequence[str], own: Published) -> Seen:
    """Ask DNS. Waits for the answers.

    Raises:
        Unavailable: There is none.
    """
    servers = NameServer.parse_all(nameservers) or system_nameservers()
    txts = [v for v in ask(servers, own.record, "TXT", ANSWER).values if isinstance(v, Txt)]
    values = (v for kind in own.types for v in ask(servers, own.name, kind, ANSWER).values)
    return Seen(txts[0] if txts else None, frozenset(values))


def sight(seen: Seen, own: Published) -> Sight:
    """What that means.

    A member that is held was taken out on purpose, by a person: it is to stay out until it is
    joined again there. One that is gone in any other way was lost.
    """
    if own.target is None:
        there = _has_address_record(seen, own) and own.addresses <= seen.values
        return "there" if there else "gone"
    member = _member(seen, own)
    if member is None:
        return "gone"
    if member.is_held:
        return "held"
    srvs = (value for value in seen.values if isinstance(value, Srv))
    value = any(srv.target == own.target and srv.port == own.port for srv in srvs)
    return "there" if value and member.state == "up" else "gone"


def _member(seen: Seen, own: Published) -> Member | None:
    try:
        return Member.from_txt(own.record.labels[0], seen.txt) if seen.txt else None
    except MalformedRecord:
        return None


def _has_address_record(seen: Seen, own: Published) -> bool:
    try:
        return bool(seen.txt and AddressMember.from_txt(own.record.labels[0], seen.txt))
    except MalformedRecord:
        return False
