"""Who is held back: what calls have told about endpoints.

An endpoint that fails several calls in a row is *ejected*: for a while it is used only where
too few others are left. When that while is over, one call decides, and the others go elsewhere
meanwhile: a failure ejects it again, for longer, and a success ends the run. A trial of which
nothing is heard is over after a time. What has been fine for long is forgotten.

    in service --failures in a row--> ejected --time--> on trial --success--> in service
                                         ^                  |
                                         +-failure (longer)-+

A call that began before an ejection tells nothing new: however late it ends, it neither
prolongs the ejection nor shortens it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

from dnssd.errors import UsageError

Key = tuple[str, int]  # an endpoint's target and port: whoever answers there

MAX_KEYS = 10_000  # endpoints remembered; of more, those are forgotten whose failure is oldest


@dataclass(frozen=True, slots=True)
class Ejection:
    """When an endpoint is ejected, and for how long.

    Attributes:
        failures: So many in a row eject, at least 1.
        first: How long, the first time, in seconds.
        growth: How many times longer each time it fails again at once, at least 1.
        longest: The most, in seconds. Also how long it must be back in service until the
            growth begins anew, and how far apart two failures in a row can be.
        trial: How long the one call that is made after an ejection keeps all others away, in
            seconds, if nothing is heard of it.

    Raises:
        UsageError: No rules that can be followed.
    """

    failures: int = 3
    first: float = 5.0
    growth: float = 2.0
    longest: float = 300.0
    trial: float = 10.0

    def __post_init__(self) -> None:
        # Written so that a NaN anywhere is refused too.
        if not (self.failures >= 1 and 0 < self.first <= self.longest < inf and self.growth >= 1):
            raise UsageError(
                f"{self}: cannot be followed; failures and growth are at least 1, and "
                "0 < first <= longest"
            )


@dataclass(slots=True)
class _Trouble:
    """What is remembered of an endpoint that has failed; times are monotonic."""

    run: int = 0  # failures with no success between them
    failed: float = -inf  # when the last of them was told
    timeout: float = 0.0  # how long its last ejection was to be; 0 if there was none
    until: float = -inf  # when that ends, or has ended
    unproven: bool = False  # whether no call since then has said that it is back
    trial_until: float = -inf  # when the call that is to find out counts as lost

    def is_ejected(self, now: float) -> bool:
        return now < self.until


class Health:
    """What calls have told about endpoints; for one thread at a time.

    Args:
        rules: When an endpoint is ejected, and for how long.

    Attributes:
        pending: Calls in flight by endpoint, n >= 1 each; changes as calls begin and end, and
            may be read from any thread.
        ejections: How many there were.
    """

    def __init__(self, rules: Ejection = Ejection()) -> None:
        self._rules = rules
        self._troubles: dict[Key, _Trouble] = {}  # those that have failed last come last
        self._pending: dict[Key, int] = {}
        self.ejections = 0
        self.pending: Mapping[Key, int] = MappingProxyType(self._pending)

    def knows(self, key: Key) -> bool:
        """Whether a success of this endpoint would be news: it has failed, or a call is open."""
        return key in self._troubles or key in self._pending

    def begun(self, key: Key) -> None:
        """A call has begun; the next report about `key` that counts ends it."""
        if key not in self._pending and len(self._pending) >= MAX_KEYS:
            del self._pending[next(iter(self._pending))]
        self._pending[key] = self._pending.get(key, 0) + 1

    def report(
        self, key: Key, ok: bool | None, now: float, seconds: float = 0.0, *, counted: bool = True
    ) -> bool:
        """A call has ended.

        Args:
            key: Whom it was made to.
            ok: Whether it has succeeded; None if nobody can tell.
            now: Monotonic clock reading, in seconds.
            seconds: How long the call took; if that is not known 0, as if it had begun
                only now.
            counted: Whether `begun` was told of it.

        Returns:
            Whether what `ejected` says has changed by this, or a trial is over.
        """
        if counted and key in self._pending:
            self._end_call(key)
        trouble = self._troubles.get(key)
        if trouble is None:
            return ok is False and self._failure(key, None, now, now - seconds)
        ended = now < trouble.trial_until and now - seconds >= trouble.until
        if ended:
            trouble.trial_until = -inf
        if ok is None:
            return ended
        if not ok:
            return self._failure(key, trouble, now, now - seconds) or ended
        return self._success(key, trouble, now, now - seconds) or ended

    def ejected(self, now: float) -> Mapping[Key, float]:
        """Until when each ejected endpoint is, in seconds of the monotonic clock `now`."""
        for key in [k for k, t in self._troubles.items() if not self._is_recent(t, now)]:
            del self._troubles[key]
        return {k: t.until for k, t in self._troubles.items() if t.is_ejected(now)}

    def due(self, now: float) -> Collection[Key]:
        """Whose ejection is over, and to whom no call has been made since."""
        untried = [(k, t) for k, t in self._troubles.items() if t.unproven]
        return {k for k, t in untried if t.trial_until == -inf and not t.is_ejected(now)}

    def on_trial(self, now: float) -> Mapping[Key, float]:
        """Until when each endpoint is on trial."""
        return {k: t.trial_until for k, t in self._troubles.items() if now < t.trial_until}

    def begin_trial(self, key: Key, now: float) -> None:
        """The one call is made."""
        self._troubles[key].trial_until = now + self._rules.trial

    def _is_recent(self, trouble: _Trouble, now: float) -> bool:
        """Whether a run of failures can go on still."""
        return now < max(trouble.failed, trouble.until) + self._rules.longest

    def _can_grow(self, trouble: _Trouble, now: float) -> bool:
        """Whether the next ejection would be longer than the last."""
        return now < trouble.until + self._rules.longest

    def _end_call(self, key: Key) -> None:
        self._pending[key] -= 1
        if not self._pending[key]:
            del self._pending[key]

    def _success(self, key: Key, trouble: _Trouble, now: float, began: float) -> bool:
        if trouble.is_ejected(now):
            return began >= trouble.failed and self._cut_short(trouble, now)
        trouble.run, trouble.unproven = 0, False
        if not self._can_grow(trouble, now):
            del self._troubles[key]
        return False

    def _cut_short(self, trouble: _Trouble, now: float) -> bool:
        """An ejected endpoint was used, since too few others were left, and it answers.

        It does not return at once: after an outage of all, each is given the time to show
        that it is back, else the first of them would get all the traffic.
        """
        trouble.run, trouble.unproven = 0, False
        soon = now + self._rules.first
        shortened = soon < trouble.until
        trouble.until = min(soon, trouble.until)
        return shortened

    def _failure(self, key: Key, trouble: _Trouble | None, now: float, began: float) -> bool:
        if trouble is None or not self._is_recent(trouble, now):
            trouble = _Trouble()
        elif began < trouble.until:  # the ejection is the answer to this failure too
            return False
        trouble.run += 1
        trouble.failed = now
        forgotten = self._remember(key, trouble, now)
        if trouble.run < self._rules.failures:
            return forgotten
        self._eject(trouble, now)
        return True

    def _remember(self, key: Key, trouble: _Trouble, now: float) -> bool:
        """Put `key` last; True if another, that was ejected, had to make room for it."""
        self._troubles.pop(key, None)
        self._troubles[key] = trouble
        if len(self._troubles) <= MAX_KEYS:
            return False
        oldest = self._troubles.pop(next(iter(self._troubles)))
        return oldest.is_ejected(now)

    def _eject(self, trouble: _Trouble, now: float) -> None:
        rules = self._rules
        self.ejections += 1
        grown = trouble.timeout * rules.growth if self._can_grow(trouble, now) else 0.0
        trouble.timeout = min(max(rules.first, grown), rules.longest)
        trouble.until = now + trouble.timeout
        trouble.unproven, trouble.trial_until = True, -inf
        trouble.run = rules.failures - 1  # one more is enough once it is back
