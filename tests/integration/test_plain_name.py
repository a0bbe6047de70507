"""The plain name on request, as users of the commands meet it, against the sandbox."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dnssd.sandbox.api.exchange import Handler, Request, Response, around, refusal
from dnssd.sandbox.api.rejections import invalid_batch
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.faults.policy import Statement, enforce
from dnssd.sandbox.faults.policyfile import read_policy
from dnssd.sandbox.sandbox import Sandbox
from kit.commands import Command

NAME, WEB = "_http._tcp.web.example.test.", "web._http._tcp.example.test."
GUARDRAIL = "The change guardrail NS_OCCLUSION_CHECK rejected the creation of a CNAME"


class Rules:
    """What the sandbox refuses, as a test says."""

    def __init__(self) -> None:
        self.policy: list[Statement] = [*read_policy(ANYTHING)]
        self.guarded = False

    def step(self, handler: Handler, request: Request) -> Response:
        """Refuse aliases where they are guarded."""
        if self.guarded and b"<Type>CNAME</Type>" in request.body:
            return refusal(request.id, invalid_batch([GUARDRAIL]))
        return handler(request)


ANYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
)


@pytest.fixture
def rules() -> Rules:
    """Nothing is refused yet."""
    return Rules()


@pytest.fixture
def sandbox(rules: Rules) -> Iterator[Sandbox]:
    """Refuses what the rules say."""
    with Sandbox(wraps=[enforce(rules.policy), around(rules.step)]) as running:
        yield running


@pytest.fixture
def dnssd(dnssd: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in the sandbox's environment; the zone is given with its ID."""
    monkeypatch.setenv("DNSSD_ZONE", f"example.test,id={sandbox.zone_id}")
    return dnssd


def join(host: str, *more: str) -> tuple[str, ...]:
    """The words that join a host."""
    where = ("--instance", "web", "--port", "80", "--host", host, "--address", "10.0.0.1")
    return ("join", "http", *where, *more)


def test_it_comes_with_the_first_join_and_goes_with_the_records(
    dnssd: Command, sandbox: Sandbox
) -> None:
    """Three requests, once; leaves keep it, status shows it, uninstall-records removes it."""
    planned = dnssd(*join("a", "--plain-name", "--dry-run", "--json")).json["changes"]
    alias = {"name": NAME, "type": "CNAME", "before": None, "after": [WEB], "ttl": 60}
    assert planned[-1] == alias
    told = [dnssd(*join(host, "--plain-name", "--wait", "--json")) for host in "ab"]
    assert [each.json["zones"][0]["requests"] for each in told] == [5 + 3 + 2, 3 + 1]
    states = [(each.json["plain_name"], each.json["zones"][0]["plain_name"]) for each in told]
    expected = [{"name": NAME, "state": state, "why": None} for state in ("written", "there")]
    assert states == [(each, each) for each in expected]
    assert dnssd(*join("c", "--json")).json.keys() == {"name", "member", "zones"}
    (found, *_) = json.loads(dnssd("lookup", NAME, "--json").out)["instances"]
    assert len(found["endpoints"]) == 3
    assert "CNAME" not in dnssd(*join("a", "--plain-name", "--dry-run")).out

    for host in "abc":
        assert dnssd("leave", "http", "--instance", "web", "--host", host).code == 0
    assert f"plain name: {NAME}" in dnssd("status", "http").out
    assert dnssd("status", "http", "--instance", "web", "--json").json["plain_name"] == expected[1]
    plan = dnssd("uninstall-records", "http", "--json").json["changes"]
    assert [c for c in plan if c["type"] == "CNAME"] == [alias | {"before": [WEB], "after": None}]
    assert dnssd("uninstall-records", "http", "--yes").code == 0
    assert [rrset.rdtype for rrset in sandbox.zones.zone(sandbox.zone_id).rrsets] == ["NS", "SOA"]


@pytest.mark.parametrize("kind", ["guardrail", "denied", "foreign"])
def test_a_join_never_depends_on_it(
    dnssd: Command, sandbox: Sandbox, rules: Rules, tmp_path: Path, kind: str
) -> None:
    """What is in the way of the name is told in one line; the host has joined, with code 0."""
    zone = f"example.test,id={sandbox.zone_id}"
    if kind == "foreign":
        other = ("--target", "www.example.org", "--address")
        dnssd("join", "http", "--port", "80", "--instance", "other", *other[:2])
    rules.guarded = kind == "guardrail"
    policy = ("iam-policy", "http", "--zone", zone, "--instance", "web", "--host-pattern", "*")
    if kind == "denied":
        rules.policy[:] = read_policy(dnssd(*policy).out)
    elif kind == "foreign":
        from boto3 import client

        client("route53").change_resource_record_sets(
            HostedZoneId=sandbox.zone_id,
            ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": {
                "Name": NAME, "Type": "CNAME", "TTL": 5,
                "ResourceRecords": [{"Value": "x.example.org"}]}}]},
        )  # fmt: skip
    told = dnssd(*join("a", "--plain-name"))
    assert told.code == 0
    assert f"plain name {NAME}: not written" in told.out
    (line,) = [line for line in told.err.splitlines() if "plain name" in line]
    whys = {"guardrail": GUARDRAIL, "denied": "--plain-name", "foreign": "x.example.org"}
    assert whys[kind] in line
    if kind == "denied":  # and with the option the policy is enough, to remove it, too
        rules.policy[:] = read_policy(dnssd(*policy, "--plain-name").out)
        assert dnssd(*join("a", "--plain-name")).err == ""
        assert dnssd("uninstall-records", "http", "--yes", "--limit", "1").code == 0
    elif kind == "foreign":
        assert "x.example.org" in dnssd("status", "http", "--instance", "web").err
        assert dnssd("uninstall-records", "http", "--yes", "--limit", "2").code == 0
        assert any(str(r.name) == NAME for r in sandbox.zones.zone(sandbox.zone_id).rrsets)


def test_a_crowd_is_told_of_by_status(dnssd: Command, sandbox: Sandbox) -> None:
    """With JSON too: what is told goes to stderr."""
    values = tuple(f"0 0 80 h{number}.example.org." for number in range(90))
    name = sandbox.origin.child(b"web", b"_http", b"_tcp")
    sandbox.zones.change(
        sandbox.zone_id, [Edit(Action.CREATE, HostedRRset(name, "SRV", 60, values))]
    )
    for words in (("status", "http"), ("status", "--json"), ("status", "web._http._tcp")):
        assert f"{WEB}: 90 values" in dnssd(*words).err


@pytest.mark.parametrize(
    "words",
    [
        ("join", "http", "--port", "80", "--host", "a"),
        ("run", "http", "--port", "80", "--instance", "My web"),
        ("agent", "http", "--port", "80", "--instance", "default"),
        ("user-data", "http", "--port", "80", "--format", "systemd"),
        ("user-data", "http", "--port", "80", "--format", "systemd", "--agent"),
        ("iam-policy", "http", "--zone", "example.test,id=Z0123456789ABC", "--instance", "a.b"),
        ("iam-policy", "--join-address", "www.example.test"),
    ],
)
def test_an_instance_that_can_have_none_is_a_usage_error(dnssd: Command, words: str) -> None:
    """Before anything is asked or written."""
    told = dnssd(*words, "--plain-name", *(("--", "true") if words[0] == "run" else ()))
    assert (told.code, told.out, len(told.err.splitlines())) == (2, "", 1)
    assert "plain" in told.err


def test_hosts_on_their_own_take_the_option(dnssd: Command) -> None:
    """User-data: for the unit as a word, for an agent as a key of its file."""
    words = ("user-data", "http", "--port", "80", "--instance", "web", "--plain-name")
    assert " --plain-name" in dnssd(*words, "--format", "systemd").out
    shell = dnssd(*words, "--agent", "--install", "/opt/dnssd.whl").out
    assert "plain_name = true" in shell
