"""The parts of a service behind HAProxy, as processes that are killed, frozen and started again."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kit.haproxies import Haproxy
from kit.servers import HOST, free_port, path_of, process

NAME = "web._http._tcp.example.test"
TTL = 5  # seconds
DRAIN = 15  # seconds of a planned end
PATIENCE = 60.0  # seconds until a part must be ready
DNSSD = (sys.executable, "-m", "dnssd")
SERVER = Path(__file__).with_name("crashserver.py")
OWN = """
global
    stats socket {folder}/stats level admin
defaults
    timeout connect 1s
    timeout client 10s
    timeout server 2s
    timeout check 1s
    option redispatch 1
    retry-on conn-failure empty-response response-timeout
    default-server inter 1s fall 2
frontend web
    mode http
    bind {host}:{port}
    default_backend {name}
"""
UNBOUND = """
server:
    interface: {host}
    port: {port}
    do-ip6: no
    do-daemonize: no
    do-not-query-localhost: no
    use-syslog: no
    chroot: ""
    username: ""
    directory: "{folder}"
    pidfile: ""
    module-config: "iterator"
    cache-max-negative-ttl: 1
    infra-host-ttl: 1
    local-zone: "example.test" transparent
stub-zone:
    name: "example.test"
    stub-addr: {host}@{behind}
"""


class Part:
    """One process, and those below it.

    Args:
        name: What it is called.
        folder: Its own.
        command: What starts it.
        is_ready: Whether it works.
    """

    def __init__(
        self, name: str, folder: Path, command: list[str], is_ready: Callable[[], object]
    ) -> None:
        self.name = name
        self._folder = folder
        self._command = command
        self._is_ready = is_ready
        self._stack = ExitStack()
        folder.mkdir()
        self.start()

    def start(self) -> None:
        """Start it, and wait until it works."""
        self._process = self._stack.enter_context(process(self._command, self._folder))
        ends = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert time.monotonic() < ends, (self._folder / "log").read_text()
            time.sleep(0.02)

    def pids(self) -> list[int]:
        """Who is killed or frozen."""
        return [self._process.pid, *children(self._process.pid)]

    def signal(self, number: signal.Signals) -> None:
        """Send all of them a signal."""
        for pid in self.pids():
            os.kill(pid, number)

    def again(self) -> None:
        """Start it again, as a person would who finds it dead."""
        self._process.wait(PATIENCE)
        self.close()
        self.start()

    def close(self) -> None:
        """End it."""
        self._stack.close()


class Host(Part):
    """A web server under `dnssd run`, which is killed alone."""

    def pids(self) -> list[int]:
        """The server."""
        return [pid for pid in children(self._process.pid) if _is_server(pid)]

    def end(self) -> None:
        """Let it drain and leave, as when a machine is shut down."""
        self._process.terminate()


class Agent:
    """The agent beside it, which `dnssd run` starts again."""

    name = "an agent"

    def __init__(self, host: Host) -> None:
        self._host = host

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless its server has just been killed and it is gone."""
        for pid in children(self._host._process.pid):
            if not _is_server(pid):
                os.kill(pid, number)

    def again(self) -> None:
        """Nobody has to."""


def children(pid: int) -> list[int]:
    """The processes that a process has started, or that are below those."""
    try:
        below = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [each for child in below for each in (child, *children(child))]


def _is_server(pid: int) -> bool:
    return SERVER.name in Path(f"/proc/{pid}/cmdline").read_text()


class Stage:
    """All parts, running.

    Attributes:
        port: Where HAProxy listens for clients.
        host: A web server; there is another one.
        parts: What is killed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, api, dns, metadata, resolver = (free_port() for _ in range(5))
        os.environ.update(
            AWS_ENDPOINT_URL_ROUTE_53=f"http://{HOST}:{api}",
            AWS_ACCESS_KEY_ID="sandbox",
            AWS_SECRET_ACCESS_KEY="sandbox",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_EC2_METADATA_DISABLED="true",
            DNSSD_ZONE="example.test",
            DNSSD_NAMESERVER=f"{HOST}:{resolver}",
            DNSSD_STATE=str(folder / "state"),
        )
        ports = ["--api-port", api, "--dns-port", dns, "--metadata-port", metadata]
        command = [*DNSSD, "sandbox", *map(str, ports), "--state", str(folder / "zones.json")]
        self._open: list[Part] = []
        api_part = self._part("the API", command, lambda: listens(api))
        text = UNBOUND.format(folder=folder, host=HOST, port=resolver, behind=dns)
        (folder / "unbound.conf").write_text(text)
        command = [path_of("unbound") or "unbound", "-d", "-c", str(folder / "unbound.conf")]
        name_server = self._part("the name server", command, lambda: listens(resolver))
        self.host, _ = self._web(1), self._web(2)
        proxy = Haproxy(folder, {})
        own = OWN.format(folder=folder, host=HOST, port=self.port, name=NAME)
        (folder / "own.cfg").write_text(own)
        files = ["-o", str(proxy.file), "--socket", str(proxy.master)]
        command = [*DNSSD, "bridge", "haproxy", NAME, *files]
        bridge = self._part("the bridge", command, proxy.file.exists)
        files = ["-f", str(folder / "own.cfg"), "-f", str(proxy.file)]
        command = [path_of("haproxy") or "haproxy", "-W", "-db", "-S", str(proxy.master), *files]
        haproxy = self._part("HAProxy", command, lambda: listens(self.port))
        self.parts: list[Part | Agent] = [self.host, Agent(self.host), bridge]
        self.parts += [name_server, api_part, haproxy]

    def close(self) -> None:
        """End them, in an order in which each can say goodbye."""
        for part in reversed(self._open):
            part.close()

    def _part(self, name: str, command: list[str], is_ready: Callable[[], object]) -> Part:
        part = Part(name, self._folder / name.replace(" ", "-"), command, is_ready)
        self._open.append(part)
        return part

    def _web(self, number: int) -> Host:
        port = free_port()
        where = ["--port", port, "--host", f"h{number}", "--address", HOST, "--ttl", TTL]
        checks = [
            "--check",
            f"http://{HOST}:{port}/",
            "--interval",
            1,
            "--timeout",
            1,
            "--rise",
            1,
            "--fall",
            2,
        ]
        words = ["run", "http", "--instance", "web", *where, *checks, "--drain", DRAIN, "--"]
        command = [*DNSSD, *map(str, words), sys.executable, str(SERVER), str(port)]
        log = self._folder / f"host-{number}" / "log"
        host = Host("a server", log.parent, command, lambda: "joined" in log.read_text())
        self._open.append(host)
        return host


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage that ends with the context."""
    with TemporaryDirectory(prefix="dnssd-") as folder:
        running = Stage(Path(folder))
        try:
            yield running
        finally:
            running.close()


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True
