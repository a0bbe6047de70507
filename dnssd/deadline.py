"""A caller's deadline, and how to wait under it."""

import random
import time
from collections.abc import Callable

from dnssd.errors import DeadlineExceeded, DnssdError

FIRST_WAIT_SECONDS = 1.0  # at most
LONGEST_WAIT_SECONDS = 30.0  # of all

Why = str | DnssdError  # what failed


class Deadline:
    """How long a caller will wait, and the clock, sleep and randomness it waits with."""

    def __init__(
        self,
        seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Start the clock.

        Args:
            seconds: From now to the deadline.
            monotonic: The clock, in seconds.
            sleep: Waits for that many seconds.
            draw: A random number in [0, 1).
        """
        self.seconds = seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._draw = draw
        self._expires_at = monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return max(0.0, self._expires_at - self._monotonic())

    def back_off(self, attempt: int, why: Why, *, cap: float = LONGEST_WAIT_SECONDS) -> None:
        """Wait with full jitter before another attempt: up to 1 s, 2 s, 4 s, ... 30 s.

        Args:
            attempt: How many attempts have failed before this one.
            why: What failed, for the error; an error hands its fields on.
            cap: Seconds, the longest wait.

        Raises:
            DeadlineExceeded: The deadline has passed.
        """
        self.pause(self._draw() * min(cap, FIRST_WAIT_SECONDS * 2.0 ** min(attempt, 10)), why)

    def splay(self, longest: float) -> None:
        """Wait for a random time below `longest` seconds: hosts that start together part."""
        if longest > 0:
            self._sleep(min(self._draw() * longest, self.remaining))

    def give_way(self, seconds: float, why: Why) -> None:
        """Wait for about `seconds`, half as long or half again.

        Raises:
            DeadlineExceeded: The deadline has passed.
        """
        self.pause((0.5 + self._draw()) * seconds, why)

    def pause(self, seconds: float, why: Why) -> None:
        """Wait for `seconds`, or until the deadline if that comes first.

        Raises:
            DeadlineExceeded: The deadline has passed.
        """
        remaining = self.remaining
        self._sleep(min(seconds, remaining))
        if seconds >= remaining:
            about = why.fields if isinstance(why, DnssdError) else {}
            raise DeadlineExceeded(
                f"{why}; the deadline of {round(self.seconds, 3):g} s has passed", **about
            )
