"""An Azure virtual machine: what its instance metadata service says about it."""

from collections.abc import Mapping
from pathlib import Path

from dnssd.deadline import Deadline
from dnssd.hosts import HostFacts
from dnssd.hosts.addresses import is_public
from dnssd.hosts.document import Document
from dnssd.hosts.metadata import ADDRESS, Metadata

ENDPOINTS = (ADDRESS,)  # there is no other

_INSTANCE = "/metadata/instance?api-version=2021-02-01"
_LOAD_BALANCER = "/metadata/loadbalancer?api-version=2020-10-01"
_HEADERS = {"Metadata": "true"}
_AGAIN = (404, 410)  # what the service says while the machine is being moved or updated


def facts(environ: Mapping[str, str], deadline: Deadline, root: Path = Path("/")) -> HostFacts:
    """What the metadata service says about this machine.

    Args:
        environ: Not used here: Azure has no variable for it.
        deadline: How long it may take, retries included.
        root: Not used here.

    Raises:
        Unavailable: It does not answer, or not all that is needed.
    """
    metadata = Metadata(ENDPOINTS, deadline)
    instance = Document.parse("instance", metadata.read(_INSTANCE, _HEADERS, again=_AGAIN))
    subscription, region, label = (
        instance.identifier("compute", key) for key in ("subscriptionId", "location", "vmId")
    )
    private = [_address(instance, family, "privateIpAddress") for family in ("ipv4", "ipv6")]
    public = [_address(instance, family, "publicIpAddress") for family in ("ipv4", "ipv6")]
    if not any(public):  # those of the Standard SKU are told of elsewhere
        balancer = Document.parse("load balancer", metadata.read(_LOAD_BALANCER, _HEADERS))
        public = _frontends(balancer, private)
    if private[1] and not public[1] and is_public(private[1]):
        public[1] = private[1]
    return HostFacts(
        label=label,
        private=tuple(filter(None, private)),
        public=tuple(filter(None, public)),
        owner=f"azure/{subscription}/{label}",
        source=f"Azure instance metadata at {metadata.endpoint}",
        cloud="azure",
        region=region,
        zone=instance.text("compute", "zone"),
    )


def _address(instance: Document, family: str, key: str) -> str | None:
    return instance.address("network", "interface", 0, family, "ipAddress", 0, key)


def _frontends(balancer: Document, private: list[str | None]) -> list[str | None]:
    """The public IPv4 and IPv6 address that stand for these private ones."""
    pairs = [
        (pair.address("privateIpAddress"), pair.address("frontendIpAddress"))
        for pair in balancer.below("loadbalancer", "publicIpAddresses")
    ]
    return [next((out for own, out in pairs if own and own == mine), None) for mine in private]
