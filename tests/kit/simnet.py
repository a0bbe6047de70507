"""A network of name servers that is made up, on a clock that only moves when nothing is left."""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from functools import partial as partial_of
from itertools import count
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from dnssd.wire.loop import Timer
from dnssd.wire.nameservers import NameServer

Records = dict[tuple[str, str], list[str]]  # values by (name, type)
SOA = "ns.example.com. host.example.com. 1 2 3 4 86400"
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

    def remove_reader(self, fd: int) -> None:
        """Nothing can be read."""

    add_writer, remove_writer = add_reader, remove_reader

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


Delivery = tuple[float, bytes | str]  # after so many seconds a packet, or why none will come
Fault = Callable[["Query"], Iterable[Delivery]]


@lru_cache(maxsize=10_000)
def _parsed(body: bytes) -> dns.message.Message:
    """A packet less its ID; not to be changed."""
    return dns.message.from_wire(b"\0\0" + body)


@lru_cache(maxsize=10_000)
def _asked(body: bytes) -> tuple[str, str]:
    """The name and the type that such a packet asks for."""
    question = _parsed(body).question[0]
    return question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)


class Query:
    """A packet on its way to a server.

    Attributes:
        data: The packet.
        server: Whom it is for.
        by_tcp: Whether by TCP.
        answer: What an honest server would say, as bytes.
        number: How many packets came before it.
        at: When it was sent.
        channel: By which socket: another one, another number.
    """

    def __init__(
        self,
        data: bytes,
        server: NameServer,
        by_tcp: bool,
        number: int,
        at: float,
        channel: int = 0,
    ) -> None:
        self.data = data
        self.server = server
        self.by_tcp = by_tcp
        self.number = number
        self.at = at
        self.channel = channel
        self.answer = b""

    @property
    def message(self) -> dns.message.Message:
        """What it asks; its ID is 0, and it is not to be changed."""
        return _parsed(self.data[2:])

    @property
    def key(self) -> tuple[str, str]:
        """The name, in lower case as names are compared, and the type that are asked for."""
        return _asked(self.data[2:])

    def reply(self, response: bytes) -> bytes:
        """A response with this query's ID."""
        return self.data[:2] + response[2:]


def honest(query: Query) -> Iterable[Delivery]:
    """The right answer after a millisecond."""
    return [(0.001, query.answer)]


class SimNetwork:
    """Servers of one data set.

    Args:
        loop: Delivers what they say.
        records: Values by (name, type).
        additional: Whether SRV answers carry the addresses of their targets; or of which
            family alone.
        fault: What comes of a query: packets after so many seconds, or why it was lost.
        ttl: Of all records, in seconds.

    Attributes:
        validated: Of which names, in lower case, answers say that they are validated (AD).
        ttls: Of some RRsets, in place of `ttl`, by name in lower case and type.
        negative_ttl: Of SOA records, in seconds.
        asked: How often each (name, type) was asked.
        queries: What was asked, in order.
        open_channels: How many channels are open, and of them
        open_by_tcp: by TCP.
        opened: How many ever were, and of them
        opened_by_tcp: by TCP.
    """

    def __init__(
        self,
        loop: SimLoop,
        records: Records,
        *,
        additional: bool | str = False,
        fault: Fault = honest,
        ttl: int = 60,
    ) -> None:
        self.loop = loop
        self._responses: dict[tuple[bytes, bool], bytes] = {}
        self.change(records)
        self.additional = additional
        self.fault = fault
        self.ttl = ttl
        self.validated: Callable[[str], bool] = lambda name: False
        self.ttls: dict[tuple[str, str], int] = {}
        self.negative_ttl = 60
        self.asked: Counter[tuple[str, str]] = Counter()
        self.queries: list[Query] = []
        self.open_channels = self.open_by_tcp = 0
        self.opened = self.opened_by_tcp = 0

    def open(
        self,
        server: NameServer,
        by_tcp: bool,
        receive: Callable[[bytes], object],
        lost: Callable[[str], object],
    ) -> "SimChannel":
        """Open a channel (see `Network`)."""
        self._count(by_tcp)
        return SimChannel(self, server, by_tcp, receive, lost)

    def _count(self, by_tcp: bool) -> None:
        self.opened += 1
        self.opened_by_tcp += by_tcp
        self.open_channels += 1
        self.open_by_tcp += by_tcp

    def change(self, records: Records) -> None:
        """From now on the data are others."""
        self.records = records
        self._folded = {(name.lower(), rdtype): v for (name, rdtype), v in records.items()}
        self._responses.clear()

    def respond(self, query: Query) -> bytes:
        """What an honest server says."""
        key = query.data[2:], query.by_tcp
        if key not in self._responses:
            self._responses[key] = self._respond(query)
        return query.reply(self._responses[key])

    def _respond(self, query: Query) -> bytes:
        name, rdtype = query.key
        response = dns.message.make_response(query.message)
        if self.validated(name):
            response.flags |= dns.flags.AD
        values = self._folded.get((name.lower(), rdtype))
        alias = self._folded.get((name.lower(), "CNAME"))
        if values:
            ttl = self.ttls.get((name.lower(), rdtype), self.ttl)
            response.answer.append(dns.rrset.from_text(name, ttl, "IN", rdtype, *values))
            if self.additional and rdtype == "SRV":
                self._add_addresses(response, values)
        elif alias:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "CNAME", *alias))
        else:
            if not any(owner == name.lower() for owner, _ in self._folded):
                response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(_soa(self.negative_ttl))
        try:
            return response.to_wire(max_size=65535 if query.by_tcp else 1232)
        except dns.exception.TooBig:
            return _header(query, "NOERROR", dns.flags.TC)

    def _add_addresses(self, response: dns.message.Message, srvs: list[str]) -> None:
        """What most servers do for SRV questions."""
        for target in (srv.split()[3] for srv in srvs):
            for family in ("A", "AAAA") if self.additional is True else (str(self.additional),):
                if addresses := self._folded.get((target.lower(), family)):
                    response.additional.append(
                        dns.rrset.from_text(target, self.ttl, "IN", family, *addresses)
                    )


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
        self._number = network.opened

    def send(self, packet: bytes) -> None:
        """Have the network make something of it."""
        network = self._network
        number, now = len(network.queries), network.loop.now
        query = Query(packet, self._server, self._by_tcp, number, now, self._number)
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
            self._network.open_by_tcp -= self._by_tcp

    def _deliver(self, what: bytes | str) -> None:
        if self._closed:
            return
        if isinstance(what, bytes):
            self._receive(what)
        else:
            self._lost(what)


def breaking(share: float, seed: int, kinds: str = "drop servfail nosoa garbage tc") -> Fault:
    """Breaks this share of all answers, each kind as often as the others."""
    rng = random.Random(seed)
    names = kinds.split()

    def fault(query: Query) -> Iterable[Delivery]:
        if rng.random() >= share:
            return honest(query)
        return BROKEN[rng.choice(names)](query)

    return fault


def where(condition: Callable[[Query], bool], fault: Fault) -> Fault:
    """A fault that only some queries meet."""
    return lambda query: fault(query) if condition(query) else honest(query)


def silent(query: Query) -> Iterable[Delivery]:
    """Nothing comes back."""
    return []


def servfail(query: Query) -> Iterable[Delivery]:
    """The server says that it has failed."""
    return [(0.001, _header(query, "SERVFAIL"))]


def saying(rcode: str) -> Fault:
    """The server says nothing but a code."""
    return lambda query: [(0.001, _header(query, rcode))]


def lie(query: Query) -> Iterable[Delivery]:
    """A denial that nothing tells from a true one."""
    return [(0.001, _edited(query, _denied))]


def partial(query: Query) -> Iterable[Delivery]:
    """The answer with about every other value, now these and now those."""
    return [(0.001, _edited(query, _HALVES[query.number % 2]))]


def unsigned(query: Query) -> Iterable[Delivery]:
    """A denial without SOA record."""
    return [(0.001, _header(query, "NXDOMAIN"))]


def _garbage(query: Query) -> Iterable[Delivery]:
    return [(0.001, query.answer[:12] + b"\xff" * 9)]


def _wrong_id(query: Query) -> Iterable[Delivery]:
    return [(0.001, bytes([query.answer[0] ^ 1]) + query.answer[1:])]


def _truncated(query: Query) -> Iterable[Delivery]:
    if query.by_tcp:
        return servfail(query)
    return [(0.001, _header(query, "NOERROR", dns.flags.TC))]


BROKEN: dict[str, Fault] = {
    "drop": silent,
    "servfail": servfail,
    "nosoa": unsigned,
    "garbage": _garbage,
    "wrong-id": _wrong_id,
    "tc": _truncated,
    "lie": lie,
    "partial": partial,
}


def _soa(ttl: int = 60) -> dns.rrset.RRset:
    return dns.rrset.from_text("example.com.", ttl, "IN", "SOA", SOA)


def _header(query: Query, rcode: str, flags: int = 0) -> bytes:
    """A response without records."""
    return query.reply(_empty(query.data[2:], rcode, flags))


@lru_cache(maxsize=10_000)
def _empty(body: bytes, rcode: str, flags: int) -> bytes:
    response = dns.message.make_response(_parsed(body))
    response.set_rcode(dns.rcode.from_text(rcode))
    response.flags |= flags
    return response.to_wire()


def _edited(query: Query, edit: Callable[[bytes], bytes]) -> bytes:
    """The right answer, with something done to it."""
    return query.reply(edit(b"\0\0" + query.answer[2:]))


@lru_cache(maxsize=10_000)
def _denied(answer: bytes) -> bytes:
    response = dns.message.from_wire(answer)
    response.set_rcode(dns.rcode.NXDOMAIN)
    response.answer.clear()
    response.additional.clear()
    response.authority[:] = [_soa()]
    return response.to_wire()


@lru_cache(maxsize=10_000)
def _half(answer: bytes, first: int) -> bytes:
    response = dns.message.from_wire(answer)
    response.answer[:] = [
        dns.rrset.from_rdata(rrset.name, rrset.ttl, *list(rrset)[first % len(rrset) :: 2])
        for rrset in response.answer
    ]
    return response.to_wire()


_HALVES = (partial_of(_half, first=0), partial_of(_half, first=1))
