"""A resolver without threads and sockets, on a made-up network and a virtual clock."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dnssd.resolver.balance import choose
from dnssd.resolver.cache import Cache, CacheEntry, CachePolicy
from dnssd.resolver.disk import SnapshotFiles
from dnssd.resolver.ejection import Health
from dnssd.resolver.engine import Engine
from dnssd.resolver.events import Event
from dnssd.resolver.listeners import Listener
from dnssd.resolver.snapshot import Endpoint, Snapshot
from dnssd.resolver.stats import Statistics
from dnssd.services import parse_service_name
from dnssd.wire.budget import Budget
from dnssd.wire.client import DnsClient
from dnssd.wire.nameservers import NameServer
from kit.simnet import Fault, Records, SimLoop, SimNetwork, honest

SERVER = NameServer("10.0.0.53")
LIMITS = CachePolicy()


class SimResolver:
    """What `Resolver` does, with time under the test's control.

    Args:
        records: Values by (name, type).
        servers: Whom to ask.
        additional: Whether SRV answers carry the addresses of their targets.
        fault: What comes of a query.
        ttl: Of all records, in seconds.
        limits: How long to wait and to remember.
        saved: Keeps snapshots over restarts.
        seed: Of all randomness.
    """

    def __init__(
        self,
        records: Records,
        *,
        servers: tuple[NameServer, ...] = (SERVER,),
        additional: bool | str = False,
        fault: Fault = honest,
        ttl: int = 60,
        limits: CachePolicy = LIMITS,
        saved: SnapshotFiles | None = None,
        seed: int = 1,
    ) -> None:
        self.loop = SimLoop()
        self.network = SimNetwork(self.loop, records, additional=additional, fault=fault, ttl=ttl)
        self.limits = limits
        self.cache = Cache(limits)
        self.statistics = Statistics(self.cache, Health())
        self.client = DnsClient(
            self.loop,
            servers,
            self.network,
            budget=Budget(),
            entropy=random.Random(seed).randbytes,
            counts=self.statistics.counts,
        )
        self.rng = random.Random(seed).random
        self.engine = Engine(
            self.loop,
            self.client,
            self.cache,
            rng=self.rng,
            wall=self.wall,
            saved=saved,
            statistics=self.statistics,
        )

    @property
    def now(self) -> float:
        """The virtual clock, in seconds."""
        return self.loop.now

    @property
    def questions(self) -> int:
        """How many packets were sent so far."""
        return len(self.network.queries)

    def wall(self) -> datetime:
        """The virtual time of day."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.loop.now)

    def entry(self, name: str) -> CacheEntry | None:
        """What the cache holds under a name."""
        return self.cache.by_text.get(name)

    def known(self, name: str) -> Snapshot | None:
        """What there is to say without asking anybody; notes that somebody wanted to know.

        Raises:
            NotFound, Unavailable: That was the answer, and still counts.
        """
        entry = self.entry(name)
        if entry is None:
            return None
        entry.used = True
        return entry.current(self.now, self.limits)

    def lookup(self, name: str) -> Snapshot:
        """As `Resolver.lookup`."""
        if snapshot := self.known(name):
            return snapshot
        came = self.want(name)
        self.loop.run(lambda: bool(came))
        return came[0].latest()

    def want(self, name: str) -> list[CacheEntry]:
        """Ask, and do not wait: the list is filled when the answer comes."""
        came: list[CacheEntry] = []
        self.engine.want(name, parse_service_name(name), came.append)
        return came

    def pick(self, name: str) -> Endpoint:
        """As `Resolver.pick`, less its feedback."""
        return choose(self.lookup(name).endpoints).pick(self.rng)

    def watch(self, name: str) -> list[Event | None]:
        """The list is filled with what happens."""
        told: list[Event | None] = []
        self.listen(name, told.append)
        return told

    def listen(self, name: str, listener: Listener) -> None:
        """Have a listener told what happens."""
        self.engine.listen(parse_service_name(name), listener)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.loop.run(seconds)

    def until_asked(self) -> float:
        """Let time pass until a packet is sent; how long it took, in seconds."""
        before = self.questions
        return self.until(lambda: self.questions > before)

    def until_learned(self, name: str) -> float:
        """Let time pass until something else is known of a name than now."""
        entry = self.cache.by_text[name]
        before = entry.snapshot
        return self.until(lambda: entry.snapshot is not before)

    def until(self, condition: Callable[[], bool], limit: float = 10_000.0) -> float:
        """Let time pass until something holds; how long it took, in seconds."""
        begin = self.now
        self.loop.run(condition, limit)
        return self.now - begin


def hosts_of(numbers: range, instance: str = "web") -> Records:
    """One instance of `_http._tcp.example.com` on numbered hosts, with addresses."""
    service = "_http._tcp.example.com."
    name = f"{instance}.{service}"
    return {
        (service, "PTR"): [name],
        (name, "SRV"): [f"0 {10 + n} 80 h{n}.example.com." for n in numbers],
        (name, "TXT"): ['"a=1"'],
        **{(f"h{n}.example.com.", "A"): [f"10.0.{n // 256}.{n % 256}"] for n in numbers},
    }


def kinds(events: list[Event | None]) -> list[str]:
    """What happened, in short: `added h1`, `stale`, `end`."""
    return ["end" if event is None else " ".join([event.kind, *_host(event)]) for event in events]


def _host(event: Event) -> list[str]:
    return [event.endpoint.target.partition(".")[0]] if event.endpoint else []
