"""scripts/try-route53 tells which of dnssd's assumptions a zone keeps, and cleans up."""

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from dnssd.sandbox.sandbox import Sandbox

SCRIPT = Path(__file__).parents[2] / "scripts" / "try_route53.py"
PATIENCE = 60  # seconds until a test gives up; nothing waits that long


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a process of its own, with the environment as it is."""
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture
def zone(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ID of the sandbox's zone, with the environment to reach it."""
    for key, value in sandbox.environment().items():
        monkeypatch.setenv(key, value)
    zones = boto3.client("route53").list_hosted_zones()["HostedZones"]
    return str(zones[0]["Id"]).removeprefix("/hostedzone/")


def test_every_assumption_holds_in_the_sandbox_and_nothing_stays(zone: str) -> None:
    """The sandbox does what Route 53 is taken to do, and the zone is left as it was."""
    client = boto3.client("route53")
    before = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]

    completed = run(zone)

    assert (completed.returncode, completed.stderr) == (0, "")
    assert "16 of 16 assumptions hold." in completed.stdout
    assert not [line for line in completed.stdout.splitlines() if len(line) > 80]
    after = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert after == before


class YesMan:
    """A service that takes every batch, and has nothing afterwards."""

    def get_hosted_zone(self, **_: object) -> dict[str, Any]:
        """Any zone exists."""
        return {"HostedZone": {"Name": "example.test."}}

    def change_resource_record_sets(self, **_: object) -> dict[str, Any]:
        """Any change is made."""
        return {"ChangeInfo": {"Id": "C1"}}

    def list_resource_record_sets(self, **_: object) -> dict[str, Any]:
        """Nothing is there."""
        return {"ResourceRecordSets": [{"Name": "later.test.", "Type": "A"}]}

    def get_change(self, **_: object) -> dict[str, Any]:
        """Everything is served."""
        return {"ChangeInfo": {"Status": "INSYNC"}}


def test_a_service_that_differs_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    """What takes a stale batch, or forgets what it took, does not pass."""
    script = runpy.run_path(str(SCRIPT))

    script["report"](script["Trial"](YesMan(), "Z1", "try"))

    lines = capsys.readouterr().out.splitlines()
    held = [line for line in lines if line.startswith("yes")]
    assert held == [
        "yes  A DELETE may name the values in another order.",
        "yes  A change is taken with a comment, and is INSYNC after a while.",
    ]


@pytest.mark.parametrize("arguments", [(), ("--help",), ("Z1", "Z2")])
def test_wrong_usage_is_told(arguments: tuple[str, ...]) -> None:
    """Anything but one zone is wrong usage, before anything is sent."""
    completed = run(*arguments)

    assert completed.returncode == 2
    assert completed.stderr.startswith("usage: scripts/try-route53 ZONE")


def test_a_zone_that_is_not_there_is_one_line(zone: str) -> None:
    """A wrong ID ends at once, without a traceback."""
    completed = run("Z0000000000099")

    assert completed.returncode == 1
    assert completed.stderr.startswith("try-route53: Z0000000000099: ")
    assert len(completed.stderr.splitlines()) == 1
