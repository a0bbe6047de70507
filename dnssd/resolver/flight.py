"""One look-up under way: asks side by side what each of its steps wants to know."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Address
from dnssd.resolver.cache import Entry
from dnssd.resolver.gather import (
    FAMILIES,
    NOTHING,
    Gathered,
    Replies,
    Reply,
    Steps,
    untold,
)
from dnssd.resolver.snapshot import Findings, Found, Question
from dnssd.wire.answers import Answer
from dnssd.wire.loop import Loop, Timer
from dnssd.wire.resolution import TRUSTING, Doubt

GRACE = 0.5  # seconds that a first look-up waits for the other family, when each target has one
NEWS = Doubt(negatives=3)  # of a service not known before: absence after trouble is doubted

_ALIAS = "%s: an alias of %s; targets of SRV records must have addresses of their own (RFC 2782)"

_log = logging.getLogger(__name__)


class Questioner(Protocol):
    """Asks name servers (see `wire.client.DnsClient`)."""

    @property
    def disturbed(self) -> int:
        """Questions so far to which something else than an answer came."""

    def ask(
        self,
        name: Name,
        rdtype: str,
        deadline: float,
        done: Callable[[Answer | Unavailable], object],
        doubt: Doubt = ...,
    ) -> None:
        """Ask for one RRset."""

    def close(self) -> None:
        """Free what it holds."""


class Flight:
    """Carries out the steps of a look-up, and knows who waits for it.

    Args:
        questioner: Asks name servers.
        loop: Calls back; the questioner's.
        known: What was known before.
        deadline: When every question is given up, on that clock.
        landed: Gets what came of it, once.
        grace: Seconds to wait for the other family once each target has an address; None: until
            the deadline.
    """

    def __init__(
        self,
        questioner: Questioner,
        loop: Loop,
        known: Findings,
        deadline: float,
        landed: Callable[[Gathered | Unavailable], object],
        grace: float | None = None,
    ) -> None:
        self._questioner = questioner
        self._loop = loop
        self._known = known
        self._deadline = deadline
        self._landed = landed
        self._grace = grace
        self._disturbed = questioner.disturbed
        self._batch: _Batch | None = None
        self.done: list[Callable[[Entry], object]] = []

    @property
    def is_first(self) -> bool:
        """Whether nothing was known before."""
        return self._known is NOTHING

    @property
    def in_trouble(self) -> bool:
        """Whether something else than an answer came meanwhile, to this look-up or another."""
        return self._questioner.disturbed != self._disturbed

    def start(self, steps: Steps) -> None:
        """Take the first of these steps; the others follow."""
        self._advance(steps, None)

    def cancel(self) -> None:
        """Take no more steps."""
        if self._batch is not None:
            self._batch.cancel()

    def _advance(self, steps: Steps, replies: Replies | None) -> None:
        """Give the answers of one batch of questions, and ask the next."""
        outcome: Gathered | Unavailable
        try:
            questions = next(steps) if replies is None else steps.send(replies)
            while not questions:
                questions = steps.send(())
        except StopIteration as stop:
            outcome = stop.value
        except Unavailable as error:
            outcome = error.with_traceback(None)  # which would keep all of this
        else:
            try:
                self._ask(steps, questions)
                return
            except Exception as error:  # whatever it is must not leave anybody waiting
                _log.exception("unexpected error while asking for %s", questions[0][0])
                self.cancel()
                what = f"unexpected {type(error).__name__}; see the log"
                outcome = Unavailable(f"{questions[0][0]}: {what}")
        self._landed(outcome)

    def _ask(self, steps: Steps, questions: Sequence[Question]) -> None:
        """Ask a batch of questions side by side, and go on when all are answered."""
        batch = _Batch(questions, partial(self._advance, steps), self._loop, self._grace)
        self._batch = batch

        def answered(at: int, answer: Answer | Unavailable) -> None:
            batch.answered(at, self._reply(questions[at], answer))

        for at, question in enumerate(questions):
            doubt = self._doubt(question)
            self._questioner.ask(*question, self._deadline, partial(answered, at), doubt)

    def _reply(self, question: Question, answer: Answer | Unavailable) -> Reply | Unavailable:
        if isinstance(answer, Unavailable):
            return answer
        if answer.via and question[1] in FAMILIES:
            level = logging.WARNING if self.is_first else logging.DEBUG
            _log.log(level, _ALIAS, question[0], answer.via)
        now = self._loop.time()
        additional: dict[Question, Found] = {}
        for name, rdtype, ttl, address in answer.additional:
            if isinstance(address, Address):
                key = (name, rdtype)
                found = Found((address,), now + ttl)
                if known := additional.get(key):  # one TTL for an RRset, the smallest
                    until = min(known.expires_at, found.expires_at)
                    found = Found((*known.values, address), until)
                additional[key] = found
        if answer.signed:
            return Reply(Found(answer.values, now + answer.ttl), additional)
        if question[1] in FAMILIES:
            # No caching without SOA (RFC 2308), but many packets agreed on it, and servers that
            # never send one would be asked as many again for each target at each refresh.
            return Reply(untold(self._known.get(question), now), additional)
        return Reply(Found(answer.values, now), additional)

    def _doubt(self, question: Question) -> Doubt:
        known = self._known.get(question) if self._known else None
        if known is not None and known.values:
            return Doubt(frozenset(known.values))
        return TRUSTING if question[1] in FAMILIES else NEWS


class _Batch:
    """Questions that were asked side by side, and what has come of them so far.

    Args:
        questions: n >= 1.
        over: Gets the replies, once.
        loop: Calls back.
        grace: Seconds to wait for the rest once each target has an address, of whichever
            family: some servers never answer for the other one (RFC 4074). None: for ever.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        over: Callable[[Replies], object],
        loop: Loop,
        grace: float | None,
    ) -> None:
        self._questions = questions
        self._replies: list[Reply | Unavailable | None] = [None] * len(questions)
        self._left = len(questions)
        self._lacking = {name for name, rdtype in questions if rdtype in FAMILIES}
        self._over: Callable[[Replies], object] | None = over
        self._loop = loop
        self._grace = grace
        self._timer: Timer | None = None

    def answered(self, at: int, reply: Reply | Unavailable) -> None:
        """Take in what has come of one of them."""
        self._replies[at] = reply
        self._left -= 1
        if not self._left:
            self._end()
        elif self._lacking and isinstance(reply, Reply) and reply.found.values:
            self._lacking.discard(self._questions[at][0])
            if not self._lacking and self._grace is not None:
                self._timer = self._loop.call_at(self._loop.time() + self._grace, self._end)

    def cancel(self) -> None:
        """Tell nobody of what comes from now on."""
        self._over = None
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        over = self._over
        self.cancel()
        if over is not None:  # else what is still missing came too late
            over(self._replies)
