"""Asks name servers questions, many at once, and calls back with the answers."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.wire import budget as budgets
from dnssd.wire.agenda import Agenda
from dnssd.wire.answers import Answer, NoAnswer, read_answer
from dnssd.wire.asking import NEVER, Asking, Done
from dnssd.wire.budget import Budget
from dnssd.wire.inquiry import TRUSTING, Attempt, Doubt, Inquiry
from dnssd.wire.loop import Loop
from dnssd.wire.message import MalformedMessage
from dnssd.wire.nameservers import NameServer
from dnssd.wire.ports import Network, Port, Server
from dnssd.wire.query import PAYLOAD
from dnssd.wire.reader import read_message

AT_ONCE = 256  # questions under way; more wait for their turn
MAX_ALIASES = 8  # answers that are nothing but an alias, one after the other
REMEMBERED = 10_000  # questions known to need TCP

_ADVICE = "check the network, or give another --nameserver"
_NO_EDNS = {"FORMERR", "NOTIMP", "BADVERS"}  # what servers say that mind it (RFC 6891)


class Asker:
    """The client of a set of servers that hold the same data.

    Args:
        loop: Calls it back; everything here belongs to its thread.
        servers: n >= 1.
        network: Opens sockets.
        budget: What attempts beyond a question's first are paid from.
        entropy: Gives so many random bytes.
    """

    def __init__(
        self,
        loop: Loop,
        servers: Sequence[NameServer],
        network: Network,
        *,
        budget: Budget = budgets.PROCESS,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._loop = loop
        self._network = network
        self._budget = budget
        self._entropy = entropy
        self._servers = [Server(server, loop, network) for server in servers]
        self._first = 0
        self._active = 0
        self._waiting: deque[Asking] = deque()
        self._agenda: Agenda[Asking] = Agenda(loop, self._due)
        self._closed = False
        self._large: dict[tuple[Name, str], None] = {}
        self.pressed = 0  # questions so far to which something else than an answer came

    @property
    def servers(self) -> tuple[NameServer, ...]:
        """Whom it asks."""
        return tuple(server.address for server in self._servers)

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
        if self._closed:
            return
        asking = Asking(name, rdtype, deadline, done, doubt)
        self._waiting.append(asking)
        self._start_waiting()
        if not asking.started:
            self._agenda.add(deadline, asking)

    def close(self) -> None:
        """Close all sockets; what is still being asked is not called back."""
        self._closed = True
        self._agenda.clear()
        self._waiting.clear()
        for server in self._servers:
            server.close()

    def _start_waiting(self) -> None:
        """Start what waits, the longest first, as far as there is room."""
        while self._waiting and self._active < AT_ONCE:
            asking = self._waiting.popleft()
            if not asking.finished:
                self._active += 1
                self._start(asking)

    def _start(self, asking: Asking) -> None:
        asking.started = True
        by_tcp = bool(self._large) and (asking.name, asking.rdtype) in self._large
        now = self._loop.time()
        asking.inquiry = Inquiry(
            len(self._servers),
            self._first,
            now,
            asking.deadline,
            late=self._servers[self._first].late,
            by_tcp=by_tcp,
            budget=self._budget,
            doubt=asking.doubt,
        )
        self._send(asking, asking.inquiry.begin(), now)
        self._await(asking)

    def _send(self, asking: Asking, attempts: Iterable[Attempt], now: float) -> None:
        """Send, and what is to be sent in place of what cannot be."""
        for attempt in attempts:
            try:
                port = self._servers[attempt.server].port(attempt.by_tcp, asking.waits_for, now)
                sent = _Sent(self, asking, attempt, now)
                asking.sent.append((port, port.ask(sent, self._entropy, edns=asking.edns)))
            except OSError as error:
                why = error.strerror or type(error).__name__
                self._send(asking, asking.inquiry.failed(attempt, why, now), now)

    def _await(self, asking: Asking) -> None:
        """See whether the inquiry is settled; if not, come back to it in time."""
        inquiry = asking.inquiry
        if inquiry.settled:
            self._finish(asking)
        elif inquiry.next_at < asking.due_at:
            asking.due_at = inquiry.next_at
            self._agenda.add(inquiry.next_at, asking)

    def _due(self, asking: Asking, at: float) -> None:
        """It was time then to come back to a question."""
        if not asking.started:
            asking.finished = True
            self._tell(asking, self._unavailable(asking, {}))
            return
        asking.due_at = NEVER
        if asking.inquiry.next_at <= at:
            now = self._loop.time()
            self._send(asking, asking.inquiry.due(now), now)
        self._await(asking)

    def _finish(self, asking: Asking) -> None:
        if asking.finished:
            return
        asking.finished = True
        for port, ticket in asking.sent:
            port.forget(ticket)
        self.pressed += asking.inquiry.disturbed
        result = self._result(asking)
        if isinstance(result, Asking):
            self._start(result)
            return
        self._active -= 1
        self._start_waiting()
        self._tell(asking, result)

    def _tell(self, asking: Asking, result: Answer | Unavailable) -> None:
        try:
            asking.done(result)
        except Exception as error:  # the loop is told of it, and others get their answers
            self._loop.call_at(self._loop.time(), _raise, error)

    def _result(self, asking: Asking) -> Answer | Unavailable | Asking:
        """What has come of a question; another question, if that is an alias."""
        answer = asking.inquiry.outcome
        if answer is None:
            return self._unavailable(asking, asking.inquiry.failures)
        ttl = min(answer.ttl, asking.ttl)
        if answer.alias is None:
            if asking.aliases:
                answer = answer._replace(ttl=ttl, via=answer.via or asking.name)
            return answer
        if asking.aliases == MAX_ALIASES:
            why = f"{MAX_ALIASES} aliases (CNAME) in a row, the last to {answer.alias}"
            return Unavailable(f"{asking.asked}: {why}; have its zone corrected")
        return asking.onward(answer.alias, ttl)

    def _unavailable(self, asking: Asking, failures: Mapping[int, str]) -> Unavailable:
        why = ", ".join(f"{self._servers[at].address} {text}" for at, text in failures.items())
        return Unavailable(f"{asking.asked} {asking.rdtype}: {why or 'no time left'}; {_ADVICE}")

    def received(
        self, asking: Asking, attempt: Attempt, sent_at: float, port: Port, data: bytes
    ) -> None:
        """A packet has come for an attempt."""
        now = self._loop.time()
        self._servers[attempt.server].measured(now - sent_at)
        inquiry = asking.inquiry
        try:
            message = read_message(data)
            if message.truncated:
                more = inquiry.truncated(attempt, now)
            else:
                more = inquiry.heard(attempt, read_answer(message), now)
        except MalformedMessage:
            port.distrust()
            more = inquiry.failed(attempt, "a malformed answer", now)
        except NoAnswer as error:
            asking.edns = asking.edns and str(error) not in _NO_EDNS
            more = inquiry.failed(attempt, str(error), now)
        if inquiry.outcome is not None:
            self._learn(asking, attempt, len(data))
        self._send(asking, more, now)
        self._await(asking)

    def _learn(self, asking: Asking, attempt: Attempt, size: int) -> None:
        """Remember who answers where the first server did not, and what is too long for UDP."""
        if self._first in asking.inquiry.failures:
            self._first = attempt.server
        if not attempt.by_tcp:
            return
        if size > PAYLOAD:
            if len(self._large) >= REMEMBERED:
                del self._large[next(iter(self._large))]
            self._large[asking.name, asking.rdtype] = None
        else:
            self._large.pop((asking.name, asking.rdtype), None)

    def failed(self, asking: Asking, attempt: Attempt, why: str) -> None:
        """An attempt will not be answered."""
        if self._closed:
            return
        now = self._loop.time()
        self._send(asking, asking.inquiry.failed(attempt, why, now), now)
        self._await(asking)


def _raise(error: Exception) -> None:
    raise error


class _Sent:
    """One attempt that is under way."""

    __slots__ = ("_asker", "_asking", "_at", "_attempt", "question")

    def __init__(self, asker: Asker, asking: Asking, attempt: Attempt, at: float) -> None:
        self._asker = asker
        self._asking = asking
        self._attempt = attempt
        self._at = at
        self.question = asking.question

    def received(self, port: Port, data: bytes) -> None:
        """A packet that repeats the question, or none, has come."""
        self._asker.received(self._asking, self._attempt, self._at, port, data)

    def failed(self, why: str) -> None:
        """No answer will come."""
        self._asker.failed(self._asking, self._attempt, why)
