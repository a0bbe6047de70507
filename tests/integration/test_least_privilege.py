"""What dnssd asks of Route 53 passes the smallest IAM policy, and what it never asks does not."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError

from dnssd.cli.main import run
from dnssd.names import Name
from dnssd.registration import reaper, reaping
from dnssd.sandbox.faults.policy import ACTIONS, NAMES, TYPES, Statement, enforce
from dnssd.sandbox.faults.policyfile import read_policy
from dnssd.sandbox.sandbox import Sandbox
from kit.ec2 import fake_ec2

ZONE_ID = "Z0123456789ABC"  # stands for the zone's
ARN = f"arn:aws:route53:::hostedzone/{ZONE_ID}"
PATIENCE = 60  # seconds until a test gives up; nothing waits that long
POLICY = Path(__file__).parents[2] / "iam/policy.json"


def policy_for(instance: str, host: str = "i-*") -> Any:
    """What hosts need to offer an instance of http in example.test.

    Args:
        instance: Its label as IAM normalises it.
        host: A pattern for their names.
    """
    names = [
        "_services._dns-sd._udp.example.test",
        "_http._tcp.example.test",
        f"{instance}._http._tcp.example.test",
        f"*.{instance}._http._tcp.example.test",
        f"{host}.example.test",
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "route53:ListResourceRecordSets", "Resource": ARN},
            {
                "Effect": "Allow",
                "Action": "route53:GetChange",
                "Resource": "arn:aws:route53:::change/*",
            },
            {
                "Effect": "Allow",
                "Action": "route53:ChangeResourceRecordSets",
                "Resource": ARN,
                "Condition": {
                    "ForAllValues:StringLike": {NAMES: names},
                    "ForAllValues:StringEquals": {
                        TYPES: ["PTR", "SRV", "TXT", "A", "AAAA"],
                        ACTIONS: ["CREATE", "DELETE"],
                    },
                    "Null": dict.fromkeys((NAMES, TYPES, ACTIONS), "false"),
                },
            },
        ],
    }


class Ran(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


class Guarded:
    """A sandbox that enforces a policy, and clients of it."""

    def __init__(self, sandbox: Sandbox, policy: list[Statement]) -> None:
        self.sandbox = sandbox
        self.zone = f"example.test,id={sandbox.zone_id}"
        self._policy = policy

    def allow(self, document: Any) -> None:
        """Enforce this policy from now on."""
        text = json.dumps(document).replace(ZONE_ID, self.sandbox.zone_id)
        self._policy[:] = read_policy(text)

    def denied(self) -> list[str]:
        """The operations that were denied until now."""
        return [
            exchange.action
            for exchange in self.sandbox.api.requests()
            if exchange.error == "AccessDenied"
        ]

    def contents(self) -> list[object]:
        """Everything that any zone holds."""
        return [list(zone.rrsets) for zone in self.sandbox.zones.zones()]


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guarded]:
    """Serves example.test and example.org, and allows nothing yet."""
    policy: list[Statement] = []
    serve = [Name.parse("example.test"), Name.parse("example.org")]
    with Sandbox(serve, wraps=[enforce(policy)]) as sandbox:
        for key, value in sandbox.environment().items():
            monkeypatch.setenv(key, value)
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
        monkeypatch.setenv("DNSSD_ZONE", f"example.test,id={sandbox.zone_id}")
        yield Guarded(sandbox, policy)


@pytest.fixture
def dnssd(guarded: Guarded, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command in the sandbox's environment; the zone is given with its ID."""

    def command(*arguments: str) -> Ran:
        code = run(list(arguments))
        return Ran(code, *capsys.readouterr())

    return command


@pytest.fixture
def route53(guarded: Guarded) -> Any:
    """A stock client."""
    return boto3.client("route53")


def change(action: str, name: str, rdtype: str, *values: str) -> dict[str, Any]:
    """One change of a batch."""
    records = [{"Value": value} for value in values]
    rrset = {"Name": name, "Type": rdtype, "TTL": 60, "ResourceRecords": records}
    return {"Action": action, "ResourceRecordSet": rrset}


@pytest.mark.parametrize(
    ("instance", "normalised"),
    [("web", "web"), ("My Café.V1", r"my\040caf\303\251\056v1"), ("*", r"\052")],
)
def test_the_life_of_a_service_is_allowed(
    guarded: Guarded, dnssd: Callable[..., Ran], instance: str, normalised: str
) -> None:
    """Every command does its work, and nothing that it asked was denied."""
    guarded.allow(policy_for(normalised))
    web = ("http", "--instance", instance)
    first = ("join", *web, "--port", "80", "--txt", "a=1")
    both = ("--address", "private", "--address", "2001:db8::1")
    empty = guarded.contents()

    for command in (
        (*first, "--dry-run"),
        (*first, *both, "--wait", "--nameserver", guarded.sandbox.nameserver),
        (*first, *both, "--weight", "7", "--priority", "1", "--ttl", "30"),
        (*first, *both, "--wait"),
        ("join", *web, "--port", "81", "--host", "I-B", "--address", "10.0.0.2"),
        ("join", *web, "--port", "82", "--target", "db.example.com"),
        ("status", *web),
        ("leave", *web, "--wait"),
        ("leave", *web, "--host", "i-b"),
        ("uninstall-records", "http", "--yes", "--limit", "9"),
    ):
        assert dnssd(*command).code == 0, command

    requests = guarded.sandbox.api.requests()
    assert {exchange.action for exchange in requests} == {
        "ListResourceRecordSets",
        "ChangeResourceRecordSets",
        "GetChange",
    }
    assert all(" dnssd/" in exchange.user_agent for exchange in requests)
    assert guarded.denied() == []
    assert guarded.contents() == empty


def parts_of(document: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Paths to all that a policy allows: statements, and the values of their conditions."""
    for number, statement in enumerate(document["Statement"]):
        yield ("Statement", number)
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                if isinstance(values, list):
                    for at in range(len(values)):
                        yield ("Statement", number, "Condition", operator, key, at)


def without(document: Any, path: Sequence[str | int]) -> Any:
    """The policy less one part; an empty path leads to none."""
    less = deepcopy(document)
    holder = less
    for step in path[:-1]:
        holder = holder[step]
    for last in path[-1:]:
        del holder[last]
    return less


ONE_HOST = policy_for("web", host="i-a")  # a pattern for hosts would cover member records too


@pytest.mark.parametrize("path", [(), *parts_of(ONE_HOST)], ids=lambda path: str(path[-3:]))
def test_nothing_in_the_policy_is_superfluous(
    guarded: Guarded, dnssd: Callable[..., Ran], path: Sequence[str | int]
) -> None:
    """Take any part away, and something that a member does is denied."""
    web = ("http", "--instance", "web", "--host", "i-a")
    guarded.allow(without(ONE_HOST, path))

    for command in (
        ("join", *web, "--port", "80", "--address", "10.0.0.1", "--address", "2001:db8::1"),
        ("leave", *web, "--wait"),
        ("uninstall-records", "http", "--yes", "--limit", "9"),
    ):
        dnssd(*command)

    assert bool(guarded.denied()) == bool(path)


WEB = "web._http._tcp.example.test"
SRV = "0 0 80 i-a.example.test."
OURS = change("CREATE", WEB, "SRV", SRV)


@pytest.mark.parametrize(
    "changes",
    [
        [change("UPSERT", WEB, "SRV", SRV)],
        [change("CREATE", "example.test", "A", "10.0.0.1")],
        [change("CREATE", "www.example.test", "A", "10.0.0.1")],
        [change("CREATE", "xi-a.example.test", "A", "10.0.0.1")],
        [change("CREATE", "db._http._tcp.example.test", "SRV", SRV)],
        [change("CREATE", "a.db._http._tcp.example.test", "TXT", '"a"')],
        [change("CREATE", "_ipp._tcp.example.test", "PTR", WEB)],
        [change("CREATE", r"\052.example.test", "A", "10.0.0.1")],
        [change("CREATE", WEB, "CNAME", "example.org")],
        [change("CREATE", "i-a.example.test", "MX", "0 example.org")],
        [OURS, change("UPSERT", "i-a.example.test", "A", "10.0.0.1")],
        [OURS, change("CREATE", "example.test", "TXT", '"v=spf1 -all"')],
        [change("DELETE", "example.test", "NS", "ns-1.sandbox.test.")],
    ],
)
def test_no_other_change_is_allowed(guarded: Guarded, route53: Any, changes: Any) -> None:
    """No blind overwrite, no other name, no other type; one such in a batch denies all of it."""
    guarded.allow(policy_for("web"))
    before = guarded.contents()

    with pytest.raises(ClientError) as denied:
        route53.change_resource_record_sets(
            HostedZoneId=guarded.sandbox.zone_id, ChangeBatch={"Changes": changes}
        )

    assert denied.value.response["Error"]["Code"] == "AccessDenied"
    assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert guarded.contents() == before


@pytest.mark.parametrize("spelling", [WEB, WEB + ".", WEB.upper()])
def test_the_spelling_of_a_name_decides_nothing(
    guarded: Guarded, route53: Any, spelling: str
) -> None:
    """A name is normalised before the policy is asked."""
    guarded.allow(policy_for("web"))

    route53.change_resource_record_sets(
        HostedZoneId=guarded.sandbox.zone_id,
        ChangeBatch={"Changes": [change("CREATE", spelling, "SRV", SRV)]},
    )

    assert guarded.denied() == []


def test_a_wildcard_for_hosts_does_not_stop_at_a_dot(guarded: Guarded, route53: Any) -> None:
    """IAM's `*` is any characters: i-*.ZONE lets a host write below other services, too."""
    spread = change("CREATE", "i-a-80.db._ipp._tcp.example.test", "TXT", '"a"')
    batch = {"HostedZoneId": guarded.sandbox.zone_id, "ChangeBatch": {"Changes": [spread]}}

    guarded.allow(policy_for("web"))
    route53.change_resource_record_sets(**batch)

    guarded.allow(ONE_HOST)
    with pytest.raises(ClientError, match=r"\(AccessDenied\)"):
        route53.change_resource_record_sets(**batch)


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("delete_hosted_zone", {"Id": ZONE_ID}),
        ("get_hosted_zone", {"Id": ZONE_ID}),
        ("create_hosted_zone", {"Name": "example.net", "CallerReference": "a"}),
        ("list_hosted_zones", {}),
        ("list_hosted_zones_by_name", {"DNSName": "example.test"}),
        ("list_resource_record_sets", {"HostedZoneId": "other"}),
        (
            "change_resource_record_sets",
            {"HostedZoneId": "other", "ChangeBatch": {"Changes": [OURS]}},
        ),
    ],
)
def test_no_other_operation_and_no_other_zone_is_allowed(
    guarded: Guarded, route53: Any, operation: str, arguments: dict[str, Any]
) -> None:
    """Each is denied to a client with the same policy, and nothing happens."""
    guarded.allow(policy_for("web"))
    before = guarded.contents()
    other = guarded.sandbox.zones.zones()[1].id
    ids = {ZONE_ID: guarded.sandbox.zone_id, "other": other}
    arguments = {
        name: ids.get(value, value) if isinstance(value, str) else value
        for name, value in arguments.items()
    }

    with pytest.raises(ClientError, match=r"\(AccessDenied\)"):
        getattr(route53, operation)(**arguments)

    assert guarded.contents() == before


def test_a_zone_by_name_alone_needs_one_action_more(
    guarded: Guarded, dnssd: Callable[..., Ran]
) -> None:
    """Without it one line says which; naming zones as its resource is not enough."""
    policy = policy_for("web")
    lookup = {"Effect": "Allow", "Action": "route53:ListHostedZonesByName"}
    command = ("join", "http", "--instance", "web", "--port", "80", "--zone", "example.test")

    for statements in ([], [lookup | {"Resource": "arn:aws:route53:::hostedzone/*"}]):
        guarded.allow(policy | {"Statement": policy["Statement"] + statements})
        refused = dnssd(*command)
        assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
        assert refused.err.startswith("dnssd: ")
        assert re.search("; allow route53:ListHostedZonesByName", refused.err)

    guarded.allow(policy | {"Statement": [*policy["Statement"], lookup | {"Resource": "*"}]})
    assert dnssd(*command).code == 0


def test_a_zone_by_its_id_alone_needs_one_action_more(
    guarded: Guarded, dnssd: Callable[..., Ran]
) -> None:
    """Which the error names."""
    guarded.allow(policy_for("web"))

    refused = dnssd("status", "http", "--zone", guarded.sandbox.zone_id)

    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "; allow route53:GetHostedZone" in refused.err


def test_waiting_without_permission_says_what_is_missing(
    guarded: Guarded, dnssd: Callable[..., Ran]
) -> None:
    """The host has joined all the same."""
    guarded.allow(without(policy_for("web"), ("Statement", 1)))
    command = ("join", "http", "--instance", "web", "--port", "80")

    refused = dnssd(*command, "--wait")

    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "; allow route53:GetChange" in refused.err
    again = dnssd(*command, "--json")
    assert json.loads(again.out)["zones"][0]["changed"] is False


def shown_policy() -> Any:
    """The policy that hosts are given, for the zone of these tests."""
    return json.loads(POLICY.read_text().replace("example.com", "example.test"))


@pytest.mark.parametrize("instance", ["web", "My Café.V1"])
def test_the_policy_that_is_shown_is_enough(
    guarded: Guarded, dnssd: Callable[..., Ran], instance: str
) -> None:
    """For all that its table says of it: everything but waiting and looking the zone up."""
    guarded.allow(shown_policy())
    web = ("http", "--instance", instance)

    for command in (
        ("join", *web, "--port", "80", "--address", "private", "--address", "2001:db8::1"),
        ("join", *web, "--port", "80", "--weight", "7"),
        ("status", *web),
        ("leave", *web),
        ("uninstall-records", "http", "--yes", "--limit", "9"),
    ):
        assert dnssd(*command).code == 0, command

    assert guarded.denied() == []


@pytest.mark.parametrize(
    "changes",
    [
        [change("UPSERT", WEB, "SRV", SRV)],
        [change("CREATE", "www.example.test", "A", "10.0.0.1")],
        [change("CREATE", "web._ipp._tcp.example.test", "SRV", SRV)],
        [change("CREATE", WEB, "CNAME", "example.org")],
    ],
)
def test_the_policy_that_is_shown_is_not_more_than_enough(
    guarded: Guarded, route53: Any, changes: Any
) -> None:
    """As the one above."""
    guarded.allow(shown_policy())

    with pytest.raises(ClientError, match=r"\(AccessDenied\)"):
        route53.change_resource_record_sets(
            HostedZoneId=guarded.sandbox.zone_id, ChangeBatch={"Changes": changes}
        )


def test_the_policy_of_who_reaps_is_enough(
    guarded: Guarded, dnssd: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead are marked, folded out and cleaned away, down to the host's last record."""
    monkeypatch.setattr(reaper, "PAUSE", 0.0)
    monkeypatch.setattr(reaping, "WINDOW", timedelta(0))
    guarded.allow(policy_for("web"))
    for number in (1, 2):
        web = ("http", "--instance", "web", "--port", f"8{number}", "--host", f"i-{number}")
        assert dnssd("join", *web, "--address", f"10.0.0.{number}").code == 0
    guarded.allow(json.loads(dnssd("iam-policy", "--reap", "--zone", guarded.zone).out))
    with fake_ec2() as ec2:
        ec2.states = {"i-0123456789abcdef0": "terminated"}  # the owner of both
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", ec2.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", ec2.url)
        runs = [dnssd("reap", "--yes", "--limit", "9").code for _ in ("out", "away")]

    assert (runs, guarded.denied()) == ([0, 0], [])
    left = {rrset.rdtype for zone in guarded.sandbox.zones.zones() for rrset in zone.rrsets}
    assert left == {"NS", "SOA", "PTR", "TXT"}  # a last leave keeps what names the instance, too
    assert "i-1" not in str(guarded.contents())


SANDBOX = [sys.executable, "-m", "dnssd", "sandbox"]


def sandboxed(file: Path, *arguments: str) -> Ran:
    """Run a command in a sandbox with the policy in `file`."""
    completed = subprocess.run(
        [*SANDBOX, "--policy", str(file), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ran(completed.returncode, completed.stdout, completed.stderr)


def test_the_command_enforces_a_policy_from_a_file(tmp_path: Path) -> None:
    """With the statement for looking the zone up a join succeeds, without it is denied."""
    file = tmp_path / "policy.json"
    policy = policy_for("web")
    policy["Statement"][0]["Action"] = ["route53:List*"]
    policy["Statement"][0]["Resource"] = "*"
    policy["Statement"][2]["Resource"] = "arn:aws:route53:::hostedzone/*"
    join_command = [*SANDBOX[:-1], "join", "http", "--instance", "web", "--port", "80"]

    file.write_text(json.dumps(policy))
    joined = sandboxed(file, "--", *join_command)
    file.write_text(json.dumps(without(policy, ("Statement", 0))))
    denied = sandboxed(file, "--", *join_command)

    assert (joined.code, joined.err) == (0, "")
    assert (denied.code, denied.out, denied.err.count("\n")) == (1, "", 1)
    assert "because no identity-based policy allows the route53:ListHostedZ" in denied.err


def test_a_wrong_policy_is_one_line_and_nothing_runs(tmp_path: Path) -> None:
    """Exit 2; it names the file and the place."""
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(without(policy_for("web"), ("Statement", 1, "Effect"))))

    refused = sandboxed(file, "--", "echo", "here")

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"dnssd: policy '{file}': Statement 2: it has no Effect; add one\n"


def test_a_denied_request_counts_for_the_rate(tmp_path: Path) -> None:
    """The rate stands before the policy: a denied client is throttled like any other."""
    file = tmp_path / "policy.json"
    file.write_text('{"Statement": []}')
    script = """
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
route53 = boto3.client("route53", config=Config(retries={"total_max_attempts": 1}))
for _ in range(3):
    try:
        route53.list_hosted_zones()
    except ClientError as error:
        print(error.response["Error"]["Code"])
"""
    options = ("--rate", "0.0001", "--burst", "2")

    ran = sandboxed(file, *options, "--", sys.executable, "-W", "ignore", "-c", script)

    assert ran.out.split() == ["AccessDenied", "AccessDenied", "Throttling"]
