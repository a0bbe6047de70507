"""A real service, and a real `dnssd agent` that looks after it."""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from chaosplace import Place

INTERVAL, TIMEOUT, FALL = 1.0, 0.5, 3
BOUND = FALL * INTERVAL * 1.1 + TIMEOUT + 2  # seconds from a death until it is out of the zone
PATIENCE = 60.0  # seconds until a story has failed
# A service: prints its port, answers 200, ends with its parent.
SERVICE = """
import selectors, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
print(listener.getsockname()[1], flush=True)
waiting = selectors.DefaultSelector()
waiting.register(listener, selectors.EVENT_READ)
waiting.register(sys.stdin, selectors.EVENT_READ)
while True:
    for key, _ in waiting.select():
        if key.fileobj is sys.stdin:
            sys.exit()
        if key.fileobj is listener:
            waiting.register(listener.accept()[0], selectors.EVENT_READ)
            continue
        try:
            if key.fileobj.recv(4096):
                key.fileobj.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        except OSError:
            pass
        waiting.unregister(key.fileobj)
        key.fileobj.close()
"""


class Wrong(Exception):
    """A story did not end as it must."""


@dataclass
class Stage:
    """One service and its agent.

    Attributes:
        place: The zone.
        host: Its label.
        port: Where the service listens.
        folder: Where its agent's log goes.
    """

    place: Place
    host: str
    folder: Path
    port: int = 0
    service: subprocess.Popen[str] | None = None
    agent: subprocess.Popen[bytes] | None = None

    def serve(self) -> None:
        """Start the service, on the port that it had."""
        self.service = subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.service.stdout
        self.port = int(self.service.stdout.readline())

    def watch(self, *options: str, limited: bool = False, **environ: str) -> None:
        """Start the agent, with a check of the service's HTTP."""
        command = [sys.executable, "-m", "dnssd", "agent", "http", "--instance=web"]
        command += [f"--host={self.host}", f"--port={self.port}", "--address=127.0.0.1"]
        command += [f"--check=http://127.0.0.1:{self.port}/", f"--interval={INTERVAL}"]
        command += [f"--timeout={TIMEOUT}", f"--fall={FALL}", "--rise=1", "--start-period=0"]
        if limited:  # nothing can be written into any file, as on a full disk
            command = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *command]
        with (self.folder / f"{self.place.kind}-{self.host}.log").open("ab") as log:
            self.agent = subprocess.Popen(
                [*command, *options],
                env={**self.place.environ, **environ},
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if limited else log,  # which is a file
            )

    def kill(self, number: int = signal.SIGKILL) -> float:
        """Signal the service; when that was."""
        assert self.service
        self.service.send_signal(number)
        return time.monotonic()

    def until(self, there: bool, within: float = PATIENCE) -> float:
        """Wait until its port is in DNS, or out of it; how many seconds that took."""
        began = time.monotonic()
        while (self.port in self.place.ports) != there:
            if time.monotonic() - began > within:
                what = "in" if there else "out of"
                raise Wrong(f"{self.host} is not {what} DNS within {within:.1f} s")
            time.sleep(0.01)
        return time.monotonic() - began

    def stays(self, since: float, seconds: float = 0) -> None:
        """Wait so long, and see that it was in DNS all the time."""
        time.sleep(seconds)
        if gaps := self.place.gaps(self.port, since, time.monotonic()):
            raise Wrong(f"{self.host} was out of DNS {gaps} times")

    def end(self) -> None:
        """End what runs, and see that it leaves."""
        for process in (self.service, self.agent):
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
        if self.agent:
            self.agent.terminate()
            self.agent.wait(PATIENCE)
        if self.service:
            self.service.kill()
            self.service.wait()
