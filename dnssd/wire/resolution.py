"""One question until it is settled: whom to ask and when, and which answers to believe.

Told what arrives and when, it tells what to send; no clock, no socket.

    calm       one attempt is under way, and nothing has gone wrong
    trouble    an attempt failed or is late, or an answer is in doubt: three attempts every
               30 ms, the servers in turn, and a failed one replaced at once
    settled    `outcome` is there, or it was given up

Late answers to earlier attempts count like any other. Answers are believed as follows:

    a value           at once; the values of several answers are united
    none, with SOA    at once while calm; after trouble once `negatives` agree
    none, no SOA      a fault (RFC 2308), unless 32 say so, nothing else comes, and nothing
                      was there before
    a value missing   that was there before: once `answers` of them all lack it
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dnssd.records import Rdata
from dnssd.wire.answers import Answer
from dnssd.wire.budget import Budget

BURST = 3  # attempts at a time, in trouble
INTERVAL = 0.03  # seconds between bursts, at first
CALMER_AFTER = 8  # bursts; then the interval grows,
GROWTH = 1.5  # by this factor,
LONGEST = 0.24  # up to so many seconds
SLOW = 0.4  # seconds; where answers are late no sooner, bursts have more time between them
FIRST_PATIENCE = 1.0  # seconds before the first burst, to a server that has never answered
UNPAID = 0.4  # seconds between attempts when the budget is spent
UNSIGNED = 32  # negative answers without SOA that are believed if nothing else comes
FEW_UNSIGNED = 3  # the same, of servers that are known to send none


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


class Trouble:
    """What a question needs to know that is not answered at once.

    Attributes:
        failures: What was last wrong with each server, by its number.
        asked: The servers that were asked.
        turn: The one that was asked last.
        sent_at: When that was, in seconds.
        interval: Seconds until the next burst.
        bursts: How many there were.
        replaced: How many attempts were replaced since the last one.
        heard: How many answers came, and of them
        positive: those with values, the latest first,
        negatives: and how many were signed denials.
        unsigned: How many denials came without SOA record.
        other: Whether anything else came that is no answer.
    """

    __slots__ = (
        "asked",
        "bursts",
        "failures",
        "heard",
        "interval",
        "negatives",
        "other",
        "positive",
        "replaced",
        "sent_at",
        "turn",
        "unsigned",
    )

    def __init__(self, first: int, sent_at: float) -> None:
        self.failures: dict[int, str] = {}
        self.asked = {first}
        self.turn = first
        self.sent_at = sent_at
        self.interval = INTERVAL
        self.bursts = self.replaced = self.heard = self.negatives = self.unsigned = 0
        self.positive: list[Answer] = []
        self.other = False

    def union(self) -> Answer:
        """All values that were heard of, those of the latest answer first."""
        latest = self.positive[0]
        if len(self.positive) == 1:
            return latest
        values = dict.fromkeys(value for answer in self.positive for value in answer.values)
        more = dict.fromkeys(record for answer in self.positive for record in answer.additional)
        ttl = min(answer.ttl for answer in self.positive)
        return latest._replace(values=tuple(values), ttl=ttl, additional=tuple(more))

    def next(self, servers: int, *, by_tcp: bool) -> Attempt:
        """An attempt with the server whose turn it is."""
        self.turn = (self.turn + 1) % servers
        self.asked.add(self.turn)
        return Attempt(self.turn, by_tcp)


class Resolution:
    """A question on its way.

    Attributes:
        next_at: When to call `due`, unless something comes before.
        outcome: What is believed in the end.
        settled: Whether nothing more is to be sent or heard: there is an outcome, or it was
            given up.
        trouble: What has gone wrong; None while nothing has.

    Args:
        servers: How many can be asked.
        first: The one to begin with.
        now: Monotonic clock reading, in seconds.
        deadline: When to give up, on that clock.
        late: Seconds after which an answer is late.
        by_tcp: Whether to begin with TCP.
        budget: What attempts beyond the first are paid from.
        doubt: What it takes to believe in absence.
        is_measured: Whether it is known how long that server takes.
        unsigned: How many denials without SOA are believed if nothing else comes.
    """

    __slots__ = (
        "_began",
        "_budget",
        "_by_tcp",
        "_deadline",
        "_doubt",
        "_enough_unsigned",
        "_first",
        "_is_measured",
        "_late",
        "_servers",
        "next_at",
        "outcome",
        "settled",
        "trouble",
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
        is_measured: bool = True,
        unsigned: int = UNSIGNED,
    ) -> None:
        self._servers = servers
        self._first = first
        self._began = now
        self._deadline = deadline
        self._late = late
        self._by_tcp = by_tcp
        self._budget = budget
        self._doubt = doubt
        self._is_measured = is_measured
        self._enough_unsigned = unsigned
        self.settled = False
        self.trouble: Trouble | None = None
        self.outcome: Answer | None = None
        self.next_at = min(deadline, now + (2 * late if by_tcp else late))

    @property
    def failures(self) -> Mapping[int, str]:
        """What was last wrong with each server, by its number."""
        return self.trouble.failures if self.trouble else {}

    @property
    def disturbed(self) -> bool:
        """Whether something arrived that was no answer; lateness alone does not count."""
        return self.trouble is not None and (self.trouble.other or self.trouble.unsigned > 0)

    def is_early(self, late: float, now: float) -> bool:
        """Whether to wait on, now that it is known how long a server takes.

        Args:
            late: Seconds after which its answer is late.
            now: Monotonic clock reading, in seconds.
        """
        if self._is_measured:
            return False
        self._is_measured = True
        self._late = late
        self.next_at = min(self._deadline, max(now, self._began + late))
        return self.next_at > now

    def begin(self) -> Sequence[Attempt]:
        """The first attempt; none if it is too late for one."""
        if self._began >= self._deadline:
            return ()
        return (_new(Attempt, (self._first, self._by_tcp)),)

    def due(self, now: float) -> Sequence[Attempt]:
        """What to send at `next_at`, or when something has gone wrong."""
        if self.settled:
            return ()
        trouble = self._in_trouble()
        if now >= self._deadline:
            self._give_up(trouble)
            return ()
        if not (trouble.bursts or trouble.heard):
            trouble.failures.setdefault(trouble.turn, _SILENT)
        trouble.replaced = 0
        elapsed = now - self._began
        if self._may_be_slow(trouble) and elapsed < FIRST_PATIENCE:
            self.next_at = min(self._deadline, now + elapsed, self._began + FIRST_PATIENCE)
            return self._attempts(trouble, 1, now)
        trouble.bursts += 1
        if trouble.bursts > CALMER_AFTER:
            trouble.interval = max(trouble.interval, min(LONGEST, trouble.interval * GROWTH))
        self.next_at = min(self._deadline, now + trouble.interval)
        return self._attempts(trouble, BURST, now)

    def failed(self, attempt: Attempt, why: str, now: float) -> Sequence[Attempt]:
        """An attempt has failed for sure; what to send in its place."""
        if self.settled:
            return ()
        trouble = self._in_trouble()
        trouble.failures[attempt.server] = why
        trouble.other = trouble.other or why != _NO_SOA
        if not trouble.bursts:
            return self.due(now)
        if trouble.replaced >= BURST or now >= self._deadline:
            return ()
        trouble.replaced += 1
        return self._attempts(trouble, 1, now)

    def truncated(self, attempt: Attempt, now: float) -> Sequence[Attempt]:
        """An answer was cut to fit a packet: the rest comes by TCP (RFC 7766)."""
        if self.settled or now >= self._deadline:
            return ()
        if attempt.by_tcp or self._by_tcp:  # it cannot be, or TCP is being tried
            return self.failed(attempt, "an answer cut short", now)
        self._by_tcp = True
        if self.trouble is None:
            self.next_at = min(self._deadline, now + 2 * self._late)
        return (Attempt(attempt.server, True),)

    def heard(self, attempt: Attempt, answer: Answer, now: float) -> Sequence[Attempt]:
        """An answer has come; what to send before it is believed."""
        if self.settled:
            return ()
        if self.trouble is None and answer.values and not self._doubt.expected:
            self.outcome, self.settled = answer, True  # the usual case
            self._budget.earn()
            return ()
        if answer.alias is not None or (self.trouble is None and self._is_enough(answer)):
            self._settle(answer)
            return ()
        trouble = self._in_trouble()
        if not (answer.values or answer.signed):
            return self._unsigned(trouble, attempt, answer, now)
        trouble.heard += 1
        if answer.values:
            trouble.positive.insert(0, answer)
        else:
            trouble.negatives += 1
        if self._is_believed(trouble):
            self._settle(trouble.union() if trouble.positive else answer)
            return ()
        return () if trouble.bursts else self.due(now)

    def _unsigned(
        self, trouble: Trouble, attempt: Attempt, answer: Answer, now: float
    ) -> Sequence[Attempt]:
        """A denial without SOA record: a fault, unless nothing else is ever said."""
        trouble.unsigned += 1
        alone = not (trouble.heard or trouble.other or self._doubt.expected)
        if alone and trouble.unsigned >= self._enough_unsigned:
            self._settle(answer)
            return ()
        return self.failed(attempt, _NO_SOA, now)

    def _is_enough(self, answer: Answer) -> bool:
        """Whether the first answer can be believed where nothing has gone wrong."""
        doubt = self._doubt
        if doubt.expected and doubt.answers > 1:
            return doubt.expected.issubset(answer.values)
        return bool(answer.values) or answer.signed

    def _is_believed(self, trouble: Trouble) -> bool:
        doubt = self._doubt
        if doubt.expected:
            seen = {value for one in trouble.positive for value in one.values}
            return trouble.heard >= doubt.answers or doubt.expected <= seen
        return bool(trouble.positive) or trouble.negatives >= doubt.negatives

    def _may_be_slow(self, trouble: Trouble) -> bool:
        """Whether nobody knows this path yet: it may need no more than time."""
        only_late = not (self._is_measured or trouble.heard or self.disturbed)
        return only_late and len(trouble.asked) >= self._servers

    def _in_trouble(self) -> Trouble:
        if self.trouble is None:
            self.trouble = Trouble(self._first, self._began)
            self.trouble.interval = max(INTERVAL, (self._late - SLOW) / 2)
        return self.trouble

    def _settle(self, outcome: Answer) -> None:
        self.outcome = outcome
        self.settled = True
        self._budget.earn()

    def _give_up(self, trouble: Trouble) -> None:
        """The deadline: what was heard is believed as far as it takes nothing away."""
        self.settled = True
        if trouble.positive:
            union = trouble.union()
            kept = (value for value in self._doubt.expected if value not in union.values)
            self.outcome = union._replace(values=(*union.values, *kept))
        elif trouble.negatives and not self._doubt.expected:
            self.outcome = Answer((), 0)
        elif self._began < self._deadline:
            for server in sorted(trouble.asked):
                trouble.failures.setdefault(server, _SILENT)
            if trouble.negatives:
                trouble.failures[trouble.turn] = "too few answers to believe what they deny"

    def _attempts(self, trouble: Trouble, wanted: int, now: float) -> Sequence[Attempt]:
        granted = self._budget.take(wanted, now)
        if not granted:
            if now - trouble.sent_at < UNPAID:
                self.next_at = min(self._deadline, max(self.next_at, trouble.sent_at + UNPAID))
                return ()
            granted = 1
        trouble.sent_at = now
        by_tcp = self._by_tcp
        return [trouble.next(self._servers, by_tcp=by_tcp and not at) for at in range(granted)]


_new = tuple.__new__  # an Attempt's own __new__ takes twice as long
_NO_SOA = "no SOA record in an empty answer"
_SILENT = "no answer"
