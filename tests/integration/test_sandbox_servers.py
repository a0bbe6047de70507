"""What the sandbox's servers have in common: who is silent, who is too much, and the end."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pytest

from dnssd.errors import Unavailable
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.server import Api
from dnssd.sandbox.dns.server import DnsServer
from dnssd.sandbox.metadata.instance import Instance, Metadata
from dnssd.sandbox.metadata.server import MetadataServer

PATIENCE = 60  # seconds until a test gives up; nothing waits that long
Server = Api | DnsServer | MetadataServer
HTTP = b"GET / HTTP/1.1\r\n\r\n"
BODY = b"POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\nhalf"


def _echo(message: bytes, stream: bool) -> Sequence[bytes]:
    return [message]


class Kind(NamedTuple):
    """One of the servers: how to make it, a whole question, and beginnings of one."""

    make: Callable[[int], Server]
    question: bytes
    beginnings: Sequence[bytes]


KINDS = {
    "API": Kind(lambda port: Api(HostedZones(), port=port), HTTP, (b"", b"GET /2013", BODY)),
    "DNS": Kind(lambda port: DnsServer(_echo, port=port), b"\0\1x", (b"", b"\0", b"\0\7half")),
    "metadata": Kind(
        lambda port: MetadataServer(Metadata(Instance(), now=lambda: 0.0), port=port),
        HTTP,
        (b"", b"GET /lat", BODY, b"\r\n" * 9),
    ),
}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each of them in turn."""
    made: Kind = request.param
    return made


@contextlib.contextmanager
def connected(server: Server, said: bytes = b"") -> Iterator[socket.socket]:
    """A connection on which something was said."""
    with socket.create_connection((server.host, server.port), PATIENCE) as connection:
        connection.sendall(said)
        yield connection


def at_end(connection: socket.socket) -> bool:
    """Whether the server ends the connection, whatever it says before."""
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            pass
    return True


def test_silent_connections_keep_nobody_waiting(
    kind: Kind, capfd: pytest.CaptureFixture[str]
) -> None:
    """Half a question, or none, is no reason for others to wait, or for close() to."""
    with kind.make(0) as server, contextlib.ExitStack() as opened:
        silent = [
            opened.enter_context(connected(server, said)) for said in tuple(kind.beginnings) * 10
        ]
        with connected(server, kind.question) as connection:
            assert connection.recv(1)
        server.close()
        assert all(map(at_end, silent))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "server", [Api(HostedZones(), timeout=0.01), DnsServer(_echo, idle=0)], ids=["API", "DNS"]
)
def test_a_silent_connection_is_closed(server: Server) -> None:
    """After its time, so that none is held for ever."""
    with server, connected(server, b"\0") as connection:
        assert at_end(connection)


def test_closing_frees_the_port_and_ends_the_threads(kind: Kind) -> None:
    """Also with connections open; and a second time it does nothing."""
    before = set(threading.enumerate())
    server = kind.make(0)
    server.start()
    with connected(server, kind.question) as connection:
        assert connection.recv(1)
        server.close()
        server.close()
        assert at_end(connection)
    for thread in set(threading.enumerate()) - before:  # a connection's may be on its way out
        thread.join(PATIENCE)
        assert not thread.is_alive()
    with kind.make(server.port) as again:
        assert again.port == server.port


@pytest.mark.parametrize(
    ("name", "transport"),
    [
        ("API", socket.SOCK_STREAM),
        ("DNS", socket.SOCK_STREAM),
        ("DNS", socket.SOCK_DGRAM),
        ("metadata", socket.SOCK_STREAM),
    ],
)
def test_a_port_in_use_is_named(name: str, transport: socket.SocketKind) -> None:
    """With what to do about it."""
    with socket.socket(socket.AF_INET, transport) as other:
        other.bind(("127.0.0.1", 0))
        if transport == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]

        with pytest.raises(Unavailable, match=rf"{name} port {port} of .*in use; choose another"):
            KINDS[name].make(port).start()
