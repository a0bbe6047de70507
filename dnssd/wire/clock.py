"""A clock that goes on while the machine is suspended, and loops that go by it.

What was learned before a suspension is as old as it is; the usual monotonic clock of Linux
stands still meanwhile.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from dnssd.wire.loop import LONGEST_SLEEP, Loop, Timer


def _clock() -> Callable[[], float]:
    try:
        reading = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
        reading()
    except (AttributeError, OSError):  # another system than Linux, or one that forbids it
        return time.monotonic
    return reading


clock = _clock()  # in seconds


class ClockedLoop:
    """Another loop that goes by a given clock.

    Args:
        loop: Does the work; its own clock may stand still where the other one does not.
        time: The clock, in seconds.
    """

    def __init__(self, loop: Loop, time: Callable[[], float] = clock) -> None:
        self._loop = loop
        self.time = time
        self.add_reader, self.remove_reader = loop.add_reader, loop.remove_reader
        self.add_writer, self.remove_writer = loop.add_writer, loop.remove_writer

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back at that time or a little later; after a suspension within a minute."""
        left = when - self.time()
        if left > LONGEST_SLEEP:
            return _LongTimer(self, when, callback, args)
        return self._loop.call_at(self._loop.time() + left, callback, *args)


class _LongTimer:
    """A timer that looks at the clock on the way."""

    def __init__(
        self, loop: ClockedLoop, when: float, callback: Callable[..., object], args: Any
    ) -> None:
        self._loop = loop
        self._when = when
        self._callback = callback
        self._args = args
        self._wind()

    def cancel(self) -> None:
        """It shall not come."""
        self._timer.cancel()

    def _wind(self) -> None:
        now = self._loop.time()
        if self._when - now > LONGEST_SLEEP:
            self._timer = self._loop.call_at(now + LONGEST_SLEEP, self._wind)
        else:
            self._timer = self._loop.call_at(self._when, self._callback, *self._args)
