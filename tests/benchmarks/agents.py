"""What an agent costs, and how soon it sees a death: real processes, at the sandbox.

A day is scaled: what a service does within a day at worst, within minutes.
"""

import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tables import show

from dnssd import Registration, join, leave, open_zone
from dnssd.sandbox.sandbox import Sandbox, lead_into

SERVICES = 10
INTERVAL, TIMEOUT, FALL = 5.0, 2.0, 3  # the defaults
BOUND = FALL * INTERVAL * 1.1 + TIMEOUT + 2  # seconds
WRITER = 25.0  # seconds after which the process that writes has ended
IDLE = 60.0  # seconds in which an idle agent is measured
STARTS = 21  # of each program
DAY = 180.0  # seconds that a day takes
CHANGES = 180  # of services, in a day
WATCHED = 10  # services that a resolver keeps
PATIENCE = 120.0  # seconds
# An agent without damping: a day's changes come within minutes.
UNDAMPED = "import dnssd.agent.health as h; h.HOLD = 0.0\nfrom dnssd.cli.main import main; main()"

# A program that keeps services.
KEEPER = """
import sys, time
from dnssd import Resolver
with Resolver() as resolver:
    while True:
        for name in sys.argv[1:]:
            resolver.lookup(name)
        time.sleep(0.05)
"""


class Services:
    """Services that take connections, until they are stopped."""

    def __init__(self, count: int) -> None:
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        self.ports = [int(each.getsockname()[1]) for each in self._listeners]
        for listener in self._listeners:
            self._serve(listener)

    def stop(self, number: int) -> None:
        """One dies."""
        self._listeners[number].shutdown(socket.SHUT_RDWR)
        self._listeners[number].close()

    def start(self, number: int) -> None:
        """It is back."""
        self._listeners[number] = socket.create_server(("127.0.0.1", self.ports[number]))
        self._serve(self._listeners[number])

    def _serve(self, listener: socket.socket) -> None:
        def serve() -> None:
            try:
                while True:
                    listener.accept()[0].close()
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()


def idle() -> None:
    """Ten services that are healthy; and then they die."""
    services = Services(SERVICES)
    with Sandbox() as sandbox, _agent(sandbox, services, ()) as pid:
        _until(lambda: _published(sandbox) == set(services.ports))
        time.sleep(WRITER)
        requests, cpu, began = sandbox.api.count(), _cpu(pid), time.monotonic()
        time.sleep(IDLE)
        share = (_cpu(pid) - cpu) / (time.monotonic() - began)
        memory, asked = _resident(pid), sandbox.api.count() - requests
        times = list(_deaths(sandbox, services))
    spread = f"{statistics.median(times):.1f} s ({min(times):.1f} to {max(times):.1f})"
    rows = [
        (f"memory with {SERVICES} services, after as many joins", f"{memory:.0f} MB", "60 MB"),
        ("processor, idle", f"{share:.2%} of a core", "0.5 %"),
        (f"requests to the API in {IDLE:.0f} s, idle", asked, "0"),
        ("from a service's death until it is out of the zone", spread, f"{BOUND:.1f} s"),
    ]
    show("An agent", ("what", "measured", "at most"), rows)


def starts() -> None:
    """How soon `dnssd run` starts its command, beside the time of `dnssd join --help`."""
    with Sandbox() as sandbox:
        environ = lead_into(sandbox.environment(), os.environ)
        help_words = ["join", "--help"]
        run_words = ["run", "http", "--port=1", "--check=unless-file:/", "--", "/bin/echo", "here"]
        pairs = [
            (_first_word(run_words, environ), _first_word(help_words, environ, to_end=True))
            for _ in range(STARTS)
        ]
    later = [1000 * (run - helped) for run, helped in pairs]
    text = f"{statistics.median(later):.1f} ms ({min(later):.1f} to {max(later):.1f})"
    helped = 1000 * statistics.median(each for _, each in pairs)
    rows = [(f"{helped:.0f} ms", text, "10 ms")]
    show("`dnssd run`", ("`dnssd join --help`", "its command starts so much later", "goal"), rows)


def day() -> None:
    """A day of changes: what an agent and a resolver keep does not grow."""
    rows = [("agent", *_agents_day()), ("resolver", *_resolvers_day())]
    marks = [f"{part} {what}" for part in ("6 h", "15 h", "24 h") for what in ("MB", "descriptors")]
    show("A day of changes, scaled", ("what", "changes", *marks), rows)


def _agents_day() -> Iterator[str]:
    dice, services = random.Random(1), Services(4)
    quick = ("--interval=0.2", "--timeout=0.2", "--rise=1", "--fall=1", "--start-period=0")
    up = [True] * 4
    with Sandbox() as sandbox, _agent(sandbox, services, quick) as pid:
        _until(lambda: _published(sandbox) == set(services.ports))
        marks = []
        for change in range(1, CHANGES + 1):
            number = dice.randrange(4)
            (services.stop if up[number] else services.start)(number)
            up[number] = not up[number]
            time.sleep(DAY / CHANGES)
            if change in (CHANGES // 4, CHANGES * 5 // 8, CHANGES):
                marks += [f"{_resident(pid):.1f}", f"{_descriptors(pid)}"]
        good = {port for port, is_up in zip(services.ports, up, strict=True) if is_up}
        _until(lambda: _published(sandbox) == good)
    yield f"{CHANGES}"
    yield from marks


def _resolvers_day() -> Iterator[str]:
    """It keeps services whose TTL is a second, while each loses and gets hosts."""
    changes, began = 0, time.monotonic()
    marks: list[str] = []
    with Sandbox() as sandbox, _led(sandbox):
        zone = open_zone("example.test")
        for host in (_host(number, 0) for number in range(WATCHED)):
            join(zone, host)  # these stay
        hosts = [_host(n, h) for n in range(WATCHED) for h in (1, 2)]
        names = [f"i{number}._http._tcp.example.test" for number in range(WATCHED)]
        process = subprocess.Popen([sys.executable, "-c", KEEPER, *names])
        while (past := time.monotonic() - began) < DAY:
            host = hosts[changes % len(hosts)]
            (leave if changes // len(hosts) % 2 else join)(zone, host)
            changes += 1
            time.sleep(0.05)
            if len(marks) < 2 * sum(past >= DAY * part for part in (0.25, 0.625, 0.99)):
                marks += [f"{_resident(process.pid):.1f}", f"{_descriptors(process.pid)}"]
        process.kill()
        process.wait()
    yield f"{changes:,}"
    yield from marks


def _host(number: int, host: int) -> Registration:
    return Registration(
        service="http",
        instance=f"i{number}",
        port=80,
        host=f"h{host}",
        addresses=[f"10.0.{number}.{host}"],
        ttl=1,
    )


def _deaths(sandbox: Sandbox, services: Services) -> Iterator[float]:
    dice = random.Random(1)
    for number in range(SERVICES):
        time.sleep(dice.random() * INTERVAL)
        services.stop(number)
        began = time.monotonic()
        _until(_gone(sandbox, services.ports[number]))
        yield time.monotonic() - began


def _gone(sandbox: Sandbox, port: int) -> Callable[[], bool]:
    return lambda: port not in _published(sandbox)


@contextmanager
def _agent(sandbox: Sandbox, services: Services, options: Sequence[str]) -> Iterator[int]:
    """An agent of all of them; its process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "agent.toml"
        common = "".join(f"{o[2:].replace('-', '_')}\n" for o in options)
        tables = (
            f"[[service]]\nservice = 'http'\ninstance = 'web'\nport = {port}\n"
            f"check = 'tcp://127.0.0.1:{port}'\n"
            for port in services.ports
        )
        file.write_text(common + "".join(tables))
        process = subprocess.Popen(
            [sys.executable, "-c", UNDAMPED, "agent", "--config", str(file)],
            env=lead_into(sandbox.environment(), os.environ),
            stderr=subprocess.DEVNULL,
        )
        with process:
            try:
                yield process.pid
            finally:
                process.terminate()


@contextmanager
def _led(sandbox: Sandbox) -> Iterator[None]:
    former = dict(os.environ)
    os.environ.update(lead_into(sandbox.environment(), os.environ))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(former)


def _first_word(words: Sequence[str], environ: dict[str, str], *, to_end: bool = False) -> float:
    """Seconds until a command prints something, or has ended."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "dnssd", *words],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout
        os.read(process.stdout.fileno(), 1)
        came = time.perf_counter() - began
        process.stdout.read()
        process.wait()
    return time.perf_counter() - began if to_end else came


def _published(sandbox: Sandbox) -> set[int]:
    (zone,) = sandbox.zones.zones()
    texts = (text for r in zone.rrsets if r.rdtype == "SRV" for text in r.texts)
    return {int(text.split()[2]) for text in texts}


def _until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > ends:
            sys.exit("scripts/bench: it never happens")
        time.sleep(0.01)


def _cpu(pid: int) -> float:
    """Seconds of the processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    """Resident memory of a process, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
