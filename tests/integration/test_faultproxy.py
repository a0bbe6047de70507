"""The fault proxy between a client and a server, by UDP and TCP."""

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from dnssd import open_zone
from dnssd.deadline import Deadline
from dnssd.names import Name
from dnssd.records import Address, Srv
from dnssd.rrsets import Change, RRset
from dnssd.sandbox.sandbox import Sandbox
from kit.faultproxy import FaultProxy
from kit.faultproxy.faults import Fault, Plan

ZONE = "example.test"
ORIGIN = Name.parse(ZONE)
NAME = "web.example.test."
PATIENCE = 60.0  # seconds until a test gives up
BRIEF = 0.05  # seconds in which nothing comes
HOSTS = ("a", "b", "c")


@pytest.fixture
def server(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> str:
    """`127.0.0.1:PORT` of a server that holds a service of three hosts."""
    for key, value in sandbox.environment().items():
        monkeypatch.setenv(key, value)
    srvs = tuple(Srv(0, 1, 80, ORIGIN.child(host.encode())) for host in HOSTS)
    sets = [RRset(Name.parse(NAME), "SRV", 60, srvs)]
    for number, host in enumerate(HOSTS):
        address = (Address.parse(f"10.0.0.{number + 1}"),)
        sets.append(RRset(ORIGIN.child(host.encode()), "A", 60, address))
    open_zone(ZONE).commit([Change(None, rrset) for rrset in sets], Deadline(PATIENCE))
    return f"{sandbox.host}:{sandbox.dns_port}"


@pytest.fixture
def proxy(server: str) -> Iterator[FaultProxy]:
    """A proxy before it that does nothing yet."""
    with FaultProxy(server, Plan(share=0), zone=ZONE) as proxy:
        yield proxy


def always(*faults: Fault, seed: int = 0) -> Plan:
    """Every answer meets one of these faults."""
    return Plan(share=1, faults=faults, seed=seed)


def query(rdtype: str = "SRV", number: int = 1) -> dns.message.QueryMessage:
    """A question about the service."""
    return dns.message.make_query(NAME, rdtype, use_edns=0, payload=1232, id=number)


class Client:
    """A UDP socket connected to the proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", proxy.port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, message: dns.message.Message) -> None:
        """Send a question."""
        self._socket.send(message.to_wire())

    def hear(self, timeout: float = PATIENCE) -> bytes | None:
        """The next packet; None if none comes in time."""
        self._socket.settimeout(timeout)
        try:
            return self._socket.recv(65535)
        except TimeoutError:
            return None


class Stream:
    """A TCP connection to the proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._socket = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, *messages: dns.message.Message) -> None:
        """Send questions, one behind the other."""
        wires = (message.to_wire() for message in messages)
        self._socket.sendall(b"".join(struct.pack("!H", len(wire)) + wire for wire in wires))

    def hear(self) -> bytes:
        """The next message."""
        (size,) = struct.unpack("!H", self._file.read(2))
        return self._file.read(size)

    def is_silent(self) -> bool:
        """Whether the connection stays open and nothing comes, or only part of a message."""
        self._socket.settimeout(BRIEF)
        with contextlib.suppress(TimeoutError):
            while True:
                if not self._socket.recv(65535):
                    return False
        return True

    def has_ended(self) -> bool:
        """Whether the connection is closed, now or in a while, and nothing comes before."""
        return self._socket.recv(65535) == b""


def targets(wire: bytes | None) -> list[str]:
    """The hosts in an answer."""
    assert wire is not None
    answer = dns.message.from_wire(wire).answer
    return sorted(str(rdata.target).split(".")[0] for rrset in answer for rdata in rrset)


def test_what_is_not_broken_goes_through_as_it_is(proxy: FaultProxy) -> None:
    """By UDP and TCP on one port, additional section and all; every packet is counted."""
    with Client(proxy) as client, Stream(proxy) as stream:
        client.ask(query(number=7))
        stream.ask(query(number=8))
        answers = [client.hear(), stream.hear()]

    assert [targets(answer) for answer in answers] == [list(HOSTS)] * 2
    assert [dns.message.from_wire(answer or b"").id for answer in answers] == [7, 8]
    assert all(len(dns.message.from_wire(answer or b"").additional) == 3 for answer in answers)
    counts = proxy.counts()
    assert counts.udp == {"queries": 1, "answers": 1, "right": 1}
    assert counts.tcp == {"connections": 1, "queries": 1, "answers": 1, "right": 1}
    assert (counts.questions, counts.packets, counts.answers, counts.right) == (1, 2, 2, 2)


@pytest.mark.parametrize(
    "fault", sorted(set(Fault) - {Fault.DROP, Fault.DELAY, Fault.RESET, Fault.STALL})
)
def test_what_is_broken_arrives_so_by_every_transport(proxy: FaultProxy, fault: Fault) -> None:
    """No client that is strict gets the whole answer, and each is counted."""
    proxy.follow(always(fault))

    with Client(proxy) as client, Stream(proxy) as stream:
        if fault.fits("udp"):
            client.ask(query(number=7))
            assert not is_whole(client.hear() or b"")
            assert proxy.counts().udp[fault] == 1
        if fault.fits("tcp"):
            stream.ask(query(number=7))
            assert fault is Fault.WRONG_LENGTH or not is_whole(stream.hear())
            await_answers(proxy, 1 + fault.fits("udp"))
            assert proxy.counts().tcp[fault] == 1


def is_whole(wire: bytes) -> bool:
    """Whether it answers the question with all hosts."""
    with contextlib.suppress(dns.exception.DNSException):
        answer = dns.message.from_wire(wire)
        whole = query(number=7).is_response(answer) and targets(wire) == list(HOSTS)
        return whole and not answer.flags & dns.flags.TC
    return False


def test_answers_by_udp_can_be_cut_and_bare(proxy: FaultProxy) -> None:
    """Empty with TC, or without the additional section: neither counts as a fault."""
    with Client(proxy) as client:
        answers = []
        for plan in Plan(share=0, udp=False), Plan(share=0, additional=False):
            proxy.follow(plan)
            client.ask(query())
            answers.append(dns.message.from_wire(client.hear() or b""))

    cut, bare = answers
    assert cut.flags & dns.flags.TC
    assert not cut.answer
    assert (len(bare.answer[0]), bare.additional, bare.edns) == (3, [], 0)
    assert proxy.counts().right == 2


def test_a_dropped_answer_never_comes(proxy: FaultProxy) -> None:
    """By either transport; the TCP connection lives on."""
    proxy.follow(always(Fault.DROP))
    with Client(proxy) as client, Stream(proxy) as stream:
        client.ask(query(number=1))
        stream.ask(query(number=1))
        await_answers(proxy, 2)  # the next plan is not for them
        assert client.hear(BRIEF) is None
        assert stream.is_silent()
        proxy.follow(Plan(share=0))
        client.ask(query(number=2))

        assert dns.message.from_wire(client.hear() or b"").id == 2


def test_a_delayed_answer_comes_late_and_others_overtake_it(proxy: FaultProxy) -> None:
    """On one connection as on one socket."""
    proxy.follow(always(Fault.DELAY, seed=47))  # both by more than 0.9 s
    with Client(proxy) as client, Stream(proxy) as stream:
        client.ask(query(number=1))
        stream.ask(query(number=1))
        await_answers(proxy, 2)
        proxy.follow(Plan(share=0))
        client.ask(query(number=2))
        stream.ask(query(number=2))
        order = [
            [dns.message.from_wire(wire or b"").id for wire in (side.hear(), side.hear())]
            for side in (client, stream)
        ]

    assert order == [[2, 1], [2, 1]]


def await_answers(proxy: FaultProxy, count: int) -> None:
    """Return once the server has given so many answers."""
    ends = time.monotonic() + PATIENCE
    while proxy.counts().answers < count:
        assert time.monotonic() < ends, "no answers"
        time.sleep(0.001)


def test_a_reset_ends_the_connection_at_once(proxy: FaultProxy) -> None:
    """With an error, not as if the server had closed it."""
    proxy.follow(always(Fault.RESET))

    with Stream(proxy) as stream:
        stream.ask(query())
        with pytest.raises(ConnectionResetError):
            stream.hear()


def test_a_stall_keeps_everything_behind_it(proxy: FaultProxy) -> None:
    """The connection stays open; another one works."""
    proxy.follow(always(Fault.STALL))
    with Stream(proxy) as stalled:
        stalled.ask(query())
        await_answers(proxy, 1)
        proxy.follow(Plan(share=0))
        stalled.ask(query())
        assert stalled.is_silent()
        with Stream(proxy) as other:
            other.ask(query())
            assert targets(other.hear()) == list(HOSTS)

    assert proxy.counts().tcp["withheld"] == 1


def test_answers_of_one_connection_come_in_the_servers_order() -> None:
    """Not in that of the questions: a server that answers backwards is passed on as it is."""
    answers = asyncio.run(asyncio.wait_for(_ask_backwards(), PATIENCE))

    assert answers == [3, 2, 1]


async def _ask_backwards() -> list[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queries = [await _read(reader) for _ in range(3)]
        for wire in reversed(queries):
            answer = dns.message.make_response(dns.message.from_wire(wire)).to_wire()
            writer.write(struct.pack("!H", len(answer)) + answer)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as backwards:
        port = backwards.sockets[0].getsockname()[1]
        proxy = await asyncio.to_thread(FaultProxy, f"127.0.0.1:{port}", Plan(share=0))
        with proxy, Stream(proxy) as stream:
            stream.ask(*(query(number=number) for number in (1, 2, 3)))
            heard = [await asyncio.to_thread(stream.hear) for _ in range(3)]
    return [int.from_bytes(wire[:2]) for wire in heard]


async def _read(reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))


def test_many_clients_with_the_same_ids_get_their_own_answers(proxy: FaultProxy) -> None:
    """IDs are the clients' own affair."""
    clients = [Client(proxy) for _ in range(20)]
    with contextlib.ExitStack() as stack:
        for number, client in enumerate(clients):
            stack.enter_context(client)
            client.ask(dns.message.make_query(f"n{number}.example.test.", "A", id=9))
        answers = [dns.message.from_wire(client.hear() or b"") for client in clients]

    assert [str(answer.question[0].name) for answer in answers] == [
        f"n{number}.example.test." for number in range(20)
    ]
    assert {answer.id for answer in answers} == {9}
    assert proxy.counts().questions == 20


def test_two_proxies_of_one_seed_do_the_same(server: str) -> None:
    """Another seed does something else."""
    runs = []
    for seed in (1, 1, 2):
        plan = Plan(share=0.5, faults=(Fault.SERVFAIL, Fault.REFUSED), seed=seed)
        with FaultProxy(server, plan) as proxy, Client(proxy) as client:
            codes = []
            for _ in range(30):
                client.ask(query())
                codes.append(dns.message.from_wire(client.hear() or b"").rcode())
        runs.append(codes)

    assert runs[0] == runs[1] != runs[2]
    assert len(set(runs[0])) == 3


def test_lies_need_a_zone(server: str) -> None:
    """Without one there is no SOA record for them to carry."""
    with pytest.raises(ValueError, match="needs the zone"):
        FaultProxy(server, always(Fault.PARTIAL))
    with FaultProxy(server) as proxy, pytest.raises(ValueError, match="needs the zone"):
        proxy.follow(always(Fault.FALSE_NXDOMAIN))


def test_a_server_that_is_not_there_is_no_end(proxy: FaultProxy, sandbox: Sandbox) -> None:
    """UDP is silent and TCP closes, as before a host whose server is down."""
    sandbox.close()

    with Client(proxy) as client, Stream(proxy) as stream:
        client.ask(query())
        assert stream.has_ended()
        assert client.hear(BRIEF) is None
    assert proxy.counts().udp == {"queries": 1}


def test_the_process_ends_with_the_one_that_started_it(server: str, tmp_path: Path) -> None:
    """Even if that is killed: nothing stays behind."""
    script = (
        "import os, sys; from kit.faultproxy import FaultProxy;"
        f"proxy = FaultProxy({server!r}); print(proxy.port, flush=True); os.kill(os.getpid(), 9)"
    )
    folder = str(Path(__file__).parents[1])
    completed = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": folder},
        capture_output=True,  # returns once every process that holds the pipe has ended
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(completed.stdout)), timeout=PATIENCE)
