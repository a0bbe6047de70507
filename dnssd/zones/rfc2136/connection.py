"""Messages over TCP: many questions in one round trip, and one connection for many exchanges."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.tsig

from dnssd.zones.rfc2136 import messages
from dnssd.zones.rfc2136.messages import NoAnswer

IDLE_SECONDS = 4.0  # seconds until a connection is not used again: PowerDNS closes it after 5
WINDOW = 64  # requests under way at once; their answers fit into the kernel's buffers
_HEADER = 12  # octets
_BROKEN = (OSError, EOFError, ValueError, dns.exception.DNSException)


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class NeverSent(Exception):
    """There was no connection: nothing was sent."""


class Lost(Exception):
    """Something was sent, and no answer came that can be believed."""


class Connection:
    """A connection to one of several servers, opened when needed.

    Args:
        servers: The first that can be reached is used, and kept to.
        key: Signs every request; None for none.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        key: dns.tsig.Key | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = list(servers)
        self._key = key
        self._monotonic = monotonic
        self._socket: socket.socket | None = None
        self._used_at = 0.0
        self._id = 0
        self._lock = threading.Lock()

    def __del__(self) -> None:
        self._close()

    @property
    def server(self) -> Server:
        """The server in use, or the next one to try."""
        return self._servers[0]

    @property
    def local_port(self) -> int | None:
        """The port of this side; None if nothing is open."""
        return None if self._socket is None else int(self._socket.getsockname()[1])

    def exchange(
        self, requests: Sequence[dns.message.Message], seconds: float
    ) -> list[dns.message.Message]:
        """Send requests, without waiting for an answer between them, and return the answers.

        Args:
            requests: Signed and numbered here. No question belongs behind an update: servers
                may answer it from before.
            seconds: To wait for all of them.

        Raises:
            NeverSent: No server could be reached.
            Lost: An answer did not come, or was none.
        """
        with self._lock:
            ends = self._monotonic() + seconds
            opened = self._open(ends)
            try:
                return self._converse(opened, requests, ends)
            except (*_BROKEN, NoAnswer) as error:
                self._close()
                raise Lost(f"{self.server}: {_said(error)}") from error
            except BaseException:
                self._close()  # what is under way would be taken for the next answer
                raise

    def close(self) -> None:
        """Close it; the next exchange opens it again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self, ends: float) -> socket.socket:
        if self._monotonic() - self._used_at > IDLE_SECONDS:
            self._close()
        if self._socket is not None:
            return self._socket
        failures: list[str] = []
        for _ in range(len(self._servers)):
            try:
                left = max(0.01, ends - self._monotonic()) / (len(self._servers) - len(failures))
                opened = socket.create_connection((self.server.host, self.server.port), left)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                failures.append(f"{self.server}: {_said(error)}")
                self._servers.append(self._servers.pop(0))
            else:
                self._socket = opened
                return opened
        raise NeverSent("; ".join(failures))

    def _converse(
        self, opened: socket.socket, requests: Sequence[dns.message.Message], ends: float
    ) -> list[dns.message.Message]:
        waiting: dict[int, int] = {}  # places among the requests, by id
        answers: dict[int, dns.message.Message] = {}
        sent = 0
        while len(answers) < len(requests):
            burst = b""
            while sent < len(requests) and len(waiting) < WINDOW:
                burst += self._prepared(requests[sent])
                waiting[requests[sent].id] = sent
                sent += 1
            opened.settimeout(max(0.01, ends - self._monotonic()))
            opened.sendall(burst)
            wire = self._receive(opened, ends)
            place = waiting.pop(int.from_bytes(wire[:2]), None)
            if place is None:
                raise NoAnswer("an answer to no question")
            answers[place] = messages.read(wire, requests[place], self._key)
        self._used_at = self._monotonic()
        return [answers[place] for place in range(len(requests))]

    def _prepared(self, request: dns.message.Message) -> bytes:
        self._id = (self._id + 1) % 65536
        request.id = self._id
        if self._key is not None:
            request.use_tsig(self._key)
        return request.to_wire(prepend_length=True)

    def _receive(self, opened: socket.socket, ends: float) -> bytes:
        size = int.from_bytes(self._read(opened, 2, ends))
        if size < _HEADER:
            raise NoAnswer("less than a header")
        return self._read(opened, size, ends)

    def _read(self, opened: socket.socket, size: int, ends: float) -> bytes:
        data = b""
        while len(data) < size:
            opened.settimeout(max(0.01, ends - self._monotonic()))
            more = opened.recv(size - len(data))
            if not more:
                raise EOFError("the server closed the connection")
            data += more
        return data


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
