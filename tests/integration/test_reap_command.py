"""`dnssd reap` over the sandbox, with a double of EC2."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from dnssd import Registration, join, open_zone
from dnssd.cli import main
from dnssd.registration import reaper, reaping
from dnssd.sandbox.sandbox import Sandbox
from kit.ec2 import ACCOUNT, FakeEc2, fake_ec2

REGION = "us-east-1"


@pytest.fixture
def ec2() -> Iterator[FakeEc2]:
    """A double of EC2."""
    with fake_ec2() as double:
        yield double


@pytest.fixture
def zone(ec2: FakeEc2, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A sandbox's zone, and the environment in which boto3 finds both; rounds follow at once."""
    monkeypatch.setattr(reaper, "PAUSE", 0.0)
    with Sandbox() as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", ec2.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ec2.url)
        yield f"example.test,id={sandbox.zone_id}"


def registration(host: str) -> Registration:
    """A membership of an EC2 instance."""
    owner = f"ec2/{ACCOUNT}/{REGION}/{host}"
    return Registration(
        service="http", instance="web", port=80, host=host, addresses=["127.0.0.1"], owner=owner
    )


def dnssd(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command: its exit code, and what it printed."""
    code = main.run(words)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_dead_are_shown_and_removed_and_the_brake_is_told(
    zone: str, ec2: FakeEc2, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run changes nothing; with --yes a quarter goes; a limit takes the others, too."""
    for number in range(4):
        join(open_zone(zone), registration(f"i-{number}"))
    ec2.states = {"i-0": "running", "i-1": "running", "i-2": "shutting-down", "i-3": "terminated"}

    code, out, err = dnssd(capsys, "reap", "http", "--zone", zone)
    assert code == 0
    assert out.splitlines() == [
        "would remove i-2-80 of web._http._tcp.example.test.: EC2: shutting-down; "
        f"ec2/{ACCOUNT}/{REGION}/i-2",
        f"kept i-3-80 of web._http._tcp.example.test.: EC2: terminated; ec2/{ACCOUNT}/{REGION}/i-3",
    ]
    assert "run it with --yes" in err
    code, out, err = dnssd(capsys, "reap", "--zone", zone, "--json", "--yes")
    found = json.loads(out)
    assert code == 4
    assert "--limit 1" in err
    assert [(one["member"], one["held"]) for one in found["dead"]] == [
        ("i-2-80", False),
        ("i-3-80", True),
    ]
    assert (found["done"], found["zones"][0]["error"]["kind"]) == (True, "Refused")
    code, out, _ = dnssd(capsys, "reap", "--zone", zone, "--yes", "--limit", "1")
    assert (code, out.startswith("removed i-3-80 of web")) == (0, True)
    code, out, _ = dnssd(capsys, "reap", "--zone", zone, "--yes")
    assert (code, out) == (0, "nobody is known to be dead\n")
    _, out, _ = dnssd(capsys, "status", "http", "--instance", "web", "--zone", zone, "--json")
    members = json.loads(out)["members"]
    assert [(m["state"], m["published"]) for m in members] == [
        *[("up", True)] * 2,
        *[("leaving", False)] * 2,
    ]


def test_where_ec2_says_no_nothing_goes_by_its_word(
    zone: str, ec2: FakeEc2, capsys: pytest.CaptureFixture[str]
) -> None:
    """What could not be asked is told (1); what else is known still counts."""
    for host in ("i-0", "i-1"):
        join(open_zone(zone), registration(host))
    ec2.states = {"i-0": "running", "i-1": "terminated"}
    ec2.failures = [None, "UnauthorizedOperation"]
    code, out, err = dnssd(capsys, "reap", "--zone", zone, "--yes")
    assert (code, out) == (1, "nobody is known to be dead\n")
    assert "allow ec2:DescribeInstances" in err


def test_probes_find_a_server_that_is_gone(
    zone: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own port, at any of its addresses; one that listens answers."""
    monkeypatch.setattr(reaping, "YOUNG", timedelta(0))
    with socket.create_server(("127.0.0.1", 0)) as listening, closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        for host, socket_ in (("good", listening), ("bad", bound)):
            port = socket_.getsockname()[1]
            addresses = ["127.0.0.1"] if host == "bad" else ["127.0.0.2", "127.0.0.1"]
            asked = Registration(service="http", port=port, host=host, addresses=addresses)
            join(open_zone(zone), asked)
        code, out, _ = dnssd(capsys, "reap", "http", "--zone", zone, "--probe", "--yes", "--json")
    assert code == 0
    assert [one["kind"] for one in json.loads(out)["dead"]] == ["probe"]
    assert json.loads(out)["dead"][0]["member"].startswith("bad-")


def test_a_service_that_is_none_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anybody is asked."""
    code, _, err = dnssd(capsys, "reap", "no such", "--zone", "example.test,id=Z0123456789ABC")
    assert (code, "service" in err) == (2, True)
