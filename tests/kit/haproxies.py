"""HAProxy as a bridge finds it: a master, which loads a file of the user's and the bridge's."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from dnssd.errors import Unavailable
from dnssd.export.haproxy import Slot
from dnssd.export.runtime import Runtime
from kit.servers import path_of, process

PATIENCE = 60.0  # seconds for what takes no time
OWN = """
global
    stats socket {folder}/stats level admin
defaults
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    option redispatch 1
    default-server inter 10s fall 2 observe layer4 error-limit 1 on-error mark-down
"""


class Haproxy:
    """Its files and sockets.

    Attributes:
        folder: Where frontends listen, each on the socket of its name.
        file: Where the bridge writes.
        master: The master's socket.
        stats: The worker's.
    """

    def __init__(self, folder: Path, frontends: Mapping[str, str]) -> None:
        self.folder = folder
        self.file = folder / "services.cfg"
        self.master, self.stats = folder / "master", folder / "stats"
        self.runtime = Runtime(self.master)
        text = OWN.format(folder=folder)
        for name, rules in frontends.items():
            text += f"frontend {name}\n    bind unix@{folder}/{name}\n{rules}\n"
        (folder / "own.cfg").write_text(text)

    @contextmanager
    def running(self, log: str = ".") -> Iterator[None]:
        """It runs; its `log` is in this folder of its own."""
        program = path_of("haproxy")
        assert program
        files = ("-f", str(self.folder / "own.cfg"), "-f", str(self.file))
        folder = self.folder / log
        folder.mkdir(exist_ok=True)
        with process((program, "-W", "-db", "-S", str(self.master), *files), folder):
            self.until(self.pid, "it does not start")
            yield

    def pid(self) -> str:
        """The worker's process; nothing while there is none."""
        with suppress(Unavailable):
            lines = self.runtime.tell(["show info"]).splitlines()
            return next((line[5:] for line in lines if line.startswith("Pid: ")), "")
        return ""

    def slots(self, backend: str) -> tuple[Slot, ...]:
        """What it says of its slots."""
        with suppress(Unavailable):
            return self.runtime.read([backend]).get(backend, ())
        return ()

    def used(self, backend: str) -> dict[str, str]:
        """The slots that somebody is in: address, port, weight and state."""
        return {
            slot.name: f"{slot.address}:{slot.port} {slot.weight} {slot.state}"
            for slot in self.slots(backend)
            if slot.state != "maint"
        }

    def get(self, frontend: str) -> tuple[int, bytes]:
        """Ask a frontend by HTTP: status and body."""
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(PATIENCE)
        connection.sock.connect(str(self.folder / frontend))
        with connection.sock:
            connection.request("GET", "/")
            answer = connection.getresponse()
            return answer.status, answer.read()

    def until(self, condition: Callable[[], object], otherwise: str) -> None:
        """Wait until something is so."""
        ends = time.monotonic() + PATIENCE
        while not condition():
            log = self.folder / "log"
            assert time.monotonic() < ends, (
                f"{otherwise}: {log.read_text() if log.exists() else ''}"
            )
            time.sleep(0.005)


@contextmanager
def haproxy(**frontends: str) -> Iterator[Haproxy]:
    """An HAProxy that does not run yet; frontends by name, with their rules."""
    with TemporaryDirectory(prefix="dnssd-") as folder:
        yield Haproxy(Path(folder), frontends)
