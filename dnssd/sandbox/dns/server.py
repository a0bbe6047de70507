"""The sandbox's DNS server: UDP and TCP on one port number."""

import contextlib
import errno
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from socketserver import StreamRequestHandler
from typing import Self

from dnssd.errors import Unavailable
from dnssd.sandbox.server import DatagramServer, StreamServer

MAX_CONNECTIONS = 256
IDLE = 10.0  # seconds that a TCP client may say nothing, or not take the answer
_TRIES = 50  # for a port that is free for both transports

Respond = Callable[[bytes, bool], Sequence[bytes]]


class DnsServer:
    """Answers DNS messages on one address and port, by UDP and TCP.

    Args:
        respond: The messages that answer a message; the flag says whether it came by TCP.
            Runs on the threads of the servers.
        host: The IP address to listen on.
        port: 0 for any that is free for both.
        max_connections: TCP connections at a time; one more ends the longest idle one.
        idle: Seconds that a TCP client may say nothing, or not take the answer.
    """

    def __init__(
        self,
        respond: Respond,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        max_connections: int = MAX_CONNECTIONS,
        idle: float = IDLE,
    ) -> None:
        self.host = host
        self.port = port  # once started: the one it has
        self._stream = partial(
            _Stream, respond, host, patience=idle, max_connections=max_connections
        )
        self._datagrams = partial(
            DatagramServer, "DNS", lambda message: respond(message, False), host
        )
        self._running = ExitStack()

    def start(self) -> None:
        """Answer from now on.

        Raises:
            Unavailable: The address or the port cannot be had.
        """
        for _ in range(_TRIES):
            try:
                with ExitStack() as started:
                    stream = started.enter_context(self._stream(port=self.port))
                    started.enter_context(self._datagrams(port=stream.port))
                    self._running = started.pop_all()
            except Unavailable as error:
                if self.port == 0 and _is_taken(error):
                    continue  # somebody has the UDP half of the port that TCP got
                raise
            self.port = stream.port
            return
        raise Unavailable(f"DNS port: none of {self.host} is free for both TCP and UDP; give one")

    def close(self) -> None:
        """End the threads and close every socket; again does nothing."""
        self._running.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Stream(StreamServer):
    def __init__(
        self, respond: Respond, host: str, port: int, *, patience: float, max_connections: int
    ) -> None:
        super().__init__(
            "DNS", _Connection, host, port, patience=patience, max_connections=max_connections
        )
        self.respond = respond


class _Connection(StreamRequestHandler):
    """Questions by TCP, one after the other (RFC 1035 section 4.2.2)."""

    server: _Stream
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # gone, or too slow
            while message := self._message():
                with self.server.at_work(self.connection):
                    answers = self.server.respond(message, True)
                    framed = (len(answer).to_bytes(2, "big") + answer for answer in answers)
                    self.connection.sendall(b"".join(framed))
                if not answers:
                    return

    def _message(self) -> bytes:
        """The next one; empty if the client has ended the connection."""
        size = int.from_bytes(self.rfile.read(2), "big")
        message = self.rfile.read(size)
        return message if len(message) == size else b""


def _is_taken(error: Unavailable) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
