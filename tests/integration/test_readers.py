"""Programs that nobody here wrote find an instance by its plain name, as they come.

They ask the name server of the system. So one registry stands at port 53 of a network of its own,
with a resolv.conf that leads there; that takes root. Whoever is not installed is skipped.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kit.servers import path_of, process

PATIENCE = 60  # seconds until a test gives up; nothing waits that long
NAME = "_http._tcp.web.example.test"
HOSTS = {"a": (8080, 0, 75), "b": (8081, 1, 100)}  # port, priority, weight

# In that network: a registry, hosts that join it, and the web server of one of them.
REGISTRY = """
import http.server, sys, threading
from dnssd.cli.main import run

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello from a")
    def log_message(self, *arguments):
        pass

server = http.server.HTTPServer(("127.0.0.1", 8080), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for words in sys.argv[1:]:
    assert run([*"join --plain-name --address 127.0.0.1".split(), *words.split()]) == 0
print("ready", flush=True)
sys.stdin.read()
"""
JOINS = (
    *(
        f"http --instance web --host {host} --port {port} --priority {priority} --weight {weight}"
        for host, (port, priority, weight) in HOSTS.items()
    ),
    *(
        f"{service} --instance {instance} --host c --port {port}"
        for service, instance, port in (
            ("kerberos", "realm", 88),
            ("ldap", "directory", 389),
            ("mongodb", "main", 27017),
            ("postgresql", "db", 5432),
        )
    ),
)

Reader = Callable[..., str]


def lacking() -> str:
    """Why there can be no such network here; empty where there can be."""
    if os.geteuid() or not (path_of("unshare") and path_of("nsenter") and path_of("ip")):
        return "not root, or no unshare, nsenter and ip: no network of its own"
    trial = "ip link set lo up && mount --bind /etc/hosts /etc/resolv.conf"
    words = ("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", trial)
    probe = subprocess.run(words, check=False, capture_output=True)
    return "no network of its own may be made here" if probe.returncode else ""


pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())


def absent(*programs: str) -> pytest.MarkDecorator:
    """Skips a test of a reader that is not installed."""
    missing = [program for program in programs if not path_of(program)]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} absent: not read by it")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A process in the network that all of these share."""
    folder = tmp_path_factory.mktemp("network")
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (folder / "registry.py").write_text(REGISTRY)
    loopback = "ip link set lo up; ip addr add 127.0.0.2/8 dev lo"
    inner = f'{loopback}; mount --bind {folder}/resolv.conf /etc/resolv.conf; exec "$@"'
    command = (
        *("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", inner, "sh"),
        *(sys.executable, "-m", "dnssd", "sandbox", "--dns-port", "53", "--"),
        *(sys.executable, str(folder / "registry.py"), *JOINS),
    )
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        assert running.stdin
        lines = iter(running.stdout.readline, "")
        try:
            told = next((line for line in lines if line == "ready\n"), "")
            assert told, running.stderr.read() if running.stderr else ""
            yield running.pid
        finally:
            running.stdin.close()
            running.wait(PATIENCE)


@pytest.fixture
def inside(network: int, tmp_path: Path) -> Callable[..., tuple[str, ...]]:
    """The words that run a program there."""

    def words(*command: str) -> tuple[str, ...]:
        where = ("--target", str(network), "--net", "--mount")
        return ("nsenter", *where, "sh", "-c", 'cd "$0" && exec "$@"', str(tmp_path), *command)

    return words


@pytest.fixture
def read(inside: Callable[..., tuple[str, ...]], tmp_path: Path) -> Reader:
    """Runs a program there to its end; what it prints, errors too."""

    def program(*command: str, **environment: str) -> str:
        ran = subprocess.run(
            inside(*command),
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return ran.stdout + ran.stderr

    return program


def until(holds: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, otherwise
        time.sleep(0.05)


JAVA = """
import javax.naming.directory.*;
class Reader {
    public static void main(String[] words) throws Exception {
        var wanted = new String[] {"SRV"};
        var found = new InitialDirContext().getAttributes("dns:///" + words[0], wanted);
        System.out.println(found.get("SRV"));
    }
}
"""
GO = """
package main
import ("fmt"; "net")
func main() {
    _, found, err := net.LookupSRV("http", "tcp", "web.example.test")
    for _, s := range found { fmt.Println(s.Priority, s.Weight, s.Port, s.Target) }
    fmt.Println(err)
}
"""
MONGO = """
from pymongo import MongoClient
client = MongoClient("mongodb+srv://main.example.test/?tls=false", serverSelectionTimeoutMS=1)
try:
    client.admin.command("ping")
except Exception as error:
    print(error)
"""
POSTGRESQL = """
import psycopg._dns
print(psycopg._dns.resolve_srv({"host": "_postgresql._tcp.db.example.test"}))
"""
NODE = f"require('dns').resolveSrv('{NAME}', (e, r) => r.forEach(s => console.log(s.name, s.port)))"

READERS: dict[str, tuple[tuple[str, ...], str]] = {
    "dig": (("dig", "+short", NAME, "SRV"), "0 75 8080 a.example.test."),
    "host": (("host", "-t", "SRV", NAME), "0 75 8080 a.example.test."),
    "node": (("node", "-e", NODE), r"(?s)a.example.test 8080.*b|b.*a.example.test 8080"),
    "java": (("java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "Reader.java", NAME), "75 8080 a"),
    "go": (("go", "run", "reader.go"), "0 75 8080 a.example.test."),
    "pymongo": ((sys.executable, "mongo.py"), r"c\.example\.test.*27017"),
    "psycopg": ((sys.executable, "postgresql.py"), "'host': 'c.example.test', 'port': '5432'"),
    "kinit": (("kinit", "somebody@REALM.EXAMPLE.TEST"), r'SRV answer: 0 100 88 "c.example.test."'),
    "ldapsearch": (
        ("ldapsearch", "-x", "-d1", "-H", "ldap:///dc%3Ddirectory%2Cdc%3Dexample%2Cdc%3Dtest"),
        "c.example.test:389",
    ),
}


@pytest.mark.parametrize(
    ("command", "expected"),
    [pytest.param(*row, marks=absent(row[0][0]), id=name) for name, row in READERS.items()],
)
def test_a_program_finds_the_instance(
    read: Reader, tmp_path: Path, command: Sequence[str], expected: str
) -> None:
    """By the question that it asks by itself."""
    files = {"Reader.java": JAVA, "reader.go": GO, "mongo.py": MONGO, "postgresql.py": POSTGRESQL}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "krb5.conf").write_text("[libdefaults]\ndns_lookup_kdc = true\n")
    environment = {
        "KRB5_TRACE": "/dev/stdout",
        "KRB5_CONFIG": str(tmp_path / "krb5.conf"),
        "GO111MODULE": "off",
    }
    assert re.search(expected, read(*command, **environment))


FORWARDERS = {
    "unbound": (
        ("-d", "-c"),
        """
        server:
            interface: 127.0.0.2
            do-daemonize: no
            do-not-query-localhost: no
            use-syslog: no
            chroot: ""
            username: ""
            directory: "FOLDER"
            pidfile: ""
            module-config: "iterator"
            local-zone: "test." nodefault
        forward-zone:
            name: "."
            forward-addr: 127.0.0.1
        """,
    ),
    "named": (
        ("-g", "-n", "1", "-c"),
        """
        options {
            directory "FOLDER"; listen-on { 127.0.0.2; }; listen-on-v6 { none; };
            pid-file none; session-keyfile none; recursion yes; dnssec-validation no;
            empty-zones-enable no;
            forward only; forwarders { 127.0.0.1; };
        };
        controls { };
        """,
    ),
    "dnsmasq": (
        ("--keep-in-foreground", "--conf-file"),
        "no-resolv\nno-hosts\nuser=root\nbind-interfaces\nlisten-address=127.0.0.2\n"
        "server=127.0.0.1\n",
    ),
}


@pytest.mark.parametrize(
    "program", [pytest.param(name, marks=absent(name, "dig")) for name in FORWARDERS]
)
def test_a_resolver_in_front_passes_it_on(
    inside: Callable[..., tuple[str, ...]], read: Reader, tmp_path: Path, program: str
) -> None:
    """Alias and values, in one answer."""
    words, text = FORWARDERS[program]
    copy = tmp_path / program  # AppArmor confines the program itself to the system's folders
    shutil.copy(path_of(program) or program, copy)
    file = tmp_path / "configuration"
    file.write_text(text.replace("FOLDER", str(tmp_path)))
    last = (f"{words[-1]}={file}",) if words[-1].startswith("--") else (words[-1], str(file))
    dig = ("dig", "+short", "+tries=1", "+timeout=1", "@127.0.0.2", NAME, "SRV")
    with process(inside(str(copy), *words[:-1], *last), tmp_path):
        until(lambda: "0 75 8080 a.example.test." in read(*dig), "it does not answer")
    assert "web._http._tcp.example.test." in read("dig", "+short", NAME, "SRV")


@absent("haproxy", "curl")
def test_haproxy_takes_every_host_for_a_server(
    inside: Callable[..., tuple[str, ...]], read: Reader, tmp_path: Path
) -> None:
    """Of whatever priority: hosts that stand by get requests, too."""
    file = tmp_path / "haproxy.cfg"
    file.write_text(f"""
        resolvers system
            nameserver here 127.0.0.1:53
            accepted_payload_size 8192
        defaults
            mode http
            timeout connect 1s
            timeout client 1s
            timeout server 1s
        frontend statistics
            bind 127.0.0.1:8404
            stats enable
            stats uri /
            stats show-legends
        backend web
            server-template web 3 {NAME} resolvers system init-addr none
""")
    with process(inside(path_of("haproxy") or "", "-db", "-f", str(file)), tmp_path):
        until(
            lambda: (
                {f"127.0.0.1:{port}" for port, _, _ in HOSTS.values()}
                <= set(
                    re.findall(
                        r"127\.0\.0\.1:808\d", read("curl", "-s", "http://127.0.0.1:8404/;csv")
                    )
                )
            ),
            "its servers have no addresses",
        )


@absent("prometheus", "curl")
def test_prometheus_has_targets(
    inside: Callable[..., tuple[str, ...]], read: Reader, tmp_path: Path
) -> None:
    """One for each host, by name and port."""
    file = tmp_path / "prometheus.yml"
    discovery = {"names": [NAME], "type": "SRV", "refresh_interval": "1s"}
    file.write_text(
        json.dumps({"scrape_configs": [{"job_name": "web", "dns_sd_configs": [discovery]}]})
    )
    words = (f"--config.file={file}", f"--storage.tsdb.path={tmp_path}/data")
    command = inside(path_of("prometheus") or "", *words, "--web.listen-address=127.0.0.1:9090")
    targets = ("curl", "-s", "http://127.0.0.1:9090/api/v1/targets")
    with process(command, tmp_path):
        until(
            lambda: all(
                f"{h}.example.test:{p}" in read(*targets) for h, (p, _, _) in HOSTS.items()
            ),
            "it has no targets",
        )


@absent("caddy", "curl")
def test_caddy_sends_requests_there(
    inside: Callable[..., tuple[str, ...]], read: Reader, tmp_path: Path
) -> None:
    """By `dynamic srv`."""
    file = tmp_path / "Caddyfile"
    file.write_text(
        "{\n admin off\n}\nhttp://127.0.0.1:8090 {\n reverse_proxy {\n"
        f" dynamic srv {NAME}\n lb_try_duration 1s\n }}\n}}\n"
    )
    command = inside(path_of("caddy") or "", "run", "--config", str(file))
    with process(command, tmp_path):
        until(
            lambda: "hello from a" in read("curl", "-s", "http://127.0.0.1:8090/"), "nobody answers"
        )
