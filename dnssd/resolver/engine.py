"""Looks names up and keeps them fresh; runs in one event loop's thread.

It waits for nothing but the disk, where snapshots are saved.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Protocol, TypeVar

from dnssd.errors import NotFound, Unavailable
from dnssd.names import Name
from dnssd.resolver.cache import Cache, Entry
from dnssd.resolver.events import Event, events
from dnssd.resolver.flight import GRACE, NEWS, Flight, Questioner
from dnssd.resolver.gather import LEFT_ALONE, Gathered, Steps, complete, gather, is_untold
from dnssd.resolver.snapshot import MAX_INSTANCES, Snapshot, build_snapshot
from dnssd.services import ServiceName
from dnssd.wire.answers import Answer
from dnssd.wire.loop import Loop, Timer

VERIFY = 0.2  # seconds after a first look-up in trouble
COMPLETE = 1.0  # seconds, give or take, until the other address family is asked for

_log = logging.getLogger(__name__)
_Told = TypeVar("_Told")
Listener = Callable[[Event | None], object]


class Saved(Protocol):
    """Keeps snapshots over restarts (see `resolver.store.Store`)."""

    def load(self, asked: ServiceName, now: float) -> Snapshot | None:
        """What was saved, if it is not too old."""

    def save(self, asked: ServiceName, snapshot: Snapshot | None, now: float) -> None:
        """Keep a snapshot; None to forget the one that is kept."""


def _ignore(entry: Entry) -> None:
    """Nobody waits for it."""


class Engine:
    """Fills a cache, and keeps in it what is used.

    Args:
        loop: Calls it back; everything here belongs to its thread.
        questioner: Asks name servers; is closed with this.
        cache: What is known already.
        rng: Gives a random number in [0, 1).
        wall: The time of day, in UTC.
        saved: Keeps snapshots over restarts.
    """

    def __init__(
        self,
        loop: Loop,
        questioner: Questioner,
        cache: Cache,
        *,
        rng: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        saved: Saved | None = None,
    ) -> None:
        self._loop = loop
        self._questioner = questioner
        self._cache = cache
        self._limits = cache.limits
        self._rng = rng
        self._wall = wall
        self._saved = saved
        self._flights: dict[Entry, Flight] = {}
        self._timers: dict[Entry, Timer] = {}
        self._listeners: dict[Entry, list[Listener]] = {}
        self._asking: dict[int, tuple[Name, Callable[[Unavailable], object]]] = {}
        self._numbers = count()
        now = loop.time()
        for entry in cache:
            if entry.snapshot is not None and now < entry.snapshot.expires_at:
                self._wind(entry, now)
            else:  # expired while nobody looked after it: whoever wants it has it looked up
                entry.warm = False

    def want(self, text: str, asked: ServiceName, done: Callable[[Entry], object]) -> None:
        """Call back once there is something to be said about a name, good or bad."""
        now = self._loop.time()
        entry = self._cache.entry(text, asked, now)
        entry.used = True
        if self._is_known(entry, now):
            done(entry)
        else:
            self._flight(entry, now, done=done)

    def pointers(self, name: Name, done: Callable[[Answer | Unavailable], object]) -> None:
        """Ask for the PTR records of a name."""
        deadline = self._loop.time() + self._limits.timeout
        number = next(self._numbers)
        self._asking[number] = name, done

        def answered(answer: Answer | Unavailable) -> None:
            if self._asking.pop(number, None):  # else the end has been told
                done(answer)

        self._questioner.ask(name, "PTR", deadline, answered, NEWS)

    def listen(self, asked: ServiceName, listener: Listener) -> None:
        """Tell a listener of what is known now and of all that happens; None is the end."""
        now = self._loop.time()
        entry = self._cache.entry(str(asked.name), asked, now)
        self._listeners.setdefault(entry, []).append(listener)
        for event in events(None, entry.snapshot, str(entry.asked.name), self._wall()):
            _call(listener, event)
        if not self._is_known(entry, now):
            self._flight(entry, now)
        elif entry not in self._timers and entry not in self._flights:
            self._wind(entry, now)

    def unlisten(self, asked: ServiceName, listener: Listener) -> None:
        """Tell it nothing more."""
        for entry, listeners in tuple(self._listeners.items()):
            if entry.asked.name == asked.name and listener in listeners:  # in whatever case
                listeners.remove(listener)
                if not listeners:
                    del self._listeners[entry]

    def clear(self) -> None:
        """Forget all; what is watched is looked up anew."""
        now = self._loop.time()
        watched = tuple(self._listeners.items())
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._listeners.clear()
        for entry in self._cache:
            self._cache.remove(entry)
        for former, listeners in watched:
            entry = self._cache.entry(str(former.asked.name), former.asked, now)
            if told := former.snapshot:  # to listeners; nobody else is to be told it again
                entry.snapshot = replace(told, expires_at=now)
            self._listeners[entry] = listeners
            self._flight(entry, now)

    def close(self) -> None:
        """Free what it holds; whoever waits is told, and listeners that it is the end."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._questioner.close()
        for entry, flight in tuple(self._flights.items()):
            entry.unavailable = _closed(entry.asked.name)
            flight.cancel()
            self._finish(entry, flight)
        self._flights.clear()
        for name, done in self._asking.values():
            _call(done, _closed(name))
        self._asking.clear()
        for listeners in self._listeners.values():
            for listener in listeners:
                _call(listener, None)
        self._listeners.clear()

    def _is_known(self, entry: Entry, now: float) -> bool:
        try:
            return entry.current(now, self._limits) is not None
        except (NotFound, Unavailable):
            return True

    def _flight(
        self,
        entry: Entry,
        now: float,
        steps: Steps | None = None,
        done: Callable[[Entry], object] = _ignore,
    ) -> None:
        """Call back at the end of the look-up under way; one is begun if there is none."""
        flight = self._flights.get(entry)
        if flight is not None:
            flight.done.append(done)
        else:
            if timer := self._timers.pop(entry, None):
                timer.cancel()
            deadline = now + self._limits.timeout
            over = partial(self._over, entry)
            # Nobody is in haste where an older answer is there, which may have both families.
            grace = GRACE if entry.snapshot is None else None
            flight = Flight(self._questioner, self._loop, entry.found, deadline, over, grace)
            flight.done.append(done)
            self._flights[entry] = flight
            flight.start(steps or gather(entry.asked, entry.found, now))

    def _over(self, entry: Entry, outcome: Gathered | Unavailable) -> None:
        """A look-up has come to its end."""
        flight = self._flights[entry]
        try:
            if isinstance(outcome, Gathered):
                self._landed(entry, flight, outcome)
            else:
                self._failed(entry, flight, outcome)
        except Exception as error:  # a mistake here must leave nobody waiting
            _log.exception("%s: unexpected error", entry.asked.name)
            what = f"{entry.asked.name}: unexpected {type(error).__name__}; see the log"
            entry.learn_failure(Unavailable(what), self._loop.time(), self._limits)
            self._flights.pop(entry, None)
            self._finish(entry, flight)

    def _landed(self, entry: Entry, flight: Flight, gathered: Gathered) -> None:
        now = self._loop.time()
        for failure in gathered.failures:
            _log.log(logging.DEBUG if entry.failures else logging.WARNING, "%s", failure)
        if gathered.cut and flight.is_first:
            _log.warning("%s: only %d instances are looked at", entry.asked.name, MAX_INSTANCES)
        before = entry.snapshot
        try:
            snapshot = build_snapshot(entry.asked, gathered.found)
        except NotFound as error:
            if gathered.in_part:  # what was not answered may well be there
                self._failed(entry, flight, gathered.failures[0])
                return
            entry.learn_missing(error, gathered.found, now)
        else:
            entry.learn(snapshot, gathered.found, now, in_part=gathered.in_part)
        self._tell(entry, before)
        is_first = flight.is_first and entry.snapshot is not None
        if is_first and flight.in_trouble:  # a lie may have come through: look again, with doubt
            self._end(entry, flight, now + VERIFY)
        elif is_first and gathered.incomplete and entry.ttl > 4 * COMPLETE:  # no refresh is near
            soon = now + COMPLETE * (0.5 + self._rng())
            self._end(entry, flight, soon, complete(entry.found, now))
        elif not flight.is_first and is_untold(entry.found, now):  # however long the TTL is
            self._end(entry, flight, min(entry.next_look(now, self._rng), now + LEFT_ALONE))
        else:
            self._end(entry, flight)

    def _failed(self, entry: Entry, flight: Flight, error: Unavailable) -> None:
        now = self._loop.time()
        before = entry.snapshot
        entry.learn_failure(error, now, self._limits)
        if entry.snapshot is None and self._saved:
            saved = self._saved.load(entry.asked, now)
            if saved is not None:
                entry.restore(saved)
        if entry.snapshot is not None:
            level = logging.WARNING if entry.failures == 1 else logging.DEBUG
            _log.log(level, "%s; going on with what is known", error)
        self._tell(entry, before)
        self._end(entry, flight)

    def _end(
        self,
        entry: Entry,
        flight: Flight,
        when: float | None = None,
        steps: Steps | None = None,
    ) -> None:
        """Go on to the next look, at a time and with steps of its own if there are any."""
        del self._flights[entry]
        entry.warm = entry.snapshot is not None
        if entry.texts:  # else it was forgotten meanwhile
            self._wind(entry, self._loop.time(), when, steps)
        for other in self._cache.surplus(self._is_busy):
            if timer := self._timers.pop(other, None):
                timer.cancel()
        self._finish(entry, flight)

    def _finish(self, entry: Entry, flight: Flight) -> None:
        """Tell who waits."""
        done, flight.done = flight.done, []
        for one in done:
            _call(one, entry)

    def _wind(
        self, entry: Entry, now: float, when: float | None = None, steps: Steps | None = None
    ) -> None:
        """Have the loop call when it is time to look again, if anybody may want it."""
        if entry.snapshot is None and entry not in self._listeners:
            return
        at = entry.next_look(now, self._rng) if when is None else when
        if timer := self._timers.pop(entry, None):
            timer.cancel()
        self._timers[entry] = self._loop.call_at(at, self._look_again, entry, steps)

    def _look_again(self, entry: Entry, steps: Steps | None) -> None:
        del self._timers[entry]
        now = self._loop.time()
        snapshot = entry.snapshot
        if entry in self._listeners:
            entry.used = True
        if entry.is_idle(now):
            entry.warm = False
            return
        entry.expire(now)
        self._tell(entry, snapshot)
        self._flight(entry, now, steps)

    def _is_busy(self, entry: Entry) -> bool:
        return entry in self._flights or entry in self._listeners

    def _tell(self, entry: Entry, before: Snapshot | None) -> None:
        """Tell listeners and the store what has changed."""
        after = entry.snapshot
        if after is before:
            return
        if listeners := self._listeners.get(entry):
            for event in events(before, after, str(entry.asked.name), self._wall()):
                for listener in tuple(listeners):
                    _call(listener, event)
        if self._saved and (after is None or after.status == "fresh"):
            self._saved.save(entry.asked, after, self._loop.time())


def _closed(name: Name) -> Unavailable:
    return Unavailable(f"{name}: the resolver was closed while it was looked up; look it up again")


def _call(callback: Callable[[_Told], object], told: _Told) -> None:
    """Call back, and go on whatever goes wrong there."""
    try:
        callback(told)
    except Exception:  # of a caller's own; others are to be told all the same
        _log.exception("unexpected error in a callback")
