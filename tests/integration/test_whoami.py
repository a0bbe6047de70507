"""`dnssd whoami`, and join on other clouds, as their users run them."""

import socket
from pathlib import Path
from typing import Any

import pytest

from dnssd import hosts
from dnssd.hosts import azure, openstack, plain
from dnssd.sandbox.sandbox import Sandbox
from kit.clouds import Ecs, Google, OpenStack, mdata_get, serving
from kit.commands import Command, commands


@pytest.fixture
def dnssd(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command."""
    return commands(capsys)


@pytest.fixture
def on_ec2(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox's environment."""
    for key, value in sandbox.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    return sandbox


def test_an_instance_says_who_it_is(dnssd: Command, on_ec2: Sandbox) -> None:
    """A table for people, which says from where."""
    ran = dnssd("whoami")

    assert ran.code == 0
    assert ran.out.splitlines() == [
        "FACT     VALUE",
        "cloud    ec2",
        "host     i-0123456789abcdef0",
        "owner    ec2/d6c35c/us-east-1/i-0123456789abcdef0",
        "private  10.0.0.5",
        "public   -",
        "region   us-east-1",
        "zone     us-east-1a",
        f"source   EC2 instance metadata at {on_ec2.metadata_url}",
    ]


def test_an_instance_says_it_in_json(dnssd: Command, on_ec2: Sandbox) -> None:
    """Every key is there; addresses are lists."""
    assert dnssd("whoami", "--json").json == {
        "cloud": "ec2",
        "host": "i-0123456789abcdef0",
        "owner": "ec2/d6c35c/us-east-1/i-0123456789abcdef0",
        "private": ["10.0.0.5"],
        "public": [],
        "region": "us-east-1",
        "zone": "us-east-1a",
        "source": f"EC2 instance metadata at {on_ec2.metadata_url}",
    }


def test_a_cloud_may_be_forced(
    dnssd: Command, on_ec2: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By option or variable; what is absent is null."""
    monkeypatch.setattr(socket, "gethostname", lambda: "web-1.example.test")
    forced = dnssd("whoami", "--cloud", "plain", "--json").json

    assert forced["cloud"] == "plain"
    assert forced["region"] is forced["zone"] is None
    assert forced["owner"].startswith("host/")
    monkeypatch.setenv("DNSSD_WHOAMI_CLOUD", "plain")
    assert dnssd("whoami", "--json").json == forced


def test_a_cloud_that_is_none(dnssd: Command) -> None:
    """The error lists the others; `--help` as well."""
    ran = dnssd("whoami", "--cloud", "aws")

    assert (ran.code, ran.out) == (2, "")
    assert "'kubernetes', 'plain'" in ran.err
    assert "kubernetes, plain" in dnssd("whoami", "--help").out


def test_ec2_that_is_switched_off_cannot_be_forced(dnssd: Command) -> None:
    """The variable is named."""
    ran = dnssd("whoami", "--cloud", "ec2")

    assert ran.code == 2
    assert ran.err == "dnssd: AWS_EC2_METADATA_DISABLED: it is true; unset it to ask EC2\n"


def test_other_clouds_are_found(
    dnssd: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By their variables."""
    with serving(Ecs()) as fake:
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", fake.url + fake.path)
        assert dnssd("whoami", "--json").json["cloud"] == "ecs"
    with serving(Google()) as google:
        monkeypatch.setenv("GCE_METADATA_HOST", google.url.removeprefix("http://"))
        assert dnssd("whoami", "--json").json["zone"] == "europe-west1-b"
    monkeypatch.setenv("PATH", mdata_get(tmp_path)["PATH"])
    assert dnssd("whoami", "--cloud", "triton", "--json").json["region"] == "us-east-1"


def test_nothing_moves_the_cursor(dnssd: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zone with control characters is as good as none."""
    instance = {"uuid": "u-1", "availability_zone": "\x1b[2J"}
    with serving(OpenStack(instance=instance)) as fake:
        monkeypatch.setattr(openstack, "ADDRESS", fake.url)
        ran = dnssd("whoami", "--cloud", "openstack")

    assert "zone     -\n" in ran.out
    assert "\x1b" not in ran.out + ran.err


def test_metadata_that_hangs(dnssd: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is an end, and one line about it."""
    monkeypatch.setattr(hosts, "METADATA_AT_WHOAMI_SECONDS", 0.02)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(azure, "ENDPOINTS", (f"http://127.0.0.1:{silent.getsockname()[1]}",))
        ran = dnssd("whoami", "--cloud", "azure")

    assert (ran.code, ran.out) == (1, "")
    assert "no answer within 0.02 s; check the network, or use --cloud plain" in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("name", ["a b", "café", "-"])
def test_a_host_name_that_is_no_label(
    dnssd: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The error says where the name is from, and what to do."""
    monkeypatch.setitem(plain.facts.__kwdefaults__ or {}, "hostname", lambda: name)

    ran = dnssd("whoami", "--cloud", "plain")

    assert ran.code == 2
    assert f"'{name}'" in ran.err
    assert "it is from the host name" in ran.err
    assert ran.err.endswith("give --host LABEL\n")


def test_joining_where_there_is_no_public_address(
    dnssd: Command, on_ec2: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused before anything is written, and the error says who knows of none."""
    join = ("join", "http", "--instance", "web", "--port", "80", "--address", "public")
    ran = dnssd(*join)
    assert ran.code == 2
    assert "address public: EC2 instance metadata at" in ran.err
    assert "give --address IP" in ran.err

    with serving(Ecs()) as fake:
        monkeypatch.delenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", fake.url + fake.path)
        fake.networks[0]["IPv6Addresses"] = []
        assert "address public: ECS task metadata at" in dnssd(*join).err


def test_joining_and_leaving_as_a_task(
    dnssd: Command, on_ec2: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What whoami says is what join uses."""
    monkeypatch.delenv("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    service = ("http", "--instance", "web")
    with serving(Ecs()) as fake:
        monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", fake.url + fake.path)
        host = dnssd("whoami", "--json").json["host"]
        assert dnssd("join", *service, "--port", "80", "--json").json["member"] == f"{host}-80"
        assert dnssd("lookup", "web._http._tcp", "--pick").out == "10.0.2.106:80\n"
        assert dnssd("leave", *service, "--json").json["members"] == [f"{host}-80"]


def test_a_label_of_ones_own_costs_nothing_more(dnssd: Command, on_ec2: Sandbox) -> None:
    """Five requests to the metadata, as without it."""
    seen: list[str] = []
    metadata = on_ec2.metadata.metadata
    reply = metadata.reply

    def counted(method: str, path: str, headers: Any) -> Any:
        seen.append(path)
        return reply(method, path, headers)

    metadata.reply = counted  # type: ignore[method-assign]  # it is what is counted
    dnssd("join", "http", "--port", "80", "--host", "web", "--dry-run")

    assert len(seen) == 5


def test_a_plain_machine_asks_nobody(dnssd: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its host name is enough."""
    monkeypatch.setattr(socket, "create_connection", None)
    monkeypatch.setattr(plain, "FAMILIES", ())

    assert dnssd("whoami", "--cloud", "plain", "--json").json["private"] == []
