"""The sandbox on a bad day, as its clients see it: throttled, busy, broken, cut off, late."""

import contextlib
import http.client
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

from dnssd import Registration, open_zone
from dnssd.cli.main import run
from dnssd.registration import joining, leaving
from dnssd.registration.operation import Operation
from dnssd.sandbox.api import counts
from dnssd.sandbox.api import server as api_module
from dnssd.sandbox.api.exchange import Request, Wrap
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.server import Api
from dnssd.sandbox.faults.busy import BusyZones, keep_busy
from dnssd.sandbox.faults.injected import Dice, Fault, Mishap, inject, parse_faults
from dnssd.sandbox.faults.rate import Bucket, limit
from dnssd.sandbox.sandbox import Sandbox
from kit.interleaving import patient
from kit.invariants import INSTANCE, ORIGIN
from kit.route53 import SIGNED, batch, rrset_path

PATIENCE = 30  # seconds until a test gives up; nothing waits that long
UPSERT = batch(("UPSERT", "a.example.test", "A", "10.0.0.1"))
RATE_IS_1 = limit(Bucket(1, 1, lambda: 0.0))  # and the time stands still


class _Loaded(Dice):
    """Dice that show what they are told, one after the other, and then nothing."""

    def __init__(self, *mishaps: Mishap | None) -> None:
        self._left = list(mishaps)

    def throw(self) -> Mishap | None:
        return self._left.pop(0) if self._left else None


def _faulty(*mishaps: Mishap | None, sleep: Callable[[float], None] = lambda _: None) -> Wrap:
    return inject(_Loaded(*mishaps), sleep)


@contextlib.contextmanager
def _connected(sandbox: Sandbox) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(sandbox.host, sandbox.api.port, timeout=PATIENCE)
    with contextlib.closing(connection):
        yield connection


def _ask(
    connection: http.client.HTTPConnection, sandbox: Sandbox, body: str = UPSERT
) -> tuple[int, str]:
    """Send a change; the status and body of the answer."""
    connection.request("POST", rrset_path(sandbox.zone_id), body, SIGNED)
    response = connection.getresponse()
    return response.status, response.read().decode()


def _counts(sandbox: Sandbox) -> Any:
    """As a client without credentials reads them."""
    with _connected(sandbox) as connection:
        connection.request("GET", counts.PATH)
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Type")) == (200, "application/json")
        return json.loads(response.read())


def _changes(sandbox: Sandbox) -> int:
    return len(sandbox.zones.log())


@contextlib.contextmanager
def _client(sandbox: Sandbox) -> Iterator[Any]:
    client = boto3.client(
        "route53",
        endpoint_url=sandbox.api_url,
        region_name="us-east-1",
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    with contextlib.closing(client):
        yield client


def test_boto3_understands_that_it_is_throttled() -> None:
    """The error code and message that its retries look for."""
    with Sandbox(wraps=[RATE_IS_1]) as sandbox, _client(sandbox) as client:
        client.list_hosted_zones()
        with pytest.raises(ClientError) as caught:
            client.list_hosted_zones()

    assert caught.value.response["Error"] == {
        "Type": "Sender",
        "Code": "Throttling",
        "Message": "Rate exceeded",
    }
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_boto3_understands_that_a_zone_is_busy() -> None:
    """As an error that the service model knows; nothing is applied."""
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": _record()}]}
    busy = keep_busy(BusyZones(1, lambda: 0.0))
    with Sandbox(wraps=[busy]) as sandbox, _client(sandbox) as client:
        client.change_resource_record_sets(HostedZoneId=sandbox.zone_id, ChangeBatch=batch)
        with pytest.raises(client.exceptions.PriorRequestNotComplete):
            client.change_resource_record_sets(HostedZoneId=sandbox.zone_id, ChangeBatch=batch)
        assert _changes(sandbox) == 1


def _record() -> dict[str, object]:
    return {
        "Name": "a.example.test",
        "Type": "A",
        "TTL": 60,
        "ResourceRecords": [{"Value": "10.0.0.1"}],
    }


@pytest.mark.parametrize(("chance", "changes"), [(0.1, 1), (0.9, 0)])
def test_an_internal_failure_leaves_it_open_what_was_done(chance: float, changes: int) -> None:
    """The connection goes on."""
    mishap = Mishap(Fault.ERROR, chance)
    with Sandbox(wraps=[_faulty(mishap)]) as sandbox, _connected(sandbox) as connection:
        status, body = _ask(connection, sandbox)
        assert (status, "<Code>InternalFailure</Code>" in body) == (500, True)
        assert _changes(sandbox) == changes
        assert _ask(connection, sandbox)[0] == 200


@pytest.mark.parametrize(
    ("mishap", "changes"),
    [(Mishap(Fault.CUT_BEFORE, 0.1), 0), (Mishap(Fault.CUT_AFTER, 0.9), 1)],
)
def test_a_connection_ends_without_an_answer(mishap: Mishap, changes: int) -> None:
    """Before or after the change was made, which the client cannot tell."""
    with Sandbox(wraps=[_faulty(mishap)]) as sandbox, _connected(sandbox) as connection:
        with pytest.raises(http.client.RemoteDisconnected):
            _ask(connection, sandbox)
        assert _changes(sandbox) == changes
        connection.close()
        assert _ask(connection, sandbox)[0] == 200


def test_a_connection_ends_in_the_midst_of_an_answer() -> None:
    """The change is made; the announced length is not reached."""
    mishap = Mishap(Fault.CUT_AFTER, 0.1)
    with Sandbox(wraps=[_faulty(mishap)]) as sandbox, _connected(sandbox) as connection:
        with pytest.raises(http.client.IncompleteRead) as caught:
            _ask(connection, sandbox)
        assert _changes(sandbox) == 1

    assert caught.value.partial.startswith(b"<?xml")
    assert caught.value.expected is not None
    assert abs(caught.value.expected - len(caught.value.partial)) <= 1


@pytest.mark.parametrize(("chance", "error"), [(0.1, ResponseParserError), (0.9, HTTPClientError)])
def test_boto3_tells_a_lost_answer(chance: float, error: type[Exception]) -> None:
    """It takes half an answer for one that it does not understand."""
    wrap = _faulty(Mishap(Fault.CUT_AFTER, chance))
    with Sandbox(wraps=[wrap]) as sandbox, _client(sandbox) as client, pytest.raises(error):
        client.list_hosted_zones()


def test_a_slow_answer_holds_up_nobody_else() -> None:
    """While one client waits, others are answered."""
    others: list[int] = []

    def sleep(seconds: float) -> None:
        with _connected(sandbox) as other:
            others.append(_ask(other, sandbox)[0])

    wrap = _faulty(Mishap(Fault.SLOW, 0.5), sleep=sleep)
    with Sandbox(wraps=[wrap]) as sandbox, _connected(sandbox) as connection:
        assert _ask(connection, sandbox)[0] == 200

    assert others == [200]


def test_the_same_seed_makes_the_same_day() -> None:
    """For one client that asks one thing after the other."""

    def day(seed: int) -> list[int | str]:
        odds = parse_faults("throttle=0.2,error=0.2,cut-before=0.2,cut-after=0.2,slow=0.1")
        wrap = inject(Dice(odds, random.Random(seed)), lambda _: None)
        with Sandbox(wraps=[wrap]) as sandbox:
            return [_outcome(sandbox) for _ in range(60)]

    assert day(1) == day(1) != day(2)


def _outcome(sandbox: Sandbox) -> int | str:
    with _connected(sandbox) as connection:
        try:
            return _ask(connection, sandbox)[0]
        except http.client.HTTPException as error:
            return type(error).__name__


def test_counts_tell_what_became_of_requests() -> None:
    """Reading them needs no credentials, is not counted and never throttled."""
    slow_start = limit(Bucket(1, 3, lambda: 0.0))
    faults = _faulty(None, Mishap(Fault.CUT_BEFORE, 0), Mishap(Fault.THROTTLE, 0))
    with Sandbox(wraps=[slow_start, faults]) as sandbox:
        assert _counts(sandbox)["requests"] == 0
        outcomes = [_outcome(sandbox) for _ in range(5)]
        report = _counts(sandbox)
        assert report == _counts(sandbox)
        assert sandbox.api.count() == 5

    assert outcomes == [200, "RemoteDisconnected", 400, 400, 400]
    assert (report["requests"], report["admitted"], report["throttled"]) == (5, 2, 3)
    assert report["faults"] == {"cut-before": 1, "throttle": 1}
    assert report["by_action"] == {
        "ChangeResourceRecordSets": {"ok": 1, "ConnectionClosed": 1, "Throttling": 3}
    }


def test_only_a_get_reads_the_counts(sandbox: Sandbox) -> None:
    """Anything else asks for an operation, and there is none."""
    with _connected(sandbox) as connection:
        connection.request("POST", counts.PATH, headers=SIGNED)
        assert connection.getresponse().status == 404

    assert _counts(sandbox)["by_action"] == {"none": {"UnknownOperation": 1}}


def test_counts_are_exact_for_longer_than_requests_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log of requests is short, the counts are not."""
    monkeypatch.setattr(api_module, "MAX_REQUESTS", 10)
    api = Api(HostedZones())
    for number in range(11):
        api.answer(Request(str(number), "GET", "/", {}, {}))

    assert len(api.requests()) == 10
    assert api.counts.report()["requests"] == 11


def test_joins_survive_a_bad_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often requests fail, each host is there in the end, once, and then gone."""
    odds = parse_faults("throttle=0.2,error=0.1,cut-before=0.1,cut-after=0.2,slow=0.05")
    wrap = inject(Dice(odds, random.Random(5)), lambda _: None)
    with Sandbox(wraps=[wrap], rng=random.Random(0)) as sandbox:
        for key, value in sandbox.environment().items():
            monkeypatch.setenv(key, value)
        zone = open_zone(f"example.test,id={sandbox.zone_id}")
        for number in range(5):
            joining.join(Operation(zone, patient(3600)), _registration(number).wish_in(ORIGIN))
        served = sandbox.zones.zone(sandbox.zone_id).node(INSTANCE)
        (srv,) = [rrset for rrset in served if rrset.rdtype == "SRV"]
        assert len(srv.texts) == 5
        assert len(_counts(sandbox)["faults"]) >= 3
        for number in range(5):
            departure = _registration(number).departure_in(ORIGIN)
            leaving.leave(Operation(zone, patient(3600)), departure)
        left = sandbox.zones.zone(sandbox.zone_id).node(INSTANCE)
        assert [rrset for rrset in left if rrset.rdtype == "SRV"] == []


def _registration(number: int) -> Registration:
    address = f"10.0.0.{number}"
    return Registration(
        service="http", instance="web", port=80, host=f"h{number}", addresses=[address]
    )


def test_a_change_is_pending_while_its_zone_is_busy() -> None:
    """And in sync once the zone takes the next change."""
    script = """
import boto3, os, time
client = boto3.client("route53")
record = {"Name": "a.example.test", "Type": "A", "TTL": 60,
          "ResourceRecords": [{"Value": "10.0.0.1"}]}
(zone,) = client.list_hosted_zones()["HostedZones"]
batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
made = client.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch=batch)
asked = client.get_change(Id=made["ChangeInfo"]["Id"])
print(made["ChangeInfo"]["Status"], asked["ChangeInfo"]["Status"])
"""
    sandbox = [sys.executable, "-m", "dnssd", "sandbox"]
    for seconds, status in (("600", "PENDING"), ("0", "INSYNC")):
        completed = subprocess.run(
            [*sandbox, "--busy", seconds, "--", sys.executable, "-W", "ignore", "-c", script],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        assert completed.stdout.split() == [status, status]


def test_the_options_work_together() -> None:
    """A command is throttled after its burst, its faults are those of the seed."""
    script = f"""
import json, os, urllib.error, urllib.request
url = os.environ["AWS_ENDPOINT_URL_ROUTE_53"]
def ask(path):
    try:
        request = urllib.request.Request(url + path, headers={SIGNED!r})
        return urllib.request.urlopen(request).read()
    except urllib.error.HTTPError as error:
        error.close()
for _ in range(5):
    ask("/2013-04-01/hostedzone")
print(json.dumps(json.loads(ask("{counts.PATH}"))))
"""
    options = ["--rate", "0.001", "--burst", "3", "--faults", "error=1", "--busy", "1"]

    command = [sys.executable, "-m", "dnssd", "sandbox", *options, "--", sys.executable, "-c"]

    completed = subprocess.run(
        [*command, script], capture_output=True, text=True, timeout=PATIENCE, check=True
    )

    assert completed.stderr == ""
    report = json.loads(completed.stdout)
    assert (report["throttled"], report["faults"]) == (2, {"error": 3})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "0"],
        ["--rate", "x"],
        ["--rate", "nan"],
        ["--rate", "5", "--burst", "0"],
        ["--burst", "5"],
        ["--busy", "-1"],
        ["--faults", "fire=1"],
        ["--faults", "slow=2"],
        ["--faults", ""],
        ["--seed", "x"],
    ],
)
def test_wrong_options_are_one_line_and_code_2(
    arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is started."""
    code = run(["sandbox", *arguments])

    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert re.fullmatch(r"dnssd: .+\n", printed.err)
