"""README.md does what it says: its commands and Python blocks run, against the sandbox."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest

from dnssd import Registration, errors, join, leave, open_zone
from dnssd.cli.main import exit_code
from dnssd.names import Name
from dnssd.sandbox.api.hostedzones import Store
from dnssd.sandbox.api.operations import Handler, Request, Response, action
from dnssd.sandbox.api.service import Api
from dnssd.sandbox.sandbox import Sandbox, lead_into

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ZONE_ID = "Z0123456789ABC"  # README's
NOT_RUN_HERE = {  # they make this very environment, or are tested elsewhere
    "scripts/demo",
    "scripts/test",
    "scripts/install",
    ". .venv/bin/activate",
}
AWS = ROOT / ".venv-tools/bin/aws"
JOIN = ("join", "http", "--instance", "web", "--port", "8080", "--txt", "version=1")
VARYING = (
    (r"since=[0-9-]+T[0-9:]+Z", "since=TIME"),
    (r"id=[0-9a-f]{10}", "id=RANDOM"),
    (r" +\d+[smh] +", " AGE "),
)
PATIENCE = 60  # seconds until a test gives up; nothing waits that long


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def example_com() -> Iterator[Sandbox]:
    """A sandbox that serves README's zone."""
    with Sandbox([Name.parse("example.com")]) as sandbox:
        yield sandbox


def environment(sandbox: Sandbox) -> dict[str, str]:
    """A reader's environment, led into the sandbox, with the program under test on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return lead_into(sandbox.environment(), os.environ) | {"PATH": path}


def run(*command: str, env: Mapping[str, str]) -> str:
    """What a program prints on stdout and stderr."""
    completed = subprocess.run(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return completed.stdout


def unvaried(text: str) -> str:
    """`text` without what differs from run to run."""
    for pattern, replacement in VARYING:
        text = re.sub(pattern, replacement, text)
    return text


def as_shown(expected: str, actual: str) -> bool:
    """Whether output is as it is shown; `…` at the end of a line leaves out its rest."""
    pattern = re.escape(unvaried(expected)).replace("…\\\n", ".*\\\n")
    return re.fullmatch(pattern, unvaried(actual)) is not None


def exchanges() -> list[tuple[str, str]]:
    """README's commands, with what they print."""
    found = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def test_the_session_prints_what_is_shown(example_com: Sandbox) -> None:
    """A reader who types the commands, in one shell, gets the outputs."""
    shown = exchanges()
    mark = "code=$?; printf '\\036'; (exit $code)"  # between two commands; keeps $? as it is
    script = "".join(f"{mark}\n{command}\n" for command, _ in shown)

    output = run(
        "bash", "-c", script.replace(ZONE_ID, example_com.zone_id), env=environment(example_com)
    )

    actual = output.replace(example_com.zone_id, ZONE_ID).split("\036")[1:]
    assert len(shown) == len(actual) > 8
    for (command, expected), printed in zip(shown, actual, strict=True):
        assert as_shown(expected, printed), f"$ {command}\n{printed}"


def test_completion_is_set_up_as_shown(example_com: Sandbox) -> None:
    """The line for .bashrc makes bash complete the command."""
    (line,) = re.findall(r"`(eval .*?)`", README)

    completion = run("bash", "-c", f"{line}; complete -p dnssd", env=environment(example_com))

    assert completion.startswith("complete ")


def shell_lines(start: str) -> list[str]:
    """The commands of the `sh` blocks that start so, continued lines made one."""
    lines = [line for block in blocks("sh") for line in block.replace("\\\n    ", "").splitlines()]
    return [line for line in lines if line.startswith(start)]


def test_every_other_command_is_there() -> None:
    """What is shown and not run here is a script of this project, or the activation."""
    commands = set(shell_lines("")) - set(shell_lines("aws ")) - set(shell_lines("dnssd "))

    assert commands == NOT_RUN_HERE
    for command in commands:
        assert command.startswith(".") or os.access(ROOT / command, os.X_OK)


def test_five_minutes_on_ec2(example_com: Sandbox, tmp_path: Path) -> None:
    """Its user-data is made, and with a host there the look-up finds it."""
    user_data, lookup = shell_lines("dnssd ")
    env = environment(example_com)
    run("dnssd", *JOIN, env=env)

    run("sh", "-euc", f"cd {shlex.quote(str(tmp_path))}; {user_data}", env=env)

    assert (tmp_path / "join.sh").read_text().startswith("#!/bin/sh\n# User-data")
    assert "i-0123456789abcdef0" in run("sh", "-euc", lookup, env=env)


def test_the_role_is_made_with_what_its_template_asks_for() -> None:
    """Each parameter without a default is given, and no other."""
    (deploy,) = shell_lines("aws cloudformation deploy")
    template = (ROOT / "iam/role.yaml").read_text()
    head, _, _ = template.partition("\nResources:")
    asked = re.findall(r"^  (\w+):\n((?:    .*\n)+)", head + "\n", re.MULTILINE)

    given = deploy.partition("--parameter-overrides ")[2].split()

    needed = {name for name, about in asked if "Default:" not in about}
    assert {pair.partition("=")[0] for pair in given} == needed
    assert len(needed) == 3


@pytest.mark.skipif(not AWS.exists(), reason="aws is missing: scripts/install --servers adds it")
def test_aws_knows_the_options(tmp_path: Path) -> None:
    """The client takes each command apart, and asks nobody."""
    commands = [*shell_lines("aws "), *re.findall(r"`(aws .*?)`", README)]
    env = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "PATH": os.environ["PATH"]}
    env |= {"AWS_DEFAULT_REGION": "us-east-1"}
    (tmp_path / "join.sh").touch()

    for command in commands:
        if " deploy " in command:  # made of several calls: it has no skeleton
            continue
        command = command.partition(" --query ")[0].replace("file://", f"file://{tmp_path}/")
        told = run(str(AWS), *shlex.split(command)[1:], "--generate-cli-skeleton", "input", env=env)
        assert told.startswith("{"), command

    assert len(commands) == 5


def test_a_container_passes_the_signal_on(tmp_path: Path) -> None:
    """Its process 1 leaves before it ends the server, and ends after that."""
    (line,) = re.findall(r"`(trap .*?)`", README)
    waited_for = 'while [ "$(cut -d" " -f3 /proc/$PPID/stat)" != S ]; do :; done'
    server = f"{waited_for}; echo serving; exec sleep 1000"
    for name, script in (("dnssd", 'echo "$@"'), ("server", server)):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    with subprocess.Popen(
        ["/bin/sh", "-c", line], env={"PATH": path}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        said = {process.stdout.readline() for _ in range(2)}
        process.terminate()
        last = process.stdout.read()

    assert said == {"join http --port 8080\n", "serving\n"}
    assert last == "leave http --port 8080 --deadline 10\n"


def test_a_container_that_is_stopped_while_it_joins_starts_no_server(tmp_path: Path) -> None:
    """The shell hears the signal once join has ended: it leaves, and that is all."""
    (line,) = re.findall(r"`(trap .*?)`", README)
    join = 'echo "$1"; [ "$1" != join ] || kill -TERM $PPID'
    for name, script in (("dnssd", join), ("server", "echo serving")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"

    assert run("/bin/sh", "-c", line, env={"PATH": path}) == "join\nleave\n"


def test_the_python_blocks_print_what_their_comments_say(
    example_com: Sandbox, tmp_path: Path
) -> None:
    """The blocks run one after the other, as one program; its host is a real web server."""
    with web_server() as port:
        source = "\n".join(blocks("python")).replace("10.0.0.11", "127.0.0.1")
        source = source.replace("8080", str(port))
        shown = re.findall(r"^ *print\(.*\)(?:  |\n +)# (.*)$", source, re.MULTILINE)
        program = tmp_path / "readme.py"
        program.write_text(
            source.replace(ZONE_ID, example_com.zone_id).replace(
                "Resolver()", f"Resolver([{example_com.nameserver!r}])"
            )
        )

        output = run(sys.executable, str(program), env=environment(example_com))

    assert output.splitlines() == shown
    assert len(shown) == source.count("print(") > 5


@contextmanager
def web_server() -> Iterator[int]:
    """A web server on loopback; its port."""
    handler = partial(SimpleHTTPRequestHandler, directory=Path(__file__).parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_every_block_is_tested() -> None:
    """A block in a language that no test here reads would go stale unseen."""
    languages = set(re.findall(r"^```(\w+)$", README, re.MULTILINE))

    assert languages == {"console", "json", "python", "sh", "zone"}
    assert README.count("```") == 2 * sum(len(blocks(language)) for language in languages)


def test_a_join_writes_the_records_that_are_shown(example_com: Sandbox) -> None:
    """The listing is the whole zone after one join, apart from its SOA and NS records."""
    env = environment(example_com)
    (listing,) = blocks("zone")
    shown = {tuple(unvaried(line).split(maxsplit=3)) for line in listing.splitlines()}

    run("dnssd", *JOIN, env=env)

    assert records(example_com) == shown


def records(sandbox: Sandbox) -> set[tuple[str, ...]]:
    """Name, TTL, type and value of every record below the apex."""
    route53 = boto3.client(
        "route53",
        endpoint_url=sandbox.api_url,
        region_name="us-east-1",
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )
    answer = route53.list_resource_record_sets(HostedZoneId=sandbox.zone_id)
    return {
        (rrset["Name"], str(rrset["TTL"]), rrset["Type"], unvaried(record["Value"]))
        for rrset in answer["ResourceRecordSets"]
        for record in rrset["ResourceRecords"]
        if rrset["Name"] != str(sandbox.origin)
    }


def test_a_takeover_removes_a_host_that_died(example_com: Sandbox) -> None:
    """Any machine can clear away what a dead host left behind, as the limits say."""
    env = environment(example_com)
    dead = env | {"AWS_EC2_METADATA_DISABLED": "true"}
    gone = ("--instance", "web", "--host", "web-1")
    run("dnssd", *JOIN, *gone, "--address", "10.0.0.9", env=dead)

    run("dnssd", *JOIN, *gone, "--takeover", env=env)
    run("dnssd", "leave", "http", *gone, env=env)

    assert {rdtype for _, _, rdtype, _ in records(example_com)} == {"PTR", "TXT"}


@pytest.fixture
def requests_seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Request]]:
    """What Route 53 is asked from now on; it serves README's zone under its ID."""
    seen: list[Request] = []

    def recording(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            seen.append(request)
            return handler(request)

        return handle

    store = Store(now=partial(next, count(step=1000)))  # every change is in sync at once
    store.create_zone(Name.parse("example.com"), caller_reference="readme", zone_id=ZONE_ID)
    with Api(store, wrap=recording) as api:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", api.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
        yield seen


def statements() -> dict[str, Any]:
    """The statements of the IAM policy by action."""
    (policy,) = map(json.loads, blocks("json"))
    assert policy["Version"] == "2012-10-17"
    assert {statement["Effect"] for statement in policy["Statement"]} == {"Allow"}
    arn = f"arn:aws:route53:::hostedzone/{ZONE_ID}"
    assert {statement["Resource"] for statement in policy["Statement"]} == {arn}
    return {statement["Action"]: statement for statement in policy["Statement"]}


def condition(key: str) -> list[str]:
    """The values that the policy allows for a condition key of changes."""
    name = f"route53:ChangeResourceRecordSets{key}"
    conditions = statements()["route53:ChangeResourceRecordSets"]["Condition"]
    assert conditions["Null"][name] == "false"  # ForAllValues holds where there is no value
    (values,) = (v[name] for k, v in conditions.items() if k.startswith("ForAll") and name in v)
    return list(values)


def test_the_policy_is_the_file() -> None:
    """To the letter."""
    assert blocks("json") == [(ROOT / "iam/policy.json").read_text()]


def test_the_policy_allows_what_is_asked_and_no_more(requests_seen: list[Request]) -> None:
    """Every request passes it, and every value in it lets one pass."""
    hosts = [
        Registration(service="http", instance="Web", port=80, host=host, addresses=addresses)
        for host, addresses in (("i-0a", ["10.0.0.1", "2001:db8::1"]), ("i-0b", ["10.0.0.2"]))
    ]
    zone = open_zone(f"example.com,id={ZONE_ID}")
    for host in (*hosts, *hosts):
        join(zone, host)
    for host in hosts:
        leave(zone, host)

    assert {f"route53:{action(request)}" for request in requests_seen} == set(statements())
    bodies = " ".join(r.body.decode() for r in requests_seen if r.method == "POST")
    assert set(re.findall("<Action>(.*?)<", bodies)) == set(condition("Actions"))
    assert set(re.findall("<Type>(.*?)<", bodies)) == set(condition("RecordTypes"))
    names = {name.lower().rstrip(".") for name in re.findall("<Name>(.*?)<", bodies)}
    patterns = condition("NormalizedRecordNames")
    assert {n for n in names if not any(fnmatchcase(n, p) for p in patterns)} == set()
    assert {p for p in patterns if not any(fnmatchcase(n, p) for n in names)} == set()


def test_the_table_of_requests_is_complete(requests_seen: list[Request]) -> None:
    """What each command asks Route 53 for is what README says it is to be allowed."""
    env = dict(os.environ) | {"AWS_EC2_METADATA_DISABLED": "true"}
    instance = ("http", "--instance", "web")
    here = ("--host", "web-1", "--address", "10.0.0.1")
    join_command = ("join", *instance, "--port", "8080", *here)
    zone = ("--zone", f"example.com,id={ZONE_ID}")

    def asked(*command: str) -> set[str]:
        requests_seen.clear()
        run(sys.executable, "-m", "dnssd", *command, env=env)
        return {action(request) for request in requests_seen}

    members = "`join`, `leave`, `uninstall-records`"
    found = {
        members: asked(*join_command, *zone)
        | asked("leave", *instance, "--host", "web-1", *zone)
        | asked("uninstall-records", "http", "--yes", *zone),
        "`--wait`": asked(*join_command, *zone, "--wait"),
        "`status`, `--dry-run`": asked("status", *instance, *zone)
        | asked(*join_command, *zone, "--dry-run"),
        "a zone without `id=`": asked(*join_command, "--zone", "example.com"),
        "a zone by its ID alone": asked(*join_command, "--zone", ZONE_ID),
    }

    rows = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", README, re.MULTILINE))
    for what, actions in found.items():
        also = found[members] if rows[what].startswith("also") else set()
        assert actions == set(re.findall("[A-Z][A-Za-z]+(?=`)", rows[what])) | also, what


def test_the_exit_codes_are_the_ones_in_the_table() -> None:
    """Every error has a code that the table explains."""
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]

    assert table == {exit_code(kind("")) for kind in kinds} | {0, 130}


def test_links_lead_somewhere() -> None:
    """No file that is linked or named as a path is missing."""
    named = set(re.findall(r"\]\(([^)]*)\)", README)) | set(re.findall(r"`(dnssd/\S+?)`", README))

    assert len(named) > 4
    assert {path for path in named if not (ROOT / path).exists()} == set()
