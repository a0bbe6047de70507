"""Events that come together, together: a command should run once for them."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

QUIET = 0.2  # seconds without an event that end a burst
LONGEST = 2.0  # seconds after which it ends however fast events come

_Event = TypeVar("_Event")


def bursts(
    events: Iterable[_Event],
    show: Callable[[_Event], object],
    *,
    quiet: float = QUIET,
    longest: float = LONGEST,
) -> Iterator[list[_Event]]:
    """Groups of events, n >= 1 each; what comes while a group is dealt with is the next.

    Args:
        events: As they happen; taken by a thread of its own.
        show: Gets each of them at once, in that thread.
        quiet: Seconds without an event that end a group.
        longest: Seconds that a group may take to come together.
    """
    came: queue.SimpleQueue[_Event | None] = queue.SimpleQueue()
    failed: list[BaseException] = []

    def take() -> None:
        try:
            for event in events:
                show(event)
                came.put(event)
        except BaseException as error:  # raised again where somebody sees it
            failed.append(error)
        came.put(None)

    threading.Thread(target=take, name="dnssd-watch", daemon=True).start()
    while (first := came.get()) is not None:
        burst: list[_Event | None] = [first]
        end = time.monotonic() + longest
        with contextlib.suppress(queue.Empty):
            while burst[-1] is not None and (left := end - time.monotonic()) > 0:
                burst.append(came.get(timeout=min(quiet, left)))
        yield [event for event in burst if event is not None]
        if burst[-1] is None:
            break
    if failed:
        raise failed[0]
