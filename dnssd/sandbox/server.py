"""HTTP connections of the sandbox: a thread for each, and no more than so many."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

MAX_CONNECTIONS = 512

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ConnectionServer(ThreadingMixIn, TCPServer):
    """Accepts connections, and ends them.

    Args:
        address: Host and port to listen on; port 0 for any that is free.
        handler: Reads and answers the requests of one connection.
        timeout: Seconds after which a silent connection is closed.
        max_connections: At a time; one more ends that which has waited longest for a request.

    Raises:
        OSError: The address or port cannot be had.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512  # connections that have not been accepted yet

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        *,
        timeout: float,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.patience = timeout
        self._max_connections = max_connections
        self._open: set[socket.socket] = set()
        self._waiting: dict[socket.socket, None] = {}  # for a request, the longest first
        self._changed = threading.Condition()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.02,), name="sandbox-http", daemon=True
        )

    def start(self) -> None:
        """Accept connections from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and end all connections."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._changed:
            for connection in self._open:
                _end(connection)
            self._changed.wait_for(lambda: not self._open, timeout=5)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a new connection a thread, if need be in place of another's."""
        with self._changed:
            full = len(self._open) >= self._max_connections
            if full and self._waiting:
                longest = next(iter(self._waiting))
                del self._waiting[longest]
                _end(longest)
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
        """Say nothing: the client has gone away."""


def _end(connection: socket.socket) -> None:
    """Make the thread that reads from `connection` find it at its end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
