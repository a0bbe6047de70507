"""User-data with an agent: its file, its unit, and what cannot be."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dnssd.agent.config import parse
from dnssd.agent.service import Service
from dnssd.cli.main import run
from dnssd.provisioning.toml import toml
from dnssd.provisioning.userdata import Format, keeping, template, uninstalling
from kit import servers, unitfile

WEB = (
    *("user-data", "--agent", "http", "--zone", "example.com,id=Z0123456789ABC"),
    *("--port", "8080", "--install", "/opt/dnssd.whl"),
)
UNIT = "systemd/dnssd-agent.service"
FILE = """
zone = "example.com,id=Z0123456789ABC"
metrics = 9464
[[service]]
service = "http"
port = 8080
txt = { motto = "é'\\"$(reboot) %n" }
[[service]]
service = "redis"
port = 6379
check = ["exec:redis-cli ping"]
"""


def config_of(text: str) -> str:
    """The agent's file that a shell script writes."""
    document = r"^put /etc/dnssd/agent.toml .*\n((?:.*\n)*?)END_OF_FILE$"
    match = re.search(document, text, re.MULTILINE)
    assert match
    return match[1]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command prints."""
    assert run(arguments) == 0
    return capsys.readouterr().out


def test_options_become_the_agents_file(capsys: pytest.CaptureFixture[str]) -> None:
    """One service with what differs from the defaults, in a file that the agent reads."""
    text = printed(capsys, *WEB, "--instance=wéb", "--check=http:///health", "--drain=60",
                   "--metrics=9464", "--txt=a=é'\"$(reboot)", "--txt=b",
                   "--join-address=www.example.com")  # fmt: skip
    settings = parse(config_of(text), "agent.toml", {})
    service, www = settings.services
    assert isinstance(service, Service)
    assert (www.name, www.checks, www.port) == ("www.example.com", service.checks, 8080)
    assert config_of(text).isascii()
    assert settings.metrics == 9464
    assert (service.service, service.instance, service.port) == ("http", "wéb", 8080)
    assert (service.drain, service.splay, service.interval) == (60, 3, 5)
    assert [check.url for check in service.checks] == ["http:///health"]
    assert service.txt == (("a", "é'\"$(reboot)"), ("b", None))


@pytest.mark.parametrize("form", [Format.SHELL, Format.CLOUD_CONFIG])
def test_a_file_becomes_the_agents_file(
    form: Format, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any number of services, the same in a script and for cloud-init."""
    file = tmp_path / "agent.toml"
    file.write_text(FILE)
    options = ("--config", str(file), "--install", "/opt/dnssd.whl", "--format", str(form))
    text = printed(capsys, "user-data", "--agent", *options)
    if form == Format.CLOUD_CONFIG:
        files = {each["path"]: each["content"] for each in yaml.safe_load(text)["write_files"]}
        assert tomllib.loads(files["/etc/dnssd/agent.toml"]) == tomllib.loads(FILE)
    else:
        assert tomllib.loads(config_of(text)) == tomllib.loads(FILE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("user-data", "--agent", "--install", "/x"), "missing argument 'SERVICE', --join"),
        (("user-data", "--agent", "http", "--install", "/x", "--zone=a.example"), "no port"),
        ((*WEB, "--check=udp://x"), "a check begins with"),
        ((*WEB, "--config=/x"), "http: with --config services stand in the file"),
        ((*WEB[:1], *WEB[2:], "--check=tcp://"), "--check: it is an agent's; give --agent too"),
        ((*WEB[:1], *WEB[2:], "--config=x"), "--config: it is an agent's; give --agent too"),
        ((*WEB[:-2],), "--install: hosts need to know where dnssd comes from"),
        ((*WEB[:-1], "dnssd"), "a name on a package index may be anybody's"),
    ],
)
def test_what_cannot_be_is_told_at_once(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2: nobody reads the log of a host that did not come up."""
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_uninstalling_is_printed_for_the_same_options(capsys: pytest.CaptureFixture[str]) -> None:
    """One more word turns a command line into its reverse, which removes all that is put."""
    assert printed(capsys, *WEB, "--uninstall") == template("uninstall-agent.sh")
    script = uninstalling(Format.SHELL, agent=True)
    written = re.findall(r"^put (\S+)", keeping(Format.SHELL, {}, "/x"), re.MULTILINE)
    for path in written:
        shown = path.replace("dnssd-agent.service", "$unit")
        assert shown in script or any(f"{f} " in script for f in ("/opt/dnssd", "/etc/dnssd"))
    ((_, _, inner),) = yaml.safe_load(uninstalling(Format.CLOUD_CONFIG, agent=True))["runcmd"]
    assert inner == script


def test_the_unit_leaves_while_the_network_and_its_services_are_up() -> None:
    """What real boots have shown to matter, and what an agent needs of systemd."""
    unit = unitfile.settings(template(UNIT))
    assert unit["Type"] == ["notify"]
    assert {"network-online.target", "multi-user.target"} <= set(unit["After"][0].split())
    assert unit["WantedBy"] == ["multi-user.target"]
    assert (unit["Restart"], unit["KillMode"]) == (["always"], ["mixed"])
    assert "ProcSubset" not in unit  # it would hide the load
    assert unit["RuntimeDirectoryPreserve"] == ["yes"]


@servers.needs("systemd-analyze")
def test_the_unit_is_well_confined(tmp_path: Path) -> None:
    """Below 2.0 by systemd's own measure, and without a word that it does not know."""
    unit = tmp_path / "dnssd-agent.service"
    text = keeping(Format.SYSTEMD, {}, None)
    unit.write_text(text.replace("/opt/dnssd/venv/bin/dnssd", "/bin/true"))
    analyze = shutil.which("systemd-analyze") or ""
    for check in (
        ("security", "--offline=true", "--threshold=20"),
        ("verify", "--man=no"),
    ):
        ran = subprocess.run([analyze, *check, unit], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "Unknown" not in ran.stderr


VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**31), 2**31) | st.floats(-1e9, 1e9),
    lambda inner: st.lists(st.text() | st.integers(0, 9)) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES | st.lists(st.dictionaries(st.text(), st.text()))))
def test_what_is_written_is_what_tomllib_reads(table: dict[str, Any]) -> None:
    """Whatever it holds, in printable ASCII, with no line that could end a shell's document."""
    try:
        for each in (str(table),):
            each.encode()
    except UnicodeEncodeError:
        return  # no TOML can hold half a letter
    text = toml(table)
    assert tomllib.loads(text) == table
    assert text.replace("\n", "").isascii()
    assert "END_OF_FILE" not in text.splitlines()


def test_the_template_of_a_group_holds_what_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The user-data in `asg.yaml`, with its parameters filled in, is the same to the letter."""
    given = {
        "Domain": "example.com",
        "ZoneId": "Z0123456789ABC",
        "Service": "_http._tcp",
        "Instance": "web",
        "Port": "8080",
        "Check": "http:///health",
        "Install": "https://example.com/dnssd.whl",
        "AWS::StackName": "fleet",
    }
    text = yaml.load(template("asg.yaml"), _Template)["Resources"]["LaunchTemplate"]  # noqa: S506
    text = text["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]
    filled = re.sub(r"\$\{([A-Za-z:]+)\}", lambda name: given[name[1]], text)
    options = (
        *("--zone", "example.com,id=Z0123456789ABC", "--instance", "web", "--port", "8080"),
        *("--check", "http:///health", "--drain", "60", "--complete-hook", "fleet/dnssd"),
        *("--install", "https://example.com/dnssd.whl"),
    )
    expected = printed(capsys, "user-data", "--agent", "_http._tcp", *options)
    assert filled.replace("${!", "${") == expected


class _Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms as the texts behind them."""


_Template.add_multi_constructor("!", lambda loader, suffix, node: node.value)
