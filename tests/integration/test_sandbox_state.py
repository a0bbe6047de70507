"""Zones that survive the sandbox: saved before a change is answered, and never half."""

import http.client
import json
import os
import random
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from dnssd.cli.main import run
from dnssd.errors import Unavailable, UsageError
from dnssd.names import Name
from dnssd.sandbox.api.hostedzones import Contents, HostedZones, Vpc
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.api.statefile import StateFile, format_state, parse_state, saved
from dnssd.sandbox.sandbox import Sandbox
from kit.route53 import ZONES, ask, batch, rrset_path

PATIENCE = 30  # seconds until a test gives up; nothing waits that long
ORIGIN = Name.parse("example.test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet."""
    return tmp_path / "zones.json"


@contextmanager
def _running(path: Path, *serve: Name) -> Iterator[Sandbox]:
    with (
        StateFile(path) as file,
        Sandbox(serve or [ORIGIN], state=file, rng=random.Random(0)) as sandbox,
    ):
        yield sandbox


def _change(url: str, zone_id: str, label: str) -> int:
    """Create an address record through the API; the status of the answer."""
    body = batch(("CREATE", f"{label}.example.test", "A", "10.0.0.1"))
    return ask(_place(url), "POST", rrset_path(zone_id), body)[0]


def _place(url: str) -> tuple[str, int]:
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def _labels(contents: Contents) -> list[str]:
    """The first labels of what stands in the first zone, its apex left out."""
    entries = contents.zones[0].rrsets
    return [str(entry.name).split(".")[0] for entry in entries if entry.name != ORIGIN]


def _edit(label: str) -> Edit:
    return Edit(Action.CREATE, HostedRRset(ORIGIN.child(label.encode()), "A", 60, ("10.0.0.1",)))


def test_zones_survive_a_restart(path: Path) -> None:
    """With identifiers and values; new ones are as new as if it had run on."""
    with _running(path) as sandbox:
        assert _change(sandbox.api_url, sandbox.zone_id, "a") == 200
        before = sandbox.zones.contents()

    with _running(path) as sandbox:
        after = sandbox.zones.contents()
        assert format_state(after) == format_state(before)
        assert sandbox.zone_id == before.zones[0].id
        assert _change(sandbox.api_url, sandbox.zone_id, "a") == 400
        assert _change(sandbox.api_url, sandbox.zone_id, "b") == 200

    assert _labels(parse_state(path.read_bytes())) == ["a", "b"]


def test_zones_to_serve_are_made_once(path: Path) -> None:
    """Those of the file stay; others are added; the first to serve is the one to use."""
    one, two = Name.parse("one.test"), Name.parse("Two.test")
    with _running(path, one, one) as sandbox:
        sandbox.zones.create_zone(two, vpc=Vpc(), caller_reference="hidden")

    with _running(path, two, one) as sandbox:
        zones = sandbox.zones.zones()
        assert [(zone.origin, zone.private) for zone in zones] == [
            (one, False),
            (two, True),
            (two, False),
        ]
        assert sandbox.zone_id == zones[2].id
    with _running(path, Name.parse("TWO.test")) as sandbox:
        assert len(sandbox.zones.zones()) == 3
        assert sandbox.zone_id == zones[2].id


def test_what_was_answered_is_in_the_file(path: Path) -> None:
    """At the moment of the answer, not later; a zone that is made or deleted counts too."""
    with _running(path) as sandbox:
        for label in "abc":
            assert _change(sandbox.api_url, sandbox.zone_id, label) == 200
            assert label in _labels(parse_state(path.read_bytes()))
        body = (
            "<CreateHostedZoneRequest><Name>x.test</Name><CallerReference>r</CallerReference>"
            "</CreateHostedZoneRequest>"
        )
        place = _place(sandbox.api_url)
        assert ask(place, "POST", ZONES, body)[0] == 201
        made = parse_state(path.read_bytes()).zones[1]
        assert ask(place, "DELETE", f"{ZONES}/{made.id}")[0] == 200
        assert len(parse_state(path.read_bytes()).zones) == 1


def test_what_was_answered_survives_a_kill(path: Path) -> None:
    """A process that is killed in the midst of many changes has lost none that it answered."""
    command = [sys.executable, "-m", "dnssd", "sandbox", "--state", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            first = process.stdout.readline()
            url = re.findall(r"http://\S+", first)[0]
            answered = _change_until_killed(url, process)
        finally:
            process.kill()

    kept = _labels(parse_state(path.read_bytes()))
    assert len(answered) > 20
    assert set(answered) <= set(kept)
    with _running(path) as sandbox:
        assert _labels(sandbox.zones.contents()) == kept


def _change_until_killed(url: str, process: subprocess.Popen[str]) -> list[str]:
    """Change a zone from four threads, and kill the server meanwhile."""
    answered: list[str] = []

    def work(worker: int) -> None:
        for number in range(1000):
            label = f"w{worker}-{number}"
            try:
                status = _change(url, "Z0000000000001", label)
            except (OSError, http.client.HTTPException):
                return
            assert status == 200
            answered.append(label)
            if len(answered) >= 25:  # two threads may have added one before either looks
                process.send_signal(signal.SIGKILL)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, worker) for worker in range(4)]:
            future.result()
    return list(answered)


def test_many_changes_share_a_saving(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for one, and all that were made before it began are in it."""
    writes: list[int] = []
    all_changed, release = threading.Barrier(9), threading.Event()
    write = StateFile._write

    def slow_write(file: StateFile, data: bytes) -> None:
        writes.append(len(data))
        release.wait(PATIENCE)
        write(file, data)

    store = HostedZones()
    zone = store.create_zone(ORIGIN, caller_reference="a")
    with StateFile(path) as file:
        file.keep(store)
        monkeypatch.setattr(StateFile, "_write", slow_write)

        def change(label: str) -> None:
            store.change(zone.id, [_edit(label)])
            all_changed.wait(PATIENCE)
            file.save()

        with ThreadPoolExecutor(8) as pool:
            changing = [pool.submit(change, f"h{number}") for number in range(8)]
            all_changed.wait(PATIENCE)
            release.set()
            for future in changing:
                future.result()
    assert len(writes) == 1
    assert len(_labels(parse_state(path.read_bytes()))) == 8


def test_a_file_has_one_sandbox(path: Path) -> None:
    """The second is told so and leaves the file alone; after the first, it may have it."""
    with _running(path):
        text = path.read_bytes()
        with pytest.raises(Unavailable, match=r"another sandbox uses it; stop that one"):
            StateFile(path).__enter__()
        link = path.with_name("link")
        link.symlink_to(path)
        with pytest.raises(Unavailable, match="another sandbox uses it"):
            StateFile(link).__enter__()
        assert path.read_bytes() == text
    with _running(path):
        pass


def test_a_command_that_is_run_does_not_hold_the_file(path: Path) -> None:
    """What it leaves behind would keep the next sandbox out."""
    script = "import os; print([os.path.realpath(f'/dev/fd/{n}') for n in os.listdir('/dev/fd')])"
    command = [sys.executable, "-m", "dnssd", "sandbox", "--state", str(path), "--"]
    completed = subprocess.run(
        [*command, sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    assert ".lock" not in completed.stdout


def test_a_link_stays_a_link(path: Path) -> None:
    """What it leads to is replaced."""
    link = path.with_name("link")
    link.symlink_to(path)
    with _running(link):
        pass

    assert link.is_symlink()
    assert len(parse_state(path.read_bytes()).zones) == 1


def test_leftovers_of_a_killed_run_are_no_hindrance(path: Path) -> None:
    """Half of a state beside the file, and its lock."""
    path.with_name(".zones.json.new").write_text('{"format"')
    path.with_name("zones.json.lock").touch()
    with _running(path):
        pass

    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        "zones.json",
        "zones.json.lock",
    ]


def _damaged(text: bytes) -> Sequence[bytes]:
    later = json.loads(text) | {"version": 3}
    return b"", text[: len(text) // 2], b"a: 1\n", b"{}", json.dumps(later).encode()


def test_a_file_that_is_not_understood_is_left_as_it_is(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Empty, cut off, somebody else's, of a later version: one line, code 2, untouched."""
    with _running(path):
        pass
    for text in _damaged(path.read_bytes()):
        path.write_bytes(text)

        code = run(["sandbox", "--state", str(path), "--", "true"])

        printed = capsys.readouterr()
        assert (code, printed.out) == (2, "")
        assert re.fullmatch(
            r"dnssd: state file '.*zones\.json': .+; it was left as it is: .+\n", printed.err
        )
        assert path.read_bytes() == text


@pytest.mark.parametrize(
    ("name", "code"),
    [("", 2), ("fifo", 2), ("no/such/directory/zones.json", 1), ("file/zones.json", 1)],
)
def test_what_cannot_be_a_state_file_is_one_line(
    tmp_path: Path, name: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory, a pipe, a place that is not there: nothing hangs, nothing is made."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())

    assert run(["sandbox", "--state", str(tmp_path / name), "--", "true"]) == code

    assert re.fullmatch(r"dnssd: state file '.+': .+; name .+\n", capsys.readouterr().err)
    assert sorted(tmp_path.iterdir()) == before


def test_a_device_gets_no_lock_beside_it() -> None:
    """Nothing is made where nothing can be kept."""
    with pytest.raises(UsageError, match="not a regular file"):
        StateFile(Path(os.devnull)).__enter__()
    assert not Path(os.devnull + ".lock").exists()


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_change_that_cannot_be_saved_is_not_answered_as_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client hears of it; the file is as it was; and it is saved once that is possible."""
    with _running(path) as sandbox:
        text = path.read_bytes()
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", _no_space)
            assert _change(sandbox.api_url, sandbox.zone_id, "a") == 500
        assert path.read_bytes() == text
        assert _change(sandbox.api_url, sandbox.zone_id, "b") == 200

    assert _labels(parse_state(path.read_bytes())) == ["a", "b"]


def test_what_cannot_be_saved_in_the_end_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the file is free again."""
    store = HostedZones()
    file = StateFile(path).__enter__()
    file.keep(store)
    store.create_zone(ORIGIN, caller_reference="a")
    monkeypatch.setattr(os, "fsync", _no_space)
    with pytest.raises(Unavailable, match="cannot write it: No space left"):
        file.__exit__()
    monkeypatch.undo()

    with _running(path):
        pass


def test_reading_saves_nothing(path: Path) -> None:
    """Nor does a change that is refused."""
    with _running(path) as sandbox:
        assert _change(sandbox.api_url, sandbox.zone_id, "a") == 200
        written = path.stat().st_ino
        assert _change(sandbox.api_url, sandbox.zone_id, "a") == 400
        assert path.stat().st_ino == written


def test_the_mode_is_that_of_any_new_file(path: Path) -> None:
    """As the umask has it."""
    with _running(path):
        plain = path.with_name("plain")
        plain.touch()
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_the_wrap_answers_what_the_handler_answered(path: Path) -> None:
    """Around a sandbox of one's own, too."""
    with StateFile(path) as file, Sandbox(wraps=[saved(file)]) as sandbox:
        file.keep(sandbox.zones)
        assert _change(sandbox.api_url, sandbox.zone_id, "a") == 200
        assert _labels(parse_state(path.read_bytes())) == ["a"]
