"""What both resolvers share: all that needs neither a thread nor an event loop."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from dnssd.errors import UsageError
from dnssd.names import Name, shown
from dnssd.records import Ptr
from dnssd.resolver.balance import Choice, choose
from dnssd.resolver.cache import Cache, Entry, Limits
from dnssd.resolver.engine import Engine
from dnssd.resolver.health import Health
from dnssd.resolver.snapshot import Endpoint, Found, Snapshot, instance_names
from dnssd.resolver.store import Store
from dnssd.services import Service, ServiceName, ServiceType, instance_text, parse_service_name
from dnssd.wire.answers import Answer
from dnssd.wire.client import DnsClient
from dnssd.wire.connections import Network
from dnssd.wire.loop import Loop
from dnssd.wire.nameservers import NameServer, ResolvConf
from dnssd.wire.query import Done
from dnssd.wire.resolution import TRUSTING, Doubt
from dnssd.wire.sockets import Sockets

Policy = Literal["weighted", "least_pending"]
POLICIES: tuple[Policy, ...] = ("weighted", "least_pending")
BROWSING = (b"b", b"db", b"lb")  # what points to domains worth browsing (RFC 6763 section 11)
FAREWELL = 60.0  # seconds at least, after which questions to former name servers are over
CHECK = 1.0  # seconds after which a pick of an old answer looks for a newer one


class Core:
    """Settings, cache, health and choice of a resolver.

    The arguments are those of `Resolver`.
    """

    def __init__(
        self,
        nameservers: Sequence[str] | None,
        *,
        timeout: float,
        policy: Policy,
        max_stale: float,
        max_names: int,
        cache_dir: str | Path | None,
        rng: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        if policy not in POLICIES:
            raise UsageError(f"policy {policy!r}: no such; there are {' and '.join(POLICIES)}")
        if isinstance(nameservers, str):  # each of its letters would be looked up as a host
            raise UsageError(f"name servers {shown(nameservers)}: one text; give a list of them")
        self._servers = NameServer.parse_all(nameservers or ())
        self._resolv_conf = None if self._servers else ResolvConf()
        self.limits = Limits(timeout, max_stale, max_names)
        self.cache = Cache(self.limits)
        self.counting = policy == "least_pending"
        self.rng = rng
        self.monotonic = monotonic
        self._saved = Store(Path(cache_dir), self.limits) if cache_dir is not None else None
        self._health = Health()
        self._lock = threading.RLock()  # what the garbage collector calls may report too

    def engine(self, loop: Loop) -> Engine:
        """What looks names up, in that loop."""
        return Engine(loop, self._questioner(loop), self.cache, rng=self.rng, saved=self._saved)

    def known(self, entry: Entry) -> Snapshot | None:
        """What an entry says now; None if somebody must be asked.

        Raises:
            NotFound, Unavailable: That is what it says.
        """
        entry.used = True
        return entry.current(self.monotonic(), self.limits)

    def pick(self, entry: Entry, snapshot: Snapshot) -> Endpoint:
        """One of the endpoints of an entry's snapshot."""
        choice = self.choice(entry, snapshot)
        if not self.counting:
            return choice.pick(self.rng)
        with self._lock:
            endpoint = choice.pick_least_pending(self.rng, self._health.pending)
            self._health.begun((endpoint.target, endpoint.port))
        return endpoint

    def choice(self, entry: Entry, snapshot: Snapshot) -> Choice:
        """How to choose among its endpoints now; made anew only if something has changed."""
        now = self.monotonic()
        if now < entry.until and entry.snapshot is snapshot:
            return entry.choice
        with self._lock:
            choice = choose(snapshot.endpoints, self._health.ejected(now), now)
            entry.choice = choice
            expires_at = snapshot.expires_at if snapshot.status == "fresh" else now + CHECK
            entry.until = min(choice.until, expires_at)
        if entry.snapshot is not snapshot:  # replaced meanwhile, perhaps just before `until` was
            entry.until = float("-inf")
        return choice

    def report(
        self, endpoint: Endpoint, ok: bool | None, seconds: float | None, *, picked: bool
    ) -> None:
        """Take note of how a call went (see `Resolver.report`)."""
        key = (endpoint.target, endpoint.port)
        if ok and not self._health.knows(key):
            return  # the usual case, at the cost of one look
        with self._lock:
            now, took = self.monotonic(), max(0.0, seconds or 0.0)
            if self._health.report(key, ok, now, took, counted=picked):
                for entry in self.cache:
                    entry.until = float("-inf")

    def _questioner(self, loop: Loop) -> "DnsClient | SystemServers":
        sockets = Sockets(loop)
        if self._resolv_conf is None:
            return DnsClient(loop, self._servers, sockets)
        return SystemServers(loop, sockets, self._resolv_conf)

    def forked(self) -> None:
        """This is a copy of a process whose threads are not here."""
        self._lock = threading.RLock()
        for entry in self.cache:
            entry.until = float("-inf")


class SystemServers:
    """Asks the servers that this machine's configuration names now."""

    def __init__(self, loop: Loop, network: Network, resolv_conf: ResolvConf) -> None:
        self._loop = loop
        self._network = network
        self._resolv_conf = resolv_conf
        self._clients = [DnsClient(loop, resolv_conf.servers(loop.time()), network)]

    @property
    def disturbed(self) -> int:
        """Questions so far to which something else than an answer came."""
        return sum(client.disturbed for client in self._clients)

    def ask(
        self, name: Name, rdtype: str, deadline: float, done: Done, doubt: Doubt = TRUSTING
    ) -> None:
        """Ask for one RRset (see `DnsClient`)."""
        now = self._loop.time()
        servers = self._resolv_conf.servers(now)
        if servers != self._clients[-1].servers:
            self._clients.append(DnsClient(self._loop, servers, self._network))
            self._loop.call_at(max(deadline, now + FAREWELL), self._close_former)
        self._clients[-1].ask(name, rdtype, deadline, done, doubt)

    def close(self) -> None:
        """Close all sockets."""
        for client in self._clients:
            client.close()

    def _close_former(self) -> None:
        self._clients.pop(0).close()


def parse_browsed(service: str, domain: str | None) -> ServiceName:
    """What is to be browsed.

    Raises:
        UsageError: Not a service.
    """
    asked = parse_service_name(service, None if domain is None else Name.parse(domain))
    if asked.instance is not None:
        raise UsageError(f"{asked.name}: an instance; browse a service, or look it up")
    return asked


def instances_in(asked: ServiceName, answer: Answer) -> tuple[str, ...]:
    """The instances that the PTR records of a service point to, in the order of their names."""
    pointers = Found(answer.values, 0.0)
    names = instance_names(asked, pointers) if answer.values else ()
    return tuple(instance_text(name.labels[0]) for name in names)


def enumeration(domain: str) -> Name:
    """The name whose PTR records list a domain's service types (RFC 6763 section 9)."""
    return Service("any").enumeration_in(Name.parse(domain))


def services_in(answer: Answer) -> tuple[str, ...]:
    """The service types that PTR records point to, in order."""
    targets = [value.target.labels[:2] for value in answer.values if isinstance(value, Ptr)]
    types = [labels for labels in targets if [label[:1] for label in labels] == [b"_", b"_"]]
    return tuple(sorted({str(ServiceType.of((name, protocol))) for name, protocol in types}))


def browsing_names(domain: str) -> tuple[Name, ...]:
    """The names whose PTR records lead to a domain's browsing domains."""
    where = Name.parse(domain)
    return tuple(where.child(kind, b"_dns-sd", b"_udp") for kind in BROWSING)


def domains_in(answers: Sequence[Answer]) -> tuple[str, ...]:
    """The domains that PTR records point to, once each, in order."""
    targets = {value.target for one in answers for value in one.values if isinstance(value, Ptr)}
    return tuple(str(target) for target in sorted(targets))
