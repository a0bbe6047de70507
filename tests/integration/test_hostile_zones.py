"""Zones that another hand has written into: survived, reported by status, and left as they are."""

import json
from collections.abc import Mapping
from typing import Any

import boto3
import pytest

from dnssd.rrsets import RRset
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.sandbox import Sandbox
from kit.commands import Command
from kit.invariants import state_of

WEB = "web._http._tcp.example.test"
JOIN = ("join", "http", "--instance", "web", "--port", "80", "--host", "a", "--address", "10.0.0.1")
STATUS = ("status", "http", "--instance", "web")
LEAVE = ("leave", "http", "--instance", "web", "--host", "a")
NEWER = (
    '"dnssd=2" "srv=0 9 80 new.example.test." "owner=x" "since=2026-01-01T00:00:00Z" '
    '"id=1" "state=up" "mood=blue"'
)


def put(name: str, rdtype: str, *texts: str, ttl: int = 300, **routing: Any) -> Mapping[str, Any]:
    """An RRset as the API takes it."""
    rrset: dict[str, Any] = {"Name": name, "Type": rdtype, **routing}
    if "AliasTarget" not in routing:
        rrset |= {"TTL": ttl, "ResourceRecords": [{"Value": text} for text in texts]}
    return {"Action": "UPSERT", "ResourceRecordSet": rrset}


def write(sandbox: Sandbox, *changes: Mapping[str, Any]) -> None:
    """Make changes by another hand."""
    client: Any = boto3.client("route53")
    batch = {"Changes": list(changes)}
    client.change_resource_record_sets(HostedZoneId=sandbox.zone_id, ChangeBatch=batch)


def state(sandbox: Sandbox) -> dict[tuple[str, str], tuple[str, ...]]:
    """The zone as text, to the letter."""
    (zone,) = sandbox.zones.zones()

    def texts(rrset: RRset) -> tuple[str, ...]:
        return (str(rrset.ttl), *sorted(rrset.texts()))

    return {(str(name), rdtype): texts(r) for (name, rdtype), r in state_of(zone).items()}


@pytest.mark.parametrize(
    ("changes", "code", "reported"),
    [
        pytest.param(
            [put(WEB, "SRV", "0 7 8080 Other.Example.ORG", "1 1 1 .")],
            0,
            ["unexplained: 0 7 8080 Other.Example.ORG.", "unexplained: 1 1 1 ."],
            id="values in other words",
        ),
        pytest.param(
            [put(f"a-80.{WEB}", "TXT", '"not ours"')],
            4,
            [f"foreign: a-80.{WEB}.  TXT"],
            id="a foreign TXT at the member's name",
        ),
        pytest.param(
            [put(f"b-80.{WEB}", "TXT", '"not ours"', '"either"')],
            0,
            [f"foreign: b-80.{WEB}.  TXT"],
            id="a foreign TXT at another member's name",
        ),
        pytest.param(
            [put(WEB, "CNAME", "elsewhere.example.org.")],
            4,
            [f"foreign: {WEB}.  CNAME"],
            id="a CNAME at the instance's name",
        ),
        pytest.param(
            [
                put(
                    WEB,
                    "SRV",
                    "0 0 1 x.example.org.",
                    SetIdentifier="one",
                    Weight=1,
                )
            ],
            4,
            [f"foreign: {WEB}. weighted SRV"],
            id="a weighted RRset at it",
        ),
        pytest.param(
            [
                put("other.example.test", "SRV", "0 0 1 x.example.org."),
                put(
                    WEB,
                    "SRV",
                    AliasTarget={
                        "HostedZoneId": "ZONE",
                        "DNSName": "other.example.test.",
                        "EvaluateTargetHealth": False,
                    },
                ),
            ],
            4,
            [f"foreign: {WEB}. alias SRV"],
            id="an alias at it",
        ),
        pytest.param(
            [put(f"new-80.{WEB}", "TXT", NEWER), put(WEB, "SRV", "0 9 80 new.example.test.")],
            0,
            ["new-80  up     yes"],
            id="a member of a newer format",
        ),
        pytest.param(
            [put("\\127\\105\\102._HTTP._tcp.example.test", "TXT", '"by=hand"')],
            0,
            ["no members"],
            id="an escaped name in capitals",
        ),
    ],
)
def test_what_another_hand_wrote_is_survived_reported_and_left(
    dnssd: Command, sandbox: Sandbox, changes: list[Any], code: int, reported: list[str]
) -> None:
    """The join works beside it or refuses in one line; in the end all is as it was."""
    for change in changes:
        alias = change["ResourceRecordSet"].get("AliasTarget")
        if alias:
            alias["HostedZoneId"] = sandbox.zone_id
    write(sandbox, *changes)
    before = state(sandbox)
    told = dnssd(*STATUS)
    assert told.code == 0
    for line in reported:
        assert line in told.out
    joined = dnssd(*JOIN)
    assert joined.code == code
    assert joined.err.count("\n") == (1 if code else 0)
    assert before.keys() <= state(sandbox).keys()
    assert dnssd(*LEAVE).code == 0
    after = state(sandbox)
    for key, texts in before.items():
        if key == (f"{WEB}.", "SRV") and code == 0:
            continue  # swapped, and compared by meaning elsewhere
        assert after[key] == texts


def test_four_hundred_values_are_too_many_to_join_and_all_stay(
    dnssd: Command, sandbox: Sandbox
) -> None:
    """The limit is told with the way out, and nothing of the host is left behind."""
    write(sandbox, put(WEB, "SRV", *(f"0 0 {port} x.example.org." for port in range(1, 401))))
    before = state(sandbox)
    refused = dnssd(*JOIN)
    assert refused.code == 4
    assert "second instance" in refused.err
    assert state(sandbox) == before
    told = json.loads(dnssd(*STATUS, "--json").out)
    assert len(told["unexplained"]) == 400


def test_ten_thousand_unrelated_records_cost_no_further_request(
    dnssd: Command, sandbox: Sandbox
) -> None:
    """A listing begins at the instance's name, wherever that is in the zone."""
    (zone,) = sandbox.zones.zones()
    labels = ["a-0", "webb", "w", "zz", "0"]
    for start in range(0, 9_900, 900):
        edits = [
            Edit(
                Action.CREATE,
                HostedRRset(
                    zone.origin.child(f"{labels[n % 5]}{n}".encode(), b"_http", b"_tcp"),
                    "TXT",
                    60,
                    ('"x"',),
                ),
            )
            for n in range(start, start + 900)
        ]
        sandbox.zones.change(zone.id, edits)
    assert dnssd(*JOIN).code == 0
    before = sandbox.api.count()
    again = ("--host", "b", "--address", "10.0.0.2", "--zone", f"example.test,id={zone.id}")
    assert dnssd(*JOIN, *again).code == 0
    assert sandbox.api.count() - before == 3


def test_ttls_changed_by_hand_stay_changed(dnssd: Command, sandbox: Sandbox) -> None:
    """Of the shared RRset and of the own records, which are swapped as they are found."""
    assert dnssd(*JOIN).code == 0
    own = [key for key in state(sandbox) if key[1] in ("SRV", "TXT", "A")]
    texts = state(sandbox)
    write(sandbox, *(put(name, rdtype, *texts[name, rdtype][1:], ttl=7) for name, rdtype in own))
    assert dnssd(*JOIN, "--weight", "9").code == 0
    assert {key: texts[0] for key, texts in state(sandbox).items() if key in own} == dict.fromkeys(
        own, "7"
    )
    assert dnssd(*LEAVE).code == 0
    assert {key[1] for key in state(sandbox)} == {"PTR", "TXT"}


def test_a_service_that_is_not_in_the_list_of_services_is_told(
    dnssd: Command, sandbox: Sandbox
) -> None:
    """The list may be full, or somebody has taken it out; joined and shown it is all the same."""
    others = [f"_s{number}._tcp.example.test." for number in range(400)]
    write(sandbox, put("_services._dns-sd._udp.example.test", "PTR", *others))
    for command in (JOIN, ("status", "http")):
        done = dnssd(*command)
        assert done.code == 0
        assert done.err.count("not in the list of services") == 1
        assert "400 values" in done.err
    assert dnssd(*LEAVE).code == 0
    assert "list of services" not in dnssd("status").err, "nobody offers it"


def test_uninstalling_shows_first_and_removes_then(dnssd: Command, sandbox: Sandbox) -> None:
    """Without --yes nothing changes; with it only what is foreign is left."""
    write(sandbox, put("_http._tcp.example.test", "PTR", "hand._http._tcp.example.test."))
    foreign = state(sandbox)
    assert dnssd(*JOIN).code == 0
    before = state(sandbox)
    shown = dnssd("uninstall-records", "http")
    assert shown.code == 0
    assert "- web._http._tcp.example.test. 60 SRV 0 100 80 a.example.test." in shown.out
    assert state(sandbox) == before
    changes = json.loads(dnssd("uninstall-records", "http", "--json").out)["changes"]
    assert {change["type"] for change in changes} == {"PTR", "SRV", "TXT", "A"}
    assert "--limit 1: 1 members are up" in shown.err
    refused = dnssd("uninstall-records", "http", "--yes")
    assert refused.code == 4
    assert "a-80" in refused.err
    assert dnssd("uninstall-records", "http", "--yes", "--limit", "1").code == 0
    enumeration = ("_services._dns-sd._udp.example.test.", "PTR")
    left = state(sandbox)
    assert left.pop(enumeration), "the service has an instance still, by another hand"
    assert left == foreign
    assert "no records" in dnssd("uninstall-records", "http", "--yes").out
