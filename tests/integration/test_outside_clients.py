"""Programs that know nothing of dnssd meet the sandbox, and our records in it."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from dnssd.cli.main import run
from dnssd.names import Name
from dnssd.records import Rdata, parse_rdata
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.api.server import Api
from dnssd.sandbox.sandbox import Sandbox, lead_into
from dnssd.zones.route53 import text as route53
from kit.invariants import rrset_of

TOOLS = Path(__file__).parents[2] / ".venv-tools" / "bin"
PATIENCE = 60  # seconds until a test gives up; nothing waits that long
WEB = "web._http._tcp.example.test"
PERSON = "5 5 8080 elsewhere.example.org."  # an SRV value by another hand


def needs(program: str | Path) -> pytest.MarkDecorator:
    """Skips a test where `program` is not installed."""
    name = Path(program).name
    return pytest.mark.skipif(
        not shutil.which(program), reason=f"{name} is absent: scripts/install --servers adds it"
    )


class Ran(NamedTuple):
    """What a program did."""

    code: int
    out: str
    err: str


@pytest.fixture
def dnssd(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a command of ours that succeeds, and returns what it prints."""
    for key, value in sandbox.environment().items():
        monkeypatch.setenv(key, value)

    def command(*arguments: str) -> str:
        code = run(list(arguments))
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return command


def join(dnssd: Callable[..., str], host: str, address: str, *more: str) -> None:
    """Join a host of the instance that these tests are about."""
    where = ("--port", "80", "--host", host, "--address", address)
    dnssd("join", "http", "--instance", "web", *where, *more)


@pytest.fixture
def outside(sandbox: Sandbox, tmp_path: Path) -> Callable[..., Ran]:
    """Runs somebody else's program in the sandbox's environment, in a folder of its own."""
    environment = lead_into(sandbox.environment(), os.environ)
    environment |= {"HOME": str(tmp_path), "AWS_PAGER": "", "LC_ALL": "C.UTF-8"}

    def program(*arguments: str | Path) -> Ran:
        completed = subprocess.run(
            [str(argument) for argument in arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(completed.returncode, completed.stdout, completed.stderr)

    return program


def texts(sandbox: Sandbox, name: str, rdtype: str) -> list[str]:
    """The values of an RRset, as Route 53 would list them; none if it is absent."""
    zone = sandbox.zones.zone(sandbox.zone_id)
    found = (rrset for rrset in zone.node(Name.parse(name)) if rrset.rdtype == rdtype)
    return sorted(text for rrset in found for text in rrset.texts)


def contents(sandbox: Sandbox) -> list[HostedRRset]:
    """All that the zone holds."""
    return list(sandbox.zones.zone(sandbox.zone_id).rrsets)


# ---- the AWS command line ----

Aws = Callable[..., Any]


@pytest.fixture
def aws(outside: Callable[..., Ran]) -> Aws:
    """Runs `aws route53` to a good end; its output as JSON."""

    def command(operation: str, *arguments: str) -> Any:
        ran = outside(TOOLS / "aws", "route53", operation, "--output", "json", *arguments)
        assert (ran.code, ran.err) == (0, "")
        return json.loads(ran.out) if ran.out else None

    return command


def batch(action: str, name: str, rdtype: str, *values: str) -> str:
    """A batch of one change, as `--change-batch` takes it."""
    records = [{"Value": value} for value in values]
    rrset = {"Name": name, "Type": rdtype, "TTL": 60, "ResourceRecords": records}
    return json.dumps({"Changes": [{"Action": action, "ResourceRecordSet": rrset}]})


@needs(TOOLS / "aws")
def test_the_aws_command_line_lists_everything_page_by_page(
    aws: Aws, dnssd: Callable[..., str], sandbox: Sandbox
) -> None:
    """It finds the zone by its name, and every RRset in it, octal escapes and all."""
    join(dnssd, "a", "10.0.0.1")
    dnssd("join", "http", "--instance", "Café 1.2", "--port", "80", "--txt", r'a="\é')

    (zone,) = aws("list-hosted-zones-by-name", "--dns-name", "example.test")["HostedZones"]
    listed = aws("list-resource-record-sets", "--hosted-zone-id", zone["Id"], "--page-size", "2")

    assert zone["Id"] == f"/hostedzone/{sandbox.zone_id}"
    assert zone["ResourceRecordSetCount"] == len(contents(sandbox))
    assert [
        (rrset["Name"], rrset["Type"], tuple(r["Value"] for r in rrset["ResourceRecords"]))
        for rrset in listed["ResourceRecordSets"]
    ] == [
        (route53.write_name(entry.name), entry.rdtype, entry.texts) for entry in contents(sandbox)
    ]


@needs(TOOLS / "aws")
def test_what_a_person_adds_by_the_aws_command_line_stays(
    aws: Aws, dnssd: Callable[..., str], sandbox: Sandbox
) -> None:
    """A value in the shared RRset, by UPSERT: joins and leaves go on around it."""
    zone = ("--hosted-zone-id", sandbox.zone_id)
    join(dnssd, "a", "10.0.0.1")

    ours = texts(sandbox, WEB, "SRV")
    upsert = batch("UPSERT", WEB, "SRV", *ours, PERSON)
    info = aws("change-resource-record-sets", *zone, "--change-batch", upsert)["ChangeInfo"]
    aws("wait", "resource-record-sets-changed", "--id", info["Id"])

    assert aws("get-change", "--id", info["Id"])["ChangeInfo"]["Status"] == "INSYNC"
    join(dnssd, "b", "10.0.0.2")
    assert texts(sandbox, WEB, "SRV") == [*ours, "0 100 80 b.example.test.", PERSON]
    for host in ("a", "b"):
        dnssd("leave", "http", "--instance", "web", "--host", host)
    assert texts(sandbox, WEB, "SRV") == [PERSON]


@needs(TOOLS / "aws")
def test_the_aws_command_line_shows_refusals(
    outside: Callable[..., Ran], dnssd: Callable[..., str], sandbox: Sandbox
) -> None:
    """A stale DELETE, and a zone that is not empty: in AWS's words, and nothing is done."""
    join(dnssd, "a", "10.0.0.1")
    before = contents(sandbox)
    command = (TOOLS / "aws", "route53")
    change = batch("DELETE", WEB, "SRV", PERSON)

    stale = outside(
        *(*command, "change-resource-record-sets"),
        *("--hosted-zone-id", sandbox.zone_id, "--change-batch", change),
    )
    full = outside(*command, "delete-hosted-zone", "--id", sandbox.zone_id)

    assert stale.code != 0
    assert "(InvalidChangeBatch)" in stale.err
    assert "but the values provided do not match the current values" in stale.err
    assert full.code != 0
    assert "(HostedZoneNotEmpty)" in full.err
    assert contents(sandbox) == before


@needs(TOOLS / "aws")
def test_the_aws_command_line_makes_and_removes_a_zone(aws: Aws, sandbox: Sandbox) -> None:
    """Public and private."""
    private = ("--vpc", "VPCRegion=us-east-1,VPCId=vpc-1")
    made = [
        aws("create-hosted-zone", "--name", "example.net", "--caller-reference", "1"),
        aws("create-hosted-zone", "--name", "example.net", "--caller-reference", "2", *private),
    ]

    assert [zone["HostedZone"]["Config"]["PrivateZone"] for zone in made] == [False, True]
    assert aws("get-hosted-zone", "--id", made[1]["HostedZone"]["Id"])["VPCs"]
    for zone in made:
        aws("delete-hosted-zone", "--id", zone["HostedZone"]["Id"])
    assert [zone.id for zone in sandbox.zones.zones()] == [sandbox.zone_id]


# ---- boto3 ----


@pytest.fixture
def pending(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A zone whose changes are in sync only when the clock has been looked at a few times."""
    clock = iter(range(1_000_000))
    store = HostedZones(now=lambda: float(next(clock)), insync_after=6)
    store.create_zone(Name.parse("example.test"), caller_reference="a", zone_id="Z1")
    with Api(store) as api:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", api.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield api


def test_boto3_waits_for_a_change(pending: Api) -> None:
    """Its waiter asks until the change is in sync."""
    client: Any = boto3.client("route53")
    change = json.loads(batch("CREATE", "a.example.test", "A", "10.0.0.1"))
    info = client.change_resource_record_sets(HostedZoneId="Z1", ChangeBatch=change)["ChangeInfo"]

    client.get_waiter("resource_record_sets_changed").wait(
        Id=info["Id"], WaiterConfig={"Delay": 0, "MaxAttempts": 10}
    )

    assert info["Status"] == "PENDING"
    actions = [exchange.action for exchange in pending.requests()]
    assert actions[0] == "ChangeResourceRecordSets"
    assert 1 < actions.count("GetChange") < 10


def test_boto3_turns_every_page(sandbox: Sandbox, dnssd: Callable[..., str]) -> None:
    """Hundreds of records around ours: a paginator and dnssd see the same zone."""
    origin = Name.parse("example.test")
    names = [f"{side}{number}" for side in ("_a", "z") for number in range(350)]
    entries = [HostedRRset(origin.child(name.encode()), "A", 60, ("10.0.0.9",)) for name in names]
    sandbox.zones.change(sandbox.zone_id, [Edit(Action.CREATE, entry) for entry in entries])
    join(dnssd, "a", "10.0.0.1")
    client: Any = boto3.client("route53")

    pages = list(
        client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=sandbox.zone_id)
    )

    listed = [rrset["Name"] for page in pages for rrset in page["ResourceRecordSets"]]
    assert len(pages) == 3
    assert listed == [route53.write_name(entry.name) for entry in contents(sandbox)]
    assert "a.example.test" in dnssd("status", "http", "--instance", "web")


def test_boto3_hears_that_there_are_no_health_checks(pending: Api) -> None:
    """Tools ask before they write records that could have one."""
    client: Any = boto3.client("route53")

    pages = list(client.get_paginator("list_health_checks").paginate())

    assert [page["HealthChecks"] for page in pages] == [[]]


# ---- octodns ----

OURS = [r"/(^|\.)_(tcp|udp)(\.|$)/", "a", "b"]  # as dnssd/README.md says


class Octodns:
    """octodns with the zone in a file and at Route 53."""

    def __init__(self, outside: Callable[..., Ran], folder: Path) -> None:
        self._outside = outside
        self._folder = folder
        self._file = folder / "zones" / "example.test.yaml"
        self._file.parent.mkdir()

    def dump(self) -> dict[str, Any]:
        """The zone as octodns reads it; leniently, since instances are no host names to it."""
        self._configure([])
        command = ("--config-file", "config.yaml", "--output-dir", "zones", "--lenient")
        ran = self._outside(TOOLS / "octodns-dump", *command, "example.test.", "route53")
        assert ran.code == 0, ran.err
        script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))"
        # PyYAML is octodns's, not ours.
        read = subprocess.run(
            [TOOLS / "python", "-c", script],
            input=self._file.read_bytes(),
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        loaded: dict[str, Any] = json.loads(read.stdout)
        return loaded

    def sync(self, zone: dict[str, Any], *options: str, ignore: list[str]) -> Ran:
        """Plan what makes the zone at Route 53 like `zone`, and do it if `options` say so."""
        self._configure(ignore)
        self._file.write_text(json.dumps(zone))
        return self._outside(TOOLS / "octodns-sync", "--config-file", "config.yaml", *options)

    def _configure(self, ignore: list[str]) -> None:
        """JSON is YAML."""
        config = {
            "providers": {
                "config": {
                    "class": "octodns.provider.yaml.YamlProvider",
                    "directory": "zones",
                    "enforce_order": False,
                },
                "route53": {
                    "class": "octodns_route53.Route53Provider",
                    "access_key_id": "sandbox",
                    "secret_access_key": "sandbox",
                },
            },
            "processors": {
                "not-ours": {
                    "class": "octodns.processor.filter.NameRejectlistFilter",
                    "rejectlist": ignore,
                },
            },
            "zones": {
                "example.test.": {
                    "sources": ["config"],
                    "processors": ["not-ours"],
                    "targets": ["route53"],
                    "lenient": True,
                },
            },
        }
        (self._folder / "config.yaml").write_text(json.dumps(config))


@pytest.fixture
def octodns(outside: Callable[..., Ran], tmp_path: Path) -> Octodns:
    """Configured anew for each run."""
    return Octodns(outside, tmp_path)


@pytest.fixture
def service(dnssd: Callable[..., str], sandbox: Sandbox) -> list[HostedRRset]:
    """Two hosts in one instance and one in another: all that the zone then holds."""
    for host, address in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
        join(dnssd, host, address, "--txt", "version=1", "--plain-name")
    one = ("--instance", "V2", "--port", "81", "--host", "a", "--address", "10.0.0.1")
    dnssd("join", "http", *one, "--txt", "version=2")
    return contents(sandbox)


def endpoint(host: str, weight: int = 100) -> dict[str, Any]:
    """An SRV value as octodns writes it."""
    return {"port": 80, "priority": 0, "target": f"{host}.example.test.", "weight": weight}


@needs(TOOLS / "octodns-dump")
def test_octodns_dumps_our_records_and_finds_them_unchanged(
    octodns: Octodns, service: list[HostedRRset], sandbox: Sandbox
) -> None:
    """What it has read it would not change, though it reads but one PTR value."""
    zone = octodns.dump()

    (srv,) = (record for record in zone["web._http._tcp"] if record["type"] == "SRV")
    assert srv["values"] == [endpoint("a"), endpoint("b")]
    planned = octodns.sync(zone, "--doit", ignore=[])
    assert planned.code == 0, planned.err
    assert "No changes were planned" in planned.err
    assert contents(sandbox) == service


@needs(TOOLS / "octodns-sync")
def test_octodns_works_beside_us(
    octodns: Octodns, service: list[HostedRRset], sandbox: Sandbox, dnssd: Callable[..., str]
) -> None:
    """Told to leave our names alone it makes and removes its own, and dnssd works on."""
    www = {"www": {"type": "A", "ttl": 60, "value": "10.9.9.9"}}
    apex = {"": octodns.dump()[""]}

    made = octodns.sync(apex | www, "--doit", ignore=OURS)

    assert made.code == 0, made.err
    assert "Creates=1, Updates=0, Deletes=0" in made.err
    assert texts(sandbox, "www.example.test", "A") == ["10.9.9.9"]
    assert [entry for entry in contents(sandbox) if entry in service] == service
    dnssd("leave", "http", "--instance", "web", "--host", "a")
    join(dnssd, "a", "10.0.0.1", "--weight", "7")
    removed = octodns.sync(apex, "--doit", "--force", ignore=OURS)
    assert "Creates=0, Updates=0, Deletes=1" in removed.err
    assert texts(sandbox, WEB, "SRV") == ["0 100 80 b.example.test.", "0 7 80 a.example.test."]
    assert "published" in dnssd("status", "http", "--instance", "web").lower()


@needs(TOOLS / "octodns-sync")
def test_octodns_shows_that_it_would_remove_our_records(
    octodns: Octodns, service: list[HostedRRset], sandbox: Sandbox
) -> None:
    """Not told to leave them alone it names each, and refuses to do so much without --force."""
    apex = {"": octodns.dump()[""]}

    refused = octodns.sync(apex, "--doit", ignore=[])

    for record in ("SrvRecord SRV 60, web._http", "PtrRecord PTR 60, _http", "TxtRecord TXT 60, a"):
        assert f"Delete <{record}" in refused.err
    assert refused.code != 0
    assert "Too many deletes" in refused.err
    assert contents(sandbox) == service


@needs(TOOLS / "octodns-sync")
def test_what_octodns_does_to_the_shared_values_is_shown_and_mended(
    octodns: Octodns, service: list[HostedRRset], sandbox: Sandbox, dnssd: Callable[..., str]
) -> None:
    """A file of yesterday takes one host's value out by UPSERT; its next join puts it back."""
    yesterday = octodns.dump()
    (srv,) = (record for record in yesterday["web._http._tcp"] if record["type"] == "SRV")
    srv["values"] = [endpoint("a")]

    planned = octodns.sync(yesterday, ignore=[])
    assert "Creates=0, Updates=1, Deletes=0" in planned.err
    assert "<SrvRecord SRV 60, web._http._tcp.example.test.," in planned.err
    assert contents(sandbox) == service

    octodns.sync(yesterday, "--doit", ignore=[])
    assert texts(sandbox, WEB, "SRV") == ["0 100 80 a.example.test."]
    status = json.loads(dnssd("status", "http", "--instance", "web", "--json"))
    assert {member["member"]: member["published"] for member in status["members"]} == {
        "a-80": True,
        "b-80": False,
    }
    join(dnssd, "b", "10.0.0.2")
    assert contents(sandbox) == service


# ---- BIND's tools ----


@pytest.fixture
def dig(outside: Callable[..., Ran], sandbox: Sandbox) -> Callable[..., str]:
    """Asks the sandbox's name server, and returns what dig prints; it has nothing to warn of."""

    def command(*arguments: str) -> str:
        ran = outside("dig", f"@{sandbox.host}", "-p", str(sandbox.dns_port), *arguments)
        assert (ran.code, ran.err) == (0, "")
        assert "warning" not in ran.out.lower()
        assert "malformed" not in ran.out.lower()
        return ran.out

    return command


@needs("dig")
@pytest.mark.parametrize(
    ("options", "transport", "edns"),
    [
        ("+norec", "(UDP)", True),
        ("+norec +tcp", "(TCP)", True),
        ("+norec +noedns", "(UDP)", False),
        ("+norec +noedns +tcp", "(TCP)", False),
        ("+norec +ednsopt=65001:abcd", "(UDP)", True),
        ("+norec +ednsopt=65001", "(UDP)", True),
        ("+norec +cookie=0123456789abcdef", "(UDP)", True),
        ("+norec +nocookie +nsid +subnet=192.0.2.0/24 +padding=256", "(UDP)", True),
        ("+norec +bufsize=0", "(UDP)", True),
        ("+norec +bufsize=512", "(UDP)", True),
        ("+norec +bufsize=65535", "(UDP)", True),
        ("+norec +dnssec +cdflag +adflag +ednsflags=0x4000", "(UDP)", True),
        ("+norec +edns=7", "(UDP)", True),  # dig then asks again with the version it is told
    ],
)
def test_dig_gets_an_answer_however_it_asks(
    dig: Callable[..., str], dnssd: Callable[..., str], options: str, transport: str, edns: bool
) -> None:
    """Options that the server does not know change nothing."""
    join(dnssd, "a", "10.0.0.1")

    output = dig(WEB, "SRV", *options.split())

    assert "status: NOERROR" in output
    assert "flags: qr aa" in output
    assert "\tSRV\t0 100 80 a.example.test." in output
    assert "\tA\t10.0.0.1" in output
    assert transport in output
    assert ("EDNS: version: 0" in output) == edns


@needs("dig")
@pytest.mark.parametrize(
    ("options", "transport"),
    [
        ("+noedns", "(TCP)"),  # dig asks again where an answer is truncated
        ("+bufsize=512", "(TCP)"),
        ("+bufsize=4096", "(UDP)"),
        ("+bufsize=512 +ignore", "(UDP)"),
    ],
)
def test_dig_gets_long_answers_whole(
    dig: Callable[..., str], sandbox: Sandbox, options: str, transport: str
) -> None:
    """By TCP, unless it says that it takes long datagrams."""
    values = tuple(f"0 5 80 host-{number:02}.example.test." for number in range(20))
    entry = HostedRRset(Name.parse(WEB), "SRV", 60, values)
    sandbox.zones.change(sandbox.zone_id, [Edit(Action.CREATE, entry)])

    output = dig(WEB, "SRV", "+norec", *options.split())

    assert transport in output
    assert output.count("\tSRV\t0 5 80 host-") == (0 if "+ignore" in options else 20)
    assert ("flags: qr aa tc;" in output) == ("+ignore" in options)


@needs("dig")
@pytest.mark.parametrize(
    ("question", "status"),
    [
        ("nobody.example.test A", "NXDOMAIN"),
        ("_http._tcp.example.test A", "NOERROR"),
        ("example.test TYPE65280", "NOERROR"),
        ("example.com A", "REFUSED"),
        ("-c CH version.bind TXT", "REFUSED"),
        ("example.test IXFR=1", "REFUSED"),
        ("+noedns +opcode=NOTIFY example.test SOA", "NOTIMP"),
        ("+noedns +opcode=UPDATE example.test SOA", "NOTIMP"),
        ("+edns=1 +noednsnegotiation example.test SOA", "BADVERS"),
    ],
)
def test_dig_hears_what_there_is_not(
    dig: Callable[..., str], dnssd: Callable[..., str], question: str, status: str
) -> None:
    """With the SOA record where that tells how long to remember it."""
    join(dnssd, "a", "10.0.0.1")

    output = dig("+norec", *question.split())

    assert f"status: {status}" in output or "; Transfer failed.\n" in output
    assert ("\tSOA\t" in output) == (status in ("NXDOMAIN", "NOERROR"))


def transferred(text: str) -> set[tuple[Name, str, int, Rdata]]:
    """The records of a zone transfer or master file, one to a line."""
    lines = (line.split(maxsplit=4) for line in text.splitlines())
    return {
        (Name.parse(name), rdtype, int(ttl), parse_rdata(rdtype, rdata))
        for name, ttl, _, rdtype, rdata in lines
        if rdtype not in ("SOA", "NS")
    }


@needs("dig")
@needs("named-checkzone")
def test_named_accepts_the_zone_that_dig_transfers(
    outside: Callable[..., Ran],
    dig: Callable[..., str],
    dnssd: Callable[..., str],
    sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    """BIND would serve it, names with spaces and all, and means by it what we mean."""
    join(dnssd, "a", "10.0.0.1", "--txt", r'odd=\;"é" \065', "--txt", "flag")
    join(dnssd, "b", "10.0.0.2", "--address", "2001:db8::2")
    for instance in ("Café · v1.2", '"\\;@$(', "*", "x" * 63):
        dnssd("join", "http", "--instance", instance, "--port", "81", "--host", "b",
              "--address", "10.0.0.2", "--address", "2001:db8::2")  # fmt: skip
    (tmp_path / "zone").write_text(dig("example.test", "AXFR", "+noall", "+answer", "+nocmd"))

    strict = ("-i", "local", "-k", "fail", "-m", "fail", "-n", "fail", "-r", "fail")
    checked = outside(
        "named-checkzone", *strict, "-D", "-s", "full", "-o", "loaded", "example.test", "zone"
    )

    assert checked.code == 0, checked
    assert checked.out.splitlines()[-1] == "OK"
    written = {
        (rrset.name, rrset.rdtype, rrset.ttl, value)
        for rrset in map(rrset_of, contents(sandbox))
        if rrset.rdtype not in ("SOA", "NS")
        for value in rrset.values
    }
    assert transferred((tmp_path / "zone").read_text()) == written
    assert transferred((tmp_path / "loaded").read_text()) == written
