"""The web servers of the demonstration: each is a process that answers with its name."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from screen import DNSSD

PATIENCE = 30  # seconds; nothing takes that long


@dataclass(frozen=True)
class Host:
    """A host of the demonstration: `dnssd run` with its server, on this machine."""

    name: str
    priority: int
    weight: int
    port: int
    command: tuple[str, ...]
    process: subprocess.Popen[str]

    @cached_property
    def server(self) -> int:
        """The server's process."""
        assert self.process.stdout  # noqa: S101 (it is a pipe)
        return int(self.process.stdout.readline())

    def said(self, word: str) -> str:
        """The next line of the log of `dnssd run` with a word; empty if there is none."""
        assert self.process.stderr  # noqa: S101 (it is a pipe)
        return next((line.strip() for line in self.process.stderr if word in line), "")


@contextmanager
def serving(name: str, *, priority: int, weight: int) -> Iterator[Host]:
    """A web server under `dnssd run`; both end with this process."""
    with socket.socket() as place:  # holds the port until the server has it, and after its end
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
        share = ("--priority", str(priority)) if priority else ("--weight", str(weight))
        command = (
            *("run", "http", "--instance", "web", "--port", str(port), *share),
            *("--host", name, "--address", "127.0.0.1", "--"),
        )
        with subprocess.Popen(
            [*DNSSD, *command, sys.executable, __file__, name, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Host(name, priority, weight, port, command, process)
            finally:
                end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Let a server end, and so leave."""
    assert process.stdin  # noqa: S101 (it is a pipe)
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def serve(name: str, port: int) -> None:
    """Be that server: print the process, answer with the name, end when stdin does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        allow_reuse_port = True

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the demonstration ends it
    server = Server(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(os.getpid(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
