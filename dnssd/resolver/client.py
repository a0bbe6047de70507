"""The resolver for programs without an event loop."""

import os
import weakref
from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

from dnssd.errors import Unavailable
from dnssd.resolver.browsing import Listing, domains_of, instances_of, services_in
from dnssd.resolver.cache import CacheEntry
from dnssd.resolver.connecting import Connected, EndpointSocket, connect
from dnssd.resolver.core import CHECK, Core, about
from dnssd.resolver.defaults import parse_browsed, parse_name
from dnssd.resolver.events import Event
from dnssd.resolver.snapshot import Endpoint, Snapshot
from dnssd.resolver.worker import Worker
from dnssd.services import ServiceName

if TYPE_CHECKING:
    from ssl import SSLContext

    from dnssd.resolver.handshakes import EndpointTlsSocket

_all: "weakref.WeakSet[Resolver]" = weakref.WeakSet()


class Resolver(Core):
    """Finds the endpoints of services in DNS, and chooses among them by SRV priority and weight.

    May be used from any thread and after a fork. What has been looked up is kept, and is
    refreshed by a thread in the background as long as it is used; while no name server
    answers, the last good answer goes on being used and says that it is stale.

    Args:
        nameservers: `HOST[:PORT]` or `[IPV6]:PORT` each; by default those in
            `DNSSD_NAMESERVER`, else those of /etc/resolv.conf, whose `search` and `ndots` do
            not count; where it names none, 127.0.0.1. A host name
            among them is looked up here, once.
        timeout: Seconds that a look-up may take of which nothing is known yet.
        policy: `weighted`, by RFC 2782; or `least_pending`, the one with fewer calls in
            flight of two drawn by weight: then each `pick` needs one `report`.
        max_stale: Seconds that an answer may be used after it has expired, if there is no
            other.
        max_names: How many names are remembered.
        prefer: Instances of a service whose endpoints come first, as long as any of their best
            priority is healthy; the others stand by.
        require_validated: Take no answer that the name server has not validated by DNSSEC
            (AD); the way to that server must be trusted.
        cache_dir: A folder of this program's own, to survive a restart during an outage.
        rng: Gives a random number in [0, 1), instead of `random.random`.
        monotonic: The clock, in seconds, instead of one that goes on while the machine is
            suspended (`CLOCK_BOOTTIME`; `time.monotonic` where there is none).

    Raises:
        UsageError: Not a name server, or no setting that can be held.
        Unavailable: The address of a name server is not known.

    Example:
        >>> with Resolver() as resolver:
        ...     resolver.services("example.test")
        ...     resolver.browse("http", "example.test")
        ...     endpoint = resolver.pick("web._http._tcp.example.test")
        ...     resolver.report(endpoint, ok=True, seconds=0.02)
        ...     [other.target for other in resolver.order("web._http._tcp.example.test")]
        ('_http._tcp',)
        ('web',)
        ['web-1.example.test.']
    """

    _worker: Worker | None = None
    _finalizer: "weakref.finalize[..., Resolver] | None" = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End its thread and free its sockets; watches end. It may be used again."""
        with self._lock:
            worker = self._detached()
        if worker is not None:
            worker.stop()

    def lookup(self, name: str) -> Snapshot:
        """Everything there is to know about a service or an instance now.

        Args:
            name: `[INSTANCE.]SERVICE.DOMAIN`, such as `v1._theService._tcp.example.com`.

        Raises:
            NotFound: It does not exist, or nobody offers it.
            Unavailable: No name server has answered in time.
            UsageError: Not the name of a service or an instance.
        """
        return self._find(name)[1]

    def pick(self, name: str) -> Endpoint:
        """One endpoint, drawn by weight among the healthy ones of the best priority with any.

        An endpoint whose target has no address is passed over while another has one. Raises
        as `lookup` does.
        """
        try:
            entry = self._entries[name]
        except (KeyError, TypeError):  # that is not what an error is about
            entry = None
        if entry is None or self._monotonic() >= entry.until or self._counting:
            return self._pick(*self._find(name))
        entry.used = True
        choice = entry.choice
        return choice.endpoints[bisect_right(choice.sums, self._rng() * choice.total)]

    def order(self, name: str) -> tuple[Endpoint, ...]:
        """Every endpoint in the order in which to try them; raises as `lookup` does.

        Those that are ejected come after the healthy ones of all priorities, and those
        whose target has no address last.
        """
        return self._choice(*self._find(name)).order(self._rng)

    @overload
    def connect(
        self, name: str, timeout: float | None = ..., *, ssl: None = None
    ) -> EndpointSocket: ...

    @overload
    def connect(
        self, name: str, timeout: float | None = ..., *, ssl: "SSLContext"
    ) -> "EndpointTlsSocket": ...

    def connect(
        self, name: str, timeout: float | None = 3.0, *, ssl: "SSLContext | None" = None
    ) -> Connected:
        """A TCP connection to the first endpoint that takes it (RFC 8305).

        Args:
            name: A service or an instance.
            timeout: Seconds that connecting may take.
            ssl: Speak TLS: the handshake is a part of connecting, and the certificate is
                checked against the endpoint's target.

        Returns:
            A socket whose `endpoint` is the one that it leads to.

        Raises:
            Unavailable: None took it in time, or no name server answered.
            NotFound, UsageError: As `lookup` does.
        """
        endpoints = self.order(name)
        with about(name):
            return connect(
                endpoints,
                timeout,
                monotonic=self._monotonic,
                report=partial(self.report, picked=False),
                ssl=ssl,
                further=partial(self._complete, name),
            )

    def browse(self, service: str, domain: str | None = None) -> tuple[str, ...]:
        """The instances of a service, offered or not, in the order of their names.

        Args:
            service: `_http._tcp`, or `http`; `_http._tcp.example.com` needs no domain.
            domain: Where to look.

        Raises:
            NotFound: The service does not exist there.
            Unavailable: No name server has answered in time.
            UsageError: Not a service.
        """
        return self._listed(instances_of(parse_browsed(service, domain)))

    def services(self, domain: str) -> tuple[str, ...]:
        """The service types of a domain (RFC 6763 section 9), in order.

        Raises:
            NotFound: The domain lists none.
            Unavailable: No name server has answered in time.
            UsageError: Not a domain.
        """
        return self._listed(services_in(domain))

    def domains(self, domain: str) -> tuple[str, ...]:
        """The domains that a domain recommends for browsing (RFC 6763 section 11), in order.

        Raises:
            NotFound: It recommends none.
            Unavailable: No name server has answered in time.
            UsageError: Not a domain.

        Example:
            >>> with Resolver() as resolver:
            ...     resolver.domains("example.test")
            Traceback (most recent call last):
            dnssd.errors.NotFound: example.test: it names no domains to browse; check the domain
        """
        return self._listed(domains_of(domain))

    def watch(self, name: str, *others: str) -> Generator[Event, None, None]:
        """What happens to services: first an `added` for each endpoint, then each change.

        Waits for the next event, and ends when the resolver is closed. That a look-up fails
        changes nothing: the service is `stale` then, once, until it has `recovered`.

        Raises:
            UsageError: Not the name of a service or an instance.
        """
        return self._events(*map(parse_name, (name, *others)))

    def clear(self) -> None:
        """Empty the cache; what is watched stays watched."""
        worker = self._running()
        worker.call(worker.engine.clear)

    def _events(self, *asked: ServiceName) -> Generator[Event, None, None]:
        queue: SimpleQueue[Event | None] = SimpleQueue()
        worker = self._running()
        try:
            for each in asked:
                worker.call(worker.engine.listen, each, queue.put)
        except Unavailable:  # closed at this very moment
            return
        try:
            while (event := queue.get()) is not None:
                yield event
        finally:
            for each in asked:
                worker.post(worker.engine.unlisten, each, queue.put)

    def _find(self, name: str) -> tuple[CacheEntry, Snapshot]:
        """What is known of a name; if that is nothing, have the worker find out."""
        entry = self._entry(name)
        if entry is not None:
            if self._worker is None:  # closed, or a copy of another process: keep it fresh again
                with suppress(Unavailable):
                    self._running()
            if snapshot := self._known(entry):
                return entry, snapshot
        worker = self._running()
        entry = worker.wait(worker.engine.want, name, parse_name(name))
        return entry, entry.latest()

    def _complete(self, name: str, done: Callable[[Sequence[Endpoint]], object]) -> None:
        """Have asked what was left out of a name's addresses, and go on."""
        worker = self._running()
        worker.post(worker.engine.complete, name, parse_name(name), done)

    def _listed(self, listing: Listing) -> tuple[str, ...]:
        worker = self._running()
        return listing.of([worker.wait(worker.engine.pointers, name) for name in listing.names])

    def _running(self) -> Worker:
        """The worker, started if it is not running."""
        with self._lock:
            worker = self._worker
            if worker is None or not worker.is_alive:
                self._detached()
                self._worker = worker = Worker(self._engine_in, self._monotonic)
                _all.add(self)
                # Whoever drops a resolver may hold a lock that the thread waits for: be brief.
                self._finalizer = weakref.finalize(self, worker.stop, CHECK)
            return worker

    def _detached(self) -> Worker | None:
        """The worker, if there is one, which is this resolver's no more."""
        worker, self._worker = self._worker, None
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None
        return worker

    def _forked(self) -> None:
        """Go on without the thread, which stayed with the parent."""
        worker = self._detached()
        self._copied()
        if worker is not None:
            worker.abandon()


def _forked() -> None:
    for resolver in _all:
        resolver._forked()


os.register_at_fork(after_in_child=_forked)
