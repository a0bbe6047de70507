"""What programs call: join, leave, joined."""

from collections.abc import Iterator
from contextlib import contextmanager

from dnssd.deadline import Deadline
from dnssd.registration import joining, leaving
from dnssd.registration.operation import Operation, Outcome
from dnssd.registration.request import Registration
from dnssd.zones.base import Zone


def join(
    zone: Zone, registration: Registration, deadline: float = 120, *, splay: float = 0
) -> Outcome:
    """Publish a host as a member of a service instance; idempotent.

    Args:
        zone: Where, from `open_zone`.
        registration: What.
        deadline: Seconds to try for.
        splay: Seconds; a random part of it is waited so that hosts that boot together part.

    Raises:
        UsageError: A name or record becomes too long in this zone.
        Refused: Another owner's records, or a full RRset, are in the way.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long.

    Example:
        >>> api = Registration(service="http", instance="api", port=8080, host="api-1",
        ...                    addresses=["10.0.0.9"])
        >>> join(open_zone("example.test"), api).changed
        True
    """
    operation = Operation(zone, Deadline(deadline), splay=splay)
    return joining.join(operation, registration.wish_in(zone.origin))


def leave(zone: Zone, registration: Registration, deadline: float = 25) -> Outcome:
    """Take a host out again; idempotent. The definition stays.

    Args:
        zone: Where, from `open_zone`.
        registration: What was joined.
        deadline: Seconds to try for.

    Raises:
        Refused: The member is another owner's, or has joined again meanwhile.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long.

    Example:
        >>> api = Registration(service="http", instance="api", port=8080, host="api-1",
        ...                    addresses=["10.0.0.9"])
        >>> leave(open_zone("example.test"), api).members
        ()
    """
    operation = Operation(zone, Deadline(deadline))
    return leaving.leave(operation, registration.departure_in(zone.origin))


@contextmanager
def joined(zone: Zone, registration: Registration, deadline: float = 120) -> Iterator[Outcome]:
    """Join, and leave at the end of the `with` block, however it ends.

    Raises:
        DnssdError: As `join` and `leave` do.

    Example:
        >>> api = Registration(service="http", instance="api", port=8080, host="api-1",
        ...                    addresses=["10.0.0.9"])
        >>> with joined(open_zone("example.test"), api) as outcome:
        ...     outcome.members
        ('api-1-8080',)
    """
    outcome = join(zone, registration, deadline)
    try:
        yield outcome
    finally:
        leave(zone, registration)
