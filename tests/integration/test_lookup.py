"""Looking up and browsing over real sockets, as a library and as commands."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import dns.message
import dns.rrset
import pytest

from dnssd.cli.main import run
from dnssd.errors import NotFound, Unavailable, UsageError
from dnssd.names import Name
from dnssd.records import Address
from dnssd.resolver.client import Resolver
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.sandbox import Sandbox
from dnssd.wire.blocking import ask
from dnssd.wire.nameservers import NameServer
from dnssd.zones.route53.text import read_name
from kit.simnet import WEB, servfail, where
from kit.simresolver import hosts_of
from kit.simserver import SimServer

Capture = pytest.CaptureFixture[str]
SERVICE = "_theService._tcp.example.test."
V1 = f"v1.{SERVICE}"
PATIENCE = 60.0  # seconds until a test gives up; nothing waits that long


def publish(sandbox: Sandbox, name: str, rdtype: str, *values: str, ttl: int = 60) -> None:
    """Put one RRset into the sandbox's zone, values as Route 53 writes them."""
    entry = HostedRRset(read_name(name), rdtype, ttl, values)
    sandbox.zones.change(sandbox.zone_id, [Edit(Action.CREATE, entry)])


@pytest.fixture
def served(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox that the commands ask, with one instance on two hosts."""
    monkeypatch.setenv("DNSSD_NAMESERVER", sandbox.nameserver)
    monkeypatch.setenv("DNSSD_DOMAIN", "example.test")
    publish(sandbox, SERVICE, "PTR", V1)
    publish(sandbox, V1, "SRV", "0 100 4218 i-0abc.example.test.", "1 0 4218 i-0def.example.test.")
    publish(sandbox, V1, "TXT", '"version=1" "flag" "bytes=\\377"', ttl=42)
    publish(sandbox, "i-0abc.example.test.", "A", "10.0.0.5")
    publish(sandbox, "i-0def.example.test.", "A", "10.0.0.6")
    publish(sandbox, "i-0def.example.test.", "AAAA", "2001:db8::6")
    return sandbox


@pytest.fixture
def resolver(sandbox: Sandbox) -> Iterator[Resolver]:
    """A resolver that asks the sandbox and chooses by a seed."""
    with Resolver([sandbox.nameserver], rng=Random(1).random) as resolver:
        yield resolver


def test_an_instance_in_json(served: Sandbox, capsys: Capture) -> None:
    """Exactly the keys that scripts rely on."""
    assert run(["lookup", "v1._theService._tcp", "--json"]) == 0

    report = json.loads(capsys.readouterr().out)
    assert 40 <= report.pop("ttl") <= 42
    assert report == {
        "name": V1,
        "status": "fresh",
        "instances": [
            {
                "name": V1,
                "instance": "v1",
                "txt": {"version": "1", "flag": True, "bytes": {"base64": "/w=="}},
                "endpoints": [
                    {
                        "target": "i-0abc.example.test.",
                        "port": 4218,
                        "priority": 0,
                        "weight": 100,
                        "addresses": ["10.0.0.5"],
                    },
                    {
                        "target": "i-0def.example.test.",
                        "port": 4218,
                        "priority": 1,
                        "weight": 0,
                        "addresses": ["10.0.0.6", "2001:db8::6"],
                    },
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    "name",
    [
        "theService",
        "_theService._tcp",
        "_theService._tcp.example.test",
        SERVICE,
        "_THESERVICE._TCP",
    ],
)
def test_a_service_has_the_endpoints_of_its_instances(
    served: Sandbox, capsys: Capture, name: str
) -> None:
    """However it is written; an instance's name may hold dots, spaces and any letter."""
    label = "Caf\\303\\251\\0402\\0560"
    publish(served, f"{label}.{SERVICE}", "SRV", "0 0 1 i-0abc.example.test.")
    served.zones.change(
        served.zone_id,
        [
            Edit(Action.DELETE, HostedRRset(Name.parse(SERVICE), "PTR", 60, (V1,))),
            Edit(
                Action.CREATE,
                HostedRRset(Name.parse(SERVICE), "PTR", 60, (V1, f"{label}.{SERVICE}")),
            ),
        ],
    )

    assert run(["lookup", name, "--json"]) == 0

    report = json.loads(capsys.readouterr().out)
    assert [(i["instance"], len(i["endpoints"])) for i in report["instances"]] == [
        ("Café 2.0", 1),
        ("v1", 2),
    ]
    assert report["instances"][0]["name"] == rf"Café 2\.0.{SERVICE}"
    assert report["instances"][0]["txt"] == {}


def test_a_table_for_people(served: Sandbox, capsys: Capture) -> None:
    """A row for each endpoint under headings, TXT data in an instance's first row."""
    assert run(["lookup", "theService"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "INSTANCE  PRIORITY  WEIGHT  TARGET                    ADDRESSES             TXT",
        r"v1        0         100     i-0abc.example.test:4218  10.0.0.5              "
        r"version=1 flag bytes=\xff",
        "v1        1         0       i-0def.example.test:4218  10.0.0.6 2001:db8::6",
    ]


def test_one_endpoint_for_scripts(served: Sandbox, capsys: Capture) -> None:
    """ADDRESS:PORT of the best priority, or all about it as JSON."""
    assert run(["lookup", V1, "--pick"]) == 0
    assert capsys.readouterr().out == "10.0.0.5:4218\n"

    assert run(["lookup", V1, "--pick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "instance": "v1",
        "target": "i-0abc.example.test.",
        "port": 4218,
        "priority": 0,
        "weight": 100,
        "addresses": ["10.0.0.5"],
        "status": "fresh",
    }


def test_all_endpoints_for_scripts(served: Sandbox, capsys: Capture) -> None:
    """Every address in failover order, IPv6 in brackets."""
    assert run(["lookup", V1, "--all"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "10.0.0.5:4218",
        "10.0.0.6:4218",
        "[2001:db8::6]:4218",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["lookup", "v2._theService._tcp"], 3, "no such instance"),
        (["lookup", "other"], 3, "no such service"),
        (["lookup", "idle"], 3, "defined, but nobody offers it"),
        (["lookup", "v1._idle._tcp"], 3, "defined, but nobody offers it"),
        (["lookup", "v2._idle._tcp"], 3, "defined, but nobody offers it"),
        (["lookup", "gone"], 3, "it is not offered here"),
        (["lookup", "nowhere", "--pick"], 3, "no address record"),
        (["lookup", "nowhere", "--all"], 3, "no address record"),
        (["browse", "other"], 3, "no such service"),
        (["browse", "--domain", "sub.example.test"], 3, "lists no services"),
        (["lookup", "http", "--domain", "example.org"], 1, "REFUSED"),
        (["browse", "--domain", "example.org"], 1, "REFUSED"),
        (["lookup", "no service"], 2, "service"),
        (["lookup", "http", "--nameserver", "nonsense:x"], 2, "name server 'nonsense:x'"),
        (["lookup", "http", "--domain", "a..b"], 2, "--domain"),
        (["lookup", "http", "--all", "--pick"], 2, "--all"),
        (["lookup", "http", "--all", "--json"], 2, "--all"),
        (["browse", "v1._theService._tcp"], 2, "an instance"),
    ],
)
def test_failures_are_one_line_and_a_code(
    served: Sandbox, capsys: Capture, arguments: list[str], code: int, message: str
) -> None:
    """3 nothing there, 1 no answer, 2 wrong usage; what, why and what to do."""
    publish(
        served,
        "_idle._tcp.example.test.",
        "PTR",
        *(f"v{n}._idle._tcp.example.test." for n in (1, 2)),
    )
    publish(served, "v1._idle._tcp.example.test.", "TXT", '"version=1"')
    publish(served, "_gone._tcp.example.test.", "SRV", "0 0 0 .")
    publish(served, "_nowhere._tcp.example.test.", "SRV", "0 0 80 nowhere.example.test.")

    assert run(arguments) == code

    captured = capsys.readouterr()
    assert bool(captured.out) == ("--json" in arguments)  # the error as JSON then
    assert captured.err.startswith("dnssd: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err


@pytest.mark.parametrize(
    ("zone", "code"),
    [
        ("example.test", 0),
        ("route53:example.test", 0),
        ("route53:example.test,id=Z0123456789ABC", 0),
        ("route53:example.test,private=yes", 0),
        ("Z0123456789ABC\nexample.test", 0),
        ("Z0123456789ABC", 2),
        ("route53:Z0123456789ABC", 2),
        ("a..b", 2),
        ("", 2),
    ],
)
def test_the_domain_may_come_from_the_zone(
    served: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture, zone: str, code: int
) -> None:
    """Without DNSSD_DOMAIN a relative name belongs to the zone, if that is known by name."""
    monkeypatch.delenv("DNSSD_DOMAIN")
    monkeypatch.setenv("DNSSD_ZONE", zone)

    assert run(["lookup", "theService", "--pick"]) == code
    assert run(["browse", "theService"]) == code
    if code:
        assert "DNSSD_" in capsys.readouterr().err


def test_an_absolute_name_needs_no_domain(
    served: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Nothing but the name and a name server."""
    monkeypatch.delenv("DNSSD_DOMAIN")

    assert run(["lookup", V1, "--pick"]) == 0
    assert run(["browse"]) == 2
    assert "--domain" in capsys.readouterr().err


def test_a_malformed_variable_is_named(
    served: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The message says which variable to correct."""
    monkeypatch.setenv("DNSSD_DOMAIN", "a..b")

    assert run(["lookup", "theService"]) == 2
    assert "DNSSD_DOMAIN" in capsys.readouterr().err


def test_browsing(served: Sandbox, capsys: Capture) -> None:
    """Service types of a domain, instances of a service; as lines and as JSON."""
    types = "_services._dns-sd._udp.example.test."
    publish(
        served, types, "PTR", SERVICE, "_http._tcp.example.test.", "nonsense.test.", "_x._sctp."
    )
    publish(served, "_http._tcp.example.test.", "PTR", r"a\056b\040c._http._tcp.example.test.")

    assert run(["browse"]) == 0
    assert capsys.readouterr().out == "_http._tcp\n_theService._tcp\n_x._sctp\n"
    assert run(["browse", "http"]) == 0
    assert capsys.readouterr().out == "a.b c\n"
    assert run(["browse", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "domain": "example.test.",
        "services": ["_http._tcp", "_theService._tcp", "_x._sctp"],
    }
    assert run(["browse", "_theService._tcp.example.test.", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "domain": "example.test.",
        "service": "_theService._tcp",
        "instances": ["v1"],
    }


def test_nothing_from_dns_moves_a_cursor(served: Sandbox, capsys: Capture) -> None:
    """Escape sequences in names and data are shown, not obeyed."""
    evil = r"\033[2J\302\233H._http._tcp.example.test."
    publish(served, "_http._tcp.example.test.", "PTR", evil)
    publish(served, evil, "SRV", r"0 0 80 \033]0\073x\007.example.test.")
    publish(served, evil, "TXT", r'"a=\033[31m" "\012b=\302\205"')

    assert run(["lookup", "http"]) == 0
    assert run(["browse", "http"]) == 0

    for line in capsys.readouterr().out.splitlines():
        assert line.isprintable()


def test_a_truncated_answer_is_asked_for_by_tcp(sandbox: Sandbox) -> None:
    """Two hundred hosts, more than a datagram carries; their addresses are all found."""
    hosts = [f"host-{n}.example.test." for n in range(200)]
    publish(sandbox, V1, "SRV", *(f"0 0 80 {host}" for host in hosts))
    for n, host in enumerate(hosts):
        publish(sandbox, host, "A", f"10.0.0.{n}")

    with Resolver([sandbox.nameserver], timeout=PATIENCE) as resolver:
        snapshot = resolver.lookup(V1)

    assert {(e.target, e.addresses) for e in snapshot.endpoints} == {
        (host, (f"10.0.0.{n}",)) for n, host in enumerate(hosts)
    }


def test_targets_may_be_aliases_or_have_no_address(sandbox: Sandbox, resolver: Resolver) -> None:
    """RFC 2782 forbids aliases, and they exist; what cannot be reached is not picked."""
    publish(
        sandbox,
        V1,
        "SRV",
        "0 0 80 none.example.test.",
        "5 0 80 alias.example.test.",
        "0 0 80 x.org.",
    )
    publish(sandbox, "alias.example.test.", "CNAME", "real.example.test.", ttl=7)
    publish(sandbox, "real.example.test.", "A", "10.0.0.9")

    snapshot = resolver.lookup(V1)

    assert [(e.target, e.addresses) for e in snapshot.endpoints] == [
        ("none.example.test.", ()),
        ("x.org.", ()),
        ("alias.example.test.", ("10.0.0.9",)),
    ]
    assert resolver.pick(V1).target == "alias.example.test."
    order = resolver.order(V1)
    assert order[0].target == "alias.example.test."
    assert len(order) == 3


def test_addresses_that_nobody_can_tell_are_a_failure(sandbox: Sandbox, resolver: Resolver) -> None:
    """Not that there are none: nobody has answered."""
    publish(sandbox, V1, "SRV", "0 0 80 x.org.")

    with pytest.raises(Unavailable, match=r"x\.org\."):
        resolver.lookup(V1)


def test_picks_come_by_weight_within_the_best_priority(
    sandbox: Sandbox, resolver: Resolver
) -> None:
    """About nine in ten for the one, one in ten for the other, none for the backup."""
    for host, address in (("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")):
        publish(sandbox, f"{host}.example.test.", "A", address)
    publish(
        sandbox,
        V1,
        "SRV",
        *("1 90 80 a.example.test.", "1 10 80 b.example.test.", "2 100 80 c.example.test."),
    )

    picked = Counter(resolver.pick(V1).target[0] for _ in range(100))

    assert set(picked) == {"a", "b"}
    assert 75 <= picked["a"] <= 99
    assert [e.target[0] for e in resolver.order(V1)][2] == "c"


def test_the_library_browses(sandbox: Sandbox, resolver: Resolver) -> None:
    """Instances and service types, as text."""
    publish(sandbox, SERVICE, "PTR", V1, f"v2.{SERVICE}")
    publish(sandbox, "_services._dns-sd._udp.example.test.", "PTR", SERVICE)

    assert resolver.browse("theService", "example.test") == ("v1", "v2")
    assert resolver.browse("_theService._tcp.example.test") == ("v1", "v2")
    assert resolver.services("example.test") == ("_theService._tcp",)
    with pytest.raises(NotFound):
        resolver.browse("other", "example.test")
    with pytest.raises(UsageError):
        resolver.browse(V1)


@contextmanager
def udp_server(
    replies: Callable[[dns.message.Message], list[bytes]],
) -> Iterator[NameServer]:
    """A name server that answers one question with any number of datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            wire, client = server.recvfrom(4096)
            for datagram in replies(dns.message.from_wire(wire)):
                server.sendto(datagram, client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield NameServer(*server.getsockname())
        thread.join(PATIENCE)


def test_only_the_answer_to_the_question_counts() -> None:
    """Garbage, other IDs and other questions are passed over, and the answer awaited."""

    def replies(asked: dns.message.Message) -> list[bytes]:
        other = dns.message.make_query("b.example.com.", "A", id=asked.id)
        stranger = dns.message.make_response(asked)
        stranger.id = asked.id ^ 1
        answer = dns.message.make_response(asked)
        answer.answer.append(dns.rrset.from_text("a.example.com.", 60, "IN", "A", "10.0.0.1"))
        return [
            b"",
            b"\xff" * 40,
            stranger.to_wire(),
            dns.message.make_response(other).to_wire(),
            asked.to_wire(),
            answer.to_wire(),
        ]

    with udp_server(replies) as server:
        answer = ask([server], Name.parse("a.example.com"), "A", PATIENCE)

    assert answer.values == (Address.parse("10.0.0.1"),)


def test_help_is_quick_and_a_look_up_needs_no_cloud(served: Sandbox) -> None:
    """--help imports no resolver; looking up imports neither boto3 nor requests."""
    program = """if True:
        import os, sys
        from dnssd.cli.main import run
        assert run(["lookup", "--help"]) == 0
        assert run(["browse", "--help"]) == 0
        early = {"dns", "logging", "socket", "dnssd.resolver"} & set(sys.modules)
        assert not early, early
        assert run(["lookup", "theService"]) == 0
        assert run(["browse", "theService"]) == 0
        late = {"boto3", "botocore", "requests", "urllib3"} & set(sys.modules)
        assert not late, late
    """
    environment = {"DNSSD_NAMESERVER": served.nameserver, "DNSSD_DOMAIN": "example.test"}

    subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, stdout=subprocess.DEVNULL
    )


def test_a_target_is_printed_for_tls(served: Sandbox, capsys: Capture) -> None:
    """The name that a certificate is for; with --all in failover order, addresses or not."""
    assert run(["lookup", V1, "--pick", "--target"]) == 0
    assert capsys.readouterr().out == "i-0abc.example.test:4218\n"
    assert run(["lookup", V1, "--all", "--target"]) == 0
    assert capsys.readouterr().out == "i-0abc.example.test:4218\ni-0def.example.test:4218\n"
    assert run(["lookup", V1, "--target"]) == 2
    assert "--target goes with --pick or --all" in capsys.readouterr().err


def test_a_target_that_is_no_host_name_is_not_printed(served: Sandbox, capsys: Capture) -> None:
    """Scripts put it into command lines: no record may write there what it likes."""
    publish(served, "_odd._tcp.example.test.", "SRV", r"0 0 80 $\050reboot\051.example.test.")

    assert run(["lookup", "odd", "--pick", "--target"]) == 1

    output, error = capsys.readouterr()
    assert output == ""
    assert "not a host name" in error


def test_what_is_not_there_yet_is_waited_for(
    served: Sandbox, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long DNS lets clients remember an absence; after that it is an error as ever."""
    monkeypatch.setattr("dnssd.cli.lookup.POLL_SECONDS", 0.01)
    late = threading.Timer(
        0.3, publish, (served, "_late._tcp.example.test.", "SRV", "0 0 80 i-0abc.example.test.")
    )
    late.start()

    assert run(["lookup", "late", "--wait", "60", "--pick"]) == 0
    late.join()
    assert capsys.readouterr().out == "10.0.0.5:80\n"
    assert run(["lookup", "never", "--wait", "0.05"]) == 3


def test_a_slow_path_gets_more_time(capsys: Capture) -> None:
    """As much as --timeout says, and no more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        for command in (["lookup", "http"], ["browse", "http"]):
            ended = run(
                [*command, "--domain", "a.test", "--nameserver", server, "--timeout", "0.1"]
            )
            assert ended == 1
    assert run(["lookup", "http", "--domain", "a.test", "--timeout", "0"]) == 2


def test_what_could_not_be_had_is_told_on_stderr(capsys: Capture) -> None:
    """Scripts get the endpoint all the same, and stdout has nothing else."""
    with SimServer(hosts_of(range(1, 2))) as server:
        server.network.fault = where(lambda query: query.key[1] == "TXT", servfail)
        assert run(["lookup", WEB, "--all", "--nameserver", server.nameserver]) == 0

    told = capsys.readouterr()
    assert told.out == "10.0.0.1:80\n"
    assert f"{WEB}: going on without {WEB} TXT" in told.err


def test_a_program_looks_up_where_the_commands_do(
    served: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name servers and domain are the environment's; what is given or absolute needs neither."""
    with Resolver() as resolver:
        assert resolver.lookup("v1._theService._tcp").name == V1
        assert resolver.browse("_theService._tcp") == ("v1",)
        monkeypatch.delenv("DNSSD_DOMAIN")
        monkeypatch.setenv("DNSSD_ZONE", "example.test,id=Z0123456789ABC other.test")
        assert len(resolver.order("theService")) == 2
        monkeypatch.setenv("DNSSD_ZONE", "a..b")
        assert resolver.pick(V1).port == 4218
        with pytest.raises(UsageError, match=r"^DNSSD_ZONE: zone 'a\.\.b'"):
            resolver.lookup("other")
        monkeypatch.setenv("DNSSD_ZONE", "Z0123456789ABC")
        with pytest.raises(UsageError, match="says no domain; write NAME,id=Z0123456789ABC"):
            resolver.lookup("other")
    monkeypatch.setenv("DNSSD_NAMESERVER", "a:b:c:d")
    with pytest.raises(UsageError, match=r"^DNSSD_NAMESERVER: "):
        Resolver()
    Resolver([served.nameserver]).close()


def test_a_reader_that_has_read_enough_is_no_error(served: Sandbox) -> None:
    """`dnssd lookup ... | true`: no message and no traceback; the code is for who asks for it."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "dnssd", "lookup", V1],
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )

    assert (ended.returncode, ended.stderr) == (1, b"")


def test_an_instance_may_be_preferred(served: Sandbox, capsys: Capture) -> None:
    """Its endpoints come first, though others have a better priority."""
    publish(served, f"Far.{SERVICE}", "SRV", "5 100 4219 i-0abc.example.test.")
    edits = [
        Edit(action, HostedRRset(read_name(SERVICE), "PTR", 60, values))
        for action, values in ((Action.DELETE, (V1,)), (Action.CREATE, (V1, f"Far.{SERVICE}")))
    ]
    served.zones.change(served.zone_id, edits)

    assert run(["lookup", "theService", "--all", "--prefer", "far"]) == 0

    assert capsys.readouterr().out.split() == [
        "10.0.0.5:4219",
        "10.0.0.5:4218",
        "10.0.0.6:4218",
        "[2001:db8::6]:4218",
    ]
