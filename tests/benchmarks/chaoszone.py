"""The zone of the chaos measurements: services of three hosts, and what a look-up must find."""

from typing import NamedTuple

ZONE = "chaos.test"
SERVICES = 200  # of each kind
HOSTS = 3
INSTANCE = "web"
_HEAD = """\
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
"""


class Endpoint(NamedTuple):
    """A host that offers a service."""

    target: str
    port: int
    priority: int
    weight: int
    addresses: frozenset[str]


class Found(NamedTuple):
    """What a look-up finds: the endpoints of the one instance, and its TXT data."""

    endpoints: frozenset[Endpoint]
    txt: bytes


class Service(NamedTuple):
    """One service of the zone.

    Attributes:
        number: 0 to `SERVICES` - 1; what it holds differs from that of any other.
        dual: Whether its hosts have IPv6 addresses beside their IPv4 ones.
    """

    number: int
    dual: bool = True

    @property
    def domain(self) -> str:
        """Where it stands."""
        return f"{'d' if self.dual else 'v'}{self.number}.{ZONE}."

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
        if self.dual:
            addresses.add(f"fd00::{self.number + 1:x}:{host + 1}")
        target = f"h{host}.{self.domain}"
        return Endpoint(target, 8000 + self.number, host // 2, 10 + host, frozenset(addresses))

    def master(self) -> str:
        """Its records, as in a master file."""
        instance = f"{INSTANCE}.{self.name}"
        lines = [f"{self.name} PTR {instance}", f'{instance} TXT "{self.truth.txt.decode()}"']
        for endpoint in self.truth.endpoints:
            target, port, priority, weight, addresses = endpoint
            lines.append(f"{instance} SRV {priority} {weight} {port} {target}")
            lines += [f"{target} {'AAAA' if ':' in ip else 'A'} {ip}" for ip in addresses]
        return "\n".join(lines) + "\n"


def master_file() -> str:
    """The whole zone."""
    services = (Service(number, dual) for dual in (True, False) for number in range(SERVICES))
    return _HEAD + "".join(service.master() for service in services)
