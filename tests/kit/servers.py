"""BIND, Knot and Unbound on loopback, for tests of what real servers do.

    with knot(Zone(service("web", "_http._tcp", hosts))) as server:
        Resolver([server.address])
        server.publish(server.zone.changed(without=..., also=...))

Each has a port and a folder of its own. It ends with its context; where a test run is killed,
the kernel ends it with the thread that started it.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import dns.exception
import dns.message
import dns.name
import dns.query
import pytest
from dns.rdtypes.ANY.SOA import SOA

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds until a server must be ready, or gone; far beyond what it takes
ATTEMPTS = 2  # ports that are tried: somebody may be faster to take the first


@dataclass(frozen=True, slots=True)
class Host:
    """A host that offers a service.

    Attributes:
        name: Its name as in a master file, relative to the zone or absolute.
        addresses: IPv4 and IPv6, in any order.
    """

    name: str
    addresses: tuple[str, ...]
    port: int = 80
    priority: int = 0
    weight: int = 0

    @property
    def records(self) -> tuple[str, ...]:
        """Its address records."""
        return tuple(
            f"{self.name} {'AAAA' if ':' in address else 'A'} {address}"
            for address in self.addresses
        )


@dataclass(frozen=True, slots=True)
class Zone:
    """The contents of a zone.

    Attributes:
        records: `OWNER [TTL] TYPE RDATA` each, in the form of a master file, names relative
            to `origin` or absolute; SOA and NS records are added.
        origin: Its name, absolute.
        serial: Its version.
        ttl: Seconds, for records without one.
    """

    records: tuple[str, ...]
    origin: str = "example.test."
    serial: int = 1
    ttl: int = 60

    def changed(self, *, without: Iterable[str] = (), also: Iterable[str] = ()) -> Self:
        """Its next version.

        Raises:
            ValueError: It does not hold a record that it is to be without.
        """
        records = list(self.records)
        for record in without:
            records.remove(record)
        return replace(self, records=(*records, *also), serial=self.serial + 1)

    def master(self, mname: str) -> str:
        """Its master file; `mname` tells servers of the same zone apart."""
        head = (
            f"$ORIGIN {self.origin}",
            f"$TTL {self.ttl}",
            f"@ 3600 SOA {mname} hostmaster {self.serial} 3600 600 86400 60",
            "@ NS ns",
            f"ns A {HOST}",
        )
        return "\n".join((*head, *self.records, ""))


def label(text: str | bytes) -> str:
    """One label in the form of a master file, whatever it holds."""
    raw = text.encode() if isinstance(text, str) else text
    return dns.name.Name((raw,)).to_text()


def service(instance: str, kind: str, hosts: Sequence[Host], *txt: str) -> tuple[str, ...]:
    """The records of one service instance.

    Args:
        instance: Its name, as people see it.
        kind: Its service type, such as `_http._tcp`.
        hosts: Who offers it; their addresses are not among the records.
        txt: The rdata of its TXT record; none for no such record.
    """
    name = f"{label(instance)}.{kind}"
    srvs = (f"{name} SRV {h.priority} {h.weight} {h.port} {h.name}" for h in hosts)
    return (f"{kind} PTR {name}", *srvs, *(f"{name} TXT {rdata}" for rdata in txt))


def path_of(program: str) -> str | None:
    """Where a program is; None if it is not installed."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def absence(*programs: str) -> str:
    """Which of these programs are not installed, and what to do; nothing if all are."""
    absent = [program for program in programs if not path_of(program)]
    return f"{', '.join(absent)} absent: scripts/install --servers adds it" if absent else ""


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips a test where one of these programs is not installed."""
    reason = absence(*programs)
    return pytest.mark.skipif(bool(reason), reason=reason)


class NotReady(Exception):
    """A server does not do what it should."""


class Source(Protocol):
    """Where a server has its zone from."""

    mname: str  # first in the SOA record: tells servers of the same zone apart

    @property
    def zone(self) -> Zone:
        """What it holds."""

    def publish(self, zone: Zone) -> None:
        """Hold this instead."""


class MasterFile:
    """A zone in a file."""

    def __init__(self, folder: Path, zone: Zone) -> None:
        self.mname = folder.name.replace("_", "x")
        self._file = folder / "zone"
        self.publish(zone)

    @property
    def zone(self) -> Zone:
        """What was last written."""
        return self._zone

    def publish(self, zone: Zone) -> None:
        """Write it."""
        self._zone = zone
        self._file.write_text(zone.master(self.mname))
        # Servers read again what is newer, and two versions may be a millisecond apart.
        os.utime(self._file, (zone.serial, zone.serial))


class Server:
    """A server that runs and answers.

    Attributes:
        address: `HOST:PORT`, for UDP and TCP.
        port: The port.
        pid: Its process.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, source: Source) -> None:
        self.port = port
        self.address = f"{HOST}:{port}"
        self.pid = process.pid
        self.mname = source.mname
        self._process = process
        self._source = source
        self._await_zone()

    @property
    def zone(self) -> Zone:
        """What it serves."""
        return self._source.zone

    def publish(self, zone: Zone) -> None:
        """Serve this instead; returns once that is so.

        Args:
            zone: A later version of what it serves. A forwarder has the server behind it
                serve that, and forgets what it has heard.

        Raises:
            NotReady: It does not serve it.
        """
        self._source.publish(zone)
        self._process.send_signal(signal.SIGHUP)
        self._await_zone()

    def _await_zone(self) -> None:
        """Wait until it serves its zone, by TCP and by UDP."""
        wanted = (self.mname, self.zone.serial)
        ends = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < ends:
            # TCP first: where nobody listens yet, that fails at once.
            if all(_version(ask, self) == wanted for ask in (dns.query.tcp, dns.query.udp)):
                return
            time.sleep(0.02)
        raise NotReady(f"process {self.pid}: does not serve {self.zone.origin} at {self.address}")


@contextmanager
def bind(zone: Zone) -> Iterator[Server]:
    """BIND, authoritative for one zone; it takes at most 100 records of a name and type."""
    with _folder() as folder:
        configuration = f"""
            options {{
                directory "{folder}";
                listen-on port @PORT@ {{ {HOST}; }};
                listen-on-v6 {{ none; }};
                pid-file none;
                session-keyfile none;
                recursion no;
                dnssec-validation no;
                empty-zones-enable no;
                reuseport no;
                notify no;
            }};
            controls {{ }};
            zone "{zone.origin}" {{ type primary; file "zone"; }};
        """
        command = ("named", "-g", "-n", "1", "-c")
        with _running(command, configuration, folder, MasterFile(folder, zone)) as server:
            yield server


@contextmanager
def knot(zone: Zone) -> Iterator[Server]:
    """Knot, authoritative for one zone; it writes names inside rdata in lower case."""
    with _folder() as folder:
        configuration = f"""
            server:
                rundir: "{folder}"
                listen: {HOST}@@PORT@
                udp-workers: 1
                tcp-workers: 1
                background-workers: 1
            log:
              - target: stderr
                any: info
            database:
                storage: "{folder}"
            zone:
              - domain: "{zone.origin}"
                storage: "{folder}"
                file: zone
                zonefile-sync: -1
                journal-content: none
        """
        command = ("knotd", "-c")
        source = MasterFile(folder, zone)
        with _running(command, textwrap.dedent(configuration), folder, source) as server:
            yield server


@contextmanager
def unbound(behind: Server) -> Iterator[Server]:
    """Unbound, which asks the server `behind` it, and adds nothing to what it is asked for."""
    with _folder() as folder:
        configuration = f"""
            server:
                interface: {HOST}
                port: @PORT@
                do-ip6: no
                do-daemonize: no
                do-not-query-localhost: no
                use-syslog: no
                so-reuseport: no
                chroot: ""
                username: ""
                directory: "{folder}"
                pidfile: ""
                module-config: "iterator"
                local-zone: "." refuse
                local-zone: "{behind.zone.origin}" transparent
                minimal-responses: yes
            stub-zone:
                name: "{behind.zone.origin}"
                stub-addr: {HOST}@{behind.port}
        """
        with _running(("unbound", "-d", "-c"), configuration, folder, behind) as server:
            yield server


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dnssd-") as name:
        yield Path(name)


@contextmanager
def _running(
    command: Sequence[str], configuration: str, folder: Path, source: Source
) -> Iterator[Server]:
    """Start a server on a port that is free, and end it.

    Args:
        command: A program and its options; the file with its configuration follows.
        configuration: With `@PORT@` where the port belongs.
        folder: Its own.
        source: What it is to serve.

    Raises:
        NotReady: It does not serve that, or is not installed.
    """
    installed = path_of(command[0])
    if installed is None:
        raise NotReady(absence(command[0]))
    # A copy: AppArmor confines the program itself to the folders of the system's own server.
    program = folder / command[0]
    shutil.copy(installed, program)
    file = folder / "configuration"
    for attempt in range(ATTEMPTS):
        port = free_port()
        file.write_text(configuration.replace("@PORT@", str(port)))
        with process((str(program), *command[1:], str(file)), folder) as running:
            try:
                server = Server(running, port, source)
            except NotReady as error:
                error.add_note((folder / "log").read_text(errors="replace"))
                if attempt == ATTEMPTS - 1:
                    raise
                continue  # somebody else was faster to take that port
            yield server
            return


@contextmanager
def process(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with this context, or with this thread.

    Args:
        command: A program and its arguments.
        folder: Where it works, and where its `log` is.
    """
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", "--", *command),  # noqa: S607 (wherever it is)
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # an interrupt from the keyboard is for the tests
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def free_port() -> int:
    """A port that nobody has for UDP or TCP."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind((HOST, 0))
            port: int = udp.getsockname()[1]
            with suppress(OSError):
                tcp.bind((HOST, port))
                return port


def _version(ask: Callable[..., dns.message.Message], server: Server) -> tuple[str, int] | None:
    """Which version of which server's zone is served; None if none is."""
    query = dns.message.make_query(server.zone.origin, "SOA")
    try:
        answer = ask(query, HOST, port=server.port, timeout=1).answer
    except (OSError, EOFError, dns.exception.DNSException):
        return None
    for soa in (rdata for rrset in answer for rdata in rrset):
        if isinstance(soa, SOA):
            return soa.mname.labels[0].decode(), soa.serial
    return None
