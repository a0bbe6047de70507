"""Route 53's rate limit: one token bucket for all callers, as an account has one."""

import math
import threading
from collections.abc import Callable

from dnssd.errors import UsageError
from dnssd.sandbox.api.exchange import Handler, Request, Response, Wrap, around, refusal
from dnssd.sandbox.api.rejections import Rejection

_WHOLE = 1 - 1e-9  # what counts as a token: sums of fractions fall a little short of 1


def throttling() -> Rejection:
    """The caller, or somebody else of the same account, asks too often."""
    return Rejection("Throttling", "Rate exceeded")


class Bucket:
    """Tokens that come at a steady rate and are taken one by one.

    Args:
        rate: Tokens that come in a second.
        burst: How many it holds, and has at first.
        now: A monotonic clock, in seconds.

    Raises:
        UsageError: A rate that is not positive, or a burst below 1.
    """

    def __init__(self, rate: float, burst: float, now: Callable[[], float]) -> None:
        if not 0 < rate < math.inf:
            raise UsageError(f"rate {rate:g}: a positive number of requests a second is needed")
        if not 1 <= burst < math.inf:
            raise UsageError(f"burst {burst:g}: it must let one request pass; give 1 or more")
        self._rate = rate
        self._burst = burst
        self._now = now
        self._tokens = burst
        self._since = now()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Take a token; False if there is none."""
        with self._lock:
            now = self._now()
            self._tokens = min(self._burst, self._tokens + (now - self._since) * self._rate)
            self._since = now
            if self._tokens < _WHOLE:
                return False
            self._tokens = max(0.0, self._tokens - 1)
            return True


def limit(bucket: Bucket) -> Wrap:
    """Answer `Throttling` to each request for which `bucket` has no token."""

    def step(handler: Handler, request: Request) -> Response:
        return handler(request) if bucket.take() else refusal(request.id, throttling())

    return around(step)
