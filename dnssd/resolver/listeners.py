"""Who watches what, and is told what happens to it."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from dnssd.names import Name
from dnssd.resolver.cache import CacheEntry
from dnssd.resolver.events import Event, events
from dnssd.resolver.snapshot import Snapshot

_log = logging.getLogger(__name__)
_Told = TypeVar("_Told")
Listener = Callable[[Event | None], object]


class Listeners:
    """Gets events told; None is the end.

    Args:
        wall: The time of day, in UTC.
    """

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self._wall = wall
        self._by_entry: dict[CacheEntry, list[Listener]] = {}

    def __contains__(self, entry: CacheEntry) -> bool:
        return entry in self._by_entry

    def __iter__(self) -> Iterator[CacheEntry]:
        """What is watched."""
        return iter(tuple(self._by_entry))

    def __len__(self) -> int:
        return len(self._by_entry)

    def add(self, entry: CacheEntry, listener: Listener) -> None:
        """Tell a listener of what is known now and of all that happens."""
        self._by_entry.setdefault(entry, []).append(listener)
        for event in events(None, entry.snapshot, str(entry.asked.name), self._wall()):
            call_back(listener, event)

    def remove(self, name: Name, listener: Listener) -> None:
        """Tell it nothing more."""
        for entry, listeners in tuple(self._by_entry.items()):
            if entry.asked.name == name and listener in listeners:  # in whatever case
                listeners.remove(listener)
                if not listeners:
                    del self._by_entry[entry]

    def move(self, former: CacheEntry, entry: CacheEntry) -> None:
        """The listeners of one entry are those of another from now on."""
        self._by_entry[entry] = self._by_entry.pop(former)

    def tell(self, entry: CacheEntry, before: Snapshot | None) -> None:
        """Tell what has changed since `before`."""
        if listeners := self._by_entry.get(entry):
            for event in events(before, entry.snapshot, str(entry.asked.name), self._wall()):
                for listener in tuple(listeners):
                    call_back(listener, event)

    def end(self) -> None:
        """Tell all that it is the end."""
        for listeners in self._by_entry.values():
            for listener in listeners:
                call_back(listener, None)
        self._by_entry.clear()


def call_back(callback: Callable[[_Told], object], told: _Told) -> None:
    """Call back, and go on whatever goes wrong there."""
    try:
        callback(told)
    except Exception:  # of a caller's own; others are to be told all the same
        _log.exception("unexpected error in a callback")
