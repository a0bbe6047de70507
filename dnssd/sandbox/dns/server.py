"""The sandbox's DNS server: one thread that answers by UDP and TCP on one port number."""

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Self

from dnssd.errors import Unavailable

MAX_CONNECTIONS = 256
IDLE = 10.0  # seconds that a TCP client has to send one message, and to take the answer
_TRIES = 50  # for a port that is free for both transports

Respond = Callable[[bytes, bool], Sequence[bytes]]


class DnsServer:
    """Answers DNS messages on one address and port, by UDP and TCP.

    Args:
        respond: The messages that answer a message; the flag says whether it came by TCP.
            Runs on the server's thread and must not block.
        host: The IP address to listen on.
        port: 0 for any that is free.
        max_connections: TCP connections at a time; one more ends the longest idle one.
        idle: Seconds that a TCP client has to send one message, and to take the answer.
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
        self._respond = respond
        self._max_connections = max_connections
        self._idle = idle
        self._connections: dict[socket.socket, asyncio.Task[None]] = {}  # the longest idle first
        self._stopping: Future[None] = Future()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind both sockets, and answer from now on.

        Raises:
            Unavailable: The address or the port cannot be had.
        """
        tcp, udp = _bind(self.host, self.port)
        self.port = tcp.getsockname()[1]
        self._stopping = Future()
        self._thread = threading.Thread(target=self._run, args=(tcp, udp), name="sandbox-dns")
        self._thread.daemon = True  # a test that forgets to close must still end
        self._thread.start()

    def close(self) -> None:
        """End the thread and close every socket; again does nothing."""
        if self._thread:
            self._stopping.set_result(None)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, tcp: socket.socket, udp: socket.socket) -> None:
        with tcp, udp:
            asyncio.run(self._serve(tcp, udp))

    async def _serve(self, tcp: socket.socket, udp: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for listening, react in ((tcp, self._accept), (udp, self._answer_datagram)):
            listening.setblocking(False)
            loop.add_reader(listening, react, listening)
        await asyncio.wrap_future(self._stopping)
        # asyncio.run() now cancels what is still said to clients.

    def _answer_datagram(self, udp: socket.socket) -> None:
        # An OSError is an ICMP message about an earlier answer, a client that cannot be
        # reached or a full buffer: UDP promises nothing, the client asks again.
        with contextlib.suppress(OSError):
            message, client = udp.recvfrom(65535)
            for answer in self._respond(message, False):
                udp.sendto(answer, client)

    def _accept(self, tcp: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client has gone again
            connection, _ = tcp.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.get_running_loop().create_task(self._answer_stream(connection))
            task.add_done_callback(partial(self._forget, connection))
            self._connections[connection] = task
            if len(self._connections) > self._max_connections:
                next(iter(self._connections.values())).cancel()

    def _forget(self, connection: socket.socket, _: asyncio.Task[None]) -> None:
        del self._connections[connection]
        connection.close()

    async def _answer_stream(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):  # gone, or too slow (TimeoutError)
            while await self._answer_next(connection):
                self._connections[connection] = self._connections.pop(connection)  # the last

    async def _answer_next(self, connection: socket.socket) -> bool:
        """Answer one message (RFC 1035 section 4.2.2); False if it deserves no answer."""
        async with asyncio.timeout(self._idle):
            size = int.from_bytes(await _receive(connection, 2), "big")
            message = await _receive(connection, size)
        answers = self._respond(message, True)
        framed = b"".join(len(answer).to_bytes(2, "big") + answer for answer in answers)
        async with asyncio.timeout(self._idle):
            await asyncio.get_running_loop().sock_sendall(connection, framed)
        return bool(answers)


async def _receive(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` octets.

    Raises:
        EOFError: The client has ended the connection.
    """
    data = b""
    while len(data) < size:
        chunk = await asyncio.get_running_loop().sock_recv(connection, size - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return data


def _bind(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on the same port number."""
    for _ in range(_TRIES):
        try:
            return _bind_once(host, port)
        except OSError as error:
            if port == 0 and error.errno == errno.EADDRINUSE:
                continue  # somebody has the UDP half of the port that TCP got
            raise Unavailable(
                f"DNS port {port} of {host}: {error.strerror}; "
                "choose another, or 0 for any that is free"
            ) from error
    raise Unavailable(f"DNS port: none of {host} is free for both TCP and UDP; give one")


def _bind_once(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as opened:
        tcp = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((host, port))
        udp = opened.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        udp.bind((host, tcp.getsockname()[1]))
        tcp.listen()
        opened.pop_all()
        return tcp, udp
