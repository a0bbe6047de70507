"""Channels to name servers, and who waits for an answer by each."""

from collections.abc import Callable
from typing import Protocol

from dnssd.wire.loop import Loop, Timer
from dnssd.wire.nameservers import NameServer
from dnssd.wire.query import answers_question, query

PORT_LIFE = 1000  # questions asked from one UDP port before another is drawn (RFC 5452)
SILENT = 0.5  # seconds after which one that is asked, but hears nothing, is replaced
IDLE = 10.0  # seconds that a TCP connection without questions is kept (RFC 7766)
FIRST_LATE, MIN_LATE, MAX_LATE = 0.2, 0.03, 1.0  # seconds: before the first answer, and bounds


class Channel(Protocol):
    """A socket that is connected, or being connected, to one server."""

    def send(self, packet: bytes) -> None:
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
            receive: Gets each packet that comes.
            lost: Is told that what was sent will not be answered, and why; a TCP channel
                is of no more use then.

        Raises:
            OSError: It cannot be.
        """


class Waiter(Protocol):
    """Who waits for an answer."""

    question: bytes  # that it must repeat

    def received(self, port: "Port", data: bytes) -> object:
        """It has come."""

    def failed(self, why: str) -> object:
        """It will not come."""


class Server:
    """One name server: its ports, and how long it takes to answer (RFC 6298).

    Args:
        address: Where it is.
        loop: Closes what is idle.
        network: Opens channels to it.
    """

    def __init__(self, address: NameServer, loop: Loop, network: Network) -> None:
        self.address = address
        self.late = FIRST_LATE  # seconds after which an answer is late
        self._loop = loop
        self._network = network
        self._ports: set[Port] = set()
        self._current: dict[bool, Port] = {}  # by UDP, by TCP
        self._smoothed = -1.0
        self._variation = 0.0

    def measured(self, seconds: float) -> None:
        """Learn from how long an answer took when the next one is late."""
        if self._smoothed < 0:
            self._smoothed, self._variation = seconds, seconds / 2
        else:
            self._variation += (abs(seconds - self._smoothed) - self._variation) / 4
            self._smoothed += (seconds - self._smoothed) / 8
        self.late = min(MAX_LATE, max(MIN_LATE, self._smoothed + 4 * self._variation))

    def port(self, by_tcp: bool, avoid: Callable[["Port"], bool], now: float) -> "Port":
        """The port to use now, opened if need be.

        Args:
            by_tcp: By TCP, else by UDP.
            avoid: Whether a TCP connection is not to be used: it may be stuck.
            now: Monotonic clock reading, in seconds.

        Raises:
            OSError: It cannot be opened.
        """
        current = self._current.get(by_tcp)
        if current is not None and not (avoid(current) if by_tcp else current.is_spent(now)):
            current.silent_since = min(current.silent_since, now)
            return current
        port = Port(self, by_tcp)
        port.channel = self._network.open(self.address, by_tcp, port.receive, port.lost)
        self._ports.add(port)
        self._current[by_tcp] = port
        port.silent_since = now
        if current is not None:
            current.retire()
        return port

    def leave(self, port: "Port") -> None:
        """Ask no more questions by this port."""
        if self._current.get(port.by_tcp) is port:
            del self._current[port.by_tcp]

    def closed(self, port: "Port") -> None:
        """That port is closed."""
        self.leave(port)
        self._ports.discard(port)

    def idle(self, port: "Port") -> None:
        """A TCP connection has nothing to wait for: close it if that lasts."""
        port.idle_at = self._loop.time() + IDLE
        if port.timer is None:
            port.timer = self._loop.call_at(port.idle_at, self._close_idle, port)

    def _close_idle(self, port: "Port") -> None:
        port.timer = None
        if port.waiting:
            return
        if self._loop.time() >= port.idle_at:
            port.close()
        else:
            port.timer = self._loop.call_at(port.idle_at, self._close_idle, port)

    def close(self) -> None:
        """Close all ports."""
        for port in tuple(self._ports):
            port.close()


class Port:
    """A channel, and who waits for an answer by it, by query ID."""

    __slots__ = (
        "_retired",
        "_server",
        "asked",
        "by_tcp",
        "channel",
        "idle_at",
        "silent_since",
        "timer",
        "waiting",
    )
    channel: Channel

    def __init__(self, server: Server, by_tcp: bool) -> None:
        self._server = server
        self._retired = False
        self.by_tcp = by_tcp
        self.asked = 0
        self.idle_at = 0.0  # when it has had nothing to wait for too long
        self.silent_since = _NEVER  # when the first question after the last packet was asked
        self.timer: Timer | None = None  # that sees to it
        self.waiting: dict[int, Waiter] = {}

    def is_spent(self, now: float) -> bool:
        """Whether another UDP port is to be drawn.

        A port that hears nothing may be at fault itself: the address that it was bound to is
        gone, or what translates addresses on the way leads to a server that is gone.
        """
        return self.asked >= PORT_LIFE or now - self.silent_since >= SILENT

    def ask(self, waiter: Waiter, entropy: Callable[[int], bytes], *, edns: bool) -> int:
        """Send a question under an ID that nobody can guess and no other has; return the ID.

        Raises:
            OSError: It cannot be sent.
        """
        while (ticket := int.from_bytes(entropy(2), "big")) in self.waiting:
            pass
        self.waiting[ticket] = waiter
        self.asked += 1
        try:
            self.channel.send(query(ticket, waiter.question, edns=edns))
        except OSError:
            self.forget(ticket)
            raise
        return ticket

    def forget(self, ticket: int) -> None:
        """Nobody waits for that answer any more."""
        if self.waiting.pop(ticket, None) is not None and not self.waiting:
            if self._retired:
                self.close()
            elif self.by_tcp:
                self._server.idle(self)

    def receive(self, data: bytes) -> None:
        """A packet; what answers no question that is waiting is passed over (RFC 5452).

        One that repeats no question cannot be believed, but tells of an error: that is how
        some servers refuse what they do not understand.
        """
        self.silent_since = _NEVER
        if len(data) < 12:
            return
        ticket = data[0] << 8 | data[1]
        waiter = self.waiting.get(ticket)
        if waiter is None or not (answers_question(data, waiter.question) or _repeats_none(data)):
            return
        self.forget(ticket)
        waiter.received(self, data)

    def distrust(self) -> None:
        """What has come was no message: by TCP, all lengths from there on may be wrong."""
        if self.by_tcp:
            self._server.leave(self)
            self.retire()

    def lost(self, why: str) -> None:
        """What was sent will not be answered."""
        waiting, self.waiting = self.waiting, {}
        if self.by_tcp or self._retired:
            self.close()
        for waiter in waiting.values():
            waiter.failed(why)

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


_NEVER = float("inf")


def _repeats_none(data: bytes) -> bool:
    return data[2] >= 0x80 and data[4:6] == b"\0\0"
