"""The documents beside their subjects: what they show runs, and what they link to is there."""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import mypy.api
import pytest

from dnssd import Registration, join, leave, open_zone
from dnssd.names import Name
from dnssd.sandbox.api.exchange import Handler, Request, Response
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.operations import action
from dnssd.sandbox.api.server import Api
from dnssd.sandbox.sandbox import Sandbox
from kit.documents import (
    ALL,
    FOR_USERS,
    IAM,
    README,
    REFERENCE,
    ROOT,
    USER_DATA,
    ZONE_ID,
    blocks,
    environment,
    program,
    recipes,
    run,
    text,
)

JOIN = ("join", "http", "--instance", "web", "--port", "8080", "--txt", "version=1")
VARYING = (
    (r"since=[0-9-]+T[0-9:]+Z", "since=TIME"),
    (r"id=[0-9a-f]{10}", "id=RANDOM"),
    (r" +\d+[smh] +", " AGE "),
)


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
    """The commands of the session, with what they print."""
    found = []
    for block in blocks(REFERENCE, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def test_the_session_prints_what_is_shown(sandbox: Sandbox) -> None:
    """A reader who types the commands, in one shell, gets the outputs."""
    shown = exchanges()
    mark = "code=$?; printf '\\036'; (exit $code)"  # between two commands; keeps $? as it is
    script = "".join(f"{mark}\n{command}\n" for command, _ in shown)

    output = run("bash", "-c", script, env=environment(sandbox))

    actual = output.split("\036")[1:]
    assert len(shown) == len(actual) > 8
    for (command, expected), printed in zip(shown, actual, strict=True):
        assert as_shown(expected, printed), f"$ {command}\n{printed}"


def test_the_python_blocks_print_what_their_comments_say(sandbox: Sandbox, tmp_path: Path) -> None:
    """The blocks run one after the other, as one program."""
    source = program(REFERENCE)
    shown = re.findall(r"^ *print\(.*\)(?:  |\n *)# (.*)$", source, re.MULTILINE)
    file = tmp_path / "reference.py"
    file.write_text(source + "\nserver.shutdown()\n")

    output = run(sys.executable, str(file), env=environment(sandbox))

    assert [line for line in output.splitlines() if '"GET / HTTP' not in line] == shown
    assert len(shown) == source.count("print(") > 5


def test_the_python_blocks_have_no_wrong_type(tmp_path: Path) -> None:
    """Whoever pastes them into a typed program hears nothing of mypy --strict.

    But for what the libraries of recipes do without: types of their own.
    """
    for number, source in enumerate([program(README), program(REFERENCE), *recipes()]):
        (tmp_path / f"program_{number}.py").write_text(source)
    files = [str(file) for file in sorted(tmp_path.iterdir())]

    found, _, _ = mypy.api.run(
        ["--strict", "--config-file=", f"--cache-dir={ROOT / '.mypy_cache'}", *files]
    )

    of_libraries = re.compile(r": note: |\[(import-untyped|no-untyped-call)\]$")
    told = [line for line in found.splitlines() if line.startswith(str(tmp_path))]
    assert [line for line in told if not of_libraries.search(line)] == []


def test_every_block_is_tested() -> None:
    """A block in a language that no test here reads would go stale unseen."""
    for document in FOR_USERS:
        languages = set(re.findall(r"^```(\w+)$", text(document), re.MULTILINE))
        assert languages <= {
            "console",
            "dockerfile",
            "json",
            "named",
            "python",
            "sh",
            "toml",
            "zone",
        }
        found = sum(len(blocks(document, language)) for language in languages)
        assert text(document).count("```") == 2 * found


def test_a_join_writes_the_records_that_are_shown(sandbox: Sandbox) -> None:
    """The listing is the whole zone after one join, apart from its SOA and NS records."""
    (listing,) = blocks(REFERENCE, "zone")
    shown = {tuple(unvaried(line).split(maxsplit=3)) for line in listing.splitlines()}

    run("dnssd", *JOIN, env=environment(sandbox))

    assert records(sandbox) == shown


def test_the_entry_point_of_a_container_runs_its_command(sandbox: Sandbox) -> None:
    """As it stands in the image's file, with whatever command follows it.

    What is said of DNS meanwhile is on stderr, and depends on how long the command takes.
    """
    (image,) = blocks(USER_DATA, "dockerfile")
    (entry_point,) = re.findall(r"^ENTRYPOINT (.*)$", image, re.MULTILINE)

    alone = ("sh", "-c", 'exec "$@" 2>/dev/null', "sh")

    served = run(*alone, *json.loads(entry_point), "echo", "served", env=environment(sandbox))

    assert served == "served\n"


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


@pytest.fixture
def requests_seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Request]]:
    """What Route 53 is asked from now on; it serves the documents' zone under its ID."""
    seen: list[Request] = []

    def recording(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            seen.append(request)
            return handler(request)

        return handle

    store = HostedZones(now=partial(next, count(step=1000)))  # every change is in sync at once
    store.create_zone(Name.parse("example.com"), caller_reference="readme", zone_id=ZONE_ID)
    with Api(store, wrap=recording) as api:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", api.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
        yield seen


def statements() -> dict[str, Any]:
    """The statements of the IAM policy by action."""
    (policy,) = map(json.loads, blocks(IAM, "json"))
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
    assert blocks(IAM, "json") == [(ROOT / "iam/policy.json").read_text()]


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
    """What each command asks Route 53 for is what the table says it is to be allowed."""
    env = dict(os.environ) | {"AWS_EC2_METADATA_DISABLED": "true"}
    instance = ("http", "--instance", "web")
    here = ("--host", "web-1", "--address", "10.0.0.1")
    join_command = ("join", *instance, "--port", "8080", *here)
    zone = ("--zone", f"example.com,id={ZONE_ID}")

    def asked(*command: str) -> set[str]:
        requests_seen.clear()
        run(sys.executable, "-m", "dnssd", *command, env=env)
        return {action(request) for request in requests_seen}

    members = "`join`, `leave`, `join-address`, `leave-address`, `uninstall-records`"
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

    rows = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", text(IAM), re.MULTILINE))
    for what, actions in found.items():
        also = found[members] if rows[what].startswith("also") else set()
        assert actions == set(re.findall("[A-Z][A-Za-z]+(?=`)", rows[what])) | also, what


def test_a_takeover_removes_a_host_that_died(sandbox: Sandbox) -> None:
    """Any machine can clear away what a dead host left behind, as the reference says."""
    env = environment(sandbox)
    dead = env | {"AWS_EC2_METADATA_DISABLED": "true"}
    gone = ("--instance", "web", "--host", "web-1")
    run("dnssd", *JOIN, *gone, "--address", "10.0.0.9", env=dead)

    run("dnssd", *JOIN, *gone, "--takeover", env=env)
    run("dnssd", "leave", "http", *gone, env=env)

    assert {rdtype for _, _, rdtype, _ in records(sandbox)} == {"PTR", "TXT"}


def anchors(document: str) -> set[str]:
    """What a link behind `#` may lead to: the titles, as the web page spells them."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"(?s)```.*?```", "", text(document)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", ALL)
def test_links_lead_somewhere(document: str) -> None:
    """To a file of this project, and to a title in it."""
    links = re.findall(r"\]\((?!https:)([^)#]*)#?([^)]*)\)", text(document))

    for path, anchor in links:
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(ROOT))), (path, anchor)


@pytest.mark.parametrize("document", ALL)
def test_files_that_are_named_are_there(document: str) -> None:
    """A path in the text is one of this project."""
    folders = "dnssd|userdata|iam|scripts|tests|[.]ci"
    named = set(re.findall(rf"`((?:{folders})/[\w./-]+)[` ]", text(document)))

    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_the_picture_is_what_its_script_draws(tmp_path: Path) -> None:
    """The same file each time, so that a change of the script shows in the picture."""
    drawn = tmp_path / "overview.svg"

    run(sys.executable, str(ROOT / "tests/benchmarks/overview.py"), str(drawn), env=os.environ)

    assert drawn.read_text() == (ROOT / "tests/benchmarks/overview.svg").read_text()


def sentences(document: str) -> Iterator[str]:
    """What a document says, sentence by sentence, without blocks, tables and marks."""
    prose = re.sub(r"(?s)```.*?```|^\|.*?$|[`*]", "", text(document), flags=re.MULTILINE)
    for sentence in re.split(r"(?<=[.:;?!])\s+|\n\n", prose):
        yield " ".join(sentence.split())


def test_nothing_is_said_twice() -> None:
    """No sentence of some length stands in two places."""
    said = Counter(s for document in ALL for s in set(sentences(document)) if len(s.split()) > 6)

    assert [sentence for sentence, times in said.items() if times > 1] == []
