"""A Compute Engine machine: what Google's metadata server says about it."""

from collections.abc import Mapping
from pathlib import Path

from dnssd.deadline import Deadline
from dnssd.hosts import HostFacts
from dnssd.hosts.addresses import is_public
from dnssd.hosts.document import Document
from dnssd.hosts.metadata import ADDRESS, Metadata, checked_url

# By address: at boot, and on leave, looking up metadata.google.internal may take too long.
ENDPOINTS = (ADDRESS, "http://[fd20:ce::254]")

_ROOT = "/computeMetadata/v1/"
_FLAVOR = "Metadata-Flavor"  # sent both ways; a request without it gets a 403


def facts(environ: Mapping[str, str], deadline: Deadline, root: Path = Path("/")) -> HostFacts:
    """What the metadata server says about this machine.

    Args:
        environ: The process's environment; GCE_METADATA_HOST (HOST[:PORT]) is honoured.
        deadline: How long it may take, retries included.
        root: Not used here.

    Raises:
        Unavailable: It does not answer, or not all that is needed.
        UsageError: The variable is malformed.
    """
    host = environ.get("GCE_METADATA_HOST")
    endpoints = (checked_url("GCE_METADATA_HOST", f"http://{host}"),) if host else ENDPOINTS
    metadata = Metadata(endpoints, deadline)
    project, instance, zone_path = (
        _item(metadata, item) for item in ("project/project-id", "instance/id", "instance/zone")
    )
    zone = Document("zone", (zone_path or "").rpartition("/")[2]).identifier()
    label = Document("id", instance).identifier()
    owner = f"gce/{Document('project-id', project).identifier()}/{zone}/{label}"
    nic_path = "instance/network-interfaces/0/?recursive=true"
    nic = Document.parse("network interface", _item(metadata, nic_path))
    ipv6 = nic.address("ipv6s", 0) or nic.address("ipv6", 0)
    external = (
        nic.address("accessConfigs", 0, "externalIp"),
        ipv6 if ipv6 and is_public(ipv6) else None,
    )
    return HostFacts(
        label=label,
        private=tuple(filter(None, (nic.address("ip"), ipv6))),
        public=tuple(filter(None, external)),
        owner=owner,
        source=f"GCE metadata server at {metadata.endpoint}",
        cloud="gce",
        region=zone.rpartition("-")[0] or None,
        zone=zone,
    )


def _item(metadata: Metadata, path: str) -> str | None:
    """One item; the server must say that it is Google's, as its documentation asks for."""
    answer = metadata.request("GET", _ROOT + path, {_FLAVOR: "Google"})
    if answer.status == 200 and answer.headers.get(_FLAVOR.lower()) != "Google":
        raise metadata.failure("not Google's metadata server", "check --cloud")
    return metadata.content(answer)
