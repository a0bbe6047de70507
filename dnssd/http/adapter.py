"""The adapter: which endpoint a request goes to, and where to when that fails."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

from requests.adapters import HTTPAdapter
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    ConnectTimeout,
    InvalidURL,
    RequestException,
    Timeout,
    UnrewindableBodyError,
)
from requests.models import PreparedRequest, Response
from requests.utils import rewind_body
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError

from dnssd.errors import DnssdError, UsageError
from dnssd.http.lines import Handshake, Line
from dnssd.http.urls import add_secure_cookies, is_secure, service_name
from dnssd.names import shown
from dnssd.resolver.connecting import host_name
from dnssd.resolver.pacing import SHOWN, why
from dnssd.resolver.snapshot import Endpoint

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})  # RFC 9110 9.2.2

_FAILURES = (ConnectionError, Timeout, ChunkedEncodingError)  # the endpoint's doing
_Patience = float | tuple[float, float] | tuple[float, None] | None
_Cert = bytes | str | tuple[bytes | str, bytes | str] | None


class Chooser(Protocol):
    """What the adapter asks of a resolver; `dnssd.Resolver` is one."""

    def pick(self, name: str) -> Endpoint:
        """Whom to ask first."""

    def order(self, name: str) -> tuple[Endpoint, ...]:
        """Everybody, in the order in which to try them."""

    def report(
        self,
        endpoint: Endpoint,
        ok: bool | None,
        seconds: float | None = None,
        *,
        picked: bool = True,
    ) -> None:
        """How a call to an endpoint went (see `Resolver.report`)."""


class Adapter(HTTPAdapter):
    """Sends the requests of a session to the endpoints of services, with failover.

    The next endpoint is tried where no connection could be made; and where an answer did not
    come in time or broke off, if the method is idempotent and the body can be sent again.
    Each try is reported to the resolver. Any answer is a success, an error of the server's
    too. An endpoint keeps its connections until its addresses change.

    A redirect that is relative, or that names the answering server itself, stays on the
    service: its Location then reads `http+dnssd://…`. Cookies are the service's: any
    endpoint of it gets them.

    Args:
        resolver: Picks endpoints and hears how calls went.
        attempts: How many endpoints one request may be sent to, at least 1. Each has the
            whole time-out. One that refuses the connection does not count: that costs no time,
            and of a service whose hosts are all being replaced the last one may be the only
            one alive.
        connect_timeout: Seconds to wait for a connection where the call gives no time-out.
        pool_connections: How many endpoints to keep connections of.
        pool_maxsize: How many connections to keep of each.
        pool_block: Whether to wait for one of these rather than to open another.
        monotonic: The clock, in seconds.

    Raises:
        UsageError: Less than one attempt.
    """

    __attrs__ = [  # noqa: RUF012 (what requests pickles of an adapter, as it declares it)
        *HTTPAdapter.__attrs__,
        "_resolver",
        "_attempts",
        "_connect_timeout",
        "_monotonic",
    ]

    def __init__(
        self,
        resolver: Chooser,
        *,
        attempts: int = 3,
        connect_timeout: float | None = 3.0,
        pool_connections: int = 100,
        pool_maxsize: int = 10,
        pool_block: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if attempts < 1:
            raise UsageError(f"attempts {attempts}: no request would be sent; allow 1 or more")
        self._resolver = resolver
        self._attempts = attempts
        self._connect_timeout = connect_timeout
        self._monotonic = monotonic
        super().__init__(pool_connections, pool_maxsize, pool_block=pool_block)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """Keep connections by endpoint; requests calls this, also after unpickling."""
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self._lines = lru_cache(connections)(partial(Line, maxsize=maxsize, block=block))

    def close(self) -> None:
        """Let go of all connections; those in use are closed after their answer."""
        self._lines.cache_clear()
        super().close()

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: _Patience = None,
        verify: bool | str = True,
        cert: _Cert = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request to the service that its URL names; requests calls this.

        Raises:
            InvalidURL: The URL names no service.
            ConnectionError: There is no such service, or no endpoint has answered (`Timeout`:
                in time). What the resolver said is its cause, or what the last try met.
        """
        name = service_name(request)
        candidates = self._candidates(name)
        send = partial(
            self._try, request, stream, timeout=self._patience(timeout), verify=verify, cert=cert
        )
        request.headers.pop("Proxy-Authorization", None)  # requests adds it on redirects
        if is_secure(request):
            add_secure_cookies(request)
        try:
            endpoint = next(candidates)
        except UsageError as error:
            raise InvalidURL(str(error), request=request) from error
        except DnssdError as error:
            raise ConnectionError(str(error), request=request) from error
        failed: list[str] = []
        left = self._attempts
        while True:
            try:
                return send(endpoint, picked=not failed)
            except _FAILURES as error:
                failed.append(f"{host_name(endpoint.target)}:{endpoint.port} {_why(error)}")
                left -= not _was_refused(error)
                other = next(candidates, None) if left and _may_repeat(request, error) else None
                if other is None:
                    raise type(error)(_all_failed(name, failed), request=request) from error
                endpoint = other

    def _candidates(self, name: str) -> Iterator[Endpoint]:
        """The endpoint to ask, and those to turn to then."""
        first = self._resolver.pick(name)
        yield first
        tried = {(first.target, first.port)}
        try:
            others = self._resolver.order(name)
        except DnssdError:
            return  # it has gone meanwhile; what the first try met says more
        for endpoint in others:
            if (endpoint.target, endpoint.port) not in tried:
                tried.add((endpoint.target, endpoint.port))
                yield endpoint

    def _try(
        self,
        request: PreparedRequest,
        stream: bool,
        endpoint: Endpoint,
        picked: bool,
        **options: Any,
    ) -> Response:
        """One try, reported once however it ends.

        What is not streamed is read here, so that an answer that breaks off can be had from
        another endpoint.
        """
        ok: bool | None = None  # of what the caller's own code raises nobody can tell
        started = self._monotonic()
        try:
            line = self._lines(endpoint.target, endpoint.port, endpoint.addresses)
            response = line.send(request, stream, **options)
            if not (stream or response.is_redirect):
                response.content  # noqa: B018 (reads it)
            ok = True
            return response
        except _FAILURES:
            ok = False
            raise
        finally:
            self._resolver.report(endpoint, ok, self._monotonic() - started, picked=picked)

    def _patience(self, timeout: _Patience) -> _Patience:
        """`timeout` with a limit to connecting: a host that is gone does not even refuse."""
        if timeout is None:
            return None if self._connect_timeout is None else (self._connect_timeout, None)
        return timeout


def _may_repeat(request: PreparedRequest, error: RequestException) -> bool:
    """Whether a request that has failed may be sent to another endpoint."""
    if _never_sent(error):
        return True
    return request.method in IDEMPOTENT and _is_rewound(request)


def _never_sent(error: RequestException) -> bool:
    return isinstance(_reason(error), ConnectTimeoutError | Handshake)


def _was_refused(error: RequestException) -> bool:
    return _never_sent(error) and isinstance(_root(error), ConnectionRefusedError)


def _root(error: RequestException) -> object:
    """What the system met."""
    root = _reason(error)
    while cause := getattr(root, "__cause__", None):
        root = cause
    return root


def _reason(error: RequestException) -> object:
    """What urllib3 met."""
    met = error.args[0] if error.args else None
    return met.reason if isinstance(met, MaxRetryError) else met


def _is_rewound(request: PreparedRequest) -> bool:
    """Whether the body can be sent again; a file is set back to where it began."""
    if request.body is None or isinstance(request.body, bytes | str):
        return True
    if not isinstance(getattr(request, "_body_position", None), int):
        return False
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True


def _why(error: RequestException) -> str:
    """What has failed, in a few words."""
    if isinstance(error, ConnectTimeout):
        return "did not connect in time"
    if isinstance(error, Timeout):
        return "did not answer in time"
    if not _never_sent(error):
        return "broke off"
    return f"did not connect ({why(_root(error))})"


def _all_failed(name: str, failed: Sequence[str]) -> str:
    """The error of a request: who failed last, and how."""
    told = ", ".join(failed[-SHOWN:])
    if len(failed) > SHOWN:
        told = f"{len(failed) - SHOWN} endpoints and then {told}"
    return f"{shown(name)}: {told}; check that the service runs"
