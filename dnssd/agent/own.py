"""What DNS says of an agent's own member: is it still there, and who took it out?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dnssd.errors import MalformedRecord
from dnssd.members import AGENT_SETTLES, Member
from dnssd.names import Name
from dnssd.records import Srv, Txt
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
        name: The service instance name.
        record: The name of its member record.
        target: Of its SRV value.
        port: Likewise.
        ttl: Seconds.
    """

    name: Name
    record: Name
    target: Name
    port: int
    ttl: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What DNS answered.

    Attributes:
        txt: The strings at the member record's name; None where there is none.
        srvs: The instance's values.
    """

    txt: Txt | None
    srvs: frozenset[Srv]


def look(nameservers: Sequence[str], own: Published) -> Seen:
    """Ask DNS. Waits for the answers.

    Raises:
        Unavailable: There is none.
    """
    servers = NameServer.parse_all(nameservers) or system_nameservers()
    txts = [v for v in ask(servers, own.record, "TXT", ANSWER).values if isinstance(v, Txt)]
    srvs = ask(servers, own.name, "SRV", ANSWER).values
    return Seen(txts[0] if txts else None, frozenset(v for v in srvs if isinstance(v, Srv)))


def sight(seen: Seen, own: Published) -> Sight:
    """What that means.

    A member that is held was taken out on purpose, by a person: it is to stay out until it is
    joined again there. One that is gone in any other way was lost.
    """
    member = _member(seen, own)
    if member is None:
        return "gone"
    if member.is_held:
        return "held"
    value = any(srv.target == own.target and srv.port == own.port for srv in seen.srvs)
    return "there" if value and member.state == "up" else "gone"


def _member(seen: Seen, own: Published) -> Member | None:
    try:
        return Member.from_txt(own.record.labels[0], seen.txt) if seen.txt else None
    except MalformedRecord:
        return None
