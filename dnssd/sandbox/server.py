"""What the sandbox's servers have in common: they listen, answer on threads, and end.

A stream server has a thread for each connection, and no more than so many of them. A
datagram server has one thread, which empties the socket before each answer: a burst of
questions waits here and not in the socket's small buffer, where it would be dropped.
"""

import contextlib
import logging
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from socketserver import BaseRequestHandler, TCPServer, ThreadingMixIn
from typing import Any, Self

from dnssd.errors import Unavailable

MAX_CONNECTIONS = 300
MAX_WAITING = 10_000  # datagrams that have been received and not been answered yet

_BUFFER = 4 << 20  # octets of a datagram socket's buffer, as far as the system allows
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_log = logging.getLogger(__name__)


class Server:
    """Listens on one address and port, until it is closed; used as a context manager.

    Args:
        what: What it is, for errors.
        host: The IP address to listen on.
        port: 0 for any that is free.

    Attributes:
        port: Once started: the one it has.
    """

    def __init__(self, what: str, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._what = what
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and answer from now on.

        Raises:
            Unavailable: The address or the port cannot be had.
        """
        try:
            self.port = self._listen()
        except OSError as error:
            raise Unavailable(
                f"{self._what} port {self.port} of {self.host}: {error.strerror}; "
                "choose another, or 0 for any that is free"
            ) from error
        name = f"sandbox-{self._what.split()[0].lower()}"
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end all connections; again does nothing."""
        if self._thread:
            self._stop()
            self._thread.join()
            self._thread = None
            self._end()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> int:
        """Open what is listened on; return its port."""
        raise NotImplementedError

    def _serve(self) -> None:
        """Answer until `_stop` is called by another thread."""
        raise NotImplementedError

    def _stop(self) -> None:
        """Make `_serve` return."""
        raise NotImplementedError

    def _end(self) -> None:
        """Close what was opened, once nothing is served any more."""
        raise NotImplementedError


class StreamServer(Server, ThreadingMixIn, TCPServer):
    """Accepts connections, each with a thread of its own.

    Args:
        what: What it is, for errors.
        handler: Reads and answers the requests of one connection.
        host: The IP address to listen on.
        port: 0 for any that is free.
        patience: Seconds after which a silent connection is closed.
        max_connections: At a time; one more ends that which has waited longest for a request.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512  # connections that have not been accepted yet

    def __init__(
        self,
        what: str,
        handler: type[BaseRequestHandler],
        host: str,
        port: int,
        *,
        patience: float,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__(what, host, port)
        self.patience = patience
        self.max_connections = max_connections
        self.address_family = _family(host)
        self._handler = handler
        self._open: set[socket.socket] = set()
        self._waiting: dict[socket.socket, None] = {}  # for a request, the longest first
        self._changed = threading.Condition()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a new connection a thread, if need be in place of another's."""
        request.settimeout(self.patience)
        with self._changed:
            full = len(self._open) >= self.max_connections
            if full and self._waiting:
                longest = next(iter(self._waiting))
                del self._waiting[longest]
                _shut(longest)
                full = False
            if not full:
                self._open.add(request)
                self._waiting[request] = None
        if full:
            request.sendall(_FULL)  # far less than what a new connection takes at once
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    @contextlib.contextmanager
    def at_work(self, connection: socket.socket) -> Iterator[None]:
        """While `connection` waits for no request, nobody else gets its place."""
        with self._changed:
            self._waiting.pop(connection, None)
        yield
        with self._changed:
            self._waiting[connection] = None

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._waiting.pop(request, None)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone away; a fault of this program is logged."""
        if not isinstance(sys.exception(), OSError):
            _log.exception("a request was not answered")

    def _listen(self) -> int:
        TCPServer.__init__(self, (self.host, self.port), self._handler)
        return int(self.server_address[1])

    def _serve(self) -> None:
        self.serve_forever(0.02)

    def _stop(self) -> None:
        with contextlib.suppress(OSError):  # where the system wakes nobody by it
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()

    def _end(self) -> None:
        self.server_close()
        with self._changed:
            for connection in self._open:
                _shut(connection)
            self._changed.wait_for(lambda: not self._open, timeout=5)


class DatagramServer(Server):
    """Answers datagrams one after the other.

    Args:
        what: What it is, for errors.
        respond: The datagrams that answer one.
        host: The IP address to listen on.
        port: 0 for any that is free.
    """

    def __init__(
        self, what: str, respond: Callable[[bytes], Sequence[bytes]], host: str, port: int
    ) -> None:
        super().__init__(what, host, port)
        self._respond = respond
        self._waiting: deque[tuple[bytes, Any]] = deque()
        self._stopping = False

    def _listen(self) -> int:
        self._stopping = False
        self._socket = socket.socket(_family(self.host), socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.bind((self.host, self.port))
        except OSError:
            self._socket.close()
            raise
        port: int = self._socket.getsockname()[1]
        return port

    def _serve(self) -> None:
        while True:
            # An OSError is an ICMP message about an earlier answer, a client that cannot be
            # reached or a full buffer: UDP promises nothing, the client asks again.
            with contextlib.suppress(OSError):
                self._receive()
                if self._stopping:
                    return
                self._answer(*self._waiting.popleft())

    def _receive(self) -> None:
        """Wait for a datagram, unless some are waiting here; take all that have come."""
        if not self._waiting:
            self._waiting.append(self._socket.recvfrom(65535))
        with contextlib.suppress(BlockingIOError):
            while len(self._waiting) < MAX_WAITING:
                self._waiting.append(self._socket.recvfrom(65535, socket.MSG_DONTWAIT))

    def _answer(self, message: bytes, client: Any) -> None:
        try:
            answers = self._respond(message)
        except Exception:
            _log.exception("a datagram was not answered")
            return
        for answer in answers:
            self._socket.sendto(answer, client)

    def _stop(self) -> None:
        self._stopping = True
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (reachable(self.host), self.port))

    def _end(self) -> None:
        self._socket.close()
        self._waiting.clear()


def reachable(host: str) -> str:
    """The IP address to reach a server at that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (to compare)


def host_and_port(host: str, port: int) -> str:
    """Where to reach a server that listens on `host`, as HOST:PORT."""
    address = reachable(host)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _shut(connection: socket.socket) -> None:
    """Make the thread that reads from `connection` find it at its end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
