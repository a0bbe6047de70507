"""`dnssd watch` and `lookup --policy` as their users run them, against the sandbox's DNS."""

import json
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pytest

from dnssd.cli.main import run
from dnssd.sandbox.sandbox import Sandbox
from kit.livezone import SERVICE, WEB, Zone

PATIENCE = 60.0  # seconds that a test waits for what must come

PROGRAM = (sys.executable, "-m", "dnssd", "watch")

# Notes each run's arguments and input; waits while the file `hold` is there; then fails.
NOTE = """if True:
    import json, os, sys, time
    folder = sys.argv[1]
    def note(what):
        with open(f"{folder}/runs", "a") as runs:
            print(json.dumps(what), file=runs)
    note(["begin", sys.argv[2:], sys.stdin.read().splitlines()])
    ends = time.monotonic() + 60
    while os.path.exists(f"{folder}/hold") and time.monotonic() < ends:
        time.sleep(0.01)
    note(["end"])
    print("from the command")
    sys.exit(3)
"""


class Watch:
    """A running `dnssd watch`."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout
        assert self.process.stderr
        self._out, self._err = self.process.stdout, self.process.stderr
        self.out: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.err: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=_read, args=pipe)
            for pipe in ((self._out, self.out), (self._err, self.err))
        ]
        for thread in self._threads:
            thread.start()

    def line(self) -> str:
        """The next line on stdout."""
        return self.out.get(timeout=PATIENCE)

    def event(self) -> dict[str, Any]:
        """That line's JSON."""
        event: dict[str, Any] = json.loads(self.line())
        return event

    def told(self) -> str:
        """The next line on stderr."""
        return self.err.get(timeout=PATIENCE)

    def ended(self) -> tuple[int, list[str]]:
        """Wait for its end; its exit code, and what it wrote to stderr meanwhile."""
        code = self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join()
        return code, _all(self.err)

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.ended()
        self._out.close()
        self._err.close()


def _read(pipe: IO[bytes], lines: "queue.SimpleQueue[str]") -> None:
    for line in pipe:
        lines.put(line.decode().removesuffix("\n"))


def _all(lines: "queue.SimpleQueue[str]") -> list[str]:
    return [lines.get() for _ in range(lines.qsize())]


Start = Callable[..., Watch]


@pytest.fixture
def zone(sandbox: Sandbox) -> Iterator[Zone]:
    """A zone without services."""
    zone = Zone(sandbox)
    with zone.server:
        yield zone


@pytest.fixture
def environment(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leads commands to the zone."""
    monkeypatch.setenv("DNSSD_NAMESERVER", f"127.0.0.1:{zone.server.port}")
    monkeypatch.setenv("DNSSD_DOMAIN", "example.test")
    monkeypatch.setenv("PYTHONUTF8", "1")


@pytest.fixture
def watch(environment: None) -> Iterator[Start]:
    """Starts `dnssd watch`, which ends with the test."""
    with ExitStack() as stack:

        def start(*arguments: str) -> Watch:
            watch = Watch(arguments)
            stack.callback(watch.close)
            return watch

        yield start


class Command:
    """A command that notes its runs in a folder."""

    def __init__(self, folder: Path) -> None:
        self._runs = folder / "runs"
        self._hold = folder / "hold"
        self._script = folder / "note.py"
        self._script.write_text(NOTE)
        self.words = [sys.executable, str(self._script), str(folder)]

    def hold(self) -> None:
        """Have runs wait until they are let go."""
        self._hold.touch()

    def let_go(self) -> None:
        """End that."""
        self._hold.unlink()

    def runs(self) -> list[list[Any]]:
        """What was noted: `begin` with arguments and input, `end`."""
        if not self._runs.exists():
            return []
        return [json.loads(line) for line in self._runs.read_text().splitlines()]


@pytest.fixture
def noting(tmp_path: Path) -> Command:
    """A command for `--exec`."""
    return Command(tmp_path)


def targets(*events: dict[str, Any]) -> set[tuple[str, str]]:
    """What happened to which target."""
    return {(event["event"], event["endpoint"]["target"]) for event in events}


def test_events_as_json_lines(zone: Zone, watch: Start) -> None:
    """First `added` for each endpoint, then each change; Ctrl-C ends it with 130, told last."""
    zone.offer("a", "b")
    watching = watch("http", "--json")

    first = watching.event()
    assert set(first) == {"event", "time", "name", "endpoint"}
    assert first["time"][-1] == "Z"
    assert first["name"] == SERVICE
    assert first["endpoint"] == {
        "instance": "web",
        "target": first["endpoint"]["target"],
        "port": 80,
        "priority": 0,
        "weight": 1,
        "addresses": ["10.0.0.1"],
    }
    assert targets(first, watching.event()) == {
        ("added", "a.example.test."),
        ("added", "b.example.test."),
    }
    zone.offer("a", "c")
    assert targets(watching.event(), watching.event()) == {
        ("removed", "b.example.test."),
        ("added", "c.example.test."),
    }
    zone.offer("a", "c", weight=5)
    changed = [watching.event() for _ in range(2)]
    assert {event["event"] for event in changed} == {"changed"}
    assert {event["endpoint"]["weight"] for event in changed} == {5}

    watching.process.send_signal(signal.SIGINT)
    assert watching.ended() == (130, [""])  # the line that a terminal has begun with ^C ends
    (last,) = _all(watching.out)
    assert json.loads(last) == {
        "event": "error",
        "error": {"kind": "Interrupted", "message": "interrupted"},
    }


def test_lines_for_people(zone: Zone, watch: Start) -> None:
    """One line an event, in columns; SIGTERM ends it."""
    zone.offer("long-name")
    watching = watch("web._http._tcp")

    assert watching.line().split("  ", 1)[1] == (
        "added      web  long-name.example.test:80  10.0.0.1  priority 0 weight 1"
    )
    zone.offer("long-name", "b")
    assert watching.line().split("  ", 1)[1] == (
        "added      web  b.example.test:80          10.0.0.1  priority 0 weight 1"
    )
    watching.process.terminate()
    assert watching.ended() == (0, [])


def test_nothing_from_dns_moves_a_cursor(zone: Zone, watch: Start, noting: Command) -> None:
    """Escape sequences in names are shown, not obeyed; a command gets them as JSON."""
    zone.offer(r"x\033]0\073y\007", name=rf"\033[2J\302\233H.{SERVICE}")

    line = watch("http").line()
    event = watch("http", "--json", "--exec", shlex.join(noting.words)).line()

    for text in (line, event):
        assert text.isprintable()
    assert json.loads(event)["endpoint"]["instance"] == r"\027[2J\194\155H"
    _await(noting.runs)
    ((_, _, (told,)), *_) = noting.runs()
    assert told == event


def test_a_command_runs_once_for_each_burst(zone: Zone, watch: Start, noting: Command) -> None:
    """It gets what came together, and later what came meanwhile; it may fail, and is no shell.

    On a machine that is slow enough, what came together may be told in parts: then the second
    run has the rest of it too.
    """
    zone.offer("a", "b", "c")
    noting.hold()
    shell = ["$HOME", ";", "|", "&&", "*", "a b"]
    watching = watch("http", "--json", "--exec", shlex.join([*noting.words, *shell]))

    first = [watching.line() for _ in range(3)]
    _await(noting.runs)
    zone.offer("a", "b")
    second = [watching.line()]  # told at once, although the command still runs
    zone.offer("a", "b", "d")
    second.append(watching.line())
    ((begun, words, early),) = noting.runs()
    assert (begun, words) == ("begin", shell)
    assert early == first[: len(early)]
    noting.let_go()

    assert watching.told() == "from the command"
    assert watching.told().endswith(
        "it ended with exit code 3; it is tried again at the next event"
    )
    assert watching.told() == "from the command"
    assert noting.runs() == [
        *(["begin", shell, early], ["end"]),
        *(["begin", shell, first[len(early) :] + second], ["end"]),
    ]
    assert watching.process.poll() is None
    assert _all(watching.out) == []


def test_a_command_that_is_not_there(zone: Zone, watch: Start) -> None:
    """It is told each time, and the events go on."""
    zone.offer("a")
    watching = watch("http", "--exec", "/nonexistent/program --flag")

    assert "added" in watching.line()
    assert watching.told() == (
        "dnssd: --exec /nonexistent/program: No such file or directory; "
        "it is tried again at the next event"
    )
    zone.offer("a", "b")
    assert "b.example.test" in watching.line()
    assert "No such file" in watching.told()


def test_a_command_that_is_killed(zone: Zone, watch: Start) -> None:
    """Signals are no exit codes."""
    zone.offer("h1")

    watching = watch(WEB, "--exec", "sh -c 'kill -KILL $$'")

    assert watching.told() == (
        "dnssd: --exec sh: it ended with signal 9; it is tried again at the next event"
    )


def test_a_service_that_is_not_there_yet(zone: Zone, watch: Start) -> None:
    """That is said on stderr, and the service told of once it appears."""
    watching = watch("http", "--json")

    assert watching.told() == (
        f"dnssd: {SERVICE}: no such service; check the name and the domain; still watching"
    )
    assert _all(watching.out) == []
    zone.offer("a")
    assert targets(watching.event()) == {("added", "a.example.test.")}


def test_name_servers_that_do_not_answer_yet(zone: Zone, watch: Start) -> None:
    """That is said on stderr too; once they answer, all is as if they always had."""
    zone.offer("a")
    zone.silent = True
    watching = watch("http")

    told = watching.told()
    assert "no answer" in told
    assert told.endswith("; still watching")
    zone.silent = False
    assert "a.example.test:80" in watching.line()


def test_an_outage_is_told_once(zone: Zone, watch: Start) -> None:
    """Endpoints stay; that they are old is an event without an endpoint."""
    zone.offer("a")
    watching = watch("http", "--json")

    assert watching.event()["event"] == "added"
    zone.silent = True
    stale = watching.event()
    assert "going on with what is known" in watching.told()
    zone.silent = False
    recovered = watching.event()
    for event, kind in ((stale, "stale"), (recovered, "recovered")):
        assert (event["event"], event["name"], event["endpoint"]) == (kind, SERVICE, None)


@pytest.mark.usefixtures("environment")
def test_whoever_reads_along_may_hang_up(zone: Zone) -> None:
    """As in `dnssd watch … | head -n 1`: the next event ends it, and nobody complains."""
    zone.offer("a")
    with subprocess.Popen(
        [*PROGRAM, "http"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert b"added" in process.stdout.readline()
        process.stdout.close()
        zone.offer("b")
        assert process.wait(PATIENCE) > 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["http", "--exec", "unbalanced '"], "--exec"),
        (["http", "--exec", " "], "no command"),
        (["no service"], "service name"),
        (["http", "--domain", "a..b"], "--domain"),
    ],
)
def test_what_cannot_be_watched(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage is exit code 2 and one line, before anything is asked."""
    assert run(["watch", "--nameserver", "127.0.0.1:1", *arguments]) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert told in captured.err


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("policy", ["weighted", "least_pending"])
def test_policies_of_a_look_up(zone: Zone, policy: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both pick by weight in a command that makes one pick: nothing is in flight yet."""
    zone.offer("a", "b")
    zone.put(WEB, "SRV", "0 9999 80 a.example.test.", "0 1 81 b.example.test.")

    picked = Counter[str]()
    for _ in range(8):
        assert run(["lookup", "http", "--pick", "--policy", policy]) == 0
        picked[capsys.readouterr().out] += 1

    assert picked.most_common(1)[0][0] == "10.0.0.1:80\n"


@pytest.mark.usefixtures("environment")
def test_a_policy_may_come_from_the_environment(
    zone: Zone, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one that is none is told with the variable's name."""
    zone.offer("a")
    monkeypatch.setenv("DNSSD_LOOKUP_POLICY", "random")

    assert run(["lookup", "http", "--pick"]) == 2
    assert "DNSSD_LOOKUP_POLICY" in capsys.readouterr().err
    assert run(["lookup", "http", "--pick", "--policy", "least_pending"]) == 0


def _await(happened: Callable[[], object]) -> None:
    """Wait until a file says so."""
    ends = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_it_ends_with_its_reader(zone: Zone, environment: None) -> None:
    """`dnssd watch ... | head -1` comes to an end though nothing else happens."""
    zone.offer("a")
    watching = subprocess.Popen(
        [*PROGRAM, "http"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    assert watching.stdout
    assert watching.stderr
    with watching, watching.stderr as told:
        assert b"added" in watching.stdout.readline()

        watching.stdout.close()

        assert watching.wait(PATIENCE) == 1
        assert told.read() == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_its_command_ends_with_it(
    zone: Zone, watch: Start, noting: Command, number: signal.Signals
) -> None:
    """However it is ended, no command is left behind."""
    zone.offer("a")
    noting.hold()
    watching = watch("http", "--exec", shlex.join(noting.words))
    watching.line()
    _await(noting.runs)
    (child,) = _children(watching.process.pid)

    watching.process.send_signal(number)

    assert watching.ended()[0] == (0 if number == signal.SIGTERM else 130)
    assert not Path(f"/proc/{child}").exists()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
