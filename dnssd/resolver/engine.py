"""Looks names up and keeps them fresh; runs in one event loop's thread.

It waits for nothing but the disk, where snapshots are saved.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

from dnssd.errors import NotFound, Unavailable
from dnssd.names import Name
from dnssd.resolver.cache import OVERDUE, Cache, CacheEntry
from dnssd.resolver.disk import SnapshotFiles
from dnssd.resolver.learning import Learning, Scope
from dnssd.resolver.listeners import Listener, Listeners, call_back
from dnssd.resolver.lookup import GRACE, NEWS, Lookup, Shares, closed, unexpected
from dnssd.resolver.snapshot import Endpoint, HasWay, Snapshot, everywhere
from dnssd.resolver.stats import Statistics
from dnssd.resolver.targets import unasked
from dnssd.resolver.validated import Asks
from dnssd.services import ServiceName
from dnssd.wire.answers import Answer
from dnssd.wire.loop import Loop, Timer
from dnssd.wire.timers import Timers

_log = logging.getLogger(__name__)


class Engine:
    """Fills a cache, and keeps in it what is used.

    Args:
        loop: Calls it back; everything here belongs to its thread.
        client: Asks name servers; is closed with this.
        cache: What is known already.
        rng: Gives a random number in [0, 1).
        wall: The time of day, in UTC.
        saved: Keeps snapshots over restarts.
        statistics: Counts what is done.
        has_way: As for `build_snapshot`.
    """

    def __init__(
        self,
        loop: Loop,
        client: Asks,
        cache: Cache,
        *,
        rng: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        saved: SnapshotFiles | None = None,
        statistics: Statistics | None = None,
        has_way: HasWay = everywhere,
    ) -> None:
        self._loop = loop
        self._client = client
        self._cache = cache
        self._limits = cache.limits
        self._rng = rng
        self._learning = Learning(cache.limits, rng, saved, statistics, has_way)
        self._saved = saved
        self._lookups: dict[CacheEntry, Lookup] = {}
        self._shares = Shares()
        self._graces: Timers[Lookup] = Timers(loop, self._late)
        self._timers: dict[CacheEntry, Timer] = {}
        self._listeners = Listeners(wall)
        self._asking: dict[int, tuple[Name, Callable[[Unavailable], object]]] = {}
        self._numbers = count()
        self._take_over()

    def want(self, text: str, asked: ServiceName, done: Callable[[CacheEntry], object]) -> None:
        """Call back once there is something to be said about a name, good or bad."""
        now = self._loop.time()
        entry = self._cache.entry(text, asked, now)
        entry.used = True
        if self._is_known(entry, now):
            done(entry)
        elif lookup := self._lookups.get(entry):
            lookup.done.append(done)
        else:
            lookup = self._begun(entry, now)
            lookup.done.append(done)
            lookup.advance()

    def complete(
        self, text: str, asked: ServiceName, done: Callable[[Sequence[Endpoint]], object]
    ) -> None:
        """Call back with the endpoints of a name once both families of all targets were asked for.

        A first look-up goes without one of them, where the other came along.
        """
        now = self._loop.time()
        entry = self._cache.entry(text, asked, now)
        if entry.snapshot and unasked(entry.found):
            self._look_up(entry, now, "rest" if now < entry.snapshot.expires_at else "due")

        def completed(entry: CacheEntry) -> None:
            done(entry.snapshot.endpoints if entry.snapshot else ())

        if lookup := self._lookups.get(entry):
            lookup.done.append(completed)
        else:
            completed(entry)

    def pointers(
        self, name: Name, done: Callable[[Answer | Unavailable], object], *, again: bool = True
    ) -> None:
        """Ask for the PTR records of a name; again if this program stood still meanwhile."""
        deadline = self._loop.time() + self._limits.timeout
        number = next(self._numbers)
        self._asking[number] = name, done

        def answered(answer: Answer | Unavailable) -> None:
            if self._asking.pop(number, None):  # else the end has been told
                if again and self._loop.time() >= deadline + OVERDUE:
                    self.pointers(name, done, again=False)
                else:
                    done(answer)

        self._client.ask(name, "PTR", deadline, answered, NEWS)

    def listen(self, asked: ServiceName, listener: Listener) -> None:
        """Tell a listener of what is known now and of all that happens; None is the end."""
        now = self._loop.time()
        entry = self._cache.entry(str(asked.name), asked, now)
        self._listeners.add(entry, listener)
        if not self._is_known(entry, now):
            self._look_up(entry, now)
        elif entry not in self._timers and entry not in self._lookups:
            self._wind(entry, now)

    def unlisten(self, asked: ServiceName, listener: Listener) -> None:
        """Tell it nothing more."""
        self._listeners.remove(asked.name, listener)

    def clear(self) -> None:
        """Forget all; what is watched is looked up anew."""
        now = self._loop.time()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for entry in self._cache:
            self._cache.remove(entry)
        for former in self._listeners:
            entry = self._cache.entry(str(former.asked.name), former.asked, now)
            if told := former.snapshot:  # to listeners; nobody else is to be told it again
                entry.snapshot = replace(told, expires_at=now)
            self._listeners.move(former, entry)
            self._look_up(entry, now)

    def close(self) -> None:
        """Free what it holds; whoever waits is told, and listeners that it is the end."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._client.close()
        self._graces.clear()
        lookups, self._lookups = self._lookups, {}
        for entry, lookup in lookups.items():
            entry.unavailable = closed(entry.asked.name)
            lookup.finished = True
            for wants in lookup.done:
                call_back(wants, entry)
        for name, done in self._asking.values():
            call_back(done, closed(name))
        self._asking.clear()
        self._listeners.end()

    def _take_over(self) -> None:
        """Keep fresh what is in the cache already."""
        now = self._loop.time()
        for entry in self._cache:
            if entry.snapshot is not None and now < entry.snapshot.expires_at:
                self._wind(entry, now)
            else:  # expired while nobody looked after it: whoever wants it has it looked up
                entry.warm = False

    def _is_known(self, entry: CacheEntry, now: float) -> bool:
        try:
            return entry.current(now, self._limits) is not None
        except (NotFound, Unavailable):
            return True

    def _look_up(self, entry: CacheEntry, now: float, scope: Scope = "due") -> None:
        """Begin a look-up if there is none under way."""
        if entry not in self._lookups:
            lookup = self._begun(entry, now, scope)
            (lookup.complete if scope == "rest" else lookup.advance)()

    def _begun(self, entry: CacheEntry, now: float, scope: Scope = "due") -> Lookup:
        if timer := self._timers.pop(entry, None):
            timer.cancel()
        lookup = Lookup(
            self._client,
            self._loop.time,
            self._shares,
            entry,
            self._limits.timeout,
            self._told,
            self._learned,
            whole=scope == "all",
        )
        self._lookups[entry] = lookup
        # A first one does not end early where an older answer is there, with both families.
        if entry.snapshot is None or not lookup.is_first:
            self._graces.add(now + GRACE / 2, lookup)
        return lookup

    def _late(self, lookup: Lookup, at: float) -> None:
        """A first look-up takes its time."""
        lookup.late(at)
        if not lookup.finished:
            self._graces.add(at + GRACE / 2, lookup)

    def _told(self, lookup: Lookup) -> None:
        """A look-up that goes on has news."""
        entry = lookup.entry
        if self._lookups.get(entry) is not lookup or not entry.texts:
            return
        before = entry.snapshot
        if not self._learning.take_news(lookup, self._loop.time()):
            return  # the end of it may tell more
        self._tell(entry, before)
        self._call_back(lookup)

    def _learned(self, lookup: Lookup) -> None:
        """A look-up has come to its end."""
        entry = lookup.entry
        if self._lookups.pop(entry, None) is None:
            return  # closed meanwhile
        if lookup.stood_still and not lookup.is_repeat:
            again = self._begun(entry, self._loop.time())
            again.is_repeat, again.done = True, lookup.done
            again.advance()
            return
        if not self._lookups:
            self._graces.clear()
        try:
            self._take(entry, lookup)
        except Exception as error:  # a mistake here must leave nobody waiting
            _log.exception("%s: unexpected error", entry.asked.name)
            failure = unexpected(entry.asked.name, error)
            entry.learn_failure(failure, self._loop.time(), self._limits)
        self._call_back(lookup)

    def _call_back(self, lookup: Lookup) -> None:
        waiting, lookup.done = lookup.done, []
        for done in waiting:
            call_back(done, lookup.entry)

    def _take(self, entry: CacheEntry, lookup: Lookup) -> None:
        """Take in what a look-up has found, and see to the next one."""
        now = self._loop.time()
        before = entry.snapshot
        when, scope = self._learning.take(lookup, now)
        self._tell(entry, before)
        entry.warm = entry.snapshot is not None
        if entry.texts:  # else it was forgotten meanwhile
            self._wind(entry, now, when, scope)
        for other in self._cache.surplus(self._is_busy):
            if timer := self._timers.pop(other, None):
                timer.cancel()

    def _wind(
        self, entry: CacheEntry, now: float, when: float | None = None, scope: Scope = "due"
    ) -> None:
        """Have the loop call when it is time to look again, if anybody may want it."""
        if entry.snapshot is None and entry not in self._listeners:
            return
        at = entry.next_look(now, self._rng) if when is None else when
        if timer := self._timers.pop(entry, None):
            timer.cancel()
        self._timers[entry] = self._loop.call_at(at, self._look_again, entry, scope)

    def _look_again(self, entry: CacheEntry, scope: Scope) -> None:
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
        self._look_up(entry, now, scope)

    def _is_busy(self, entry: CacheEntry) -> bool:
        return entry in self._lookups or entry in self._listeners

    def _tell(self, entry: CacheEntry, before: Snapshot | None) -> None:
        """Tell listeners and the store what has changed."""
        after = entry.snapshot
        if after is before:
            return
        self._listeners.tell(entry, before)
        if self._saved and (after is None or after.status == "fresh"):
            self._saved.save(entry.asked, after, self._loop.time())
