"""Addresses of zones on servers that take updates: a name, the server and a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dnssd.deadline import Deadline
from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.zones.provider import Provider, read_zone_name

if TYPE_CHECKING:  # a command may wait until an address is read
    from dnssd.zones.base import Zone

MOST_VALUES = 1_000  # of one RRset: far beyond, no server answers any more


def read(rest: str, options: dict[str, str]) -> Name | None:
    """Check an address.

    Raises:
        UsageError: What is wrong with it.
    """
    if options.get("unsigned", "no") not in ("yes", "no"):
        raise UsageError("unsigned is yes or no")
    unsigned = options.get("unsigned") == "yes"
    if "server" not in options:
        raise UsageError("no server; append ,server=HOST of the primary one")
    if "keyring" not in options and not unsigned:
        raise UsageError("no key; append ,keyring=FILE, or ,unsigned=yes if none is needed")
    if "keyring" in options and unsigned:
        raise UsageError("a keyring and unsigned=yes exclude each other")
    _number(options, "port", 65535)
    _number(options, "values", MOST_VALUES)
    return read_zone_name(rest)


def open_zone(
    address: str,
    name: Name | None,
    options: Mapping[str, str],
    deadline: Deadline,
    timeout: float,
) -> Zone:
    """Open a zone; the key file is read, and nobody is asked.

    Raises:
        UsageError: The key file does not hold the key.
    """
    from dnssd.zones.rfc2136.connection import Server  # dnspython is slow to import
    from dnssd.zones.rfc2136.keyfile import load_key
    from dnssd.zones.rfc2136.zone import VALUES, Rfc2136Zone

    assert name is not None  # noqa: S101 (read always returns one)
    port = _number(options, "port", 65535) or 53
    keyring = options.get("keyring")
    return Rfc2136Zone(
        name,
        [Server(host.strip("[]"), port) for host in options["server"].split("+")],
        None if keyring is None else load_key(keyring, options.get("key")),
        address=address,
        values=_number(options, "values", MOST_VALUES) or VALUES,
        timeout=timeout,
    )


def _number(options: Mapping[str, str], key: str, most: int) -> int | None:
    text = options.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise UsageError(f"{key} is a number from 1 to {most}")
    return int(text)


KEYS = ("server", "port", "keyring", "key", "unsigned", "values", "address")
PROVIDER = Provider(KEYS, read, open_zone, key_file="keyring")
