"""Connection pools that lead to one endpoint, whatever host a URL names.

They are made by the pool manager that requests' adapter has, or one of its subclasses has put
in its place: with everything that this was given, and of the classes that it would use. Only
where a connection leads, and what its failures say, is decided here.
"""

import socket
import ssl
from collections.abc import Collection, Hashable, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, SSLError
from urllib3.poolmanager import SSL_KEYWORDS, PoolKey, PoolManager
from urllib3.util import Retry
from urllib3.util.ssl_match_hostname import CertificateError

from dnssd.errors import DeadlineExceeded, Unavailable, UsageError
from dnssd.resolver.connecting import connect, host_name
from dnssd.resolver.snapshot import Endpoint

OPTIONS = {field.removeprefix("key_") for field in PoolKey._fields} - {
    *("scheme", "host", "port", "maxsize", "block"),  # these have places of their own
}
_PROXIES = {"_proxy", "_proxy_config", "_proxy_headers", "_socks_options"}
_OF_REQUESTS = {  # what requests replaces, whatever pools were given
    "cert_reqs": "verify= to requests",
    "headers": "headers= to requests",
    "retries": "max_retries= to the adapter",
    "timeout": "timeout= to requests",
}
_TRUST = ("ca_certs", "ca_cert_dir", "ca_cert_data")
_ONCE = Retry(0, read=False)  # trying again is the adapter's to decide


class Handshake(SSLError):
    """TLS was not agreed upon; nothing of the request was sent."""


def check_options(names: Collection[str]) -> None:
    """Refuse options of pools that would have no effect.

    Raises:
        UsageError: Some name is not an option of urllib3's pools, or not to be given there.
    """
    for name in names:
        if name in _PROXIES:
            raise UsageError(
                f"{name}: a proxy, and requests to services go straight to their endpoints; "
                "use another adapter for what needs the proxy"
            )
        if name in _OF_REQUESTS:
            raise UsageError(
                f"{name}: each request brings its own, and a pool's has no effect; "
                f"give {_OF_REQUESTS[name]}"
            )
        if name not in OPTIONS:
            raise UsageError(
                f"{name}: no option of the adapter or of urllib3's pools; leave it out"
            )


def pool_to(
    endpoint: Endpoint, service: str, manager: PoolManager, tls: bool, options: Mapping[str, Any]
) -> HTTPConnectionPool:
    """The pool of an endpoint, made by `manager` and kept there.

    Args:
        endpoint: Where its connections lead.
        service: Whose endpoint it is: each has connections of its own.
        manager: What it has been given holds for the pool.
        tls: Whether connections speak TLS.
        options: Of the pool, before those of the manager.

    Raises:
        UsageError: The manager has what cannot hold for a connection to an endpoint.
    """
    if manager.proxy:
        check_options(["_proxy"])
    if manager.headers:
        check_options(["headers"])
    given = manager.connection_pool_kw.keys() - {"maxsize", "block"}
    check_options(given | (options.keys() - {"cert_reqs"}))  # that is a request's own
    scheme = "https+dnssd" if tls else "http+dnssd"
    if scheme not in manager.pool_classes_by_scheme:
        _teach(manager)
    where = {"endpoint": _where(endpoint, service)}
    return manager.connection_from_host(
        host_name(endpoint.target), endpoint.port, scheme, {**options, **where}
    )


def close_others(manager: PoolManager, service: str, endpoints: Iterable[Endpoint]) -> None:
    """Close the connections to whoever is not among the endpoints of a service any more.

    A request that is under way on one of them ends as it would.
    """
    there = {_where(endpoint, service) for endpoint in endpoints}
    for key in manager.pools.keys():  # noqa: SIM118 (it cannot be iterated)
        _, where = key if len(key) == 2 else (None, None)
        if isinstance(where, Endpoint) and where.service == service and where not in there:
            pool = manager.pools.get(key)
            with suppress(KeyError):  # another thread was faster
                del manager.pools[key]
            if pool is not None:
                pool.close()


def _where(endpoint: Endpoint, service: str) -> Endpoint:
    """What tells its pools from others."""
    return Endpoint(endpoint.target, endpoint.port, 0, 0, endpoint.addresses, None, service)


def _teach(manager: PoolManager) -> None:
    """Make the schemes of services known to a manager."""
    keys: dict[str, Any] = manager.key_fn_by_scheme
    classes: dict[str, Any] = {**manager.pool_classes_by_scheme}
    for plain in "http", "https":
        keys[f"{plain}+dnssd"] = partial(_key, keys, plain)
        classes[f"{plain}+dnssd"] = partial(_new_pool, classes, plain)
    manager.pool_classes_by_scheme = classes


def _key(keys: Mapping[str, Any], plain: str, context: Mapping[str, Any]) -> Hashable:
    """What two requests must have in common to share a connection."""
    others = {name: value for name, value in context.items() if name != "endpoint"}
    return keys[plain]({**others, "scheme": plain}), context["endpoint"]


def _new_pool(
    classes: Mapping[str, Any], plain: str, host: str, port: int, **options: Any
) -> HTTPConnectionPool:
    if plain == "http":
        options = {name: value for name, value in options.items() if name not in SSL_KEYWORDS}
    theirs = classes[plain]
    return _leading(theirs, theirs.ConnectionCls)(host, port, **options)


@lru_cache
def _leading(pool: type[HTTPConnectionPool], connection: type[Any]) -> type[HTTPConnectionPool]:
    """A pool class whose connections lead to an endpoint, and otherwise do as they did."""
    if getattr(connection, "_new_conn", None) is not HTTPConnection._new_conn:
        raise UsageError(
            f"{connection.__qualname__}: connections that choose by themselves where they lead, "
            "and the adapter's lead to endpoints of services; use another adapter for these"
        )
    ours = _TlsConnection if issubclass(connection, HTTPSConnection) else _Connection
    made = type(connection.__name__, (ours, connection), {})
    return type(pool.__name__, (EndpointPool, pool), {"ConnectionCls": made})


class _Connection(HTTPConnection):
    """A connection to an endpoint's addresses that goes by its target's name."""

    def __init__(self, *args: Any, endpoint: Endpoint, **options: Any) -> None:
        super().__init__(*args, **options)
        self._endpoint = endpoint

    def connect(self) -> None:
        """Connect, TLS included; every failure says that nothing was sent."""
        try:
            super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except (ssl.SSLError, SSLError, CertificateError) as error:
            raise Handshake(error) from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error

    def _new_conn(self) -> socket.socket:
        try:
            return connect(
                [self._endpoint], self.timeout, report=_unreported, prepare=self._prepare
            )
        except DeadlineExceeded as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except Unavailable as error:
            raise NewConnectionError(self, str(error)) from error

    def _prepare(self, sock: socket.socket) -> None:
        """Do to a socket what urllib3 would, before it connects."""
        for option in self.socket_options or ():
            sock.setsockopt(*option)
        if self.source_address:
            sock.bind(self.source_address)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same with TLS."""

    def connect(self) -> None:
        """Connect, if the name can be that of a certificate."""
        try:
            (self.server_hostname or self.host).encode("idna")
        except UnicodeError as error:
            # `ssl` would say so too, and leave the socket open that it has taken over.
            raise Handshake(error) from error
        super().connect()


class EndpointPool(HTTPConnectionPool):
    """A pool of connections to an endpoint; remembers whom it was told to trust."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._trust = [options.get(name) for name in _TRUST]
        self._context = options.get("ssl_context")
        super().__init__(*args, **options)

    def trust_as_told(self) -> None:
        """Take back what a request without a word on it has added, if something was told."""
        if any(self._trust) or _has_authorities(self._context):
            self.ca_certs, self.ca_cert_dir, _ = self._trust

    def urlopen(self, *args: Any, **options: Any) -> Any:
        """Send a request, once.

        An answer shorter than it says is an error, in urllib3 1 too.
        """
        return super().urlopen(
            *args, **{"enforce_content_length": True, **options, "retries": _ONCE}
        )


def _has_authorities(context: ssl.SSLContext | None) -> bool:
    """Whether whoever made a context has said whom to trust."""
    try:
        return bool(context and context.cert_store_stats()["x509_ca"])
    except NotImplementedError:  # a context that asks the system
        return True


def _unreported(endpoint: Endpoint, ok: bool, seconds: float | None = None) -> None:
    """The adapter reports the request as a whole."""
