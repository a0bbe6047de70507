"""Channels to name servers, and which queries wait for an answer by each."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from dnssd.wire.loop import Timer
from dnssd.wire.nameservers import NameServer
from dnssd.wire.query import Query
from dnssd.wire.trouble import Attempt

if TYPE_CHECKING:
    from dnssd.wire.server import Server

ANY = 1 << 30  # questions by one TCP connection
PORT_LIFE = 256  # questions asked from one UDP port before another is drawn (RFC 5452)


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
            receive: Gets each packet that comes; false if no other is waited for. By TCP
                nothing at all stands for a message that has come in part.
            lost: Is told that what was sent will not be answered, and why; a TCP channel
                is of no more use then.

        Raises:
            OSError: It cannot be.
        """


class Connection:
    """A channel, and which queries wait for an answer by it, by ID.

    Attributes:
        attempt: To which server, and how.
        begun: Whether a message has come in part.
        channel: What carries packets.
        idle_at: When it has had nothing to wait for too long, in seconds.
        left: How many questions may be asked by it, before another is opened in its place.
        spent_at: When it has been asked, and has heard nothing, for so long that another is
            opened in its place. It may be at fault itself: the address that it was bound to is
            gone, or what translates addresses on the way leads to a server that is gone.
        timer: Sees to it that it is closed.
        waiting: The queries.
    """

    __slots__ = (
        "_patience",
        "_retired",
        "_server",
        "attempt",
        "begun",
        "channel",
        "idle_at",
        "left",
        "spent_at",
        "timer",
        "waiting",
    )
    channel: Channel

    def __init__(self, server: "Server", attempt: Attempt, patience: float) -> None:
        self._server = server
        self._retired = False
        self._patience = patience
        self.attempt = attempt
        self.begun = False
        self.idle_at = 0.0
        self.left = ANY if attempt.by_tcp else PORT_LIFE
        self.spent_at = _NEVER
        self.timer: Timer | None = None
        self.waiting: dict[int, Query] = {}

    def ask(self, query: Query, now: float) -> int:
        """Send a query under an ID that nobody can guess and no other has; return the ID.

        Raises:
            OSError: It cannot be sent.
        """
        while (number := int.from_bytes(self._server.entropy(2), "big")) in self.waiting:
            pass
        self.waiting[number] = query
        self.left -= 1
        if self.spent_at == _NEVER:
            self.spent_at = now + self._patience
        try:
            self.channel.send(number.to_bytes(2, "big") + query.packet)
        except OSError:  # its descriptor may be closed, or its address gone
            self._server.leave(self)
            self.retire()
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

    def forget(self, query: Query, number: int) -> None:
        """Nobody waits for that answer any more."""
        if self.waiting.get(number) is not query:
            return
        del self.waiting[number]
        if not self.waiting:
            if self._retired:
                self.close()
            else:
                self._server.idle(self)

    def receive(self, data: bytes) -> bool:
        """A packet; what answers no question that is waiting is passed over (RFC 5452).

        Returns:
            Whether others are waited for.
        """
        if len(data) < 12:
            if self.attempt.by_tcp:  # in part, or of no length that a message has
                self.begun = True
                self._server.begun(self)
            return True
        self.spent_at, self.begun = _NEVER, False
        self._server.heard()
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

    def distrust(self, why: str, query: Query | None = None) -> None:
        """What has come was no message, or breaks off: by TCP, all lengths may be wrong now.

        Who waits need not do so any longer, but for a query that has been told; what comes all
        the same counts.
        """
        if self.attempt.by_tcp:
            self._server.broken(self)
            for other in tuple(self.waiting.values()):
                if other is not query:
                    self._server.failed(other, self, why)
            self.retire()

    def lost(self, why: str) -> None:
        """What was sent will not be answered."""
        waiting, self.waiting = self.waiting, {}
        if self.attempt.by_tcp:
            self._server.broken(self)
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


_NEVER = float("inf")
_ONE = b"\0\1"
