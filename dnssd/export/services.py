"""What a proxy needs to know of a service: servers in tiers, and a name that is safe; pure.

Nothing here that came out of DNS is text: addresses and ports are checked numbers, and the
name is what the user has asked for. Only `Server.endpoint` still holds names of DNS.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from dnssd.resolver.snapshot import Endpoint
from dnssd.services import ServiceName

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")  # in a name of HAProxy, nginx and Traefik
_WEB = ("_http._tcp", "_http-alt._tcp")


@dataclass(frozen=True, slots=True, order=True)
class Server:
    """Where to connect to; they sort in the order of tiers.

    Attributes:
        priority: Lower is tried first.
        address: An IP address.
        port: 0 to 65535.
        weight: The share within its priority; a target's addresses divide it.
        endpoint: What it belongs to.
    """

    priority: int
    address: str
    port: int
    weight: float = field(compare=False)
    endpoint: Endpoint = field(compare=False)

    @property
    def at(self) -> tuple[str, int]:
        """Its address and port."""
        return self.address, self.port

    @property
    def authority(self) -> str:
        """`ADDRESS:PORT`, IPv6 in brackets."""
        return authority(self.address, self.port)


@dataclass(frozen=True, slots=True)
class Service:
    """A service or an instance that was asked for, as it is now.

    Attributes:
        asked: What was asked for.
        servers: n >= 0, sorted; one for each address and port.
    """

    asked: ServiceName
    servers: tuple[Server, ...] = ()

    @classmethod
    def of(cls, asked: ServiceName, endpoints: Iterable[Endpoint]) -> "Service":
        """What is offered under a name; endpoints without addresses are left out."""
        servers: dict[tuple[str, int], Server] = {}
        for server in sorted(each for endpoint in endpoints for each in _servers(endpoint)):
            servers.setdefault((server.address, server.port), server)
        return cls(asked, tuple(servers.values()))

    @property
    def name(self) -> str:
        """As it was asked for, less its last dot."""
        return str(self.asked.name).removesuffix(".")

    @property
    def label(self) -> str:
        """Its name where only letters, digits, `_`, `-` and `.` may stand; no two have one."""
        safe = _UNSAFE.sub("_", self.name)
        if safe == self.name:
            return safe
        return f"{safe}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    @property
    def is_web(self) -> bool:
        """Whether it speaks HTTP without TLS."""
        return str(self.asked.service).lower() in _WEB

    def tiers(self, most: int) -> list[tuple[Server, ...]]:
        """Its servers by priority: each tier is for when none before it works.

        Args:
            most: How many tiers there may be; the last one takes in all that follow.
        """
        tiers = [tuple(tier) for _, tier in groupby(self.servers, attrgetter("priority"))]
        last = tuple(server for tier in tiers[most - 1 :] for server in tier)
        return [*tiers[: most - 1], last] if last else tiers


def _servers(endpoint: Endpoint) -> Iterator[Server]:
    """One for each address; of a host with both families, IPv4 alone: it is one host."""
    families = [a for a in endpoint.addresses if ":" not in a] or endpoint.addresses
    for address in families:
        share = endpoint.weight / len(families)
        yield Server(endpoint.priority, address, endpoint.port, share, endpoint)


def authority(address: str, port: int) -> str:
    """`ADDRESS:PORT`, IPv6 in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def weights(servers: Sequence[Server], most: int) -> list[int]:
    """The weights of one tier as whole numbers from 1 to `most`, their ratios kept.

    Weight zero means "hardly ever" (RFC 2782), and in proxies "never, whatever fails": it
    becomes 1, beside others of up to `most`. Where all are zero, all are equal.
    """
    shares = [server.weight for server in servers]
    top = max(shares)
    if not top:
        return [1] * len(shares)
    as_they_are = top <= most and all(share and share == int(share) for share in shares)
    factor = 1.0 if as_they_are else most / top
    return [max(1, round(share * factor)) for share in shares]
