"""What a look-up teaches: how its outcome changes what is known, and when to look again."""

import logging
from collections.abc import Callable
from typing import Literal

from dnssd.errors import NotFound, Unavailable
from dnssd.names import Name
from dnssd.resolver.cache import CacheEntry, CachePolicy
from dnssd.resolver.disk import SnapshotFiles
from dnssd.resolver.known import LEFT_ALONE, is_untold
from dnssd.resolver.lookup import Lookup
from dnssd.resolver.outcome import LookupResult
from dnssd.resolver.snapshot import MAX_INSTANCES, HasWay, build_snapshot, everywhere
from dnssd.resolver.stats import Statistics

VERIFY = 0.2  # seconds after a first look-up in trouble
COMPLETE = 1.0  # seconds, give or take, until the other address family is asked for

Scope = Literal["due", "rest", "all"]  # of a look: what is near its end, what was left out, all

_log = logging.getLogger(__name__)


class Learning:
    """Puts into entries what look-ups have found.

    Args:
        limits: How long things are remembered.
        rng: Gives a random number in [0, 1).
        saved: Keeps snapshots over restarts.
        statistics: Counts what fails.
        has_way: As for `build_snapshot`.
    """

    def __init__(
        self,
        limits: CachePolicy,
        rng: Callable[[], float],
        saved: SnapshotFiles | None = None,
        statistics: Statistics | None = None,
        has_way: HasWay = everywhere,
    ) -> None:
        self._has_way = has_way
        self._limits = limits
        self._rng = rng
        self._saved = saved
        self._statistics = statistics

    def take(self, lookup: Lookup, now: float) -> tuple[float | None, Scope]:
        """Take in what has come of a look-up that is over.

        Args:
            lookup: It; its entry learns.
            now: Monotonic clock reading, in seconds.

        Returns:
            When to look again, if that is another time than usual, and what for.
        """
        entry, failed = lookup.entry, True
        try:
            result = lookup.result()
            failed = bool(result.failures)
            if result.failures or result.missing or result.cut:
                self._log_result(entry, lookup, result)
            return self._take_result(entry, lookup, result, now)
        except Unavailable as error:
            self._take_failure(entry, error.with_traceback(None), now)
            return None, "due"
        finally:
            if self._statistics:
                self._statistics.refreshes_failed += failed and not lookup.is_first
                if now >= self._statistics.log_at:
                    self._statistics.log(now)

    def take_news(self, lookup: Lookup, now: float) -> bool:
        """Take in what has come of one that goes on; whether that is anything of use."""
        entry = lookup.entry
        try:
            result = lookup.result()
            snapshot = build_snapshot(entry.asked, result.found, result.missing, self._has_way)
        except (NotFound, Unavailable):
            return False
        entry.learn(snapshot, dict(result.found), now, in_part=True)
        return True

    def _take_result(
        self, entry: CacheEntry, lookup: Lookup, result: LookupResult, now: float
    ) -> tuple[float | None, Scope]:
        """Take in what was found.

        Raises:
            Unavailable: There is nothing, and that may be because something was not answered.
        """
        try:
            snapshot = build_snapshot(entry.asked, result.found, result.missing, self._has_way)
        except NotFound as error:
            if result.in_part:  # what was not answered may well be there
                raise next(iter(result.failures), _lost(entry.asked.name)) from None
            entry.learn_missing(error, result.found, now)
            return None, "due"
        entry.learn(snapshot, result.found, now, in_part=result.in_part)
        if lookup.is_first and lookup.in_trouble:
            return now + VERIFY, "all"  # a lie may have come through: look again, with doubt
        if result.in_part:
            return None, "due"  # soon, as after any failure
        if lookup.is_first and result.incomplete and entry.ttl > 4 * COMPLETE:
            return now + COMPLETE * (0.5 + self._rng()), "rest"  # no refresh is near
        if not lookup.is_first and is_untold(entry.found, now):  # however long the TTL is
            return min(entry.next_look(now, self._rng), now + LEFT_ALONE), "due"
        return None, "due"

    def _log_result(self, entry: CacheEntry, lookup: Lookup, result: LookupResult) -> None:
        for failure in result.failures:
            _log.log(logging.DEBUG if entry.failures else logging.WARNING, "%s", failure)
        if result.missing and lookup.is_first:
            told = ", ".join(f"{name} {rdtype}" for name, rdtype in result.missing)
            _log.warning("%s: going on without %s", entry.asked.name, told)
        if result.cut and lookup.is_first:
            _log.warning("%s: only %d instances are looked at", entry.asked.name, MAX_INSTANCES)

    def _take_failure(self, entry: CacheEntry, error: Unavailable, now: float) -> None:
        """Nothing came of it: go on with what is known, or was by an earlier run."""
        entry.learn_failure(error, now, self._limits)
        if entry.snapshot is None and self._saved:
            saved = self._saved.load(entry.asked, now)
            if saved is not None:
                entry.restore(saved)
        if entry.snapshot is not None:
            level = logging.WARNING if entry.failures == 1 else logging.DEBUG
            _log.log(level, "%s; going on with what is known", error)


def _lost(name: Name) -> Unavailable:
    what = f"{name}: what it leads to now cannot be had; check its zone"
    return Unavailable(what, name=str(name))
