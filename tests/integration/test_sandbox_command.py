import fcntl
import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import dns.message
import dns.query
import pytest

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.sandbox.sandbox import Ports, Sandbox, lead_into

PATIENCE = 30  # seconds until a test gives up; nothing waits that long
SANDBOX = [sys.executable, "-m", "dnssd", "sandbox"]
SHOW_ENVIRONMENT = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
# A command that is told `wait()`: which of the two signals has come. None is lost meanwhile.
_WAIT = """
import signal, sys
NUMBERS = signal.SIGINT, signal.SIGTERM
signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
def wait():
    return int(signal.sigwait(NUMBERS))
"""
LINES = (
    r"export AWS_ENDPOINT_URL_ROUTE_53=http://127\.0\.0\.1:\d+ AWS_ACCESS_KEY_ID=sandbox "
    r"AWS_SECRET_ACCESS_KEY=sandbox AWS_DEFAULT_REGION=us-east-1\n"
    r"export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127\.0\.0\.1:\d+ NO_PROXY=127\.0\.0\.1\n"
    r"export DNSSD_ZONE=example\.test DNSSD_DOMAIN=example\.test "
    r"DNSSD_NAMESERVER=127\.0\.0\.1:\d+ DNSSD_STATE=/\S+\n"
)


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SANDBOX, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _environment_of_command(*options: str, **environment: str) -> dict[str, str]:
    completed = _run(*options, "--", *SHOW_ENVIRONMENT, **environment)
    assert (completed.returncode, completed.stderr) == (0, "")
    read: dict[str, str] = json.loads(completed.stdout)
    return read


@contextmanager
def _running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*SANDBOX, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _read_lines(process: subprocess.Popen[str], count: int = 3) -> str:
    assert process.stdout
    return "".join(process.stdout.readline() for _ in range(count))


def _exports(lines: str) -> dict[str, str]:
    words = [word for line in lines.splitlines() for word in shlex.split(line)[1:]]
    return dict(word.split("=", 1) for word in words)


def _ask(environment: Mapping[str, str], name: str) -> dns.message.Message:
    host, _, port = environment["DNSSD_NAMESERVER"].rpartition(":")
    query = dns.message.make_query(name, "SOA")
    return dns.query.udp(query, host, port=int(port), timeout=PATIENCE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_what_to_export_and_runs_until_stopped(number: signal.Signals) -> None:
    """Three lines once everything is ready; stopping as asked is success."""
    with _running() as process:
        lines = _read_lines(process)
        assert re.fullmatch(LINES, lines)
        assert _ask(_exports(lines), "example.test.").answer

        process.send_signal(number)
        rest, errors = process.communicate(timeout=PATIENCE)

    assert (process.returncode, rest, errors) == (0, "", "")


def test_the_exported_variables_lead_boto3_to_dns() -> None:
    """A stock client writes through the API, and DNS serves it."""
    script = """
import boto3, dns.message, dns.query, os
route53 = boto3.client("route53")
(zone,) = route53.list_hosted_zones()["HostedZones"]
values = [{"Value": "10.0.0.1"}]
record = {"Name": "a.example.test", "Type": "A", "TTL": 60, "ResourceRecords": values}
batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
route53.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch=batch)
host, port = os.environ["DNSSD_NAMESERVER"].split(":")
response = dns.query.udp(dns.message.make_query("a.example.test.", "A"), host, port=int(port))
print(response.answer[0][0])
"""
    completed = _run("--", sys.executable, "-W", "ignore", "-c", script)

    assert (completed.stdout, completed.stderr) == ("10.0.0.1\n", "")


def test_nothing_of_the_callers_leads_the_command_elsewhere() -> None:
    """Profiles, session tokens, endpoints and dnssd's own settings are left out."""
    callers = {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "x",
        "AWS_CONFIG_FILE": "/x",
        "AWS_ENDPOINT_URL": "http://x",
        "AWS_REGION": "eu-west-1",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "DNSSD_JOIN_PORT": "1",
        "DNSSD_ZONE": "production.example",
        "BOTO_CONFIG": "/x",
        "KEPT": "yes",
    }

    seen = _environment_of_command(**callers)

    assert {name for name in seen if name.startswith(("AWS_", "DNSSD_", "BOTO_"))} == {
        "AWS_ENDPOINT_URL_ROUTE_53",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "DNSSD_ZONE",
        "DNSSD_DOMAIN",
        "DNSSD_NAMESERVER",
        "DNSSD_STATE",
    }
    assert seen["DNSSD_ZONE"] == "example.test"
    assert seen["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] == "false"
    assert seen["KEPT"] == "yes"


def test_exemptions_from_a_proxy_are_kept() -> None:
    """In both spellings, since Python reads the small one first."""
    sandbox = {"NO_PROXY": "127.0.0.1"}

    assert lead_into(sandbox, {})["NO_PROXY"] == "127.0.0.1"
    assert lead_into(sandbox, {"NO_PROXY": "a"})["NO_PROXY"] == "a,127.0.0.1"
    assert lead_into(sandbox, {"no_proxy": "b"}) == {
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "b,127.0.0.1",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
    }


@pytest.mark.parametrize("code", [0, 7, 255])
def test_the_commands_exit_code_is_returned(code: int) -> None:
    """And its output is the only output."""
    completed = _run("--", "sh", "-c", f"echo out; echo err >&2; exit {code}")

    assert (completed.returncode, completed.stdout, completed.stderr) == (code, "out\n", "err\n")


def test_a_command_that_a_signal_ends_is_128_and_its_number() -> None:
    """As a shell says it."""
    assert _run("--", "sh", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    ("command", "code"), [("/nonexistent/program", 127), (os.devnull, 126), ("/", 126)]
)
def test_a_command_that_cannot_be_run_is_one_line(command: str, code: int) -> None:
    """127 if there is no such command, 126 if it may not be executed."""
    completed = _run("--", command)

    assert completed.returncode == code
    assert re.fullmatch(rf"dnssd: {command}: .+; .+\n", completed.stderr)


def test_a_command_that_writes_to_nobody_ends_quietly() -> None:
    """SIGPIPE is not ignored on its behalf, as Python does for itself."""
    script = "trap '' USR1; exec sed -n 's/^SigIgn:.*\\(....\\)$/\\1/p' /proc/self/status"

    ignored = int(_run("--", "sh", "-c", script).stdout, 16)

    assert not ignored & (1 << (signal.SIGPIPE - 1))
    assert ignored & (1 << (signal.SIGUSR1 - 1))  # the script can see what is ignored


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_reach_the_command(number: signal.Signals) -> None:
    """It decides what they mean; the sandbox stops when it does."""
    script = _WAIT + "print('ready', flush=True); sys.exit(wait())"
    with _running("--", sys.executable, "-c", script) as process:
        assert _read_lines(process, 1) == "ready\n"

        process.send_signal(number)
        process.communicate(timeout=PATIENCE)

    assert process.returncode == number


def test_the_command_has_the_signals_that_a_shell_would_give_it() -> None:
    """None is blocked: SIGTERM ends it."""
    script = (
        "import signal\n"
        "blocked = list(signal.pthread_sigmask(signal.SIG_BLOCK, []))\n"
        "print(blocked, flush=True)\n"
        "signal.pause()\n"
    )
    with _running("--", sys.executable, "-c", script) as process:
        assert _read_lines(process, 1) == "[]\n"

        process.terminate()
        process.communicate(timeout=PATIENCE)

    assert process.returncode == 128 + signal.SIGTERM


@contextmanager
def _killed_in_the_end(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the session that `process` leads, whatever happens."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_an_interrupt_from_the_terminal_reaches_the_command_once() -> None:
    """The terminal sends Ctrl-C to both; many programs take a second one for impatience."""
    script = _WAIT + (
        "print('ready', flush=True)\nprint(wait(), flush=True)\nprint(wait(), flush=True)\n"
    )
    keyboard, terminal = pty.openpty()
    with (
        open(keyboard, "wb", buffering=0) as keys,
        open(terminal, "rb", buffering=0) as screen,
        subprocess.Popen(
            [*SANDBOX, "--", sys.executable, "-c", script],
            stdin=screen,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_take_terminal,
        ) as process,
        _killed_in_the_end(process),
    ):
        assert _read_lines(process, 1) == "ready\n"
        process.send_signal(signal.SIGSTOP)  # so that the command is first to be interrupted
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        keys.write(b"\x03")
        assert _read_lines(process, 1) == f"{signal.SIGINT:d}\n"
        process.send_signal(signal.SIGCONT)
        process.terminate()

        assert _read_lines(process, 1) == f"{signal.SIGTERM:d}\n"
        assert process.wait(PATIENCE) == 0


def test_the_first_zone_is_the_one_to_use() -> None:
    """Several may be served, given by option or line by line in a variable."""
    seen = _environment_of_command(DNSSD_SANDBOX_SERVE="one.test\nb.two.test.")
    assert seen["DNSSD_ZONE"] == "one.test"

    with _running("--serve", "one.test", "--serve", "two.test") as process:
        exported = _exports(_read_lines(process))
        assert exported["DNSSD_DOMAIN"] == "one.test"
        assert _ask(exported, "two.test.").answer
        assert not _ask(exported, "example.test.").answer


def test_the_instance_is_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its identifier and addresses come from options or the environment."""
    script = """
import os, requests
url = os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] + "/latest/"
ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
token = {"X-aws-ec2-metadata-token": requests.put(url + "api/token", headers=ttl).text}
for item in ("instance-id", "local-ipv4", "public-ipv4"):
    print(requests.get(url + "meta-data/" + item, headers=token).text)
"""
    options = ["--instance-id", "i-0abc", "--private-ip", "10.9.9.9"]

    completed = _run(
        *options, "--", sys.executable, "-c", script, DNSSD_SANDBOX_PUBLIC_IP="192.0.2.9"
    )

    assert completed.stdout.split() == ["i-0abc", "10.9.9.9", "192.0.2.9"]


@pytest.mark.parametrize("option", ["--api-port", "--dns-port", "--metadata-port"])
def test_a_port_in_use_is_one_line(option: str) -> None:
    """It names the port and what to do, and nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        completed = _run(option, str(port))

    assert completed.returncode == 1
    assert completed.stdout == ""
    assert re.fullmatch(rf"dnssd: .*port {port}.*: .*in use; choose another.*\n", completed.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bind", "localhost"],
        ["--serve", "a..b"],
        ["--serve", "example.test,id="],
        ["--serve", "example.test,id=z1"],
        ["--serve", "example.test,private=yes"],
        ["--private-ip", "x"],
        ["--dns-port", "65536"],
        ["--unknown"],
    ],
)
def test_wrong_options_are_one_line_and_code_2(arguments: Sequence[str]) -> None:
    """Before anything is started."""
    completed = _run(*arguments)

    assert (completed.returncode, completed.stdout) == (2, "")
    assert re.fullmatch(r"dnssd: .+\n", completed.stderr)


def test_a_public_address_is_warned_about() -> None:
    """Whoever reaches the ports may change the zones; commands here are led to loopback."""
    completed = _run("--bind", "0.0.0.0", "--", "sh", "-c", "echo $DNSSD_NAMESERVER")  # noqa: S104 (asked for)

    assert re.fullmatch(r"dnssd: --bind 0\.0\.0\.0: .*may change the zones\n", completed.stderr)
    assert completed.stdout.startswith("127.0.0.1:")


def test_nothing_keeps_running_if_one_part_cannot_start() -> None:
    """Ports of the parts that did start are free again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        sandbox = Sandbox(ports=Ports(metadata=other.getsockname()[1]))
        with pytest.raises(Unavailable):
            sandbox.start()

    with Sandbox(ports=Ports(sandbox.api.port, sandbox.dns_port)) as again:
        assert again.api.port == sandbox.api.port


def test_a_closed_sandbox_is_gone(sandbox: Sandbox) -> None:
    """All three ports refuse connections, and closing again does nothing."""
    ports = sandbox.api.port, sandbox.dns_port, sandbox.metadata.port
    sandbox.close()
    sandbox.close()

    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((sandbox.host, port), PATIENCE)


def test_what_hosts_keep_has_a_folder_of_its_own() -> None:
    """It is there while the sandbox is, and gone with it."""
    script = "test -d $DNSSD_STATE && touch $DNSSD_STATE/x && echo $DNSSD_STATE"

    first, second = (_run("--", "sh", "-c", script).stdout.strip() for _ in range(2))

    assert first != second
    assert not Path(first).exists()


def test_a_zone_may_have_the_identifier_of_a_real_one() -> None:
    """It is exported with the zone, so that nothing has to be looked up."""
    seen = _environment_of_command("--serve", "one.test,id=Z0123456789ABC", "--serve", "two.test")
    assert (seen["DNSSD_ZONE"], seen["DNSSD_DOMAIN"]) == ("one.test,id=Z0123456789ABC", "one.test")


def test_a_zone_of_the_state_keeps_its_identifier(tmp_path: Path) -> None:
    """Another one that is asked for is an error in one line."""
    state = ("--state", str(tmp_path / "zones"))
    assert _run(*state, "--serve", "one.test,id=Z1", "--", "true").returncode == 0

    again = _run(*state, "--serve", "one.test,id=Z2", "--", "true")

    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr == "dnssd: zone one.test.: its ID is Z1, not Z2; leave ,id= out\n"


def test_the_sandboxs_own_programs_are_found_first(tmp_path: Path) -> None:
    """`dnssd` inside is the one that is around it, wherever it was called from."""
    own = Path(sys.executable).parent / "dnssd"
    other = tmp_path / "dnssd"
    other.write_text("#!/bin/sh\nexit 9\n")
    other.chmod(0o755)

    completed = subprocess.run(
        [own, "sandbox", "--", "sh", "-c", "command -v dnssd; dnssd --version"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    assert completed.stdout.splitlines()[0] == str(own)
    assert _run("--", "dnssd", "--version", PATH=str(tmp_path)).returncode == 0


def test_a_terminal_is_told_what_is_inside() -> None:
    """A banner on stderr, if that is a terminal; elsewhere the result is all there is."""
    keyboard, terminal = pty.openpty()
    with open(keyboard, "rb", buffering=0) as screen, open(terminal, "wb") as errors:
        completed = subprocess.run(
            [*SANDBOX, "--rate", "5", "--", "true"],
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=PATIENCE,
            check=True,
        )
        errors.close()
        told = b""
        with suppress(OSError):  # the terminal is at its end
            while part := screen.read(4096):
                told += part

    assert completed.stdout == b""
    for part in (
        r"nothing here reaches AWS",
        r"Route 53 +http://127\.0\.0\.1:\d+",
        r"zones +example\.test\. \(Z\d+\)",
        r"name server +127\.0\.0\.1:\d+",
        r"metadata +http://127\.0\.0\.1:\d+, of the instance i-\w+",
        r"asked for +--rate 5\.0",
    ):
        assert re.search(part, told.decode()), part


def test_names_are_exported_so_that_they_can_be_read_back() -> None:
    """Whatever a zone is called."""
    origin = Name((b"Caf\xc3\xa9 x", b"test"))

    environment = Sandbox([origin]).environment()

    assert Name.parse(environment["DNSSD_ZONE"]) == origin
    assert environment["DNSSD_ZONE"].isascii()
