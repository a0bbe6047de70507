"""Who am I: the name, addresses and owner that a host registers under."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dnssd.services import parse_host_label
from dnssd.zones.pace import Pace


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a host knows about itself.

    Attributes:
        label: Its host label: the instance ID, or the first label of the host name.
        private: The private IPv4 address and the interface's IPv6 address, those there are.
        public: The addresses that the Internet reaches it at, those there are.
        owner: Who may change its records, the same after a reboot: `ec2/ACCOUNT/REGION/ID`
            or `host/MACHINE-ID/HOSTNAME`, in lower case.
        source: Where all this comes from, for people.
    """

    label: str
    private: tuple[str, ...]
    public: tuple[str, ...]
    owner: str
    source: str


def detect(
    environ: Mapping[str, str], pace: Pace, *, label: str | None = None, root: Path = Path("/")
) -> HostFacts:
    """Ask the instance metadata on EC2, and the machine itself elsewhere.

    Args:
        environ: The process's environment; AWS_EC2_METADATA_* are honoured.
        pace: How long the metadata may take.
        label: The caller's own host label, if it has one.
        root: Where /etc and /sys are.

    Raises:
        Unavailable: The metadata did not answer, or not all that is needed.
        MalformedName: The host's label is none.
        UsageError: An AWS_EC2_METADATA_* variable is malformed.
    """
    from dnssd.hosts import ec2, plain

    found = ec2.facts(environ, pace) if ec2.is_here(environ, root) else plain.facts(root)
    return replace(found, label=parse_host_label(label or found.label))
