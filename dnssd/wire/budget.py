"""How many packets may be spent beyond the first of each question."""

from dataclasses import dataclass, field


class Budget:
    """A bucket of extra packets that answers fill: bad networks get many, dead ones none.

    One is shared by all resolvers of a process. A race between threads may miscount by a
    packet or two, which does no harm.

    Args:
        capacity: Packets that may be saved up.
        refund: What each answered question adds.
        trickle: What each second adds, so that there is a way back from nothing.
    """

    def __init__(
        self, capacity: float = 500.0, refund: float = 10.0, trickle: float = 10.0
    ) -> None:
        self._capacity = capacity
        self._refund = refund
        self._trickle = trickle
        self._left = capacity
        self._at: float | None = None

    def take(self, wanted: int, now: float) -> int:
        """Spend up to `wanted` packets; return how many there are.

        Args:
            wanted: Packets.
            now: Monotonic clock reading, in seconds.
        """
        if self._at is not None:
            self._left += max(0.0, now - self._at) * self._trickle
        self._at = now
        self._left = min(self._capacity, self._left)
        taken = min(wanted, int(self._left))
        self._left -= taken
        return taken

    def earn(self) -> None:
        """A question was answered."""
        self._left += self._refund  # `take` holds the capacity


@dataclass(slots=True)
class Counts:
    """What a resolver has sent so far.

    Attributes:
        questions: Asked of name servers.
        packets: Sent for them.
        repeats: Packets beyond the first of a question.
        dark: The name servers that give no valid answer at all now, as HOST:PORT.
    """

    questions: int = 0
    packets: int = 0
    repeats: int = 0
    dark: set[str] = field(default_factory=set)


PROCESS = Budget()
