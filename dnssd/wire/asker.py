"""Asks name servers questions, many at once, and calls back with the answers."""

import heapq
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.wire import budget as budgets
from dnssd.wire.answers import Answer, NoAnswer, read_answer
from dnssd.wire.budget import Budget
from dnssd.wire.inquiry import TRUSTING, Attempt, Doubt, Inquiry
from dnssd.wire.loop import Loop, Timer
from dnssd.wire.message import MalformedMessage
from dnssd.wire.nameservers import NameServer
from dnssd.wire.ports import Network, Port, Server
from dnssd.wire.query import PAYLOAD, query, question
from dnssd.wire.reader import read_message

AT_ONCE = 256  # questions under way; more wait for their turn
MAX_ALIASES = 8  # answers that are nothing but an alias, one after the other
REMEMBERED = 10_000  # questions known to need TCP

_ADVICE = "check the network, or give another --nameserver"
_NO_EDNS = {"FORMERR", "NOTIMP", "BADVERS"}  # what servers say that mind it (RFC 6891)

Done = Callable[[Answer | Unavailable], object]


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
        self._waiting: deque[_Asking] = deque()
        self._clock: list[tuple[float, int, _Asking]] = []
        self._ticket = count()
        self._timer: Timer | None = None
        self._timer_at = 0.0
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
            done: Called once, with the answer or with why there is none.
            doubt: What it takes to believe in absence.
        """
        self._start(_Asking(name, rdtype, deadline, done, doubt))

    def close(self) -> None:
        """Close all sockets; what is still being asked is not called back."""
        if self._timer is not None:
            self._timer.cancel()
        for server in self._servers:
            server.close()
        self._clock.clear()
        self._waiting.clear()

    def _start(self, asking: "_Asking") -> None:
        if self._active >= AT_ONCE:
            self._waiting.append(asking)
            return
        self._active += 1
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
        self._send(asking, (asking.inquiry.begin(),), now)
        self._await(asking)

    def _send(self, asking: "_Asking", attempts: Iterable[Attempt], now: float) -> None:
        """Send, and what is to be sent in place of what cannot be."""
        todo = deque(attempts)
        while todo:
            attempt = todo.popleft()
            try:
                port = self._servers[attempt.server].port(attempt.by_tcp, asking.waits_for)
                ticket = port.admit(_Sent(self, asking, attempt, now), self._entropy)
                asking.sent.append((port, ticket))
                port.channel.send(query(ticket, asking.question, edns=asking.edns))
            except OSError as error:
                why = error.strerror or type(error).__name__
                todo.extend(asking.inquiry.failed(attempt, why, now))

    def _await(self, asking: "_Asking") -> None:
        """See whether the inquiry is settled; if not, come back to it in time."""
        inquiry = asking.inquiry
        if inquiry.settled:
            self._finish(asking)
        elif inquiry.next_at < asking.due_at:
            asking.due_at = inquiry.next_at
            heapq.heappush(self._clock, (inquiry.next_at, next(self._ticket), asking))
            self._wind()

    def _wind(self) -> None:
        """Have the loop call at the first time that something is due."""
        if self._clock and (self._timer is None or self._clock[0][0] < self._timer_at):
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = self._clock[0][0]
            self._timer = self._loop.call_at(self._timer_at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._clock and self._clock[0][0] <= now:
            _, _, asking = heapq.heappop(self._clock)
            asking.due_at = _NEVER
            if asking.finished:
                continue
            if asking.inquiry.next_at <= now:
                self._send(asking, asking.inquiry.due(now), now)
            self._await(asking)
        while self._clock and self._clock[0][2].finished:
            heapq.heappop(self._clock)
        self._wind()

    def _finish(self, asking: "_Asking") -> None:
        if asking.finished:
            return
        asking.finished = True
        for port, ticket in asking.sent:
            port.forget(ticket)
        self._active -= 1
        inquiry = asking.inquiry
        self.pressed += inquiry.disturbed
        if inquiry.outcome is None:
            asking.done(self._unavailable(asking))
        else:
            self._answered(asking, inquiry.outcome)
        while self._waiting and self._active < AT_ONCE:
            self._start(self._waiting.popleft())

    def _answered(self, asking: "_Asking", answer: Answer) -> None:
        ttl = min(answer.ttl, asking.ttl)
        if answer.alias is None:
            if asking.aliases:
                answer = replace(answer, ttl=ttl, via=answer.via or asking.name)
            asking.done(answer)
            return
        if asking.aliases == MAX_ALIASES:
            why = f"{MAX_ALIASES} aliases (CNAME) in a row, the last to {answer.alias}"
            asking.done(Unavailable(f"{asking.asked}: {why}; have its zone corrected"))
            return
        onward = _Asking(answer.alias, asking.rdtype, asking.deadline, asking.done, asking.doubt)
        onward.asked, onward.ttl, onward.aliases = asking.asked, ttl, asking.aliases + 1
        self._start(onward)

    def _unavailable(self, asking: "_Asking") -> Unavailable:
        failures = asking.inquiry.failures
        why = ", ".join(f"{self._servers[at].address} {text}" for at, text in failures.items())
        return Unavailable(f"{asking.asked} {asking.rdtype}: {why or 'no time left'}; {_ADVICE}")

    def received(self, asking: "_Asking", attempt: Attempt, sent_at: float, data: bytes) -> None:
        """A packet that repeats the question has come for an attempt."""
        now = self._loop.time()
        server = self._servers[attempt.server]
        server.measured(now - sent_at)
        inquiry = asking.inquiry
        try:
            message = read_message(data)
            if message.truncated:
                more = inquiry.truncated(attempt, now)
            else:
                more = inquiry.heard(attempt, read_answer(message), now)
                self._heard(asking, attempt, len(data))
        except MalformedMessage:
            more = inquiry.failed(attempt, "a malformed answer", now)
        except NoAnswer as error:
            asking.edns = asking.edns and str(error) not in _NO_EDNS
            more = inquiry.failed(attempt, str(error), now)
        self._send(asking, more, now)
        self._await(asking)

    def _heard(self, asking: "_Asking", attempt: Attempt, size: int) -> None:
        """Remember who answers, and what is too long for UDP."""
        if attempt.server != self._first and asking.inquiry.pressing:
            self._first = attempt.server
        if size > PAYLOAD:
            if len(self._large) >= REMEMBERED:
                del self._large[next(iter(self._large))]
            self._large[asking.name, asking.rdtype] = None
        elif attempt.by_tcp:
            self._large.pop((asking.name, asking.rdtype), None)

    def failed(self, asking: "_Asking", attempt: Attempt, why: str) -> None:
        """An attempt will not be answered."""
        now = self._loop.time()
        self._send(asking, asking.inquiry.failed(attempt, why, now), now)
        self._await(asking)


_NEVER = float("inf")


class _Asking:
    """One question and what has been sent for it."""

    __slots__ = (
        "aliases",
        "asked",
        "deadline",
        "done",
        "doubt",
        "due_at",
        "edns",
        "finished",
        "inquiry",
        "name",
        "question",
        "rdtype",
        "sent",
        "ttl",
    )
    inquiry: Inquiry

    def __init__(self, name: Name, rdtype: str, deadline: float, done: Done, doubt: Doubt) -> None:
        self.name = self.asked = name
        self.rdtype = rdtype
        self.deadline = deadline
        self.done = done
        self.doubt = doubt
        self.question = question(name, rdtype)
        self.sent: list[tuple[Port, int]] = []
        self.due_at = _NEVER
        self.ttl = 2**31
        self.aliases = 0
        self.edns = True
        self.finished = False

    def waits_for(self, port: Port) -> bool:
        """Whether an attempt by this port is still unanswered."""
        return any(port is other and ticket in port.waiting for other, ticket in self.sent)


class _Sent:
    """One attempt that is under way."""

    __slots__ = ("_asker", "_asking", "_at", "_attempt", "question")

    def __init__(self, asker: Asker, asking: _Asking, attempt: Attempt, at: float) -> None:
        self._asker = asker
        self._asking = asking
        self._attempt = attempt
        self._at = at
        self.question = asking.question

    def received(self, data: bytes) -> None:
        """A packet that repeats the question has come."""
        self._asker.received(self._asking, self._attempt, self._at, data)

    def failed(self, why: str) -> None:
        """No answer will come."""
        self._asker.failed(self._asking, self._attempt, why)
