"""What is known of one name and type, and when it is asked for again; pure.

Each RRset has an end of its own. A look at a name asks for what is near its end, and what does
not answer is asked for more and more rarely, whatever else the look-up needs.
"""

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from dnssd.records import Rdata

FAMILIES = ("A", "AAAA")
MIN_TTL, MAX_TTL = 1.0, 86_400.0  # seconds; what DNS says is held within
AHEAD = 0.75  # of the TTL, after which an answer is refreshed, give or take
JITTER = 0.1  # of that
DUE = 0.6  # of the TTL, after which a look that happens anyway takes an answer along
FIRST_RETRY, LAST_RETRY = 1.0, 30.0  # seconds until a failed refresh is tried again (RFC 8767)
LEFT_ALONE = 300.0  # seconds that a family which no server tells of properly is not asked for
PASSING = 10.0  # seconds; what lasts longer is no passing trouble


class CachedRRset(NamedTuple):
    """What is known of one name and type.

    Attributes:
        values: Its rdata; none if it is known to have none.
        expires_at: Until when that holds, on the monotonic clock, in seconds; `-inf` if nobody
            has ever answered.
        ttl: For how long it held at first, in seconds.
        failures: How many looks in a row nobody has answered about it.
        failed_at: When the last of these was over.
        validated: Whether a name server has validated it (AD).
    """

    values: tuple[Rdata, ...]
    expires_at: float
    ttl: float = 0.0
    failures: int = 0
    failed_at: float = 0.0
    validated: bool = False


Key = tuple[bytes, str]  # the key of a name, and a type
Known = Mapping[Key, CachedRRset]
NOTHING: Known = {}


def held(ttl: float) -> float:
    """For how long a TTL counts, in seconds."""
    return min(MAX_TTL, max(MIN_TTL, ttl))


def is_due(known: CachedRRset, now: float) -> bool:
    """Whether a look now asks for it."""
    if known.failures:
        return now >= known.failed_at + (1 - 2 * JITTER) * pause(known.failures)
    return now >= known.expires_at - (1 - DUE) * known.ttl


def next_asks(found: Known, spread: float) -> list[float]:
    """When to look because of each, on the monotonic clock; absences alone are no reason.

    Args:
        found: All that is known of a name.
        spread: What waiting is multiplied by, about 1.
    """
    early = 1 - AHEAD * spread  # of each TTL
    return [
        one.failed_at + spread * pause(one.failures)
        if one.failures
        else one.expires_at - early * one.ttl
        for one in found.values()
        if one.values or one.failures
    ]


def pause(failures: int) -> float:
    """Seconds until something that failed so often in a row is asked for again."""
    return min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(16, failures - 1))


def unanswered(known: CachedRRset | None, now: float) -> CachedRRset:
    """The same, after nobody has answered about it once more."""
    if known is None:
        return CachedRRset((), -inf, 0.0, 1, now)
    return known._replace(failures=known.failures + 1, failed_at=now)


def untold(known: CachedRRset | None, now: float) -> CachedRRset:
    """What to believe of a family of which no server tells properly: there is none, for a while.

    At first for no time at all, so that the next refresh asks again: it may be trouble that
    passes, and a client may have no way to the other family.

    Args:
        known: What was known of it before.
        now: Monotonic clock reading, in seconds.
    """
    if known is None or known.values:
        return CachedRRset((), now)
    if now - known.expires_at < PASSING:
        return known
    return CachedRRset((), now + LEFT_ALONE)


def is_untold(found: Known, now: float) -> bool:
    """Whether of some family it is only known that no server has told of it, once."""
    absent = [key for key, one in found.items() if not one.values and one.expires_at <= now]
    return any(rdtype in FAMILIES for _, rdtype in absent)


def other_family(key: Key) -> Key:
    """The other address family of the same target."""
    return key[0], FAMILIES[key[1] == "A"]
