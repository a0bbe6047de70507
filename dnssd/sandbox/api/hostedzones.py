"""The hosted zones of the sandbox: immutable snapshots, replaced whole by each change.

Writers take turns under a lock; readers take the latest snapshot and never wait.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dnssd.names import Name
from dnssd.sandbox.api.batch import RRsets, apply_batch, node, since
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.rrsets import Edit, HostedRRset, Key, listing_key

NAME_SERVERS = tuple(f"ns-{number}.sandbox.test." for number in range(1, 5))
NS_TTL = 172_800  # seconds, as Route 53 gives them
SOA_TTL = 60  # seconds; Route 53 gives 900, but nobody wants to wait for a negative answer here
SOA = f"{NAME_SERVERS[0]} hostmaster.sandbox.test. 1 7200 900 1209600 {SOA_TTL}"
MAX_RRSETS = 10_000  # in one zone
MAX_LOG = 10_000  # batches and changes that are remembered


@dataclass(frozen=True, slots=True)
class Vpc:
    """A network in which a private zone is seen."""

    id: str = "vpc-0sandbox"
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class Submission:
    """A change that was accepted, to be asked about.

    Attributes:
        id: Route 53's identifier, `C...`.
        insync_at: When all name servers have it, on the zones' clock, in seconds.
    """

    id: str
    comment: str
    submitted_at: datetime
    insync_at: float


@dataclass(frozen=True, slots=True, eq=False)
class HostedZone:
    """A snapshot of one hosted zone.

    Attributes:
        id: Route 53's identifier, `Z...`.
        vpc: Where a private zone is seen; None for a public one.
        caller_reference: What its creator calls the request that made it.
        rrsets: What it holds, in the order of a listing.
    """

    id: str
    origin: Name
    vpc: Vpc | None
    caller_reference: str
    comment: str
    rrsets: RRsets

    @property
    def private(self) -> bool:
        """Whether only its network sees it."""
        return self.vpc is not None

    def node(self, name: Name) -> tuple[HostedRRset, ...]:
        """The RRsets at exactly `name`; several of one type where there is routing."""
        return self.at(listing_key(name.key))

    def at(self, name_key: str) -> tuple[HostedRRset, ...]:
        """The RRsets at exactly the name with this listing key."""
        return tuple(node(self.rrsets, name_key))

    def exists(self, name_key: str) -> bool:
        """Whether something stands at the name with this listing key, or below it."""
        after = next(self.since((name_key, "", "")), None)
        return after is not None and after.key[0].startswith(name_key)

    def since(self, key: Key) -> Iterator[HostedRRset]:
        """The RRsets at `key` and after it, in the order of a listing."""
        return since(self.rrsets, key)


@dataclass(frozen=True, slots=True)
class Contents:
    """All zones at one moment.

    Attributes:
        zones: The oldest first.
        number: Grows with everything that is done to them.
    """

    zones: tuple[HostedZone, ...] = ()
    number: int = 0


NOTHING = Contents()


class HostedZones:
    """The hosted zones of one account, and what was done to them.

    Args:
        contents: What they are at first.
        now: The clock, in seconds.
        insync_after: Seconds after which a change is said to be everywhere.
        max_rrsets: How many RRsets a zone may hold.
        max_log: After how many batches the zone is remembered as it was.
    """

    def __init__(
        self,
        contents: Contents = NOTHING,
        *,
        now: Callable[[], float] = time.monotonic,
        insync_after: float = 0.0,
        max_rrsets: int = MAX_RRSETS,
        max_log: int = MAX_LOG,
    ) -> None:
        self._now = now
        self._insync_after = insync_after
        self._max_rrsets = max_rrsets
        self._lock = threading.RLock()
        self._zones: Mapping[str, HostedZone] = {zone.id: zone for zone in contents.zones}
        self._number = contents.number  # the last one that an identifier has
        self._log: deque[HostedZone] = deque(maxlen=max_log)
        self._submissions: deque[Submission] = deque(maxlen=MAX_LOG)

    def create_zone(
        self,
        origin: Name,
        *,
        caller_reference: str,
        comment: str = "",
        zone_id: str | None = None,
        vpc: Vpc | None = None,
    ) -> HostedZone:
        """Make a zone that holds its NS and SOA RRsets.

        Args:
            origin: Its name; several zones may have one name.
            caller_reference: New with each zone.
            comment: For people.
            zone_id: Its identifier; None for a new one.
            vpc: The network that sees it; None for a public zone.

        Raises:
            Rejection: A zone has this caller reference or identifier already.
        """
        with self._lock:
            zone_id = zone_id or f"Z{self._next_number():013d}"
            if any(zone.caller_reference == caller_reference for zone in self.zones()):
                raise _already_exists(f"caller reference: {caller_reference}")
            if zone_id in self._zones:
                raise _already_exists(f"ID: {zone_id}")
            origin = origin.lower()
            first = (
                HostedRRset(origin, "NS", NS_TTL, NAME_SERVERS),
                HostedRRset(origin, "SOA", SOA_TTL, (SOA,)),
            )
            zone = HostedZone(zone_id, origin, vpc, caller_reference, comment, first)
            self._number += 1
            self._zones = {**self._zones, zone.id: zone}
            return zone

    def delete_zone(self, zone_id: str) -> None:
        """Remove a zone that holds nothing but its NS and SOA RRsets.

        Raises:
            Rejection: NoSuchHostedZone, HostedZoneNotEmpty.
        """
        with self._lock:
            if len(self.zone(zone_id).rrsets) > 2:
                raise Rejection(
                    "HostedZoneNotEmpty",
                    "The specified hosted zone contains non-required resource record sets and "
                    "so cannot be deleted.",
                )
            self._number += 1
            self._zones = {key: zone for key, zone in self._zones.items() if key != zone_id}

    def zones(self) -> tuple[HostedZone, ...]:
        """All zones as they are now, the oldest first."""
        return tuple(self._zones.values())

    def zone(self, zone_id: str) -> HostedZone:
        """One zone as it is now.

        Raises:
            Rejection: NoSuchHostedZone.
        """
        try:
            return self._zones[zone_id]
        except KeyError:
            message = f"No hosted zone found with ID: {zone_id}"
            raise Rejection("NoSuchHostedZone", message, 404) from None

    def change(self, zone_id: str, edits: Sequence[Edit], *, comment: str = "") -> Submission:
        """Apply a batch: all of it, or nothing.

        Raises:
            Rejection: NoSuchHostedZone, InvalidChangeBatch.
        """
        with self._lock:
            zone = self.zone(zone_id)
            rrsets = apply_batch(zone.origin, zone.rrsets, edits, self._max_rrsets)
            zone = replace(zone, rrsets=rrsets)
            submission = self.submit(comment)
            self._zones = {**self._zones, zone_id: zone}
            self._log.append(zone)
            return submission

    def submit(self, comment: str = "") -> Submission:
        """A new submission, of a change that is made now."""
        with self._lock:
            submission = Submission(
                id=f"C{self._next_number():013d}",
                comment=comment,
                submitted_at=datetime.now(UTC),
                insync_at=self._now() + self._insync_after,
            )
            self._submissions.append(submission)
            return submission

    def submission(self, change_id: str) -> Submission:
        """What was submitted as `change_id`.

        Raises:
            Rejection: NoSuchChange; only the latest are remembered.
        """
        with self._lock:
            for submission in reversed(self._submissions):
                if submission.id == change_id:
                    return submission
        raise Rejection("NoSuchChange", f"Could not find resource with ID: {change_id}", 404)

    def insync(self, submission: Submission) -> bool:
        """Whether all name servers have it."""
        return self._now() >= submission.insync_at

    def log(self) -> tuple[HostedZone, ...]:
        """The zone after each of the latest batches, the oldest first."""
        with self._lock:
            return tuple(self._log)

    def contents(self) -> Contents:
        """All zones as they are now."""
        with self._lock:
            return Contents(self.zones(), self._number)

    def _next_number(self) -> int:
        self._number += 1
        return self._number


def _already_exists(what: str) -> Rejection:
    message = f"A hosted zone has already been created with the specified {what}"
    return Rejection("HostedZoneAlreadyExists", message, 409)
