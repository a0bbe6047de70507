"""Who am I: the name, addresses and owner that a host registers under."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dnssd.deadline import Deadline
from dnssd.errors import MalformedName, Unavailable, UsageError
from dnssd.hosts.clouds import CLOUDS, Firmware, cloud_of
from dnssd.names import shown
from dnssd.services import parse_host_label


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host knows about itself.

    Attributes:
        label: Its host label: the instance ID, or the first label of the host name.
        private: The private IPv4 address and the interface's IPv6 address, those there are.
        public: The addresses that the Internet reaches it at, those there are.
        owner: Who may change its records, the same after a reboot: `ec2/DIGEST/REGION/ID`
            or `host/DIGEST/HOSTNAME` and the like, in lower case.
        source: Where all this comes from, for people.
        cloud: One of `clouds.CLOUDS`.
        region: The cloud's region or data centre, as the cloud writes it.
        zone: The availability zone, likewise.
        former_owners: What earlier versions called the owner: it may change those records, too.
    """

    label: str
    private: tuple[str, ...]
    public: tuple[str, ...]
    owner: str
    source: str
    cloud: str = "plain"
    region: str | None = None
    zone: str | None = None
    former_owners: tuple[str, ...] = ()


METADATA_AT_JOIN_SECONDS = 120.0  # a booting host's metadata may be late
METADATA_AT_LEAVE_SECONDS = 5.0  # a host that shuts down has few
METADATA_IF_KEPT_SECONDS = 2.0  # of a host that knows who it was when it joined
METADATA_AT_WHOAMI_SECONDS = 5.0  # somebody is waiting

Ask = Callable[[Mapping[str, str], Deadline, Path], HostFacts]


def this_host(
    deadline: Deadline, label: str | None = None, *, budget: float, cloud: str | None = None
) -> HostFacts:
    """Who this host is, by this process's environment.

    Args:
        deadline: The caller's.
        label: The caller's own host label, if it gave one.
        budget: Seconds that instance metadata may take.
        cloud: The cloud to ask; None to find out.

    Raises:
        DnssdError: As `detect` does.
    """
    return detect(os.environ, Deadline(min(budget, deadline.remaining)), label=label, cloud=cloud)


def detect(
    environ: Mapping[str, str],
    deadline: Deadline,
    *,
    label: str | None = None,
    cloud: str | None = None,
    root: Path = Path("/"),
) -> HostFacts:
    """Find the cloud that this host is in, and ask it; elsewhere ask the machine itself.

    Args:
        environ: The process's environment; the clouds' own variables are honoured.
        deadline: How long the metadata may take.
        label: The caller's own host label, if it has one.
        cloud: One of `clouds.CLOUDS` to ask whatever the signs; None to look for signs.
        root: Where /etc and /sys are.

    Raises:
        Unavailable: The metadata did not answer, or not all that is needed.
        MalformedName: The host's label is none.
        UsageError: No such cloud, or a variable is malformed; the message names it.
    """
    if label is not None:
        parse_host_label(label)
    asked = cloud or _find_cloud(environ, deadline, root)
    try:
        found = _asker(asked)(environ, deadline, root)
    except Unavailable as error:
        error.about(server=f"metadata of {asked}")
        raise
    return replace(found, label=label or _checked_label(found))


def _find_cloud(environ: Mapping[str, str], deadline: Deadline, root: Path) -> str:
    cloud = cloud_of(environ, Firmware.read(root))
    if cloud is None:
        from dnssd.hosts.probe import probe

        cloud = probe(deadline) or "plain"
    return cloud


def _asker(cloud: str) -> Ask:
    from dnssd.hosts import azure, ec2, ecs, gce, kubernetes, openstack, plain, triton

    modules = (ec2, gce, azure, triton, openstack, ecs, kubernetes, plain)
    askers: dict[str, Ask] = {name: m.facts for name, m in zip(CLOUDS, modules, strict=True)}
    if cloud not in askers:
        raise UsageError(f"cloud {shown(cloud)}: not known; use one of {', '.join(CLOUDS)}")
    return askers[cloud]


def _checked_label(found: HostFacts) -> str:
    if found.label.lower() == "localhost":  # as images are called that nobody has given a name
        why = f"host {found.label!r}: every host calls itself so"
        raise MalformedName(f"{why}; it is from the {found.source}: give --host LABEL")
    try:
        return parse_host_label(found.label)
    except MalformedName as error:
        why = str(error).removesuffix("; give --host")
        raise MalformedName(f"{why}; it is from the {found.source}: give --host LABEL") from error
