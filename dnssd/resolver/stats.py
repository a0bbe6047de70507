"""What a resolver knows and has done: for monitoring, and as a line in the log."""

import logging
from dataclasses import astuple, dataclass, fields

from dnssd.resolver.cache import Cache
from dnssd.resolver.ejection import Health
from dnssd.wire.budget import Counts

PERIOD = 60.0  # seconds between lines in the log at least

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stats:
    """What a resolver knows now, and what it has done so far.

    Attributes:
        names: How many names are remembered.
        fresh: How many of them have an answer that has not expired.
        stale: How many have an older one, which is used since no name server gives another.
        seconds_stale: For how long the oldest of these has been expired; 0 if there is none.
        refreshes_failed: Looks at a known name to which not everything was answered.
        questions: Asked of name servers.
        packets: Sent for them.
        repeats: Packets beyond the first of a question.
        dark_servers: Name servers that give no valid answer at all now. They are asked rarely
            until they do.
        ejections: How often an endpoint was left out because it had failed.

    Example:
        >>> with Resolver() as resolver:
        ...     _ = resolver.lookup("web._http._tcp.example.test")
        ...     stats = resolver.stats()
        >>> stats.names, stats.fresh, stats.stale, stats.questions >= 2
        (1, 1, 0, True)
    """

    names: int
    fresh: int
    stale: int
    seconds_stale: float
    refreshes_failed: int
    questions: int
    packets: int
    repeats: int
    ejections: int
    dark_servers: int

    def __str__(self) -> str:
        pairs = zip(fields(self), astuple(self), strict=True)
        return " ".join([f"{field.name}={value:g}" for field, value in pairs])


class Statistics:
    """Counts what a resolver does; lives as long as the resolver, whatever thread asks names.

    Args:
        cache: What it knows.
        health: Whom it leaves out.

    Attributes:
        counts: What was sent.
        refreshes_failed: As in `Stats`.
        log_at: When to say it in the log again.
    """

    def __init__(self, cache: Cache, health: Health) -> None:
        self._cache = cache
        self._health = health
        self.log_at = float("-inf")
        self.counts = Counts()
        self.refreshes_failed = 0

    def read(self, now: float) -> Stats:
        """What there is to say.

        Args:
            now: Monotonic clock reading, in seconds.
        """
        entries = list(self._cache)
        known = [entry.snapshot for entry in entries if entry.snapshot is not None]
        ages = [now - snapshot.expires_at for snapshot in known]
        stale = [age for age in ages if age >= 0]
        counts = self.counts
        return Stats(
            len(entries),
            len(known) - len(stale),
            len(stale),
            max(stale, default=0.0),
            self.refreshes_failed,
            counts.questions,
            counts.packets,
            counts.repeats,
            self._health.ejections,
            len(counts.dark),
        )

    def log(self, now: float) -> None:
        """Say it in the log at DEBUG."""
        self.log_at = now + PERIOD
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s", self.read(now))
