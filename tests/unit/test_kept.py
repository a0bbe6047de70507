"""The state folder: a host leaves as who it was when it joined."""

import json
import os
from pathlib import Path

import pytest

from dnssd.hosts import HostFacts
from dnssd.hosts.kept import Kept, StateFolder

FACTS = HostFacts("vm-a", ("10.0.0.1",), (), "host/0a/vm-a", "host name", "plain")
WEB = "web._http._tcp.example.test."


def joined(port: int = 80, name: str = WEB, facts: HostFacts = FACTS) -> Kept:
    """A join."""
    return Kept.of(facts, name, port, {"service": "http", "port": port})


def test_what_is_kept_reads_back(tmp_path: Path) -> None:
    """A file for each instance and port; names in any case are the same name."""
    folder = StateFolder(tmp_path / "dnssd")
    assert folder.kept(WEB) == ()

    for kept in (joined(), joined(81), joined(name="other._http._tcp.example.test.")):
        folder.keep(kept)
        folder.keep(kept)

    assert {kept.port for kept in folder.kept(WEB.upper())} == {80, 81}
    assert folder.kept(WEB, 81) == (joined(81),)
    assert len(folder.kept()) == len(list((tmp_path / "dnssd").iterdir())) == 3
    assert folder.kept(WEB, 80)[0].facts.label == "vm-a"


def test_what_has_left_is_forgotten(tmp_path: Path) -> None:
    """One port, or all of an instance."""
    folder = StateFolder(tmp_path)
    for port in (80, 81, 82):
        folder.keep(joined(port))

    folder.forget(WEB, 80)
    assert {kept.port for kept in folder.kept(WEB)} == {81, 82}
    folder.forget(WEB)
    assert folder.kept() == ()


def test_the_last_join_counts(tmp_path: Path) -> None:
    """Another identity takes the place of the former."""
    folder = StateFolder(tmp_path)
    folder.keep(joined())
    other = HostFacts("vm-b", (), (), "host/0a/vm-b", "host name", "plain")

    folder.keep(joined(facts=other))

    assert [kept.label for kept in folder.kept(WEB)] == ["vm-b"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 2}', '{"format": 1}', '{"format": 1, "x": 1}', "\0"]
)
def test_what_nobody_understands_is_left_alone(tmp_path: Path, text: str) -> None:
    """Another program's file, or a later version's, is neither read nor removed."""
    (tmp_path / "odd.json").write_text(text)
    folder = StateFolder(tmp_path)

    assert folder.kept() == ()
    folder.forget(WEB)
    assert (tmp_path / "odd.json").read_text() == text


def test_the_file_is_json_for_programs(tmp_path: Path) -> None:
    """With how it joined, so that it can join again."""
    StateFolder(tmp_path).keep(joined())

    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text()) == {
        "format": 1,
        "name": WEB,
        "port": 80,
        "label": "vm-a",
        "owner": "host/0a/vm-a",
        "cloud": "plain",
        "options": {"service": "http", "port": 80},
        "held": False,
    }


def test_the_folder_is_the_first_that_can_be_written(tmp_path: Path) -> None:
    """DNSSD_STATE, else /run/dnssd, else that of the user's session, else none."""
    run, own = tmp_path / "run", tmp_path / "user"
    own.mkdir()
    environ = {"XDG_RUNTIME_DIR": str(own)}

    assert StateFolder.find({}, run).path is None
    assert StateFolder.find(environ, run).path == own / "dnssd"
    run.mkdir()
    assert StateFolder.find(environ, run).path == run / "dnssd"
    assert StateFolder.find(environ | {"DNSSD_STATE": "/x"}, run).path == Path("/x")


def test_that_nothing_can_be_kept_stops_nothing(tmp_path: Path) -> None:
    """No folder, or one on a full or read-only disk: the join goes on."""
    (tmp_path / "file").write_text("")
    for folder in (StateFolder(None), StateFolder(tmp_path / "file" / "dnssd")):
        folder.keep(joined())
        folder.forget(WEB)
        assert folder.kept() == ()
    assert os.listdir(tmp_path) == ["file"]
