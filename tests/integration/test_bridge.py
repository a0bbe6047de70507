"""A bridge to Debian's HAProxy: what clients of the proxy get while services change."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import redis

from dnssd.cli.main import run
from dnssd.errors import Unavailable
from dnssd.export.bridge import Bridge
from dnssd.export.haproxy import render
from dnssd.export.runtime import Runtime
from dnssd.export.services import Service
from dnssd.export.slots import plan
from dnssd.resolver.snapshot import Endpoint
from dnssd.sandbox.sandbox import Sandbox
from dnssd.services import parse_service_name
from kit.databases import lacking_postgres, postgresql_server, redis_server
from kit.haproxies import PATIENCE, Haproxy, haproxy
from kit.livezone import Zone
from kit.servers import needs, path_of, process
from kit.web import Web

pytestmark = needs("haproxy")

WEB = "web._http._tcp.example.test"
CHANGES = 1000


class Bridged:
    """A bridge, and what it said."""

    def __init__(self, proxy: Haproxy, room: int = 32, socket: Path | None = None) -> None:
        self.proxy = proxy
        self.said: list[str] = []
        self.now = 0.0
        runtime = Runtime(socket or proxy.master)
        clock = lambda: self.now  # noqa: E731 (short)
        self.bridge = Bridge(runtime, proxy.file, room, self.said.append, monotonic=clock)

    def begin(self, *services: Service) -> list[str]:
        """The first step, while HAProxy does not run; what was said but that."""
        self.bridge.begin(services)
        said = [line for line in self.said if "is HAProxy running" not in line]
        self.said.clear()
        return said

    def step(self, *services: Service) -> dict[str, str]:
        """A step; what HAProxy then says of the first service."""
        self.bridge.step(services)
        return self.proxy.used(services[0].label)


def service(*endpoints: Endpoint, name: str = WEB) -> Service:
    """What a look-up has found."""
    return Service.of(parse_service_name(name), endpoints)


def at(number: int, weight: int = 1, priority: int = 0, port: int = 80) -> Endpoint:
    """A host that nobody has."""
    address = f"10.9.{number // 250}.{number % 250 + 1}"
    return Endpoint(f"h{number}.example.test.", port, priority, weight, (address,))


def of(web: Web, weight: int = 1, priority: int = 0) -> Endpoint:
    """A server that answers."""
    return Endpoint("here.example.test.", web.port, priority, weight, (web.host,))


@pytest.fixture
def proxy() -> Iterator[Haproxy]:
    """An HAProxy with a frontend for a service, its third tier included."""
    rules = f"    mode http\n    default_backend {WEB}"
    with haproxy(web=rules) as proxy:
        yield proxy


def test_1000_changes_without_a_reload(proxy: Haproxy) -> None:
    """Hosts come, go, drain and get other weights: HAProxy has them all, in the same process."""
    rng = random.Random(1)
    bridged = Bridged(proxy)
    endpoints = {0: at(0)}
    bridged.begin(service(at(0)))
    with proxy.running():
        pid = proxy.pid()
        for _ in range(CHANGES // 10):
            for _ in range(10):
                number = rng.randrange(40)
                if endpoints.pop(number, None) is None and len(endpoints) < 30:
                    drawn = (rng.randrange(300), rng.choice([0, 0, 5, 65_535]))
                    endpoints[number] = at(number, *drawn)
            endpoints[99] = at(99, rng.randrange(1, 99))
            bridged.now += 5
            used = bridged.step(service(*endpoints.values()))
            ready = {each.split()[0] for each in used.values() if each.endswith("ready")}
            staying = {e for e in endpoints.values() if e.priority < 65_535}
            assert ready == {e.authorities[0] for e in staying}
        assert (proxy.pid(), bridged.bridge.reloads, bridged.said) == (pid, 0, [])


def test_500_endpoints_for_100_slots(proxy: Haproxy) -> None:
    """One reload makes room for all of them, and there is no second one."""
    bridged = Bridged(proxy, room=100)
    bridged.begin(service(at(0)))
    many = [at(number) for number in range(500)]
    with proxy.running():
        bridged.step(service(*many))
        proxy.until(lambda: len(proxy.used(WEB)) == 500, "it has not got them all")
        assert len(proxy.slots(WEB)) == 800 + 100
        first = proxy.used(WEB)["dnssd-1"]
        bridged.now += 100
        assert len(bridged.step(service(*many[:400]))) == 500
        bridged.now += 100
        assert len(bridged.step(service(*many[:400]))) == 400
        assert proxy.used(WEB)["dnssd-1"] == first == "10.9.0.1:80 1 ready"
        assert (bridged.bridge.reloads, bridged.said) == (1, [])


def test_traffic_by_priority_and_weight(proxy: Haproxy, serve: Callable[..., Web]) -> None:
    """Three tiers: standbys by weight once all before them are down, and then the third tier."""
    bridged = Bridged(proxy, room=2)
    first, second, third, fourth = (serve() for _ in range(4))
    services = service(of(first), of(second, 3, 7), of(third, 1, 7), of(fourth, 1, 9))
    own = proxy.folder / "own.cfg"
    third_tier = f"\n    use_backend {WEB}-3 if {{ nbsrv({WEB}) eq 0 }}\n    default_backend"
    own.write_text(own.read_text().replace("\n    default_backend", third_tier))
    assert bridged.begin(services) == [
        f"{proxy.file}: {WEB}-3 is for when {WEB} has no server left; add to your frontends: "
        f"use_backend {WEB}-3 if {{ nbsrv({WEB}) eq 0 }}"
    ]
    with proxy.running():
        assert {port(proxy) for _ in range(8)} == {first.port}
        first.kill()
        proxy.until(lambda: port(proxy) in (second.port, third.port), "no standby is used")
        drawn = [port(proxy) for _ in range(40)]
        assert (drawn.count(second.port), drawn.count(third.port)) == (30, 10)
        second.kill()
        third.kill()
        proxy.until(lambda: port(proxy) == fourth.port, "the third tier is not used")


def port(proxy: Haproxy) -> int:
    """Which server answers; 0 for none."""
    status, body = proxy.get("web")
    return int(json.loads(body)["port"]) if status == 200 else 0


def test_what_vanishes_stays_and_what_drains_is_not_asked(
    proxy: Haproxy, serve: Callable[..., Web]
) -> None:
    """No request fails while a host drains and leaves; who comes back has its slot again."""
    bridged = Bridged(proxy, room=2)
    here, leaving = serve(), serve()
    both = service(of(here), of(leaving))
    bridged.begin(both)
    with proxy.running():
        assert {port(proxy) for _ in range(4)} == {here.port, leaving.port}
        name = next(n for n, text in proxy.used(WEB).items() if f":{leaving.port} " in text)
        assert "drain" in bridged.step(service(of(here), of(leaving, 0, 65_535)))[name]
        assert {port(proxy) for _ in range(4)} == {here.port}
        bridged.step(service(of(here)))
        bridged.now += 61
        assert name not in bridged.step(service(of(here)))
        assert bridged.step(both)[name] == f"127.0.0.1:{leaving.port} 1 ready"
        before = proxy.used(WEB)
        assert bridged.step(service()) == before  # as when it was never found
        assert bridged.step(service(of(here, 0, 65_535), of(leaving, 0, 65_535))) == before
    text = proxy.file.read_text()
    with proxy.running():  # started again, with no bridge
        assert proxy.used(WEB) == before
    other = Bridged(proxy, room=2)
    other.bridge.begin([service()])  # and a bridge that knows of nobody yet
    assert proxy.file.read_text() == text


@pytest.mark.skipif(bool(lacking_postgres()), reason=lacking_postgres())
@needs("redis-server")
def test_a_postgresql_and_a_redis() -> None:
    """Real ones, by TCP, under names that HAProxy does not take as they are."""
    database = "Mein Büro._postgresql._tcp.example.test"
    cache = "My\\.Cache._redis._tcp.example.test"
    labels = [service(name=name).label for name in (database, cache)]
    frontends = {
        ".s.PGSQL.5432": f"    mode tcp\n    default_backend {labels[0]}",
        "redis": f"    mode tcp\n    default_backend {labels[1]}",
    }
    with ExitStack() as stack:
        proxy = stack.enter_context(haproxy(**frontends))
        places = [stack.enter_context(server()) for server in (postgresql_server, redis_server)]
        bridged = Bridged(proxy, room=2)
        bridged.begin(service(name=database), service(name=cache))
        stack.enter_context(proxy.running())
        found = [
            service(Endpoint("a.", place, 0, 1, ("127.0.0.1",)), name=name)
            for place, name in zip(places, (database, cache), strict=True)
        ]
        bridged.bridge.step(found)
        with psycopg.connect(host=str(proxy.folder), user="postgres", dbname="postgres") as sql:
            assert sql.execute("SELECT 6 * 7").fetchone() == (42,)
        with redis.Redis(unix_socket_path=str(proxy.folder / "redis")) as client:
            assert client.set("key", "value")
            assert client.get("key") == b"value"


def test_the_command(proxy: Haproxy, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds what changes in DNS; SIGTERM ends it with 0, and HAProxy goes on."""
    zone = Zone(sandbox)
    with ExitStack() as stack:
        stack.enter_context(zone.server)
        zone.offer("a")
        monkeypatch.setenv("DNSSD_NAMESERVER", f"127.0.0.1:{zone.server.port}")
        monkeypatch.setenv("DNSSD_DOMAIN", "example.test")
        command = [sys.executable, "-m", "dnssd", "bridge", "haproxy", "web._http._tcp"]
        files = ["-o", str(proxy.file), "--socket", str(proxy.master), "--slots", "2"]
        bridge = stack.enter_context(process([*command, *files], proxy.folder))
        proxy.until(proxy.file.exists, "there is no file")
        stack.enter_context(proxy.running("haproxy"))
        zone.offer("a", weight=7)
        proxy.until(lambda: "7 ready" in proxy.used(WEB).get("dnssd-1", ""), "it is not seen")
        pid = proxy.pid()
        zone.put(f"{WEB}.", "SRV", *(f"0 1 {port} a.example.test." for port in (81, 82, 83)))
        proxy.until(lambda: len(proxy.used(WEB)) == 4, "it was not reloaded")  # one drains
        bridge.terminate()
        assert bridge.wait(PATIENCE) == 0
        assert proxy.pid() not in ("", pid)


def test_the_configuration_in_the_readme(tmp_path: Path) -> None:
    """HAProxy takes it, and finds nothing to warn of."""
    text = (Path(__file__).parents[2] / "dnssd" / "README.md").read_text()
    own = text.split("haproxy.cfg <<'EOF'\n")[1].split("EOF\n")[0]
    names = ["web._http._tcp", "main._postgresql._tcp", "main._redis._tcp"]
    services = [service(at(1), name=f"{name}.example.com") for name in names]
    (tmp_path / "own.cfg").write_text(own)
    (tmp_path / "services.cfg").write_text(
        render(each for s in services for each in plan(s, {}, 2))
    )
    command = [path_of("haproxy") or "", "-c", "-q", "-f", "own.cfg", "-f", "services.cfg"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["nginx"], ["haproxy", "--slots", "0"], ["haproxy", "a..b"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line."""
    files = ["-o", "/dev/null/file", "--socket", "/dev/null/socket"]
    assert run(["bridge", *arguments, "http", *files, "--domain", "example.test"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_goes_wrong_is_told_once(proxy: Haproxy) -> None:
    """And goes on being tried: no HAProxy, a socket that cannot reload, a folder that is gone."""
    bridged = Bridged(proxy, room=1, socket=proxy.stats)
    bridged.bridge.begin([service(at(1))])
    bridged.bridge.step([service(at(1))])
    (told,) = bridged.said
    assert told.startswith(f"{proxy.stats}: No such file or directory; is HAProxy running")
    with proxy.running():
        bridged.step(service(at(1), at(2)))
        assert "not the socket of a master process" in bridged.said[1]
        bridged.step(service(at(1), at(2)))
        assert "does it load this file?" in bridged.said[2]
        old = Path("/proc", proxy.pid())
        proxy.runtime.reload()
        proxy.until(lambda: len(proxy.slots(WEB)) == 3, "it was not reloaded")
        proxy.until(lambda: not old.exists(), "the old process has not ended")
        assert bridged.step(service(at(1), at(3)))["dnssd-2"] == "10.9.0.4:80 1 ready"
        proxy.file.unlink()
        proxy.file.mkdir()
        assert bridged.step(service(at(1), at(4)))["dnssd-2"] == "10.9.0.5:80 1 ready"
        assert "Is a directory" in bridged.said[3]
        assert len(bridged.said) == 4


def test_what_will_not_mend_by_itself(proxy: Haproxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder where nothing can be written, and a socket that is another user's, are errors."""
    runtime = Runtime(proxy.master)
    with pytest.raises(Unavailable, match=r"^/proc/x\.cfg: not written"):
        Bridge(runtime, Path("/proc/x.cfg"), 1, print).begin([service(at(1))])

    def refuse(_: object, __: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", refuse)
    with pytest.raises(Unavailable, match="Permission denied; is HAProxy running, and may this"):
        Bridge(runtime, proxy.file, 1, print).begin([service(at(1))])
