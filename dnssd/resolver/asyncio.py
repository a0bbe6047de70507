"""The resolver for asyncio: the same core, in the caller's event loop."""

import asyncio
import os
import socket
import weakref
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from dnssd.errors import UsageError
from dnssd.resolver.browsing import Listing, domains_of, instances_of, services_in
from dnssd.resolver.cache import CacheEntry
from dnssd.resolver.connecting import EndpointSocket
from dnssd.resolver.core import Core, about
from dnssd.resolver.defaults import parse_browsed, parse_name
from dnssd.resolver.engine import Engine
from dnssd.resolver.events import Event
from dnssd.resolver.snapshot import Endpoint, Snapshot
from dnssd.resolver.streams import connect_async, open_connection
from dnssd.services import ServiceName
from dnssd.wire.clock import ClockedLoop, clock
from dnssd.wire.loop import sockets_at_hand


class AsyncResolver(Core):
    """`Resolver` for asyncio: the same names, to be awaited.

    Belongs to the event loop that uses it; under another one, as in a second `asyncio.run`,
    it goes on with what it knows. Close it before its loop ends; one that is dropped frees what
    it holds, too.

    The arguments are those of `Resolver`, and so is what it raises; a `monotonic` must
    agree with the event loop's clock. What holds up the event loop: a name server that is given by
    host name, once, and `cache_dir`, for a small file with each change; keep it on a local disk.

    Example:
        >>> async def targets():
        ...     async with AsyncResolver() as resolver:
        ...         await resolver.pick("web._http._tcp.example.test")
        ...         return [e.target for e in await resolver.order("web._http._tcp.example.test")]
        >>> asyncio.run(targets())
        ['web-1.example.test.']
    """

    _engine: Engine | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _process = -1
    _finalizer: "weakref.finalize[..., AsyncResolver] | None" = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Free its sockets and timers; watches end. It may be used again."""
        if (engine := self._detached()) is not None:
            engine.close()

    async def lookup(self, name: str) -> Snapshot:
        """Everything there is to know about a service or an instance now."""
        return (await self._find(name))[1]

    async def pick(self, name: str) -> Endpoint:
        """One endpoint, drawn by weight among the healthy ones of the best priority with any."""
        return self._pick(*await self._find(name))

    async def order(self, name: str) -> tuple[Endpoint, ...]:
        """Every endpoint in the order in which to try them."""
        return self._choice(*await self._find(name)).order(self._rng)

    async def connect(self, name: str, timeout: float | None = 3.0) -> EndpointSocket:
        """A TCP connection to the first endpoint that takes it, as a socket without blocking."""
        endpoints = await self.order(name)
        report, further = partial(self.report, picked=False), partial(self._complete, name)
        with about(name):
            return await connect_async(endpoints, timeout, report=report, further=further)

    async def open_connection(
        self, name: str, timeout: float | None = 3.0, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Streams to the first endpoint that takes a TCP connection (RFC 8305).

        Args:
            name: A service or an instance.
            timeout: Seconds that connecting may take.
            options: Those of `asyncio.open_connection`, such as `ssl`; the certificate is
                checked against the endpoint's target unless `server_hostname` is given.

        Raises:
            Unavailable: None took it in time, or no name server answered.
            NotFound, UsageError: As `lookup` does.
        """
        endpoints = await self.order(name)
        report, further = partial(self.report, picked=False), partial(self._complete, name)
        with about(name):
            return await open_connection(
                endpoints, timeout, report=report, further=further, **options
            )

    async def browse(self, service: str, domain: str | None = None) -> tuple[str, ...]:
        """The instances of a service, offered or not, in the order of their names."""
        return await self._listed(instances_of(parse_browsed(service, domain)))

    async def services(self, domain: str) -> tuple[str, ...]:
        """The service types of a domain (RFC 6763 section 9), in order."""
        return await self._listed(services_in(domain))

    async def domains(self, domain: str) -> tuple[str, ...]:
        """The domains that a domain recommends for browsing (RFC 6763 section 11), in order."""
        return await self._listed(domains_of(domain))

    def watch(self, name: str, *others: str) -> AsyncGenerator[Event, None]:
        """What happens to services: first an `added` for each endpoint, then each change.

        Cancelling whoever waits for the next event ends it, as a time-out around `anext` does.
        """
        return self._events(*map(parse_name, (name, *others)))

    async def clear(self) -> None:
        """Empty the cache; what is watched stays watched."""
        self._running().clear()

    async def _events(self, *asked: ServiceName) -> AsyncGenerator[Event, None]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        engine = self._running()
        for each in asked:
            engine.listen(each, queue.put_nowait)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            for each in asked:
                engine.unlisten(each, queue.put_nowait)

    async def _find(self, name: str) -> tuple[CacheEntry, Snapshot]:
        """What is known of a name; if that is nothing, find out."""
        engine = self._running()
        entry = self._entry(name)
        if entry is not None and (snapshot := self._known(entry)):
            return entry, snapshot
        found: CacheEntry = await _called_back(engine.want, name, parse_name(name))
        return found, found.latest()

    async def _complete(self, name: str) -> Sequence[Endpoint]:
        """The endpoints of a name with what was left out of their addresses."""
        found: Sequence[Endpoint] = await _called_back(
            self._running().complete, name, parse_name(name)
        )
        return found

    async def _listed(self, listing: Listing) -> tuple[str, ...]:
        engine = self._running()
        asked = (_called_back(engine.pointers, name) for name in listing.names)
        return listing.of(await asyncio.gather(*asked))

    def _running(self) -> Engine:
        """The engine in the loop that runs now; what belonged to another is freed."""
        loop = asyncio.get_running_loop()
        if self._process != os.getpid():
            if self._engine is not None:
                # A fork: the former loop's selector is the parent's too, and is left alone.
                self._detached()
                self._loop = None
                self._copied()
            self._process = os.getpid()
        if self._engine is None or self._loop is not loop:
            self._engine = self._moved(loop)
            self._finalizer = weakref.finalize(self, _free, loop, self._engine, self._process)
        return self._engine

    def _detached(self) -> Engine | None:
        """The engine, if there is one, which is this resolver's no more."""
        engine, self._engine = self._engine, None
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None
        return engine

    def _moved(self, loop: asyncio.AbstractEventLoop) -> Engine:
        """An engine in that loop; the one in another, which has ended, is freed.

        Raises:
            UsageError: That loop cannot do it, or the other one still runs.
        """
        _check_sockets(loop)
        if self._engine is not None and self._loop is not None and self._loop.is_running():
            raise UsageError(
                "AsyncResolver: in use in another event loop, in another thread; "
                "make one for each loop, or share a Resolver"
            )
        if (former := self._detached()) is not None:
            former.close()
        self._loop = loop
        return self._engine_in(ClockedLoop(loop) if self._monotonic is clock else loop)


def _free(loop: asyncio.AbstractEventLoop, engine: Engine, process: int) -> None:
    """Close what a resolver left behind: in its loop, as the garbage collector may be anywhere."""
    if os.getpid() != process:
        return  # what was inherited is the parent's, too
    if loop.is_running():
        loop.call_soon_threadsafe(engine.close)
    else:
        engine.close()


def _check_sockets(loop: asyncio.AbstractEventLoop) -> None:
    """Refuse loops that cannot watch sockets, before something waits for that for ever.

    Raises:
        UsageError: It cannot.
        Unavailable: There are no sockets to be had now.
    """
    with sockets_at_hand(), socket.socket() as probe:
        try:
            loop.remove_reader(probe)
        except NotImplementedError as error:
            raise UsageError(
                f"{type(loop).__name__}: this event loop cannot watch sockets (add_reader); "
                "use asyncio.SelectorEventLoop, or Resolver in a thread"
            ) from error


async def _called_back(start: Callable[..., object], *args: object) -> Any:
    """What a function calls back with; an exception is raised."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def done(result: object) -> None:
        if future.done():  # cancelled: the look-up goes on, for the cache
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    start(*args, done)
    return await future
