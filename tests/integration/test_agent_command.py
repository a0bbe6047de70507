"""`dnssd agent` as a process: its file, its signals, what it shows, and what EC2 says."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import dns.message
import dns.query
import pytest

from dnssd.sandbox.sandbox import Sandbox, lead_into
from kit import servers
from kit.autoscaling import AutoScaling, auto_scaling

PATIENCE = 60.0  # seconds until a test gives up; nothing waits that long
NAME = "web._http._tcp.example.test."
WWW = "www.example.test."
INSTANCE = "i-0123456789abcdef0"
UP = "no check"  # HAProxy's word for a server that it does not check itself, and an agent calls up
# Looks at EC2's word oftener, and holds what has failed for less: else tests wait for that.
HASTY = """
import dnssd.agent.agent, dnssd.agent.health
from dnssd.cli.main import main
dnssd.agent.agent.NOTICES = dnssd.agent.health.HOLD = 0.3
main()
"""
QUICK = "interval = 0.3\ntimeout = 0.3\nrise = 1\nfall = 1\nstart_period = 0\n"


class Listener:
    """A service that can be stopped and started: it takes connections."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.check = f"tcp://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Take none any more."""
        self._socket.close()

    def start(self) -> None:
        """Take them again."""
        self._socket = socket.create_server(("127.0.0.1", self.port))


@pytest.fixture
def web() -> Iterator[Listener]:
    """A service that runs."""
    listener = Listener()
    yield listener
    listener.stop()


def free_port() -> int:
    """One that is free."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def described(listener: Listener, *more: str) -> str:
    """A service of a file."""
    lines = ("service = 'http'", "instance = 'web'", f"port = {listener.port}")
    return "\n".join(("[[service]]", *lines, f"check = '{listener.check}'", *more, ""))


@contextlib.contextmanager
def agent(
    sandbox: Sandbox, arguments: Sequence[str], **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """An agent that runs; killed in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HASTY, "agent", *arguments],
        env=lead_into(sandbox.environment(), os.environ) | environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def values(sandbox: Sandbox, name: str = NAME, rdtype: str = "SRV") -> list[str]:
    """The values that DNS gives, in order."""
    query = dns.message.make_query(name, rdtype)
    answer = dns.query.tcp(query, sandbox.host, port=sandbox.dns_port, timeout=10).answer
    return sorted(rdata.to_text() for rrset in answer for rdata in rrset)


def until(holds: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < ends, otherwise
        time.sleep(0.02)


def published(sandbox: Sandbox, *listeners: Listener) -> None:
    """Wait until exactly these are in DNS."""
    ports = sorted(listener.port for listener in listeners)

    def found() -> list[int]:
        return sorted(int(value.split()[2]) for value in values(sandbox))

    until(lambda: found() == ports, f"DNS does not have {ports}")


def test_services_of_a_file_come_and_go_and_leave_with_it(
    sandbox: Sandbox, web: Listener, tmp_path: Path
) -> None:
    """Each by its own health, a plain address too; on SIGTERM all leave, and it ends with 0."""
    other = Listener()
    file = tmp_path / "agent.toml"
    www = f"[[join_address]]\nname = '{WWW}'\naddress = '192.0.2.7'\ncheck = '{web.check}'\n"
    file.write_text(QUICK + described(web) + described(other) + www)
    with agent(sandbox, ["--config", str(file)]) as process:
        published(sandbox, web, other)
        until(lambda: values(sandbox, WWW, "A") == ["192.0.2.7"], "the address is not in DNS")
        other.stop()
        published(sandbox, web)
        other.start()
        published(sandbox, web, other)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    other.stop()
    assert values(sandbox) + values(sandbox, WWW, "A") == []


def test_an_agent_that_is_killed_and_started_again_changes_nothing(
    sandbox: Sandbox, web: Listener, tmp_path: Path
) -> None:
    """Its service was in DNS all the time, and knows of it."""
    options = ["http", "--instance=web", f"--port={web.port}", f"--check={web.check}"]
    options += ["--interval=0.3", "--timeout=0.3", "--rise=1"]
    with agent(sandbox, options) as process:
        published(sandbox, web)
        process.kill()
    before = sandbox.zones.zones()[0].rrsets
    with agent(sandbox, options) as process:
        assert process.stderr
        while "had joined already" not in (said := process.stderr.readline()):
            assert said
        assert sandbox.zones.zones()[0].rrsets == before
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    assert values(sandbox) == []


def test_never_to_leave_on_exit_leaves_everything(sandbox: Sandbox, web: Listener) -> None:
    """The next agent, or a leave by hand, takes it from there."""
    options = ["http", "--instance=web", f"--port={web.port}", f"--check={web.check}"]
    with agent(sandbox, [*options, "--rise=1", "--leave-on-exit=never"]) as process:
        published(sandbox, web)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    published(sandbox, web)


def test_sighup_reads_the_file_again_and_a_wrong_one_changes_nothing(
    sandbox: Sandbox, web: Listener, tmp_path: Path
) -> None:
    """What is wrong is told with its line; the former configuration stays."""
    file = tmp_path / "agent.toml"
    file.write_text(QUICK + described(web))
    with agent(sandbox, ["--config", str(file)]) as process:
        published(sandbox, web)
        file.write_text(QUICK + described(web, "wieght = 5"))
        process.send_signal(signal.SIGHUP)
        assert process.stderr
        while "do you mean weight?" not in (said := process.stderr.readline()):
            assert said
        file.write_text(QUICK + described(web, "weight = 5"))
        process.send_signal(signal.SIGHUP)
        until(lambda: values(sandbox)[0].startswith("0 5 "), "the weight does not change")
        process.terminate()
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "agent.toml: No such file or directory"),
        ("[[service]\n", "agent.toml:1: "),
        ("[[service]]\nservice = 'http'\nport = 80\n", "agent.toml:1: service[1]: it has no zone"),
        (
            "[[service]]\nservice = 'http'\nport = 80\nzone = 'foo:bar'\n",
            "no provider 'foo'",
        ),
    ],
)
def test_a_configuration_is_checked_without_being_used(
    tmp_path: Path, text: str | None, said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line that leads to the place."""
    file = tmp_path / "agent.toml"
    if text is not None:
        file.write_text(text)
    check = [sys.executable, "-m", "dnssd", "agent", "--check-config", "--config", str(file)]
    assert subprocess.run(check, check=False, timeout=PATIENCE).returncode == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1


def test_a_right_configuration_is_told(
    tmp_path: Path, web: Listener, capfd: pytest.CaptureFixture[str]
) -> None:
    """With how many services it has."""
    file = tmp_path / "agent.toml"
    file.write_text(f"zone = 'example.test,id=Z0123456789ABC'\n{described(web)}")
    check = [sys.executable, "-m", "dnssd", "agent", "--check-config", "--config", str(file)]
    assert subprocess.run(check, check=False, timeout=PATIENCE).returncode == 0
    assert capfd.readouterr().out == f"{file}: 1 service, all right\n"


def test_a_services_option_beside_a_file_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It would be about none of them, or about all: the file says which."""
    check = [sys.executable, "-m", "dnssd", "agent", "--port=80", f"--config={tmp_path}/x"]
    assert subprocess.run(check, check=False, timeout=PATIENCE).returncode == 2
    assert "--port: with --config it belongs in the file" in capfd.readouterr().err


def test_it_shows_metrics_and_health(sandbox: Sandbox, web: Listener, tmp_path: Path) -> None:
    """On loopback, and in a file while it runs: metrics, and the last word of each check."""
    port = free_port()
    file = tmp_path / "agent.toml"
    shown = tmp_path / "dnssd.prom"
    file.write_text(f"metrics = {port}\nmetrics_file = '{shown}'\n{QUICK}{described(web)}")
    with agent(sandbox, ["--config", str(file)]) as process:
        published(sandbox, web)

        def page(path: str) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return str(answer.read().decode())

        name = f'service="web.http:{web.port}"'
        wanted = f'dnssd_agent_published{{{name},zone="example.test"}} 1.0\n'
        until(lambda: wanted in page("/metrics"), "the metrics do not show it")
        assert f'dnssd_agent_state{{{name},state="passing"}} 1.0\n' in page("/metrics")
        spent = f'dnssd_agent_requests_total{{zone="example.test"}} {sandbox.api.count()}.0\n'
        assert spent in page("/metrics")
        assert f"dnssd_agent_state{{{name}," in shown.read_text()
        (service,) = json.loads(page("/healthz"))["services"]
        assert (service["state"], service["port"]) == ("passing", web.port)
        assert service["checks"] == [{"check": web.check, "verdict": "pass", "said": "connected"}]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            page("/etc/passwd")
        process.terminate()
        process.wait(PATIENCE)
        assert not shown.exists()


def test_systemd_hears_how_things_are(sandbox: Sandbox, web: Listener, tmp_path: Path) -> None:
    """That it is ready, that it lives, what it looks after, that it stops."""
    file = tmp_path / "agent.toml"
    file.write_text(QUICK + described(web))
    path = tmp_path / "notify"
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))

        def listen() -> None:
            while (said := manager.recv(4096)) != b"end":
                heard.extend(said.decode().splitlines())

        listening = threading.Thread(target=listen)
        listening.start()
        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}
        with agent(sandbox, ["--config", str(file)], **environment) as process:
            until(lambda: heard.count("WATCHDOG=1") >= 3, "it does not prove that it lives")
            until(lambda: "STATUS=1 passing" in heard, "it does not tell its status")
            web.stop()
            until(lambda: "STATUS=1 failing" in heard, "it does not tell its status")
            process.send_signal(signal.SIGHUP)
            until(lambda: "RELOADING=1" in heard, "it does not tell that it reads")
            until(lambda: heard.count("READY=1") == 2, "it does not tell that it has read")
            process.terminate()
            process.wait(PATIENCE)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(b"end", str(path))
        listening.join()
    web.start()
    said = [line for line in heard if line != "WATCHDOG=1"]  # which comes at any time
    assert said[-2:] == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=25000000"]


@servers.needs("haproxy")
def test_haproxy_hears_of_health_and_drain(sandbox: Sandbox, web: Listener, tmp_path: Path) -> None:
    """A real one asks the agent, and takes the server out before DNS could tell."""
    port, maintenance = free_port(), tmp_path / "maintenance"
    file = tmp_path / "agent.toml"
    checks = f"check = ['{web.check}', 'unless-file:{maintenance}']"
    text = described(web, f"haproxy_agent = {port}", "load = 'exec:cat load'", "drain = 3000")
    file.write_text(QUICK + text.replace(f"check = '{web.check}'", checks))
    (tmp_path / "load").write_text("0")
    file.write_text(file.read_text().replace("cat load", f"cat {tmp_path}/load"))
    with agent(sandbox, ["--config", str(file)]) as process, haproxy(tmp_path, web, port) as ask:
        until(lambda: ask() == (UP, "100"), "HAProxy does not see it up")
        (tmp_path / "load").write_text("0.75")
        until(lambda: ask() == (UP, "25"), "HAProxy does not give it less")
        maintenance.touch()
        until(lambda: ask()[0] == "MAINT", "HAProxy does not see the maintenance")
        maintenance.unlink()
        until(lambda: ask()[0] == UP, "HAProxy does not see the end of it")
        published(sandbox, web)
        web.stop()
        until(lambda: ask()[0] == "DOWN (agent)", "HAProxy does not see that it is down")
        web.start()
        until(lambda: ask()[0] == UP, "HAProxy does not see that it is back")
        published(sandbox, web)
        process.terminate()
        until(lambda: ask()[0] == "DRAIN (agent)", "HAProxy does not drain it")
        process.terminate()
        assert process.wait(PATIENCE) == 0


@contextlib.contextmanager
def haproxy(folder: Path, web: Listener, port: int) -> Iterator[Callable[[], tuple[str, str]]]:
    """HAProxy in front of a service; the context gives its status and weight there."""
    control = folder / "control"
    configuration = folder / "haproxy.cfg"
    configuration.write_text(
        f"""
global
    stats socket {control} level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
backend web
    server here 127.0.0.1:{web.port} weight 100 agent-check agent-port {port} agent-inter 100ms
"""
    )

    def ask() -> tuple[str, str]:
        with socket.socket(socket.AF_UNIX) as out:
            out.settimeout(10)
            out.connect(str(control))
            out.sendall(b"show stat -1 4 -1\n")
            lines = out.makefile().read().splitlines()
        fields = dict(zip(lines[0].lstrip("# ").split(","), lines[1].split(","), strict=True))
        return fields["status"], fields["weight"]

    program = servers.path_of("haproxy")
    assert program
    with servers.process((program, "-db", "-f", str(configuration)), folder):
        until(control.exists, "HAProxy does not start")
        yield ask


@pytest.fixture
def scaling() -> Iterator[AutoScaling]:
    """Auto Scaling."""
    with auto_scaling() as double:
        yield double


def test_it_leaves_when_auto_scaling_ends_the_instance_and_says_so(
    sandbox: Sandbox, web: Listener, scaling: AutoScaling
) -> None:
    """The hook is completed once the record is gone, though the first call fails."""
    tell = sandbox.metadata.metadata.tell
    tell("autoscaling/target-lifecycle-state", "InService")
    tell("tags/instance/aws:autoscaling:groupName", "fleet")
    scaling.waiting.add(f"fleet/goodbye/{INSTANCE}")
    scaling.failures = 1
    options = ["http", "--instance=web", f"--port={web.port}", f"--check={web.check}", "--rise=1"]
    with agent(
        sandbox,
        [*options, "--complete-hook=goodbye"],
        AWS_ENDPOINT_URL_AUTO_SCALING=scaling.url,
        AWS_REGION="us-east-1",
    ):
        published(sandbox, web)
        assert scaling.completed == []
        tell("autoscaling/target-lifecycle-state", "Terminated")
        published(sandbox)
        until(lambda: bool(scaling.completed), "the hook is not completed")
    assert scaling.completed == [f"fleet/goodbye/{INSTANCE}"]
    assert scaling.refused == []


@pytest.mark.parametrize(
    ("item", "text", "left"),
    [
        ("spot/instance-action", '{"action": "terminate", "time": "2026-11-28T00:00:00Z"}', True),
        ("autoscaling/target-lifecycle-state", "Standby", True),
        ("autoscaling/target-lifecycle-state", "Warmed:Stopped", True),
        ("events/recommendations/rebalance", '{"noticeTime": "2026-11-28T00:00:00Z"}', False),
    ],
)
def test_what_ec2_announces(
    sandbox: Sandbox, web: Listener, item: str, text: str, left: bool
) -> None:
    """It leaves before its capacity goes, drains when that becomes likely, and comes back."""
    tell = sandbox.metadata.metadata.tell
    options = ["http", "--instance=web", f"--port={web.port}", f"--check={web.check}", "--rise=1"]
    with agent(sandbox, options):
        published(sandbox, web)
        tell(item, text)
        if left:
            published(sandbox)
        else:
            until(lambda: values(sandbox)[0].startswith("65535 0 "), "it does not drain")
        tell(item, None)
        until(lambda: [v[:6] for v in values(sandbox)] == ["0 100 "], "it does not come back")


def test_a_warm_pool_is_not_joined(sandbox: Sandbox, web: Listener) -> None:
    """A host that waits in the pool runs its service, and is in nobody's way."""
    tell = sandbox.metadata.metadata.tell
    tell("autoscaling/target-lifecycle-state", "Warmed:Running")
    options = ["http", "--instance=web", f"--port={web.port}", f"--check={web.check}", "--rise=1"]
    with agent(sandbox, options) as process:
        assert process.stderr
        due = {"passing", "target='Warmed:Running'"}  # in any order
        while due:
            said = process.stderr.readline()
            assert said
            due = {words for words in due if words not in said}
        assert values(sandbox) == []
        tell("autoscaling/target-lifecycle-state", "InService")
        published(sandbox, web)
