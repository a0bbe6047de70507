"""Addresses of zones at Route 53: a name, a hosted zone's ID, or both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dnssd.deadline import Deadline
from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.zones.provider import Provider, read_zone_name

if TYPE_CHECKING:  # a command may wait until an address is read
    from dnssd.zones.base import Zone

_ZONE_ID = re.compile(r"Z[A-Z0-9]{7,31}")
_PREFIX = "/hostedzone/"  # as the API, and every tool of AWS, writes an ID


def read(rest: str, options: dict[str, str]) -> Name | None:
    """Check an address, and complete its `id`.

    Raises:
        UsageError: What is wrong with it.
    """
    if options.get("private", "yes") not in ("yes", "no"):
        raise UsageError("private is yes or no")
    if "id" in options:
        options["id"] = options["id"].removeprefix(_PREFIX)
        if not _ZONE_ID.fullmatch(options["id"]):
            raise UsageError("an ID looks like Z0123456789ABC")
    zone_id = rest.removeprefix(_PREFIX)
    if not _ZONE_ID.fullmatch(zone_id):
        return read_zone_name(rest)
    if options.setdefault("id", zone_id) != zone_id:
        raise UsageError("it names two IDs; leave one out")
    return None


def open_zone(
    address: str,
    name: Name | None,
    options: Mapping[str, str],
    deadline: Deadline,
    timeout: float,
) -> Zone:
    """Open a hosted zone; look up what the address leaves out.

    Raises:
        UsageError: The AWS configuration is wrong.
        ZoneError: No such zone, several, or no access.
    """
    from dnssd.zones.route53.client import Session  # boto3 is slow to import
    from dnssd.zones.route53.zone import Route53Zone

    zone_id = options.get("id", "")
    origin = name or Name((zone_id.encode(),))
    zone = Route53Zone(Session(options, timeout), zone_id, origin, address=address)
    if name is None:
        zone.find_name(deadline)
    elif not zone_id:
        private = options.get("private")
        zone.find_id(None if private is None else private == "yes", deadline)
    return zone


def lacks(address: str, options: Mapping[str, str]) -> str | None:
    """What hosts miss."""
    if "id" in options:
        return None
    return (
        "without its ID hosts look it up by its name, which 'dnssd iam-policy' does not allow; "
        f"write {address},id=Z..."
    )


KEYS = ("id", "private", "profile", "role", "address")
PROVIDER = Provider(KEYS, read, open_zone, by_iam=True, lacks=lacks)
