"""The zones that addresses name."""

import os

from dnssd.deadline import Deadline
from dnssd.errors import UsageError
from dnssd.zones.address import PROVIDERS, ZoneAddress
from dnssd.zones.base import Zone


def open_zone(
    address: str | None = None, *, deadline: Deadline | None = None, timeout: float = 10.0
) -> Zone:
    """Open the zone that an address names. Asks the provider where the address says too little.

    Args:
        address: Such as `example.com`, `Z0123456789ABC`, `route53:example.com,id=Z0123456789ABC`;
            by default what `DNSSD_ZONE` says.
        deadline: When to give up asking; half a minute by default.
        timeout: Seconds to wait for each answer of the provider, now and later.

    Raises:
        UsageError: Not a zone address.
        ZoneNotFound: No such zone.
        AmbiguousZone: Several zones of that name.
        AccessDenied: No credentials, or they do not allow to look it up.

    Example:
        >>> str(open_zone("example.test").origin)
        'example.test.'
    """
    parsed = _of_environment() if address is None else ZoneAddress.parse(address)
    provider = PROVIDERS[parsed.provider]
    until = deadline or Deadline(30)
    return provider.open(parsed.text, parsed.name, parsed.options, until, timeout)


def _of_environment() -> ZoneAddress:
    """The one zone that `DNSSD_ZONE` names."""
    addresses = os.environ.get("DNSSD_ZONE", "").split()
    if len(addresses) != 1:
        raise UsageError(
            f"DNSSD_ZONE: it names {len(addresses) or 'no'} zone{'s' * (len(addresses) > 1)}; "
            "give open_zone the address of one"
        )
    try:
        return ZoneAddress.parse(addresses[0])
    except UsageError as error:
        raise UsageError(f"DNSSD_ZONE: {error}") from error
