"""One look-up under way: asks what it lacks, and knows who waits for it."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.resolver.cache import OVERDUE, CacheEntry
from dnssd.resolver.gather import Gathering
from dnssd.resolver.known import FAMILIES, NOTHING
from dnssd.resolver.outcome import LookupResult
from dnssd.resolver.targets import Question
from dnssd.resolver.validated import Asks
from dnssd.wire.answers import Answer
from dnssd.wire.belief import TRUSTING, Doubt

GRACE = 0.5  # seconds that a first look-up waits for more, once an endpoint can be used
ROOM = 256  # questions under way, of all look-ups together
MOST, LEAST = 128, 16  # of one look-up at a time; so many even if there is no room
NEWS = Doubt(negatives=3)  # of a service not known before: absence after trouble is doubted

_ALIAS = "%s: an alias of %s; targets of SRV records must have addresses of their own (RFC 2782)"

_log = logging.getLogger(__name__)


def unexpected(name: Name, error: Exception) -> Unavailable:
    """A mistake here, as whoever waits for a name is told of it."""
    what = f"{name}: unexpected {type(error).__name__}; see the log"
    return Unavailable(what, name=str(name))


def closed(name: Name) -> Unavailable:
    """The end of the resolver, likewise."""
    what = f"{name}: the resolver was closed while it was looked up; look it up again"
    return Unavailable(what, name=str(name))


class Shares:
    """How many questions are under way: a look-up that hangs must not hold up others.

    Attributes:
        taken: Of all look-ups together.
    """

    __slots__ = ("taken",)

    def __init__(self) -> None:
        self.taken = 0


class Lookup:
    """Has questions asked and answered until all is gathered that there is.

    A first look-up has one deadline, since somebody waits for it. Later each question has one of
    its own, and what has come is told while others are late: one instance that does not answer
    keeps no news of the others.

    Args:
        client: Asks name servers.
        time: The clock, in seconds.
        shares: What is under way, of this and of others.
        entry: Whose look-up it is.
        timeout: Seconds until a first look-up goes on with what there is, or a question is
            given up.
        told: Gets it when there is something to be told before it is over.
        learned: Gets it once, when it is over.
        whole: Whether all is asked for, however long it still holds.

    Attributes:
        entry: Whose look-up it is.
        done: Who waits for it.
        finished: Whether it is over.
        is_first: Whether nothing was known before.
        stood_still: Whether this program did, for longer than a look-up takes: whatever came is
            as old as that.
        is_repeat: Whether it is in place of one during which that happened.
    """

    __slots__ = (
        "_client",
        "_disturbed",
        "_error",
        "_gathering",
        "_grace_ends",
        "_in_flight",
        "_known",
        "_learned",
        "_news",
        "_progress",
        "_seen_at",
        "_shares",
        "_time",
        "_timeout",
        "_told",
        "_waiting",
        "done",
        "entry",
        "finished",
        "is_first",
        "is_repeat",
        "stood_still",
    )

    def __init__(
        self,
        client: Asks,
        time: Callable[[], float],
        shares: Shares,
        entry: CacheEntry,
        timeout: float,
        told: "Callable[[Lookup], object]",
        learned: "Callable[[Lookup], object]",
        *,
        whole: bool = False,
    ) -> None:
        now = time()
        self._client = client
        self._time = time
        self._shares = shares
        self._waiting: deque[Question] = deque()
        self._timeout = timeout
        self._told, self._learned = told, learned
        self._disturbed = client.disturbed
        self._error: Unavailable | None = None
        self._grace_ends, self._seen_at = now + GRACE, now
        self._in_flight = self._progress = 0  # this one: answers since it was last late
        self._news = False  # whether any came since it last told
        self._known = entry.found
        self._gathering = Gathering(entry.asked, entry.found, now, whole=whole)
        self.entry = entry
        self.done: list[Callable[[CacheEntry], object]] = []
        self.is_first = entry.found is NOTHING
        self.finished = self.stood_still = self.is_repeat = False

    @property
    def in_trouble(self) -> bool:
        """Whether something else than an answer came meanwhile, to this look-up or another."""
        return self._client.disturbed != self._disturbed

    def complete(self) -> None:
        """Ask for no more than what the first look-up had left out."""
        self.advance(self._gathering.complete())

    def result(self) -> LookupResult:
        """What has come of it.

        Raises:
            Unavailable: Nothing that is of use.
        """
        if self._error is not None:
            raise self._error
        return self._gathering.result(self._time())

    def late(self, now: float) -> None:
        """Half the grace has passed: go on with what there is, if nothing has come in it."""
        progress, self._progress = self._progress, 0
        if self._has_stood_still(now) or now < self._grace_ends:
            return
        if not self.is_first:
            if self._news and not progress:
                self._news = False
                self.advance(self._gathering.stand_in())
                self._told(self)
        elif not self._gathering.usable:
            if self.in_trouble or now >= self._grace_ends + GRACE:
                self.advance(self._gathering.hasten())
        elif not progress:
            self._end()

    def advance(self, questions: Sequence[Question] | None = None) -> None:
        """Ask questions side by side, as many as there is room for; the first ones by default."""
        now = self._time()
        deadline = (self._grace_ends - GRACE if self.is_first else now) + self._timeout
        shares, waiting = self._shares, self._waiting
        waiting.extend(self._gathering.begin() if questions is None else questions)
        while waiting and (
            self._in_flight < LEAST or (shares.taken < ROOM and self._in_flight < MOST)
        ):
            question = waiting.popleft()
            name, rdtype = question
            known = self._known.get((name.key, rdtype))
            if known and known.values:
                doubt = Doubt(frozenset(known.values))
            else:
                doubt = TRUSTING if rdtype in FAMILIES else NEWS
            done = partial(self._answered, question, now)
            try:
                self._client.ask(name, rdtype, deadline, done, doubt)
                self._in_flight += 1
                shares.taken += 1
            except Exception as error:  # whatever it is must not leave anybody waiting
                self._fail(question, error)
        if not self._gathering.open:
            self._end()

    def _answered(self, question: Question, asked_at: float, answer: Answer | Unavailable) -> None:
        """Take in what has come of a question, and go on."""
        self._in_flight -= 1
        self._shares.taken -= 1
        if self.finished:
            if isinstance(answer, Unavailable):
                _log.log(logging.WARNING if self.is_first else logging.DEBUG, "%s", answer)
            return
        if self._has_stood_still(self._time()):
            return
        self._progress += 1
        self._news = self._news or isinstance(answer, Answer)
        try:
            if isinstance(answer, Answer) and answer.via and question[1] in FAMILIES:
                level = logging.WARNING if self.is_first else logging.DEBUG
                _log.log(level, _ALIAS, question[0], answer.via)
            questions = self._gathering.take(question, answer, asked_at)
            if questions or self._waiting:
                self.advance(questions)
        except Exception as error:  # likewise
            self._fail(question, error)
        if not (self.finished or self._gathering.open):
            self.finished = True
            self._learned(self)

    def _has_stood_still(self, now: float) -> bool:
        """Whether nothing has run for long, as in a function that was frozen: then it is over."""
        self.stood_still = now >= self._seen_at + self._timeout + OVERDUE
        self._seen_at = now
        if self.stood_still:
            name = str(self.entry.asked.name)
            what = "this program stood still while it was looked up; look it up again"
            self._error = Unavailable(f"{name}: {what}", name=name)
            self._end()
        return self.stood_still

    def _fail(self, question: Question, error: Exception) -> None:
        """Something has gone wrong that should not: that is all there is to tell."""
        _log.error("unexpected error while asking for %s", question[0], exc_info=error)
        self._error = unexpected(question[0], error)
        self._end()

    def _end(self) -> None:
        """Go on with what there is; what comes from now on is too late."""
        if not self.finished:
            self.finished = True
            self._waiting.clear()
            self._learned(self)
