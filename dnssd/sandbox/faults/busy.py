"""A zone that is busy with one change refuses the next, as Route 53's zones do."""

import math
import threading
from collections.abc import Callable

from dnssd.errors import UsageError
from dnssd.sandbox.api.exchange import Handler, Request, Response, Wrap, around, refusal
from dnssd.sandbox.api.operations import action, resource
from dnssd.sandbox.api.rejections import Rejection

_NOT_COMPLETE = "The request was rejected because Route 53 was still processing a prior request."


class BusyZones:
    """Which zones are busy, and until when.

    Args:
        seconds: How long a zone is busy after a change was accepted.
        now: A monotonic clock, in seconds.

    Raises:
        UsageError: A time that is negative or has no end.
    """

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        if not 0 <= seconds < math.inf:
            raise UsageError(f"busy {seconds:g}: a number of seconds is needed, 0 or more")
        self._seconds = seconds
        self._now = now
        self._until: dict[str, float] = {}  # by identifier
        self._lock = threading.Lock()

    def enter(self, zone_id: str) -> bool:
        """Make a zone busy without end; False if it is busy already."""
        with self._lock:
            now = self._now()
            self._until = {zone: until for zone, until in self._until.items() if until > now}
            if zone_id in self._until:
                return False
            self._until[zone_id] = math.inf
            return True

    def leave(self, zone_id: str, accepted: bool) -> None:
        """Let a zone be busy for a while longer, or no more if nothing was accepted."""
        with self._lock:
            self._until[zone_id] = self._now() + (self._seconds if accepted else 0)


def keep_busy(zones: BusyZones) -> Wrap:
    """Answer `PriorRequestNotComplete` to a change of a zone that is busy with another."""

    def step(handler: Handler, request: Request) -> Response:
        if action(request) != "ChangeResourceRecordSets":
            return handler(request)
        zone_id, accepted = resource(request), False
        if not zones.enter(zone_id):
            return refusal(request.id, Rejection("PriorRequestNotComplete", _NOT_COMPLETE))
        try:
            response = handler(request)
            accepted = response.error is None
            return response
        finally:
            zones.leave(zone_id, accepted)

    return around(step)
