"""join, leave and status as their users run them, against the sandbox."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import boto3
import dns.message
import dns.query
import pytest

from dnssd.cli import status
from dnssd.hosts import plain
from dnssd.names import Name
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.sandbox import Sandbox
from kit.commands import Command, Ran
from kit.documents import USER_DATA, shell_lines
from kit.invariants import rrset_of

WEB = "web._http._tcp.example.test."


@pytest.fixture
def dnssd(dnssd: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command in the sandbox's environment; the zone is given with its ID."""
    monkeypatch.setenv("DNSSD_ZONE", f"example.test,id={sandbox.zone_id}")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    return dnssd


def join(dnssd: Command, host: str, *more: object) -> Ran:
    """Join a host of the service under test."""
    return dnssd("join", "http", "--instance", "web", "--port", 80, "--host", host, *more)


def records(sandbox: Sandbox) -> dict[tuple[str, str], tuple[str, ...]]:
    """The zone's RRsets but for those of its apex."""
    (zone,) = sandbox.zones.zones()
    return {
        (str(rrset.name), rrset.rdtype): tuple(sorted(v.format() for v in rrset.values))
        for rrset in map(rrset_of, zone.rrsets)
        if rrset.name != zone.origin
    }


def put(sandbox: Sandbox, name: str, rdtype: str, *texts: str, ttl: int = 300) -> None:
    """Write an RRset by hand."""
    client: Any = boto3.client("route53")
    client.change_resource_record_sets(
        HostedZoneId=sandbox.zone_id,
        ChangeBatch={
            "Changes": [
                {
                    "Action": "UPSERT",
                    "ResourceRecordSet": {
                        "Name": name,
                        "Type": rdtype,
                        "TTL": ttl,
                        "ResourceRecords": [{"Value": text} for text in texts],
                    },
                }
            ]
        },
    )


def srv_values(sandbox: Sandbox) -> tuple[str, ...]:
    """The values of the SRV RRset under test."""
    return records(sandbox).get((WEB, "SRV"), ())


def test_a_stock_dns_client_sees_a_joined_host(dnssd: Command, sandbox: Sandbox) -> None:
    """Joining publishes PTR, SRV and A; leaving takes SRV and A away, and keeps the PTR."""

    def answer(name: str, rdtype: str) -> list[str]:
        query = dns.message.make_query(name, rdtype)
        response = dns.query.udp(query, sandbox.host, port=sandbox.dns_port, timeout=60)
        return [rdata.to_text() for rrset in response.answer for rdata in rrset]

    assert join(dnssd, "a", "--address", "10.0.0.1").code == 0
    assert answer("_http._tcp.example.test.", "PTR") == [WEB]
    assert answer("_services._dns-sd._udp.example.test.", "PTR") == ["_http._tcp.example.test."]
    assert answer(WEB, "SRV") == ["0 100 80 a.example.test."]
    assert answer("a.example.test.", "A") == ["10.0.0.1"]
    assert dnssd("leave", "http", "--instance", "web", "--host", "a").code == 0
    assert answer("_http._tcp.example.test.", "PTR") == [WEB]
    assert answer(WEB, "SRV") == []
    assert answer("a.example.test.", "A") == []


def test_the_defaults_come_from_the_instances_metadata(dnssd: Command, sandbox: Sandbox) -> None:
    """On EC2: the instance ID, its private address, and an owner that names both and more."""
    told = dnssd("join", "http", "--port", 80, "--json")
    assert told.code == 0
    assert told.json == {
        "name": "default._http._tcp.example.test.",
        "member": "i-0123456789abcdef0-80",
        "zones": [
            {
                "zone": f"example.test,id={sandbox.zone_id}",
                "changed": True,
                "requests": 5,
                "error": None,
                "state": "joined",
                "name": "default._http._tcp.example.test.",
            }
        ],
    }
    status = dnssd("status", "default._http._tcp", "--json").json
    assert status["members"][0]["owner"] == "ec2/d6c35c/us-east-1/i-0123456789abcdef0"
    assert status["members"][0]["published"] is True


@pytest.mark.parametrize("others", [0, 500])
def test_requests(dnssd: Command, sandbox: Sandbox, others: int) -> None:
    """A first join takes 5 requests at the most, a further one 3, a leave 4."""
    zone = sandbox.zones.zone(sandbox.zone_id)
    for start in range(0, others, 100):
        edits = [
            Edit(
                Action.CREATE,
                HostedRRset(
                    zone.origin.child(b"x", f"_svc{number}".encode(), b"_tcp"),
                    "SRV",
                    60,
                    ("0 0 80 x.example.test.",),
                ),
            )
            for number in range(start, start + 100)
        ]
        sandbox.zones.change(zone.id, edits)

    def requests(*arguments: object) -> int:
        before = sandbox.api.count()
        told = dnssd(*arguments, "--json")
        assert told.code == 0
        counted = sandbox.api.count() - before
        assert told.json["zones"][0]["requests"] == counted
        return counted

    def joined(host: str) -> int:
        return requests(
            "join", "http", "--instance", "web", "--port", 80, "--host", host,
            "--address", "10.0.0.1",
        )  # fmt: skip

    assert joined("a") <= 5
    assert joined("b") <= 3
    assert joined("c") <= 3
    assert requests("leave", "http", "--instance", "web", "--host", "b") <= 4
    assert requests("leave", "http", "--instance", "web", "--host", "a") <= 4
    assert requests("leave", "http", "--instance", "web", "--host", "c") <= 4


def test_eight_processes_that_join_at_once_make_eight_values(
    dnssd: Command, sandbox: Sandbox
) -> None:
    """Real processes, one instance that nobody has defined yet."""
    environment = {**os.environ, **sandbox.environment()}
    environment["DNSSD_ZONE"] = f"example.test,id={sandbox.zone_id}"
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "dnssd", "join", "http", "--instance", "web"),
                *("--port", "80", "--host", f"h{number}", "--address", f"10.0.0.{number}"),
            ],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    for process in processes:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
    assert len(srv_values(sandbox)) == 8
    status = dnssd("status", "http", "--instance", "web", "--json").json
    assert [member["published"] for member in status["members"]] == [True] * 8
    assert (status["unexplained"], status["doubled"]) == ([], [])


def test_joining_again_changes_nothing(dnssd: Command, sandbox: Sandbox) -> None:
    """Nor does leaving again; both exit 0."""
    join(dnssd, "a", "--address", "10.0.0.1")
    before = records(sandbox)
    again = join(dnssd, "a", "--address", "10.0.0.1", "--json")
    assert (again.code, again.json["zones"][0]["changed"]) == (0, False)
    assert records(sandbox) == before
    for expected in (True, False):
        left = dnssd("leave", "http", "--instance", "web", "--host", "a", "--json")
        assert (left.code, left.json["zones"][0]["changed"]) == (0, expected)
        assert left.json["members"] == (["a-80"] if expected else [])


def test_what_changed_replaces_the_hosts_own_values(dnssd: Command, sandbox: Sandbox) -> None:
    """Weight, priority, TTL and address; the other host's stay; another port is another member."""
    join(dnssd, "a", "--address", "10.0.0.1")
    join(dnssd, "b", "--address", "10.0.0.2")
    changed = ("--weight", 7, "--priority", 3, "--ttl", 30, "--address", "10.0.0.9")
    assert join(dnssd, "a", *changed).code == 0
    assert srv_values(sandbox) == ("0 100 80 b.example.test.", "3 7 80 a.example.test.")
    assert records(sandbox)["a.example.test.", "A"] == ("10.0.0.9",)
    (zone,) = sandbox.zones.zones()
    assert {r.ttl for r in zone.node(Name.parse(WEB))} == {30}
    join(dnssd, "a", "--port", 81, *changed)
    assert len(srv_values(sandbox)) == 3
    dnssd("leave", "http", "--instance", "web", "--host", "a", "--port", 80)
    assert len(srv_values(sandbox)) == 2
    assert ("a.example.test.", "A") in records(sandbox)
    dnssd("leave", "http", "--instance", "web", "--host", "a")
    assert srv_values(sandbox) == ("0 100 80 b.example.test.",)
    assert ("a.example.test.", "A") not in records(sandbox)


def test_txt_data_is_set_kept_and_replaced(dnssd: Command, sandbox: Sandbox) -> None:
    """An explicit --txt replaces the instance's; without it what is there stays."""
    join(dnssd, "a", "--address", "10.0.0.1", "--txt", "version=1", "--txt", "flag")
    assert records(sandbox)[WEB, "TXT"] == ('"version=1" "flag"',)
    join(dnssd, "b", "--address", "10.0.0.2")
    assert records(sandbox)[WEB, "TXT"] == ('"version=1" "flag"',)
    join(dnssd, "b", "--address", "10.0.0.2", "--txt", "version=2", "--txt", "empty=")
    assert records(sandbox)[WEB, "TXT"] == ('"version=2" "empty="',)


def test_a_target_of_its_own_gets_no_address(dnssd: Command, sandbox: Sandbox) -> None:
    """The member record stands under this host's name; no A and no host record is written."""
    told = dnssd("join", "http", "--instance", "web", "--port", 80, "--target", "db.example.org",
                 "--json")  # fmt: skip
    assert told.json["member"] == "i-0123456789abcdef0-80"
    assert srv_values(sandbox) == ("0 100 80 db.example.org.",)
    assert not [key for key in records(sandbox) if key[1] == "A"]
    dnssd("join", "http", "--instance", "web", "--port", 80, "--target", "db2.example.org")
    assert srv_values(sandbox) == ("0 100 80 db2.example.org.",)
    assert dnssd("leave", "http", "--instance", "web").code == 0
    assert srv_values(sandbox) == ()


def test_an_instance_name_may_be_any_text(dnssd: Command, sandbox: Sandbox) -> None:
    """Spaces, dots, accents: found again by DNS."""
    name = "Café · v1.2"
    told = dnssd("join", "http", "--instance", name, "--port", 80, "--host", "a",
                 "--address", "10.0.0.1", "--json")  # fmt: skip
    assert told.json["name"] == r"Café · v1\.2._http._tcp.example.test."
    found = dnssd("lookup", f"{name}._http._tcp", "--json").json
    assert found["instances"][0]["instance"] == name
    assert dnssd("browse", "http").out.strip() == name


def test_foreign_values_survive(dnssd: Command, sandbox: Sandbox) -> None:
    """Values, TTLs and PTR records of other hands are there before, between and after."""
    put(sandbox, WEB, "SRV", "5 5 8080 other.example.org.")
    put(sandbox, "_http._tcp.example.test", "PTR", "hand._http._tcp.example.test.")
    put(sandbox, "a.example.test", "A", "10.0.0.1")
    assert join(dnssd, "a", "--address", "10.0.0.1").code == 0
    assert srv_values(sandbox) == ("0 100 80 a.example.test.", "5 5 8080 other.example.org.")
    assert len(records(sandbox)["_http._tcp.example.test.", "PTR"]) == 2
    status = dnssd("status", "http", "--instance", "web")
    assert "unexplained: 5 5 8080 other.example.org." in status.out
    assert dnssd("leave", "http", "--instance", "web", "--host", "a").code == 0
    assert srv_values(sandbox) == ("5 5 8080 other.example.org.",)
    assert records(sandbox)["a.example.test.", "A"] == ("10.0.0.1",)


def test_records_of_the_service_itself_are_shown_and_used_until_there_is_an_instance(
    dnssd: Command, sandbox: Sandbox
) -> None:
    """Clients find hand-written SRV records, so `status` does, too."""
    put(sandbox, "_http._tcp.example.test", "SRV", "0 0 80 old.example.test.")
    put(sandbox, "old.example.test", "A", "10.0.0.9")
    line = "unexplained: 0 0 80 old.example.test."

    for told in (dnssd("status", "http"), dnssd("status")):
        assert (told.code, told.out.count(line)) == (0, 1)
        assert "clients use them while no instance is offered" in told.out
    assert dnssd("lookup", "http", "--all").out == "10.0.0.9:80\n"

    assert join(dnssd, "a", "--address", "10.0.0.1").code == 0
    (service,) = dnssd("status", "--json").json["services"]
    assert [(each["name"], len(each["members"])) for each in service["instances"]] == [
        ("web._http._tcp.example.test.", 1),
        ("_http._tcp.example.test.", 0),
    ]
    assert "10.0.0.9" not in dnssd("lookup", "http", "--all").out


def test_a_dry_run_shows_each_record_and_changes_none(dnssd: Command, sandbox: Sandbox) -> None:
    """As lines for people, and as before and after for programs."""
    empty = records(sandbox)
    shown = join(dnssd, "a", "--address", "10.0.0.1", "--dry-run")
    assert "+ web._http._tcp.example.test. 60 SRV 0 100 80 a.example.test." in shown.out
    assert "+ a.example.test. 60 A 10.0.0.1" in shown.out
    assert records(sandbox) == empty
    join(dnssd, "a", "--address", "10.0.0.1")
    before = records(sandbox)
    told = join(dnssd, "b", "--address", "10.0.0.2", "--dry-run", "--json").json["changes"]
    assert {
        "name": WEB,
        "type": "SRV",
        "before": ["0 100 80 a.example.test."],
        "after": ["0 100 80 a.example.test.", "0 100 80 b.example.test."],
        "ttl": 60,
    } in told
    left = dnssd("leave", "http", "--instance", "web", "--host", "a", "--dry-run")
    assert "- a.example.test. 60 A 10.0.0.1" in left.out.splitlines()
    again = join(dnssd, "a", "--address", "10.0.0.1", "--dry-run")
    assert again.out == "nothing to change\n"
    assert records(sandbox) == before


def test_another_owners_member_is_refused_unless_taken_over(
    dnssd: Command, sandbox: Sandbox
) -> None:
    """The refusal names owner, since and the option, and writes nothing."""
    join(dnssd, "a", "--address", "10.0.0.1")
    (zone,) = sandbox.zones.zones()
    member = Name.parse(f"a-80.{WEB}")
    host = Name.parse("a.example.test")
    for name in (member, host):
        (rrset,) = (r for r in zone.node(name) if r.rdtype == "TXT")
        text = rrset.texts[0].replace("d6c35c", "b2ba86")
        put(sandbox, str(name), "TXT", text)
    before = records(sandbox)
    refused = join(dnssd, "a", "--address", "10.0.0.1")
    assert refused.code == 4
    assert "ec2/b2ba86/us-east-1/i-0123456789abcdef0 since 20" in refused.err
    assert "--takeover" in refused.err
    assert refused.err.count("\n") == 1
    left = dnssd("leave", "http", "--instance", "web", "--host", "a")
    assert left.code == 4
    assert records(sandbox) == before
    taken = join(dnssd, "a", "--address", "10.0.0.3", "--weight", 9, "--takeover")
    assert taken.code == 0
    assert srv_values(sandbox) == ("0 9 80 a.example.test.",)
    assert dnssd("leave", "http", "--instance", "web", "--host", "a").code == 0
    assert ("a.example.test.", "A") not in records(sandbox)


@pytest.mark.parametrize(
    ("name", "rdtype", "text", "says"),
    [
        ("a.example.test", "A", "10.9.9.9", "10.9.9.9 by another hand, not 10.0.0.1"),
        ("a.example.test", "CNAME", "b.example.test.", "foreign CNAME record"),
        ("a.example.test", "TXT", '"v=spf1 -all"', "foreign TXT record"),
        (f"a-80.{WEB}", "TXT", '"hello"', "foreign TXT record"),
        (WEB, "CNAME", "elsewhere.example.org.", "record of type CNAME"),
    ],
)
def test_what_stands_in_the_way_is_refused(
    dnssd: Command, sandbox: Sandbox, name: str, rdtype: str, text: str, says: str
) -> None:
    """Exit 4, one line that names it, nothing written."""
    put(sandbox, name, rdtype, text)
    before = records(sandbox)
    refused = join(dnssd, "a", "--address", "10.0.0.1")
    assert refused.code == 4
    assert says in refused.err
    assert ("nothing was written" in refused.err) or ("was withdrawn" in refused.err)
    assert refused.err.count("\n") == 1
    assert records(sandbox) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["http", "--port", "0"], "'--port'"),
        (["http", "--port", "65536"], "'--port'"),
        (["http", "--port", "http"], "'--port'"),
        (["http"], "'--port'"),
        (["http", "--port", "80", "--weight", "65536"], "'--weight'"),
        (["http", "--port", "80", "--weight", "-1"], "'--weight'"),
        (["http", "--port", "80", "--priority", "65536"], "'--priority'"),
        (["http", "--port", "80", "--ttl", "0"], "'--ttl'"),
        (["http", "--port", "80", "--ttl", "2147483648"], "'--ttl'"),
        (["http", "--port", "80", "--deadline", "0"], "'--deadline'"),
        (["http", "--port", "80", "--splay", "-1"], "'--splay'"),
        (["abcdefghijklmnop", "--port", "80"], "16 characters; a service name has 1 to 15"),
        (["ht_tp", "--port", "80"], "RFC 6335"),
        (["_http._sctp", "--port", "80"], "_NAME._tcp or _NAME._udp"),
        (["_http._tcp.example.org", "--port", "80"], "its domain is the zone's"),
        (["http", "--port", "80", "--instance", "x" * 64], "64 octets"),
        (["http", "--port", "80", "--instance", "a\x07b"], "control characters"),
        (["http", "--port", "80", "--instance", ""], "0 octets"),
        (["http", "--port", "80", "--host", "x" * 58], "58 octets; at most 57"),
        (["http", "--port", "80", "--host", "a.b"], "one label"),
        (["http", "--port", "80", "--host", "-a"], "one label"),
        (
            ["http", "--port", "80", "--target", "a..b"],
            "target 'a..b': domain name 'a..b': a label is",
        ),
        (["http", "--port", "80", "--target", "."], "nobody offers"),
        (["http", "--port", "80", "--target", "x" * 64], "64 octets"),
        (["http", "--port", "80", "--target", "a.b", "--host", "c"], "exclude each other"),
        (["http", "--port", "80", "--target", "a.b", "--address", "10.0.0.1"], "--address"),
        (["http", "--port", "80", "--txt", "=x"], "TXT key"),
        (["http", "--port", "80", "--txt", "a=1", "--txt", "A=2"], "given twice"),
        (["http", "--port", "80", "--txt", "a=" + "x" * 254], "256 octets; at most 255"),
        (["http", "--port", "80", "--txt", "café=1"], "printable ASCII"),
        (["http", "--port", "80", "--address", "10.0.0.256"], "not an IPv4 or IPv6 address"),
        (["http", "--port", "80", "--address", "224.0.0.1"], "not one that a client can connect"),
        (["http", "--port", "80", "--address", "public"], "address public"),
        (["http", "--port", "80", "--zone", "nope:example.test"], "no provider"),
        (["http", "--port", "80", "--zone", "example.test,id=x"], "an ID looks like"),
        (["http", "--port", "80", "--zone", "example.test,privat=yes"], "unknown key"),
        (["http", "--port", "80", "--zone", "example.test,private=maybe"], "yes or no"),
        (["http", "--port", "80", "--zone", "."], "root"),
        (["http", "--port", "80", "--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    dnssd: Command, sandbox: Sandbox, arguments: list[str], says: str
) -> None:
    """It names what is wrong, and nothing was asked of the zone."""
    before = records(sandbox)
    refused = dnssd("join", *arguments)
    assert refused.code == 2
    assert says in refused.err
    assert refused.err.startswith("dnssd: ")
    assert refused.err.count("\n") == 1
    assert refused.out == ""
    assert records(sandbox) == before


@pytest.mark.parametrize(
    ("zone", "code", "says"),
    [
        ("example.org", 1, "no hosted zone of this name"),
        ("Z0UNKNOWN00", 1, "No hosted zone found with ID"),
    ],
)
def test_an_unknown_zone_is_one_line(dnssd: Command, zone: str, code: int, says: str) -> None:
    """For every command that opens one."""
    for command in (("join", "http", "--port", 80), ("leave", "http"), ("status", "http")):
        refused = dnssd(*command, "--zone", zone)
        assert (refused.code, refused.err.count("\n")) == (code, 1)
        assert says in refused.err


def test_names_that_are_too_long_in_this_zone_are_refused(dnssd: Command) -> None:
    """255 octets is DNS's limit for a name."""
    zone = ".".join(["x" * 60] * 3) + ",id=Z0123456789ABC"
    refused = dnssd("join", "http", "--zone", zone, "--port", 80, "--instance", "y" * 60)
    assert refused.code == 2
    assert "at most 255" in refused.err


def test_a_malformed_variable_is_named(dnssd: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a usage error; a Kubernetes service link is ignored with a warning instead."""
    monkeypatch.setenv("DNSSD_JOIN_PORT", "eighty")
    refused = dnssd("join", "http")
    assert (refused.code, "DNSSD_JOIN_PORT" in refused.err) == (2, True)
    monkeypatch.setenv("DNSSD_JOIN_PORT", "tcp://10.0.0.1:80")
    ignored = dnssd("join", "http", "--port", "80")
    assert ignored.code == 0
    missing = dnssd("join", "http")
    assert missing.code == 2
    assert "DNSSD_JOIN_PORT: ignored" in missing.err


def test_every_option_may_come_from_the_environment(
    dnssd: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option beats its variable, the specific variable the shared one; lines repeat."""
    for key, value in {
        "DNSSD_JOIN_ZONE": f"example.test,id={sandbox.zone_id}",
        "DNSSD_ZONE": "example.org",
        "DNSSD_JOIN_PORT": "80",
        "DNSSD_JOIN_INSTANCE": "web",
        "DNSSD_JOIN_HOST": "a",
        "DNSSD_JOIN_ADDRESS": "10.0.0.1\n2001:db8::1",
        "DNSSD_JOIN_TXT": "a=1\nb=two words",
        "DNSSD_JOIN_WEIGHT": "5",
        "DNSSD_JOIN_JSON": "1",
    }.items():
        monkeypatch.setenv(key, value)
    told = dnssd("join", "http", "--weight", "6")
    assert told.json["member"] == "a-80"
    assert srv_values(sandbox) == ("0 6 80 a.example.test.",)
    assert records(sandbox)[WEB, "TXT"] == ('"a=1" "b=two words"',)
    assert records(sandbox)["a.example.test.", "AAAA"] == ("2001:db8::1",)


def test_waiting_returns_once_the_change_is_served(dnssd: Command, sandbox: Sandbox) -> None:
    """INSYNC at Route 53, and seen at the name server that was given."""
    told = join(dnssd, "a", "--address", "10.0.0.1", "--wait", "--nameserver", sandbox.nameserver)
    assert told.code == 0
    assert "GetChange" in {exchange.action for exchange in sandbox.api.requests()}
    again = join(dnssd, "a", "--address", "10.0.0.1", "--wait", "--json")
    assert again.json["zones"][0]["changed"] is False
    left = dnssd("leave", "http", "--instance", "web", "--host", "a", "--wait")
    assert left.code == 0


def test_a_join_waits_for_its_checks(dnssd: Command, sandbox: Sandbox) -> None:
    """Where one does not pass nothing is written, and what it said is told."""
    with socket.create_server(("127.0.0.1", 0)) as web:
        there = f"tcp://127.0.0.1:{web.getsockname()[1]}"
        address = ("--address", "10.0.0.1")
        said = join(dnssd, "a", *address, "--check", there, "--check=exec:sh -c 'echo no; exit 3'")
        assert said.code == 1
        assert "exit code 3 no: nothing was written" in said.err
        assert (WEB, "SRV") not in records(sandbox)
        assert join(dnssd, "a", *address, "--check", there, "--wait-healthy", 5).code == 0
    assert join(dnssd, "b", "--address=10.0.0.2", "--check", there).code == 1
    assert join(dnssd, "b", "--check=ping:x").code == 2


def test_a_leave_drains_first(dnssd: Command, sandbox: Sandbox) -> None:
    """Last of all and without weight, for the time that clients may need, or what it is given."""
    join(dnssd, "a", "--address", "10.0.0.1")
    join(dnssd, "b", "--address", "10.0.0.2")
    left = dnssd("leave", "http", "--instance=web", "--host=a", "--drain=0.5", "-v")
    assert (left.code, srv_values(sandbox)) == (0, ("0 100 80 b.example.test.",))
    assert left.err.index(f"changed SRV {WEB}") < left.err.index("clients may still come")
    assert left.err.count(f"changed SRV {WEB}") == 2
    assert dnssd("leave", "http", "--instance=web", "--host=c", "--drain=9").code == 0


def test_status_reports_members_states_and_what_is_odd(dnssd: Command, sandbox: Sandbox) -> None:
    """Unexplained and doubled values, foreign records; a table that a person reads."""
    join(dnssd, "a", "--address", "10.0.0.1", "--weight", 5)
    values = ("0 5 80 a.example.test.", "0 9 80 a.example.test.", "1 1 1 other.example.org.")
    put(sandbox, WEB, "SRV", *values)
    told = dnssd("status", "http", "--instance", "web", "--json").json
    assert told["name"] == WEB
    (member,) = told["members"]
    assert member.pop("since").endswith("Z")
    assert member == {
        "member": "a-80",
        "owner": "ec2/d6c35c/us-east-1/i-0123456789abcdef0",
        "state": "up",
        "published": True,
        "until": None,
        "target": "a.example.test.",
        "port": 80,
        "priority": 0,
        "weight": 5,
        "addresses": ["10.0.0.1"],
    }
    assert told["unexplained"] == ["1 1 1 other.example.org."]
    assert told["doubled"] == ["0 5 80 a.example.test.", "0 9 80 a.example.test."]
    join(dnssd, "a", "--address", "10.0.0.1", "--weight", 5)
    assert srv_values(sandbox) == ("0 5 80 a.example.test.", "1 1 1 other.example.org.")
    assert dnssd("status", "http", "--instance", "nobody").code == 3


def test_a_long_negative_ttl_is_pointed_out(dnssd: Command, sandbox: Sandbox) -> None:
    """By status, and by the join that defines the service; it names what to change."""
    quiet = join(dnssd, "a", "--address", "10.0.0.1")
    assert quiet.err == ""
    soa = "ns-1.sandbox.test. hostmaster.sandbox.test. 1 7200 900 1209600 86400"
    put(sandbox, "example.test", "SOA", soa, ttl=900)
    assert "900 s; set the TTL" in dnssd("status", "http", "--instance", "web").err
    first = dnssd("join", "db", "--port", 1, "--host", "a", "--address", "10.0.0.1")
    assert "900 s; set the TTL" in first.err
    further = dnssd("join", "db", "--port", 1, "--host", "b", "--address", "10.0.0.2")
    assert further.err == ""


def test_a_name_that_stops_octodns_is_pointed_out(dnssd: Command) -> None:
    """Once: by the join that defines the instance."""
    odd = ("join", "db", "--port", 1, "--host", "a", "--address", "10.0.0.1", "--instance", "Café")
    assert "octodns stops" in dnssd(*odd).err
    assert dnssd(*odd).err == ""


def test_verbose_tells_each_record_and_json_logs_are_json(dnssd: Command) -> None:
    """On stderr; stdout stays the result alone."""
    told = join(dnssd, "a", "--address", "10.0.0.1", "-v", "--log-format", "json", "--json")
    assert told.json["member"] == "a-80"
    lines = [json.loads(line) for line in told.err.splitlines()]
    assert {"created A a.example.test."} <= {line["message"] for line in lines}


def test_the_deadline_bounds_a_join(
    dnssd: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API that cannot be reached: exit 1, what is true, what to check."""
    sandbox.api.close()
    failed = join(dnssd, "a", "--address", "10.0.0.1", "--deadline", "0.2")
    assert failed.code == 1
    assert "nothing was written" in failed.err
    assert failed.err.count("\n") == 1


@pytest.mark.parametrize("foreign", [310, 400])
def test_a_calm_leave_takes_four_requests_however_long_the_listing(
    sandbox: Sandbox, dnssd: Command, foreign: int
) -> None:
    """A second page is no sign of throttling: two pages, the host's name, one batch."""
    join(dnssd, "a")
    changes = [
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": f"note{number}.{WEB}",
                "Type": "TXT",
                "TTL": 60,
                "ResourceRecords": [{"Value": '"by hand"'}],
            },
        }
        for number in range(foreign)
    ]
    client: Any = boto3.client("route53")
    client.change_resource_record_sets(
        HostedZoneId=sandbox.zone_id, ChangeBatch={"Changes": changes}
    )

    left = dnssd("leave", "http", "--instance", "web", "--host", "a", "--json")

    assert (left.code, left.json["zones"][0]["requests"]) == (0, 4)


def test_a_host_that_only_itself_reaches_is_told(
    dnssd: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each client would connect to itself; where all of DNS is on one machine, that is meant."""
    monkeypatch.delenv("DNSSD_NAMESERVER", raising=False)
    for address in ("127.0.0.1", "::1", "169.254.7.7"):
        told = join(dnssd, "a", "--address", address, "--takeover")
        assert f"address {address}: it leads each client to itself" in told.err
    monkeypatch.setenv("DNSSD_NAMESERVER", sandbox.nameserver)
    assert join(dnssd, "b", "--address", "127.0.0.1").err == ""


def test_a_delegated_name_is_told(dnssd: Command, sandbox: Sandbox) -> None:
    """By join and by status: clients are sent elsewhere, and see nothing of what is joined."""
    put(sandbox, "_tcp.example.test", "NS", "dc1.example.test.")
    expected = "_tcp.example.test.: delegated to other name servers"

    assert expected in join(dnssd, "a", "--address", "10.0.0.1").err
    assert expected in dnssd("status", "http", "--instance", "web").err
    assert expected in dnssd("status").err


def test_status_has_two_shapes(dnssd: Command) -> None:
    """One instance; or a service's, or all services of the zone, with their TXT data."""
    join(dnssd, "a", "--address", "10.0.0.1", "--txt", "version=1")
    dnssd("join", "db", "--port", 1, "--host", "a", "--address", "10.0.0.1")

    one = dnssd("status", "web._http._tcp", "--json").json
    service = dnssd("status", "http", "--json").json
    zone = dnssd("status", "--json").json

    assert set(one) == {"name", "members", "unexplained", "doubled"}
    assert service["services"] == [
        {"service": "_http._tcp", "instances": [one | {"txt": {"version": "1"}}]}
    ]
    assert [each["service"] for each in zone["services"]] == ["_db._tcp", "_http._tcp"]
    assert zone["services"][1] == service["services"][0]
    assert one["members"][0]["addresses"] == ["10.0.0.1"]
    other = dnssd("status", "http", "--instance", "nobody")
    assert (other.code, "there is 'web'" in other.err) == (3, True)
    assert dnssd("status", "ftp").code == 3
    assert dnssd("status", "web._http._tcp.example.org").code == 2


def test_a_member_without_its_address_is_told(dnssd: Command, sandbox: Sandbox) -> None:
    """Somebody has removed the record: no client can connect."""
    join(dnssd, "a", "--address", "10.0.0.1")
    (record,) = [
        rrset
        for rrset in sandbox.zones.zone(sandbox.zone_id).rrsets
        if (str(rrset.name), rrset.rdtype) == ("a.example.test.", "A")
    ]
    sandbox.zones.change(sandbox.zone_id, [Edit(Action.DELETE, record)])

    told = dnssd("status", "web._http._tcp")

    assert "a.example.test.: no address record" in told.err
    assert dnssd("status", "web._http._tcp", "--json").json["members"][0]["addresses"] == []


def test_leave_names_the_other_instances(dnssd: Command) -> None:
    """Where no instance was named and there is none of this host in the default one."""
    join(dnssd, "a", "--address", "10.0.0.1")

    told = dnssd("leave", "http", "--host", "a", "--json")

    assert (told.code, told.json["elsewhere"]) == (0, ["web"])
    assert "a member of other instances: 'web'" in told.err
    assert dnssd("leave", "http", "--host", "a", "--instance", "web", "--json").json["members"]


def test_a_changed_host_name_finds_its_member(
    dnssd: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leave is that of the host that joined, whatever it is called by now."""
    name = ["vm-a"]
    monkeypatch.setitem(plain.facts.__kwdefaults__ or {}, "hostname", lambda: name[0])
    web = ("http", "--cloud", "plain", "--instance", "web")
    assert dnssd("join", *web, "--port", 80, "--address", "10.0.0.1").code == 0
    name[0] = "vm-b"

    assert dnssd("leave", *web, "--json").json["members"] == ["vm-a-80"]
    assert dnssd("join", *web, "--port", 80, "--address", "10.0.0.1", "--json").json["member"] == (
        "vm-b-80"
    )
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
    gone = ("leave", "http", "--instance", "web", "--cloud", "ec2", "--deadline", "20")
    assert dnssd(*gone, "--json").json["members"] == ["vm-b-80"]  # no metadata service is needed


def test_pods_of_one_name_do_not_meet(dnssd: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clusters and two namespaces, one zone: nobody replaces anybody."""
    monkeypatch.delenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("POD_NAME", "web-0")
    for number, (region, namespace) in enumerate(
        [("eu-west-1", "default"), ("us-east-1", "default"), ("us-east-1", "staging")]
    ):
        for variable, value in (("REGION", region), ("NAMESPACE", namespace)):
            monkeypatch.setenv(f"POD_{variable}", value)
        monkeypatch.setenv("POD_IP", f"10.{number}.0.5")
        assert dnssd("join", "http", "--instance", "web", "--port", 80).code == 0

    members = dnssd("status", "web._http._tcp", "--json").json["members"]
    assert [each["addresses"][0] for each in members if each["published"]] == [
        each["addresses"][0] for each in members
    ]
    assert {each["addresses"][0] for each in members} == {"10.0.0.5", "10.1.0.5", "10.2.0.5"}
    assert dnssd("leave", "http", "--instance", "web", "--json").json["members"] != []
    assert len(dnssd("status", "web._http._tcp", "--json").json["members"]) >= 2


def test_force_takes_a_dead_host_out_from_anywhere(sandbox: Sandbox, dnssd: Command) -> None:
    """The caller's own records stay, and so does what it knows of itself."""
    join(dnssd, "alive")
    before = records(sandbox)
    join(dnssd, "dead", "--address", "10.0.0.66", "--cloud", "plain")
    refused = dnssd("leave", "http", "--instance", "web", "--host", "dead", "--cloud", "ec2")

    left = dnssd("leave", "http", "--instance", "web", "--host", "dead", "--force", "--json")

    assert refused.code == 4
    assert "--force" in refused.err
    assert (left.code, left.json["members"]) == (0, ["dead-80"])
    assert records(sandbox) == before


def test_force_needs_a_host(dnssd: Command) -> None:
    """It would take this host itself out, whoever owns it."""
    refused = dnssd("leave", "http", "--instance", "web", "--force")

    assert (refused.code, refused.out) == (2, "")
    assert "--force needs --host" in refused.err


def test_uninstalling_tells_one_shape_before_and_after(dnssd: Command, sandbox: Sandbox) -> None:
    """With --yes and without: a script reads both with the same words."""
    join(dnssd, "a", "--address", "10.0.0.1")

    shown = dnssd("uninstall-records", "http", "--json").json
    done = dnssd("uninstall-records", "http", "--yes", "--limit", "1", "--json").json

    assert set(shown) == set(done) == {"name", "done", "changes", "stayed", "zones"}
    assert (shown["done"], done["done"]) == (False, True)
    assert shown["changes"] == done["changes"] != []
    assert [each["changed"] for each in (*shown["zones"], *done["zones"])] == [False, True]
    assert srv_values(sandbox) == ()


def test_a_host_joins_again_as_it_had_joined(dnssd: Command, sandbox: Sandbox) -> None:
    """Its zone is made anew, under another ID: everything that it had is there again."""
    assert dnssd("rejoin").code == 3, "nothing has joined here"
    join(dnssd, "a", "--address", "10.0.0.1", "--weight", "7", "--txt", "version=1")
    join(dnssd, "b", "--address", "10.0.0.2", "--port", "81")
    before = records(sandbox)
    assert dnssd("uninstall-records", "http", "--yes", "--limit", "2").code == 0
    assert dnssd("rejoin", "--zone", "Z0123456789ABC").code == 2

    done = dnssd("rejoin", "--zone", f"example.test,id={sandbox.zone_id}")

    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 2
    assert {key: v for key, v in records(sandbox).items() if key[1] != "TXT"} == {
        key: v for key, v in before.items() if key[1] != "TXT"
    }
    assert dnssd("leave", "http", "--instance", "web", "--host", "a", "--port", 80).code == 0
    assert len(dnssd("rejoin").out.splitlines()) == 1, "who has left stays out"


def test_the_runbook_for_a_lost_zone_holds(dnssd: Command, sandbox: Sandbox) -> None:
    """Its commands bring a host back: in the zone as it was, and in another one of that name."""
    old, new = (f"example.com,id={id}" for id in ("Z0123456789ABC", "Z9876543210CBA"))
    for number, address in enumerate((old, new)):
        zone_id = address.partition("id=")[2]
        origin = Name.parse("example.com")
        sandbox.zones.create_zone(origin, caller_reference=f"{number}", zone_id=zone_id)
    host = ("--instance", "web", "--host", "a", "--address", "10.0.0.1")
    dnssd("join", "http", "--zone", old, "--port", 80, *host)
    lines = [line.split()[1:] for line in shell_lines(USER_DATA, "dnssd ")]
    runbook = [words for words in lines if words[0] in ("rejoin", "status")]
    assert [words[0] for words in runbook] == ["rejoin", "rejoin", "status"]
    assert dnssd("uninstall-records", "http", "--zone", old, "--yes", "--limit", 1).code == 0

    again, moved, shown = (dnssd(*words) for words in runbook)

    assert (again.code, moved.code, shown.code) == (0, 0, 0)
    assert again.out.startswith("joined web._http._tcp.example.com. as a-80")
    assert moved.out.startswith("joined web._http._tcp.example.com. as a-80")
    assert "a-80    up     yes" in shown.out


def test_status_tells_whose_lease_has_ended(
    dnssd: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has confirmed it in time; it counts for the others as before."""
    join(dnssd, "a", "--address", "10.0.0.1", "--lease", "60")
    join(dnssd, "b", "--address", "10.0.0.2")
    later = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(status, "datetime", Mock(now=lambda _: later))

    told = dnssd("status", "http", "--instance", "web")

    assert told.code == 0
    assert (
        told.err == "dnssd: lease ended, and not renewed since: a-80; dnssd reap takes these out\n"
    )
