"""What is known about a service at one moment: answers joined into an immutable view."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from sys import intern
from typing import Literal, TypeVar
from urllib.parse import quote

from dnssd.errors import NotFound
from dnssd.names import Name
from dnssd.records import Address, Ptr, Srv, Txt
from dnssd.resolver.attributes import Attributes
from dnssd.resolver.known import CachedRRset, Known
from dnssd.services import ServiceName, instance_text

MAX_INSTANCES = 1000  # of one service; more are left out
MAX_ENDPOINTS = 4000  # of one snapshot; more are left out

Status = Literal["fresh", "stale"]
HasWay = Callable[[str], bool]
_Rdata = TypeVar("_Rdata", Address, Ptr, Srv, Txt)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a client connects to.

    Attributes:
        target: The host's name, absolute, in lower case.
        port: 0 to 65535.
        priority: Lower is tried first.
        weight: The share of traffic within one priority.
        addresses: The target's addresses, in the order of the name server, IPv4 before IPv6;
            IPv6 first where this host has a way to it alone. Empty if it has none.
        instance: The instance it belongs to; None for SRV records of the service itself.
        service: Its service type, such as `_http._tcp`.

    Example:
        >>> endpoint = Endpoint("web-1.example.com.", 8080, 0, 100, ("10.0.0.5", "2001:db8::5"))
        >>> endpoint.authorities
        ('10.0.0.5:8080', '[2001:db8::5]:8080')
        >>> endpoint.url("http")
        'http://10.0.0.5:8080'
    """

    target: str
    port: int
    priority: int
    weight: int
    addresses: tuple[str, ...] = ()
    instance: str | None = None
    service: str = ""

    @property
    def authorities(self) -> tuple[str, ...]:
        """`ADDRESS:PORT` for each address, IPv6 in brackets."""
        return tuple(
            f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
            for address in self.addresses
        )

    def url(self, scheme: str) -> str:
        """`scheme://ADDRESS:PORT` of the first address; of the target if it has none."""
        if self.addresses:
            return f"{scheme}://{self.authorities[0]}"
        # A target may hold any byte: none of them may end the host's part of the URL.
        return f"{scheme}://{quote(self.target.removesuffix('.'), safe='')}:{self.port}"


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a service.

    Attributes:
        name: Its service instance name.
        instance: Its first label as text; None for a service's own SRV records.
        data: Its TXT record.
        endpoints: Sorted by priority; empty if nobody offers it.

    Example:
        >>> with Resolver() as resolver:
        ...     (instance,) = resolver.lookup("_http._tcp.example.test").instances
        >>> instance.instance, instance.txt["version"]
        ('web', b'1')
    """

    name: str
    instance: str | None
    data: Txt
    endpoints: tuple[Endpoint, ...]

    @property
    def txt(self) -> Attributes:
        """Its TXT data by key."""
        return Attributes(self.data)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An immutable view of a service or of one of its instances.

    Attributes:
        name: The name that was looked up.
        instances: n >= 1, in the order of their names.
        endpoints: All of theirs, n >= 1, sorted by priority.
        expires_at: When its shortest TTL ends, on the resolver's clock, in seconds.
        status: `fresh`, or `stale` if it is older than that.
        missing: What belongs to it and could not be had, as `NAME TYPE`; it is asked for soon.
        validated: Whether the name server says of all of it that it is validated by DNSSEC.

    Example:
        >>> with Resolver() as resolver:
        ...     snapshot = resolver.lookup("web._http._tcp.example.test")
        >>> snapshot.status, [endpoint.target for endpoint in snapshot.reachable]
        ('fresh', ['web-1.example.test.'])
        >>> 0 < snapshot.ttl(resolver.monotonic()) <= 60
        True
    """

    name: str
    instances: tuple[Instance, ...]
    endpoints: tuple[Endpoint, ...]
    expires_at: float
    status: Status = "fresh"
    missing: tuple[str, ...] = ()
    validated: bool = False

    @property
    def txt(self) -> Attributes:
        """The TXT data of the only instance; nothing where there are several."""
        return self.instances[0].txt if len(self.instances) == 1 else Attributes(Txt())

    @property
    def reachable(self) -> tuple[Endpoint, ...]:
        """The endpoints with an address; all of them where none has one."""
        return tuple(e for e in self.endpoints if e.addresses) or self.endpoints

    def ttl(self, now: float) -> float:
        """Seconds until it expires; 0 if it has expired.

        Args:
            now: Reading of the resolver's clock, `resolver.monotonic()`, in seconds.
        """
        return max(0.0, self.expires_at - now)


def everywhere(address: str) -> bool:
    """There is a way to every address."""
    return True


def build_snapshot(
    asked: ServiceName,
    found: Known,
    missing: Sequence[tuple[Name, str]] = (),
    has_way: HasWay = everywhere,
) -> Snapshot:
    """Join what was found about one service or instance into an immutable view of it.

    Args:
        asked: What was looked up.
        found: Each under the name that was asked for, whatever its alias.
        missing: Names and types that could not be had.
        has_way: Tells whether this host can send to an address.

    Raises:
        NotFound: No endpoint: it does not exist, or nobody offers it.

    Source: RFC 6763 sections 4.1, 5 and 6; RFC 2782; one TTL for an RRset, RFC 2181.
    """
    names = instance_names(asked, found.get((asked.name.key, "PTR")))
    instances = tuple(_instances(asked, names, found, has_way))
    if asked.name not in names and not any(instance.endpoints for instance in instances):
        instances += tuple(_instances(asked, (asked.name,), found, has_way))  # plain SRV records
    endpoints = instances[0].endpoints if instances else ()
    if len(instances) > 1:
        every = [endpoint for instance in instances for endpoint in instance.endpoints]
        endpoints = tuple(sorted(every, key=_by_priority))
    if not endpoints:
        raise _not_found(asked, found)
    used = [one for one in found.values() if one.values]
    expires_at = min([one.expires_at for one in used])
    told = tuple([f"{name} {rdtype}" for name, rdtype in missing])
    validated = False not in [one.validated for one in used]
    return Snapshot(str(asked.name), instances, endpoints, expires_at, "fresh", told, validated)


def instance_names(asked: ServiceName, pointers: CachedRRset | None) -> tuple[Name, ...]:
    """The names whose SRV and TXT records make up what was asked for.

    Args:
        asked: A service, a subtype or an instance.
        pointers: The PTR records of a service or subtype, if they were asked for.

    Returns:
        The instance alone; or those that the service points to, at most 1000; or the
        service itself if it points to none: plain SRV records (RFC 2782).
    """
    if asked.instance is not None or pointers is None or not pointers.values:
        return (asked.name,)
    service = asked.service.key
    targets: dict[bytes, Name] = {}
    for value in pointers.values:
        if isinstance(value, Ptr):
            key = value.target.key
            if key.startswith(service, key[0] + 1):  # one label more than a service has
                targets[key] = value.target
    if len(targets) > 1:
        return tuple(sorted(targets.values(), key=attrgetter("reversed"))[:MAX_INSTANCES])
    return tuple(targets.values())


def _instances(
    asked: ServiceName, names: Iterable[Name], known: Known, has_way: HasWay
) -> Iterator[Instance]:
    room, service = MAX_ENDPOINTS, intern(str(asked.service))
    for name in names:
        srvs = _values(known, name, "SRV", Srv)[:room]
        txts = _values(known, name, "TXT", Txt)
        if not srvs and not txts:
            continue  # a pointer to nowhere
        room -= len(srvs)
        instance = None
        if asked.instance is not None or name != asked.name:
            instance = instance_text(name.labels[0])
        offered = [srv for srv in srvs if len(srv.target.key) > 1]
        endpoints = [_endpoint(srv, instance, service, known, has_way) for srv in offered]
        data = txts[0] if len(txts) == 1 else _united(txts)
        if len(endpoints) > 1:
            endpoints.sort(key=_within_instance)
        yield Instance(str(name), instance, data, tuple(endpoints))


def _united(txts: Iterable[Txt]) -> Txt:
    """One TXT record of several, whatever order they come in: any of them may be another's."""
    return Txt(tuple([string for txt in sorted(txts) for string in txt.strings if string]))


def _endpoint(
    srv: Srv, instance: str | None, service: str, known: Known, has_way: HasWay
) -> Endpoint:
    target, key = srv.target, srv.target.key
    if target.octets is not key:
        target = target.lower()
    first = _formatted(known.get((key, "A")))
    second = _formatted(known.get((key, "AAAA")))
    if first and second and not has_way(first[0]) and has_way(second[0]):
        first, second = second, first
    return Endpoint(
        str(target), srv.port, srv.priority, srv.weight, first + second, instance, service
    )


def _formatted(found: CachedRRset | None) -> tuple[str, ...]:
    """Addresses as text, as the server orders them."""
    if not found:
        return ()
    return tuple([one.format() for one in found.values if isinstance(one, Address)])


def _values(known: Known, name: Name, rdtype: str, kind: type[_Rdata]) -> list[_Rdata]:
    found = known.get((name.key, rdtype))
    return [value for value in found.values if isinstance(value, kind)] if found else []


_within_instance = attrgetter("priority", "target", "port")


def _by_priority(endpoint: Endpoint) -> tuple[int, str, str, int]:
    return endpoint.priority, endpoint.instance or "", endpoint.target, endpoint.port


def _not_found(asked: ServiceName, known: Known) -> NotFound:
    """Nobody offers it, or there is no such thing: a wildcard's TXT record makes none."""
    browse = asked.service.in_domain(asked.domain)
    pointers = [p for name in {browse, asked.name} for p in _values(known, name, "PTR", Ptr)]
    pointed = {pointer.target for pointer in pointers}
    srvs = [value for found in known.values() for value in found.values if isinstance(value, Srv)]
    if any(len(srv.target.key) == 1 for srv in srvs):
        why = "its SRV record says that it is not offered here (target .); ask who runs it"
    elif asked.name in pointed or (asked.instance is None and pointed):
        why = "it is defined, but nobody offers it; join a host to it"
    else:
        what = "service" if asked.instance is None else "instance"
        why = f"no such {what}; check the name and the domain"
    return NotFound(f"{asked.name}: {why}", name=str(asked.name))
