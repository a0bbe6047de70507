"""An EC2 instance: what its metadata service says about it."""

from collections.abc import Mapping
from pathlib import Path

from dnssd.deadline import Deadline
from dnssd.errors import Unavailable
from dnssd.hosts import HostFacts
from dnssd.hosts.addresses import is_public
from dnssd.hosts.document import Document
from dnssd.hosts.imds import Imds, Settings
from dnssd.hosts.labels import account_digest

SHOW_ACCOUNT = "DNSSD_SHOW_ACCOUNT"  # the variable that asks for the number in public
_DOCUMENT = "/latest/dynamic/instance-identity/document"


def facts(environ: Mapping[str, str], deadline: Deadline, root: Path = Path("/")) -> HostFacts:
    """What the metadata service says about this instance.

    Args:
        environ: The process's environment; AWS_EC2_METADATA_* and `SHOW_ACCOUNT` are honoured.
        deadline: How long it may take, retries included.
        root: Not used here.

    Raises:
        Unavailable: It does not answer, or not all that is needed.
        UsageError: A variable is malformed.
    """
    imds = Imds(Settings.from_environ(environ), deadline)
    identity = _identity(imds)
    account, region, instance = map(identity.identifier, ("accountId", "region", "instanceId"))
    accounts = account_digest(account), account
    shown, other = reversed(accounts) if environ.get(SHOW_ACCOUNT) else accounts
    private_ipv4, public_ipv4, ipv6 = (
        Document(item, imds.get(f"/latest/meta-data/{item}")).address()
        for item in ("local-ipv4", "public-ipv4", "ipv6")
    )
    public_ipv6 = ipv6 if ipv6 and is_public(ipv6) else None
    return HostFacts(
        label=instance,
        private=tuple(filter(None, (private_ipv4, ipv6))),
        public=tuple(filter(None, (public_ipv4, public_ipv6))),
        owner=f"ec2/{shown}/{region}/{instance}",
        source=f"EC2 instance metadata at {imds.endpoint}",
        cloud="ec2",
        region=region,
        zone=identity.text("availabilityZone"),
        former_owners=(f"ec2/{other}/{region}/{instance}",),
    )


def _identity(imds: Imds) -> Document:
    document = Document.parse("identity document", imds.get(_DOCUMENT))
    if not isinstance(document.value, dict):
        raise Unavailable(
            f"instance metadata: {imds.endpoint} gives no instance identity document; "
            "is this an EC2 instance? AWS_EC2_METADATA_DISABLED=true uses the host's own name"
        )
    return document
