"""A Kubernetes pod: what its manifest passes to it by the downward API.

POD_NAME       metadata.name        else the host name, which is the pod's name too
POD_NAMESPACE  metadata.namespace   else that of the service account
POD_CLUSTER    the cluster's name   else a digest of its CA certificate, else POD_REGION
POD_IPS        status.podIPs        else POD_IP, status.podIP, else the default route
POD_REGION     metadata.labels['topology.kubernetes.io/region']
POD_ZONE       metadata.labels['topology.kubernetes.io/zone']
"""

import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from dnssd.deadline import Deadline
from dnssd.errors import Unavailable, UsageError
from dnssd.hosts import HostFacts, plain
from dnssd.hosts.addresses import sides, usable
from dnssd.hosts.document import Document
from dnssd.hosts.labels import digest, host_label
from dnssd.names import shown

_ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount"  # of the pod's service account


def facts(
    environ: Mapping[str, str],
    deadline: Deadline,
    root: Path = Path("/"),
    *,
    hostname: Callable[[], str] = socket.gethostname,
    route_address: plain.RouteAddress = plain.address_of_route,
) -> HostFacts:
    """What the pod knows about itself.

    The owner is the pod by its name, not its UID: one of a StatefulSet that is made anew
    with another address is the same host. One of the same name in another namespace or
    another cluster is another host: its label ends in a digest of where it is.

    Args:
        environ: The process's environment, with the variables above.
        deadline: Not used here: nobody is asked.
        root: Where /var is; each pod finds its cluster's CA certificate there.
        hostname: Gives the host's name.
        route_address: Gives the address of the default route.

    Raises:
        UsageError: A variable is malformed; the message names it.
    """
    pod = Document("environment", dict(environ))
    name = _identifier("POD_NAME", environ.get("POD_NAME") or hostname())
    namespace = _identifier("POD_NAMESPACE", environ.get("POD_NAMESPACE") or _namespace(root))
    cluster = _cluster(environ, root)
    given = environ.get("POD_IPS") or environ.get("POD_IP") or ""
    addresses = [_address(text) for text in given.split(",") if text] or [
        plain.usable_route(route_address, family) for family in plain.FAMILIES
    ]
    private, public = sides(addresses)
    return HostFacts(
        label=host_label(name, f"{cluster}/{namespace}"),
        private=private,
        public=public,
        owner=f"kubernetes/{cluster}/{namespace}/{name}",
        source="pod's environment (downward API), host name and default route",
        cloud="kubernetes",
        region=pod.text("POD_REGION"),
        zone=pod.text("POD_ZONE"),
        former_owners=(f"kubernetes/{namespace}/{name}",),
    )


def _cluster(environ: Mapping[str, str], root: Path) -> str:
    """What tells this cluster from others."""
    if given := environ.get("POD_CLUSTER"):
        return _identifier("POD_CLUSTER", given)
    if certificate := _read(root / _ACCOUNT / "ca.crt"):
        return digest(certificate)[:16]
    region = environ.get("POD_REGION")
    return _identifier("POD_REGION", region) if region else "-"


def _identifier(variable: str, text: str) -> str:
    try:
        return Document("environment", {variable: text}).identifier(variable)
    except Unavailable as error:
        raise UsageError(
            f"{variable}: {shown(text)} is no name of Kubernetes; correct it in the manifest"
        ) from error


def _address(text: str) -> str | None:
    try:
        return usable(text)
    except ValueError as error:
        raise UsageError(
            f"POD_IPS or POD_IP: {shown(text)} is not an address; correct it in the manifest"
        ) from error


def _namespace(root: Path) -> str:
    return _read(root / _ACCOUNT / "namespace") or "default"


def _read(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="ascii").strip()
    return ""
