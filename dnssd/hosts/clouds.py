"""Which cloud this host is in: decided from the environment and the firmware alone.

    AWS_EC2_METADATA_SERVICE_ENDPOINT, GCE_METADATA_HOST   somebody has said where to ask
    ECS_CONTAINER_METADATA_URI_V4                          ecs
    KUBERNETES_SERVICE_HOST                                kubernetes
    firmware of a cloud                                    that cloud
    any other firmware                                     plain
    no firmware to read                                    who answers at the metadata address

The first line that holds decides. A container comes before its machine: its name and address
are its own. AWS_EC2_METADATA_DISABLED=true rules out ec2, and asking strangers.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

CLOUDS = ("ec2", "gce", "azure", "triton", "openstack", "ecs", "kubernetes", "plain")

_AZURE = "7783-7084-3265-9085-8269-3286-77"  # the chassis tag of every machine there
_PRODUCTS = {"google compute engine": "gce", "openstack": "openstack", "smartdc": "triton"}


@dataclass(frozen=True, slots=True)
class Firmware:
    """What the firmware calls its machine (DMI), in lower case, empty where it is silent."""

    sys_vendor: str = ""
    board_vendor: str = ""
    product_name: str = ""
    chassis_asset_tag: str = ""
    product_uuid: str = ""
    hypervisor_uuid: str = ""

    @classmethod
    def read(cls, root: Path = Path("/")) -> Self:
        """Read it; what cannot be read is silent.

        Args:
            root: Where /sys is.
        """
        dmi = root / "sys/class/dmi/id"
        return cls(
            sys_vendor=_read(dmi / "sys_vendor"),
            board_vendor=_read(dmi / "board_vendor"),
            product_name=_read(dmi / "product_name"),
            chassis_asset_tag=_read(dmi / "chassis_asset_tag"),
            product_uuid=_read(dmi / "product_uuid"),
            hypervisor_uuid=_read(root / "sys/hypervisor/uuid"),
        )


def cloud_of(environ: Mapping[str, str], firmware: Firmware) -> str | None:
    """The cloud that the signs speak for.

    Args:
        environ: The process's environment.
        firmware: What `Firmware.read` gives.

    Returns:
        One of `CLOUDS`; None if there is no sign at all, and the metadata address may be asked.
    """
    ec2_allowed = not is_ec2_disabled(environ)
    if environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") and ec2_allowed:
        return "ec2"
    if environ.get("GCE_METADATA_HOST"):
        return "gce"
    if environ.get("ECS_CONTAINER_METADATA_URI_V4"):
        return "ecs"
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if (cloud := _of_firmware(firmware)) and (cloud != "ec2" or ec2_allowed):
        return cloud
    return None if ec2_allowed and not any(astuple(firmware)) else "plain"


def is_ec2_disabled(environ: Mapping[str, str]) -> bool:
    """Whether AWS_EC2_METADATA_DISABLED says so, as for the AWS SDKs."""
    return environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"


def _of_firmware(firmware: Firmware) -> str | None:
    if firmware.chassis_asset_tag == _AZURE:
        return "azure"
    for product, cloud in _PRODUCTS.items():
        if firmware.product_name.startswith(product):
            return cloud
    vendors = {firmware.sys_vendor, firmware.board_vendor} - {""}
    if "amazon ec2" in vendors:
        return "ec2"
    # Older, Xen-based instances. Elsewhere one UUID in 4096 begins with ec2 by chance.
    uuids = (firmware.product_uuid, firmware.hypervisor_uuid)
    is_xen = vendors <= {"xen"} and any(uuid.startswith("ec2") for uuid in uuids)
    return "ec2" if is_xen else None


def _read(path: Path) -> str:
    with contextlib.suppress(OSError), path.open(encoding="ascii", errors="replace") as file:
        return file.read(256).strip().lower()
    return ""
