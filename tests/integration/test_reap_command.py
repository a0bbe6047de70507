"""`dnssd reap`, and the function in AWS Lambda, over the sandbox and a double of EC2."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from dnssd import Registration, join, lambda_handler, open_zone
from dnssd.cli import main
from dnssd.errors import AccessDenied, ZoneNotFound
from dnssd.registration import reaper, reaping
from dnssd.sandbox.api.exchange import Handler, Request, Response
from dnssd.sandbox.sandbox import Sandbox
from kit.ec2 import ACCOUNT, FakeEc2, fake_ec2

REGION = "us-east-1"


@pytest.fixture
def ec2() -> Iterator[FakeEc2]:
    """A double of EC2."""
    with fake_ec2() as double:
        yield double


@pytest.fixture
def comments() -> list[str]:
    """The comments of the changes that Route 53 was sent."""
    return []


@pytest.fixture
def sandbox(
    ec2: FakeEc2, comments: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    """A sandbox, and the environment in which boto3 finds it and EC2; rounds follow at once."""

    def reading(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            comments.extend(re.findall("<Comment>(.*?)</Comment>", request.body.decode()))
            return handler(request)

        return handle

    monkeypatch.setattr(reaper, "PAUSE", 0.0)
    with Sandbox(wraps=[reading]) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", ec2.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ec2.url)
        yield sandbox


@pytest.fixture
def zone(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of its zone, which the environment names, too."""
    address = f"example.test,id={sandbox.zone_id}"
    monkeypatch.setenv("DNSSD_ZONE", address)
    return address


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
    zone: str, ec2: FakeEc2, capsys: pytest.CaptureFixture[str], comments: list[str]
) -> None:
    """A dry run changes nothing; with --yes a quarter goes; a limit takes the others, too."""
    at = open_zone(zone)
    for number in range(4):
        join(at, registration(f"i-{number}"))
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
    assert comments[-1] == f"dnssd reap {socket.gethostname()}: i-3-80"
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
    at = open_zone(zone)
    for host in ("i-0", "i-1"):
        join(at, registration(host))
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


CONTEXT = SimpleNamespace(function_name="reaper", get_remaining_time_in_millis=lambda: 180_000)
SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": ACCOUNT,
    "time": "2026-11-21T12:00:00Z",
    "region": REGION,
    "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/reaper"],
    "detail": {},
}


def told(instance: str, state: str) -> dict[str, Any]:
    """What EventBridge tells of an instance, as AWS documents it."""
    return SCHEDULED | {
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "resources": [f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/{instance}"],
        "detail": {"instance-id": instance, "state": state},
    }


def queued(*bodies: object) -> dict[str, Any]:
    """A batch that Lambda takes from a queue."""
    return {
        "Records": [
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-66197597{number:04}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:deaths",
                "awsRegion": REGION,
            }
            for number, body in enumerate(bodies)
        ]
    }


def gone(found: dict[str, Any]) -> list[str]:
    """Who was taken out."""
    return [one["member"] for one in found["dead"] if not one["held"]]


def test_a_function_folds_the_deaths_of_a_batch_once(
    zone: str, sandbox: Sandbox, ec2: FakeEc2, comments: list[str]
) -> None:
    """Told twice, in any order and among noise; only EC2's own word takes anybody out."""
    at = open_zone(zone)
    for number in range(12):
        join(at, registration(f"i-{number}"))
    ec2.states = {f"i-{number}": "running" for number in range(12)}
    ec2.states |= {"i-1": "terminated", "i-2": "terminated", "i-3": "terminated"}
    before = len(sandbox.api.requests())
    batch = queued(
        told("i-1", "terminated"),
        told("i-1", "stopped"),
        told("i-1", "terminated"),
        told("i-2", "terminated"),
        told("i-2", "running"),  # an older one
        told("i-5", "terminated"),  # as somebody says
        told("i-9", "stopped") | {"account": "210987654321"},
        "no JSON",
        "[]",
    )

    found = lambda_handler(batch, CONTEXT)

    assert gone(found) == ["i-1-80", "i-2-80"]
    assert found["changed"]
    asked = [exchange.action for exchange in sandbox.api.requests()[before:]]
    assert asked == ["ListResourceRecordSets"] * 2 + ["ChangeResourceRecordSets"]
    assert gone(lambda_handler(batch, CONTEXT)) == []  # delivered again
    assert gone(lambda_handler(SCHEDULED, CONTEXT)) == ["i-3-80"]  # its event was lost
    assert comments[-1] == "dnssd reap reaper: i-3-80"


def test_a_function_fails_where_ec2_or_the_zone_do(
    zone: str, sandbox: Sandbox, ec2: FakeEc2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda then tries again; what the brake holds waits for the schedule, and is told."""
    at = open_zone(zone)
    for host in ("i-0", "i-1"):
        join(at, registration(host))
    ec2.states = dict.fromkeys(("i-0", "i-1"), "terminated")
    batch = queued(told("i-0", "terminated"), told("i-1", "terminated"))
    ec2.failures = [None, "UnauthorizedOperation"]
    with pytest.raises(AccessDenied, match="DescribeInstances"):
        lambda_handler(batch, CONTEXT)
    monkeypatch.setenv("DNSSD_ZONE", "example.test,id=Z0000000000000")
    with pytest.raises(ZoneNotFound):
        lambda_handler(batch, CONTEXT)
    monkeypatch.setenv("DNSSD_ZONE", zone)
    found = lambda_handler(batch, CONTEXT)
    assert [(one["member"], one["held"]) for one in found["dead"]] == [
        ("i-0-80", False),
        ("i-1-80", True),
    ]
    requests = len(sandbox.api.requests())
    for nobody in (told("i-1", "pending"), queued(told("i-1", "running")), queued()):
        assert gone(lambda_handler(nobody, CONTEXT)) == []
    assert len(sandbox.api.requests()) == requests
