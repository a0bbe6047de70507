"""Zones on real servers that take updates: BIND, Knot and PowerDNS."""

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from dnssd import Registration, join, leave, open_zone
from dnssd.cli.main import run
from dnssd.deadline import Deadline
from dnssd.errors import (
    AccessDenied,
    Conflict,
    DeadlineExceeded,
    OutcomeUnknown,
    RRsetFull,
    ZoneError,
    ZoneNotFound,
)
from dnssd.members import Member, parse_time
from dnssd.names import Name
from dnssd.records import Address, Ptr, Rdata, Txt
from dnssd.registration import joining
from dnssd.registration.operation import Operation
from dnssd.rrsets import Change, RRset
from dnssd.zones.rfc2136.connection import Server
from dnssd.zones.rfc2136.keyfile import Key, load_key
from dnssd.zones.rfc2136.zone import Rfc2136Zone
from kit.documents import USER_DATA, blocks
from kit.invariants import INSTANCE, ORIGIN, srv
from kit.primaries import KEY, Primary, bind, knot, powerdns
from kit.servers import HOST, free_port, needs

SERVERS: dict[str, Callable[[], AbstractContextManager[Primary]]] = {
    "bind": bind,
    "knot": knot,
    "powerdns": powerdns,
}
UNREADABLE_BY_POWERDNS = ('q"uo;te', "Grüße 🎉", "$@(x)")  # by 4.7: it answers SERVFAIL
SECOND_HOST = "127.0.0.2"
pytestmark = needs("named", "knotd", "pdns_server", "nsupdate")


@pytest.fixture(params=SERVERS, scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[Primary]:
    """Each server in turn."""
    with SERVERS[request.param]() as primary:
        yield primary


@pytest.fixture
def primary(running: Primary) -> Primary:
    """Each server in turn, its zone as at the start."""
    running.clear()
    return running


@pytest.fixture
def zone(primary: Primary) -> Iterator[Rfc2136Zone]:
    """The zone of each server."""
    zone = zone_at(primary)
    yield zone
    zone.close()


def zone_at(
    primary: Primary,
    key: Key | None = None,
    *,
    timeout: float = 10.0,
    now: Callable[[], float] = time.time,
) -> Rfc2136Zone:
    """A server's zone, with its key or another one."""
    key = key or load_key(str(primary.key_file), None)
    servers = [Server(primary.host, primary.port)]
    return Rfc2136Zone(ORIGIN, servers, key, timeout=timeout, now=now)


@contextmanager
def copied() -> Iterator[tuple[Primary, Primary]]:
    """Knot, and BIND as a secondary server behind it at the same port of another address."""
    with knot(records=["@ NS ns2", f"ns2 A {HOST}"], host=SECOND_HOST) as first:
        copy = f'''zone "{ORIGIN}" {{
            type secondary; file "copy"; primaries {{ {first.host} port {first.port}; }};
        }};'''
        with bind(zone=copy, port=first.port) as second:
            yield first, second


def rrset(name: Name, *values: Rdata, ttl: int = 60) -> RRset:
    """An RRset of values of one type."""
    return RRset(name, values[0].rdtype, ttl, values)


def txt(name: Name, *strings: str, ttl: int = 60) -> RRset:
    """A TXT RRset of one value."""
    return rrset(name, Txt(tuple(string.encode() for string in strings)), ttl=ttl)


def shared(before: RRset | None, after: RRset | None) -> Change:
    """A change of single values."""
    return Change(before, after, shared=True)


def registration(host: str) -> Registration:
    """A host's."""
    return Registration(service="http", instance="web", port=80, host=host, addresses=["10.0.0.1"])


def member(host: str) -> RRset:
    """A member record."""
    made = Member(
        label=f"{host}-80",
        srv=srv(host),
        addresses=(),
        owner=f"name/{host}",
        since=parse_time("2026-11-21T01:00:00Z"),
        id="k3f9",
    )
    return rrset(INSTANCE.child(made.label.encode()), made.to_txt())


def deadline(seconds: float = 20.0) -> Deadline:
    """A deadline that is waited for."""
    return Deadline(seconds, draw=lambda: 0.05)


@pytest.mark.parametrize(
    "label", ["web", "My Web", "a.b\\c", 'q"uo;te', "Grüße 🎉", "$@(x)", "x" * 63]
)
def test_any_instance_name_is_written_and_read_back(
    zone: Rfc2136Zone, primary: Primary, label: str
) -> None:
    """Dots, spaces, quotes and letters of any script, in owner names and in rdata."""
    if primary.program == "pdns_server" and label in UNREADABLE_BY_POWERDNS:
        zone.commit([Change(None, txt(ORIGIN.child(label.encode()), "x"))], deadline())
        with pytest.raises(DeadlineExceeded, match="SERVFAIL"):
            zone.read(ORIGIN.child(label.encode()), "TXT", deadline(0.2))
        return
    name = ORIGIN.child(label.encode()[:63], b"_http", b"_tcp")
    text = txt(name, "path=/", 'a="\\ ü', "")
    zone.commit([Change(None, text), shared(None, rrset(name.parent, Ptr(name)))], deadline())
    assert zone.read(name, "TXT", deadline()) == text
    assert zone.read(name.parent, "PTR", deadline()) == rrset(name.parent, Ptr(name))


def test_an_own_rrset_is_swapped_exactly(zone: Rfc2136Zone, primary: Primary) -> None:
    """It is written if it is as it was read, value for value, and with its TTL."""
    name = ORIGIN.child(b"h")
    first, second = txt(name, "1"), txt(name, "2", ttl=120)
    zone.commit([Change(None, first)], deadline())
    zone.commit([Change(first, second)], deadline())
    assert zone.read(name, "TXT", deadline()) == second
    for stale in (Change(None, first), Change(first, second), Change(first, None)):
        with pytest.raises(Conflict):
            zone.commit([stale], deadline())
    primary.nsupdate("update add h.example.test 60 TXT other")
    with pytest.raises(Conflict):
        zone.commit([Change(second, None)], deadline())
    assert primary.values("h", "TXT") == {'"2"', '"other"'}


def test_a_conflict_writes_nothing_at_all(zone: Rfc2136Zone, primary: Primary) -> None:
    """One stale RRset, one guard or one absence that does not hold: no change is made."""
    there = txt(ORIGIN.child(b"there"), "1")
    zone.commit([Change(None, there)], deadline())
    new = Change(None, txt(ORIGIN.child(b"new"), "1"))
    guard = txt(there.name, "2")
    for changes, absent in (
        ([new, Change(None, there)], []),
        ([new, Change(guard, guard)], []),
        ([new], [(there.name, "TXT")]),
    ):
        with pytest.raises(Conflict):
            zone.commit(changes, deadline(), absent=absent)
    assert primary.values("new", "TXT") == set()
    zone.commit([new, Change(there, there)], deadline(), absent=[(there.name, "SRV")])
    assert primary.values("new", "TXT") == {'"1"'}


def test_shared_values_are_added_and_deleted_one_by_one(
    zone: Rfc2136Zone, primary: Primary
) -> None:
    """Whatever others do meanwhile stays, and nobody conflicts."""
    zone.commit([shared(None, rrset(INSTANCE, srv("a")))], deadline())
    read = zone.read(INSTANCE, "SRV", deadline())
    assert read is not None
    primary.nsupdate(
        "update add web._http._tcp.example.test 60 SRV 0 0 8080 elsewhere.example.test"
    )
    zone.commit([shared(read, read.with_values((*read.values, srv("b"))))], deadline())
    zone.commit([shared(read, None)], deadline())
    assert primary.values("web._http._tcp", "SRV") == {
        "0 0 8080 elsewhere.example.test.",
        "0 100 80 b.example.test.",
    }


def test_a_value_takes_the_ttl_that_its_rrset_has(zone: Rfc2136Zone) -> None:
    """And a value that is added with another one, on purpose, brings it along."""
    zone.commit([shared(None, rrset(INSTANCE, srv("a"), ttl=300))], deadline())
    read = zone.read(INSTANCE, "SRV", deadline())
    assert read is not None
    zone.commit([shared(read, read.with_values((*read.values, srv("b"))))], deadline())
    assert zone.read(INSTANCE, "SRV", deadline()) == rrset(INSTANCE, srv("a"), srv("b"), ttl=300)


def test_an_alias_at_any_written_name_is_a_conflict(zone: Rfc2136Zone, primary: Primary) -> None:
    """Servers would drop the record beside it and say that all went well."""
    primary.nsupdate("update add web._http._tcp.example.test 60 CNAME elsewhere.example.test")
    with pytest.raises(Conflict):
        zone.commit([shared(None, rrset(INSTANCE, srv("a")))], deadline())
    with pytest.raises(Conflict):
        zone.commit([Change(None, txt(INSTANCE, "x"))], deadline())
    (alias,) = zone.read_many([(INSTANCE, "SRV"), (INSTANCE, "TXT")], deadline())
    assert (alias.name, alias.rdtype) == (INSTANCE, "CNAME")
    assert primary.values("web._http._tcp", "CNAME") == {"elsewhere.example.test."}


def test_an_alias_beside_which_something_is_to_be_written_is_read(
    zone: Rfc2136Zone, primary: Primary
) -> None:
    """At a host's name too, where what it leads to is not what stands there."""
    primary.nsupdate("update add h.example.test 60 CNAME ns.example.test")
    (alias,) = zone.read_node(ORIGIN.child(b"h"), deadline())
    assert alias.rdtype == "CNAME"


def test_members_are_found_though_no_server_lists_names(
    zone: Rfc2136Zone, primary: Primary
) -> None:
    """By the index, from the instance, its service and the whole zone."""
    changes = [Change(None, member(host)) for host in ("a", "b")]
    service = INSTANCE.parent
    enumeration = ORIGIN.child(b"_services", b"_dns-sd", b"_udp")
    values = [srv("a"), srv("b"), srv("by-hand")]
    zone.commit(
        [
            *changes,
            shared(None, rrset(INSTANCE, *values)),
            shared(None, rrset(service, Ptr(INSTANCE))),
            shared(None, rrset(enumeration, Ptr(service))),
        ],
        deadline(),
    )
    for start in (INSTANCE, service, service.parent, ORIGIN):
        found = zone.read_below(start, deadline())
        assert {r.name for r in found if r.rdtype == "TXT"} == {m.name for m in map(member, "ab")}
        assert [r for r in found if r.rdtype == "SRV"] == [rrset(INSTANCE, *values)]
        assert not [r for r in found if r.name.labels[0] == b"_members"]


def test_the_index_follows_the_member_records(zone: Rfc2136Zone, primary: Primary) -> None:
    """In the same update, so that they never differ by our hand."""
    index = "_members.web._http._tcp"
    zone.commit(
        [Change(None, member("a")), Change(None, txt(ORIGIN.child(b"h"), "dnssd=1"))], deadline()
    )
    assert primary.values(index, "PTR") == {"a-80.web._http._tcp.example.test."}
    zone.commit([Change(member("a"), None)], deadline())
    assert primary.values(index, "PTR") == set()
    assert primary.names() == {"@", "ns", "h"}


def test_a_member_that_no_index_tells_of_is_asked_for(zone: Rfc2136Zone, primary: Primary) -> None:
    """Its SRV value says where its record would stand."""
    zone.commit([Change(None, member("a")), shared(None, rrset(INSTANCE, srv("a")))], deadline())
    primary.nsupdate("update delete _members.web._http._tcp.example.test PTR")
    assert member("a") in zone.read_below(INSTANCE, deadline())


def test_what_goes_without_members_goes_only_without_them(
    zone: Rfc2136Zone, primary: Primary
) -> None:
    """The definition stays while an index tells of a member; a dangling value does not count."""
    definition = txt(INSTANCE, "version=1")
    zone.commit([Change(None, definition), *(Change(None, member(h)) for h in "ab")], deadline())
    zone.read_below(INSTANCE, deadline())
    with pytest.raises(Conflict):
        zone.commit([Change(definition, None)], deadline(), absent=[(INSTANCE, "SRV")])
    primary.nsupdate(*(f"update delete {h}-80.web._http._tcp.example.test TXT" for h in "ab"))
    zone.read_below(INSTANCE, deadline())
    zone.commit([Change(definition, None)], deadline(), absent=[(INSTANCE, "SRV")])
    assert primary.names() == {"@", "ns"}


def test_many_questions_take_one_round_trip(zone: Rfc2136Zone) -> None:
    """More than are under way at once, too."""
    names = [ORIGIN.child(f"h{number}".encode()) for number in range(100)]
    for first in (0, 50):
        some = names[first : first + 50]
        zone.commit([Change(None, txt(name, name.labels[0].decode())) for name in some], deadline())
    before = zone.requests
    found = zone.read_many([(name, "TXT") for name in names], deadline())
    assert zone.requests == before + 1
    assert [r.values for r in found] == [txt(n, n.labels[0].decode()).values for n in names]


@pytest.mark.parametrize("kill", [False, True], ids=["ended", "killed"])
def test_a_server_that_restarts_has_lost_nothing(
    zone: Rfc2136Zone, primary: Primary, kill: bool
) -> None:
    """What was answered is in its journal; the connection is made anew."""
    zone.commit([Change(None, txt(ORIGIN.child(b"h"), "1"))], deadline())
    primary.restart(kill=kill)
    assert zone.read(ORIGIN.child(b"h"), "TXT", deadline(20)) == txt(ORIGIN.child(b"h"), "1")


def test_a_server_that_is_away_is_waited_for(zone: Rfc2136Zone, primary: Primary) -> None:
    """Until the deadline; what was never sent is sent again."""
    primary.stop()
    try:
        with pytest.raises(DeadlineExceeded, match=r"nothing was sent: .* Connection refused"):
            zone.commit([Change(None, txt(ORIGIN.child(b"h"), "1"))], deadline(0.5))
        with ThreadPoolExecutor() as pool:
            reading = pool.submit(zone.read, ORIGIN.child(b"h"), "TXT", deadline(30))
            primary.start()
            assert reading.result() is None
    finally:
        if not primary.is_running:
            primary.start()


@pytest.mark.parametrize("server", SERVERS)
def test_silence_after_an_update_is_an_unknown_outcome(server: str) -> None:
    """It may have been made; sent again it would be refused as stale, which tells."""
    with SERVERS[server]() as primary:
        zone = zone_at(primary, timeout=0.5)
        change = Change(None, txt(ORIGIN.child(b"h"), "1"))
        zone.read(ORIGIN.child(b"h"), "TXT", deadline())  # the connection is there
        primary.pause()
        with pytest.raises(OutcomeUnknown, match="no answer"):
            zone.commit([change], deadline())
        primary.resume()
        assert zone.read(ORIGIN.child(b"h"), "TXT", deadline()) in (None, change.after)
        zone.close()


class Dying(Rfc2136Zone):
    """A zone whose server dies around the first commit, and comes back."""

    def __init__(self, primary: Primary, when: str) -> None:
        key = load_key(str(primary.key_file), None)
        super().__init__(ORIGIN, [Server(primary.host, primary.port)], key, timeout=0.2)
        self._primary, self._when = primary, when

    def commit(self, *arguments: Any, **more: Any) -> str:
        """See `Zone.commit`."""
        when, self._when = self._when, ""
        if when == "before":
            self._primary.stop(kill=True)
            with ThreadPoolExecutor() as pool:
                sent = pool.submit(super().commit, *arguments, **more)
                self._primary.start()  # here: a server ends with the thread that started it
                return sent.result()
        if when == "meanwhile":
            self._primary.pause()
        try:
            return super().commit(*arguments, **more)
        finally:
            if when in ("meanwhile", "after"):
                self._primary.restart(kill=True)


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
def test_a_server_that_dies_in_the_middle_of_a_join_and_of_a_leave(
    primary: Primary, when: str
) -> None:
    """What it has answered is in its journal; what is unknown is looked at, and done once."""
    host = registration("a").wish_in(ORIGIN)
    zone = Dying(primary, when)
    assert joining.join(Operation(zone, deadline(30)), host).changed
    zone.close()
    assert primary.values("web._http._tcp", "SRV") == {"0 100 80 a.example.test."}
    assert primary.values("_members.web._http._tcp", "PTR") == {"a-80.web._http._tcp.example.test."}
    zone = Dying(primary, when)
    assert leave(zone, registration("a"), deadline=30).changed
    zone.close()
    kept = {"@", "ns", "web._http._tcp", "_http._tcp", "_services._dns-sd._udp"}
    assert primary.names() == kept


def test_another_tool_writes_all_the_time_and_nothing_is_lost(primary: Primary) -> None:
    """Nsupdate adds and deletes values of the instance while hosts join and leave beside it."""
    by_hand = [f"web._http._tcp.example.test 60 SRV 0 0 {port} h.example.org" for port in range(12)]
    hosts = [f"h{number}" for number in range(4)]

    def write() -> None:
        for number, value in enumerate(by_hand):
            primary.nsupdate(f"update add {value}")
            if number % 2:
                primary.nsupdate(f"update delete {value.replace(' 60 ', ' ')}")

    def live(host: str) -> None:
        zone = zone_at(primary)
        join(zone, registration(host), deadline=60)
        leave(zone, registration(host), deadline=60)
        if host != hosts[0]:
            join(zone, registration(host), deadline=60)
        zone.close()

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        for done in [writing, *(pool.submit(live, host) for host in hosts)]:
            done.result()

    values = primary.values("web._http._tcp", "SRV")
    assert values == {
        *(f"0 0 {port} h.example.org." for port in range(0, 12, 2)),
        *(f"0 100 80 {host}.example.test." for host in hosts[1:]),
    }
    primary.nsupdate(*(f"update delete {value.replace(' 60 ', ' ')}" for value in by_hand))
    told = run(["uninstall-records", "http", "--yes", "--limit=9", "--zone", primary.zone_address])
    assert (told, primary.names()) == (0, {"@", "ns"})


def test_what_a_wildcard_makes_up_is_not_there(zone: Rfc2136Zone, primary: Primary) -> None:
    """A question sees it, a prerequisite does not; what really stands there is told apart."""
    primary.nsupdate(
        "update add *.example.test 60 A 10.9.9.9",
        "update add *.example.test 60 TXT wild",
        "update add *._tcp.example.test 60 CNAME ns.example.test",
        "update add real.example.test 60 A 10.0.0.1",
    )
    host, real = ORIGIN.child(b"h"), ORIGIN.child(b"real")
    assert primary.values("h", "A") == {"10.9.9.9"}
    assert zone.read_node(host, deadline()) == ()
    assert zone.read(INSTANCE, "SRV", deadline()) is None
    assert zone.read_node(real, deadline()) == (rrset(real, Address.parse("10.0.0.1")),)
    zone.commit([Change(None, rrset(host, Address.parse("10.0.0.2")))], deadline())
    assert zone.read_node(host, deadline()) == (rrset(host, Address.parse("10.0.0.2")),)


def test_a_name_that_is_delegated_away_is_told(zone: Rfc2136Zone, primary: Primary) -> None:
    """Clients ask other servers for it, so nothing of ours would be found."""
    primary.nsupdate("update add _tcp.example.test 60 NS ns.elsewhere.test")
    with pytest.raises(ZoneNotFound, match=r"_tcp\.example\.test\. is delegated"):
        zone.read(INSTANCE, "SRV", deadline())


def test_a_zone_that_the_server_does_not_have_is_told(primary: Primary) -> None:
    """Another one, and one below it."""
    key = load_key(str(primary.key_file), None)
    for origin in ("example.org", "sub.example.test"):
        zone = Rfc2136Zone(Name.parse(origin), [Server(primary.host, primary.port)], key)
        with pytest.raises(ZoneNotFound, match=r"name a server of it|has no such zone"):
            zone.read(Name.parse(f"h.{origin}"), "TXT", deadline())
        zone.close()


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (Key(Name.parse(KEY), "hmac-sha256", b"another secret"), "its secret is not the server's"),
        (Key(Name.parse("nobody"), "hmac-sha256", b"x"), "the server knows no such key"),
        (Key(Name.parse(KEY), "hmac-sha512", b"x"), "the server knows no such key"),
    ],
    ids=["secret", "name", "algorithm"],
)
def test_a_wrong_key_is_told_at_the_first_question(primary: Primary, key: Key, said: str) -> None:
    """PowerDNS does not say what is wrong; no message holds a secret."""
    zone = zone_at(primary, key)
    if primary.program == "pdns_server":
        said = "key, algorithm, secret or clock is not as the server has it"
    with pytest.raises(AccessDenied, match=said) as caught:
        zone.read(INSTANCE, "SRV", deadline())
    assert "another secret" not in str(caught.value)
    zone.close()


@pytest.mark.parametrize(("offset", "said"), [(-3600, "behind"), (3600, "ahead")])
def test_a_wrong_clock_is_told_with_how_far_it_is_off(
    primary: Primary, monkeypatch: pytest.MonkeyPatch, offset: int, said: str
) -> None:
    """Signatures hold for five minutes."""
    monkeypatch.setattr(time, "time", lambda real=time.time: real() + offset)
    zone = zone_at(primary, now=time.time)
    expected = rf"this host's clock is 3\d{{3}} s {said}; set the clock"
    if primary.program == "pdns_server":
        expected = "key, algorithm, secret or clock is not as the server has it"
    with pytest.raises(AccessDenied, match=expected):
        zone.read(INSTANCE, "SRV", deadline())
    zone.close()


def test_without_a_key_an_update_is_refused(primary: Primary) -> None:
    """With the names that it would have changed, or with what is missing."""
    zone = Rfc2136Zone(ORIGIN, [Server(primary.host, primary.port)], None)
    assert zone.read(INSTANCE, "SRV", deadline()) is None
    with pytest.raises(ZoneError, match=r"without a key: it takes no change of|demands a key"):
        zone.commit([Change(None, txt(INSTANCE, "x"))], deadline())
    zone.close()


def test_the_hundred_and_first_value_is_refused(zone: Rfc2136Zone, primary: Primary) -> None:
    """More would stop secondaries by BIND from taking the zone at all."""
    hundred = rrset(INSTANCE, *(srv(f"h{number}") for number in range(100)))
    zone.commit([shared(None, hundred)], deadline())
    with pytest.raises(RRsetFull, match="101 SRV values would be needed and 100 are allowed"):
        zone.commit(
            [shared(hundred, hundred.with_values((*hundred.values, srv("one-more"))))], deadline()
        )
    assert len(primary.values("web._http._tcp", "SRV")) == 100


def test_close_to_the_limit_nobody_overtakes(zone: Rfc2136Zone, primary: Primary) -> None:
    """The RRset is swapped as a whole there, so that no two hosts add the hundredth value."""
    many = rrset(INSTANCE, *(srv(f"h{number}") for number in range(98)))
    zone.commit([shared(None, many)], deadline())
    primary.nsupdate("update add web._http._tcp.example.test 60 SRV 0 0 1 by-hand.example.test")
    with pytest.raises(Conflict):
        zone.commit([shared(many, many.with_values((*many.values, srv("late"))))], deadline())


def test_names_that_the_key_may_not_change_are_named() -> None:
    """By BIND with REFUSED, by Knot with BADKEY, although it knows the key."""
    policy = f"update-policy {{ grant {KEY} name h.example.test. ANY; }};"
    with bind(policy=policy) as first, knot("update-owner: name\nupdate-owner-name: h") as second:
        for primary in (first, second):
            zone = zone_at(primary)
            zone.commit([Change(None, txt(ORIGIN.child(b"h"), "1"))], deadline())
            with pytest.raises(AccessDenied, match=r"of web\._http|names: web\._http"):
                zone.commit([Change(None, txt(INSTANCE, "1"))], deadline())
            zone.close()


def test_a_secondary_is_told_from_a_primary_and_waited_for() -> None:
    """It answers questions, takes no updates, and serves them once it has copied them."""
    with copied() as (first, second):
        zone = zone_at(second)
        assert zone.read(ORIGIN.child(b"ns"), "A", deadline()) is not None
        with pytest.raises(AccessDenied, match="on the primary server"):
            zone.commit([Change(None, txt(INSTANCE, "1"))], deadline())
        zone.close()
        zone = zone_at(first)
        commit = zone.commit([Change(None, txt(INSTANCE, "1"))], deadline())
        zone.wait_served(commit, deadline(60))
        assert second.values("web._http._tcp", "TXT") == {'"1"'}
        second.pause()
        commit = zone.commit([Change(txt(INSTANCE, "1"), txt(INSTANCE, "2"))], deadline())
        with pytest.raises(DeadlineExceeded, match="no answer"):
            zone.wait_served(commit, deadline(0.5))
        zone.close()


def test_a_hundred_values_behind_knot_reach_a_secondary_by_bind() -> None:
    """And one more, which Knot would take, is what the limit keeps away from it."""
    hundred = rrset(INSTANCE, *(srv(f"h{number}") for number in range(100)))
    more = hundred.with_values((*hundred.values, srv("one-more")))
    with copied() as (first, second):
        zone = zone_at(first)
        zone.wait_served(zone.commit([shared(None, hundred)], deadline()), deadline(60))
        with pytest.raises(RRsetFull):
            zone.commit([shared(hundred, more)], deadline())
        commit = zone.commit([Change(None, txt(INSTANCE, "1"))], deadline())
        zone.wait_served(commit, deadline(60))
        assert len(second.values("web._http._tcp", "SRV")) == 100
        zone.close()


def test_the_documented_key_and_zone_let_a_host_join(tmp_path: Path) -> None:
    """As userdata/README.md has them, but for names and paths."""
    key = tmp_path / "dnssd.key"
    (command,) = [block for block in blocks(USER_DATA, "sh") if block.startswith("tsig-keygen")]
    words = command.partition(" > ")[0].split()
    key.write_text(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    key.chmod(0o600)
    (statements,) = blocks(USER_DATA, "named")
    for shown, here in (
        ("/etc/bind/dnssd.key", str(key)),
        ("/var/lib/bind/example.com", "zone"),
        ('"example.com"', f'"{ORIGIN}"'),
    ):
        assert shown in statements
        statements = statements.replace(shown, here)
    with bind(zone=statements) as primary:
        address = f"rfc2136:example.test,server={primary.host},port={primary.port},keyring={key}"
        outcome = join(open_zone(address), registration("h"))
        assert (outcome.changed, outcome.requests) == (True, 3)
        assert primary.values("web._http._tcp", "SRV") == {"0 100 80 h.example.test."}


def test_of_several_servers_one_that_runs_is_used(primary: Primary) -> None:
    """The first that can be reached."""
    key = load_key(str(primary.key_file), None)
    servers = [Server(primary.host, free_port()), Server(primary.host, primary.port)]
    zone = Rfc2136Zone(ORIGIN, servers, key)
    assert zone.read(ORIGIN.child(b"ns"), "A", deadline()) is not None
    zone.close()
