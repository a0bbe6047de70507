"""One service that an agent looks after: what it is, and how it is checked. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from dnssd.agent.health import Rules
from dnssd.agent.loads import check_kind
from dnssd.checks import Check, address_to_check
from dnssd.errors import UsageError
from dnssd.services import Service as ServiceType
from dnssd.services import parse_instance

LeaveOnExit = Literal["always", "shutdown", "never"]
_RULES = ("rise", "fall", "start_period")
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
    lease: int = 0
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
        self._check_registration()
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

    def _check_registration(self) -> None:
        ServiceType.parse(self.service)
        parse_instance(self.instance)
        if not any((self.host, self.target, self.addresses, self.txt, self.ttl, self.lease)):
            return  # there is nothing more to find wrong, and a command waits for its start
        from dnssd.registration.request import Registration

        chosen = self.addresses or (() if self.target else (_ANY_ADDRESS,))
        Registration(
            service=self.service,
            instance=self.instance,
            port=self.port,
            host=self.host or _ANY_HOST,
            target=self.target,
            addresses=[_ANY_ADDRESS if a in ("private", "public") else a for a in chosen],
            ttl=self.ttl,
            txt=dict(self.txt) if self.txt is not None else None,
            lease=self.lease,
        )

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it this service and no other: to change one of these is to leave and join."""
        return (*self.zones, self.service, self.instance, self.port, self.host, self.cloud)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.instance}.{self.service}:{self.port}"

    def checks_at(self, addresses: tuple[str, ...]) -> tuple[Check, ...]:
        """Its checks, with the member's own address filled in; `addresses` are the host's."""
        address = address_to_check(self.addresses, addresses)
        return tuple(check.at(address, self.port) for check in self.checks)

    def registration(self) -> dict[str, Any]:
        """What its writer needs to know, ready for JSON."""
        plain = replace(self, checks=())
        fields = asdict(plain)
        for name in ("checks", "interval", "timeout", "rules", "drain", "load", "haproxy_agent"):
            del fields[name]
        return fields | {"txt": dict(self.txt) if self.txt is not None else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an agent does.

    Attributes:
        services: What it looks after.
        metrics: The port for metrics and /healthz on loopback; None for none.
        complete_hook: The Auto Scaling lifecycle hook to complete, `[GROUP/]HOOK`.
        leave_on_exit: When the end of the agent takes its services out.
    """

    services: tuple[Service, ...]
    metrics: int | None = None
    complete_hook: str | None = None
    leave_on_exit: LeaveOnExit = "always"


def service_of(values: Mapping[str, Any]) -> Service:
    """A service from its fields and the three of its rules.

    Raises:
        UsageError: One of them is not legal.
    """
    fields = {key: value for key, value in values.items() if key not in _RULES}
    return Service(rules=Rules(**{k: values[k] for k in _RULES if k in values}), **fields)
