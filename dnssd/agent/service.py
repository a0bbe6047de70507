"""One service that an agent looks after: what it is, and how it is checked. Pure."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from dnssd.agent.health import Rules
from dnssd.agent.loads import check_kind
from dnssd.checks import Check
from dnssd.errors import UsageError
from dnssd.registration.request import Registration
from dnssd.services import Service as ServiceType

_ANY_HOST, _ANY_ADDRESS = "i-0", "192.0.2.1"  # for checks before the host is known (RFC 5737)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service as its owner describes it; the names are those of `dnssd join`'s options.

    Attributes:
        service: `_http._tcp`, or `http` for the same.
        port: Where it listens.
        zones: n >= 1 zone addresses; it is published in each.
        checks: All must pass; by default a TCP connection to its port, for `_udp` none.
        interval: Seconds from one round of checks to the next.
        timeout: Seconds that one check may take.
        rules: When a change of its health is believed.
        drain: Seconds that a planned end may take from the first word in DNS.
        load: What its weight follows: `cpu`, `psi`, `exec:COMMAND`; None for nothing.
        haproxy_agent: The port for HAProxy's agent-check; None for none.

    Raises:
        UsageError: One of them is not legal; the message names it.
    """

    service: str
    port: int
    zones: tuple[str, ...]
    instance: str = "default"
    host: str | None = None
    cloud: str | None = None
    target: str | None = None
    addresses: tuple[str, ...] = ()
    priority: int = 0
    weight: int = 100
    ttl: int | None = None
    txt: tuple[tuple[str, str | None], ...] | None = None
    takeover: bool = False
    splay: float = 0.0
    nameservers: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    interval: float = 5.0
    timeout: float = 2.0
    rules: Rules = field(default_factory=Rules)
    drain: float = 0.0
    load: str | None = None
    haproxy_agent: int | None = None

    def __post_init__(self) -> None:
        chosen = self.addresses or (() if self.target else (_ANY_ADDRESS,))
        Registration(
            service=self.service,
            instance=self.instance,
            port=self.port,
            host=self.host or _ANY_HOST,
            target=self.target,
            addresses=[_ANY_ADDRESS if a in ("private", "public") else a for a in chosen],
            priority=self.priority,
            weight=self.weight,
            ttl=self.ttl,
            txt=dict(self.txt) if self.txt is not None else None,
        )
        if self.host and self.target:
            raise UsageError("host and target exclude each other; leave one out")
        if len(set(self.zones)) < len(self.zones):
            raise UsageError("zone: the same one is given twice; leave one out")
        if not self.zones:
            raise UsageError("zone: none is given; give --zone")
        if not 0 < self.timeout <= self.interval:
            raise UsageError(
                f"timeout {self.timeout:g}: more than 0 and at most the interval of "
                f"{self.interval:g} s is allowed"
            )
        if self.load is not None:
            check_kind(self.load)
        if not self.checks and ServiceType.parse(self.service).protocol == "tcp":
            object.__setattr__(self, "checks", (Check.parse("tcp://"),))

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it this service and no other: to change one of these is to leave and join."""
        return (*self.zones, self.service, self.instance, self.port, self.host, self.cloud)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.instance}.{self.service}:{self.port}"

    def checks_at(self, addresses: tuple[str, ...]) -> tuple[Check, ...]:
        """Its checks, with the member's own address filled in."""
        address = addresses[0] if addresses else "127.0.0.1"
        return tuple(check.at(address, self.port) for check in self.checks)

    def registration(self) -> dict[str, Any]:
        """What its writer needs to know, ready for JSON."""
        plain = replace(self, checks=())
        fields = asdict(plain)
        for name in ("checks", "interval", "timeout", "rules", "drain", "load", "haproxy_agent"):
            del fields[name]
        return fields | {"txt": dict(self.txt) if self.txt is not None else None}
