"""BIND, Knot and PowerDNS as primaries that take updates, on loopback, each with a key.

    with bind() as primary:
        open_zone(primary.zone_address)
        primary.restart(kill=True)

They start with an SOA and NS record and what a test adds; nothing but updates changes them.
"""

import shutil
import signal
import sqlite3
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.zone

from kit.servers import HOST, PATIENCE, NotReady, absence, free_port, path_of, process

ORIGIN = "example.test."
SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgb2N0ZXRzLi4="
KEY = "host-key"
SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


class Primary:
    """A server that takes updates of `example.test`.

    Attributes:
        port: Where it listens, for UDP and TCP.
        folder: Its own, with the key file `key`.
    """

    def __init__(self, command: Sequence[str], folder: Path, port: int, host: str = HOST) -> None:
        self.host = host
        self.port = port
        self.folder = folder
        self._command = command
        self._running: AbstractContextManager[subprocess.Popen[bytes]] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def zone_address(self) -> str:
        """What `--zone` takes."""
        return f"rfc2136:{ORIGIN[:-1]},server={self.host},port={self.port},keyring={self.key_file}"

    @property
    def key_file(self) -> Path:
        """The key that may change the zone."""
        return self.folder / "key"

    @property
    def program(self) -> str:
        """Its name, such as `named`."""
        return Path(self._command[0]).name

    @property
    def is_running(self) -> bool:
        """Whether it was started, and not stopped."""
        return self._running is not None

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            NotReady: It does not.
        """
        self._running = process(self._command, self.folder)
        self._process = self._running.__enter__()
        ends = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < ends:
            if self._answers():
                return
            time.sleep(0.02)
        log = (self.folder / "log").read_text(errors="replace")
        raise NotReady(f"{self._command[0]}: does not answer\n{log}")

    def stop(self, *, kill: bool = False) -> None:
        """End it, or kill it."""
        assert self._running is not None
        assert self._process is not None
        if kill:
            self._process.kill()
            self._process.wait()
        self._running.__exit__(None, None, None)
        self._running = None

    def restart(self, *, kill: bool = False) -> None:
        """End it and start it again, at the same port and with what it has written."""
        self.stop(kill=kill)
        self.start()

    def pause(self) -> None:
        """Let it answer nothing until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, if it runs."""
        if self._running is not None:
            self.resume()
            self.stop()

    def nsupdate(self, *commands: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Change the zone as another tool does: one update of nsupdate's commands."""
        program = path_of("nsupdate")
        if program is None:
            raise NotReady("nsupdate absent: scripts/install --servers adds it")
        lines = [f"server {self.host} {self.port}", f"zone {ORIGIN}", *commands, "send", ""]
        return subprocess.run(
            [program, "-v", "-k", str(self.key_file)],
            input="\n".join(lines),
            text=True,
            capture_output=True,
            check=check,
        )

    def values(self, name: str, rdtype: str) -> set[str]:
        """What it serves under a name, as text."""
        query = dns.message.make_query(dns.name.from_text(name, dns.name.from_text(ORIGIN)), rdtype)
        answer = dns.query.tcp(query, self.host, port=self.port, timeout=5)
        return {rdata.to_text() for rrset in answer.answer for rdata in rrset}

    def clear(self) -> None:
        """Take everything out of the zone but what it began with."""
        zone = dns.zone.Zone(ORIGIN, relativize=False)
        dns.query.inbound_xfr(self.host, zone, port=self.port, timeout=5, lifetime=10)
        message = dns.update.UpdateMessage(ORIGIN)
        for name in zone:
            if name not in (dns.name.from_text(ORIGIN), dns.name.from_text(f"ns.{ORIGIN}")):
                message.delete(name)
        for rdtype in ("A", "AAAA", "TXT"):
            message.delete(ORIGIN, rdtype)
        message.use_tsig(dns.tsig.Key(KEY, SECRET, "hmac-sha256"))
        answer = dns.query.tcp(message, self.host, port=self.port, timeout=5)
        assert answer.rcode() == dns.rcode.NOERROR, answer

    def names(self) -> set[str]:
        """Every name of the zone, relative to it."""
        zone = dns.zone.Zone(ORIGIN, relativize=True)
        dns.query.inbound_xfr(self.host, zone, port=self.port, timeout=5, lifetime=10)
        return {name.to_text() for name in zone}

    def _answers(self) -> bool:
        query = dns.message.make_query(ORIGIN, "SOA")
        try:
            tcp = dns.query.tcp(query, self.host, port=self.port, timeout=1)
            udp = dns.query.udp(query, self.host, port=self.port, timeout=1)
        except (OSError, EOFError, dns.exception.DNSException):
            return False
        return all(answer.rcode() == dns.rcode.NOERROR and answer.answer for answer in (tcp, udp))


@contextmanager
def bind(
    *,
    policy: str = f'allow-update {{ key "{KEY}"; }};',
    zone: str = "",
    records: Sequence[str] = (),
    host: str = HOST,
    port: int = 0,
) -> Iterator[Primary]:
    """BIND; it takes at most 100 records of a name and type.

    Args:
        policy: Who may change what.
        zone: In place of its statement of the zone.
        port: Where it listens; 0 for one that is free.
        records: What its zone holds from the start.
        host: The address it listens at.
    """

    def configure(folder: Path, port: int) -> tuple[str, ...]:
        (folder / "configuration").write_text(f"""
            include "{folder}/key";
            options {{
                directory "{folder}";
                listen-on port {port} {{ {host}; }};
                listen-on-v6 {{ none; }};
                pid-file none;
                session-keyfile none;
                recursion no;
                dnssec-validation no;
                empty-zones-enable no;
                reuseport no;
                notify no;
                min-refresh-time 1;
                max-refresh-time 1;
                allow-transfer {{ any; }};
            }};
            controls {{ }};
            {zone or f'zone "{ORIGIN}" {{ type primary; file "zone"; {policy} }};'}
        """)
        return ("named", "-g", "-n", "1", "-c", "configuration")

    with _primary(configure, records, host, port) as primary:
        yield primary


@contextmanager
def knot(rules: str = "", *, records: Sequence[str] = (), host: str = HOST) -> Iterator[Primary]:
    """Knot; it writes names inside rdata in lower case.

    Args:
        rules: Further lines of the rule that lets the key change the zone.
        records: What its zone holds from the start.
        host: The address it listens at.
    """

    def configure(folder: Path, port: int) -> tuple[str, ...]:
        text = f"""
            server:
                rundir: "{folder}"
                listen: {host}@{port}
                udp-workers: 1
                tcp-workers: 4
                background-workers: 1
            log:
              - target: stderr
                any: info
            database:
                storage: "{folder}"
            key:
              - id: {KEY}
                algorithm: hmac-sha256
                secret: {SECRET}
            acl:
              - id: read
                address: 127.0.0.0/8
                action: transfer
              - id: write
                key: {KEY}
                action: update
            @RULES@
            zone:
              - domain: {ORIGIN}
                storage: "{folder}"
                file: zone
                zonefile-sync: -1
                journal-content: changes
                acl: [read, write]
        """
        text = textwrap.dedent(text).replace("@RULES@", textwrap.indent(rules, " " * 4))
        (folder / "configuration").write_text(text)
        return ("knotd", "-c", "configuration")

    with _primary(configure, records, host) as primary:
        yield primary


@contextmanager
def powerdns(*, records: Sequence[str] = (), host: str = HOST) -> Iterator[Primary]:
    """PowerDNS over SQLite."""

    def configure(folder: Path, port: int) -> tuple[str, ...]:
        (folder / "pdns.conf").write_text(f"""
            launch=gsqlite3
            gsqlite3-database={folder}/database
            gsqlite3-pragma-synchronous=0
            local-address={host}
            local-port={port}
            dnsupdate=yes
            allow-dnsupdate-from=127.0.0.0/8
            allow-axfr-ips=127.0.0.0/8
            socket-dir={folder}
            distributor-threads=1
            zone-cache-refresh-interval=0
        """)
        with sqlite3.connect(folder / "database") as database:
            database.executescript(SCHEMA.read_text())
        database.close()
        for command in (
            ("load-zone", ORIGIN, str(folder / "zone")),
            ("import-tsig-key", KEY, "hmac-sha256", SECRET),
            ("set-meta", ORIGIN, "TSIG-ALLOW-DNSUPDATE", KEY),
        ):
            program = path_of("pdnsutil") or "pdnsutil"
            with (folder / "log").open("ab") as log:
                subprocess.run(
                    [program, f"--config-dir={folder}", *command],
                    check=True,
                    stdout=log,
                    stderr=log,
                )
        return ("pdns_server", f"--config-dir={folder}", "--daemon=no", "--guardian=no")

    with _primary(configure, records, host) as primary:
        yield primary


@contextmanager
def _primary(
    configure: Callable[[Path, int], tuple[str, ...]],
    records: Sequence[str],
    host: str,
    port: int = 0,
) -> Iterator[Primary]:
    with tempfile.TemporaryDirectory(prefix="dnssd-") as name:
        folder = Path(name)
        port = port or free_port()
        zone = (
            f"$ORIGIN {ORIGIN}",
            "$TTL 60",
            "@ SOA ns hostmaster 1 3600 600 86400 60",
            "@ NS ns",
            f"ns A {host}",
            *records,
            "",
        )
        (folder / "zone").write_text("\n".join(zone))
        key_file = folder / "key"
        key_file.write_text(
            f'key "{KEY}" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n'
        )
        key_file.chmod(0o600)
        program, *options = configure(folder, port)
        installed = path_of(program)
        if installed is None:
            raise NotReady(absence(program))
        # A copy: AppArmor confines the program itself to the folders of the system's own server.
        shutil.copy(installed, folder / program)
        primary = Primary((str(folder / program), *options), folder, port, host)
        try:
            primary.start()
            yield primary
        finally:
            primary.close()
