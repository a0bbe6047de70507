"""`dnssd export`, and what it writes as the programs that it is for read it."""

import json
import shlex
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dnssd.cli.export import _watch
from dnssd.export.following import Following
from dnssd.resolver.client import Resolver
from dnssd.sandbox.sandbox import Sandbox
from dnssd.services import parse_service_name
from kit.commands import Command, commands
from kit.exported import GOLDEN
from kit.livezone import WEB, Zone
from kit.servers import free_port, path_of, process

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
NGINX = """
events {{}}
pid {folder}/pid;
http {{
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e; access_log off;
    include {golden};
    server {{ location / {{ proxy_pass http://web._http._tcp.example.com; }} }}
}}
"""


def program(name: str) -> str:
    """Where a program is; the test is skipped if it is nowhere."""
    tools = ROOT / ".venv-tools"
    beside = [tools / "bin" / name, *tools.glob(f"proxies/usr/*bin/{name}")]
    found = path_of(name) or next((str(path) for path in beside if path.exists()), None)
    if found is None:
        pytest.skip(f"{name} absent: scripts/install --servers adds it")
    return found


def checked(*command: object) -> None:
    """Run a checker, which must be content."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_haproxy_takes_it(tmp_path: Path) -> None:
    """With a file of the user's before it."""
    own = tmp_path / "own.cfg"
    own.write_text(
        "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"
        f"frontend f\n bind unix@{tmp_path}/s\n mode http\n"
        " use_backend web._http._tcp.example.com-3 if { nbsrv(web._http._tcp.example.com) eq 0 }\n"
        " default_backend web._http._tcp.example.com\n"
    )
    checked(program("haproxy"), "-c", "-f", own, "-f", GOLDEN["haproxy"])


def test_nginx_takes_it(tmp_path: Path) -> None:
    """As a part of `http`."""
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(folder=tmp_path, golden=GOLDEN["nginx"]))
    checked(program("nginx"), "-t", "-p", tmp_path, "-e", "stderr", "-c", config)


def test_prometheus_takes_it(tmp_path: Path) -> None:
    """Promtool reads the files that a configuration names."""
    shutil.copy(GOLDEN["prometheus"], tmp_path / "file.json")
    config = tmp_path / "prometheus.yml"
    config.write_text("scrape_configs: [{job_name: x, file_sd_configs: [{files: [file.json]}]}]")
    checked(program("promtool"), "check", "config", config)


def test_envoy_takes_it(tmp_path: Path) -> None:
    """It says what it has read: weights and priorities."""
    port = free_port()
    source = {
        "resource_api_version": "V3",
        "path_config_source": {"path": str(GOLDEN["envoy-eds"])},
    }
    name = "web._http._tcp.example.com"
    cluster = {"name": name, "type": "EDS", "eds_cluster_config": {"eds_config": source}}
    admin = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
    config = tmp_path / "envoy.json"
    node = {"id": "test", "cluster": "test"}
    static = {"clusters": [cluster]}
    config.write_text(json.dumps({"node": node, "admin": admin, "static_resources": static}))
    command = (program("envoy"), "-c", config, "--base-id", port, "--concurrency", 1)
    with process([*map(str, command)], tmp_path):
        text = await_text(f"http://127.0.0.1:{port}/clusters", "10.0.0.9:80::priority::2")
    assert f"{name}::10.0.0.5:8080::weight::100" in text
    assert f"{name}::[2001:db8::6]:8080::weight::50" in text


def test_traefik_takes_it(tmp_path: Path) -> None:
    """It says which services there are."""
    port = free_port()
    config = {
        "entryPoints": {"traefik": {"address": f"127.0.0.1:{port}"}},
        "api": {"insecure": True},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "providers": {"file": {"filename": str(GOLDEN["traefik"]), "watch": False}},
    }
    file = tmp_path / "traefik.yml"
    file.write_text(json.dumps(config))
    with process([program("traefik"), f"--configFile={file}"], tmp_path):
        api = f"http://127.0.0.1:{port}/api"
        web = json.loads(await_text(f"{api}/http/services", "web._http._tcp.example.com@file"))
        tcp = json.loads(await_text(f"{api}/tcp/services", "@file"))
    found = [each for each in web + tcp if each["name"].endswith("@file")]
    assert {each["status"] for each in found} == {"enabled"}
    assert len(found) == 4


def await_text(url: str, text: str) -> str:
    """What a server says once it says this."""
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 (loopback)
                said: str = answer.read().decode()
            if text in said:
                return said
        except OSError:
            said = "nothing"
        assert time.monotonic() < ends, said
        time.sleep(0.02)


@pytest.fixture
def zone(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    """A zone to which commands lead."""
    zone = Zone(sandbox)
    with zone.server:
        monkeypatch.setenv("DNSSD_NAMESERVER", f"127.0.0.1:{zone.server.port}")
        monkeypatch.setenv("DNSSD_DOMAIN", "example.test")
        yield zone


@pytest.fixture
def dnssd(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs commands."""
    return commands(capfd)


@pytest.mark.usefixtures("zone")
def test_wrong_usage(dnssd: Command) -> None:
    """Exit code 2 and one line."""
    for arguments in (
        ["nginx", "--watch", "http"],
        ["nginx", "--exec", "true", "http"],
        ["envoy-eds", "http", "ssh"],
        ["apache", "http"],
        ["nginx", "a..b"],
        ["nginx"],
    ):
        ran = dnssd("export", "--format", *arguments)
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), arguments


def test_once(zone: Zone, dnssd: Command, tmp_path: Path) -> None:
    """To stdout or a file; the command runs for what is new, and nothing empties the file."""
    zone.offer("a")
    file, ran_at = tmp_path / "web.json", tmp_path / "ran"
    export = ("export", "--format", "prometheus", "http")
    to_file = (*export, "-o", file, "--exec", shlex.join(["sh", "-c", f"echo x >>{ran_at}"]))

    shown = dnssd(*export)
    assert (shown.code, shown.json[0]["targets"]) == (0, ["10.0.0.1:80"])
    assert dnssd(*to_file) == (0, "", "")
    assert dnssd(*to_file) == (0, "", "")
    assert (file.read_text(), ran_at.read_text()) == (shown.out, "x\n")

    gone = dnssd(*to_file, "ssh")
    assert (gone.code, gone.out) == (3, "")
    assert "no such service" in gone.err
    zone.offer("b", "c")
    failed = dnssd(*export, "-o", file, "--exec", "false")
    assert failed.code == 1
    assert failed.err == (
        f"dnssd: --exec false: it ended with exit code 1; {file} stays as it was\n"
    )
    assert dnssd(*export, "-o", "/proc/dnssd.json").code == 1
    zone.put(WEB, "SRV", "0 1 80 no-address.example.test.")
    without = dnssd(*to_file)
    assert (without.code, "no address" in without.err or "none of its hosts" in without.err) == (
        3,
        True,
    )
    zone.silent = True
    assert dnssd(*to_file, "--timeout", "0.1").code == 1
    assert (file.read_text(), ran_at.read_text()) == (shown.out, "x\n")


def test_names_that_are_hostile(zone: Zone, dnssd: Command) -> None:
    """What stands in DNS stays in its place."""
    zone.put("a.example.test.", "A", "10.0.0.1")
    zone.put(r"\012}\042\044(x).example.test.", "A", "10.0.0.2")
    zone.put(WEB, "SRV", r"0 1 80 \012}\042\044(x).example.test.", "0 1 80 a.example.test.")
    zone.put(WEB, "TXT", *[f'"k{n}=$(x)`\\012{"x" * 240}"' for n in range(3)])
    zone.put("_http._tcp.example.test.", "PTR", WEB)

    assert dnssd("export", "--format", "nginx", "http").out.splitlines()[2:] == [
        "upstream _http._tcp.example.test {",
        "    server 10.0.0.1:80 weight=1;",
        "    server 10.0.0.2:80 weight=1;",
        "}",
    ]


def test_each_change_while_it_lasts(
    zone: Zone, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What vanishes or is silent stays in the file; what comes back is in it."""
    file, events = tmp_path / "web.conf", tmp_path / "events"
    zone.offer("a")
    with Resolver() as resolver:
        words = ["sh", "-c", f"cat >>{events}"]
        following = Following(resolver, [parse_service_name(WEB)])
        thread = threading.Thread(target=_watch, args=(following, "nginx", file, words))
        thread.start()
        until(lambda: file.exists() and lines(file) == ["10.0.0.1:80"])
        zone.put(WEB, "SRV", "0 1 81 a.example.test.")
        until(lambda: lines(file) == ["10.0.0.1:81"])
        zone.put(WEB, "SRV", "0 0 0 .")
        until(lambda: _is_gone(resolver))
        zone.put(WEB, "SRV", "0 1 82 a.example.test.")
        until(lambda: lines(file) == ["10.0.0.1:82"])
        resolver.close()
        thread.join()
    told = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    assert told[0] == "added"  # what comes later may come in parts on a slow machine
    assert set(told) <= {"added", "removed"}
    assert capfd.readouterr().out == ""


def _is_gone(resolver: Resolver) -> bool:
    from dnssd.errors import NotFound

    try:
        resolver.lookup(WEB)
    except NotFound:
        return True
    return False


def lines(file: Path) -> list[str]:
    """The servers of an nginx upstream."""
    return [line.split()[1] for line in file.read_text().splitlines() if "    server" in line]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)
