"""README.md is short, and does what it says: its blocks run as they stand in the sandbox."""

import os
import re
import shlex
import socket
import sys
from pathlib import Path

import pytest

from dnssd import errors
from dnssd.cli.failures import exit_code
from dnssd.cli.main import COMMANDS
from dnssd.sandbox.sandbox import Sandbox
from kit import documents
from kit.documents import README, ROOT, blocks, environment, run, shell_lines, text

SANDBOX = (sys.executable, "-m", "dnssd", "sandbox", "--")
AWS = ROOT / ".venv-tools/bin/aws"
PRINTED = (  # by what "Try it" pastes, in this order
    r"^joined web\._http\._tcp\.example\.test\. as i-0123456789abcdef0-8080 ",
    r"^web +0 +100 +i-0123456789abcdef0\.example\.test:8080 +10\.0\.0\.5$",
    r"^10\.0\.0\.5:8080$",
    r"^i-0123456789abcdef0-8080 +up +yes +0 +100 ",
    r"^left web\._http\._tcp\.example\.test\.: i-0123456789abcdef0-8080 ",
)


def section(title: str) -> str:
    """What stands below a title, up to the next one."""
    return re.split(r"^## ", text(README).partition(f"\n## {title}\n")[2], flags=re.M)[0]


def block(title: str, language: str) -> str:
    """The last block of a language in a section."""
    return str(re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.DOTALL | re.M)[-1])


def test_it_is_short() -> None:
    """A stranger reads it in a few minutes, and has tried it after two."""
    assert len(text(README).split()) <= 1_500
    assert len(text(README).partition("\n## Use it: ")[0].split()) <= 400


def test_what_is_pasted_first_shows_all_there_is() -> None:
    """The first block for the sandbox's shell: join, look up, pick, status, leave."""
    pasted = block("Try it", "sh")

    printed = run(*SANDBOX, "sh", env=documents.reader(), stdin=pasted)

    assert re.search(".*?".join(PRINTED), printed, re.DOTALL | re.MULTILINE), printed


def test_the_shell_block_calls_a_service() -> None:
    """A server that was joined is found and called."""
    pasted = block("Use it: shell and other programs", "sh").replace("8080", str(free_port()))

    printed = run(*SANDBOX, "sh", env=documents.reader(), stdin=f"cd tests\n{pasted}")

    assert "Directory listing" in printed


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_the_python_block_prints_what_its_comment_says(tmp_path: Path) -> None:
    """It runs as it stands."""
    (source,) = blocks(README, "python")
    program = tmp_path / "program.py"
    program.write_text(source)

    printed = run(*SANDBOX, sys.executable, str(program), env=documents.reader())

    assert printed.splitlines() == re.findall(r"^ *print\(.*\)  # (.*)$", source, re.MULTILINE)
    assert printed


def test_every_command_is_there() -> None:
    """What no other test runs is a script of this project, or the activation."""
    others = {"scripts/demo", ".venv/bin/dnssd sandbox -- sh"}
    named = {*others, *re.findall(r"`(scripts/\w+)`", text(README))}

    assert others <= set(shell_lines(README))
    for command in named:
        assert command.startswith((".", "dnssd")) or os.access(ROOT / command, os.X_OK)


def test_user_data_is_made_as_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    """The command for hosts on EC2 prints user-data into a file."""
    (command,) = shell_lines(README, "dnssd user-data ")

    run("sh", "-euc", f"cd {shlex.quote(str(tmp_path))}; {command}", env=environment(sandbox))

    assert (tmp_path / "join.sh").read_text().startswith("#!/bin/sh\n# User-data")


def test_stacks_are_made_with_what_their_templates_ask_for() -> None:
    """Each parameter without a default is given, and none that the template does not know."""
    stacks = [
        *shell_lines(README, "aws cloudformation deploy"),
        *shell_lines(documents.IAM, "aws s3 cp"),
    ]
    files = ("iam/role.yaml", "userdata/asg.yaml", "iam/reaper.yaml")
    for deploy, file in zip(stacks, files, strict=True):
        head, _, _ = (ROOT / file).read_text().partition("\nResources:")
        asked = re.findall(r"^  (\w+):\n((?:    .*\n)+)", head + "\n", re.MULTILINE)

        assert f"--template-file {file} " in deploy
        pairs = deploy.partition("--parameter-overrides ")[2].split()

        given = {pair.partition("=")[0] for pair in pairs}
        needed = {name for name, about in asked if "Default:" not in about}
        assert needed <= given <= dict(asked).keys()
        assert len(needed) >= 3


@pytest.mark.skipif(not AWS.exists(), reason="aws is missing: scripts/install --servers adds it")
def test_aws_knows_the_options(tmp_path: Path) -> None:
    """The client takes each command of every document apart, and asks nobody."""
    commands = [line for name in documents.FOR_USERS for line in shell_lines(name, "aws ")]
    env = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "PATH": os.environ["PATH"]}
    env |= {"AWS_DEFAULT_REGION": "us-east-1"}

    for command in commands:
        for name in re.findall(r"file://(\S+)", command):
            (tmp_path / name).write_text("{}")
        if " deploy " in command:  # made of several calls: it has no skeleton
            continue
        command = command.partition(" --query ")[0].replace("file://", f"file://{tmp_path}/")
        told = run(str(AWS), *shlex.split(command)[1:], "--generate-cli-skeleton", "input", env=env)
        assert told.startswith("{"), command

    assert len(commands) >= 4


def test_completion_is_set_up_as_shown(sandbox: Sandbox) -> None:
    """The line for .bashrc makes bash complete the command."""
    (line,) = re.findall(r"`(eval .*?)`", text(README))

    completion = run("bash", "-c", f"{line}; complete -p dnssd", env=environment(sandbox))

    assert completion.startswith("complete ")


def test_every_command_is_in_the_table() -> None:
    """And no other."""
    rows = re.findall(r"^\| (`.*?) \| ", section("Commands"), re.MULTILINE)

    assert re.findall(r"`(.*?)`", " ".join(rows)) == list(COMMANDS)


def test_the_exit_codes_are_the_ones_in_the_table() -> None:
    """Every error has a code that the table explains."""
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", text(README), re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]

    assert table == {exit_code(kind("")) for kind in kinds} | {0, 130}
