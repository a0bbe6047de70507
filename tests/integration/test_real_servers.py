"""The resolver finds what BIND, Knot and Unbound serve: all of it, and nothing else."""

import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import dns.flags
import dns.message
import dns.name
import dns.query
import pytest

from dnssd import Endpoint, Resolver, Snapshot
from dnssd.errors import NotFound
from dnssd.names import Name
from dnssd.services import instance_text
from kit.servers import (
    HOST,
    Host,
    Server,
    Zone,
    absence,
    bind,
    knot,
    label,
    needs,
    path_of,
    process,
    service,
    unbound,
)

DOMAIN = "example.test."
PATIENCE = 60.0  # seconds until a test gives up; nothing waits that long
KINDS = ("bind", "knot", "bind-unbound", "knot-unbound")


@contextmanager
def serving(kind: str, contents: Zone) -> Iterator[Server]:
    """BIND or Knot, with Unbound before it or not; skips the test where they are absent."""
    authority, _, forwarder = kind.partition("-")
    programs = ["named" if authority == "bind" else "knotd", *filter(None, [forwarder])]
    if reason := absence(*programs):
        pytest.skip(reason)
    with (bind if authority == "bind" else knot)(contents) as server:
        if not forwarder:
            yield server
            return
        with unbound(server) as before:
            yield before


# ---- what the zones hold ----


@dataclass(frozen=True, slots=True)
class Offer:
    """One instance of `_http._tcp`, and what its TXT record means."""

    instance: str
    hosts: tuple[Host, ...]
    rdata: str | None  # of the TXT record
    txt: dict[str, bytes | None]

    @property
    def text(self) -> str:
        """The instance as look-ups tell it, and take it."""
        return instance_text(self.instance.encode())

    @property
    def records(self) -> tuple[str, ...]:
        """Its records, without addresses."""
        rdata = () if self.rdata is None else (self.rdata,)
        return service(self.instance, "_http._tcp", self.hosts, *rdata)


def fleet(size: int) -> tuple[Host, ...]:
    """Hosts with an IPv4 address, an IPv6 address, or both; every fourth stands by."""
    families = ("10.0.{size}.{n}",), ("fd00::{size}:{n}",), ("10.0.{size}.{n}", "fd00::{size}:{n}")
    return tuple(
        Host(
            f"h{n}.fleet{size}",
            tuple(address.format(size=size, n=n) for address in families[n % 3]),
            port=8000 + n,
            priority=1 if n % 4 == 3 else 0,
            weight=n,
        )
        for n in range(size)
    )


FOUR = Host("four", ("10.1.0.1",), port=81, weight=1)
SIX = Host("six", ("fd01::1",), port=82, weight=2)
BOTH = Host("both", ("10.1.0.3", "10.1.0.4", "fd01::3"), port=83, priority=1)
LOST = Host("lost", (), port=84, priority=1, weight=4)  # has no address
UPPER = Host("UPPER", ("10.1.0.5",), port=85)
LONG = tuple(f"key{n}={n:0240}" for n in range(8))  # more than a UDP answer holds
OFFERS = (
    Offer(
        "web",
        (FOUR, SIX, BOTH, LOST),
        r'"flag" "empty=" "Version=1" "version=2" "=no key" "" "raw=\255\000\"="',
        {"flag": None, "empty": b"", "Version": b"1", "raw": b'\xff\x00"='},
    ),
    Offer("Café · v1.2", (FOUR,), r'"\195\169=no key" "v=\195\169"', {"v": "é".encode()}),
    Offer("🦊 fox.den", (SIX,), None, {}),
    Offer("Front DOOR", (UPPER,), '""', {}),
    Offer('$"\\;(@)', (FOUR,), r'"\000"', {}),
    Offer("*", (BOTH,), '"a=b"', {"a": b"b"}),
    Offer("x" * 63, (FOUR,), " ".join(f'"{string}"' for string in LONG),
          {f"key{n}": f"{n:0240}".encode() for n in range(8)}),
)  # fmt: skip
PLAIN = (FOUR, SIX)  # hosts of the service that has no instances
FLEETS = (3, 25, 200)
SERVED = [(kind, size) for kind in KINDS for size in FLEETS if size <= 100 or "bind" not in kind]


def zone(*sizes: int) -> Zone:
    """Everything, with fleets of these sizes."""
    fleets = {size: fleet(size) for size in sizes}
    hosts = (FOUR, SIX, BOTH, UPPER, *(host for hosts in fleets.values() for host in hosts))
    web, cafe = (f"{label(offer.instance)}._http._tcp" for offer in OFFERS[:2])
    return Zone(
        (
            *(record for offer in OFFERS for record in offer.records),
            *(record for host in hosts for record in host.records),
            *(
                record
                for size, some in fleets.items()
                for record in service("all", f"_n{size}._tcp", some, '"n=1"')
            ),
            f"_printer._sub._http._tcp PTR {web}",
            f"_printer._sub._http._tcp PTR {cafe}",
            *(f"_services._dns-sd._udp PTR {name}" for name in ("_http._tcp", "_odd._udp")),
            "b._dns-sd._udp PTR @",
            "b._dns-sd._udp PTR office",
            "db._dns-sd._udp PTR Office",
            "lb._dns-sd._udp PTR legacy.example.org.",
            *service("bare", "_odd._udp", [Host("four", (), port=7)]),
            *service("closed", "_odd._udp", [Host(".", (), port=0)], '"a=b"'),
            *service("silent", "_odd._udp", [], '"c=d"'),
            *service("ghost", "_odd._udp", []),
            *service("closed", "_gone._tcp", [Host(".", (), port=0)]),
            *service("moved", "_alias._tcp", [Host("alias", (), port=8)], '"e=f"'),
            "alias CNAME alias2",
            "alias2 CNAME both",
            "_plain._tcp 17 SRV 0 1 81 four",
            "_plain._tcp 17 SRV 0 2 82 six",
        )
    )


@pytest.fixture(scope="module")
def farm() -> Iterator[Callable[[str], Server]]:
    """Gives a server of a kind, which goes on until all tests here are done."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(kind: str) -> Server:
            if kind not in running:
                sizes = [size for size in FLEETS if (kind, size) in SERVED]
                running[kind] = stack.enter_context(serving(kind, zone(*sizes)))
            return running[kind]

        yield start


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of server in turn."""
    name: str = request.param
    return name


@pytest.fixture
def server(farm: Callable[[str], Server], kind: str) -> Server:
    """A server of that kind, whose zone no test changes."""
    return farm(kind)


@pytest.fixture
def resolver(server: Server) -> Iterator[Resolver]:
    """One that asks only that server, and has not asked yet."""
    with Resolver(nameservers=[server.address], timeout=PATIENCE) as asking:
        yield asking


@pytest.fixture
def spelled(kind: str) -> Callable[[str], str]:
    """How a server spells a name inside rdata: Knot does so in lower case, of ASCII letters."""

    def spell(text: str) -> str:
        return text.encode().lower().decode() if kind.startswith("knot") else text

    return spell


Seen = list[tuple[str | None, int, str, int, int, tuple[str, ...]]]


def seen(*endpoints: Endpoint) -> Seen:
    """What is compared of endpoints, in one order; names without case."""
    return sorted(
        (_lower(e.instance), e.priority, e.target.lower(), e.port, e.weight, settled(e.addresses))
        for e in endpoints
    )


def settled(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses as they come by family, sorted within each: servers rotate them (RFC 1794)."""
    families = groupby(addresses, key=lambda address: ":" in address)
    return tuple(address for _, some in families for address in sorted(some))


def _lower(instance: str | None) -> str | None:
    return instance and instance.lower()


def offered(instance: str | None, *hosts: Host) -> Seen:
    """The same as it should be, IPv4 first."""
    return sorted(
        (
            _lower(instance),
            host.priority,
            f"{host.name}.{DOMAIN}".lower(),
            host.port,
            host.weight,
            tuple(sorted(host.addresses, key=lambda address: (":" in address, address))),
        )
        for host in hosts
    )


def look_up(resolver: Resolver, name: str, expected: Seen) -> Snapshot:
    """A fresh snapshot with exactly the expected endpoints.

    Where a server adds addresses of one family only, those of the other may come later.
    """
    snapshot = resolver.lookup(name)
    ends = time.monotonic() + PATIENCE
    while (found := seen(*snapshot.endpoints)) != expected and time.monotonic() < ends:
        assert [row[:5] for row in found] == [row[:5] for row in expected]
        for row, whole in zip(found, expected, strict=True):
            assert set(row[5]) <= set(whole[5])
            assert row[5] or not whole[5]
        time.sleep(0.01)
        snapshot = resolver.lookup(name)
    assert found == expected
    assert snapshot.status == "fresh"
    return snapshot


# ---- what servers do, as others see it ----


def ask(server: Server, name: str, rdtype: str) -> dns.message.Message:
    """What a server says to a question by UDP."""
    query = dns.message.make_query(name, rdtype, use_edns=0, payload=1232)
    return dns.query.udp(query, HOST, port=server.port, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("kind", "size", "fewest", "most"),
    [
        ("bind", 3, 3, 3),
        ("bind", 25, 0, 0),  # it adds nothing to more than 13 records
        ("knot", 3, 3, 3),
        ("knot", 25, 1, 24),
        ("bind-unbound", 3, 0, 0),
        ("bind-unbound", 25, 0, 0),
        ("knot-unbound", 3, 0, 0),
        ("knot-unbound", 25, 0, 0),
    ],
)
def test_additional_data_is_whole_partial_or_absent(
    farm: Callable[[str], Server], kind: str, size: int, fewest: int, most: int
) -> None:
    """These tests cover what they mean to: so many targets come with an address unasked."""
    answer = ask(farm(kind), f"all._n{size}._tcp.{DOMAIN}", "SRV")

    assert not answer.flags & dns.flags.TC
    (srvs,) = answer.answer
    assert len(srvs) == size
    targets = {srv.target for srv in srvs}
    assert fewest <= len({rrset.name for rrset in answer.additional} & targets) <= most


@pytest.mark.parametrize("kind", ["knot", "knot-unbound"])
@pytest.mark.parametrize("name", ["all._n200._tcp SRV", f"{'x' * 63}._http._tcp TXT"])
def test_long_answers_are_truncated_by_udp(
    farm: Callable[[str], Server], kind: str, name: str
) -> None:
    """These tests cover the way to TCP."""
    owner, rdtype = name.split()

    assert ask(farm(kind), f"{owner}.{DOMAIN}", rdtype).flags & dns.flags.TC


def test_pointers_come_alone(server: Server) -> None:
    """No server adds anything to a PTR answer: SRV and TXT are to be asked for."""
    answer = ask(server, f"_n3._tcp.{DOMAIN}", "PTR")

    assert (len(answer.answer), answer.additional) == (1, [])


@needs("dig")
def test_dig_sees_the_same_endpoints(server: Server, resolver: Resolver) -> None:
    """What the resolver makes of SRV records is what dig prints."""
    name = f"all._n25._tcp.{DOMAIN}"

    ran = subprocess.run(
        ["dig", f"@{HOST}", "-p", str(server.port), "+short", name, "SRV"],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    assert sorted(ran.stdout.splitlines()) == sorted(
        f"{e.priority} {e.weight} {e.port} {e.target}" for e in resolver.lookup(name).endpoints
    )


@needs("haproxy")
def test_haproxy_sees_the_same_endpoints(server: Server, resolver: Resolver) -> None:
    """What the resolver makes of plain SRV records is what HAProxy balances over."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        control = folder / "socket"
        configuration = HAPROXY.format(control=control, server=server.address)
        (folder / "configuration").write_text(configuration)
        haproxy = path_of("haproxy") or ""
        with process((haproxy, "-db", "-f", str(folder / "configuration")), folder):
            found = slots(control)
            ends = time.monotonic() + PATIENCE
            while len(found) < len(PLAIN) and time.monotonic() < ends:
                time.sleep(0.02)
                found = slots(control)

    endpoints = resolver.lookup(f"_plain._tcp.{DOMAIN}").endpoints
    assert found == {(e.target, e.port, e.addresses[0]) for e in endpoints}


HAPROXY = """
global
    stats socket {control}
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
resolvers dns
    nameserver one tcp@{server}
    accepted_payload_size 65535
    timeout resolve 100ms
    timeout retry 100ms
backend plain
    server-template plain 5 _plain._tcp.example.test resolvers dns init-addr none
"""


def slots(control: Path) -> set[tuple[str, int, str]]:
    """Target, port and address of each server that HAProxy has found by now."""
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(control))
        except OSError:
            return set()  # it is not ready
        caller.sendall(b"show servers state\n")
        lines = caller.makefile().read().splitlines()
    heads = next(line[2:].split() for line in lines if line.startswith("# "))
    rows = (dict(zip(heads, line.split(), strict=False)) for line in lines if "_plain" in line)
    return {
        (f"{row['srv_fqdn']}.", int(row["srv_port"]), row["srv_addr"])
        for row in rows
        if row["srv_fqdn"] != "-" and row["srv_addr"] != "-"
    }


# ---- look-ups ----


@pytest.mark.parametrize(("kind", "size"), SERVED)
def test_every_target_is_found(farm: Callable[[str], Server], kind: str, size: int) -> None:
    """By the service and by its instance, whether addresses were added to SRV or not."""
    expected = offered("all", *fleet(size))

    for name in (f"_n{size}._tcp.{DOMAIN}", f"all._n{size}._tcp.{DOMAIN}"):
        with Resolver(nameservers=[farm(kind).address], timeout=PATIENCE) as resolver:
            snapshot = look_up(resolver, name, expected)
            order, picked = resolver.order(name), resolver.pick(name)

        assert dict(snapshot.txt) == {"n": b"1"}
        assert seen(*order) == expected
        assert [e.priority for e in order] == sorted(row[1] for row in expected)
        assert picked in [e for e in order if e.priority == 0]


@pytest.mark.parametrize("offer", OFFERS, ids=lambda offer: ascii(offer.instance[:12]))
def test_instances_of_any_name_are_found(resolver: Resolver, offer: Offer) -> None:
    """By their name with its dots and spaces; what their TXT record means is told."""
    name = f"{offer.text}._http._tcp.{DOMAIN}"
    snapshot = look_up(resolver, name, offered(offer.text, *offer.hosts))

    (instance,) = snapshot.instances
    assert instance.instance == offer.text
    assert Name.parse(instance.name).labels[0] == offer.instance.encode()
    assert Name.parse(snapshot.name) == Name.parse(instance.name)
    assert dict(instance.txt) == dict(snapshot.txt) == offer.txt
    assert resolver.pick(name).addresses
    assert [e.target for e in snapshot.endpoints if e.port == 85] == (
        [f"upper.{DOMAIN}"] if UPPER in offer.hosts else []
    )


def test_instances_are_merged(resolver: Resolver, spelled: Callable[[str], str]) -> None:
    """A service is all of its instances, each with its own TXT data."""
    expected = sorted(row for offer in OFFERS for row in offered(offer.text, *offer.hosts))

    snapshot = look_up(resolver, f"_http._tcp.{DOMAIN}", expected)

    assert {i.instance: dict(i.txt) for i in snapshot.instances} == {
        spelled(offer.text): offer.txt for offer in OFFERS
    }
    assert dict(snapshot.txt) == {}
    order = resolver.order(f"_http._tcp.{DOMAIN}")
    assert seen(*order) == expected
    ranks = [(not e.addresses, e.priority) for e in order]
    assert ranks == sorted(ranks)


def test_case_does_not_count(resolver: Resolver) -> None:
    """However a name is written, the same is found."""
    web = OFFERS[0]

    snapshot = look_up(resolver, "WEB._HTTP._Tcp.eXample.TEST", offered("web", *web.hosts))

    assert dict(snapshot.txt) == web.txt
    look_up(resolver, "web._http._tcp.example.test", offered("web", *web.hosts))
    look_up(resolver, "FRONT door._http._tcp.example.test", offered("Front DOOR", UPPER))


def test_a_service_is_browsed(resolver: Resolver, spelled: Callable[[str], str]) -> None:
    """Every instance once; of a subtype, those that belong to it."""
    everything = resolver.browse("_http._tcp", "example.test")

    assert sorted(everything) == sorted(spelled(offer.text) for offer in OFFERS)
    printers = resolver.browse("_printer._sub._http._tcp", "example.test")
    assert sorted(printers) == sorted(spelled(offer.text) for offer in OFFERS[:2])
    assert set(resolver.browse("_odd._udp", "example.test")) == {
        "bare",
        "closed",
        "ghost",
        "silent",
    }
    with pytest.raises(NotFound, match="no such service"):
        resolver.browse("_none._tcp", "example.test")


def test_a_subtype_is_looked_up(resolver: Resolver) -> None:
    """It has the instances that it points to, and no others."""
    expected = sorted(row for o in OFFERS[:2] for row in offered(o.instance, *o.hosts))

    look_up(resolver, "_printer._sub._http._tcp.example.test", expected)


def test_service_types_and_domains_are_listed(resolver: Resolver) -> None:
    """Each type once; the domains to browse from all three records, each once."""
    assert resolver.services("example.test") == ("_http._tcp", "_odd._udp")
    assert [domain.lower() for domain in resolver.domains("example.test")] == [
        "legacy.example.org.",
        "example.test.",
        "office.example.test.",
    ]


def test_a_service_without_instances_has_srv_records_of_its_own(resolver: Resolver) -> None:
    """Plain SRV records (RFC 2782) do; they are kept as long as their own TTL says."""
    snapshot = look_up(resolver, f"_plain._tcp.{DOMAIN}", offered(None, *PLAIN))

    assert [i.instance for i in snapshot.instances] == [None]
    assert 0 < snapshot.ttl(resolver.monotonic()) <= 17


def test_an_alias_at_a_target_is_followed_and_logged(
    resolver: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 2782 forbids it; people do it, and are told."""
    caplog.set_level(logging.DEBUG, "dnssd")

    moved = Host("alias", BOTH.addresses, port=8)
    snapshot = look_up(resolver, f"moved._alias._tcp.{DOMAIN}", offered("moved", moved))

    assert dict(snapshot.txt) == {"e": b"f"}
    assert any("alias.example.test" in record.getMessage() for record in caplog.records)


def test_instances_that_nobody_offers_are_passed_over(resolver: Resolver) -> None:
    """A target `.`, a TXT record alone and a pointer to nowhere have no endpoint."""
    expected = offered("bare", Host("four", FOUR.addresses, port=7))

    snapshot = look_up(resolver, f"_odd._udp.{DOMAIN}", expected)

    assert {i.instance: dict(i.txt) for i in snapshot.instances} == {
        "bare": {},
        "closed": {"a": b"b"},
        "silent": {"c": b"d"},
    }


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("closed._odd._udp", "it is not offered here"),
        ("silent._odd._udp", "nobody offers it"),
        ("ghost._odd._udp", "nobody offers it"),
        ("_gone._tcp", "it is not offered here"),
        ("none._odd._udp", "no such instance"),
        ("_none._tcp", "no such service"),
    ],
)
def test_nobody_there_is_told_from_nothing_there(resolver: Resolver, name: str, why: str) -> None:
    """All of it is NotFound; the message says which."""
    for call in (resolver.lookup, resolver.pick, resolver.order):
        with pytest.raises(NotFound, match=why):
            call(f"{name}.{DOMAIN}")


@pytest.mark.parametrize("kind", ["bind", "knot"])
def test_a_dead_server_beside_it_does_no_harm(farm: Callable[[str], Server], kind: str) -> None:
    """The one that answers is believed."""
    with socket.socket(type=socket.SOCK_DGRAM) as silent:
        silent.bind((HOST, 0))
        dead = f"{HOST}:{silent.getsockname()[1]}"
        with Resolver(nameservers=[dead, farm(kind).address], timeout=PATIENCE) as resolver:
            look_up(resolver, f"_n3._tcp.{DOMAIN}", offered("all", *fleet(3)))


def test_a_change_is_seen(kind: str) -> None:
    """Hosts that leave and move: once forgotten, the name is what the zone holds then."""
    name, (first, second, third) = f"all._n3._tcp.{DOMAIN}", fleet(3)
    moved = replace(second, addresses=("10.9.9.9",))
    _, gone = service("all", "_n3._tcp", [first])
    with (
        serving(kind, zone(3)) as server,
        Resolver(nameservers=[server.address], timeout=PATIENCE) as resolver,
    ):
        look_up(resolver, name, offered("all", first, second, third))

        server.publish(server.zone.changed(without=[gone, *second.records], also=moved.records))
        resolver.clear()
        look_up(resolver, name, offered("all", moved, third))

        server.publish(server.zone.changed(without=[r for r in server.zone.records if "_n3" in r]))
        resolver.clear()
        with pytest.raises(NotFound, match="no such instance"):
            resolver.lookup(name)


# ---- the servers themselves ----


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as caller:
        return caller.connect_ex((HOST, port)) == 0


def test_servers_end_with_a_test_that_fails(kind: str) -> None:
    """Their processes are over when the failure is told."""
    with pytest.raises(ZeroDivisionError), serving(kind, Zone(())) as server:  # noqa: PT012 (it is the context that is tested)
        port = server.port
        raise ZeroDivisionError

    assert not is_open(port)


def test_servers_end_with_a_run_that_is_killed(kind: str) -> None:
    """Whoever started them may have no time to end them."""
    here = Path(__file__)
    code = (
        "from test_real_servers import *\n"
        f"with serving({kind!r}, Zone(())) as server: print(server.port, flush=True); input()"
    )
    with TemporaryDirectory() as folder:
        environment = {"PYTHONPATH": f"{here.parent}:{here.parents[1]}", "TMPDIR": folder}
        with subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as runner:
            assert runner.stdout is not None
            port = int(runner.stdout.readline())
            assert is_open(port)
            runner.kill()

        ends = time.monotonic() + PATIENCE
        while is_open(port) and time.monotonic() < ends:
            time.sleep(0.01)
        assert not is_open(port)
