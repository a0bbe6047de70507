"""When to come back to what: any number of times, kept with one timer of a loop."""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

from dnssd.wire.loop import Loop, Timer

ROUNDS = 4  # of the loop's, in which all answers that wait are read

_Item = TypeVar("_Item")


class Agenda(Generic[_Item]):
    """Calls back with each item at its time.

    The loop goes its rounds once more before it does: where this program was slow, what is
    called late may well have arrived.

    Args:
        loop: Has the clock and the timer.
        due: Gets an item whose time has come, and what the time was before those rounds.
    """

    def __init__(self, loop: Loop, due: Callable[[_Item, float], object]) -> None:
        self._loop = loop
        self._due = due
        self._items: list[tuple[float, int, _Item]] = []
        self._number = count()  # items themselves have no order
        self._timer: Timer | None = None
        self._timer_at = 0.0

    def add(self, when: float, item: _Item) -> None:
        """Come back to an item at that time, in seconds."""
        heapq.heappush(self._items, (when, next(self._number), item))
        self._wind()

    def clear(self) -> None:
        """Come back to nothing."""
        self._items.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        """Have the loop call when the first item is due."""
        if self._items and (self._timer is None or self._items[0][0] < self._timer_at):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = self._items[0][0]
            self._timer = self._loop.call_at(self._timer_at, self._tick)

    def _tick(self) -> None:
        self._timer_at = float("-inf")  # until `_act` nothing calls earlier
        self._go_round(self._loop.time(), ROUNDS)

    def _go_round(self, now: float, left: int) -> None:
        if left:
            self._timer = self._loop.call_at(now, self._go_round, now, left - 1)
        else:
            self._act(now)

    def _act(self, now: float) -> None:
        self._timer = None
        while self._items and self._items[0][0] <= now:
            self._due(heapq.heappop(self._items)[2], now)
        self._wind()
