"""One question until it is settled: whom to ask and when; `belief` has what is believed.

Told what arrives and when, it tells what to send; no clock, no socket.

    calm       one attempt is under way, and nothing has gone wrong
    trouble    an attempt failed or is late, or an answer is in doubt: three attempts every
               30 ms, the servers in turn, and a failed one replaced at once
    settled    `outcome` is there, or it was given up

Late answers to earlier attempts count like any other. Servers that are dark get no bursts.
"""

from collections.abc import Callable, Mapping, Sequence

from dnssd.wire.answers import Answer
from dnssd.wire.belief import TRUSTING, UNSIGNED, Doubt
from dnssd.wire.budget import Budget
from dnssd.wire.dark import ATTEMPTS
from dnssd.wire.trouble import INTERVAL, Attempt, Trouble

BURST = 3  # attempts at a time, in trouble
CALMER_AFTER = 8  # bursts; then the interval grows,
GROWTH = 1.5  # by this factor,
LONGEST = 0.24  # up to so many seconds
SLOW = 0.4  # seconds; where answers are late no sooner, bursts have more time between them
FIRST_PATIENCE = 1.0  # seconds before the first burst, to a server that has never answered
UNPAID = 0.4  # seconds between attempts when the budget is spent


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
        is_dark: Whether a server, by its number, gives no valid answer at all at some time.
    """

    __slots__ = (
        "_began",
        "_budget",
        "_by_tcp",
        "_deadline",
        "_doubt",
        "_enough_unsigned",
        "_first",
        "_is_dark",
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
        is_dark: Callable[[int, float], bool] = lambda number, now: False,
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
        self._is_dark = is_dark
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
        return self.trouble is not None and (
            self.trouble.other or self.trouble.evidence.unsigned > 0
        )

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
        if not (trouble.bursts or trouble.evidence.heard):
            trouble.failures.setdefault(trouble.turn, _SILENT)
        trouble.replaced = 0
        elapsed = now - self._began
        if self._may_be_slow(trouble) and elapsed < FIRST_PATIENCE:
            self.next_at = min(self._deadline, now + elapsed, self._began + FIRST_PATIENCE)
            return self._attempts(trouble, 1, now, by_tcp=self._by_tcp)
        trouble.bursts += 1
        if trouble.bursts > CALMER_AFTER:
            trouble.interval = max(trouble.interval, min(LONGEST, trouble.interval * GROWTH))
        self.next_at = min(self._deadline, now + trouble.interval)
        return self._attempts(trouble, BURST, now, by_tcp=self._by_tcp)

    def failed(self, attempt: Attempt, why: str, now: float) -> Sequence[Attempt]:
        """An attempt has failed for sure; what to send in its place."""
        if self.settled:
            return ()
        trouble = self._in_trouble()
        trouble.other = True
        return self._replace(trouble, attempt, why, now)

    def lost(self, attempt: Attempt, why: str, now: float) -> Sequence[Attempt]:
        """A connection has failed; of TCP, where it is only tried, UDP's silence says more."""
        if attempt.by_tcp and not self._by_tcp:
            why = self.failures.get(attempt.server, _SILENT)
        return self.failed(attempt, why, now)

    def _replace(
        self, trouble: Trouble, attempt: Attempt, why: str, now: float
    ) -> Sequence[Attempt]:
        trouble.failures[attempt.server] = why
        if not trouble.bursts:
            return self.due(now)
        if trouble.replaced >= BURST or now >= self._deadline:
            return ()
        trouble.replaced += 1
        return self._attempts(trouble, 1, now, by_tcp=attempt.by_tcp)

    def truncated(self, attempt: Attempt, now: float) -> Sequence[Attempt]:
        """An answer was cut to fit a packet: the rest comes by TCP (RFC 7766)."""
        if self.settled or now >= self._deadline:
            return ()
        if attempt.by_tcp:  # it cannot be
            return self.failed(attempt, "an answer cut short", now)
        if self._by_tcp:  # TCP is being tried
            if self.trouble is not None:
                self.trouble.other = True
            return ()
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
        if answer.alias is not None or (self.trouble is None and self._doubt.is_enough(answer)):
            self._settle(answer)
            return ()
        trouble = self._in_trouble()
        if not (answer.values or answer.signed):
            return self._unsigned(trouble, attempt, answer, now)
        believed = trouble.evidence.take(answer)
        if believed is not None:
            self._settle(believed)
            return ()
        return () if trouble.bursts else self.due(now)

    def _unsigned(
        self, trouble: Trouble, attempt: Attempt, answer: Answer, now: float
    ) -> Sequence[Attempt]:
        enough, alone = self._enough_unsigned, not trouble.other
        believed = trouble.evidence.take_unsigned(answer, enough, alone=alone)
        if believed is not None:
            self._settle(believed)
            return ()
        return self._replace(trouble, attempt, _NO_SOA, now)

    def _may_be_slow(self, trouble: Trouble) -> bool:
        """Whether nobody knows this path yet: it may need no more than time."""
        only_late = not (self._is_measured or trouble.evidence.heard or self.disturbed)
        return only_late and len(trouble.asked) >= self._servers

    def _in_trouble(self) -> Trouble:
        if self.trouble is None:
            self.trouble = Trouble(self._first, self._began, self._doubt)
            self.trouble.interval = max(INTERVAL, (self._late - SLOW) / 2)
        return self.trouble

    def _settle(self, outcome: Answer) -> None:
        self.outcome = outcome
        self.settled = True
        self._budget.earn()

    def _give_up(self, trouble: Trouble) -> None:
        """The deadline: what was heard is believed as far as it takes nothing away."""
        self.settled = True
        self.outcome = trouble.evidence.at_last()
        if self.outcome is None and self._began < self._deadline:
            for server in sorted(trouble.asked):
                trouble.failures.setdefault(server, _SILENT)
            if trouble.evidence.negatives:
                trouble.failures[trouble.turn] = "too few answers to believe what they deny"

    def _attempts(
        self, trouble: Trouble, wanted: int, now: float, *, by_tcp: bool
    ) -> Sequence[Attempt]:
        every = range(self._servers)
        alive = [number for number in every if not self._is_dark(number, now)]
        granted = self._budget.take(wanted, now) if alive else 0
        if not granted:
            pause = UNPAID if alive else max(UNPAID, (self._deadline - self._began) / ATTEMPTS)
            if now - trouble.sent_at < pause:
                self.next_at = min(self._deadline, max(self.next_at, trouble.sent_at + pause))
                return ()
            granted = 1 if alive else self._servers
        is_tcp_tried = trouble.is_for_tcp(now)
        trouble.sent_at = now
        servers = alive if alive and trouble.bursts > 1 else every
        by_tcp = by_tcp or (is_tcp_tried and trouble.bursts > 0)
        attempts = [trouble.next(servers, by_tcp=by_tcp and not at) for at in range(granted)]
        if is_tcp_tried and not by_tcp:  # beside the few that there are before bursts
            attempts.append(Attempt(trouble.turn, by_tcp=True))
        return attempts


_new = tuple.__new__  # an Attempt's own __new__ takes twice as long
_NO_SOA = "no SOA record in an empty answer"
_SILENT = "no answer"
