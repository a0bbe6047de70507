"""The web servers of the demonstration: each is a process that answers with its name."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the demonstration: its server is a process on this machine."""

    name: str
    priority: int
    weight: int
    port: int
    process: subprocess.Popen[str]


@contextmanager
def serving(name: str, *, priority: int, weight: int) -> Iterator[Host]:
    """A web server in a process of its own, which ends with this one."""
    command = [sys.executable, __file__, name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout  # noqa: S101 (it is a pipe)
        try:
            yield Host(name, priority, weight, int(process.stdout.readline()), process)
        finally:
            process.kill()


def serve(name: str) -> None:
    """Be that server: print the port, answer with the name, end when stdin does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the demonstration ends it
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1])
