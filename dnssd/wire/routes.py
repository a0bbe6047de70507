"""Which way packets would leave this machine: the system is asked, and nothing is sent."""

import contextlib
import socket
import sys
from collections.abc import Callable

# Documentation addresses (RFC 5737, RFC 3849): whatever the routes, they take the default one.
FAR_AWAY = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}

_IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC = 72, 2  # Linux (RFC 5014); not in Python's socket


def source_for(destination: str) -> str | None:
    """The address that packets to an address leave from; None if there is no way to it.

    Connecting a datagram socket chooses the route and sends nothing.
    """
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as route:
            if family == socket.AF_INET6 and sys.platform == "linux":
                with contextlib.suppress(OSError):  # temporary addresses last a day (RFC 8981)
                    route.setsockopt(socket.IPPROTO_IPV6, _IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC)
            route.connect((destination, 9))
            return str(route.getsockname()[0])
    except OSError:
        return None


def has_way(destination: str, source_for: Callable[[str], str | None] = source_for) -> bool:
    """Whether this machine can send to an address, from one of the same scope.

    A host with IPv6 alone may have an IPv4 address of its link, which leads nowhere else.

    Source: RFC 6724 section 6, rules 1 and 2.
    """
    source = source_for(destination)
    return source is not None and _scope(source) == _scope(destination)


def is_ipv6_only() -> bool:
    """Whether packets leave this machine by IPv6 alone."""
    return has_way(FAR_AWAY[socket.AF_INET6]) and not has_way(FAR_AWAY[socket.AF_INET])


def _scope(address: str) -> str:
    """`link`, or `wide`; what is on this machine alone is as wide as it has to be."""
    return "link" if address.lower().startswith(("169.254.", "fe80:")) else "wide"
