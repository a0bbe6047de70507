"""An ECS task: what the agent beside it, or Fargate, says about it."""

from collections.abc import Mapping
from pathlib import Path

from dnssd.deadline import Deadline
from dnssd.errors import Unavailable, UsageError
from dnssd.hosts import HostFacts, plain
from dnssd.hosts.addresses import sides
from dnssd.hosts.document import Document
from dnssd.hosts.metadata import Metadata, checked_url

VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"


def facts(
    environ: Mapping[str, str],
    deadline: Deadline,
    root: Path = Path("/"),
    *,
    route_address: plain.RouteAddress = plain.address_of_route,
) -> HostFacts:
    """What the task metadata endpoint says about this task.

    A task has an address of its own in the network mode awsvpc. In the mode host it has its
    machine's; in others it is behind its machine's, and none is given here.

    Args:
        environ: The process's environment; ECS_CONTAINER_METADATA_URI_V4 leads to it.
        deadline: How long it may take, retries included.
        root: Not used here.
        route_address: Gives the address of the default route.

    Raises:
        Unavailable: It does not answer, or not all that is needed.
        UsageError: The variable is malformed or absent.
    """
    uri = environ.get(VARIABLE)
    if not uri:
        raise UsageError(f"{VARIABLE}: not set; is this an ECS task? Use another --cloud")
    metadata = Metadata((checked_url(VARIABLE, uri),), deadline)
    task = Document.parse("task metadata", metadata.read("/task", {}))
    region, account, label = _parts_of_arn(task)
    private, public = sides(_addresses(task, route_address))
    return HostFacts(
        label=label,
        private=private,
        public=public,
        owner=f"ecs/{account}/{region}/{label}",
        source=f"ECS task metadata at {metadata.endpoint}",
        cloud="ecs",
        region=region,
        zone=task.text("AvailabilityZone"),
    )


def _parts_of_arn(task: Document) -> tuple[str, str, str]:
    """Region, account and ID in `arn:aws:ecs:REGION:ACCOUNT:task/[CLUSTER/]ID`."""
    arn = task.at("TaskARN")
    fields = arn.split(":", 5) if isinstance(arn, str) else []
    if len(fields) != 6 or fields[2] != "ecs" or not fields[5].startswith("task/"):
        raise Unavailable("instance metadata: no TaskARN in the task metadata; try again")
    parts = (fields[3], fields[4], fields[5].rpartition("/")[2])
    region, account, label = (Document("TaskARN", part).identifier() for part in parts)
    return region, account, label


def _addresses(task: Document, route_address: plain.RouteAddress) -> list[str | None]:
    networks = [n for c in task.below("Containers") for n in c.below("Networks")]
    own = next((n for n in networks if n.at("NetworkMode") == "awsvpc"), None)
    if own:
        keys = ("IPv4Addresses", "IPv6Addresses")
        return [address.address() for key in keys for address in own.below(key)]
    if any(n.at("NetworkMode") == "host" for n in networks):
        return [plain.usable_route(route_address, family) for family in plain.FAMILIES]
    return []
