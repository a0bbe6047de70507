"""Zones at Cloudflare where something goes wrong: faults, rates, tokens, and other hands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dnssd.cli import hints
from dnssd.deadline import Deadline
from dnssd.errors import Conflict, DeadlineExceeded
from dnssd.records import Txt
from dnssd.rrsets import Change, RRset
from dnssd.zones.cloudflare import zone as zone_module
from dnssd.zones.cloudflare.client import Client
from dnssd.zones.cloudflare.zone import CloudflareZone
from kit.cloudflare import Cloudflare, Fault
from kit.commands import Command, commands
from kit.interleaving import patient
from kit.invariants import INSTANCE, ORIGIN, srv

WEB = ("join", "http", "--instance", "web", "--port", "80", "--host", "a", "--address", "10.0.0.1")
LEAVE = ("leave", "http", "--instance", "web", "--host", "a")
FOUNDED = 7  # records: of a first host with one address
BATCH = 1  # how many requests come before it where the zone's ID is known


@pytest.fixture
def dnssd(
    cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command in the double's zone."""
    for key, value in cloudflare.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("DNSSD_ZONE", f"cloudflare:example.test,id={cloudflare.zone_id}")
    monkeypatch.setenv("DNSSD_NAMESERVER", "127.0.0.1:1")  # hints ask there, and hear nothing
    monkeypatch.setattr(hints, "HINT_SECONDS", 0.01)
    return commands(capsys)


def records(double: Cloudflare) -> list[tuple[str, str]]:
    """Name and type of each record."""
    return sorted((record.name, record.type) for record in double.records())


class Clock:
    """A time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.now += seconds

    def deadline(self, seconds: float) -> Deadline:
        """A deadline by this clock."""
        return Deadline(seconds, monotonic=self, sleep=self.sleep, draw=lambda: 0.5)


@pytest.fixture
def clock() -> Clock:
    """The time."""
    return Clock()


@pytest.fixture
def hurried(clock: Clock) -> Iterator[Cloudflare]:
    """Five calls in a hundred seconds."""
    with Cloudflare(calls=5, window=100, now=clock) as double:
        yield double


def zone_of(double: Cloudflare, clock: Clock, **client: Any) -> CloudflareZone:
    """The double's zone by its ID."""
    token = client.pop("token", double.token)
    made = Client(ORIGIN, token, base_url=double.url, now=clock, **client)
    return CloudflareZone(made, double.zone_id, ORIGIN, now=clock)


def swap(text: str, before: RRset | None = None) -> Change:
    """A change of an own record."""
    return Change(before, RRset(ORIGIN.child(b"h"), "TXT", 60, (Txt((text.encode(),)),)))


def test_no_request_is_sent_beyond_the_rate(hurried: Cloudflare, clock: Clock) -> None:
    """Each answer tells how many are left; one more would block the token for minutes."""
    zone = zone_of(hurried, clock)
    for _ in range(12):
        zone.read(INSTANCE, "SRV", clock.deadline(1_000))

    assert [exchange.status for exchange in hurried.requests] == [200] * 12
    assert (clock.now, zone.throttled) == (200, 0)
    for _ in range(3):
        zone.read(INSTANCE, "SRV", clock.deadline(1_000))
    with pytest.raises(DeadlineExceeded, match="rate is used up"):
        zone.read(INSTANCE, "SRV", clock.deadline(20))


def test_a_429_is_waited_out_as_long_as_it_says(cloudflare: Cloudflare, clock: Clock) -> None:
    """Others share the rate of the token's user; nothing was done, so it is sent again."""
    zone = zone_of(cloudflare, clock)
    cloudflare.faults += [None, Fault.THROTTLE]

    zone.commit([swap("1")], clock.deadline(60))

    assert [exchange.status for exchange in cloudflare.requests] == [200, 429, 200]
    assert (clock.now >= 1, zone.throttled) == (True, 1)


@pytest.mark.parametrize("fault", [f for f in Fault if f is not Fault.STALE], ids=lambda f: f.name)
@pytest.mark.parametrize("command", [WEB, LEAVE], ids=lambda command: command[0])
def test_a_batch_that_fails_in_the_middle_is_settled(
    dnssd: Command,
    cloudflare: Cloudflare,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    command: tuple[str, ...],
) -> None:
    """Carried out or not, by a 5xx, a lost connection or a 429: in the end all is there once."""
    monkeypatch.setitem(Deadline.__init__.__kwdefaults__ or {}, "sleep", lambda seconds: None)
    if command is LEAVE:
        assert dnssd(*WEB).code == 0
    cloudflare.faults += [None] * BATCH + [fault]

    ran = dnssd(*command, "--json")

    assert ran.code == 0, ran.err
    assert ran.json["zones"][0]["changed"] is True
    assert len(records(cloudflare)) == len(set(records(cloudflare)))
    assert len(records(cloudflare)) == (FOUNDED if command is WEB else 3)


def test_a_listing_comes_in_pages(
    dnssd: Command, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is read to its end: what stands on the last one is not written again."""
    monkeypatch.setattr(zone_module, "PAGE_SIZE", 5)
    assert dnssd(*WEB).code == 0
    for number in range(20):
        cloudflare.put(type="A", name=f"h{number}.example.test", content="10.9.9.9", ttl=60)

    again = dnssd(*WEB, "--json").json["zones"][0]

    assert (again["changed"], again["requests"]) == (False, 6)


@pytest.mark.parametrize(
    ("can", "sees", "with_id", "expired", "said"),
    [
        (("zone:read", "dns:read", "dns:write"), True, True, True, "9109|Invalid access token"),
        (("zone:read", "dns:read", "dns:write"), False, False, False, "can see no zone of this"),
        (("zone:read", "dns:read", "dns:write"), False, True, False, "needs DNS Write"),
        (("dns:read", "dns:write"), True, False, False, "Zone Read unless ,id= is given"),
        (("zone:read", "dns:read"), True, True, False, "needs DNS Write on this zone"),
    ],
    ids=["expired", "another's zone", "another's ID", "no zone read", "no DNS write"],
)
def test_a_token_that_does_not_do_is_told_and_never_shown(
    dnssd: Command,
    cloudflare: Cloudflare,
    tmp_path: Path,
    can: tuple[str, ...],
    sees: bool,
    with_id: bool,
    expired: bool,
    said: str,
) -> None:
    """One line, nothing written, and not a word of the token however much is said."""
    token = cloudflare.add_token(can, None if sees else ())
    if expired:
        cloudflare.expire(token)
    file = tmp_path / "token"
    file.write_text(token)
    zone = f"cloudflare:example.test,token_file={file}"
    zone += f",id={cloudflare.zone_id}" if with_id else ""

    ran = dnssd("-vv", *WEB, "--zone", zone, "--json")

    assert ran.code == 1
    assert any(text in ran.err for text in said.split("|"))
    assert token not in ran.out + ran.err
    assert "nothing was written" in ran.err or not with_id
    assert cloudflare.records() == ()


def test_a_record_that_goes_before_its_deletion_is_no_obstacle(
    cloudflare: Cloudflare, clock: Clock
) -> None:
    """Its ID spoils the batch: it is read again, and the rest is done; an own one is a conflict."""
    zone = zone_of(cloudflare, clock)
    both = RRset(INSTANCE, "SRV", 60, (srv("a"), srv("b")))
    zone.commit([Change(None, both, shared=True), swap("1")], patient())
    zone.read(INSTANCE, "SRV", patient())
    zone.read_node(ORIGIN.child(b"h"), patient())
    first = next(
        record for record in cloudflare.records() if record.content.endswith("a.example.test")
    )
    cloudflare.remove(first.id)

    zone.commit([Change(both, None, shared=True)], patient())

    assert records(cloudflare) == [("h.example.test", "TXT")]
    own = swap("2", swap("1").after)
    zone.read_node(ORIGIN.child(b"h"), patient())
    cloudflare.remove(cloudflare.records()[0].id)
    with pytest.raises(Conflict):
        zone.commit([own], patient())
    assert cloudflare.records() == ()


def test_what_another_hand_overwrites_in_place_is_a_conflict(
    cloudflare: Cloudflare, clock: Clock
) -> None:
    """The ID stays, and the next reading tells: it is not taken for one's own."""
    zone = zone_of(cloudflare, clock)
    zone.commit([swap("1")], patient())
    cloudflare.patch(cloudflare.records()[0].id, content='"other"')

    with pytest.raises(Conflict):
        zone.commit([swap("2", swap("1").after)], patient())
    assert [record.content for record in cloudflare.records()] == ['"other"']


def test_an_explicit_ttl_is_written_once(dnssd: Command, cloudflare: Cloudflare) -> None:
    """Beside older values with another one, which stay as they are."""
    by_hand = {"priority": 0, "weight": 0, "port": 1, "target": "x.example.test"}
    cloudflare.put(type="SRV", name="web._http._tcp.example.test", ttl=300, data=by_hand)

    first, again = (dnssd(*WEB, "--ttl", "60", "--json").json["zones"][0] for _ in range(2))

    assert (first["changed"], again["changed"], again["requests"]) == (True, False, 1)
    assert sorted(r.ttl for r in cloudflare.records() if r.type == "SRV") == [60, 300]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (
            ("--address", "10.0.0.1", "--ttl", "30"),
            4,
            "TTL 30: Cloudflare takes 60 to 86400 seconds; give another --ttl",
        ),
        (("--host", "p", "--address", "8.8.8.8"), 4, "a foreign proxied A record stands"),
        (("--address", "2001:db8::1"), 0, ""),
    ],
    ids=["ttl", "proxied", "ipv6 alone"],
)
def test_what_cloudflare_does_not_take_is_told_before_it_is_sent(
    dnssd: Command, cloudflare: Cloudflare, options: tuple[str, ...], code: int, said: str
) -> None:
    """And nothing is half done."""
    cloudflare.put(type="A", name="p.example.test", content="8.8.8.8", ttl=1, proxied=True)

    ran = dnssd(*WEB[:-2], *options)

    assert (ran.code, said in ran.err) == (code, True), ran
    assert len(cloudflare.records()) == (1 if code else 1 + FOUNDED)


def test_a_target_behind_a_proxy_is_refused(dnssd: Command, cloudflare: Cloudflare) -> None:
    """Nobody reaches another port there; one that is not proxied will do."""
    cloudflare.put(type="A", name="p.example.test", content="8.8.8.8", ttl=1, proxied=True)
    cloudflare.put(type="A", name="q.example.test", content="8.8.4.4", ttl=60)
    target = (*WEB[:-4], "--target")

    refused = dnssd(*target, "p.example.test")

    assert (refused.code, len(cloudflare.records())) == (4, 2)
    assert "its address is proxied" in refused.err
    assert dnssd(*target, "q.example.test").code == 0
