"""What a resolver knows, and for how long it counts; clock readings are passed in."""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace

from dnssd.errors import NotFound, Unavailable, UsageError
from dnssd.resolver.balance import Choice
from dnssd.resolver.known import (
    AHEAD,
    JITTER,
    MAX_TTL,
    MIN_TTL,
    NOTHING,
    Known,
    next_asks,
    pause,
)
from dnssd.resolver.snapshot import Snapshot
from dnssd.services import ServiceName

MAX_NEGATIVE = 60.0  # seconds that an absence is remembered at most
FAILED = 1.0  # seconds that a failure is remembered (RFC 9520)
IDLE = 600.0  # seconds, or three TTLs, after which a name that nobody uses is left alone
OVERDUE = 1.0  # seconds beyond a look-up's time that a refresh may take to begin
SOONEST = 0.1  # seconds between looks at least
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long a resolver waits and remembers.

    Attributes:
        timeout: Seconds that a look-up may take in which nothing is known yet.
        max_stale: Seconds that an answer may be used after it has expired, if no name
            server gives another.
        max_names: How many names are remembered.

    Raises:
        UsageError: No limits that can be held.
    """

    timeout: float = 2.0
    max_stale: float = 86_400.0
    max_names: int = 10_000

    def __post_init__(self) -> None:
        try:  # so that a NaN anywhere is refused too
            is_sound = self.timeout > 0 and self.max_stale >= 0 and self.max_names >= 1
        except TypeError:
            is_sound = False
        if not is_sound:
            raise UsageError(
                f"timeout {self.timeout!r}, max_stale {self.max_stale!r}, max_names "
                f"{self.max_names!r}: cannot be held; give numbers over 0, at least 0, at least 1"
            )


class CacheEntry:
    """What is known of one service or instance.

    Written by one thread, but for `used`, `choice` and `until`; read by any.

    Attributes:
        snapshot: The last good answer.
        missing: That it does not exist, or nobody offers it.
        unavailable: Why the last look-up failed.
        holds_until: When `missing` or `unavailable` is to be asked about again.
        found: What the snapshot was made of.
        warm: Whether it is refreshed before it expires.
        used: Whether somebody has asked since it was last refreshed.
        choice: How to pick, until `until`.
    """

    __slots__ = (
        "asked",
        "choice",
        "failures",
        "found",
        "holds_until",
        "missing",
        "snapshot",
        "texts",
        "ttl",
        "unavailable",
        "until",
        "used",
        "used_at",
        "warm",
    )

    def __init__(self, asked: ServiceName, now: float) -> None:
        self.asked = asked
        self.texts: list[str] = []
        self.snapshot: Snapshot | None = None
        self.missing: NotFound | None = None
        self.unavailable: Unavailable | None = None
        self.holds_until = _NEVER
        self.found: Known = NOTHING
        self.ttl = 0.0
        self.failures = 0
        self.warm = False
        self.used = True
        self.used_at = now
        self.choice: Choice  # there is one while `until` is to come
        self.until = _NEVER

    def current(self, now: float, limits: CachePolicy) -> Snapshot | None:
        """What is to be said now without asking anybody; None if somebody must be asked.

        Raises:
            NotFound, Unavailable: That was the answer, and still counts.
        """
        snapshot = self.snapshot
        if snapshot is not None:
            if now < snapshot.expires_at:
                return snapshot
            if not self.warm:
                return None
            # A refresh that has neither failed nor succeeded for long was slept through, as
            # when the machine was suspended: nothing says that name servers would not answer.
            overdue = now >= snapshot.expires_at + limits.timeout + OVERDUE
            known_old = snapshot.status == "stale" or self.failures or not overdue
            return as_stale(snapshot) if known_old else None
        if now < self.holds_until:
            self.fail()
        return None

    def latest(self) -> Snapshot:
        """What is known after somebody has been asked, however short it holds.

        Raises:
            NotFound, Unavailable: That is what came of it.
        """
        snapshot = self.snapshot
        if snapshot is None:
            self.fail()
            what = f"{self.asked.name}: forgotten just now; look it up again"
            raise Unavailable(what, name=str(self.asked.name))
        return snapshot

    def fail(self) -> None:
        """Say again what the last look-up failed with.

        Raises:
            NotFound, Unavailable: That; a new one, since callers add their tracebacks.
        """
        if error := self.missing or self.unavailable:
            raise copy(error)

    def learn(self, snapshot: Snapshot, found: Known, now: float, *, in_part: bool = False) -> None:
        """A look-up has succeeded; in part, if something old had to stand in for an answer."""
        ttl = min(MAX_TTL, snapshot.expires_at - now)
        if not in_part:
            ttl = max(MIN_TTL, ttl)
        if snapshot.expires_at != now + ttl:
            snapshot = replace(snapshot, expires_at=now + ttl)
        self.found, self.ttl = found, ttl
        self.missing = self.unavailable = None
        self.failures = 1 if in_part else 0
        self._put(snapshot)
        self.expire(now)

    def learn_missing(self, error: NotFound, found: Known, now: float) -> None:
        """Name servers say that it does not exist, or that nobody offers it."""
        ttl = min((one.expires_at - now for one in found.values()), default=0.0)
        self.holds_until = now + min(MAX_NEGATIVE, max(FAILED, ttl))
        self.found = NOTHING
        self.missing, self.unavailable = error, None
        self.failures = 0
        self._put(None)

    def learn_failure(self, error: Unavailable, now: float, limits: CachePolicy) -> None:
        """A look-up has failed: the last good answer counts on, for a while."""
        self.missing, self.unavailable = None, error
        self.failures += 1
        self.holds_until = now + FAILED
        self.expire(now)
        if self.snapshot is not None and now >= self.snapshot.expires_at + limits.max_stale:
            self.found = NOTHING
            self._put(None)

    def expire(self, now: float) -> None:
        """Mark the answer as old if it is, and could not be had anew."""
        if self.snapshot is not None and self.failures and now >= self.snapshot.expires_at:
            self._put(as_stale(self.snapshot))

    def restore(self, snapshot: Snapshot) -> None:
        """An answer from an earlier run, to be used while name servers give none."""
        self._put(as_stale(snapshot))

    def next_look(self, now: float, rng: Callable[[], float]) -> float:
        """When to look again, on the monotonic clock."""
        spread = 1 - JITTER + 2 * JITTER * rng()
        wait = spread * pause(self.failures)
        if self.snapshot is None:
            return max(self.holds_until, now + wait) if self.failures else self.holds_until
        expires_at = self.snapshot.expires_at
        if self.unavailable is not None:
            return min(now + wait, expires_at) if now < expires_at else now + wait
        at = next_asks(self.found, spread)
        if self.failures and now < expires_at:
            at.append(expires_at)  # to say at once that it is old
        return max(now + SOONEST, min(at, default=now + (expires_at - now) * AHEAD * spread))

    def is_idle(self, now: float) -> bool:
        """Whether nobody has asked for long; notes at the same time whether somebody has."""
        if self.used:
            self.used, self.used_at = False, now
        return now - self.used_at > max(IDLE, 3 * self.ttl)

    def _put(self, snapshot: Snapshot | None) -> None:
        """Whoever picks must look at the new snapshot: it is there before `until` says so."""
        self.snapshot = snapshot
        self.until = _NEVER


class Cache:
    """Entries by name, and by each text that stands for one; the least used go first.

    Args:
        limits: Of these, how many.
    """

    def __init__(self, limits: CachePolicy) -> None:
        self.limits = limits
        self.by_text: dict[str, CacheEntry] = {}
        self._by_name: dict[tuple[bytes, bool], CacheEntry] = {}

    def __iter__(self) -> Iterator[CacheEntry]:
        # Any thread may ask. A tuple would not do: making one can run the garbage collector,
        # whose finalizers let the thread in that changes the dictionary.
        return iter(list(self._by_name.values()))

    def entry(self, text: str, asked: ServiceName, now: float) -> CacheEntry:
        """The entry of a name, made if there is none."""
        entry = self.by_text.get(text)
        if entry is None:
            key = _key(asked)
            entry = self._by_name.get(key)
            if entry is None:
                entry = self._by_name[key] = CacheEntry(asked, now)
            if len(entry.texts) >= MAX_SPELLINGS:
                self.by_text.pop(entry.texts.pop(0), None)
            entry.texts.append(text)
            self.by_text[text] = entry
        return entry

    def surplus(self, spare: Callable[[CacheEntry], bool]) -> Iterator[CacheEntry]:
        """Take out entries until there are no more than allowed.

        Those go first that are not kept fresh, then those that nobody has used for long.

        Args:
            spare: Whether an entry must stay.
        """
        over = len(self._by_name) - self.limits.max_names
        if over > 0:
            by_use = sorted(self._by_name.values(), key=lambda e: (e.warm, e.used, e.used_at))
            some = max(over, self.limits.max_names // 16)  # not one by one: sorting takes time
            for entry in [entry for entry in by_use if not spare(entry)][:some]:
                self.remove(entry)
                yield entry

    def remove(self, entry: CacheEntry) -> None:
        """Forget one."""
        self._by_name.pop(_key(entry.asked), None)
        for text in entry.texts:
            self.by_text.pop(text, None)
        entry.texts.clear()


MAX_SPELLINGS = 8  # texts of one name that are told apart


def as_stale(snapshot: Snapshot) -> Snapshot:
    """The same, marked as old."""
    return snapshot if snapshot.status == "stale" else replace(snapshot, status="stale")


def _key(asked: ServiceName) -> tuple[bytes, bool]:
    return asked.name.key, asked.instance is None
