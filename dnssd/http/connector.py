"""The connector and the resolver of aiohttp: names of services where URLs have a host.

The connector makes a host of each endpoint: requests then have connections of their own for
each, the target in the Host header, and its name checked in the certificate.
"""

import asyncio
import socket
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any
from urllib.parse import unquote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from dnssd.errors import DnssdError, UsageError
from dnssd.http.walk import ATTEMPTS, AsyncChooser, Verdict, Walk, root_of
from dnssd.resolver.connecting import host_name
from dnssd.resolver.race import why
from dnssd.resolver.snapshot import Endpoint

REMEMBERED = 1000  # endpoints whose addresses are kept

_Host = tuple[str, int]


class AiohttpResolver(AbstractResolver):
    """Resolves names of services for aiohttp, to the addresses and ports of their endpoints.

        aiohttp.TCPConnector(resolver=AiohttpResolver(resolver))

    Names of hosts go to another resolver. A plain `TCPConnector` keeps connections of the
    service as a whole, tells the resolver nothing, and checks certificates for the name of
    the service: `AiohttpConnector` does better.

    Args:
        resolver: Finds endpoints.
        others: Resolves names of hosts; by default as aiohttp does.
    """

    def __init__(self, resolver: AsyncChooser, others: AbstractResolver | None = None) -> None:
        self._resolver = resolver
        self._others = others or aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a service's endpoints, in the order in which to try them.

        Raises:
            OSError: There are none.
        """
        if not _is_service(host):
            return await self._others.resolve(host, port, family)
        try:
            endpoints = await self._resolver.order(unquote(host))
        except DnssdError as error:
            raise OSError(0, str(error)) from error
        found = [
            _result(host, address, endpoint.port)
            for endpoint in endpoints
            for address in endpoint.addresses
        ]
        return [one for one in found if family in (socket.AF_UNSPEC, one["family"])]

    async def close(self) -> None:
        """Let go of the other resolver."""
        await self._others.close()


class AiohttpConnector(aiohttp.TCPConnector):
    """Connects requests of aiohttp to the endpoints of services, with failover.

        aiohttp.ClientSession(connector=AiohttpConnector(resolver))

    `https://web._http._tcp.example.com/path` then goes to an endpoint of that service. The
    next one is tried where no connection could be made, TLS included; each is reported.
    Hosts without a label that begins with `_` are connected to as always.

    Args:
        resolver: Picks endpoints and hears how connecting went.
        attempts: How many endpoints are tried, at least 1; one that refuses the connection
            does not count.
        connect_timeout: Seconds at most until the next endpoint is tried.
        others: Resolves names of hosts; by default as aiohttp does.
        monotonic: The clock, in seconds.
        options: Those of `aiohttp.TCPConnector`.

    Raises:
        UsageError: Less than one attempt.
    """

    def __init__(
        self,
        resolver: AsyncChooser,
        *,
        attempts: int = ATTEMPTS,
        connect_timeout: float = 3.0,
        others: AbstractResolver | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        **options: Any,
    ) -> None:
        if attempts < 1:
            raise UsageError(f"attempts {attempts}: nobody would be called; allow 1 or more")
        self._chooser = resolver
        self._attempts = attempts
        self._monotonic = monotonic
        self._targets = _Targets(others or aiohttp.DefaultResolver())
        self._hurries = lru_cache(partial(_hurried, connect_timeout))
        super().__init__(resolver=self._targets, use_dns_cache=False, **options)

    async def connect(
        self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout
    ) -> Any:
        """Connect a request; aiohttp calls this.

        Raises:
            InvalidURL: The URL's host is no name that can be looked up.
            ClientConnectorError: There is no such service, or no endpoint could be connected
                to. What the resolver said is its cause, or what the last try met.
        """
        if not _is_service(req.url.raw_host or ""):
            return await super().connect(req, traces, timeout)
        asked, own_host = req.url, _has_own_host(req)
        walk = self._walk(req, asked)
        async for attempt in walk:
            with attempt as endpoint:
                req.url = self._targets.url_of(endpoint, asked)
                if not own_host:
                    req.headers["Host"] = f"{host_name(endpoint.target)}:{endpoint.port}"
                return await super().connect(req, traces, self._hurries(timeout))
        raise _failed(walk, req)

    def _walk(self, req: aiohttp.ClientRequest, asked: URL) -> Walk:
        """The endpoints for a request."""

        def translate(error: DnssdError) -> Exception:
            if isinstance(error, UsageError):
                return aiohttp.InvalidURL(asked, str(error))
            return aiohttp.ClientConnectorError(req.connection_key, OSError(0, str(error)))

        return Walk(
            self._chooser,
            unquote(asked.raw_host or ""),
            judge=_verdict,
            translate=translate,
            attempts=self._attempts,
            monotonic=self._monotonic,
        )


class _Targets(AbstractResolver):
    """Resolves the targets of endpoints to the addresses that came with them."""

    def __init__(self, others: AbstractResolver) -> None:
        self._others = others
        self._known: dict[_Host, tuple[str, tuple[str, ...]]] = {}  # the latest last

    def url_of(self, endpoint: Endpoint, url: URL) -> URL:
        """A URL with an endpoint as its host.

        Connections are kept by host. When the addresses change, its name gets a last dot, or
        loses it: so those to the former ones are not used any more.
        """
        target, addresses = host_name(endpoint.target), endpoint.addresses
        name, former = self._known.pop((target, endpoint.port), (target, addresses))
        if addresses != former:
            name = f"{target}." if name == target else target
        self._known[target, endpoint.port] = name, addresses
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        return _placed(url, name, endpoint.port)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a target, or of any other host."""
        known = self._known.get((host.removesuffix("."), port))
        if known is None:
            return await self._others.resolve(host, port, family)
        found = [_result(host, address, port) for address in known[1]]
        if not found:
            raise OSError(0, "no address is known")
        return [one for one in found if family in (socket.AF_UNSPEC, one["family"])]

    async def close(self) -> None:
        """Let go of the other resolver."""
        await self._others.close()


@lru_cache
def _placed(url: URL, host: str, port: int) -> URL:
    return url.with_host(host).with_port(port)


def _hurried(seconds: float, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientTimeout:
    """A time-out that leaves time for another endpoint."""
    return aiohttp.ClientTimeout(
        total=timeout.total,
        connect=timeout.connect,
        sock_read=timeout.sock_read,
        sock_connect=min(seconds, timeout.sock_connect or float("inf")),
        ceil_threshold=timeout.ceil_threshold,
    )


@lru_cache
def _is_service(host: str) -> bool:
    """Whether a host of a URL is the name of a service: some label of it begins with `_`."""
    return any(label.startswith("_") for label in unquote(host).split("."))


def _has_own_host(req: aiohttp.ClientRequest) -> bool:
    """Whether the caller has given a Host header."""
    url = req.url
    return req.headers.get("Host") not in (url.host, url.raw_host, f"{url.raw_host}:{url.port}")


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )


def _verdict(error: Exception) -> Verdict | None:
    """What an exception says about an endpoint: nothing was sent."""
    if isinstance(error, asyncio.TimeoutError):
        return Verdict("did not connect in time")
    if not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientSSLError):
        return None
    met = root_of(error)
    return Verdict(f"did not connect ({why(met)})", refused=isinstance(met, ConnectionRefusedError))


def _failed(walk: Walk, req: aiohttp.ClientRequest) -> Exception:
    """The error of a request that nobody has taken."""
    key, met = req.connection_key, walk.error
    error: Exception
    if isinstance(met, aiohttp.ClientConnectorCertificateError):
        error = aiohttp.ClientConnectorCertificateError(key, ValueError(walk.told))
    elif isinstance(met, aiohttp.ClientConnectorError):
        error = type(met)(key, OSError(0, walk.told))
    else:
        error = aiohttp.ConnectionTimeoutError(walk.told)
    error.__cause__ = met
    return error
