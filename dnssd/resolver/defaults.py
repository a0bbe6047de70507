"""What the environment says where a caller does not: name servers, and the domain of names."""

import os
from collections.abc import Mapping, Sequence

from dnssd.errors import MalformedName, UsageError
from dnssd.names import Name
from dnssd.services import ServiceName, parse_service_name
from dnssd.wire.nameservers import NameServer


def default_nameservers(environ: Mapping[str, str] = os.environ) -> tuple[NameServer, ...]:
    """The name servers in `DNSSD_NAMESERVER`, split at white space; none for the system's.

    Raises:
        UsageError: One of them is not understood; the message names the variable.
        Unavailable: The address of one of them is not known.
    """
    try:
        return NameServer.parse_all(environ.get("DNSSD_NAMESERVER", "").split())
    except UsageError as error:
        raise UsageError(f"DNSSD_NAMESERVER: {error}") from error


def default_domain(environ: Mapping[str, str] = os.environ) -> Name | None:
    """The domain in `DNSSD_DOMAIN`, else the first zone's name in `DNSSD_ZONE`, else None.

    Raises:
        UsageError: A variable is malformed, or a zone has no name; the message names it.
    """
    try:
        if text := environ.get("DNSSD_DOMAIN"):
            return Name.parse(text)
    except MalformedName as error:
        raise UsageError(f"DNSSD_DOMAIN: {error}") from error
    return _domain_of_zones(environ.get("DNSSD_ZONE", "").split())


def parse_name(text: str, domain: Name | None = None) -> ServiceName:
    """What a name means; one without a domain is in `domain`, or in the environment's.

    The environment is not read for names that need none: a broken variable stops no others.

    Raises:
        UsageError: Not the name of a service or an instance, or there is no domain for it.
    """
    try:
        return parse_service_name(text, domain)
    except MalformedName:
        found = default_domain() if domain is None else None
        if found is None:
            raise
    return parse_service_name(text, found)


def parse_browsed(service: str, domain: str | None) -> ServiceName:
    """What is to be browsed, in a domain of the caller's or of the environment.

    Raises:
        UsageError: Not a service.
    """
    return parse_name(service, None if domain is None else Name.parse(domain))


def _domain_of_zones(addresses: Sequence[str]) -> Name | None:
    """The name of the first zone that says one; None for no zones."""
    from dnssd.zones.address import ZoneAddress  # for those who ask for no full name alone

    for address in addresses:
        try:
            name = ZoneAddress.parse(address).name
        except UsageError as error:
            raise UsageError(f"DNSSD_ZONE: {error}") from error
        if name is not None:
            return name
    if addresses:
        raise UsageError(
            f"DNSSD_ZONE: {addresses[0]} is a zone's ID and says no domain; "
            f"write NAME,id={addresses[0]}, or set DNSSD_DOMAIN"
        )
    return None
