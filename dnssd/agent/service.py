"""What an agent looks after: what it is, and how it is checked. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from dnssd.agent.health import Rules
from dnssd.agent.loads import check_kind
from dnssd.checks import Check, address_to_check
from dnssd.errors import UsageError
from dnssd.names import Name, shown
from dnssd.services import Service as ServiceType
from dnssd.services import parse_instance

LeaveOnExit = Literal["always", "shutdown", "never"]
_RULES = ("rise", "fall", "start_period")
_ANY_HOST, _ANY_ADDRESS = "i-0", "192.0.2.1"  # for checks before the host is known (RFC 5737)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a host has in DNS while it is healthy: a service, or an address of a plain name.

    The names are those of the options of `dnssd join` and `dnssd join-address`.

    Attributes:
        zones: n >= 1 zone addresses; it is published in each.
        port: Where it listens; 0 where only its checks say.
        checks: All must pass; without one it counts as healthy.
        interval: Seconds from one round of checks to the next.
        timeout: Seconds that one check may take.
        rules: When a change of its health is believed.
        drain: Seconds that a planned end may take from the first word in DNS.
        load: What its weight follows: `cpu`, `psi`, `exec:COMMAND`; None for nothing.
        haproxy_agent: The port for HAProxy's agent-check; None for none.
    """

    zones: tuple[str, ...]
    port: int = 0
    host: str | None = None
    cloud: str | None = None
    addresses: tuple[str, ...] = ()
    weight: int = 100
    ttl: int | None = None
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

    @property
    def name(self) -> str:
        """For people."""
        raise NotImplementedError

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it this one and no other: to change one of these is to leave and join."""
        raise NotImplementedError

    def registration(self) -> dict[str, Any]:
        """What its writer needs to know, ready for JSON."""
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        """What it is, for /healthz."""
        raise NotImplementedError

    def checks_at(self, addresses: tuple[str, ...]) -> tuple[Check, ...]:
        """Its checks, with the member's own address filled in; `addresses` are the host's."""
        address = address_to_check(self.addresses, addresses)
        return tuple(check.at(address, self.port) for check in self.checks)

    def _check_offer(self) -> None:
        if len(set(self.zones)) < len(self.zones):
            raise UsageError("zone: the same one is given twice; leave one out")
        if not self.zones:
            raise UsageError("zone: none is given; give --zone")
        if not 0 < self.timeout <= self.interval:
            raise UsageError(
                f"timeout {self.timeout:g}: more than 0 and at most the interval of "
                f"{self.interval:g} s is allowed"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Offer):
    """A service as its owner describes it.

    Attributes:
        service: `_http._tcp`, or `http` for the same.
        checks: By default a TCP connection to its port, for `_udp` none.
        plain_name: Whether programs are to find it that ask for SRV alone.

    Raises:
        UsageError: One of them is not legal; the message names it.
    """

    service: str
    port: int
    instance: str = "default"
    target: str | None = None
    priority: int = 0
    plain_name: bool = False
    txt: tuple[tuple[str, str | None], ...] | None = None

    def __post_init__(self) -> None:
        self._check_registration()
        if self.host and self.target:
            raise UsageError("host and target exclude each other; leave one out")
        self._check_offer()
        if self.load is not None:
            check_kind(self.load)
        if not self.checks and ServiceType.parse(self.service).protocol == "tcp":
            object.__setattr__(self, "checks", (Check.parse("tcp://"),))

    def _check_registration(self) -> None:
        ServiceType.parse(self.service)
        parse_instance(self.instance)
        if self.plain_name:
            from dnssd.registration.wish import check_plain

            check_plain(self.instance)
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
        """Where it is published, as what, and by whom."""
        return (*self.zones, self.service, self.instance, self.port, self.host, self.cloud)

    @property
    def name(self) -> str:
        """Instance, service and port."""
        return f"{self.instance}.{self.service}:{self.port}"

    def about(self) -> dict[str, Any]:
        """Service, instance and port."""
        return {"service": self.service, "instance": self.instance, "port": self.port}

    def registration(self) -> dict[str, Any]:
        """The fields of a `Registration`, and what is asked of zone and host."""
        plain = replace(self, checks=())
        fields = asdict(plain)
        for name in ("checks", "interval", "timeout", "rules", "drain", "load", "haproxy_agent"):
            del fields[name]
        return fields | {"txt": dict(self.txt) if self.txt is not None else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainAddress(Offer):
    """A name for browsers, whose A and AAAA records hold this host's address.

    Attributes:
        plain_name: The name in full, such as `www.example.com`.
        port: Which its checks ask, where they name none themselves.
        checks: By default a TCP connection to that port, if there is one.
        proxied: Whether the zone's provider is to stand before it.

    Raises:
        UsageError: One of them is not legal; the message names it.
    """

    plain_name: str
    proxied: bool = False

    def __post_init__(self) -> None:
        from dnssd.registration.plainaddress import check_name
        from dnssd.registration.request import parse_address

        check_name(Name.parse(self.plain_name))
        for address in self.addresses:
            if address not in ("private", "public"):
                parse_address(address)
        self._check_offer()
        if self.port and not self.checks:
            object.__setattr__(self, "checks", (Check.parse("tcp://"),))
        for check in () if self.port else self.checks:
            if check.needs_port:
                raise UsageError(f"check {shown(check.url)}: which port? give it, or a port")

    @property
    def key(self) -> tuple[object, ...]:
        """Where it is published, as what, and by whom."""
        return (*self.zones, self.plain_name, self.host, self.cloud)

    @property
    def name(self) -> str:
        """The name."""
        return self.plain_name

    def about(self) -> dict[str, Any]:
        """The name."""
        return {"name": self.plain_name}

    def registration(self) -> dict[str, Any]:
        """What `join-address` is told."""
        return {
            "name": self.plain_name,
            "addresses": self.addresses,
            "ttl": None if self.proxied else self.ttl,  # the provider's own
            "proxied": self.proxied,
            "takeover": self.takeover,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an agent does.

    Attributes:
        services: What it looks after: services and plain addresses.
        metrics: The port for metrics and /healthz on loopback; None for none.
        metrics_file: Where metrics are written for a textfile collector; None for nowhere.
        complete_hook: The Auto Scaling lifecycle hook to complete, `[GROUP/]HOOK`.
        leave_on_exit: When the end of the agent takes its services out.
    """

    services: tuple[Offer, ...]
    metrics: int | None = None
    metrics_file: str | None = None
    complete_hook: str | None = None
    leave_on_exit: LeaveOnExit = "always"


def service_of(values: Mapping[str, Any]) -> Service:
    """A service from its fields and the three of its rules.

    Raises:
        UsageError: One of them is not legal.
    """
    return Service(**_with_rules(values))


def plain_address_of(values: Mapping[str, Any]) -> PlainAddress:
    """A plain address from its fields and the three of its rules.

    Raises:
        UsageError: One of them is not legal.
    """
    return PlainAddress(**_with_rules(values))


def _with_rules(values: Mapping[str, Any]) -> dict[str, Any]:
    fields = {key: value for key, value in values.items() if key not in _RULES}
    return fields | {"rules": Rules(**{k: values[k] for k in _RULES if k in values})}
