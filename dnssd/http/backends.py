"""Connections to endpoints, as httpcore wants them."""

import asyncio
import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

from dnssd.errors import DeadlineExceeded, Unavailable
from dnssd.http.walk import root_of
from dnssd.resolver.connecting import connect, host_name
from dnssd.resolver.race import Attempt, Race, attempts
from dnssd.resolver.snapshot import Endpoint
from dnssd.resolver.streams import first

_Patience = float | None
_SocketOptions = Iterable[Any] | None

_NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def key_of(endpoint: Endpoint) -> str:
    """What stands for an endpoint as the name of a host; `endpoint_of` reads it."""
    return f"{host_name(endpoint.target)}/{','.join(endpoint.addresses)}"


def endpoint_of(key: str, port: int) -> Endpoint:
    """The endpoint that a key and a port stand for."""
    target, _, addresses = key.partition("/")
    return Endpoint(target, port, 0, 0, tuple(filter(None, addresses.split(","))))


class Backend(httpcore.SyncBackend):
    """Makes connections to endpoints."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: _Patience = None,
        local_address: str | None = None,
        socket_options: _SocketOptions = None,
    ) -> httpcore.NetworkStream:
        """Race the addresses of the endpoint that `host` stands for."""

        def prepare(sock: socket.socket) -> None:
            for option in (_NODELAY, *(socket_options or ())):
                sock.setsockopt(*option)
            if local_address:
                sock.bind((local_address, 0))

        with _connecting():
            sock = connect([endpoint_of(host, port)], timeout, report=_unheard, prepare=prepare)
        return _SocketStream(sock)


class _SocketStream(httpcore.NetworkStream):
    """A socket as httpcore wants it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def read(self, max_bytes: int, timeout: _Patience = None) -> bytes:
        with _during(httpcore.ReadTimeout, httpcore.ReadError):
            self._sock.settimeout(timeout)
            return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: _Patience = None) -> None:
        if not buffer:
            return
        with _during(httpcore.WriteTimeout, httpcore.WriteError):
            self._sock.settimeout(timeout)
            self._sock.sendall(buffer)

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: _Patience = None,
    ) -> httpcore.NetworkStream:
        try:
            with _during(httpcore.ConnectTimeout, httpcore.ConnectError):
                (server_hostname or "").encode("idna")
                self._sock.settimeout(timeout)
                return _SocketStream(
                    ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
                )
        except BaseException:
            self.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        if info == "socket":
            return self._sock
        if info == "ssl_object" and isinstance(self._sock, ssl.SSLSocket):
            return self._sock
        if info == "is_readable":
            return _is_readable(self._sock)
        known = {"client_addr": self._sock.getsockname, "server_addr": self._sock.getpeername}
        return known[info]() if info in known else None


class AsyncBackend(httpcore.AsyncNetworkBackend):
    """The same on asyncio."""

    def __init__(self) -> None:
        self._plain: httpcore.AsyncNetworkBackend = httpcore.AnyIOBackend()
        self._closing: set[asyncio.Task[None]] = set()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: _Patience = None,
        local_address: str | None = None,
        socket_options: _SocketOptions = None,
    ) -> httpcore.AsyncNetworkStream:
        """Race the addresses of the endpoint that `host` stands for."""

        async def opened(attempt: Attempt) -> httpcore.AsyncNetworkStream:
            address = attempt.address
            try:
                return await self._plain.connect_tcp(
                    address, attempt.port, None, local_address, socket_options
                )
            except httpcore.ConnectError as error:
                met = root_of(error)
                raise met if isinstance(met, OSError) else OSError(str(error)) from error

        tried = attempts([endpoint_of(host, port)])
        now = asyncio.get_running_loop().time()
        with _connecting():
            return await first(Race(tried, now, timeout, _unheard), opened, self._drop)

    def _drop(self, stream: httpcore.AsyncNetworkStream) -> None:
        """Let go of a connection that came too late."""
        task = asyncio.get_running_loop().create_task(stream.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


@contextmanager
def _connecting() -> Iterator[None]:
    """What connecting raises, as httpcore's exceptions."""
    try:
        yield
    except DeadlineExceeded as error:
        raise httpcore.ConnectTimeout(error) from error
    except Unavailable as error:
        raise httpcore.ConnectError(error) from error


@contextmanager
def _during(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    """What a socket raises, as httpcore's exceptions."""
    try:
        yield
    except TimeoutError as error:
        raise late(error) from error
    except (OSError, UnicodeError, ValueError) as error:
        raise broken(error) from error


def met_by(error: BaseException | None) -> object:
    """What the system met, where one of httpcore's exceptions was raised.

    httpcore takes away their causes; each holds it as its argument as well.
    """
    inner = error.args[0] if error and error.args else None
    return root_of(inner if isinstance(inner, BaseException) else error)


def _is_readable(sock: socket.socket) -> bool:
    """Whether something has come unasked, such as the end of the connection."""
    if sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _unheard(endpoint: Endpoint, ok: bool, seconds: float | None = None) -> None:
    """The transport reports the request as a whole."""
