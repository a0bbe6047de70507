"""One name server: its sockets, and how long it takes to answer."""

from collections.abc import Callable

from dnssd.wire.budget import Counts
from dnssd.wire.connections import Connection, Network
from dnssd.wire.dark import Silence
from dnssd.wire.loop import Loop
from dnssd.wire.nameservers import NameServer
from dnssd.wire.query import Query
from dnssd.wire.trouble import Attempt

PORTS = 16  # by which questions leave (RFC 5452 section 9.2)
SILENT, MAX_SILENT = 0.5, 8.0  # seconds after which ports that hear nothing are drawn anew
IDLE = 10.0  # seconds that a socket without questions is kept (for TCP see RFC 7766)
FIRST_LATE, MIN_LATE, MAX_LATE = 0.2, 0.03, 3.0  # seconds: before the first answer, and bounds
PATIENT = 1.0  # seconds after which an answer is late, unless the path itself takes as long

Received = Callable[[Query, Connection, bytes], object]
Failed = Callable[[Query, Connection, str], object]


class Server:
    """One name server: its connections, and how long it takes to answer (RFC 6298).

    Args:
        number: Which one it is, counted from 0.
        address: Where it is.
        loop: Closes what is idle.
        network: Opens channels to it.
        entropy: Gives so many random bytes.
        counts: Counts what is sent, and who is dark.
        received: Gets each packet that may answer a query, and by which connection it came.
        failed: Is told of each query that will not be answered by a connection, and why.

    Attributes:
        late: Seconds after which an answer is late.
        is_measured: Whether that is known.
        patience: Seconds after which a UDP port that is asked, but hears nothing, is replaced.
        plain_until: When to send OPT records again.
        by_udp: Whether it answers by UDP; None until that is known.
    """

    def __init__(
        self,
        number: int,
        address: NameServer,
        loop: Loop,
        network: Network,
        entropy: Callable[[int], bytes],
        counts: Counts,
        received: Received,
        failed: Failed,
    ) -> None:
        self.address = address
        self.late = FIRST_LATE
        self.is_measured = False
        self.patience = SILENT
        self.plain_until = 0.0
        self.by_udp: bool | None = None
        self.entropy = entropy
        self.received = received
        self.failed = failed
        self._attempts = Attempt(number, by_tcp=False), Attempt(number, by_tcp=True)
        self._counts = counts
        self._counts.dark.discard(str(address))  # of a client that was here before
        self._silence = Silence()
        self._loop = loop
        self._network = network
        self._connections: set[Connection] = set()
        self._current: list[Connection | None] = [None] * (PORTS + 1)  # the last is by TCP
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

    def send(self, query: Query, *, by_tcp: bool, now: float) -> None:
        """Send one packet.

        By UDP a copy goes out by the same port and with the same ID: many of them would make it
        easy to guess one (RFC 5452). Where that port is deaf, another one is drawn.

        Raises:
            OSError: It cannot be sent.
        """
        attempt, is_first = self._attempts[by_tcp], not query.sent
        self._put(query, attempt, now)
        self._silence.sent(now)
        self._counts.packets += 1
        self._counts.questions += is_first
        self._counts.repeats += not is_first

    def is_dark(self, now: float) -> bool:
        """Whether it gives no valid answer at all."""
        is_dark = self._silence.look(now, self.late)
        if is_dark:
            self._counts.dark.add(str(self.address))
        return is_dark

    def is_alive(self) -> bool:
        """It has given a valid answer; whether it was dark."""
        was_dark = self._silence.broken()
        if was_dark:
            self._counts.dark.discard(str(self.address))
        return was_dark

    def _put(self, query: Query, attempt: Attempt, now: float) -> None:
        for connection, number, _ in () if attempt.by_tcp else reversed(query.sent):
            if connection.attempt is attempt:
                if connection.waiting.get(number) is query:
                    if now < connection.spent_at:
                        connection.repeat(query, number, now)
                        return
                    self._distrust(connection)
                break
        connection = self._connection(query, attempt, now)
        query.sent.append((connection, connection.ask(query, now), now))

    def _connection(self, query: Query, attempt: Attempt, now: float) -> Connection:
        """The connection to use now: by UDP one of 16, of which nobody can guess which.

        A TCP connection by which a query still waits may be out of step, or stuck, and is not
        used for it again.

        Raises:
            OSError: It cannot be opened.
        """
        by_tcp = attempt.by_tcp
        slot = PORTS if by_tcp else self.entropy(1)[0] % PORTS
        current = self._current[slot]
        if current is not None:
            if now >= current.spent_at:
                self._distrust(current)
            if current.left > 0 and not (by_tcp and current.owes(query)):
                return current
        connection = Connection(self, attempt)
        try:
            connection.channel = self._network.open(
                self.address, by_tcp, connection.receive, connection.lost
            )
        except OSError as error:
            return self._instead(slot, error)
        self._connections.add(connection)
        self._current[slot] = connection
        if current is not None:
            current.retire()
        return connection

    def _instead(self, slot: int, error: OSError) -> Connection:
        """Where no more sockets can be had, a port that was used before is better than none."""
        for connection in self._current[:PORTS] if slot < PORTS else ():
            if connection is not None:
                return connection
        raise error

    def _distrust(self, connection: Connection) -> None:
        """It hears nothing: draw it anew, and with a UDP port all others, which may be deaf too."""
        if connection.left <= 0:
            return
        connection.left = 0
        if not connection.attempt.by_tcp:
            self.patience = min(MAX_SILENT, 2 * self.patience)
            for other in filter(None, self._current[:PORTS]):
                other.left = 0

    def heard(self) -> None:
        """Something has come."""
        self.patience = SILENT

    def leave(self, connection: Connection) -> None:
        """Ask no more questions by this connection."""
        if connection in self._current:
            self._current[self._current.index(connection)] = None

    def closed(self, connection: Connection) -> None:
        """That connection is closed."""
        self.leave(connection)
        self._connections.discard(connection)

    def idle(self, connection: Connection) -> None:
        """A connection has nothing to wait for: close it if that lasts."""
        connection.idle_at = self._loop.time() + IDLE
        if connection.timer is None:
            connection.timer = self._loop.call_at(connection.idle_at, self._close_idle, connection)

    def _close_idle(self, connection: Connection) -> None:
        connection.timer = None
        if connection.waiting:
            return
        if self._loop.time() >= connection.idle_at:
            connection.close()
        else:
            connection.timer = self._loop.call_at(connection.idle_at, self._close_idle, connection)

    def close(self) -> None:
        """Close all connections."""
        self._counts.dark.discard(str(self.address))
        for connection in tuple(self._connections):
            connection.close()
