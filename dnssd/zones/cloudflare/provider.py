"""Addresses of zones at Cloudflare: a name, and the ID that spares looking it up."""

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

_ZONE_ID = re.compile(r"[0-9a-f]{32}")


def read(rest: str, options: dict[str, str]) -> Name | None:
    """Check an address.

    Raises:
        UsageError: What is wrong with it.
    """
    if "id" in options and not _ZONE_ID.fullmatch(options["id"]):
        raise UsageError("an ID is 32 hexadecimal digits; the zone's overview page shows it")
    return read_zone_name(rest)


def open_zone(
    address: str,
    name: Name | None,
    options: Mapping[str, str],
    deadline: Deadline,
    timeout: float,
) -> Zone:
    """Open a zone; look up its ID, if the address leaves it out.

    Raises:
        UsageError: No token, or the file of it cannot be read.
        ZoneError: No such zone, or the token does not open it.
    """
    from dnssd.zones.cloudflare.client import Client  # requests is slow to import
    from dnssd.zones.cloudflare.zone import CloudflareZone

    assert name is not None  # noqa: S101 (read always returns one)
    client = Client.of_environment(name, options.get("token_file"), timeout)
    zone = CloudflareZone(client, options.get("id", ""), name, address=address)
    if not zone.zone_id:
        zone.find_id(deadline)
    return zone


def lacks(address: str, options: Mapping[str, str]) -> str | None:
    """What hosts miss."""
    if "token_file" in options:
        return None
    return f"without the file of a token hosts have none; write {address},token_file=PATH"


KEYS = ("id", "token_file", "address")
PROVIDER = Provider(
    KEYS,
    read,
    open_zone,
    address="public",
    proxies=True,
    key_file="token_file",
    lacks=lacks,
)
