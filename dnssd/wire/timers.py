"""When to come back to what: any number of times, kept with one timer of a loop."""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Generic, Protocol, TypeVar

from dnssd.wire.loop import Loop, Timer

ROUNDS = 4  # of the loop, in which it reads all answers that wait


class Item(Protocol):
    """What there is to come back to."""

    finished: bool  # whether there is no more need to


_Item = TypeVar("_Item", bound=Item)


class Timers(Generic[_Item]):
    """Calls back with each item at its time.

    Before it does, it has the loop go a few rounds more: where this program was slow, what
    would be called late may have arrived, and waits to be read.

    Args:
        loop: Has the clock and the timer.
        due: Gets an item whose time has come, and the time as it was before those rounds.
    """

    def __init__(self, loop: Loop, due: Callable[[_Item, float], object]) -> None:
        self._loop = loop
        self._due = due
        self._items: list[tuple[float, int, _Item]] = []
        self._number = count()  # items themselves have no order
        self._timer: Timer | None = None
        self._timer_at = _NEVER

    def add(self, when: float, item: _Item) -> None:
        """Come back to an item at that time, in seconds."""
        heapq.heappush(self._items, (when, next(self._number), item))
        if when < self._timer_at:
            self._wind()

    def clear(self) -> None:
        """Come back to nothing."""
        self._items.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = _NEVER

    def _next_at(self) -> float:
        """When the first item is due that is not finished; those before it are dropped."""
        while self._items and self._items[0][2].finished:
            heapq.heappop(self._items)
        return self._items[0][0] if self._items else _NEVER

    def _wind(self) -> None:
        """Have the loop call when the first item is due."""
        at = self._next_at()
        if at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer_at = _NOW
        self._go_round(self._loop.time(), ROUNDS)

    def _go_round(self, now: float, left: int) -> None:
        if left and self._next_at() <= now:
            self._timer = self._loop.call_at(now, self._go_round, now, left - 1)
        else:
            self._act(now)

    def _act(self, now: float) -> None:
        try:
            while self._next_at() <= now:
                self._due(heapq.heappop(self._items)[2], now)
        finally:
            self._timer_at = _NEVER
            self._wind()


_NEVER = float("inf")
_NOW = float("-inf")  # nothing is earlier
