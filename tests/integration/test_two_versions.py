"""The previous version and this one on one zone: whoever comes first, both join, fold and leave."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dnssd import open_zone
from dnssd.cli.main import run
from dnssd.rrsets import Change
from dnssd.sandbox.sandbox import Sandbox
from kit.interleaving import patient
from kit.invariants import INSTANCE, State, check_projection, check_state, srv, state_of, view_of

ROOT = Path(__file__).parents[2]
PREVIOUS = "584081525a0f665b2dcddd3c18453bb20e2c3938"  # where no version has been tagged yet
WEB = ("http", "--instance", "web")
DRIVER = """
import contextlib, io, json, os, sys
from dnssd.cli.main import run

answers = sys.stdout
for line in sys.stdin:
    asked = json.loads(line)
    os.environ.clear()
    os.environ.update(asked["env"])
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = run(asked["arguments"])
    print(json.dumps([code, told.getvalue()]), file=answers, flush=True)
"""


class Ran(NamedTuple):
    """What a command did."""

    code: int
    told: str


Version = Callable[..., Ran]


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Ask the history, whoever owns the clone."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no git here: {error}")  # where a source distribution is tested, say


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """The previous version, in a process of its own that does what it is told."""
    tag = git("describe", "--tags", "--abbrev=0", "HEAD^").stdout.decode().strip()
    archive = git("archive", tag or PREVIOUS, "dnssd")
    if archive.returncode != 0:
        # a shallow clone, or a source distribution: there is no former version to run
        pytest.skip(f"the history ends before {tag or PREVIOUS[:12]}: fetch all of it")
    folder = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(folder, filter="data")
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


@pytest.fixture
def old(previous: subprocess.Popen[str], sandbox: Sandbox, own: None) -> Version:
    """Runs a command of the previous version."""
    assert previous.stdin
    assert previous.stdout
    requests, answers = previous.stdin, previous.stdout

    def command(*arguments: str) -> Ran:
        print(
            json.dumps({"env": dict(os.environ), "arguments": arguments}), file=requests, flush=True
        )
        return Ran(*json.loads(answers.readline()))

    return command


@pytest.fixture
def new(own: None, capsys: pytest.CaptureFixture[str]) -> Version:
    """Runs a command of this version."""

    def command(*arguments: str) -> Ran:
        return Ran(run(arguments), "".join(capsys.readouterr()))

    return command


@pytest.fixture
def own(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the sandbox."""
    for key, value in sandbox.environment().items():
        monkeypatch.setenv(key, value)


@pytest.fixture(params=["old first", "new first"])
def order(request: pytest.FixtureRequest, old: Version, new: Version) -> tuple[Version, Version]:
    """Both versions; who comes first."""
    return (old, new) if request.param == "old first" else (new, old)


def state(sandbox: Sandbox) -> State:
    """What the zone holds."""
    (zone,) = sandbox.zones.zones()
    return state_of(zone)


def join(version: Version, host: str) -> None:
    """Join a host."""
    address = f"10.0.0.{ord(host)}"
    done = version("join", *WEB, "--port", "80", "--host", host, "--address", address)
    assert done.code == 0, done.told


def test_hosts_of_both_join_and_leave(sandbox: Sandbox, order: tuple[Version, Version]) -> None:
    """Each sees the other's members, takes out its own, and nothing of them stays."""
    first, second = order
    join(first, "a")
    join(second, "b")
    check_projection(state(sandbox))
    assert set(view_of(state(sandbox)).values) == {srv("a"), srv("b")}
    for version in order:
        members = json.loads(version("status", *WEB, "--json").told)["members"]
        assert [(m["member"], m["published"]) for m in members] == [("a-80", True), ("b-80", True)]
    assert first("leave", *WEB, "--host", "a").code == 0
    assert set(view_of(state(sandbox)).values) == {srv("b")}
    assert second("leave", *WEB, "--host", "b").code == 0
    check_state(state(sandbox))
    assert {rdtype for _, rdtype in state(sandbox)} == {"PTR", "TXT"}


def test_each_folds_for_the_other(sandbox: Sandbox, order: tuple[Version, Version]) -> None:
    """A value that another tool has overwritten comes back by whichever host repeats its join.

    The other's record stays to the letter.
    """
    first, second = order
    join(first, "a")
    join(second, "b")
    before = state(sandbox)
    rrset = before[INSTANCE, "SRV"]
    open_zone().commit([Change(rrset, rrset.with_values([srv("a")]))], patient())
    join(first, "a")
    after = state(sandbox)
    assert set(view_of(after).values) == {srv("a"), srv("b")}
    assert before[INSTANCE.child(b"b-80"), "TXT"] == after[INSTANCE.child(b"b-80"), "TXT"]


def test_a_host_that_was_upgraded_is_the_same_one(
    sandbox: Sandbox, old: Version, new: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was called before is its own: it joins again, and leaves, as on an EC2 instance."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("DNSSD_STATE", "")
    for commands in ([("leave", *WEB)], [("join", *WEB, "--port", "80"), ("leave", *WEB)]):
        assert old("join", *WEB, "--port", "80").code == 0
        for command in commands:
            done = new(*command)
            assert done.code == 0, done.told
        assert view_of(state(sandbox)).members == {}


def test_uninstalling_takes_the_members_of_both(
    sandbox: Sandbox, old: Version, new: Version
) -> None:
    """Nothing is left of either."""
    join(old, "a")
    join(new, "b")
    done = new("uninstall-records", "http", "--yes", "--limit", "2")
    assert done.code == 0, done.told
    assert state(sandbox) == {}
