"""The fault proxy's process: `kit.faultproxy.FaultProxy` starts it and talks to it.

It listens by UDP and TCP on one loopback port, and prints that port. Then, line by line: a
plan as JSON on its input is followed from then on and acknowledged by a line; `counts` is
answered by the counts as JSON. It ends with its input.
"""

import asyncio
import contextlib
import json
import socket
import struct
import sys
from collections.abc import Iterable

import dns.message
import dns.query
import dns.rdatatype

from kit.faultproxy.faults import Fault, Plan, wrong_length
from kit.faultproxy.judge import Judge, Verdict
from kit.faultproxy.messages import HEADER, record

LOOPBACK = "127.0.0.1"
_AT_ONCE = 64  # packets read before other sockets have their turn
_BUFFER = 1 << 22  # octets that sockets may queue, if the system allows
_TRIES = 50  # for a port that is free for both transports
_RESET = struct.pack("ii", 1, 0)  # linger: on, for 0 s: closing sends RST
_PATIENCE = 30.0  # seconds for the SOA record

Address = tuple[str, int]


class UdpSide:
    """Datagrams there and back; queries get an ID of its own on the way there."""

    def __init__(self, judge: Judge, listener: socket.socket, server: Address) -> None:
        self._judge = judge
        self._listener = listener
        self._upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._upstream.connect(server)
        self._asked: dict[int, tuple[bytes, Address]] = {}
        self._next = 0
        self._loop = asyncio.get_running_loop()
        for side, handle in ((listener, self._queries), (self._upstream, self._answers)):
            side.setblocking(False)
            side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._loop.add_reader(side, handle)

    def close(self) -> None:
        """Stop listening."""
        for side in (self._listener, self._upstream):
            self._loop.remove_reader(side)
            side.close()

    def _queries(self) -> None:
        with contextlib.suppress(OSError):  # nothing more to read; the server is not there
            for _ in range(_AT_ONCE):
                query, client = self._listener.recvfrom(65535)
                if len(query) >= HEADER:
                    self._judge.ask("udp", query)
                    self._next = (self._next + 1) % 65536
                    self._asked[self._next] = query[:2], client
                    self._upstream.send(self._next.to_bytes(2) + query[2:])

    def _answers(self) -> None:
        with contextlib.suppress(OSError):
            for _ in range(_AT_ONCE):
                answer = self._upstream.recv(65535)
                asked = self._asked.pop(int.from_bytes(answer[:2]), None)
                if asked:
                    verdict = self._judge.decide("udp", asked[0] + answer[2:])
                    self._deliver(verdict, asked[1])

    def _deliver(self, verdict: Verdict, client: Address) -> None:
        if verdict.fault is Fault.DROP:
            return
        if delay := verdict.delay:
            self._loop.call_later(delay, self._send, verdict.answer, client)
        else:
            self._send(verdict.answer, client)

    def _send(self, answer: bytes, client: Address) -> None:
        with contextlib.suppress(OSError):  # full, or closed meanwhile: lost, as UDP may be
            self._listener.sendto(answer, client)


class TcpSide:
    """Connections, each with one of its own to the server; answers come in any order."""

    def __init__(self, judge: Judge, server: Address) -> None:
        self._judge = judge
        self._server = server
        self._running: set[asyncio.Task[None]] = set()  # asyncio itself forgets them

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a client from now on."""
        self._judge.counts["tcp"]["connections"] += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry queries and answers until one side closes."""
        there: asyncio.StreamWriter | None = None
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            back, there = await asyncio.open_connection(*self._server)
            queries = asyncio.create_task(self._queries(reader, there))
            try:
                await self._answers(back, writer)
            finally:
                queries.cancel()
        for side in (there, writer):
            if side:
                side.close()

    async def _queries(self, client: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                query = await _read(client)
                self._judge.ask("tcp", query)
                _write(there, _framed(query))
        with contextlib.suppress(OSError):  # what is on its way still comes
            there.write_eof()

    async def _answers(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on until the server closes, or a fault ends it."""
        stalled = False
        late: set[asyncio.Task[None]] = set()
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                answer = await _read(back)
                if stalled:
                    self._judge.counts["tcp"]["withheld"] += 1
                    continue
                verdict = self._judge.decide("tcp", answer)
                match verdict.fault:
                    case Fault.DROP:
                        pass
                    case Fault.DELAY:
                        late.add(asyncio.create_task(_write_late(writer, verdict)))
                    case Fault.RESET:
                        _reset(writer)
                        return
                    case Fault.STALL:
                        stalled = True
                        _withhold(late)
                        _write(writer, _framed(answer)[: verdict.dice.randint(0, len(answer) + 1)])
                    case Fault.WRONG_LENGTH:
                        length = wrong_length(len(answer), verdict.dice)
                        _write(writer, length.to_bytes(2) + verdict.answer)
                    case _:
                        _write(writer, _framed(verdict.answer))
        await asyncio.gather(*late, return_exceptions=True)


def _withhold(late: Iterable[asyncio.Task[None]]) -> None:
    """Write none of these: behind half a message it would pass for the rest of that."""
    for task in late:
        task.cancel()


async def _write_late(writer: asyncio.StreamWriter, verdict: Verdict) -> None:
    await asyncio.sleep(verdict.delay)
    _write(writer, _framed(verdict.answer))


async def _read(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(2))
    return await reader.readexactly(size)


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(2) + message


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _run(server: Address, plan: Plan, soa: bytes) -> None:
    judge = Judge(plan, soa)
    listener, datagrams = _bind()
    udp = UdpSide(judge, datagrams, server)
    tcp = await asyncio.start_server(TcpSide(judge, server).accept, sock=listener)
    _say(str(listener.getsockname()[1]))
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    while command := (await commands.readline()).strip():
        if command == b"counts":
            _say(json.dumps(judge.report()))
        else:
            judge.plan = Plan.from_json(json.loads(command))
            _say("followed")
    pipe.close()
    tcp.close()
    udp.close()


def _bind() -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on one port number of the loopback interface."""
    for _ in range(_TRIES):
        tcp = socket.create_server((LOOPBACK, 0), backlog=1024)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:  # another program has it
            tcp.close()
            udp.close()
        else:
            return tcp, udp
    raise OSError("no port is free for both UDP and TCP")


def _soa(server: Address, zone: str) -> bytes:
    """The SOA record that the server has for a zone."""
    query = dns.message.make_query(zone, dns.rdatatype.SOA)
    answer = dns.query.udp(query, server[0], port=server[1], timeout=_PATIENCE)
    (rrset,) = (rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.SOA)
    return record(rrset)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(host: str, port: str, zone: str, plan: str) -> None:
    """Stand before the server there until the input ends.

    Args:
        host: The server's IPv4 address.
        port: Its port.
        zone: The zone whose SOA record lies have; empty if there are to be none.
        plan: The plan to begin with, as JSON.
    """
    server = (host, int(port))
    soa = _soa(server, zone) if zone else b""
    asyncio.run(_run(server, Plan.from_json(json.loads(plan)), soa))


if __name__ == "__main__":
    main(*sys.argv[1:])
