"""A machine that no cloud speaks for: its host name, default route and machine ID."""

import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from dnssd.deadline import Deadline
from dnssd.hosts import HostFacts
from dnssd.hosts.addresses import is_public, usable
from dnssd.hosts.labels import host_label, machine_digest
from dnssd.services import MAX_HOST_LABEL
from dnssd.wire.routes import FAR_AWAY, source_for

FAMILIES = tuple(FAR_AWAY)  # of addresses, the first preferred

RouteAddress = Callable[[socket.AddressFamily], str | None]


def address_of_route(family: socket.AddressFamily) -> str | None:
    """The address that packets to far away leave from; None if there is no way."""
    return source_for(FAR_AWAY[family])


def usable_route(route_address: RouteAddress, family: socket.AddressFamily) -> str | None:
    """That address, if other hosts can reach it."""
    address = route_address(family)
    return usable(address) if address else None


def facts(
    environ: Mapping[str, str],
    deadline: Deadline,
    root: Path = Path("/"),
    *,
    hostname: Callable[[], str] = socket.gethostname,
    route_address: RouteAddress = address_of_route,
) -> HostFacts:
    """What the machine knows about itself; without a default route it has no address.

    Args:
        environ: Not used here.
        deadline: Not used here: nobody is asked.
        root: Where /etc is.
        hostname: Gives the host's name.
        route_address: Gives the address of the default route; see `address_of_route`.
    """
    name = hostname().rstrip(".")
    machine_id = _machine_id(root)
    owner = f"host/{machine_digest(machine_id) if machine_id else '-'}/{name}".lower()
    found = (usable_route(route_address, family) for family in FAMILIES)
    addresses = tuple(address for address in found if address)
    return HostFacts(
        label=_label(name),
        private=addresses,
        public=tuple(filter(is_public, addresses)),
        owner=owner,
        source="host name, default route and machine ID",
        former_owners=(f"host/{machine_id}/{name}".lower(),) if machine_id else (),
    )


def _label(hostname: str) -> str:
    """The host name's first label; of one that is too long as much as fits, and a digest."""
    label = hostname.partition(".")[0]
    return host_label(label) if len(label) > MAX_HOST_LABEL else label


def _machine_id(root: Path) -> str | None:
    for path in ("etc/machine-id", "var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            text = (root / path).read_text(encoding="ascii").strip()
            if text.isalnum() and text != "uninitialized":
                return text
    return None
