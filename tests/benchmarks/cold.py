"""What it costs to find out about a service that nothing is known of, beside other clients.

All ask the same questions of the same Knot: PTR, then SRV and TXT; it adds the addresses of
three hosts to SRV answers. Each look-up is of another service, so nobody's cache helps.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import cycle
from typing import Any

import aiodns
import dns.asyncresolver
import dns.message
import dns.resolver
import srvlookup
from tables import Rates, rates, show

from dnssd import AsyncResolver, Resolver
from dnssd.names import Name
from dnssd.wire.query import query, question
from dnssd.wire.reader import read_message
from kit.servers import Host, Server, Zone, knot, service

ROUNDS = 5
SERVICES = 2000
FORGET = 1000  # look-ups after which clients start anew
LARGE = 200
IN_FLIGHT = 50
HEADINGS = ("client", "look-ups a second", "dnssd is faster by")
_DOMAIN = "example.test"

_SIZES = {1: "a._one._tcp", LARGE: "big._big._tcp"}

Find = Callable[[str], object]
AsyncFind = Callable[[str], Awaitable[object]]


def one_at_a_time() -> None:
    """Look-ups one after the other, of services on three hosts."""
    with knot(_zone()) as server:
        names = cycle(f"_s{at}._tcp.{_DOMAIN}" for at in range(SERVICES))
        with (
            _dnssd(server) as ours,
            _async_dnssd(server) as in_loop,
            _aiodns(server) as aio,
            _raw(server) as raw,
        ):
            finds = {
                "dnssd": ours,
                "dnssd, AsyncResolver": in_loop,
                "dnspython": _dnspython(server),
                "aiodns": aio,
                "srvlookup (SRV alone)": _srvlookup(server),
                "raw socket, packets made before": raw,
            }
            works = [_repeated(find, names) for find in finds.values()]
            _show("Cold, one at a time", list(finds), rates(ROUNDS, 0.5, works))


def many_at_a_time() -> None:
    """Look-ups with 50 in flight, in asyncio."""
    with knot(_zone()) as server, asyncio.Runner() as runner:
        runner.run(_many(server))


def large() -> None:
    """Look-ups of one service on 200 hosts, by TCP; each forgets what it knew."""
    with knot(_zone()) as server:
        name = f"big._big._tcp.{_DOMAIN}"
        resolver = Resolver([_address(server)])
        peer = dns.resolver.Resolver(configure=False)
        peer.nameservers, peer.port = ["127.0.0.1"], server.port

        def ours(_: str) -> None:
            resolver.clear()
            assert len(resolver.lookup(name).endpoints) == LARGE

        def dnspython(_: str) -> None:
            assert len(peer.resolve(name, "SRV")) == LARGE
            peer.resolve(name, "TXT")

        with resolver:
            finds = {
                "dnssd": ours,
                "dnspython": dnspython,
                "srvlookup (SRV alone)": _srvlookup(server),
            }
            names = cycle([f"_big._tcp.{_DOMAIN}"])
            works = [_repeated(find, names) for find in finds.values()]
            _show(f"Cold, {LARGE} hosts, by TCP", list(finds), rates(ROUNDS, 0.5, works))


def reading() -> None:
    """Reading what Knot says: one SRV record with its address, and 200 of them."""
    rows = []
    with knot(_zone()) as server:
        packets = {hosts: _said(server, name) for hosts, name in _SIZES.items()}
    for hosts, packet in packets.items():

        def ours(number: int, packet: bytes = packet) -> None:
            for _ in range(number):
                read_message(packet)

        def dnspython(number: int, packet: bytes = packet) -> None:
            for _ in range(number):
                dns.message.from_wire(packet)

        mine, theirs = rates(7, 0.3, [ours, dnspython])
        what = f"{hosts} SRV and {hosts} A"
        rows.append((what, mine.text(), theirs.text(), mine.over(theirs).text(1)))
    headings = ("answer", "dnssd, a second", "dns.message.from_wire", "ratio")
    show("Reading an answer", headings, rows)


def _said(server: Server, name: str) -> bytes:
    """The answer to a question for SRV records, by TCP."""
    packet = query(1, question(Name.parse(f"{name}.{_DOMAIN}"), "SRV"))
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(struct.pack("!H", len(packet)) + packet)
        with connection.makefile("rb") as answers:
            (length,) = struct.unpack("!H", answers.read(2))
            return answers.read(length)


async def _many(server: Server) -> None:
    names = cycle(f"_s{at}._tcp.{_DOMAIN}" for at in range(SERVICES))
    async with AsyncResolver([_address(server)]) as ours, _async_aiodns(server) as aio:

        async def dnssd(name: str) -> None:
            await ours.lookup(name)

        finds = {"dnssd": dnssd, "dns.asyncresolver": _async_dnspython(server), "aiodns": aio.find}
        loop = asyncio.get_running_loop()
        values: dict[str, list[float]] = {client: [] for client in finds}
        for _ in range(ROUNDS):
            for client, find in finds.items():
                await ours.clear()
                await aio.close()
                begin = loop.time()
                await _in_flight(find, names, IN_FLIGHT, FORGET)
                values[client].append(FORGET / (loop.time() - begin))
    measured = [Rates(tuple(one)) for one in values.values()]
    _show(f"Cold, {IN_FLIGHT} in flight, asyncio", list(finds), measured)


async def _in_flight(find: AsyncFind, names: Iterator[str], width: int, number: int) -> None:
    left = iter(range(number))

    async def work() -> None:
        for _ in left:
            await find(next(names))

    await asyncio.gather(*(work() for _ in range(width)))


def _show(title: str, clients: list[str], measured: list[Rates]) -> None:
    ours = measured[0]
    rows = [(clients[0], ours.text(), "")]
    for client, theirs in zip(clients[1:], measured[1:], strict=True):
        rows.append((client, theirs.text(), ours.over(theirs).text(1)))
    show(title, HEADINGS, rows)


def _repeated(find: Find, names: Iterator[str]) -> Callable[[int], None]:
    def work(number: int) -> None:
        for _ in range(number):
            find(next(names))

    return work


@contextmanager
def _dnssd(server: Server) -> Iterator[Find]:
    """It forgets now and then: else it would ask for IPv6 addresses a second later."""
    with Resolver([_address(server)]) as resolver:
        left = cycle(range(FORGET // 4))

        def find(name: str) -> None:
            if not next(left):
                resolver.clear()
            resolver.lookup(name)

        yield find


@contextmanager
def _async_dnssd(server: Server) -> Iterator[Find]:
    resolver = AsyncResolver([_address(server)])
    left = cycle(range(FORGET // 4))

    async def look_up(name: str) -> None:
        if not next(left):
            await resolver.clear()
        await resolver.lookup(name)

    with asyncio.Runner() as runner:
        try:
            yield lambda name: runner.run(look_up(name))
        finally:
            runner.run(resolver.close())


def _dnspython(server: Server) -> Find:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.port

    def find(name: str) -> None:
        instance = resolver.resolve(name, "PTR")[0].target
        srvs = resolver.resolve(instance, "SRV")
        resolver.resolve(instance, "TXT")
        assert len(srvs.response.additional) == 3

    return find


def _async_dnspython(server: Server) -> AsyncFind:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.port

    async def find(name: str) -> None:
        instance = (await resolver.resolve(name, "PTR"))[0].target
        await asyncio.gather(resolver.resolve(instance, "SRV"), resolver.resolve(instance, "TXT"))

    return find


def _srvlookup(server: Server) -> Find:
    """It asks for the SRV records of a service without instances, and for nothing else."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.port
    dns.resolver.default_resolver = resolver  # which it asks

    def find(name: str) -> None:
        assert len(srvlookup.lookup(name.split(".")[0][1:], "tcp", _DOMAIN)) >= 3

    return find


async def _find_by_aiodns(resolver: Any, name: str) -> None:
    instance = (await resolver.query_dns(name, "PTR")).answer[0].data.dname
    srvs, _ = await asyncio.gather(
        resolver.query_dns(instance, "SRV"), resolver.query_dns(instance, "TXT")
    )
    assert len(srvs.additional) >= 3


class _Aiodns:
    """aiodns; c-ares has a cache that cannot be turned off, so it is thrown away in time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._left = 0
        self._resolver: Any = None

    async def find(self, name: str) -> None:
        """Look a service up."""
        if not self._left or self._resolver is None:
            await self.close()
            self._resolver, self._left = aiodns.DNSResolver([_address(self._server)]), FORGET
        self._left -= 1
        await _find_by_aiodns(self._resolver, name)

    async def close(self) -> None:
        """Free what it holds, once nothing is under way."""
        if self._resolver is not None:
            former, self._resolver = self._resolver, None
            await former.close()


@asynccontextmanager
async def _async_aiodns(server: Server) -> AsyncIterator[_Aiodns]:
    client = _Aiodns(server)
    try:
        yield client
    finally:
        await client.close()


@contextmanager
def _aiodns(server: Server) -> Iterator[Find]:
    client = _Aiodns(server)
    with asyncio.Runner() as runner:
        try:
            yield lambda name: runner.run(client.find(name))
        finally:
            runner.run(client.close())


@contextmanager
def _raw(server: Server) -> Iterator[Find]:
    """The floor: three questions and answers on a socket, nothing read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.connect(("127.0.0.1", server.port))
        service, instance = (Name.parse(f"{at}_s0._tcp.{_DOMAIN}") for at in ("", "a."))
        asked = ((service, "PTR"), (instance, "SRV"), (instance, "TXT"))
        packets = [query(at, question(*one)) for at, one in enumerate(asked)]

        def find(_: str) -> None:
            for packet in packets:
                channel.send(packet)
                assert struct.unpack("!H", channel.recv(4096)[6:8])[0]

        yield find


def _zone() -> Zone:
    hosts = [Host(f"h{at}", (f"10.0.0.{at + 1}",), weight=at + 1) for at in range(LARGE)]
    records = [record for host in hosts for record in host.records]
    for at in range(SERVICES):
        records += service("a", f"_s{at}._tcp", hosts[:3], '"version=1"')
        records += _plain(f"_s{at}._tcp", hosts[:3])
    records += service("a", "_one._tcp", hosts[:1], '"version=1"')
    records += service("big", "_big._tcp", hosts, '"version=1"')
    records += _plain("_big._tcp", hosts)
    return Zone(tuple(records))


def _plain(kind: str, hosts: Iterable[Host]) -> Iterator[str]:
    """SRV records of the service itself, for clients that know no instances."""
    return (f"{kind} SRV {h.priority} {h.weight} {h.port} {h.name}" for h in hosts)


def _address(server: Server) -> str:
    return f"127.0.0.1:{server.port}"
