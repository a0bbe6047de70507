"""Real sockets, and servers that misbehave, in both event loops.

The servers live in the loop under test: nothing happens beside it, and nobody waits. Where a
server must not seem late because this machine is busy, the loop's clock goes slowly.
"""

import asyncio
import gc
import inspect
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import pairwise

import pytest

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Address
from dnssd.wire.answers import Answer
from dnssd.wire.blocking import ask
from dnssd.wire.budget import Budget
from dnssd.wire.client import DnsClient
from dnssd.wire.connections import PORT_LIFE
from dnssd.wire.loop import SelectLoop
from dnssd.wire.nameservers import NameServer
from dnssd.wire.server import PORTS
from dnssd.wire.sockets import Sockets

SLOWLY = 0.01  # of the speed of time: then 200 ms are 20 s
PATIENCE = 60.0  # real seconds until a test that is stuck fails
RESET = struct.pack("ii", 1, 0)  # linger: on, for 0 s: closing sends RST
LIE = b"\xc0\x00\x02\x42"

Udp = Callable[["Server", bytes, Callable[[bytes], None]], None]
Tcp = Callable[["Connection", bytes], None]


class Clock:
    """The time at some speed, which may be set forward."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.skipped = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return time.monotonic() * self.speed + self.skipped


class SteeredLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, with a clock of the test's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        super().__init__()

    def time(self) -> float:
        """The test's time."""
        return self._clock()


class World:
    """One event loop with servers and a client in it.

    Args:
        kind: `select` or `asyncio`.
        speed: How fast its clock goes.
    """

    def __init__(self, kind: str, speed: float) -> None:
        self.clock = Clock(speed)
        self.loop = SelectLoop(self.clock) if kind == "select" else SteeredLoop(self.clock)
        self._closing: list[Callable[[], object]] = []
        self.came: list[Answer | Unavailable] = []

    def server(self, udp: "Udp | None" = None, tcp: "Tcp | None" = None, **how: str) -> "Server":
        """A server that does as it is told."""
        server = Server(self.loop, udp or answers, tcp or frames, **how)
        self._closing.append(server.close)
        return server

    def nowhere(self) -> NameServer:
        """A port of this machine where nobody listens, and that nobody else gets."""
        udp, tcp = _bound("127.0.0.1", backlog=None)
        self._closing += [udp.close, tcp.close]
        port = udp.getsockname()[1]
        udp.connect(("127.0.0.1", port))  # it hears itself alone; others are told it is closed
        return NameServer("127.0.0.1", port)

    def client(self, *servers: NameServer) -> DnsClient:
        """A client."""
        client = DnsClient(self.loop, servers, Sockets(self.loop), budget=Budget())
        self._closing.append(client.close)
        return client

    def ask(self, client: DnsClient, *numbers: int, seconds: float = PATIENCE) -> list[str]:
        """Ask for the addresses of hosts by number; return them in the order of arrival."""
        for number in numbers:
            self.begin(client, number, seconds)
        return self.arrive(len(numbers))

    def begin(self, client: DnsClient, number: int, seconds: float = PATIENCE) -> None:
        """Ask for one."""
        name = Name.parse(f"h{number}.example.com.")
        client.ask(name, "A", self.loop.time() + seconds, self.came.append)

    def arrive(self, count: int) -> list[str]:
        """Wait for so many answers, and take them."""
        self.run(lambda: len(self.came) >= count)
        came, self.came[:] = self.came[:count], self.came[count:]
        return [_shown(answer) for answer in came]

    def run(self, until: Callable[[], bool]) -> None:
        """Let the loop go on until something holds."""
        began = time.monotonic()

        def over() -> bool:
            assert time.monotonic() - began < PATIENCE, "it never came to that"
            return until()

        if isinstance(self.loop, SelectLoop):
            self._pulse(self.loop, until)
            self.loop.run(over)
        else:
            self.loop.run_until_complete(self._until(over))

    def close(self) -> None:
        """Close all that was opened."""
        for close in self._closing:
            close()
        if not isinstance(self.loop, SelectLoop):
            self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def _pulse(self, loop: SelectLoop, until: Callable[[], bool]) -> None:
        """Have the loop look whether it is over."""
        if not until():
            loop.call_at(loop.time() + 0.002 * self.clock.speed, self._pulse, loop, until)

    async def _until(self, over: Callable[[], bool]) -> None:
        while not over():
            await asyncio.sleep(0.002 * self.clock.speed)


class Server:
    """A name server on a loopback port.

    Args:
        loop: Where it lives.
        udp: What it does with a datagram.
        tcp: What it does with a query by TCP.
        address: Where it listens.

    Attributes:
        by_udp: The queries that came, each with its source.
        by_tcp: The queries that came by TCP.
        connections: All that were ever opened.
    """

    def __init__(
        self, loop: "SelectLoop | SteeredLoop", udp: Udp, tcp: Tcp, address: str = "127.0.0.1"
    ) -> None:
        self.loop = loop
        self._on_udp, self.on_tcp = udp, tcp
        self.udp, self._listener = _bound(address)
        self.at = NameServer(address, self.udp.getsockname()[1])
        self.by_udp: list[tuple[bytes, tuple[str, int]]] = []
        self.by_tcp: list[bytes] = []
        self.connections: list[Connection] = []
        loop.add_reader(self.udp.fileno(), self._datagrams)
        loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Free all sockets."""
        for one in (self.udp, self._listener):
            if one.fileno() >= 0:
                self.loop.remove_reader(one.fileno())
                one.close()
        for connection in self.connections:
            connection.close()

    def _datagrams(self) -> None:
        with suppress(BlockingIOError):
            while True:
                query, source = self.udp.recvfrom(4096)
                self.by_udp.append((query, source[:2]))
                self._on_udp(self, query, _sends(self.udp, source))

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            self.connections.append(Connection(self, self._listener.accept()[0]))


class Connection:
    """A TCP connection to a client."""

    def __init__(self, server: Server, connected: socket.socket) -> None:
        self.server = server
        self.waiting: list[bytes] = []  # queries to be answered together
        self._socket = connected
        self._in = b""
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.loop.add_reader(connected.fileno(), self._read)

    def send(self, data: bytes) -> None:
        """Send octets as they are."""
        self._socket.sendall(data)

    def finish(self) -> None:
        """Send no more, but go on listening."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Break it off."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()

    def close(self) -> None:
        """End it."""
        if self._socket.fileno() >= 0:
            self.server.loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        try:
            chunk = self._socket.recv(65536)
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            return
        self._in += chunk
        while len(self._in) >= 2 and len(self._in) >= (end := 2 + int.from_bytes(self._in[:2])):
            query, self._in = self._in[2:end], self._in[end:]
            self.server.by_tcp.append(query)
            self.server.on_tcp(self, query)


def _bound(address: str, backlog: int | None = 100) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(50):  # somebody may have that port by one of the two
        udp, tcp = (socket.socket(family, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        udp.bind((address, 0))
        try:
            tcp.bind((address, udp.getsockname()[1]))
        except OSError:
            udp.close()
            tcp.close()
            continue
        if backlog is not None:
            tcp.listen(backlog)
        udp.setblocking(False)
        tcp.setblocking(False)
        return udp, tcp
    raise AssertionError("no port is free")


def _sends(udp: socket.socket, source: tuple[str, int]) -> Callable[[bytes], None]:
    return lambda data: _ignored(udp.sendto(data, source))


def _ignored(_: object) -> None:
    return None


def _shown(answer: Answer | Unavailable) -> str:
    if isinstance(answer, Unavailable):
        return str(answer)
    return " ".join(str(value.ip) for value in answer.values if isinstance(value, Address))


def host(number: int) -> str:
    """The address of a host."""
    return f"10.1.{number >> 8}.{number & 255}"


def asked(query: bytes) -> bytes:
    """The question section of a query, which may have an OPT record or none."""
    return query[12 : query.index(b"\0", 12) + 5]


def response(query: bytes) -> bytes:
    """The right answer."""
    number = int(query[14 : 13 + query[12]])
    rdata = socket.inet_aton(host(number))
    return (
        query[:2]
        + b"\x84\x00\0\1\0\1\0\0\0\0"
        + asked(query)
        + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"
        + rdata
    )


def cut_response(query: bytes) -> bytes:
    """TC."""
    return query[:2] + b"\x86\x00\0\1\0\0\0\0\0\0" + asked(query)


def framed(data: bytes) -> bytes:
    """With its length in front of it."""
    return len(data).to_bytes(2) + data


def answers(server: Server, query: bytes, reply: Callable[[bytes], None]) -> None:
    """As it should be."""
    reply(response(query))


def cuts(server: Server, query: bytes, reply: Callable[[bytes], None]) -> None:
    """Everything is too long for UDP."""
    reply(cut_response(query))


def says_nothing(server: Server, query: bytes, reply: Callable[[bytes], None]) -> None:
    """A server that is overloaded, or gone."""


def frames(connection: Connection, query: bytes) -> None:
    """As it should be, by TCP."""
    connection.send(framed(response(query)))


def open_files() -> set[str]:
    """The descriptors that this process has, with what stands behind them."""
    gc.collect()
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that by which the folder was read
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    return found


@pytest.fixture(params=["select", "asyncio"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which event loop."""
    return str(request.param)


@pytest.fixture
def _leaves_nothing() -> Iterator[None]:
    files, threads = open_files(), set(threading.enumerate())
    yield
    assert open_files() <= files  # what another test has left behind may end meanwhile
    assert set(threading.enumerate()) <= threads


@pytest.fixture
def world(kind: str, _leaves_nothing: None) -> Iterator[World]:
    """A loop whose clock goes slowly: nothing is late because this machine is busy."""
    with closing(World(kind, SLOWLY)) as made:
        yield made


@pytest.fixture
def hasty(kind: str, _leaves_nothing: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A loop with the usual clock, in which answers are late after 10 ms."""
    monkeypatch.setattr("dnssd.wire.server.FIRST_LATE", 0.01)
    with closing(World(kind, 1.0)) as made:
        yield made


# Healthy servers


def test_a_healthy_server_sees_exactly_one_packet_a_question(world: World) -> None:
    """A thousand questions, fifty under way at a time."""
    server = world.server()
    client = world.client(server.at)
    left = iter(range(1000))

    def begin() -> None:
        for number in left:
            client.ask(Name.parse(f"h{number}.example.com."), "A", world.loop.time() + 5, came)
            return

    def came(answer: Answer | Unavailable) -> None:
        world.came.append(answer)
        begin()

    for _ in range(50):
        begin()

    assert sorted(world.arrive(1000)) == sorted(map(host, range(1000)))
    assert len(server.by_udp) == 1000
    assert len({query[12:] for query, _ in server.by_udp}) == 1000
    assert server.connections == []
    assert client.disturbed == 0


def test_three_hundred_questions_at_once(world: World) -> None:
    """More than are under way at a time; each gets its own answer."""
    server = world.server()

    came = world.ask(world.client(server.at), *range(300))

    assert Counter(came) == Counter(map(host, range(300)))
    assert len(server.by_udp) == 300


def test_a_server_is_reached_by_ipv6(world: World) -> None:
    """By UDP and by TCP."""
    try:
        server = world.server(cuts, address="::1")
    except OSError:
        pytest.skip("no IPv6 on this machine")

    assert world.ask(world.client(server.at), 7) == [host(7)]
    assert len(server.by_tcp) == 1


def test_ports_and_ids_cannot_be_guessed(world: World) -> None:
    """RFC 5452: from the system's randomness, other ones for each socket and question."""
    server = world.server()
    for number in range(16):
        world.ask(world.client(server.at), number)
    world.ask(world.client(server.at), *range(200))
    ports = [source[1] for _, source in server.by_udp[:16]]
    ids = [int.from_bytes(query[:2]) for query, _ in server.by_udp]

    assert len(set(ports)) == 16
    assert len({after - before for before, after in pairwise(ports)}) > 3
    assert len(set(ids)) > 200  # of 216; fewer in less than one run of 10**9
    assert inspect.signature(DnsClient).parameters["entropy"].default is os.urandom


def test_no_port_is_used_for_ever(world: World) -> None:
    """Questions leave by sixteen at least, each replaced in time; answers are heard by all."""
    server = world.server()
    client = world.client(server.at)
    files = open_files()

    for at in range(0, PORTS * PORT_LIFE + 200, 200):
        assert len(world.ask(client, *range(at, at + 200))) == 200

    ports = Counter(source[1] for _, source in server.by_udp)
    assert len(ports) > PORTS
    assert max(ports.values()) <= 2 * PORT_LIFE  # the system may give one twice
    assert len(open_files() - files) == PORTS


@pytest.mark.usefixtures("_leaves_nothing")
def test_our_own_slowness_is_not_the_servers(kind: str) -> None:
    """The program was busy for a second: answers that wait in the socket are not late."""
    with closing(World(kind, SLOWLY)) as world:

        def busy(server: Server, query: bytes, reply: Callable[[bytes], None]) -> None:
            reply(response(query))
            if len(server.by_udp) == 250:
                world.clock.skipped += 1.0

        server = world.server(busy)
        client = world.client(server.at)

        came = world.ask(client, *range(250))

        assert Counter(came) == Counter(map(host, range(250)))
        assert len(server.by_udp) == 250


@pytest.mark.usefixtures("_leaves_nothing")
def test_our_own_slowness_is_no_deadline(kind: str) -> None:
    """Nor are they given up."""
    with closing(World(kind, SLOWLY)) as world:

        def busy(server: Server, query: bytes, reply: Callable[[bytes], None]) -> None:
            reply(response(query))
            if len(server.by_udp) == 250:
                world.clock.skipped += 60.0

        came = world.ask(world.client(world.server(busy).at), *range(250))

        assert Counter(came) == Counter(map(host, range(250)))


# UDP that goes wrong


def test_a_closed_port_is_told_at_once(world: World) -> None:
    """The next server is asked because of what the network tells, not because time has passed."""
    server = world.server()
    client = world.client(world.nowhere(), server.at)

    assert world.ask(client, 100) == [host(100)]
    assert sorted(world.ask(client, *range(20))) == sorted(map(host, range(20)))
    asked = [query[12:] for query, _ in server.by_udp if b"h100" not in query.lower()]
    assert len(asked) == len(set(asked)) == 20


def test_the_only_server_is_asked_though_it_refuses(hasty: World) -> None:
    """It may be starting: that its port is closed is told at the deadline only."""
    gone = hasty.nowhere()

    (error,) = hasty.ask(hasty.client(gone), 1, seconds=0.05)

    assert error.startswith(f"h1.example.com. A: {gone} connection refused;")


def test_answers_from_elsewhere_are_ignored(world: World) -> None:
    """From another port, and from another address: the ID and the question are right."""
    lies = []

    def beside(server: Server, query: bytes, reply: Callable[[bytes], None]) -> None:
        source = server.by_udp[-1][1]
        for address in ("127.0.0.1", "127.0.0.2"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
                liar.bind((address, server.at.port if address == "127.0.0.2" else 0))
                liar.sendto(response(query)[:-4] + LIE, source)
                lies.append(address)
        reply(response(query))

    server = world.server(beside)

    assert world.ask(world.client(server.at), 5) == [host(5)]
    assert len(lies) == 2
    assert len(server.by_udp) == 1


def test_forged_answers_are_ignored(world: World) -> None:
    """From the right place, with a wrong ID or for another question; and garbage."""

    def forge(server: Server, query: bytes, reply: Callable[[bytes], None]) -> None:
        lie = response(query)[:-4] + LIE
        reply(bytes([query[0] ^ 1]) + lie[1:])
        reply(lie.replace(b"example", b"exbmple"))
        reply(b"")
        reply(os.urandom(2) + b"x" * 30)
        reply(query)
        reply(response(query))

    server = world.server(forge)

    came = world.ask(world.client(server.at), *range(50))
    assert sorted(came) == sorted(host(at) for at in range(50))
    assert len(server.by_udp) == 50


def test_dead_servers_are_passed_over(hasty: World) -> None:
    """One refuses, one is silent, one answers."""
    silent, good = hasty.server(says_nothing), hasty.server()
    client = hasty.client(hasty.nowhere(), silent.at, good.at)

    assert sorted(hasty.ask(client, *range(20))) == sorted(map(host, range(20)))
    assert hasty.ask(client, 33) == [host(33)]


def test_a_packet_that_is_lost_is_sent_again(hasty: World) -> None:
    """By the only server there is."""
    lost: list[bytes] = []

    def loses(server: Server, query: bytes, reply: Callable[[bytes], None]) -> None:
        if len(server.by_udp) == 1:
            lost.append(query)
        else:
            reply(response(query))

    server = hasty.server(loses)

    assert hasty.ask(hasty.client(server.at), 4) == [host(4)]
    assert len(lost) == 1


# TCP, and TCP that goes wrong


def test_answers_by_tcp_come_in_any_order_over_one_connection(world: World) -> None:
    """Fifty questions are pipelined; the server answers the last one first, all at once."""

    def backwards(connection: Connection, query: bytes) -> None:
        connection.waiting.append(query)
        if len(connection.waiting) == 50:
            connection.send(b"".join(framed(response(one)) for one in connection.waiting[::-1]))

    server = world.server(cuts, backwards)

    came = world.ask(world.client(server.at), *range(50))

    assert sorted(came) == sorted(host(at) for at in range(50))
    assert len(server.connections) == 1
    assert len(server.by_tcp) == 50


def test_a_callback_that_fails_keeps_no_answer_from_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten answers come in one segment; what is done with the first fails, and is logged."""

    def together(connection: Connection, query: bytes) -> None:
        connection.waiting.append(query)
        if len(connection.waiting) == 10:
            connection.send(b"".join(framed(response(one)) for one in connection.waiting))

    def fail(_: object) -> None:
        raise ZeroDivisionError

    client = world.client(world.server(cuts, together).at)
    client.ask(Name.parse("h0.example.com."), "A", world.loop.time() + 5, fail)

    assert sorted(world.ask(client, *range(1, 10))) == [host(at) for at in range(1, 10)]
    world.run(lambda: bool(caplog.records))
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_an_answer_may_come_octet_by_octet(world: World) -> None:
    """The length too; two answers are not told apart by their segments."""

    def trickles(connection: Connection, query: bytes) -> None:
        connection.waiting.append(query)
        if len(connection.waiting) == 2:
            _trickle(connection, b"".join(framed(response(one)) for one in connection.waiting))

    server = world.server(cuts, trickles)

    assert world.ask(world.client(server.at), 1, 2) == [host(1), host(2)]


def _trickle(connection: Connection, data: bytes) -> None:
    """Send an octet, and the rest in the next rounds of the loop."""
    connection.send(data[:1])
    if data[1:]:
        loop = connection.server.loop
        loop.call_at(loop.time(), _trickle, connection, data[1:])


@pytest.mark.parametrize("how", ["reset", "close", "finish"])
def test_a_connection_that_breaks_is_replaced(world: World, how: str) -> None:
    """At once, because it is known to be broken; in whichever way."""

    def breaks(connection: Connection, query: bytes) -> None:
        if len(connection.server.connections) == 1:
            getattr(connection, how)()
        else:
            frames(connection, query)

    server = world.server(cuts, breaks)

    assert world.ask(world.client(server.at), 3) == [host(3)]


def test_answers_before_the_end_of_a_connection_are_heard(world: World) -> None:
    """Half of the questions are answered, then the server closes its half."""

    def half(connection: Connection, query: bytes) -> None:
        if len(connection.server.connections) > 1:
            frames(connection, query)
            return
        connection.waiting.append(query)
        if len(connection.waiting) == 10:
            for one in connection.waiting[:5]:
                frames(connection, one)
            connection.finish()

    server = world.server(cuts, half)

    assert sorted(world.ask(world.client(server.at), *range(10))) == [host(at) for at in range(10)]
    numbers = Counter(asked(query) for query in server.by_tcp)
    assert sum(count == 1 for count in numbers.values()) >= 5


def test_a_server_may_close_what_is_idle(world: World) -> None:
    """The next question opens another; one that crosses with the end is asked again."""
    server = world.server(cuts)
    client = world.client(server.at)

    assert world.ask(client, 1) == [host(1)]
    server.connections[0].close()
    world.run(lambda: True)
    assert world.ask(client, 2) == [host(2)]
    server.connections[1].reset()
    assert world.ask(client, 3) == [host(3)]  # is on its way before the end is seen


def test_refused_tcp_does_not_end_it(world: World) -> None:
    """A server without TCP, and one packet that was said to be cut."""

    def once(server: Server, query: bytes, reply: Callable[[bytes], None]) -> None:
        (cuts if len(server.by_udp) == 1 else answers)(server, query, reply)

    server = world.server(once)
    server.loop.remove_reader(server._listener.fileno())
    server._listener.close()

    assert world.ask(world.client(server.at), 3) == [host(3)]


def _stalls(connection: Connection, query: bytes) -> None:
    """Takes queries and is silent."""


def _too_long(connection: Connection, query: bytes) -> None:
    data = response(query)
    connection.send((len(data) + 9).to_bytes(2) + data)


def _too_short(connection: Connection, query: bytes) -> None:
    data = response(query)
    connection.send((len(data) - 9).to_bytes(2) + data)


def _empty(connection: Connection, query: bytes) -> None:
    connection.send(b"\0\0" + framed(b"") + framed(response(query)[:11]))


@pytest.mark.parametrize("fault", [_stalls, _too_long, _too_short, _empty])
def test_a_connection_out_of_step_is_not_waited_for(hasty: World, fault: Tcp) -> None:
    """It is late: another is opened, and used by those who come after."""

    def at_first(connection: Connection, query: bytes) -> None:
        (fault if connection is connection.server.connections[0] else frames)(connection, query)

    server = hasty.server(cuts, at_first)
    client = hasty.client(server.at)

    assert hasty.ask(client, 1) == [host(1)]
    assert len(server.connections) >= 2
    assert hasty.ask(client, 2) == [host(2)]


def test_a_connection_that_takes_nothing_is_written_to_when_it_does(world: World) -> None:
    """Megabytes wait in front of a server that does not read; all arrive, whole and in order."""
    server = world.server()
    server._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lost: list[str] = []
    channel = Sockets(world.loop).open(server.at, True, lambda _: None, lost.append)
    server.on_tcp = _stalls
    packets = [at.to_bytes(2) * 700 for at in range(3000)]
    world.run(lambda: bool(server.connections))
    reading = server.connections[0]
    world.loop.remove_reader(reading._socket.fileno())
    for packet in packets:
        channel.send(packet)

    world.loop.add_reader(reading._socket.fileno(), reading._read)
    world.run(lambda: len(server.by_tcp) == len(packets))

    assert server.by_tcp == packets
    assert lost == []
    channel.close()
    channel.close()


# The end


@pytest.mark.parametrize("udp", [answers, cuts, says_nothing])
def test_closing_while_questions_are_under_way(world: World, udp: Udp) -> None:
    """At whatever stage: no word and no socket is left (see the fixture)."""
    server = world.server(udp)
    client = world.client(server.at, world.nowhere())
    for number in range(300):
        world.begin(client, number)
    world.run(lambda: len(server.by_udp) >= 100)
    seen = len(world.came)
    client.close()
    client.close()

    world.run(lambda: True)
    assert len(world.came) == seen


@pytest.mark.usefixtures("_leaves_nothing")
def test_a_loop_that_ends_first(kind: str) -> None:
    """Closing what belonged to a closed loop frees its sockets all the same."""
    world = World(kind, SLOWLY)
    server = world.server(cuts)
    client = world.client(server.at)
    assert world.ask(client, 1) == [host(1)]
    server.close()
    world.loop.close()

    client.close()


@pytest.mark.usefixtures("_leaves_nothing")
def test_asking_and_waiting() -> None:
    """For programs that have nothing else to do: an answer, or why there is none in time."""
    with closing(World("select", 1.0)) as world:
        server = world.server()
        over = threading.Event()
        thread = threading.Thread(target=lambda: world.run(over.is_set))
        thread.start()
        try:
            answer = ask([server.at], Name.parse("h9.example.com."), "A", PATIENCE)
        finally:
            over.set()
            thread.join()
        assert _shown(answer) == host(9)
        with pytest.raises(Unavailable, match="connection refused"):
            ask([world.nowhere()], Name.parse("h9.example.com."), "A", 0.02)
