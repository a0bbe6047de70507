"""Servers that give no valid answer at all, and what is asked meanwhile (RFC 9520); pure.

Many attempts are for paths that lose packets. A server is dark once a whole burst has brought no
valid answer: from then on a question is put to it three times at most, and one that failed is
not put again for a second, then two, and so on. One valid answer ends all of that.
"""

from copy import copy
from typing import TYPE_CHECKING

from dnssd.errors import Unavailable
from dnssd.names import Name

if TYPE_CHECKING:
    from dnssd.wire.query import Query

BURST = 50  # packets: at 70 % faults so many fail in a row once in 50 million
ATTEMPTS = 3  # of a question, in its time, while all servers are dark
FIRST_HOLD, LAST_HOLD = 1.0, 300.0  # seconds that a failure is told again, without asking
LAST_LOOK = 5.0  # seconds after which one question is put all the same, in the end
REMEMBERED = 10_000  # failures


class Silence:
    """What has been sent to a server since its last valid answer.

    Attributes:
        is_dark: Whether it was dark when somebody last looked.
    """

    __slots__ = ("_packets", "_since", "is_dark")

    def __init__(self) -> None:
        self._packets = 0
        self._since = 0.0
        self.is_dark = False

    def sent(self, now: float) -> None:
        """A packet is sent."""
        if not self._packets:
            self._since = now
        self._packets += 1

    def excused(self) -> None:
        """A packet has got an answer that is neither valid nor a failure."""
        self._packets = max(0, self._packets - 1)

    def broken(self) -> bool:
        """A valid answer has come; whether the server was dark."""
        self._packets = 0
        was_dark, self.is_dark = self.is_dark, False
        return was_dark

    def look(self, now: float, late: float) -> bool:
        """Whether the server is dark.

        Args:
            now: Monotonic clock reading, in seconds.
            late: Seconds after which its answers are late: before, they may be on their way.
        """
        if self._packets >= BURST and now - self._since >= late:
            self.is_dark = True
        return self.is_dark


class Holds:
    """Failures that are told again while all servers are dark.

    Every few seconds a question is put all the same, to find out whether that is so: a look. What
    else is asked meanwhile waits for what comes of it.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[Name, str], tuple[Unavailable, float, float]] = {}
        self._look: Query | None = None
        self._look_at = self._pause = 0.0
        self._waiting: list[Query] = []

    def __bool__(self) -> bool:
        return bool(self._held)

    def until(self, query: "Query", now: float) -> float | None:
        """Until when a question waits before it is told its failure again; None to put it now."""
        held = self._held.get((query.asked, query.rdtype))
        if held is None or now >= held[1]:
            return None
        if self._look is None and now >= self._look_at:
            self._look = query
            return None
        query.held = copy(held[0])
        if self._look is None:
            return now
        self._waiting.append(query)
        return query.deadline

    def failed(self, query: "Query", error: Unavailable, now: float) -> "list[Query]":
        """A question has failed: that is told again for twice as long as last time.

        Returns:
            Those that have waited for it, and have failed too.
        """
        former = self._held.get((query.asked, query.rdtype))
        seconds = min(LAST_HOLD, 2 * former[2]) if former else FIRST_HOLD
        if former is None and len(self._held) >= REMEMBERED:
            del self._held[next(iter(self._held))]
        if not (self._held and now < self._look_at):
            self._pause = min(LAST_LOOK, 2 * self._pause) if self._held else FIRST_HOLD
            self._look_at = now + self._pause
        self._held[query.asked, query.rdtype] = error, now + seconds, seconds
        return self._ended() if query is self._look else []

    def clear(self) -> "list[Query]":
        """A server is back: whoever waits may be put."""
        self._held.clear()
        return self._ended()

    def _ended(self) -> "list[Query]":
        waiting, self._waiting, self._look = self._waiting, [], None
        return waiting
