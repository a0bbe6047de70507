"""An EC2 instance: what its metadata service says about it (IMDSv2 only)."""

import contextlib
import ipaddress
import json
import re
from collections.abc import Mapping
from pathlib import Path

from dnssd.errors import Unavailable
from dnssd.hosts import HostFacts
from dnssd.hosts.metadata import Metadata, Settings
from dnssd.zones.pace import Pace

_FIELD = re.compile(r"[A-Za-z0-9-]{1,64}")
_DOCUMENT = "/latest/dynamic/instance-identity/document"


def is_here(environ: Mapping[str, str], root: Path = Path("/")) -> bool:
    """Whether this is an EC2 instance, or a metadata endpoint is configured.

    Args:
        environ: The process's environment.
        root: Where /sys is.
    """
    if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    if environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        return True
    dmi = root / "sys/class/dmi/id"
    vendors = {_read(dmi / "sys_vendor"), _read(dmi / "board_vendor")} - {""}
    if "amazon ec2" in vendors:
        return True
    # Older, Xen-based instances. Elsewhere one UUID in 4096 begins with ec2 by chance.
    uuids = (_read(dmi / "product_uuid"), _read(root / "sys/hypervisor/uuid"))
    return vendors <= {"xen"} and any(uuid.startswith("ec2") for uuid in uuids)


def facts(environ: Mapping[str, str], pace: Pace) -> HostFacts:
    """What the metadata service says about this instance.

    Args:
        environ: The process's environment; AWS_EC2_METADATA_* are honoured.
        pace: How long it may take, retries included.

    Raises:
        Unavailable: It does not answer, or not all that is needed.
        UsageError: A variable is malformed.
    """
    metadata = Metadata(Settings.from_environ(environ), pace)
    document = _document(metadata)
    account, region, instance = (
        _field(document, key) for key in ("accountId", "region", "instanceId")
    )
    private_ipv4 = _address(metadata, "local-ipv4")
    public_ipv4 = _address(metadata, "public-ipv4")
    ipv6 = _address(metadata, "ipv6")
    return HostFacts(
        label=instance,
        private=tuple(filter(None, (private_ipv4, ipv6))),
        public=tuple(filter(None, (public_ipv4, ipv6))),
        owner=f"ec2/{account}/{region}/{instance}",
        source=f"EC2 instance metadata at {metadata.endpoint}",
    )


def _document(metadata: Metadata) -> dict[str, object]:
    text = metadata.get(_DOCUMENT)
    try:
        document = json.loads(text or "")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unavailable(
            f"instance metadata: {metadata.endpoint} gives no instance identity document; "
            "is this an EC2 instance? AWS_EC2_METADATA_DISABLED=true uses the host's own name"
        )
    return document


def _field(document: Mapping[str, object], key: str) -> str:
    value = document.get(key)
    if not (isinstance(value, str) and _FIELD.fullmatch(value)):
        raise Unavailable(f"instance metadata: no {key} in the identity document; try again")
    return value.lower()


def _address(metadata: Metadata, item: str) -> str | None:
    text = metadata.get(f"/latest/meta-data/{item}")
    if text is None:
        return None
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError as error:
        raise Unavailable(f"instance metadata: {item} is not an address; try again") from error


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="ascii", errors="replace").strip().lower()
    return ""
