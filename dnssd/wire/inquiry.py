"""One question until it is settled: whom to ask and when, and which answers to believe.

Told what arrives and when, it tells what to send; no clock, no socket.

    calm       one attempt is under way, and nothing has gone wrong
    pressing   an attempt failed or is late, or an answer is in doubt: three attempts every
               30 ms, the servers in turn, and a failed one replaced at once
    settled    `outcome` is there, or it was given up

Late answers to earlier attempts count like any other. Answers are believed as follows:

    a value           at once; the values of several answers are united
    none, with SOA    at once while calm; after trouble once `negatives` agree
    none, no SOA      a fault (RFC 2308), unless 32 say so, nothing else comes, and nothing
                      was there before
    a value missing   that was there before: once `answers` of them all lack it
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dnssd.records import Rdata
from dnssd.wire.answers import Answer
from dnssd.wire.budget import Budget

BURST = 3  # attempts at a time, while pressing
INTERVAL = 0.03  # seconds between bursts, at first
CALMER_AFTER = 8  # bursts; then the interval grows,
GROWTH = 1.5  # by this factor,
LONGEST = 0.24  # up to so many seconds
UNPAID = 0.4  # seconds between attempts when the budget is spent
UNSIGNED = 32  # negative answers without SOA that are believed if nothing else comes


class Attempt(NamedTuple):
    """A packet to be sent."""

    server: int  # which one, counted from 0
    by_tcp: bool


@dataclass(frozen=True, slots=True)
class Doubt:
    """What it takes to believe that something is not there.

    Attributes:
        expected: The values that were there before.
        answers: How many must lack one of those before it is gone.
        negatives: How many negative answers it takes, after trouble, if nothing is expected.
    """

    expected: frozenset[Rdata] = frozenset()
    answers: int = 10
    negatives: int = 1


TRUSTING = Doubt()


class Inquiry:
    """A question on its way.

    Attributes:
        failures: What was last wrong with each server, by its number.
        gave_up: Whether the deadline came before an answer.
        next_at: When to call `due`, unless something comes before.
        outcome: What is believed in the end.
        pressing: Whether more than one attempt is under way.

    Args:
        servers: How many can be asked.
        first: The one to begin with.
        now: Monotonic clock reading, in seconds.
        deadline: When to give up, on that clock.
        late: Seconds after which an answer is late.
        by_tcp: Whether to begin with TCP.
        budget: What attempts beyond the first are paid from.
        doubt: What it takes to believe in absence.
    """

    __slots__ = (
        "_asked",
        "_budget",
        "_bursts",
        "_by_tcp",
        "_deadline",
        "_doubt",
        "_heard",
        "_interval",
        "_late",
        "_negatives",
        "_other",
        "_replaced",
        "_sent_at",
        "_servers",
        "_turn",
        "_union",
        "_unsigned",
        "failures",
        "gave_up",
        "next_at",
        "outcome",
        "pressing",
    )

    def __init__(
        self,
        servers: int,
        first: int,
        now: float,
        deadline: float,
        *,
        late: float,
        by_tcp: bool,
        budget: Budget,
        doubt: Doubt = TRUSTING,
    ) -> None:
        self._servers = servers
        self._turn = first
        self._deadline = deadline
        self._late = late
        self._by_tcp = by_tcp
        self._budget = budget
        self._doubt = doubt
        self.failures: dict[int, str] = {}
        self._asked: set[int] = set()  # servers
        self._interval = INTERVAL
        self.gave_up = False
        self._heard = self._negatives = self._bursts = self._replaced = 0
        self._union: list[Answer] | None = None
        self._unsigned = 0
        self._other = False  # whether anything else than unsigned absence came
        self._sent_at = now
        self.pressing = False
        self.outcome: Answer | None = None
        self.next_at = min(deadline, now + (2 * late if by_tcp else late))

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be sent or heard."""
        return self.outcome is not None or self.gave_up

    @property
    def disturbed(self) -> bool:
        """Whether something arrived that was no answer; lateness alone does not count."""
        return self._other or self._unsigned > 0

    def begin(self) -> Sequence[Attempt]:
        """The first attempt; none if it is too late for one."""
        if self._sent_at >= self._deadline:
            return ()
        self._asked.add(self._turn)
        return (Attempt(self._turn, self._by_tcp),)

    def due(self, now: float) -> Sequence[Attempt]:
        """What to send at `next_at`, or when something has gone wrong."""
        if self.settled:
            return ()
        if now >= self._deadline:
            self._give_up(now)
            return ()
        if self._heard == 0 and not self.pressing:
            self.failures.setdefault(self._turn, _SILENT)
        self.pressing = True
        self._replaced = 0
        self._bursts += 1
        if self._bursts > CALMER_AFTER:
            self._interval = min(LONGEST, self._interval * GROWTH)
        self.next_at = min(self._deadline, now + self._interval)
        return self._attempts(BURST, now)

    def failed(self, attempt: Attempt, why: str, now: float) -> Sequence[Attempt]:
        """An attempt has failed for sure; what to send in its place."""
        if self.settled:
            return ()
        self.failures[attempt.server] = why
        self._other = self._other or why != _NO_SOA
        if not self.pressing:
            return self.due(now)
        if self._replaced >= BURST or now >= self._deadline:
            return ()
        self._replaced += 1
        return self._attempts(1, now)

    def truncated(self, attempt: Attempt, now: float) -> Sequence[Attempt]:
        """An answer was cut to fit a packet: the rest comes by TCP (RFC 7766)."""
        if self.settled or now >= self._deadline:
            return ()
        if attempt.by_tcp or self._by_tcp:  # it cannot be, or TCP is being tried
            return self.failed(attempt, "an answer cut short", now)
        self._by_tcp = True
        if not self.pressing:
            self.next_at = min(self._deadline, now + 2 * self._late)
        return (Attempt(attempt.server, True),)

    def heard(self, attempt: Attempt, answer: Answer, now: float) -> Sequence[Attempt]:
        """An answer has come; what to send before it is believed."""
        if self.settled:
            return ()
        if not (answer.values or answer.alias or answer.signed):
            self._unsigned += 1
            if self._unsigned >= UNSIGNED and not (
                self._heard or self._other or self._doubt.expected
            ):
                self._settle(answer)
                return ()
            return self.failed(attempt, _NO_SOA, now)
        self._heard += 1
        if answer.alias is not None:
            self._settle(answer)
            return ()
        if answer.values:
            self._union = [answer, *(self._union or ())]
        else:
            self._negatives += 1
        if self._believable():
            self._settle(self._merged() if self._union else answer)
            return ()
        return () if self.pressing else self.due(now)

    def _believable(self) -> bool:
        doubt = self._doubt
        if doubt.expected:
            seen = {value for one in self._union or () for value in one.values}
            return self._heard >= doubt.answers or doubt.expected <= seen
        if self._union:
            return True
        return self._negatives >= (doubt.negatives if self.pressing else 1)

    def _merged(self) -> Answer:
        """All values that were heard of, those of the latest answer first."""
        answers = self._union or []
        if len(answers) == 1:
            return answers[0]
        values = dict.fromkeys(value for answer in answers for value in answer.values)
        additional = dict.fromkeys(record for answer in answers for record in answer.additional)
        ttl = min(answer.ttl for answer in answers)
        return answers[0]._replace(values=tuple(values), ttl=ttl, additional=tuple(additional))

    def _settle(self, outcome: Answer) -> None:
        self.outcome = outcome
        self._budget.earn()

    def _give_up(self, now: float) -> None:
        """The deadline: what was heard is believed as far as it takes nothing away."""
        if self._union:
            merged = self._merged()
            kept = (v for v in self._doubt.expected if v not in merged.values)
            self.outcome = merged._replace(values=(*merged.values, *kept))
        elif self._negatives and not self._doubt.expected:
            self.outcome = Answer((), 0)
        else:
            self.gave_up = True
            for server in sorted(self._asked):
                self.failures.setdefault(server, _SILENT)
            if self._negatives:
                self.failures[self._turn] = "too few answers to believe what they deny"

    def _attempts(self, wanted: int, now: float) -> Sequence[Attempt]:
        granted = self._budget.take(wanted, now)
        if not granted:
            if now - self._sent_at < UNPAID:
                self.next_at = min(self._deadline, max(self.next_at, self._sent_at + UNPAID))
                return ()
            granted = 1
        self._sent_at = now
        return [self._next(by_tcp=self._by_tcp and not at) for at in range(granted)]

    def _next(self, by_tcp: bool) -> Attempt:
        self._turn = (self._turn + 1) % self._servers
        self._asked.add(self._turn)
        return Attempt(self._turn, by_tcp)


_NO_SOA = "no SOA record in an empty answer"
_SILENT = "no answer"
