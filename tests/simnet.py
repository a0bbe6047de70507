"""A network of name servers that is made up, on a clock that only moves when nothing is left."""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from dnssd.wire.loop import Timer
from dnssd.wire.nameservers import NameServer

SOA = "ns.example.com. host.example.com. 1 2 3 4 5"
SERVICE = "_http._tcp.example.com."
WEB = f"web.{SERVICE}"


class Call:
    """A callback with its time."""

    def __init__(self, callback: Callable[..., object], args: Any) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        """It shall not come."""
        self.callback = None


class SimLoop:
    """An event loop on a virtual clock; it has no sockets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._calls: list[tuple[float, int, Call]] = []
        self._number = count()

    def time(self) -> float:
        """The virtual clock, in seconds."""
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back at that time."""
        call = Call(callback, args)
        heapq.heappush(self._calls, (when, next(self._number), call))
        return call

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """There is nothing to read from."""
        raise AssertionError("no sockets here")

    remove_reader = add_writer = remove_writer = add_reader

    def run(self, until: Callable[[], bool] | float, limit: float = 10_000.0) -> None:
        """Let time pass until something holds, or for so many seconds."""
        if isinstance(until, float | int):
            end = self.now + until
            self._run(lambda: False, end)
            self.now = end
        else:
            self._run(until, self.now + limit)
            assert until(), "it never came to that"

    def pending(self) -> int:
        """How many callbacks are to come."""
        return sum(call.callback is not None for _, _, call in self._calls)

    def _run(self, until: Callable[[], bool], end: float) -> None:
        while not until() and self._calls and self._calls[0][0] <= end:
            when, _, call = heapq.heappop(self._calls)
            self.now = max(self.now, when)
            if call.callback is not None:
                call.callback(*call.args)


Fault = Callable[["Query"], Iterable[tuple[float, bytes | str]]]


class Query:
    """A packet on its way to a server.

    Attributes:
        message: What it asks.
        server: Whom.
        by_tcp: Whether by TCP.
        answer: What an honest server would say, as bytes.
        number: How many packets came before it.
    """

    def __init__(self, data: bytes, server: NameServer, by_tcp: bool, number: int) -> None:
        self.message = dns.message.from_wire(data)
        self.server = server
        self.by_tcp = by_tcp
        self.number = number
        self.answer = b""

    @property
    def key(self) -> tuple[str, str]:
        """The name and the type that are asked for."""
        question = self.message.question[0]
        return question.name.to_text(), dns.rdatatype.to_text(question.rdtype)


def honest(query: Query) -> Iterable[tuple[float, bytes | str]]:
    """The right answer after a millisecond."""
    return [(0.001, query.answer)]


class SimNetwork:
    """Servers of one data set.

    Args:
        loop: Delivers what they say.
        records: Values by (name, type).
        additional: Whether SRV answers carry the addresses of their targets.
        fault: What comes of a query: packets after so many seconds, or why it was lost.

    Attributes:
        asked: How often each (name, type) was asked.
        open: How many channels are open.
    """

    def __init__(
        self,
        loop: SimLoop,
        records: dict[tuple[str, str], list[str]],
        *,
        additional: bool = False,
        fault: Fault = honest,
        ttl: int = 60,
    ) -> None:
        self.loop = loop
        self.records = records
        self.additional = additional
        self.fault = fault
        self.ttl = ttl
        self.asked: Counter[tuple[str, str]] = Counter()
        self.queries: list[Query] = []
        self.open_channels = 0

    def open(
        self,
        server: NameServer,
        by_tcp: bool,
        receive: Callable[[bytes], object],
        lost: Callable[[str], object],
    ) -> "SimChannel":
        """Open a channel (see `Network`)."""
        self.open_channels += 1
        return SimChannel(self, server, by_tcp, receive, lost)

    def respond(self, query: Query) -> bytes:
        """What an honest server says."""
        name, rdtype = query.key
        response = dns.message.make_response(query.message)
        values = self.records.get((name, rdtype))
        alias = self.records.get((name, "CNAME"))
        if values:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", rdtype, *values))
            if self.additional and rdtype == "SRV":
                for target in (value.split()[3] for value in values):
                    for family in ("A", "AAAA"):
                        if addresses := self.records.get((target, family)):
                            response.additional.append(
                                dns.rrset.from_text(target, self.ttl, "IN", family, *addresses)
                            )
        elif alias:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "CNAME", *alias))
        else:
            if not any(owner == name for owner, _ in self.records):
                response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(dns.rrset.from_text("example.com.", 60, "IN", "SOA", SOA))
        try:
            return response.to_wire(max_size=65535 if query.by_tcp else 1232)
        except dns.exception.TooBig:
            cut = dns.message.make_response(query.message)
            cut.flags |= dns.flags.TC
            return cut.to_wire()


class SimChannel:
    """A connection to one of them."""

    def __init__(
        self,
        network: SimNetwork,
        server: NameServer,
        by_tcp: bool,
        receive: Callable[[bytes], object],
        lost: Callable[[str], object],
    ) -> None:
        self._network = network
        self._server = server
        self._by_tcp = by_tcp
        self._receive = receive
        self._lost = lost
        self._closed = False

    def send(self, packet: bytes) -> None:
        """Have the network make something of it."""
        network = self._network
        query = Query(packet, self._server, self._by_tcp, len(network.queries))
        query.answer = network.respond(query)
        network.asked[query.key] += 1
        network.queries.append(query)
        for delay, what in network.fault(query):
            network.loop.call_at(network.loop.now + delay, self._deliver, what)

    def close(self) -> None:
        """Nothing is delivered any more."""
        if not self._closed:
            self._closed = True
            self._network.open_channels -= 1

    def _deliver(self, what: bytes | str) -> None:
        if not self._closed:
            (self._receive if isinstance(what, bytes) else self._lost)(what)  # type: ignore[operator]


def breaking(share: float, seed: int, kinds: str = "drop servfail nosoa garbage tc") -> Fault:
    """Breaks this share of all answers, each kind as often as the others."""
    rng = random.Random(seed)
    names = kinds.split()

    def fault(query: Query) -> Iterable[tuple[float, bytes | str]]:
        if rng.random() >= share:
            return honest(query)
        return _BROKEN[rng.choice(names)](query)

    return fault


def _servfail(query: Query) -> bytes:
    response = dns.message.make_response(query.message)
    response.set_rcode(dns.rcode.SERVFAIL)
    return response.to_wire()


def _nosoa(query: Query) -> bytes:
    response = dns.message.make_response(query.message)
    response.set_rcode(dns.rcode.NXDOMAIN)
    return response.to_wire()


def _tc(query: Query) -> bytes:
    response = dns.message.make_response(query.message)
    response.flags |= dns.flags.TC
    return response.to_wire()


def _lie(query: Query) -> bytes:
    response = dns.message.make_response(query.message)
    response.set_rcode(dns.rcode.NXDOMAIN)
    response.authority.append(dns.rrset.from_text("example.com.", 60, "IN", "SOA", SOA))
    return response.to_wire()


def _partial(query: Query) -> bytes:
    response = dns.message.from_wire(query.answer)
    for rrset in response.answer:
        for rdata in list(rrset)[1:]:
            rrset.remove(rdata)
    return response.to_wire()


def silent(query: Query) -> Iterable[tuple[float, bytes | str]]:
    """Nothing comes back."""
    return []


_BROKEN: dict[str, Fault] = {
    "drop": silent,
    "servfail": lambda query: [(0.001, _servfail(query))],
    "nosoa": lambda query: [(0.001, _nosoa(query))],
    "garbage": lambda query: [(0.001, query.answer[:12] + b"\xff" * 9)],
    "wrong-id": lambda query: [(0.001, bytes([query.answer[0] ^ 1]) + query.answer[1:])],
    "tc": lambda query: [(0.001, _servfail(query) if query.by_tcp else _tc(query))],
    "lie": lambda query: [(0.001, _lie(query))],
    "partial": lambda query: [(0.001, _partial(query))],
}
