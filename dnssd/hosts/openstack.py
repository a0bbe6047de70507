"""An OpenStack instance: what nova's metadata service says about it."""

import contextlib
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from dnssd.deadline import Deadline
from dnssd.hosts import HostFacts, plain
from dnssd.hosts.addresses import is_public, sides
from dnssd.hosts.document import Document
from dnssd.hosts.metadata import ADDRESS, Metadata

_FILES = "/openstack/latest/"
_EC2_ITEMS = "/latest/meta-data/"  # floating addresses are told of in EC2's form only
_MOST = 4  # interfaces that are tried for the service's link-local address


def endpoints(interfaces: Sequence[str]) -> tuple[str, ...]:
    """Where the service may be: an address of IPv4, or a link-local one of IPv6."""
    links = [name for name in interfaces if name != "lo" and name.isalnum()][:_MOST]
    return (ADDRESS, *(f"http://[fe80::a9fe:a9fe%{name}]" for name in links))


def facts(
    environ: Mapping[str, str],
    deadline: Deadline,
    root: Path = Path("/"),
    *,
    at: Sequence[str] = (),
    route_address: plain.RouteAddress = plain.address_of_route,
) -> HostFacts:
    """What the metadata service says about this instance.

    Args:
        environ: Not used here: OpenStack has no variable for it.
        deadline: How long it may take, retries included.
        root: Not used here.
        at: URLs of the service; by default those of `endpoints`.
        route_address: Gives the address of the default route: networks with DHCP do not
            say which address they gave.

    Raises:
        Unavailable: It does not answer, or not all that is needed.
    """
    metadata = Metadata(at or endpoints(_interfaces()), deadline)
    instance = Document.parse("meta_data.json", metadata.read(_FILES + "meta_data.json", {}))
    label = instance.identifier("uuid")
    project = instance.identifier("project_id") if instance.at("project_id") else "-"
    private, public = _addresses(metadata, route_address)
    return HostFacts(
        label=label,
        private=private,
        public=public,
        owner=f"openstack/{project}/{label}",
        source=f"OpenStack metadata at {metadata.endpoint}",
        cloud="openstack",
        zone=instance.text("availability_zone"),
    )


def _interfaces() -> list[str]:
    with contextlib.suppress(OSError):  # a service may be kept from asking
        return [name for _, name in socket.if_nameindex()]
    return []


def _addresses(
    metadata: Metadata, route_address: plain.RouteAddress
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    network = Document.parse("network_data.json", metadata.read(_FILES + "network_data.json", {}))
    fixed = [entry.address("ip_address") for entry in network.below("networks")]
    fixed += [plain.usable_route(route_address, family) for family in plain.FAMILIES]
    private, public = sides(fixed)
    floating = Document(
        "public-ipv4", (metadata.read(_EC2_ITEMS + "public-ipv4", {}) or "").strip()
    )
    if (address := floating.address()) and is_public(address):
        public = (address, *(a for a in public if ":" in a))
    return private, public
