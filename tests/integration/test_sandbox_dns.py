import errno
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Sequence

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import pytest

from dnssd.names import Name
from dnssd.sandbox import server as server_module
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.dns.server import DnsServer
from dnssd.sandbox.sandbox import Sandbox
from dnssd.sandbox.server import DatagramServer

PATIENCE = 60  # seconds until a test gives up; nothing waits that long


def _put(sandbox: Sandbox, name: str, rdtype: str, *texts: str) -> None:
    entry = HostedRRset(Name.parse(name), rdtype, 60, texts)
    sandbox.zones.change(sandbox.zone_id, [Edit(Action.UPSERT, entry)])


def _texts(response: dns.message.Message) -> list[str]:
    return sorted(rdata.to_text() for rrset in response.answer for rdata in rrset)


def _udp(sandbox: Sandbox, query: dns.message.Message) -> dns.message.Message:
    return dns.query.udp(query, sandbox.host, port=sandbox.dns_port, timeout=PATIENCE)


def _tcp(sandbox: Sandbox, query: dns.message.Message) -> dns.message.Message:
    return dns.query.tcp(query, sandbox.host, port=sandbox.dns_port, timeout=PATIENCE)


def _connect(server: Sandbox | DnsServer) -> socket.socket:
    port = server.dns_port if isinstance(server, Sandbox) else server.port
    return socket.create_connection((server.host, port), PATIENCE)


def _receive(connection: socket.socket) -> bytes:
    """One message from a TCP connection; empty if it is at its end."""
    with connection.makefile("rb") as stream:
        return stream.read(int.from_bytes(stream.read(2), "big"))


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def _ask_without_end(connection: socket.socket) -> None:
    while True:
        connection.sendall(_framed(b"x"))


def _echo(message: bytes, stream: bool) -> Sequence[bytes]:
    return [message]


def test_a_change_is_served_at_once(sandbox: Sandbox) -> None:
    """What the store holds is what DNS says, by UDP and by TCP."""
    query = dns.message.make_query("a.example.test.", "A")
    assert _udp(sandbox, query).rcode() == dns.rcode.NXDOMAIN

    _put(sandbox, "a.example.test", "A", "10.0.0.1")

    assert _texts(_udp(sandbox, query)) == _texts(_tcp(sandbox, query)) == ["10.0.0.1"]


def test_a_stock_client_gets_two_hundred_values_by_tcp(sandbox: Sandbox) -> None:
    """A cut answer sends a client to TCP, where all of it is, addresses too."""
    targets = [f"host-{number}.example.test" for number in range(200)]
    _put(sandbox, "web.example.test", "SRV", *(f"0 0 80 {target}." for target in targets))
    for target in targets:
        _put(sandbox, target, "A", "10.0.0.1")
    query = dns.message.make_query("web.example.test.", "SRV", use_edns=0, payload=1232)

    response, used_tcp = dns.query.udp_with_fallback(
        query, sandbox.host, port=sandbox.dns_port, timeout=PATIENCE
    )

    assert used_tcp
    assert len(_texts(response)) == len(response.additional) == 200


def test_the_system_style_resolver_works(sandbox: Sandbox) -> None:
    """The resolver of dnspython takes the sandbox for a name server like any other."""
    _put(sandbox, "a.example.test", "A", "10.0.0.1")
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [sandbox.host], sandbox.dns_port

    assert [rdata.to_text() for rdata in resolver.resolve("a.example.test", "A")] == ["10.0.0.1"]
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolver.resolve("b.example.test", "A")


def test_questions_may_share_a_connection(sandbox: Sandbox) -> None:
    """Several at once, or octet by octet, are answered one after the other (RFC 7766)."""
    queries = [dns.message.make_query("example.test.", rdtype) for rdtype in ("SOA", "NS", "A")]

    with _connect(sandbox) as connection, connection.makefile("rb") as stream:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"".join(_framed(query.to_wire()) for query in queries))
        for octet in _framed(queries[0].to_wire()):
            connection.sendall(bytes([octet]))
        sizes = [stream.read(int.from_bytes(stream.read(2), "big")) for _ in range(4)]

    identifiers = [dns.message.from_wire(wire).id for wire in sizes]
    assert identifiers == [query.id for query in [*queries, queries[0]]]


def test_garbage_ends_a_connection(sandbox: Sandbox) -> None:
    """What is no query gets no answer, and no second chance on that connection."""
    for garbage in (b"\0\0", _framed(b"x" * 11), _framed(b"\0\0\x80" + b"x" * 20)):
        with _connect(sandbox) as connection:
            connection.sendall(garbage)

            assert _receive(connection) == b""


def test_a_client_that_takes_no_answers_is_let_go() -> None:
    """Answers do not pile up for a client that only asks."""
    asked = []

    def respond(message: bytes, stream: bool) -> Sequence[bytes]:
        asked.append(message)
        return [bytes(65535)] * 400  # more than the system takes for a client

    with (
        DnsServer(respond, idle=0.1) as server,
        _connect(server) as connection,
        pytest.raises(ConnectionError),
    ):
        _ask_without_end(connection)

    assert len(asked) <= 1


def test_clients_that_have_gone_do_no_harm(sandbox: Sandbox) -> None:
    """An answer that nobody takes comes back as an ICMP error, which is nobody's fault."""
    query = dns.message.make_query("example.test.", "SOA")
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(query.to_wire(), (sandbox.host, sandbox.dns_port))
        with _connect(sandbox) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(_framed(query.to_wire()))

    assert _udp(sandbox, query).answer
    assert _tcp(sandbox, query).answer


def test_a_fault_in_an_answer_does_not_end_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug costs the one who meets it an answer, and everybody else nothing."""

    def respond(message: bytes, stream: bool) -> Sequence[bytes]:
        if message == b"bug":
            raise RuntimeError("bug")
        return [message]

    with (
        DnsServer(respond) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        _connect(server) as connection,
    ):
        datagrams.settimeout(PATIENCE)
        for message in (b"bug", b"fine"):
            datagrams.sendto(message, (server.host, server.port))
        connection.sendall(_framed(b"bug"))

        assert datagrams.recv(100) == b"fine"
        assert _receive(connection) == b""
    assert "RuntimeError: bug" in caplog.text


def test_a_port_that_is_half_free_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any free port has to be free for both transports."""
    listen = DatagramServer._listen
    failures = [OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))] * 3

    def half_taken(server: DatagramServer) -> int:
        if failures:
            raise failures.pop()
        return listen(server)

    monkeypatch.setattr(DatagramServer, "_listen", half_taken)
    with DnsServer(_echo) as server:
        assert server.port


def test_a_burst_waits_for_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions are taken from the socket, whose buffer is small, before the next is answered."""
    monkeypatch.setattr(server_module, "_BUFFER", 0)  # as small as the system has them
    left = list(range(400))  # a recursor's for 200 hosts, A and AAAA of each
    answered: list[bytes] = []
    all_answered = threading.Event()

    def respond(message: bytes, stream: bool) -> Sequence[bytes]:
        answered.append(message)
        for _ in range(min(2, len(left))):
            client.send(left.pop().to_bytes(2, "big"))
        if len(answered) == 401:
            all_answered.set()
        return ()

    with (
        DnsServer(respond) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        client.connect((server.host, server.port))
        client.send(b"first")

        assert all_answered.wait(PATIENCE)


needs_dig = pytest.mark.skipif(not shutil.which("dig"), reason="dig (bind9-dnsutils) is absent")


def _dig(sandbox: Sandbox, *arguments: str) -> str:
    completed = subprocess.run(
        ["dig", f"@{sandbox.host}", "-p", str(sandbox.dns_port), *arguments],  # noqa: S607 (from PATH)
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return completed.stdout


@needs_dig
def test_dig_reads_an_answer(sandbox: Sandbox) -> None:
    """With its defaults: EDNS, a cookie, RD."""
    _put(sandbox, "web._http._tcp.example.test", "SRV", "0 5 80 a.example.test.")
    _put(sandbox, "a.example.test", "A", "10.0.0.1")

    output = _dig(sandbox, "web._http._tcp.example.test", "SRV")

    assert "status: NOERROR" in output
    assert "flags: qr aa rd;" in output
    assert "0 5 80 a.example.test." in output
    assert "10.0.0.1" in output
    assert "WARNING: recursion requested but not available" in output
    assert output.count("WARNING") == 1


@needs_dig
def test_dig_transfers_a_zone(sandbox: Sandbox) -> None:
    """A person can look at the whole zone."""
    _put(sandbox, "a.example.test", "A", "10.0.0.1")

    output = _dig(sandbox, "example.test", "AXFR", "+noall", "+answer")

    lines = [line.split() for line in output.splitlines() if line and not line.startswith(";")]
    assert [line[3] for line in lines] == ["SOA", "NS", "NS", "NS", "NS", "A", "SOA"]
