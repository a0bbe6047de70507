"""When to try which address of which endpoint: decided here, carried out in `connecting`.

Every endpoint is tried at each of its addresses. The next attempt starts 250 ms after the last
one, or at once when one fails; the first that succeeds wins, and those still under way are
abandoned (RFC 8305, "Happy Eyeballs"). Once all that is known was tried, further addresses may
be asked for: of an endpoint only one family may be known so far.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from math import inf, isnan
from typing import Protocol

from dnssd.errors import DeadlineExceeded, Unavailable, UsageError
from dnssd.names import shown
from dnssd.resolver.snapshot import Endpoint

DELAY = 0.25  # seconds from one attempt to the next (RFC 8305 section 5)
AT_ONCE = 32  # attempts under way at a time, each with its socket
LONGEST = 2_000_000.0  # seconds: three weeks, about what system calls take
FURTHER = 3.0  # seconds that asking for further addresses may take
SHOWN = 4  # failed attempts that an error tells about

_Place = tuple[str, int]  # target and port


class Report(Protocol):
    """Hears how a call to an endpoint went (see `Resolver.report`)."""

    def __call__(self, endpoint: Endpoint, ok: bool, seconds: float | None = None) -> None:
        """Note it; `seconds` is how long the call took."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One address of an endpoint, to be tried."""

    endpoint: Endpoint
    address: str
    port: int

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.endpoint.target} at {address}:{self.port}"


def attempts(endpoints: Iterable[Endpoint]) -> tuple[Attempt, ...]:
    """What to try, in order: the endpoints as given, the addresses of each by family in turn.

    Of an endpoint with both families IPv6 comes first (RFC 8305 section 4). Endpoints
    without an address yield none.
    """
    tried = (
        Attempt(endpoint, address, endpoint.port)
        for endpoint in endpoints
        for address in _interleaved(endpoint.addresses)
    )
    return tuple(dict.fromkeys(tried))


def limited(timeout: float | None) -> float | None:
    """A time-out that system calls take; None for no limit, as which whatever is longer counts.

    Raises:
        UsageError: Not a number.
    """
    if timeout is None:
        return None
    if not isinstance(timeout, int | float) or (isinstance(timeout, float) and isnan(timeout)):
        raise UsageError(f"timeout {shown(repr(timeout))}: not a number; give seconds, or None")
    return timeout if timeout < LONGEST else None


class Race:
    """When to start which attempt, and what came of them.

    Args:
        attempts: What to try, in order.
        now: Clock reading, in seconds; every `now` below is one of the same clock.
        timeout: Seconds for all attempts together; None for no limit.
        report: Hears of each endpoint that failed at all of its addresses, and of the one
            that was connected to; not of those that were abandoned.
        delay: Seconds from one attempt to the next.
        can_grow: Whether further addresses may be had: when `lacks` says so, they are to be
            asked for, and given to `extend`.
    """

    def __init__(
        self,
        attempts: Iterable[Attempt],
        now: float,
        timeout: float | None,
        report: Report,
        delay: float = DELAY,
        *,
        can_grow: bool = False,
    ) -> None:
        self._waiting = deque(attempts)
        self._tried = [(_place(one.endpoint), one.address) for one in self._waiting]
        self._under_way: dict[Attempt, float] = {}  # when each was started
        self._failed: list[str] = []
        self._last: Exception | None = None
        self._left = Counter(attempt.endpoint for attempt in self._waiting)
        self._down: dict[Endpoint, float] = {}  # failed at all addresses; not reported yet
        self._asked = not can_grow
        self._grows_until = inf if can_grow else -inf
        self._report = report
        self._delay = delay
        self._due = now  # when the next one is to start
        self._timeout = timeout
        self._deadline = inf if timeout is None else now + timeout

    def is_over(self, now: float) -> bool:
        """Whether nothing can succeed any more."""
        if now >= self._deadline:
            return True
        return not (self._waiting or self._under_way or now < self._grows_until)

    def start(self, now: float) -> Attempt | None:
        """The attempt to start now, counted as started; None if none is due."""
        if not self._can_start() or now < self._due or now >= self._deadline:
            return None
        attempt = self._waiting.popleft()
        self._under_way[attempt] = now
        self._due = now + self._delay
        return attempt

    def wait(self, now: float) -> float | None:
        """Seconds until something is to be done, unless an attempt ends; None for ever."""
        until = min(self._due if self._can_start() or self._may_ask() else inf, self._deadline)
        if now < self._grows_until:
            until = min(until, self._grows_until)
        return None if until == inf else max(0.0, until - now)

    def lacks(self, now: float) -> bool:
        """Whether further addresses are to be asked for now; at most once."""
        if not self._may_ask() or now < self._due:
            return False
        self._asked, self._grows_until = True, now + FURTHER
        return True

    def is_growing(self, now: float) -> bool:
        """Whether further addresses are being asked for."""
        return self._asked and now < self._grows_until

    def extend(self, endpoints: Iterable[Endpoint]) -> None:
        """Try what has not been tried of them, in the same order; there is no more to come."""
        self._grows_until = -inf
        tried, ranks = set(self._tried), dict[_Place, int]()
        for place, _ in self._tried:
            ranks.setdefault(place, len(ranks))
        ordered = sorted(endpoints, key=lambda endpoint: ranks.get(_place(endpoint), inf))
        further = [a for a in attempts(ordered) if (_place(a.endpoint), a.address) not in tried]
        self._waiting.extend(further)
        self._left.update(attempt.endpoint for attempt in further)
        again = {_place(attempt.endpoint) for attempt in further}
        self._down = {e: seconds for e, seconds in self._down.items() if _place(e) not in again}
        self._report_down()

    def succeed(self, attempt: Attempt, now: float) -> None:
        """Note that an attempt has succeeded."""
        self._report_down()
        self._report(attempt.endpoint, True, now - self._under_way.pop(attempt))

    def fail(self, attempt: Attempt, error: Exception, now: float) -> None:
        """Note that an attempt has failed; the next is due at once."""
        seconds = now - self._under_way.pop(attempt)
        self._failed.append(f"{attempt}: {why(error)}")
        self._last = error
        self._due = now
        self._left[attempt.endpoint] -= 1
        if not self._left[attempt.endpoint]:
            self._down[attempt.endpoint] = seconds
            if self._grows_until == -inf:
                self._report_down()

    def expire(self, now: float) -> Unavailable:
        """Fail what is still under way.

        Returns:
            Why there is no connection: what was tried, with the last failure as its cause.
        """
        for attempt in list(self._under_way):
            self.fail(attempt, TimeoutError("no answer"), now)
        self._report_down()
        told = ", ".join(self._failed[:SHOWN])
        if len(self._failed) > SHOWN:
            told += f" and {len(self._failed) - SHOWN} more"
        error = Unavailable(f"no connection: {told}; check that the service runs")
        if now >= self._deadline:
            error = DeadlineExceeded(
                f"no connection in {self._timeout:g} s: {told or 'nothing was tried'}; "
                "check that the service runs, or allow more time"
            )
        elif not told:
            error = Unavailable("no connection: no endpoint has an address; check its records")
        error.__cause__ = self._last
        return error

    def _can_start(self) -> bool:
        return bool(self._waiting) and len(self._under_way) < AT_ONCE

    def _may_ask(self) -> bool:
        return not (self._asked or self._waiting)

    def _report_down(self) -> None:
        down, self._down = self._down, {}
        for endpoint, seconds in down.items():
            self._report(endpoint, False, seconds)


def why(error: object) -> str:
    """What went wrong, in a few words: no more than the system or TLS says of it."""
    said = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return said or type(error).__name__


def _place(endpoint: Endpoint) -> _Place:
    return endpoint.target, endpoint.port


def _interleaved(addresses: Iterable[str]) -> Iterator[str]:
    families: tuple[list[str], list[str]] = ([], [])
    for address in addresses:
        families[":" not in address].append(address)
    return (address for address in chain(*zip_longest(*families)) if address)
