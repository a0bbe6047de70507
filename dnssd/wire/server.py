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
CUT = 0.04  # seconds, unless answers take longer, after which a message that stops has broken off
IDLE = 10.0  # seconds that a socket without questions is kept (for TCP see RFC 7766)
FIRST_LATE, MIN_LATE, MAX_LATE = 0.2, 0.03, 3.0  # seconds: before the first answer, and bounds
STUCK, STUCK_AGAIN = 1.0, 0.2  # seconds after which a TCP connection that hears nothing is
# replaced; and, unless answers take longer, where one has broken off less than
WARY = 10.0  # seconds ago
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
        self._wary_until = 0.0
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

    def send(self, query: Query, *, by_tcp: bool, now: float) -> bool:
        """Send one packet, unless a copy is of no use yet; whether it was sent.

        A copy goes out by the same port and with the same ID: many of them would make it easy to
        guess one (RFC 5452). Where that port is deaf, another one is drawn. By TCP all share
        one connection, until that fails or is silent for a second.

        Raises:
            OSError: It cannot be sent.
        """
        attempt, is_first = self._attempts[by_tcp], not query.sent
        if not self._put(query, attempt, now):
            return False
        if not by_tcp:
            self._silence.sent(now)
        self._counts.packets += 1
        self._counts.questions += is_first
        self._counts.repeats += not is_first
        return True

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

    def cut_short(self, attempt: Attempt) -> None:
        """It has answered, and rightly so, that the answer is too long for UDP."""
        if not attempt.by_tcp:
            self.by_udp = True
            self._silence.excused()

    def _put(self, query: Query, attempt: Attempt, now: float) -> bool:
        """Send a packet; whether it was."""
        for connection, number, sent_at in reversed(query.sent):
            is_spent = now >= connection.spent_at
            if is_spent and connection.attempt in self._attempts:  # UDP's too where TCP is tried
                self._distrust(connection)
            if connection.attempt is attempt:
                if is_spent or connection.waiting.get(number) is not query:
                    break
                if not attempt.by_tcp:
                    connection.repeat(query, number, now)
                    return True
                elif connection in self._current:
                    if connection.begun or now < sent_at + self.late:
                        return False
                    connection.repeat(query, number, now)
                    query.sent.append((connection, number, now))
                    return True
                break
        connection = self._connection(attempt, now)
        query.sent.append((connection, connection.ask(query, now), now))
        return True

    def _connection(self, attempt: Attempt, now: float) -> Connection:
        """The connection to use now: by UDP one of 16, of which nobody can guess which.

        Raises:
            OSError: It cannot be opened.
        """
        by_tcp = attempt.by_tcp
        slot = PORTS if by_tcp else self.entropy(1)[0] % PORTS
        current = self._current[slot]
        if current is not None:
            if now >= current.spent_at:
                self._distrust(current)
            if current.left > 0:
                return current
        connection = Connection(self, attempt, self._patience(now) if by_tcp else self.patience)
        try:
            connection.channel = self._network.open(
                self.address, by_tcp, connection.receive, connection.lost
            )
        except OSError as error:
            return self._instead(slot, error)
        if by_tcp:  # one sign of life or of none, however many questions share it
            self._silence.sent(now)
        self._connections.add(connection)
        self._current[slot] = connection
        if current is not None:
            current.retire()
        return connection

    def _patience(self, now: float) -> float:
        return min(STUCK, max(STUCK_AGAIN, 2 * self.late)) if now < self._wary_until else STUCK

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

    def broken(self, connection: Connection) -> None:
        """A TCP connection has failed: ask no more questions by it, and trust the next one less."""
        self._wary_until = self._loop.time() + WARY
        self.leave(connection)

    def closed(self, connection: Connection) -> None:
        """That connection is closed."""
        self.leave(connection)
        self._connections.discard(connection)

    def leave(self, connection: Connection) -> None:
        """Ask no more questions by this connection."""
        if connection in self._current:
            self._current[self._current.index(connection)] = None

    def idle(self, connection: Connection) -> None:
        """A connection has nothing to wait for: close it if that lasts."""
        connection.idle_at = self._loop.time() + IDLE
        if connection.timer is None:
            connection.timer = self._loop.call_at(connection.idle_at, self._look_at, connection)

    def begun(self, connection: Connection) -> None:
        """A message has come in part by TCP: it must go on soon, or all lengths may be wrong."""
        connection.spent_at = self._loop.time() + max(CUT, self.late)
        if connection.timer is not None:
            connection.timer.cancel()
        connection.timer = self._loop.call_at(connection.spent_at, self._look_at, connection)

    def _look_at(self, connection: Connection) -> None:
        """See whether a connection has been idle for too long, or a message has broken off."""
        connection.timer = None
        now, breaks = self._loop.time(), connection.begun and connection.waiting
        if breaks and now >= connection.spent_at:
            connection.distrust("an answer that breaks off")
        elif breaks or (not connection.waiting and now < connection.idle_at):
            at = connection.spent_at if breaks else connection.idle_at
            connection.timer = self._loop.call_at(at, self._look_at, connection)
        elif not connection.waiting:
            connection.close()

    def close(self) -> None:
        """Close all connections."""
        self._counts.dark.discard(str(self.address))
        for connection in tuple(self._connections):
            connection.close()
