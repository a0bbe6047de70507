"""Looks names up and keeps them fresh; runs in one event loop's thread and never blocks."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Protocol, TypeVar

from dnssd.errors import NotFound, Unavailable
from dnssd.names import Name
from dnssd.records import Address
from dnssd.resolver.cache import Cache, Entry
from dnssd.resolver.events import Event, events
from dnssd.resolver.gather import (
    FAMILIES,
    NOTHING,
    Gathered,
    Replies,
    Reply,
    Steps,
    complete,
    gather,
)
from dnssd.resolver.snapshot import (
    MAX_INSTANCES,
    Findings,
    Found,
    Question,
    Snapshot,
    build_snapshot,
)
from dnssd.services import ServiceName
from dnssd.wire.answers import Answer
from dnssd.wire.inquiry import TRUSTING, Doubt
from dnssd.wire.loop import Loop, Timer

VERIFY = 0.2  # seconds after a first look-up in trouble
COMPLETE = 1.0  # seconds, give or take, until the other address family is asked for
GONE = 10  # answers that must all lack a value which was there before
NEWS = Doubt(negatives=3)  # of a service not known before: absence after trouble is doubted

_ALIAS = "%s: an alias of %s; targets of SRV records must have addresses of their own (RFC 2782)"

_log = logging.getLogger(__name__)
_Told = TypeVar("_Told")
Listener = Callable[[Event | None], object]


class Questioner(Protocol):
    """Asks name servers (see `wire.asker.Asker`)."""

    @property
    def pressed(self) -> int:
        """Questions so far that one attempt did not settle."""

    def ask(
        self,
        name: Name,
        rdtype: str,
        deadline: float,
        done: Callable[[Answer | Unavailable], object],
        doubt: Doubt = ...,
    ) -> None:
        """Ask for one RRset."""

    def close(self) -> None:
        """Free what it holds."""


class Saved(Protocol):
    """Keeps snapshots over restarts (see `resolver.store.Store`)."""

    def load(self, asked: ServiceName, now: float) -> Snapshot | None:
        """What was saved, if it is not too old."""

    def save(self, asked: ServiceName, snapshot: Snapshot | None, now: float) -> None:
        """Keep a snapshot; None to forget the one that is kept."""


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
        self._flights: dict[Entry, _Flight] = {}
        self._timers: dict[Entry, Timer] = {}
        self._listeners: dict[Entry, list[Listener]] = {}
        self._asking: dict[int, tuple[Name, Callable[[Unavailable], object]]] = {}
        self._numbers = count()
        self._closed = False
        for entry in cache:
            if entry.warm:
                self._wind(entry, loop.time())

    def want(self, text: str, asked: ServiceName, done: Callable[[Entry], object]) -> None:
        """Call back once there is something to be said about a name, good or bad."""
        now = self._loop.time()
        entry = self._cache.entry(text, asked, now)
        entry.used = True
        if self._is_known(entry, now):
            done(entry)
        else:
            self._flight(entry, now).done.append(done)

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
        for event in events(None, entry.snapshot, str(asked.name), self._wall()):
            _call(listener, event)
        if not self._is_known(entry, now):
            self._flight(entry, now)
        elif entry not in self._timers and entry not in self._flights:
            self._wind(entry, now)

    def unlisten(self, asked: ServiceName, listener: Listener) -> None:
        """Tell it nothing more."""
        for entry, listeners in tuple(self._listeners.items()):
            if entry.asked == asked and listener in listeners:
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
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._questioner.close()
        for entry, flight in tuple(self._flights.items()):
            entry.unavailable = _closed(entry.asked.name)
            flight.finish(entry)
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

    def _flight(self, entry: Entry, now: float, steps: Steps | None = None) -> "_Flight":
        """The look-up under way; one is begun if there is none."""
        flight = self._flights.get(entry)
        if flight is None:
            if timer := self._timers.pop(entry, None):
                timer.cancel()
            steps = steps or gather(entry.asked, entry.found, now)
            deadline = now + self._limits.timeout
            flight = _Flight(steps, entry.found, deadline, self._questioner)
            self._flights[entry] = flight
            self._advance(entry, flight, None)
        return flight

    def _advance(self, entry: Entry, flight: "_Flight", replies: Replies | None) -> None:
        """Give the answers of one batch of questions, and ask the next."""
        outcome: Gathered | Unavailable
        try:
            questions: Sequence[Question] = flight.send(replies)
            while not questions:
                questions = flight.send(())
        except StopIteration as stop:
            outcome = stop.value
        except Unavailable as error:
            outcome = error.with_traceback(None)  # which would keep all of this
        else:
            self._ask(entry, flight, questions)
            return
        if isinstance(outcome, Gathered):
            self._landed(entry, flight, outcome)
        else:
            self._failed(entry, flight, outcome)

    def _ask(self, entry: Entry, flight: "_Flight", questions: Sequence[Question]) -> None:
        """Ask a batch of questions side by side, and go on when all are answered."""
        batch: list[Reply | Unavailable | None] = [None] * len(questions)
        left = count(len(questions) - 1, -1)

        def answered(at: int, answer: Answer | Unavailable) -> None:
            batch[at] = self._reply(answer)
            if isinstance(answer, Answer) and answer.via and questions[at][1] in FAMILIES:
                level = logging.WARNING if flight.is_first else logging.DEBUG
                _log.log(level, _ALIAS, questions[at][0], answer.via)
            if next(left) == 0 and not self._closed:
                self._advance(entry, flight, [reply for reply in batch if reply is not None])

        for at, question in enumerate(questions):
            flight.ask(question, partial(answered, at))

    def _reply(self, answer: Answer | Unavailable) -> Reply | Unavailable:
        if isinstance(answer, Unavailable):
            return answer
        now = self._loop.time()
        additional: dict[Question, Found] = {}
        for name, rdtype, ttl, address in answer.additional:
            if isinstance(address, Address):
                key = (name, rdtype)
                found = Found((address,), now + ttl)
                if known := additional.get(key):  # one TTL for an RRset, the smallest
                    until = min(known.expires_at, found.expires_at)
                    found = Found((*known.values, address), until)
                additional[key] = found
        expires_at = now + (answer.ttl if answer.signed else 0)
        return Reply(Found(answer.values, expires_at), additional)

    def _landed(self, entry: Entry, flight: "_Flight", gathered: Gathered) -> None:
        now = self._loop.time()
        for failure in gathered.failures:
            _log.log(logging.DEBUG if entry.failures else logging.WARNING, "%s", failure)
        if gathered.cut:
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
        self._end(entry, flight)
        if flight.is_first and entry.snapshot and entry.texts:
            if flight.in_trouble:  # a lie may have come through: look again, with doubt
                self._wind(entry, now, now + VERIFY)
            elif gathered.incomplete and entry.ttl > 4 * COMPLETE:  # else a refresh is near
                self._wind(entry, now, now + COMPLETE * (0.5 + self._rng()), complete(entry.found))

    def _failed(self, entry: Entry, flight: "_Flight", error: Unavailable) -> None:
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

    def _end(self, entry: Entry, flight: "_Flight") -> None:
        del self._flights[entry]
        entry.warm = entry.snapshot is not None
        now = self._loop.time()
        if entry.texts:  # else it was forgotten meanwhile
            self._wind(entry, now)
        for other in self._cache.surplus(self._is_busy):
            if timer := self._timers.pop(other, None):
                timer.cancel()
        flight.finish(entry)

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


class _Flight:
    """One look-up under way, and who waits for it."""

    __slots__ = ("_deadline", "_known", "_pressed", "_questioner", "_steps", "done")

    def __init__(
        self, steps: Steps, known: Findings, deadline: float, questioner: Questioner
    ) -> None:
        self._steps = steps
        self._known = known
        self._deadline = deadline
        self._questioner = questioner
        self._pressed = questioner.pressed
        self.done: list[Callable[[Entry], object]] = []

    @property
    def is_first(self) -> bool:
        """Whether nothing was known before."""
        return self._known is NOTHING

    @property
    def in_trouble(self) -> bool:
        """Whether questions had to be repeated meanwhile, of this look-up or another."""
        return self._questioner.pressed != self._pressed

    def send(self, replies: Replies | None) -> Sequence[Question]:
        """The next questions."""
        return next(self._steps) if replies is None else self._steps.send(replies)

    def ask(self, question: Question, done: Callable[[Answer | Unavailable], object]) -> None:
        """Ask one of them."""
        self._questioner.ask(*question, self._deadline, done, self._doubt(question))

    def finish(self, entry: Entry) -> None:
        """Tell who waits."""
        done, self.done = self.done, []
        for one in done:
            _call(one, entry)

    def _doubt(self, question: Question) -> Doubt:
        known = self._known.get(question)
        if known is not None and known.values:
            return Doubt(frozenset(known.values), answers=GONE)
        return TRUSTING if question[1] in FAMILIES else NEWS


def _closed(name: Name) -> Unavailable:
    return Unavailable(f"{name}: the resolver was closed while it was looked up; look it up again")


def _call(callback: Callable[[_Told], object], told: _Told) -> None:
    """Call back; what goes wrong there is no reason not to tell others."""
    try:
        callback(told)
    except Exception:
        _log.exception("unexpected error in a callback")
