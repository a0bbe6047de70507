"""A machine that no cloud speaks for: its host name, default route and machine ID."""

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from dnssd.hosts import HostFacts

# Documentation addresses (RFC 5737, RFC 3849): whatever the routes, they take the default one.
_FAR_AWAY = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
_IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC = 72, 2  # Linux (RFC 5014); not in Python's socket

RouteAddress = Callable[[socket.AddressFamily], str | None]


def facts(
    root: Path = Path("/"),
    *,
    hostname: Callable[[], str] = socket.gethostname,
    route_address: RouteAddress | None = None,
) -> HostFacts:
    """What the machine knows about itself; without a default route it has no address.

    Args:
        root: Where /etc is.
        hostname: Gives the host's name.
        route_address: Gives the address of the default route; see `address_of_route`.
    """
    name = hostname().rstrip(".")
    route_address = route_address or address_of_route
    found = (route_address(family) for family in _FAR_AWAY)
    addresses = tuple(address for address in found if address and _is_usable(address))
    return HostFacts(
        label=name.partition(".")[0],
        private=addresses,
        public=tuple(a for a in addresses if ipaddress.ip_address(a).is_global),
        owner=f"host/{_machine_id(root)}/{name}".lower(),
        source="host name, default route and machine ID",
    )


def address_of_route(family: socket.AddressFamily) -> str | None:
    """The address that packets to far away leave from; None if there is no way.

    Connecting a datagram socket chooses the route and sends nothing.
    """
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as route:
            if family == socket.AF_INET6 and sys.platform == "linux":
                with contextlib.suppress(OSError):  # temporary addresses last a day (RFC 8981)
                    route.setsockopt(socket.IPPROTO_IPV6, _IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC)
            route.connect((_FAR_AWAY[family], 9))
            return str(route.getsockname()[0])
    except OSError:
        return None


def _is_usable(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return not (ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast)


def _machine_id(root: Path) -> str:
    for path in ("etc/machine-id", "var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = (root / path).read_text(encoding="ascii").strip()
            if text.isalnum() and text != "uninitialized":
                return text
    return "-"
