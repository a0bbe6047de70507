"""join-address, leave-address and `status NAME`, at Route 53 and at Cloudflare."""

from typing import Any

import pytest

from dnssd.sandbox.sandbox import Sandbox
from kit.cloudflare import Cloudflare
from kit.commands import Command, Ran

WWW = "www.example.test"


@pytest.fixture
def cloudflare(cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch) -> Cloudflare:
    """The double of Cloudflare's API, which commands find; its zone is called as the sandbox's."""
    for key, value in cloudflare.environment().items():
        monkeypatch.setenv(key, value)
    return cloudflare


@pytest.fixture
def dnssd(dnssd: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command on an instance at EC2; the zone is the sandbox's, unless one is given."""
    monkeypatch.setenv("DNSSD_ZONE", f"example.test,id={sandbox.zone_id}")
    monkeypatch.setenv("DNSSD_JOIN_ADDRESS_ADDRESS", "203.0.113.1")
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    return dnssd


def result(ran: Ran) -> Any:
    """The JSON of a command that went well."""
    assert ran.code == 0, ran
    return ran.json


def test_a_host_is_at_a_name_until_it_leaves(dnssd: Command, sandbox: Sandbox) -> None:
    """In three requests each way; status tells who is there."""
    _, planned, _ = dnssd("join-address", WWW, "--dry-run")
    host = "i-0123456789abcdef0"
    assert planned.splitlines()[0].startswith(f"+ {WWW}. 60 A 203.0.113.1")
    assert f'+ {host}.www._dnssd.example.test. 60 TXT "dnssd=1"' in planned

    joined = result(dnssd("join-address", WWW, "--json"))
    assert (joined["name"], joined["members"]) == (f"{WWW}.", [host])
    (zone,) = joined["zones"]
    assert (zone["state"], zone["changed"], zone["requests"]) == ("joined", True, 3)
    assert dnssd("join-address", WWW)[1].startswith(f"had joined already: {WWW}. as {host}: 203")
    assert result(dnssd("join-address", WWW, "--host=b", "--address=192.0.2.2", "--json"))

    status = result(dnssd("status", WWW, "--json"))
    assert [each["member"] for each in status["members"]] == ["b", host]
    assert [each["addresses"] for each in status["members"]] == [["192.0.2.2"], zone["addresses"]]
    assert host in dnssd("status", WWW)[1]

    left = result(dnssd("leave-address", WWW, "--json"))
    assert (left["members"], left["zones"][0]["requests"]) == ([host], 3)
    assert dnssd("leave-address", WWW)[1].startswith(f"no address of this host at {WWW}.")
    code, _, err = dnssd("leave-address", WWW, "--host=b", "--force")
    assert code == 0
    assert f"{WWW}.: no address is left there" in err
    assert dnssd("status", WWW)[0] == 3


def test_a_proxied_address_is_cloudflares(dnssd: Command, cloudflare: Cloudflare) -> None:
    """All of a name or nothing of it is proxied; it needs no more requests."""
    zone = f"--zone=cloudflare:example.test,id={cloudflare.zone_id}"
    proxied = ("join-address", WWW, zone, "--proxied", "--host=a", "--address=8.8.8.8")
    assert result(dnssd(*proxied, "--json"))["zones"][0]["requests"] <= 5
    (record,) = (one for one in cloudflare.records() if one.type == "A")
    assert (record.proxied, record.ttl) == (True, 1)
    assert result(dnssd(*proxied, "--json"))["zones"][0]["changed"] is False

    code, _, err = dnssd("join-address", WWW, zone, "--host=b", "--address=8.8.4.4")
    assert code == 4
    assert "give --proxied" in err
    plain = ("join-address", WWW, zone, "--host=a", "--address=8.8.8.8")
    assert result(dnssd(*plain, "--json"))["zones"][0]["changed"]  # all of it is its own
    assert not any(one.proxied for one in cloudflare.records())
    assert dnssd("leave-address", WWW, zone, "--host=a")[0] == 0
    assert cloudflare.records() == ()


def test_a_host_joins_again_in_each_zone(
    dnssd: Command, sandbox: Sandbox, cloudflare: Cloudflare
) -> None:
    """Two zones of one name are kept apart; what has left is not joined again."""
    places = (
        f"example.test,id={sandbox.zone_id}",
        f"cloudflare:example.test,id={cloudflare.zone_id}",
    )
    zones = [f"--zone={place}" for place in places]
    assert dnssd("join-address", WWW, *zones, "--host=a", "--ttl=90").code == 0
    for record in cloudflare.records():
        cloudflare.remove(record.id)
    assert dnssd("leave-address", WWW, "--host=a", "--force").code == 0

    done = dnssd("rejoin")

    assert (done.code, len(done.out.splitlines())) == (0, 2)
    assert {(r.type, r.ttl) for r in cloudflare.records()} == {("A", 90), ("TXT", 90)}
    assert result(dnssd("status", WWW, "--json"))["members"][0]["addresses"] == ["203.0.113.1"]
    assert dnssd("leave-address", WWW, *zones, "--host=a").code == 0
    assert dnssd("rejoin").code == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("join-address", "www.example.com"), "not in the zone"),
        (("join-address", "_http._tcp.example.test"), "not a name of hosts"),
        (("join-address", WWW, "--proxied"), "nobody there proxies"),
        (("join-address", WWW, "--address=public"), "knows none of this host"),
        (("leave-address", WWW, "--force"), "--force needs --host"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_is_a_usage_error(
    dnssd: Command, arguments: tuple[str, ...], said: str
) -> None:
    """Told before anything is written."""
    code, _, err = dnssd(*arguments)
    assert code == 2
    assert said in err
