"""The zone of the chaos measurements: services of three hosts, and what a look-up must find."""

from typing import Literal, NamedTuple

from kit.servers import Zone

Kind = Literal["dual", "ipv4", "brief"]

ORIGIN = "chaos.test."
SERVICES = 200  # of each kind
TTLS: dict[Kind, int] = {"dual": 300, "ipv4": 300, "brief": 1}  # seconds
HOSTS = 3
INSTANCE = "web"


class Endpoint(NamedTuple):
    """A host that offers a service."""

    target: str
    port: int
    priority: int
    weight: int
    addresses: frozenset[str]


class Found(NamedTuple):
    """What a look-up finds: the endpoints of the one instance, and its TXT data.

    The data may be None: the client says that it could not be had, and goes on without.
    """

    endpoints: frozenset[Endpoint]
    txt: bytes | None


class Service(NamedTuple):
    """One service of the zone.

    Attributes:
        number: 0 to `SERVICES` - 1; what it holds differs from that of any other.
        kind: The hosts of `ipv4` have no IPv6 addresses; `brief` has a short TTL.
    """

    number: int
    kind: Kind = "dual"

    @property
    def domain(self) -> str:
        """Where it stands."""
        return f"{self.kind}{self.number}.{ORIGIN}"

    @property
    def name(self) -> str:
        """What to look up."""
        return f"_http._tcp.{self.domain}"

    @property
    def truth(self) -> Found:
        """What there is to find."""
        return Found(frozenset(map(self._endpoint, range(HOSTS))), b"n=%d" % self.number)

    def _endpoint(self, host: int) -> Endpoint:
        addresses = {f"10.0.{self.number}.{host + 1}"}
        if self.kind != "ipv4":
            addresses.add(f"fd00::{self.number + 1:x}:{host + 1}")
        target = f"h{host}.{self.domain}"
        return Endpoint(target, 8000 + self.number, host // 2, 10 + host, frozenset(addresses))

    @property
    def instance(self) -> str:
        """The service instance name that its name points to."""
        return f"{INSTANCE}.{self.name}"

    @property
    def records(self) -> tuple[str, ...]:
        """Its records, as in a master file."""
        truth = self.truth
        ttl = TTLS[self.kind]
        lines = [f"{self.name} {ttl} PTR {self.instance}"]
        lines.append(f'{self.instance} {ttl} TXT "{(truth.txt or b"").decode()}"')
        for endpoint in truth.endpoints:
            lines.append(self.srv(endpoint))
            for address in endpoint.addresses:
                rdtype = "AAAA" if ":" in address else "A"
                lines.append(f"{endpoint.target} {ttl} {rdtype} {address}")
        return tuple(lines)

    def srv(self, endpoint: Endpoint) -> str:
        """The SRV record of one of its endpoints."""
        value = f"{endpoint.priority} {endpoint.weight} {endpoint.port} {endpoint.target}"
        return f"{self.instance} {TTLS[self.kind]} SRV {value}"


def whole_zone() -> Zone:
    """All services of all kinds."""
    services = (Service(number, kind) for kind in TTLS for number in range(SERVICES))
    records = (record for service in services for record in service.records)
    return Zone(tuple(records), origin=ORIGIN)


def difference(found: Found, truth: Found) -> str:
    """What is wrong with what was found; empty if nothing is."""
    wrong = [f"lacks {_shown(endpoint)}" for endpoint in truth.endpoints - found.endpoints]
    wrong += [f"holds {_shown(endpoint)}" for endpoint in found.endpoints - truth.endpoints]
    if found.txt is not None and found.txt != truth.txt:
        wrong.append(f"TXT is {found.txt!r}, not {truth.txt!r}")
    return "; ".join(sorted(wrong))


def _shown(endpoint: Endpoint) -> str:
    addresses = " ".join(sorted(endpoint.addresses))
    return f"{endpoint.target}:{endpoint.port} ({addresses or 'no address'})"
