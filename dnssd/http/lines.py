"""Connections to one endpoint, as requests and urllib3 want them."""

import socket
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest, Response
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, SSLError
from urllib3.util.ssl_match_hostname import CertificateError

from dnssd.errors import DeadlineExceeded, Unavailable
from dnssd.http.urls import is_secure, stay_on_service
from dnssd.resolver.connecting import connect, host_name
from dnssd.resolver.snapshot import Endpoint

TLS_SETTINGS = 8  # kinds of `verify` and `cert` that have connections of their own


class Line(HTTPAdapter):
    """The connections to one endpoint: whatever host a URL names, they lead there."""

    def __init__(
        self, target: str, port: int, addresses: tuple[str, ...], *, maxsize: int, block: bool
    ) -> None:
        super().__init__(pool_connections=1, pool_maxsize=maxsize, pool_block=block)
        endpoint = Endpoint(target, port, 0, 0, addresses)

        @lru_cache(TLS_SETTINGS)
        def pool_of(tls: bool, verify: object, cert: object) -> HTTPConnectionPool:
            # Settings are part of the key: requests puts them on the pool itself.
            kind = _TlsPool if tls else _Pool
            return kind(host_name(target), port, maxsize=maxsize, block=block, endpoint=endpoint)

        self._endpoint = endpoint
        self._pool_of = pool_of

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> HTTPConnectionPool:
        """The connections to use for a request."""
        if is_secure(request):
            return self._pool_of(True, verify, cert)
        return self._pool_of(False, None, None)

    def request_url(self, request: PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        """What to ask the server for: never the whole URL, which only proxies want."""
        return request.path_url

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        """A response whose Location, if it has one, leads on.

        Here and not in the adapter: digest authentication sends its second request straight to
        the line that the first one's answer came by.
        """
        response = super().build_response(req, resp)
        if response.is_redirect:
            stay_on_service(response, req, self._endpoint)
        return response


class Handshake(SSLError):
    """TLS was not agreed upon; nothing of the request was sent."""


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
            sock = connect([self._endpoint], self.timeout, report=_unreported)
        except DeadlineExceeded as error:
            raise ConnectTimeoutError(self, str(error)) from error
        except Unavailable as error:
            raise NewConnectionError(self, str(error)) from error
        try:
            for option in self.socket_options or ():
                sock.setsockopt(*option)
        except OSError:  # some systems refuse where the other end has hung up
            sock.close()
            raise
        return sock


class _TlsConnection(_Connection, HTTPSConnection):
    """The same with TLS."""

    def connect(self) -> None:
        """Connect, if the target can be the name of a certificate."""
        try:
            self.host.encode("idna")
        except UnicodeError as error:
            # `ssl` would say so too, and leave the socket open that it has taken over.
            raise Handshake(error) from error
        super().connect()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection

    def urlopen(self, *args: Any, **options: Any) -> Any:
        """Send a request; an answer shorter than it says is an error, in urllib3 1 too."""
        return super().urlopen(*args, **{"enforce_content_length": True, **options})


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _unreported(endpoint: Endpoint, ok: bool, seconds: float | None = None) -> None:
    """The adapter reports the request as a whole."""
