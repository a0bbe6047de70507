"""`dnssd run`: a program, and an agent beside it that publishes it while it is healthy."""

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest

from dnssd.sandbox.sandbox import Sandbox, lead_into

PATIENCE = 60.0  # seconds until a test gives up; nothing waits that long
NAME = "web._http._tcp.example.test."
# A server: it says when it is ready, and does what the lines below tell it to.
SERVER = """
import os, signal, socket, subprocess, sys, threading
port, rest = int(sys.argv[1]), sys.argv[2]
listener = socket.create_server(("127.0.0.1", port))
def say(text):
    print(text, flush=True)
def serve():
    while True:
        listener.accept()[0].close()
threading.Thread(target=serve, daemon=True).start()
def on(number, act):
    signal.signal(number, lambda *_: act())
say("ready")
exec(rest)
while True:
    signal.pause()
"""


@pytest.fixture
def port() -> int:
    """One that is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found: int = taken.getsockname()[1]
        return found


@contextlib.contextmanager
def running(
    sandbox: Sandbox, port: int, does: str, *options: str
) -> Iterator[subprocess.Popen[str]]:
    """`dnssd run` with a server that does something, and quick checks of it."""
    command = [sys.executable, "-c", SERVER, str(port), does]
    quick = ["--interval=0.3", "--timeout=0.3", "--rise=1", "--fall=1", "--start-period=0"]
    check = f"--check=tcp://127.0.0.1:{port}"
    what = ["http", "--instance=web", f"--port={port}", check, *quick, *options]
    process = subprocess.Popen(
        [sys.executable, "-m", "dnssd", "run", *what, "--", *command],
        env=lead_into(sandbox.environment(), os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert line(process) == "ready"
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Kill what is left of it."""
    for child in children(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    process.kill()


def line(process: subprocess.Popen[str]) -> str:
    """The next line that the server says."""
    assert process.stdout
    return process.stdout.readline().rstrip("\n")


def children(pid: int) -> list[int]:
    """The processes that it has started, the first first."""
    with contextlib.suppress(FileNotFoundError):
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    return []


def values(sandbox: Sandbox) -> list[str]:
    """The SRV values that DNS gives."""
    query = dns.message.make_query(NAME, "SRV")
    answer = dns.query.tcp(query, sandbox.host, port=sandbox.dns_port, timeout=10).answer
    return [rdata.to_text() for rrset in answer for rdata in rrset]


def until(holds: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, otherwise
        time.sleep(0.02)


def joined(sandbox: Sandbox) -> None:
    """Wait until it is in DNS."""
    until(lambda: len(values(sandbox)) == 1, "it does not join")


def test_it_joins_when_healthy_and_leaves_with_the_command(sandbox: Sandbox, port: int) -> None:
    """Its exit code is COMMAND's, and nothing of it stays in DNS."""
    with running(sandbox, port, "sys.stdin.readline(); sys.exit(7)") as process:
        joined(sandbox)
        assert values(sandbox)[0].startswith(f"0 100 {port} ")
        _, err = process.communicate("go\n", PATIENCE)
    assert process.returncode == 7
    assert values(sandbox) == []
    assert "joined" in err
    assert "left" in err


def test_on_sigterm_it_leaves_first(sandbox: Sandbox, port: int) -> None:
    """COMMAND hears of it when DNS no longer leads to it, and may take its time then."""
    does = "on(15, lambda: (say('term'), sys.stdin.readline(), sys.exit(0)))"
    with running(sandbox, port, does) as process:
        joined(sandbox)
        process.terminate()
        assert line(process) == "term"
        assert values(sandbox) == []
        process.communicate("go\n", PATIENCE)
    assert process.returncode == 0


def test_with_term_first_both_happen_at_once(sandbox: Sandbox, port: int) -> None:
    """COMMAND does not wait for a drain; once it has ended, neither does the agent."""
    with running(sandbox, port, "", "--drain=3000", "--term-first") as process:
        joined(sandbox)
        process.terminate()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert values(sandbox) == []


def test_a_drain_stands_behind_all_others_and_a_second_signal_ends_it(
    sandbox: Sandbox, port: int
) -> None:
    """While it drains it is still there, for who has no other."""
    with running(sandbox, port, "", "--drain=3000") as process:
        joined(sandbox)
        process.terminate()
        until(lambda: values(sandbox)[0].startswith(f"65535 0 {port} "), "it does not drain")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 128 + signal.SIGINT
    assert values(sandbox) == []


def test_it_goes_while_it_is_unhealthy_and_comes_back(sandbox: Sandbox, port: int) -> None:
    """COMMAND never ends because of it, and gets every signal that is not for the end."""
    does = "on(10, lambda: (listener.shutdown(2), say('deaf')))\non(15, lambda: sys.exit(3))"
    with running(sandbox, port, does) as process:
        joined(sandbox)
        process.send_signal(signal.SIGUSR1)
        assert line(process) == "deaf"
        until(lambda: values(sandbox) == [], "it does not leave")
        assert process.poll() is None
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert "failing: Connection refused" in err


def test_an_agent_that_is_killed_is_started_again(sandbox: Sandbox, port: int) -> None:
    """Neither COMMAND nor its records notice."""
    with running(sandbox, port, "") as process:
        joined(sandbox)
        command, agent = children(process.pid)
        os.kill(agent, signal.SIGKILL)
        until(
            lambda: len(children(process.pid)) == 2 and agent not in children(process.pid),
            "it does not start again",
        )
        assert command in children(process.pid)
        assert len(values(sandbox)) == 1
        os.kill(command, signal.SIGKILL)
        assert process.wait(PATIENCE) == 128 + signal.SIGKILL
    assert values(sandbox) == []


def test_an_agent_outlives_nobody(sandbox: Sandbox, port: int) -> None:
    """Where this program is killed, the agent leaves and ends."""
    with running(sandbox, port, "") as process:
        joined(sandbox)
        command, agent = children(process.pid)
        process.kill()
        until(lambda: values(sandbox) == [], "it does not leave")
        until(lambda: not Path(f"/proc/{agent}").exists(), "it does not end")
        os.kill(command, signal.SIGKILL)


def test_a_refused_join_is_told_once_and_ends_nothing(sandbox: Sandbox, port: int) -> None:
    """Another owner's member is in the way: COMMAND runs on."""
    other = ["join", "http", "--instance=web", f"--port={port}", "--host=web-1"]
    environment = lead_into(sandbox.environment(), os.environ)
    subprocess.run(
        [sys.executable, "-m", "dnssd", *other, "--cloud=plain", "--address=192.0.2.1"],
        env=environment,
        check=True,
        capture_output=True,
    )
    with running(sandbox, port, "", "--host=web-1") as process:
        assert process.stderr
        while "belongs to" not in (said := process.stderr.readline()):
            assert said
        process.terminate()
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
    assert len(values(sandbox)) == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["/nonexistent"], 127),
        (["/etc/passwd"], 126),
        (["sh", "-c", "exit 5"], 5),
        (["sh", "-c", "kill -9 $$"], 137),
        (["cat"], 0),
    ],
)
def test_the_exit_code_is_what_a_shell_would_give(
    sandbox: Sandbox, command: list[str], code: int
) -> None:
    """Also where COMMAND cannot be run, or ends before it was ever healthy."""
    run = [sys.executable, "-m", "dnssd", "run", "http", "--port=1", "--", *command]
    environment = lead_into(sandbox.environment(), os.environ)
    ran = subprocess.run(
        run, env=environment, capture_output=True, input=b"x", timeout=PATIENCE, check=False
    )
    assert ran.returncode == code
    assert ran.stdout == (b"x" if command == ["cat"] else b"")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--port=0"],
        ["--port=80", "--check=udp://x:1"],
        ["--port=80", "--host=-"],
        ["--port=80", "--zone=example.test,no=such"],
        ["--port=80", "--txt=a=1", "--txt=a=2"],
        ["--port=80", "--timeout=9"],
        ["--port=80", "--address=0.0.0.0"],
        ["--port=80", "--host=a", "--target=b.example.test"],
    ],
)
def test_wrong_usage_is_told_before_the_command_starts(wrong: list[str], tmp_path: Path) -> None:
    """Exit code 2, and COMMAND has never run."""
    file = tmp_path / "ran"
    run = [sys.executable, "-m", "dnssd", "run", "http", *wrong, "--", "touch", str(file)]
    environment = {**os.environ, "DNSSD_ZONE": "example.test,id=Z0123456789ABC"}
    ran = subprocess.run(run, env=environment, capture_output=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith(b"dnssd: ")
    assert ran.stderr.count(b"\n") == 1
    assert not file.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="not root: no process namespace of its own")
def test_as_process_1_it_cleans_up_after_others(sandbox: Sandbox, port: int) -> None:
    """What COMMAND's children leave behind becomes its children, and does not stay undead."""
    does = (
        "subprocess.run(['sh', '-c', 'for i in 1 2 3; do sh -c exit & done; sleep 0.2 & true'])\n"
        "import time; time.sleep(0.5)\n"
        "states = [open(f'/proc/{p}/stat').read().split()[2] for p in os.listdir('/proc')"
        " if p.isdigit()]\n"
        "say(f'{os.getppid()} {states.count(chr(90))}')\n"
        "on(15, lambda: sys.exit(9))"
    )
    command = [sys.executable, "-c", SERVER, str(port), does]
    run = [sys.executable, "-m", "dnssd", "run", "http", f"--port={port}", "--", *command]
    alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    process = subprocess.Popen(
        [*alone, *run],
        env=lead_into(sandbox.environment(), os.environ),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert line(process) == "ready"
            assert line(process) == "1 0"
            (first,) = children(process.pid)
            os.kill(first, signal.SIGTERM)
            assert process.wait(PATIENCE) == 9
        finally:
            process.kill()


def test_the_command_has_the_terminal(sandbox: Sandbox) -> None:
    """It reads what is typed, and Ctrl-C reaches it once, not by way of this program too."""
    does = (
        "import signal, sys\n"
        "seen = []\n"
        "signal.signal(2, lambda *_: seen.append(2))\n"
        "print('ready', sys.stdin.isatty(), flush=True)\n"
        "print('read', input(), len(seen), flush=True)\n"
    )
    master, slave = pty.openpty()
    run = [sys.executable, "-m", "dnssd", "run", "http", "--port=1", "--"]

    def take_terminal() -> None:
        import fcntl

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*run, sys.executable, "-c", does],
        env=lead_into(sandbox.environment(), os.environ),
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=take_terminal,
        text=True,
    )
    os.close(slave)
    with process:
        try:
            assert line(process) == "ready True"
            os.write(master, b"\x03")
            os.write(master, b"typed\n")
            assert line(process) == "read typed 1"
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            os.close(master)
