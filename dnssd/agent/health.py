"""Whether a service is healthy, from what its checks find. Pure: no clock, no probe.

    state         one more result that says        leads to
    starting      pass, `rise` in a row            passing
                  fail, `fall` in a row,           failing
                    past the start period
    passing       fail, `fall` in a row            failing
    failing       pass, `rise` in a row,           passing
                    and the hold is over
    any           maintenance                      maintenance, at once
    maintenance   pass or fail                     starting

Damping: a service that has begun to fail for the n-th time without `CALM` seconds of passing
in between is held out for 10 s x 2^(n-1), up to 300 s, from when it failed.
"""

from dataclasses import dataclass, replace
from typing import Literal, Self

from dnssd.checks import Verdict

HOLD = 10.0  # seconds out, the first time
MAX_HOLD = 300.0  # seconds
CALM = 600.0  # seconds of passing after which earlier failures are forgotten

State = Literal["starting", "passing", "failing", "maintenance"]


@dataclass(frozen=True, slots=True)
class Rules:
    """When to believe in a change.

    Attributes:
        rise: Passes in a row.
        fall: Fails in a row.
        start_period: Seconds from the start in which fails do not count.
    """

    rise: int = 2
    fall: int = 3
    start_period: float = 30.0


@dataclass(frozen=True, slots=True)
class Health:
    """A service's health.

    Attributes:
        state: What it is.
        since: When it became so, in seconds of a monotonic clock.
        streak: Results in a row, up to now, that speak against the state.
        failures: How often it has begun to fail without calm in between.
    """

    state: State
    since: float
    streak: int = 0
    failures: int = 0

    @classmethod
    def start(cls, now: float) -> Self:
        """Nothing is known yet."""
        return cls("starting", now)

    @property
    def wanted(self) -> bool | None:
        """Whether it is to be in DNS; None to leave that as it is."""
        return None if self.state == "starting" else self.state == "passing"

    @property
    def held_until(self) -> float:
        """When a failing service may come back at the earliest."""
        return self.since + min(MAX_HOLD, HOLD * 2.0 ** min(self.failures - 1, 10))

    def heard(self, verdict: Verdict, now: float, rules: Rules) -> Self:
        """The health after one more result.

        Args:
            verdict: The result of all checks together.
            now: When it came.
            rules: When to believe in it.
        """
        if verdict == "maintenance":
            return self if self.state == "maintenance" else self._become("maintenance", now)
        if self.state == "maintenance":
            return self._become("starting", now).heard(verdict, now, rules)
        if self.state == "starting":
            return self._started(verdict, now, rules)
        if (verdict == "pass") == (self.state == "passing"):
            return replace(self, streak=0)
        more = replace(self, streak=self.streak + 1)
        if self.state == "passing":
            return more._fail(now) if more.streak >= rules.fall else more
        rises = more.streak >= rules.rise and now >= self.held_until
        return more._become("passing", now) if rises else more

    def is_about_to_change(self, rules: Rules) -> bool:
        """Whether one more result like the last may change whether it is in DNS."""
        needed = rules.fall if self.state == "passing" else rules.rise
        return self.streak >= max(needed - 1, 1)

    def _started(self, verdict: Verdict, now: float, rules: Rules) -> Self:
        """While starting, passes count up and fails count down from 0."""
        passed = verdict == "pass"
        same = (self.streak > 0) == passed
        more = replace(self, streak=(self.streak if same else 0) + (1 if passed else -1))
        if more.streak >= rules.rise:
            return more._become("passing", now)
        if more.streak <= -rules.fall and now - self.since >= rules.start_period:
            return more._fail(now)
        return more

    def _fail(self, now: float) -> Self:
        calm = self.state == "passing" and now - self.since >= CALM
        failed = self._become("failing", now)
        return replace(failed, failures=1 if calm else self.failures + 1)

    def _become(self, state: State, now: float) -> Self:
        return replace(self, state=state, since=now, streak=0)
