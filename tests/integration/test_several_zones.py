"""join, leave and status in several zones at once: Route 53 beside Cloudflare."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dnssd import Registration, join, open_zone
from dnssd.sandbox.sandbox import Sandbox
from kit.cloudflare import Cloudflare
from kit.commands import Command, Ran
from kit.servers import free_port

WEB = ("http", "--instance", "web")
HOST = ("--host", "a", "--address", "10.0.0.1")


def zones(told: Ran) -> list[tuple[str, bool, str | None]]:
    """State, whether it changed and the kind of error, of each zone."""
    return [
        (each["state"], each["changed"], each["error"] and each["error"]["kind"])
        for each in told.json["zones"]
    ]


@pytest.fixture
def cloudflare(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloudflare]:
    """The double of Cloudflare's API."""
    with Cloudflare(serve=["example.net"]) as double:
        for key, value in double.environment().items():
            monkeypatch.setenv(key, value)
        yield double


@pytest.fixture
def places(sandbox: Sandbox, cloudflare: Cloudflare) -> tuple[str, str]:
    """The addresses of a private zone and of a public one."""
    private = f"example.test,id={sandbox.zone_id},address=10.0.0.1"
    return private, f"cloudflare:example.net,id={cloudflare.zone_id},address=192.0.2.1"


@pytest.fixture
def dnssd(dnssd: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command."""
    monkeypatch.delenv("DNSSD_ZONE")
    return dnssd


def at(*places: str) -> list[str]:
    """Options for zones."""
    return [f"--zone={place}" for place in places]


def test_a_host_joins_each_zone_with_its_own_address_and_leaves_both(
    dnssd: Command, places: tuple[str, str], cloudflare: Cloudflare
) -> None:
    """One line and one entry for each zone; the first zone's name stands above."""
    planned = dnssd("join", *WEB, "--port", 80, "--host", "a", *at(*places), "--dry-run")
    assert planned.code == 0
    assert "A 10.0.0.1" in planned.out
    assert "A 192.0.2.1" in planned.out

    joined = dnssd("join", *WEB, "--port", 80, "--host", "a", *at(*places))
    assert joined.code == 0
    assert joined.out.splitlines() == [
        f"joined web._http._tcp.example.test. as a-80 (5 requests to {places[0]})",
        f"joined web._http._tcp.example.net. as a-80 (3 requests to {places[1]})",
    ]
    again = dnssd("join", *WEB, "--port", 80, "--host", "a", *at(*places), "--json")
    assert zones(again) == [("joined", False, None)] * 2
    assert (again.json["name"], again.json["member"]) == ("web._http._tcp.example.test.", "a-80")

    status = dnssd("status", *WEB, *at(*places), "--json").json["zones"]
    assert [each["members"][0]["addresses"] for each in status] == [["10.0.0.1"], ["192.0.2.1"]]

    left = dnssd("leave", *WEB, "--host", "a", *at(*places), "--json")
    assert zones(left) == [("left", True, None)] * 2
    assert left.json["members"] == ["a-80"]
    assert not any(record.type == "SRV" for record in cloudflare.records())


def test_one_zone_that_fails_stops_no_other(
    dnssd: Command, places: tuple[str, str], cloudflare: Cloudflare
) -> None:
    """Exit code 1, and what is true in each zone, for people and programs."""
    cloudflare.expire(cloudflare.token)
    arguments = ("join", *WEB, "--port", 80, "--host", "a", "--deadline", 5)

    told = dnssd(*arguments, *at(*places))
    assert told.code == 1
    assert told.out.startswith("joined web._http._tcp.example.test. as a-80")
    assert f"dnssd: {places[1]}: " in told.err
    assert told.err.splitlines()[-1] == "dnssd: 1 of 2 zones: the lines above say why"
    again = dnssd(*arguments, *at(*places), "--json")
    assert again.code == 1
    assert zones(again) == [("joined", False, None), ("nothing written", False, "AccessDenied")]
    assert cloudflare.token not in told.err + again.out + again.err


def test_a_zone_that_is_away_is_tried_to_the_deadline(
    dnssd: Command, places: tuple[str, str]
) -> None:
    """And the other one has joined by then."""
    away = f"rfc2136:example.org,server=127.0.0.1,port={free_port()},unsigned=yes"
    told = dnssd("join", *WEB, "--port", 80, *HOST, *at(away, places[0]), "--deadline=1", "--json")
    assert told.code == 1
    assert zones(told) == [("nothing written", False, "DeadlineExceeded"), ("joined", True, None)]
    assert told.json["name"] == "web._http._tcp.example.test."


def test_where_all_refuse_the_code_says_so(dnssd: Command, places: tuple[str, str]) -> None:
    """Exit code 4, in place of 1; JSON tells of no result, and of each zone."""
    other = Registration(
        service="http", instance="web", port=80, host="other", target="lb.example.com"
    )
    for place in places:
        join(open_zone(place), other)
    told = dnssd("join", *WEB, "--port", 80, "--target=lb.example.com", *at(*places), "--json")
    assert told.code == 4
    assert told.json["error"]["kind"] == "PlaceTaken"
    assert zones(told) == [("refused", False, "PlaceTaken")] * 2


def test_status_tells_what_is_missing_where(dnssd: Command, places: tuple[str, str]) -> None:
    """Nothing in one zone of two is told; nothing in any is exit code 3."""
    assert dnssd("status", *at(*places)).code == 3
    assert dnssd("join", *WEB, "--port", 80, *HOST, *at(places[0])).code == 0
    told = dnssd("status", *WEB, *at(*places))
    assert told.code == 3
    assert "a-80" in told.out
    assert "no such instance in" in told.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("join", *WEB, "--port", "80"), "the same zone as"),
        (("leave", *WEB), "the same zone as"),
        (("status",), "the same zone as"),
        (("uninstall-records", "http"), "2 zones; this command takes one"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_zone_twice_is_a_usage_error(
    dnssd: Command, sandbox: Sandbox, arguments: tuple[str, ...], said: str
) -> None:
    """Before anything is asked, if the addresses tell."""
    zone = f"example.test,id={sandbox.zone_id}"
    told = dnssd(*arguments, *at(zone, f"{sandbox.zone_id},address=public"))
    assert told.code == 2
    assert said in told.err


def test_two_addresses_that_open_one_zone_are_told(dnssd: Command, sandbox: Sandbox) -> None:
    """Where only Route 53 knows that they are one, the second is refused."""
    told = dnssd("join", *WEB, "--port", 80, *HOST, *at("example.test", sandbox.zone_id), "--json")
    assert told.code == 2
    assert sorted(zones(told)) == [
        ("joined", True, None),
        ("nothing written", False, "UsageError"),
    ]


def test_an_interruption_tells_of_each_zone(sandbox: Sandbox, places: tuple[str, str]) -> None:
    """What has joined, and what has not, is told before the command ends."""
    away = f"rfc2136:example.org,server=127.0.0.1,port={free_port()},unsigned=yes"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "dnssd", "-v", "join", *WEB, "--port", "80", *HOST, "--json"),
            *at(places[0], away),
        ],
        env=sandbox.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    waits = 0  # of the other zone, since this one was written: by the second it is done here
    written = False
    for line in process.stderr:
        written = written or "SRV web._http._tcp.example.test." in line
        waits += written and "trying again" in line
        if waits == 2:
            break
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    told = Ran(130, out, err)
    if "zones" in told.json:  # else the answer for the first had not come yet
        assert zones(told)[1] == ("nothing written", False, "Interrupted")
    else:
        assert told.json["error"]["kind"] == "Interrupted"
    assert "interrupted" in err
