"""Sockets to name servers, and which queries wait for an answer by each."""

from collections.abc import Callable
from typing import Protocol

from dnssd.wire.loop import Loop, Timer
from dnssd.wire.nameservers import NameServer
from dnssd.wire.query import Query
from dnssd.wire.trouble import Attempt

PORT_LIFE = 1000  # questions asked from one UDP port before another is drawn (RFC 5452)
SILENT = 0.5  # seconds after which one that is asked, but hears nothing, is replaced
STUCK = 1.0  # seconds after which a TCP connection is
IDLE = 10.0  # seconds that a TCP connection without questions is kept (RFC 7766)
FIRST_LATE, MIN_LATE, MAX_LATE = 0.2, 0.03, 3.0  # seconds: before the first answer, and bounds
PATIENT = 1.0  # seconds after which an answer is late, unless the path itself takes as long


class Channel(Protocol):
    """A socket that is connected, or being connected, to one server."""

    def send(self, packet: bytes, /) -> object:
        """Send a packet now or as soon as possible.

        Raises:
            OSError: It cannot be.
        """

    def close(self) -> None:
        """Free the socket."""


class Network(Protocol):
    """Opens channels."""

    def open(
        self,
        server: NameServer,
        by_tcp: bool,
        receive: Callable[[bytes], object],
        lost: Callable[[str], object],
    ) -> Channel:
        """Open a channel.

        Args:
            server: To whom.
            by_tcp: By TCP, else by UDP.
            receive: Gets each packet that comes; false if no other is waited for.
            lost: Is told that what was sent will not be answered, and why; a TCP channel
                is of no more use then.

        Raises:
            OSError: It cannot be.
        """


class Server:
    """One name server: its connections, and how long it takes to answer (RFC 6298).

    Args:
        number: Which one it is, counted from 0.
        address: Where it is.
        loop: Closes what is idle.
        network: Opens channels to it.
        received: Gets each packet that may answer a query, and by which connection it came.
        failed: Is told of each query that will not be answered by a connection, and why.
    """

    def __init__(
        self,
        number: int,
        address: NameServer,
        loop: Loop,
        network: Network,
        received: "Received",
        failed: "Failed",
    ) -> None:
        self.address = address
        self.late = FIRST_LATE  # seconds after which an answer is late
        self.is_measured = False  # whether that is known
        self.plain_until = 0.0  # when to send OPT records again
        self.received = received
        self.failed = failed
        self._attempts = Attempt(number, by_tcp=False), Attempt(number, by_tcp=True)
        self._loop = loop
        self._network = network
        self._connections: set[Connection] = set()
        self._current: dict[bool, Connection] = {}  # by UDP, by TCP
        self._smoothed = self._variation = 0.0

    def measured(self, seconds: float) -> None:
        """Learn from how long an answer took when the next one is late."""
        if not self.is_measured:
            self.is_measured = True
            self._smoothed, self._variation = seconds, seconds / 2
        else:
            self._variation += (abs(seconds - self._smoothed) - self._variation) / 4
            self._smoothed += (seconds - self._smoothed) / 8
        late = min(self._smoothed + 4 * self._variation, max(PATIENT, 1.5 * self._smoothed))
        self.late = min(MAX_LATE, max(MIN_LATE, late))

    def connection(self, query: Query, *, by_tcp: bool, now: float) -> "Connection":
        """The connection to use now, opened if need be.

        Args:
            query: What is to be sent. A TCP connection by which it still waits may be out of
                step, or stuck, and is not used for it again.
            by_tcp: By TCP, else by UDP.
            now: Monotonic clock reading, in seconds.

        Raises:
            OSError: It cannot be opened.
        """
        current = self._current.get(by_tcp)
        if current is not None and now < current.spent_at and not (by_tcp and current.owes(query)):
            return current
        connection = Connection(self, self._attempts[by_tcp])
        connection.channel = self._network.open(
            self.address, by_tcp, connection.receive, connection.lost
        )
        self._connections.add(connection)
        self._current[by_tcp] = connection
        if current is not None:
            current.retire()
        return connection

    def leave(self, connection: "Connection") -> None:
        """Ask no more questions by this connection."""
        by_tcp = connection.attempt.by_tcp
        if self._current.get(by_tcp) is connection:
            del self._current[by_tcp]

    def closed(self, connection: "Connection") -> None:
        """That connection is closed."""
        self.leave(connection)
        self._connections.discard(connection)

    def idle(self, connection: "Connection") -> None:
        """A TCP connection has nothing to wait for: close it if that lasts."""
        connection.idle_at = self._loop.time() + IDLE
        if connection.timer is None:
            connection.timer = self._loop.call_at(connection.idle_at, self._close_idle, connection)

    def _close_idle(self, connection: "Connection") -> None:
        connection.timer = None
        if connection.waiting:
            return
        if self._loop.time() >= connection.idle_at:
            connection.close()
        else:
            connection.timer = self._loop.call_at(connection.idle_at, self._close_idle, connection)

    def close(self) -> None:
        """Close all connections."""
        for connection in tuple(self._connections):
            connection.close()


class Connection:
    """A channel, and which queries wait for an answer by it, by ID.

    Attributes:
        attempt: To which server, and how.
        channel: What carries packets.
        idle_at: When it has had nothing to wait for too long, in seconds.
        spent_at: When another is to be opened in its place, as it was asked and has heard
            nothing. It may be at fault itself: the address that it was bound to is gone, or
            what translates addresses on the way leads to a server that is gone.
        timer: Sees to it that it is closed.
        waiting: The queries.
    """

    __slots__ = (
        "_asked",
        "_fresh",
        "_patience",
        "_retired",
        "_server",
        "attempt",
        "channel",
        "idle_at",
        "spent_at",
        "timer",
        "waiting",
    )
    channel: Channel

    def __init__(self, server: Server, attempt: Attempt) -> None:
        self._server = server
        self._retired = False
        self._patience = STUCK if attempt.by_tcp else SILENT
        self._asked = 0
        self._fresh = _NEVER  # what `spent_at` is when something is heard
        self.attempt = attempt
        self.idle_at = 0.0
        self.spent_at = _NEVER
        self.timer: Timer | None = None
        self.waiting: dict[int, Query] = {}

    def ask(self, query: Query, entropy: Callable[[int], bytes], now: float) -> int:
        """Send a query under an ID that nobody can guess and no other has; return the ID.

        Raises:
            OSError: It cannot be sent.
        """
        while (number := int.from_bytes(entropy(2), "big")) in self.waiting:
            pass
        self.waiting[number] = query
        self._asked += 1
        if self._asked == PORT_LIFE and not self.attempt.by_tcp:
            self._fresh = self.spent_at = now
        elif self.spent_at == _NEVER:
            self.spent_at = now + self._patience
        try:
            self.channel.send(number.to_bytes(2, "big") + query.packet)
        except OSError:
            self.forget(query, number)
            raise
        return number

    def repeat(self, query: Query, number: int, now: float) -> None:
        """Send a query once more, under the ID that it has.

        Raises:
            OSError: It cannot be sent.
        """
        self.spent_at = min(self.spent_at, now + self._patience)
        self.channel.send(number.to_bytes(2, "big") + query.copy())

    def owes(self, query: Query) -> bool:
        """Whether a query still waits for an answer by this connection."""
        return query in self.waiting.values()

    def forget(self, query: Query, number: int) -> None:
        """Nobody waits for that answer any more."""
        if self.waiting.get(number) is not query:
            return
        del self.waiting[number]
        if not self.waiting:
            if self._retired:
                self.close()
            elif self.attempt.by_tcp:
                self._server.idle(self)

    def receive(self, data: bytes) -> bool:
        """A packet; what answers no question that is waiting is passed over (RFC 5452).

        Returns:
            Whether others are waited for.
        """
        if len(data) < 12:
            return True
        self.spent_at = self._fresh
        number = data[0] << 8 | data[1]
        query = self.waiting.get(number)
        if query is None:
            return True
        as_asked = data.startswith(query.question, 12) and data[2] >= 0x80 and data[4:6] == _ONE
        if not (as_asked or query.is_answered_by(data)):
            return True
        if self.attempt.by_tcp:  # there is one answer to each
            self.forget(query, number)
        self._server.received(query, self, data)
        return bool(self.waiting)

    def distrust(self) -> None:
        """What has come was no message: by TCP, all lengths from there on may be wrong."""
        if self.attempt.by_tcp:
            self._server.leave(self)
            self.retire()

    def lost(self, why: str) -> None:
        """What was sent will not be answered."""
        waiting, self.waiting = self.waiting, {}
        if self.attempt.by_tcp or self._retired:
            self.close()
        for query in waiting.values():
            self._server.failed(query, self, why)

    def retire(self) -> None:
        """Close when the last question is answered."""
        self._retired = True
        if not self.waiting:
            self.close()

    def close(self) -> None:
        """Free the socket."""
        if self.timer is not None:
            self.timer.cancel()
        self._server.closed(self)
        self.channel.close()


Received = Callable[[Query, Connection, bytes], object]
Failed = Callable[[Query, Connection, str], object]
_NEVER = float("inf")
_ONE = b"\0\1"
