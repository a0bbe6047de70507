"""What `dnssd iam-policy` prints is enough for its service, and for no other."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from dnssd.cli.main import run
from dnssd.names import Name
from dnssd.sandbox.faults.policy import Access, Effect, Statement, decide, enforce
from dnssd.sandbox.faults.policyfile import read_policy
from dnssd.sandbox.sandbox import Sandbox
from kit import documents

HERE = ("--host", "i-a", "--address", "10.0.0.1", "--address", "2001:db8::1")
ODD = ["web", "My Café.V1", "*", "?", "${aws:username}", "É", "a\\b", "...", "-", "😀 \u2028"]
Grant = Callable[..., None]


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Sandbox, list[Statement]]]:
    """A sandbox that enforces a policy, which allows nothing yet."""
    policy: list[Statement] = []
    serve = [Name.parse("example.test")]
    with Sandbox(serve, wraps=[enforce(policy)]) as sandbox:
        for key, value in sandbox.environment().items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv("DNSSD_ZONE", f"example.test,id={sandbox.zone_id}")
        yield sandbox, policy


@pytest.fixture
def grant(guarded: tuple[Sandbox, list[Statement]], capsys: pytest.CaptureFixture[str]) -> Grant:
    """Enforces what the command prints for its arguments."""
    sandbox, policy = guarded

    def enforced(*arguments: str) -> None:
        zone = ("--zone", f"Example.test.,id={sandbox.zone_id}")
        capsys.readouterr()
        assert run(["iam-policy", *arguments, *zone]) == 0
        policy[:] = read_policy(capsys.readouterr().out)

    return enforced


def join(instance: str, *options: str, service: str = "http") -> int:
    """Join; the exit code."""
    return run(["join", service, "--instance", instance, "--port", "80", *HERE, *options])


def live(instance: str) -> None:
    """Join, change, leave and remove every record; each command does its work."""
    assert join(instance, "--txt", "a=b") == 0
    assert join(instance, "--weight", "7") == 0
    assert run(["leave", "http", "--instance", instance, "--host", "i-a"]) == 0
    assert run(["uninstall-records", "http", "--yes"]) == 0


@pytest.mark.parametrize("instance", ODD)
def test_an_instance_of_any_name_lives(grant: Grant, instance: str) -> None:
    """Its own policy is enough for it."""
    grant("http", "--instance", instance)

    live(instance)


def test_all_instances_of_a_service_live(grant: Grant) -> None:
    """Where none is named."""
    grant("http")

    live("web")
    live("My Café.V1")


@pytest.mark.parametrize("instance", ODD[1:5])
def test_another_instance_is_denied(
    grant: Grant, instance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """However odd the allowed one is called, it is no pattern for others."""
    grant("http", "--instance", instance)

    assert join("web") == 1
    assert "because no identity-based policy allows" in capsys.readouterr().err


def test_another_service_or_host_is_denied(grant: Grant) -> None:
    """Whatever the instance."""
    grant("http")

    assert join("web", service="ipp") == 1
    assert join("web", "--host", "web-1") == 1
    assert join("web") == 0


@pytest.mark.parametrize("name", ["www.example.test", "example.test"])
def test_a_plain_address_lives(grant: Grant, name: str) -> None:
    """The policy for it is enough, also beside a service; and another name is denied."""
    grant("--join-address", name)
    assert run(["join-address", name, *HERE]) == 0
    assert run(["join-address", name, *HERE[:-2]]) == 0
    assert run(["leave-address", name, "--host", "i-a"]) == 0
    assert run(["join-address", "eu.example.test", *HERE]) == 1
    assert join("web") == 1
    grant("http", "--join-address", name)
    assert run(["join-address", name, *HERE]) == 0
    live("web")


def test_waiting_needs_its_own_word(grant: Grant) -> None:
    """GetChange is allowed on request only."""
    web = ("leave", "http", "--instance", "web", "--host", "i-a", "--wait")
    grant("http")
    join("web")
    assert run([*web]) == 1
    grant("http", "--wait")
    join("web")
    assert run([*web]) == 0


def test_an_agent_may_drain_and_complete_its_hook(
    grant: Grant, guarded: tuple[Sandbox, list[Statement]]
) -> None:
    """And nothing else of Auto Scaling."""
    group = "arn:aws:autoscaling:us-east-1:1:autoScalingGroup:u:autoScalingGroupName/fleet"
    complete, end = (
        Access(f"autoscaling:{action}", group)
        for action in ("CompleteLifecycleAction", "TerminateInstanceInAutoScalingGroup")
    )
    grant("http")
    assert decide(guarded[1], complete) is None
    grant("http", "--agent")
    assert decide(guarded[1], complete) is Effect.ALLOW
    assert decide(guarded[1], end) is None
    join("web")
    assert run(["leave", "http", "--instance", "web", "--host", "i-a", "--wait"]) == 0


def test_the_policy_of_the_documents_works_as_it_stands() -> None:
    """Pasted into a file: a zone of its name and ID is all that it takes."""
    zone = "example.com,id=Z0123456789ABC"
    policy = str(documents.ROOT / "iam" / "policy.json")
    sandbox = [sys.executable, "-m", "dnssd", "sandbox", "--serve", zone, "--policy", policy, "--"]
    join = ["--port", "80", "--host", "i-0abc", "--address", "10.0.0.1", "--deadline", "30"]

    codes = [
        subprocess.run([*sandbox, "dnssd", "join", service, *join], check=False).returncode
        for service in ("http", "ipp")
    ]

    assert codes[0] == 0
    assert codes[1] in (1, 4)
