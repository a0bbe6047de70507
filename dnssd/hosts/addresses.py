"""Addresses of a host: which of them others can use, and who reaches them."""

import ipaddress
from collections.abc import Iterable

_LOCAL_IPV6 = ipaddress.IPv6Network("fc00::/7")  # unique local addresses (RFC 4193)


def usable(text: str) -> str | None:
    """The address in its usual form; None for one that no other host can reach.

    Raises:
        ValueError: Not an address.
    """
    ip = ipaddress.ip_address(text.strip().partition("%")[0])  # a scope is of no use elsewhere
    if ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast:
        return None
    return None if ip.is_reserved else str(ip)


def is_public(address: str) -> bool:
    """Whether the Internet reaches this address, filters aside."""
    ip = ipaddress.ip_address(address)
    return ip.is_global if ip.version == 4 else ip not in _LOCAL_IPV6


def sides(addresses: Iterable[str | None]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sort a host's addresses into private and public ones.

    Args:
        addresses: What `usable` gives, the preferred ones first.

    Returns:
        Private and public, each at most one IPv4 and one IPv6 address. The private IPv4
        address is public only if there is no other; an IPv6 address may be both.
    """
    known = [address for address in addresses if address]
    ipv4 = sorted((a for a in known if ":" not in a), key=is_public)
    ipv6 = [a for a in known if ":" in a]
    public = ([a for a in family if is_public(a)][:1] for family in (ipv4, ipv6))
    return (*ipv4[:1], *ipv6[:1]), tuple(a for first in public for a in first)
