"""What both resolvers share: all that needs neither a thread nor an event loop."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from dnssd.errors import Unavailable, UsageError
from dnssd.names import shown
from dnssd.resolver.balance import Choice, choose_trial
from dnssd.resolver.cache import Cache, CacheEntry, CachePolicy
from dnssd.resolver.defaults import default_nameservers
from dnssd.resolver.disk import SnapshotFiles
from dnssd.resolver.ejection import Health
from dnssd.resolver.engine import Engine
from dnssd.resolver.snapshot import Endpoint, Snapshot
from dnssd.resolver.stats import Statistics, Stats
from dnssd.resolver.validated import ValidatedOnly
from dnssd.wire.client import DnsClient
from dnssd.wire.clock import clock
from dnssd.wire.loop import Loop
from dnssd.wire.nameservers import NameServer
from dnssd.wire.routes import has_way
from dnssd.wire.sockets import Sockets
from dnssd.wire.system_servers import ResolvConf, SystemServers

Policy = Literal["weighted", "least_pending"]
POLICIES: tuple[Policy, ...] = ("weighted", "least_pending")
CHECK = 1.0  # seconds after which a pick of an old answer looks for a newer one


class Core:
    """Settings, cache, ejections and choice of a resolver.

    The arguments are those of `Resolver`.
    """

    def __init__(
        self,
        nameservers: Sequence[str] | None = None,
        *,
        timeout: float = 2.0,
        policy: Policy = "weighted",
        max_stale: float = 86_400.0,
        max_names: int = 10_000,
        cache_dir: str | Path | None = None,
        prefer: Sequence[str] = (),
        require_validated: bool = False,
        rng: Callable[[], float] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        if policy not in POLICIES:
            raise UsageError(f"policy {policy!r}: no such; there are {' and '.join(POLICIES)}")
        self._servers = _servers(nameservers)
        self._resolv_conf = None if self._servers else ResolvConf()
        self._limits = CachePolicy(timeout, max_stale, max_names)
        self._cache = Cache(self._limits)
        self._entries = self._cache.by_text
        self._counting = policy == "least_pending"
        self._prefer = frozenset([str(instance).lower() for instance in _several(prefer)])
        self._rng = rng or random.random
        self._monotonic = monotonic or clock
        self._validated = require_validated
        self._files = _files(cache_dir, self._limits, require_validated)
        self._health = Health()
        self._statistics = Statistics(self._cache, self._health)
        self._lock = threading.RLock()  # what the garbage collector calls may report too

    @property
    def monotonic(self) -> Callable[[], float]:
        """The clock of `Snapshot.expires_at`: gives seconds."""
        return self._monotonic

    def _engine_in(self, loop: Loop) -> Engine:
        """What looks names up, in that loop."""
        return Engine(
            loop,
            ValidatedOnly(self._client(loop)) if self._validated else self._client(loop),
            self._cache,
            rng=self._rng,
            saved=self._files,
            statistics=self._statistics,
            has_way=has_way,
        )

    def _entry(self, name: str) -> CacheEntry | None:
        """What is kept under this text.

        Raises:
            UsageError: It cannot be a name.
        """
        try:
            return self._entries.get(name)
        except TypeError as error:
            raise UsageError(f"{shown(repr(name))}: not a text; give a str") from error

    def _known(self, entry: CacheEntry) -> Snapshot | None:
        """What an entry says now; None if somebody must be asked.

        Raises:
            NotFound, Unavailable: That is what it says.
        """
        entry.used = True
        return entry.current(self._monotonic(), self._limits)

    def _pick(self, entry: CacheEntry, snapshot: Snapshot) -> Endpoint:
        """One of the endpoints of an entry's snapshot."""
        choice = self._choice(entry, snapshot)
        if not self._counting:
            return choice.pick(self._rng)
        with self._lock:
            endpoint = choice.pick_least_pending(self._rng, self._health.pending)
            self._health.begun((endpoint.target, endpoint.port))
        return endpoint

    def _choice(self, entry: CacheEntry, snapshot: Snapshot) -> Choice:
        """How to choose among its endpoints now; made anew only if something has changed."""
        now = self._monotonic()
        if now < entry.until and entry.snapshot is snapshot:
            return entry.choice
        with self._lock:
            health = self._health
            held = {**health.ejected(now), **health.on_trial(now)}
            trial, choice = choose_trial(
                snapshot.endpoints, held, health.due(now), now, self._prefer
            )
            entry.choice = choice
            expires_at = snapshot.expires_at if snapshot.status == "fresh" else now + CHECK
            entry.until = min(choice.until, expires_at)
            if trial is not None:  # the next call looks again, for others that are due
                health.begin_trial((trial.target, trial.port), now)
                entry.until, choice = now, choice.led_by(trial)
        if entry.snapshot is not snapshot:  # replaced meanwhile, perhaps just before `until` was
            entry.until = float("-inf")
        return choice

    def report(
        self,
        endpoint: Endpoint,
        ok: bool | None,
        seconds: float | None = None,
        *,
        picked: bool = True,
    ) -> None:
        """Tell how a call went.

        Endpoints that fail several times in a row are not picked for a while, at most half
        of those of a priority unless there is another to fall back on.

        Args:
            endpoint: What was called.
            ok: Whether it could be reached and answered; None if that cannot be told, as when
                the call was given up for a reason of its own.
            seconds: How long that took.
            picked: Whether it came from `pick`, not `order`: what is picked counts as in
                flight for the policy `least_pending` until it is reported.
        """
        if not isinstance(endpoint, Endpoint):
            raise UsageError(f"{shown(repr(endpoint))}: not an endpoint; report what was picked")
        key = (endpoint.target.lower(), endpoint.port)
        if ok and not self._health.knows(key):
            return  # the usual case, at the cost of one look
        with self._lock:
            now, took = self._monotonic(), max(0.0, seconds or 0.0)
            if self._health.report(key, ok, now, took, counted=picked):
                for entry in self._cache:
                    entry.until = float("-inf")

    def stats(self) -> Stats:
        """What it knows and has done so far; the log says it too, at DEBUG, once a minute."""
        return self._statistics.read(self._monotonic())

    def _client(self, loop: Loop) -> "DnsClient | SystemServers":
        sockets, counts = Sockets(loop), self._statistics.counts
        if self._resolv_conf is None:
            return DnsClient(loop, self._servers, sockets, counts=counts)
        return SystemServers(loop, sockets, self._resolv_conf, counts)

    def _copied(self) -> None:
        """This is a copy of a process whose threads are not here."""
        self._lock = threading.RLock()
        for entry in self._cache:
            entry.until = float("-inf")


@contextmanager
def about(name: str) -> Iterator[None]:
    """Failures within are about a name."""
    try:
        yield
    except Unavailable as error:
        error.about(name=name)
        raise


def _files(folder: str | Path | None, limits: CachePolicy, validated: bool) -> SnapshotFiles | None:
    return None if folder is None else SnapshotFiles(Path(folder), limits, validated=validated)


def _servers(given: Sequence[str] | None) -> tuple[NameServer, ...]:
    return default_nameservers() if given is None else NameServer.parse_all(_several(given))


def _several(texts: Sequence[str]) -> Sequence[str]:
    """Refuse a text alone, since each of its letters would be one, and what is no list."""
    if isinstance(texts, str | bytes):
        raise UsageError(f"{shown(str(texts))}: one text; give a list of them")
    try:
        return tuple(texts)
    except TypeError as error:
        raise UsageError(f"{shown(repr(texts))}: no list; give a list of texts") from error
