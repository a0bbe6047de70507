"""A Kubernetes pod: what its manifest passes to it by the downward API.

POD_NAME       metadata.name        else the host name, which is the pod's name too
POD_NAMESPACE  metadata.namespace   else that of the service account
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
from dnssd.names import shown

_NAMESPACE = "var/run/secrets/kubernetes.io/serviceaccount/namespace"


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
    with another address is the same host.

    Args:
        environ: The process's environment, with the variables above.
        deadline: Not used here: nobody is asked.
        root: Where /var is.
        hostname: Gives the host's name.
        route_address: Gives the address of the default route.

    Raises:
        UsageError: A variable is malformed; the message names it.
    """
    pod = Document("environment", dict(environ))
    name = _identifier("POD_NAME", environ.get("POD_NAME") or hostname())
    namespace = _identifier("POD_NAMESPACE", environ.get("POD_NAMESPACE") or _namespace(root))
    given = environ.get("POD_IPS") or environ.get("POD_IP") or ""
    addresses = [_address(text) for text in given.split(",") if text] or [
        plain.usable_route(route_address, family) for family in plain.FAMILIES
    ]
    private, public = sides(addresses)
    return HostFacts(
        label=name,
        private=private,
        public=public,
        owner=f"kubernetes/{namespace}/{name}",
        source="pod's environment (downward API), host name and default route",
        cloud="kubernetes",
        region=pod.text("POD_REGION"),
        zone=pod.text("POD_ZONE"),
    )


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
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (root / _NAMESPACE).read_text(encoding="ascii").strip() or "default"
    return "default"
