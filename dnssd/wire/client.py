"""Asks name servers questions, many at once, and calls back with the answers."""

import os
from collections import deque
from collections.abc import Callable, Sequence

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.wire import budget as budgets
from dnssd.wire.answers import Answer, CutShort, NoAnswer, read_answer
from dnssd.wire.belief import FEW_UNSIGNED, TRUSTING, UNSIGNED, Doubt
from dnssd.wire.budget import Budget, Counts
from dnssd.wire.connections import Connection, Network
from dnssd.wire.dark import Holds
from dnssd.wire.loop import Loop
from dnssd.wire.message import BADVERS, FORMERR, NOTIMP, MalformedMessage
from dnssd.wire.nameservers import NameServer
from dnssd.wire.query import HEADER, NEVER, PAYLOAD, Done, Query, carries_edns
from dnssd.wire.reader import read_message
from dnssd.wire.resolution import Resolution
from dnssd.wire.server import Server
from dnssd.wire.timers import Timers
from dnssd.wire.trouble import Attempt
from dnssd.wire.usual import read_usual

AT_ONCE = 2048  # questions under way; more wait for their turn
PLAIN = 300.0  # seconds that a server gets no OPT records, where those are not answered
REMEMBERED = 10_000  # questions known to need TCP

_MALFORMED = "a malformed answer"
_NO_EDNS = {FORMERR, NOTIMP, BADVERS}  # what servers say that mind it (RFC 6891)


class DnsClient:
    """The client of a set of servers that hold the same data.

    Args:
        loop: Calls it back; everything here belongs to its thread.
        servers: n >= 1.
        network: Opens sockets.
        budget: What attempts beyond a question's first are paid from.
        entropy: Gives so many random bytes.
        counts: Counts what is sent.

    Attributes:
        servers: Whom it asks.
        disturbed: Questions so far to which something else than an answer came.
    """

    def __init__(
        self,
        loop: Loop,
        servers: Sequence[NameServer],
        network: Network,
        *,
        budget: Budget = budgets.PROCESS,
        entropy: Callable[[int], bytes] = os.urandom,
        counts: Counts | None = None,
    ) -> None:
        self.servers = tuple(servers)
        self.disturbed = 0
        self._loop = loop
        self._budget = budget
        self._counts = Counts() if counts is None else counts
        self._servers = [
            Server(at, server, loop, network, entropy, self._counts, self._received, self._lost)
            for at, server in enumerate(servers)
        ]
        self._first = 0
        self._unsigned = UNSIGNED
        self._active = 0
        self._waiting: deque[Query] = deque()
        self._timers: Timers[Query] = Timers(loop, self._due)
        self._closed = False
        self._large: dict[tuple[Name, str], None] = {}
        self._holds = Holds()

    def ask(
        self, name: Name, rdtype: str, deadline: float, done: Done, doubt: Doubt = TRUSTING
    ) -> None:
        """Ask for one RRset, following aliases.

        Args:
            name: The owner.
            rdtype: PTR, SRV, TXT, A, AAAA or SOA.
            deadline: When to give up, on the loop's clock, in seconds.
            done: Called once, later, with the answer or with why there is none.
            doubt: What it takes to believe in absence.
        """
        query = Query(name, rdtype, deadline, done, doubt)
        now = self._loop.time()
        if self._closed:
            return
        if self._holds and (until := self._holds.until(query, now)) is not None:
            self._timers.add(until, query)
        elif self._active < AT_ONCE:
            self._active += 1
            self._send(query, self._started(query, now), now)
        else:
            self._waiting.append(query)
            self._timers.add(deadline, query)

    def close(self) -> None:
        """Close all sockets; what is still being asked is not called back."""
        self._closed = True
        self._timers.clear()
        self._waiting.clear()
        for server in self._servers:
            server.close()

    def _started(self, query: Query, now: float) -> Sequence[Attempt]:
        """Begin with a query; its first attempt."""
        query.started = True
        first = self._first
        server = self._servers[first]
        if now < server.plain_until:
            query.without_edns()
        query.resolution = Resolution(
            len(self._servers),
            first,
            now,
            query.deadline,
            late=server.late,
            by_tcp=server.by_udp is False or (query.name, query.rdtype) in self._large,
            budget=self._budget,
            doubt=query.doubt,
            is_measured=server.is_measured,
            unsigned=self._unsigned,
            is_dark=self._is_dark,
        )
        return query.resolution.begin()

    def _send(self, query: Query, attempts: Sequence[Attempt], now: float) -> None:
        """Send, and what is to be sent in place of what cannot be; come back to it in time."""
        resolution = query.resolution
        while attempts:
            more: list[Attempt] = []
            for attempt in attempts:
                try:
                    server, by_tcp = self._servers[attempt.server], attempt.by_tcp
                    if not server.send(query, by_tcp=by_tcp, now=now):  # UDP may be faster
                        server.send(query, by_tcp=False, now=now)
                except OSError as error:
                    why = error.strerror or type(error).__name__
                    more += resolution.lost(attempt, why, now)
            attempts = more
        if resolution.settled:
            self._finish(query)
        elif resolution.next_at < query.due_at:
            query.due_at = resolution.next_at
            self._timers.add(resolution.next_at, query)

    def _due(self, query: Query, at: float) -> None:
        """It was time then to come back to a question."""
        if not query.started:
            query.finished = True
            query.done(query.held or self._failed(query))
            return
        query.due_at = NEVER
        now = self._loop.time()
        resolution, first = query.resolution, self._servers[self._first]
        is_due = resolution.next_at <= at
        if is_due and first.is_measured and resolution.is_early(first.late, now):
            is_due = now >= query.deadline
        self._send(query, resolution.due(now) if is_due else (), now)

    def _received(self, query: Query, connection: Connection, data: bytes) -> None:
        """A packet has come that may answer a query."""
        now = self._loop.time()
        resolution, attempt = query.resolution, connection.attempt
        server = self._servers[attempt.server]
        first, _, sent_at = query.sent[0]
        is_first = connection is first and data.startswith(query.question, HEADER)  # no copy
        if is_first and now < query.deadline:  # else this program may have stood still
            server.measured(now - sent_at)
        try:
            answer = read_usual(data, query.question) or read_answer(read_message(data))
            if answer.signed or not query.doubt.expected:
                self._is_alive(server)  # first: where it is in doubt, more is asked at once
            more = resolution.heard(attempt, answer, now)
            server.by_udp = server.by_udp or not attempt.by_tcp
        except (MalformedMessage, NoAnswer) as error:
            more = self._no_answer(query, connection, error, now)
        if not resolution.settled:
            self._send(query, more, now)
            return
        if resolution.trouble or attempt.by_tcp:
            self._learn(query, attempt, data, now)
        self._finish(query)

    def _no_answer(
        self, query: Query, connection: Connection, why: MalformedMessage | NoAnswer, now: float
    ) -> Sequence[Attempt]:
        """Something else than an answer has come; what to send in its place."""
        resolution, attempt = query.resolution, connection.attempt
        if isinstance(why, CutShort):
            self._servers[attempt.server].cut_short(attempt)
            return resolution.truncated(attempt, now)
        if isinstance(why, MalformedMessage):
            connection.distrust(_MALFORMED, query)
            return resolution.failed(attempt, _MALFORMED, now)
        if why.rcode in _NO_EDNS:
            query.without_edns()
        return resolution.failed(attempt, str(why), now)

    def _learn(self, query: Query, attempt: Attempt, data: bytes, now: float) -> None:
        """Remember who answers, and how it wants to be asked."""
        outcome = query.resolution.outcome
        if outcome is None:
            return
        if not (outcome.values or outcome.alias):
            self._unsigned = UNSIGNED if outcome.signed else FEW_UNSIGNED
        if not (query.resolution.disturbed or attempt.by_tcp or carries_edns(data)):
            self._servers[attempt.server].plain_until = now + PLAIN
        if self._first in query.resolution.failures:
            self._first = attempt.server
        if not attempt.by_tcp:
            return
        if len(data) > PAYLOAD:
            if len(self._large) >= REMEMBERED:
                del self._large[next(iter(self._large))]
            self._large[query.name, query.rdtype] = None
        else:
            self._large.pop((query.name, query.rdtype), None)

    def _lost(self, query: Query, connection: Connection, why: str) -> None:
        """What was sent by a connection will not be answered."""
        if not self._closed:
            now = self._loop.time()
            self._send(query, query.resolution.lost(connection.attempt, why, now), now)

    def _finish(self, query: Query) -> None:
        if query.finished:
            return
        query.finished = True
        for connection, number, _ in query.sent:
            connection.forget(query, number)
        resolution = query.resolution
        if resolution.trouble is not None:
            self.disturbed += resolution.disturbed
        answer = resolution.outcome
        result: Answer | Unavailable
        if answer is not None and answer.alias is None and not query.aliases:
            result = answer
        else:
            told = self._failed(query) if answer is None else query.result(answer)
            if isinstance(told, Query):
                now = self._loop.time()
                self._send(told, self._started(told, now), now)
                return
            result = told
        self._active -= 1
        if self._waiting:
            self._start_waiting()
        try:
            query.done(result)
        except Exception as error:  # the loop is told of it, and others get their answers
            self._loop.call_at(self._loop.time(), _raise, error)

    def _start_waiting(self) -> None:
        """Start what waits, the longest first, as far as there is room."""
        while self._waiting and self._active < AT_ONCE:
            query = self._waiting.popleft()
            if not query.finished:
                self._active += 1
                now = self._loop.time()
                self._send(query, self._started(query, now), now)

    def _failed(self, query: Query) -> Unavailable:
        """Why a question has no answer; that is remembered while nobody gives any."""
        error, now = query.unanswered(self._servers), self._loop.time()
        if all(server.is_dark(now) for server in self._servers):
            for waiting in self._holds.failed(query, error, now):
                self._timers.add(now, waiting)
        return error

    def _is_dark(self, number: int, now: float) -> bool:
        return self._servers[number].is_dark(now)

    def _is_alive(self, server: Server) -> None:
        """A server has given a valid answer."""
        if server.is_alive():
            self._waiting += self._holds.clear()


def _raise(error: Exception) -> None:
    raise error
