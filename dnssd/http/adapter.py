"""The adapter of requests: services instead of hosts."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from os import PathLike, environ, fspath, getpid
from types import MappingProxyType
from typing import Any
from urllib.request import getproxies

from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidProxyURL, InvalidURL
from requests.models import PreparedRequest, Response
from requests.utils import select_proxy
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import Retry

from dnssd.errors import DnssdError, UsageError
from dnssd.http.calls import Call
from dnssd.http.cookies import add_secure_cookies, is_secure
from dnssd.http.pools import EndpointPool, check_options, close_others, pool_to
from dnssd.http.urls import on_service, service_name
from dnssd.http.walk import ATTEMPTS, Chooser
from dnssd.resolver.connecting import host_name
from dnssd.resolver.snapshot import Endpoint

LET_GO = 10.0  # seconds between looks whether endpoints have left a service

_Patience = float | tuple[float, float] | tuple[float, None] | None
_Cert = bytes | str | tuple[bytes | str, bytes | str] | None

_endpoint: ContextVar[Endpoint] = ContextVar("endpoint")  # where a request is being sent


class Adapter(HTTPAdapter):
    """Sends the requests of a session to the endpoints of services, with failover.

    The next endpoint is tried where no connection could be made; and where an answer did not
    come in time or broke off, if the method is idempotent and the body can be sent again.
    Each try is reported to the resolver. Any answer is a success, an error of the server's
    too. An endpoint keeps its connections until its addresses change, or it leaves DNS.

    A redirect that is relative, or that names the answering server itself, stays on the
    service: its Location then reads `http+dnssd://…`. Cookies are the service's: any
    endpoint of it gets them.

    What subclasses do with `HTTPAdapter` they can do here: what they give pools in
    `init_poolmanager`, a pool manager of their own, `build_connection_pool_key_attributes`,
    `cert_verify` and the like hold for every endpoint. What cannot hold is refused: pools
    that connect by themselves, and proxies, but for those of the environment, which are
    meant for other hosts and not used.

    Args:
        resolver: Picks endpoints and hears how calls went.
        attempts: How many endpoints one request may be sent to, at least 1. Each has the
            whole time-out. One that refuses the connection does not count: that costs no time,
            and of a service whose hosts are all being replaced the last one may be the only
            one alive.
        connect_timeout: Seconds to wait for a connection where the call gives no time-out.
        max_retries: What to do when `attempts` endpoints have failed, or an answer has a
            status that is to be tried again, as `urllib3.util.Retry`: how often to go on with
            other endpoints, and after which pause. Its `allowed_methods` are the idempotent
            ones, and `read=False` and `connect=False` forbid `attempts` too what they forbid.
        pool_connections: How many endpoints to keep connections of.
        pool_maxsize: How many connections to keep of each.
        pool_block: Whether to wait for one of these rather than to open another.
        monotonic: The clock, in seconds.
        pool_options: Others of urllib3's pools, for every endpoint's: `ssl_context`,
            `assert_fingerprint`, `socket_options`, `source_address`, …

    Raises:
        UsageError: Less than one attempt, or no such option.
    """

    __attrs__ = [  # noqa: RUF012 (what requests pickles of an adapter, as it declares it)
        *HTTPAdapter.__attrs__,
        "_resolver",
        "_attempts",
        "_connect_timeout",
        "_monotonic",
        "_pool_options",
    ]

    _process = -1  # whose connections are in the pools; not known of a pickled adapter
    _looked_at: Mapping[str, float] = MappingProxyType({})  # by service; nor is this

    def __init__(
        self,
        resolver: Chooser,
        *,
        attempts: int = ATTEMPTS,
        connect_timeout: float | None = 3.0,
        max_retries: Retry | int = 0,
        pool_connections: int = 100,
        pool_maxsize: int = 10,
        pool_block: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        **pool_options: Any,
    ) -> None:
        if attempts < 1:
            raise UsageError(f"attempts {attempts}: no request would be sent; allow 1 or more")
        check_options(pool_options)
        self._resolver = resolver
        self._attempts = attempts
        self._connect_timeout = connect_timeout
        self._monotonic = monotonic
        self._process = getpid()
        self._pool_options = pool_options
        # As Retry: of 0 requests makes one that forbids to repeat what was sent.
        retries = max_retries if isinstance(max_retries, Retry) else Retry(int(max_retries))
        super().__init__(pool_connections, pool_maxsize, retries, pool_block)

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: _Patience = None,
        verify: bool | str | PathLike[str] = True,
        cert: _Cert = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request to the service that its URL names; requests calls this.

        Raises:
            InvalidURL: The URL names no service.
            InvalidProxyURL: A proxy was asked for.
            ConnectionError: There is no such service, or no endpoint has answered (`Timeout`:
                in time). What the resolver said is its cause, or what the last try met.
            RetryError: All tries were answered by statuses that are to be tried again.
        """
        try:
            name = service_name(request.url or "")
        except UsageError as error:
            raise InvalidURL(str(error), request=request) from error
        _refuse_proxy(request, proxies)
        request.headers.pop("Proxy-Authorization", None)  # requests adds it on redirects
        add_secure_cookies(request)
        if timeout is None and self._connect_timeout is not None:
            timeout = self._connect_timeout, None  # a host that is gone does not even refuse
        if isinstance(verify, PathLike):
            verify = fspath(verify)  # requests would keep no connections of its own for it
        options = {"stream": stream, "timeout": timeout, "verify": verify, "cert": cert}
        send = partial(self._try, request, options)
        rules = self._attempts, self.max_retries, send, self._monotonic
        response = Call(request, name, self._resolver, *rules).answer()
        self._let_go(name)
        return response

    def _let_go(self, name: str) -> None:
        """Now and then, close connections to hosts that are not in DNS any more."""
        now = self._monotonic()
        looked_at = self._looked_at.get(name)
        if looked_at is None or now >= looked_at + LET_GO:
            self._looked_at = {**self._looked_at, name: now}  # other threads may read it
            if looked_at is not None:
                with suppress(DnssdError):
                    close_others(self.poolmanager, name, self._resolver.order(name))

    def _try(
        self, request: PreparedRequest, options: Mapping[str, Any], endpoint: Endpoint
    ) -> Response:
        """One try.

        What is not streamed is read here, so that an answer that breaks off can be had from
        another endpoint.
        """
        response = self._send_to(endpoint, request, **options)
        if not (options["stream"] or response.is_redirect):
            response.content  # noqa: B018 (reads it)
        return response

    def _send_to(self, endpoint: Endpoint, request: PreparedRequest, **options: Any) -> Response:
        """Send a request to this endpoint, once."""
        token = _endpoint.set(endpoint)
        try:
            return super().send(request, **{**options, "proxies": None})
        finally:
            _endpoint.reset(token)

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> HTTPConnectionPool:
        """The connections to use for a request; requests calls this."""
        if self._process != getpid():  # two processes would mix up their answers on a connection
            self._process = getpid()
            self.poolmanager.clear()
        said = True if _is_default(verify) else verify or False
        asked, _ = super().build_connection_pool_key_attributes(request, said, cert)
        host, options = self.build_connection_pool_key_attributes(request, said, cert)
        if host != asked:
            raise UsageError(
                f"pool key {host}: DNS gives the host and port of an endpoint; "
                "leave out what changes them"
            )
        kept = {
            name: value
            for name, value in self._pool_options.items()
            if name not in self.poolmanager.connection_pool_kw
        }
        name = service_name(request.url or "")
        tls = is_secure(request)
        return pool_to(_endpoint.get(), name, self.poolmanager, tls, {**kept, **options})

    def cert_verify(self, conn: Any, url: str, verify: bool | str | None, cert: Any) -> None:
        """Set whom a connection trusts; requests calls this.

        Its own list of authorities is for who has not said whom to trust.
        """
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if _is_default(verify) and isinstance(conn, EndpointPool):
            conn.trust_as_told()

    def request_url(self, request: PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """What to ask the server for: never the whole URL, which only proxies want."""
        return request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """A response whose Location, if it has one, leads on; requests calls this."""
        response = super().build_response(req, resp)
        endpoint = _endpoint.get()
        response.connection = _Connection(self, endpoint)  # type: ignore[assignment] # it is sent to
        if response.is_redirect:
            host = req.headers.get("Host") or f"{host_name(endpoint.target)}:{endpoint.port}"
            location = response.headers["location"]
            response.headers["location"] = on_service(location, req.url or "", host)
        return response


@dataclass(frozen=True, slots=True)
class _Connection:
    """Where an answer came from: digest authentication sends its second request there."""

    adapter: Adapter
    endpoint: Endpoint

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """Send a request to the same endpoint."""
        return self.adapter._send_to(self.endpoint, request, **options)


def _is_default(verify: bool | str | None) -> bool:
    """Whether a request has said nothing of its own about whom to trust."""
    bundles = environ.get("REQUESTS_CA_BUNDLE"), environ.get("CURL_CA_BUNDLE")
    return verify is True or (bool(verify) and verify in bundles)


def _refuse_proxy(request: PreparedRequest, proxies: Mapping[str, str] | None) -> None:
    """Proxies are not used; whoever relies on one is told so."""
    proxy = select_proxy(request.url or "", {**(proxies or {})})
    if proxy and proxy != getproxies().get("all"):  # the environment's is for other hosts
        raise InvalidProxyURL(
            "proxies: requests to services go straight to their endpoints; "
            "leave out the proxy for them, or use another adapter",
            request=request,
        )
