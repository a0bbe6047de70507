"""The transports of httpx: services instead of hosts.

Connections are made and kept by httpcore, as for httpx's own transports. To it each endpoint is
a host of its own: its addresses are a part of what stands there as the name of the host, so that
new addresses mean new connections. TLS gets the target's name.
"""

import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict, Unpack

import httpcore
import httpx

from dnssd.errors import DnssdError, UsageError
from dnssd.http.backends import AsyncBackend, Backend, key_of, met_by
from dnssd.http.urls import SCHEMES, on_service, service_name
from dnssd.http.walk import ATTEMPTS, IDEMPOTENT, AsyncChooser, Chooser, Verdict, Walk
from dnssd.resolver.connecting import host_name
from dnssd.resolver.race import why
from dnssd.resolver.snapshot import Endpoint

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100)

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_BROKEN = (httpx.NetworkError, httpx.ReadTimeout, httpx.WriteTimeout, httpx.RemoteProtocolError)


class TransportOptions(TypedDict, total=False):
    """What both transports may be given.

    Attributes:
        attempts: How many endpoints one request may be sent to, at least 1; one that refuses
            the connection does not count.
        connect_timeout: Seconds to wait for a connection where the client gives no time-out.
        verify: Whom to trust, as for `httpx.HTTPTransport`, like those below.
        cert: A client certificate.
        trust_env: Whether the environment says whom to trust.
        http1: Speak HTTP/1.1.
        http2: Speak HTTP/2.
        limits: Of connections, kept and at once.
        local_address: Where connections come from.
        socket_options: Set on each socket.
        monotonic: The clock, in seconds.
    """

    attempts: int
    connect_timeout: float | None
    verify: ssl.SSLContext | str | bool
    cert: Any
    trust_env: bool
    http1: bool
    http2: bool
    limits: httpx.Limits
    local_address: str | None
    socket_options: Iterable[Any] | None
    monotonic: Callable[[], float]


class _Transport:
    """What both transports have in common."""

    def __init__(self, resolver: Any, options: "TransportOptions") -> None:
        self._attempts = options.get("attempts", ATTEMPTS)
        if self._attempts < 1:
            raise UsageError(
                f"attempts {self._attempts}: no request would be sent; allow 1 or more"
            )
        self._resolver = resolver
        self._connect_timeout = options.get("connect_timeout", 3.0)
        self._monotonic = options.get("monotonic", time.monotonic)
        limits = options.get("limits", LIMITS)
        self._pool_options: dict[str, Any] = {
            "ssl_context": httpx.create_ssl_context(
                verify=options.get("verify", True),
                cert=options.get("cert"),
                trust_env=options.get("trust_env", True),
            ),
            "max_connections": limits.max_connections,
            "max_keepalive_connections": limits.max_keepalive_connections,
            "keepalive_expiry": limits.keepalive_expiry,
            "http1": options.get("http1", True),
            "http2": options.get("http2", False),
            "local_address": options.get("local_address"),
            "socket_options": options.get("socket_options"),
        }

    def _walk(self, request: httpx.Request) -> Walk:
        """The endpoints for a request."""
        url = str(request.url)
        if request.url.scheme not in SCHEMES:
            raise httpx.UnsupportedProtocol(
                f"{request.url.scheme}: not http+dnssd or https+dnssd; mount it for these alone",
                request=request,
            )
        try:
            name = service_name(url)
        except UsageError as error:
            raise httpx.UnsupportedProtocol(str(error), request=request) from error

        def judge(error: Exception) -> Verdict | None:
            return _verdict(error, request)

        def translate(error: DnssdError) -> Exception:
            usage = isinstance(error, UsageError)
            kind = httpx.UnsupportedProtocol if usage else httpx.ConnectError
            return kind(str(error), request=request)

        return Walk(
            self._resolver,
            name,
            judge=judge,
            translate=translate,
            attempts=self._attempts,
            monotonic=self._monotonic,
        )

    def _to(self, endpoint: Endpoint, request: httpx.Request) -> httpcore.Request:
        """The request as httpcore wants it."""
        patience = dict(request.extensions.get("timeout") or {})
        if patience.get("connect") is None:
            patience["connect"] = self._connect_timeout  # a host that is gone does not even refuse
        extensions = {"sni_hostname": host_name(endpoint.target), **request.extensions}
        own = request.headers.get("host") != request.url.netloc.decode("ascii")
        host = request.headers["host"] if own else _host(endpoint)
        return httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=SCHEMES[request.url.scheme],
                host=key_of(endpoint),
                port=endpoint.port,
                target=request.url.raw_path,
            ),
            headers=[
                (name, host.encode() if name.lower() == b"host" else value)
                for name, value in request.headers.raw
            ],
            content=request.stream,
            extensions={**extensions, "timeout": patience},
        )

    def _answered(
        self, request: httpx.Request, sent: httpcore.Request, response: httpcore.Response
    ) -> dict[str, Any]:
        """What an answer is made of: its Location, if it has one, leads on."""
        headers: Any = response.headers
        if any(name.lower() == b"location" for name, _ in headers):
            headers = httpx.Headers(headers)
            host = next(value.decode() for name, value in sent.headers if name.lower() == b"host")
            headers["location"] = on_service(headers["location"], str(request.url), host)
        return {
            "status_code": response.status,
            "headers": headers,
            "extensions": response.extensions,
        }


class Transport(_Transport, httpx.BaseTransport):
    """Sends the requests of a client of httpx to the endpoints of services, with failover.

        httpx.Client(mounts={"http+dnssd://": transport, "https+dnssd://": transport})

    The next endpoint is tried as `Adapter` does it; an answer is handed over at its headers.

    Args:
        resolver: Picks endpoints and hears how calls went.
        options: Others.

    Raises:
        UsageError: Less than one attempt.
    """

    def __init__(self, resolver: Chooser, **options: Unpack[TransportOptions]) -> None:
        super().__init__(resolver, options)
        self._pool = httpcore.ConnectionPool(network_backend=Backend(), **self._pool_options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the service that its URL names; httpx calls this.

        Raises:
            UnsupportedProtocol: The URL names no service.
            TransportError: There is no such service, or no endpoint has answered. What the
                resolver said is its cause, or what the last try met.
        """
        walk = self._walk(request)
        for attempt in walk:
            with attempt as endpoint:
                sent = self._to(endpoint, request)
                with _mapped():
                    response = self._pool.handle_request(sent)
                return httpx.Response(
                    stream=_Stream(response), **self._answered(request, sent, response)
                )
        raise _failed(walk, request)

    def close(self) -> None:
        """Let go of all connections."""
        self._pool.close()


class AsyncTransport(_Transport, httpx.AsyncBaseTransport):
    """`Transport` for `httpx.AsyncClient` on asyncio, with a `dnssd.AsyncResolver`."""

    def __init__(self, resolver: AsyncChooser, **options: Unpack[TransportOptions]) -> None:
        super().__init__(resolver, options)
        self._pool = httpcore.AsyncConnectionPool(
            network_backend=AsyncBackend(), **self._pool_options
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the service that its URL names; httpx calls this.

        Raises:
            UnsupportedProtocol, TransportError: As `Transport.handle_request` does.
        """
        walk = self._walk(request)
        async for attempt in walk:
            with attempt as endpoint:
                sent = self._to(endpoint, request)
                with _mapped():
                    response = await self._pool.handle_async_request(sent)
                return httpx.Response(
                    stream=_AsyncStream(response), **self._answered(request, sent, response)
                )
        raise _failed(walk, request)

    async def aclose(self) -> None:
        """Let go of all connections."""
        await self._pool.aclose()


class _Stream(httpx.SyncByteStream):
    """The body of an answer."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _mapped():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _mapped():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def _mapped() -> Iterator[None]:
    """What httpcore raises, as httpx's exceptions, which have the same names."""
    try:
        yield
    except Exception as error:
        kind = getattr(httpx, type(error).__name__, None)
        if type(error).__module__.partition(".")[0] != "httpcore" or kind is None:
            raise
        raise kind(str(error)) from error


def _verdict(error: Exception, request: httpx.Request) -> Verdict | None:
    """What an exception says about an endpoint."""
    if isinstance(error, _NEVER_SENT):
        met = met_by(error.__cause__)
        told = f"did not connect ({why(met)})"
        if isinstance(error, httpx.ConnectTimeout):
            told = "did not connect in time"
        return Verdict(told, refused=isinstance(met, ConnectionRefusedError))
    if not isinstance(error, _BROKEN):
        return None
    told = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "broke off"
    can_repeat = request.method in IDEMPOTENT and isinstance(request.stream, httpx.ByteStream)
    return Verdict(told, repeat=can_repeat)


def _failed(walk: Walk, request: httpx.Request) -> Exception:
    """The error of a request that nobody has answered."""
    assert isinstance(walk.error, httpx.TransportError)  # noqa: S101 (as `_verdict` has it)
    error = type(walk.error)(walk.told, request=request)
    error.__cause__ = walk.error
    return error


def _host(endpoint: Endpoint) -> str:
    return f"{host_name(endpoint.target)}:{endpoint.port}"
