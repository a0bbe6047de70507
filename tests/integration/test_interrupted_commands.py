"""Ctrl-C and SIGTERM reach a running join and leave: real processes, real signals."""

import signal
import socket
import subprocess
import sys

from dnssd.sandbox.sandbox import Sandbox

WEB = ("http", "--instance", "web", "--port", "80", "--host", "a", "--wait")


def interrupted(sandbox: Sandbox, number: signal.Signals, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command that waits for a name server, once that is asked."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(60)
        nameserver = f"127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "dnssd", *arguments, "--nameserver", nameserver],
            env=sandbox.environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.recv(512)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    return process.returncode, told.strip()


def test_a_signal_ends_a_command_that_says_what_it_has_done(sandbox: Sandbox) -> None:
    """Both had done their work, and were waiting until it is seen."""
    joined = interrupted(sandbox, signal.SIGINT, "join", *WEB, "--address", "10.0.0.1")
    assert joined == (130, "dnssd: interrupted; it has joined")

    left = interrupted(sandbox, signal.SIGTERM, "leave", *WEB)
    assert left == (130, "dnssd: interrupted; it has left")
