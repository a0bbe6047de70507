"""scripts/demo shows what it says, stops where a step fails, and leaves nothing behind."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dnssd import Registration, join, open_zone
from dnssd.sandbox.sandbox import Sandbox, lead_into

DEMO = [sys.executable, str(Path(__file__).parents[2] / "scripts" / "demo.py")]
IN_SANDBOX = [sys.executable, "-m", "dnssd", "sandbox", "--", *DEMO]
PATIENCE = 120  # seconds until a test gives up; nothing waits that long
STORY = (  # what is shown, in this order
    "1. 20 hosts boot at once",
    "the usual script: in DNS +█ +1 of 20\n",
    "joined app._http._tcp.example.test. as host-1-8080",
    "dnssd join: in DNS +█{28} +20 of 20\n",
    "2. Three servers join",
    "dnssd run http --instance web .*-- ./server\n",
    "joined web._http._tcp.example.test. as web-1-",
    "joined web._http._tcp.example.test. as web-2-",
    "joined web._http._tcp.example.test. as web-3-",
    "web +0 +25 +web-2.example.test:[0-9]+ +127.0.0.1",
    "3. A client picks",
    "web-1 +priority +0 +weight +75 +█{18,24} +[678][0-9]+ of 1,000",
    "web-2 +priority +0 +weight +25 +█{4,10} +[123][0-9]+ of 1,000",
    "web-3 +priority 10 +weight 100 +0 of 1,000\n",
    "4. kill -9",
    "\n +[12]{40}\n",
    "kill -9 web-1 +[12]{0,5}2{35,40}\n",
    "kill -9 web-2 +[23]{0,5}3{35,40}\n",
    "No call failed",
    "5. The dead servers have left DNS",
    "left web._http._tcp.example.test.: web-1-",
    "left web._http._tcp.example.test.: web-2-",
    "--all\n127.0.0.1:[0-9]+\n\n",
    "6. A host dies that cannot leave",
    "--force\nleft web._http._tcp.example.test.: web-4-8080",
    "Done, in ",
)


def test_it_tells_the_whole_story() -> None:
    """Every step shows its results, as plain text where no terminal reads it."""
    completed = subprocess.run(
        IN_SANDBOX, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE, check=False
    )

    assert (completed.returncode, completed.stderr) == (0, "")
    assert re.search(".*?".join(STORY), completed.stdout, re.DOTALL)
    assert "\033" not in completed.stdout


@pytest.fixture
def led(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """This process's environment, led into the sandbox."""
    environment = lead_into(sandbox.environment(), os.environ)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def stopped_by(environment: dict[str, str]) -> tuple[str, str]:
    """What the demonstration shows, and the line with which it stops."""
    completed = subprocess.run(
        DEMO, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert completed.returncode == 1
    return completed.stdout, completed.stderr


def test_it_stops_where_a_command_fails(led: dict[str, str]) -> None:
    """One host of many that cannot join is the end of it, and the command's own words say why."""
    other = Registration(
        service="http", port=8080, instance="app", host="host-7", addresses=["10.0.0.9"]
    )
    join(open_zone("example.test"), other)

    shown, error = stopped_by(led)

    assert "2. Three servers" not in shown
    assert re.fullmatch("scripts/demo: a join failed: dnssd: .*host-7.*\n", error)


def test_it_stops_where_the_zone_is_not_as_told(led: dict[str, str]) -> None:
    """What commands print is judged, not only shown: here one more host takes part."""
    other = Registration(
        service="http", port=8080, instance="app", host="other", addresses=["10.0.0.9"]
    )
    join(open_zone("example.test"), other)

    shown, error = stopped_by(led)

    assert "21 of 20" in shown
    assert error == "scripts/demo: dnssd join lost hosts\n"


def test_it_touches_no_other_zone() -> None:
    """Started by hand, with whatever credentials there are, it does nothing."""
    shown, error = stopped_by(dict(os.environ))

    assert shown == ""
    assert error == "scripts/demo: no sandbox around it; run scripts/demo\n"


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def on_a_terminal(**environment: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The demonstration on a terminal of 80 columns; gives its other end as well."""
    person, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    with subprocess.Popen(
        IN_SANDBOX,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", **environment},
        start_new_session=True,
        preexec_fn=_take_terminal,
    ) as process:
        try:
            yield process, person
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            os.close(terminal)
            os.close(person)


def read_until(text: str, person: int) -> str:
    """What the terminal shows until `text` comes."""
    seen = b""
    gives_up_at = time.monotonic() + PATIENCE
    while text.encode() not in seen:
        assert time.monotonic() < gives_up_at
        seen += os.read(person, 4096)
    return seen.decode(errors="ignore")


def await_end_of_group(number: int) -> None:
    """Wait until all of its processes are gone: one that was killed takes a moment."""
    gives_up_at = time.monotonic() + PATIENCE
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < gives_up_at:
            os.killpg(number, 0)
            time.sleep(0.01)
        raise AssertionError("a process stays")


def test_it_is_made_for_the_terminal_that_it_has() -> None:
    """Commands stand out, nothing is wider than the screen, and Ctrl-C leaves nothing behind."""
    with on_a_terminal() as (process, person):
        before = termios.tcgetattr(person)
        shown = read_until("3. A client", person)
        os.write(person, b"\x03")

        assert process.wait(PATIENCE) == 128 + signal.SIGINT
        await_end_of_group(process.pid)
        assert termios.tcgetattr(person) == before

    assert "\033[1;36m$ dnssd join" in shown
    plain = re.sub("\033\\[[0-9;]*m", "", shown)
    assert max(map(len, plain.splitlines())) <= 80


def test_no_colour_for_those_who_want_none() -> None:
    """NO_COLOR is honoured, in titles as elsewhere."""
    with on_a_terminal(NO_COLOR="1") as (_, person):
        shown = read_until("1. 20 hosts boot", person)

    assert "\033" not in shown
