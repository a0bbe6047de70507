"""Events that come together, together: a command should run once for them."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

QUIET_SECONDS = 0.2  # without an event, that end a burst
LONGEST_SECONDS = 2.0  # after which it ends however fast events come

_Event = TypeVar("_Event")


def bursts(
    events: Iterable[_Event],
    show: Callable[[_Event], object],
    *,
    quiet: float = QUIET_SECONDS,
    longest: float = LONGEST_SECONDS,
    idle: float | None = None,
) -> Iterator[list[_Event]]:
    """Groups of events, n >= 1 each; what comes while a group is dealt with is the next.

    Args:
        events: As they happen; taken by a thread of its own.
        show: Gets each of them at once, in that thread.
        quiet: Seconds without an event that end a group.
        longest: Seconds that a group may take to come together.
        idle: Seconds without an event after which a group without events comes; None for never.
    """
    source = _Source(events, show)
    while (burst := source.burst(quiet, longest, idle)) or not source.has_ended:
        yield burst
    if source.error is not None:
        raise source.error


class _Source(Generic[_Event]):
    """Takes events in a thread, until there are no more or one fails.

    Attributes:
        error: What ended them, to be raised where somebody sees it.
        has_ended: Whether all of them have been told.
    """

    def __init__(self, events: Iterable[_Event], show: Callable[[_Event], object]) -> None:
        self.error: BaseException | None = None
        self.has_ended = False
        self._came: queue.SimpleQueue[_Event | None] = queue.SimpleQueue()  # None: the end
        threading.Thread(
            target=self._take, args=(events, show), name="dnssd-watch", daemon=True
        ).start()

    def burst(self, quiet: float, longest: float, idle: float | None) -> list[_Event]:
        """What comes together next; nothing at the end, or where nothing comes."""
        burst: list[_Event] = []
        end = 0.0
        while not self.has_ended:
            try:
                left = min(quiet, end - time.monotonic()) if burst else idle
                event = self._next(left)
            except queue.Empty:
                break
            if event is None:
                self.has_ended = True
            else:
                end = end if burst else time.monotonic() + longest
                burst.append(event)
        return burst

    def _next(self, seconds: float | None) -> _Event | None:
        if seconds is not None and seconds <= 0:
            raise queue.Empty
        return self._came.get(timeout=seconds)

    def _take(self, events: Iterable[_Event], show: Callable[[_Event], object]) -> None:
        try:
            for event in events:
                show(event)
                self._came.put(event)
        except BaseException as error:
            self.error = error
        self._came.put(None)
