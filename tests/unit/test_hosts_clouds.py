"""Which signs speak for which cloud."""

from pathlib import Path

import pytest

from dnssd.hosts.clouds import CLOUDS, Firmware, cloud_of

EC2 = Firmware(sys_vendor="amazon ec2", product_uuid="ec2d0000-0000")
GCE = Firmware(sys_vendor="google", product_name="google compute engine")
AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"
METAL = Firmware(sys_vendor="dell inc.", product_name="poweredge r650")
SILENT = Firmware()
ECS = {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x"}
POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
DISABLED = {"AWS_EC2_METADATA_DISABLED": "true"}
ENDPOINT = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}
GOOGLE = {"GCE_METADATA_HOST": "127.0.0.1:1"}


@pytest.mark.parametrize(
    ("firmware", "cloud"),
    [
        (EC2, "ec2"),
        (Firmware(board_vendor="amazon ec2"), "ec2"),
        (Firmware(sys_vendor="xen", product_uuid="ec2d0000-0000"), "ec2"),
        (Firmware(hypervisor_uuid="ec2d0000-0000"), "ec2"),
        (Firmware(sys_vendor="qemu", product_uuid="ec2d0000-0000"), "plain"),
        (GCE, "gce"),
        (Firmware(sys_vendor="microsoft corporation", chassis_asset_tag=AZURE_TAG), "azure"),
        (Firmware(sys_vendor="microsoft corporation", product_name="virtual machine"), "plain"),
        (Firmware(product_name="openstack nova"), "openstack"),
        (Firmware(product_name="openstack compute"), "openstack"),
        (Firmware(product_name="smartdc hvm"), "triton"),
        (METAL, "plain"),
        (SILENT, None),
    ],
)
def test_firmware(firmware: Firmware, cloud: str | None) -> None:
    """A cloud's own firmware tells it; another's tells a machine that is in none of them."""
    assert cloud_of({}, firmware) == cloud


@pytest.mark.parametrize(
    ("environ", "firmware", "cloud"),
    [
        (ECS | POD, EC2, "ecs"),
        (POD, GCE, "kubernetes"),
        (ENDPOINT | ECS | POD, METAL, "ec2"),
        (GOOGLE | ECS | POD, METAL, "gce"),
        (ENDPOINT | GOOGLE, METAL, "ec2"),
        (ENDPOINT | GOOGLE | DISABLED, METAL, "gce"),
        (DISABLED, EC2, "plain"),
        (ENDPOINT | DISABLED, EC2, "plain"),
        (DISABLED, GCE, "gce"),
        (DISABLED | ECS, EC2, "ecs"),
        (DISABLED, SILENT, "plain"),
        ({"AWS_EC2_METADATA_DISABLED": "True"}, EC2, "plain"),
        ({"AWS_EC2_METADATA_DISABLED": "false"}, EC2, "ec2"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": ""} | {"GCE_METADATA_HOST": ""}, METAL, "plain"),
        ({"ECS_CONTAINER_METADATA_URI_V4": "", "KUBERNETES_SERVICE_HOST": ""}, EC2, "ec2"),
    ],
)
def test_the_order_of_signs(environ: dict[str, str], firmware: Firmware, cloud: str) -> None:
    """What somebody said, then containers, then machines; EC2 may be switched off."""
    assert cloud_of(environ, firmware) == cloud


def test_every_answer_is_a_known_cloud() -> None:
    """The names are those that `--cloud` takes."""
    answers = {cloud_of(environ, METAL) for environ in ({}, ECS, POD, ENDPOINT, GOOGLE)}

    assert answers <= set(CLOUDS)


def test_firmware_is_read_from_sys(tmp_path: Path) -> None:
    """In lower case and without the line end; no file is silence, and no length is too much."""
    dmi = tmp_path / "sys/class/dmi/id"
    dmi.mkdir(parents=True)
    (dmi / "sys_vendor").write_text("Amazon EC2\n")
    (dmi / "product_name").write_bytes(b"\xff\x00m5.large\n")
    (dmi / "product_uuid").write_text("E" * 100_000)
    (dmi / "board_vendor").mkdir()
    (tmp_path / "sys/hypervisor").mkdir()
    (tmp_path / "sys/hypervisor/uuid").write_text("EC2F\n")

    firmware = Firmware.read(tmp_path)

    assert firmware.sys_vendor == "amazon ec2"
    assert firmware.product_name == "\ufffd\x00m5.large"
    assert len(firmware.product_uuid) == 256
    assert firmware.board_vendor == firmware.chassis_asset_tag == ""
    assert firmware.hypervisor_uuid == "ec2f"
    assert Firmware.read(tmp_path / "nothing") == SILENT
