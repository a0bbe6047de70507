"""Which questions a look-up asks, and what comes of their answers; pure.

    service     PTR -> SRV and TXT of every instance -> addresses that are still missing
    instance           SRV and TXT                   -> addresses that are still missing

Each answer leads on by itself: what one instance lacks keeps no other waiting. What is known
already stands in for what nobody answers, and is not asked for before it is near its end;
without endpoints, TXT data alone are of no use, and endpoints are of use without them.
"""

from collections.abc import Callable, Sequence

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Srv
from dnssd.resolver.known import (
    FAMILIES,
    MAX_TTL,
    MIN_TTL,
    NOTHING,
    CachedRRset,
    Key,
    Known,
    held,
    is_due,
    untold,
)
from dnssd.resolver.outcome import LookupResult, Unanswered
from dnssd.resolver.snapshot import MAX_ENDPOINTS, MAX_INSTANCES, instance_names
from dnssd.resolver.targets import ROOT, Question, Targets, unasked
from dnssd.services import ServiceName
from dnssd.wire.answers import Answer

UNSIGNED_HELD = 5.0  # seconds that an absence without SOA record is remembered


class Gathering:
    """What a look-up has still to ask, and what it has found.

    Args:
        asked: What is looked up.
        known: What was found before: where a question fails this time, that still counts,
            and both address families are asked for.
        now: Monotonic clock reading, in seconds; what is in `known` holds until it expires.
        whole: Whether everything is asked for, however long it still holds.

    Attributes:
        open: What was asked and is not answered yet.
    """

    __slots__ = (
        "_answered",
        "_asked",
        "_cut",
        "_found",
        "_known",
        "_now",
        "_stalled",
        "_targets",
        "_targets_seen",
        "_unanswered",
        "_whole",
        "open",
    )

    def __init__(
        self, asked: ServiceName, known: Known = NOTHING, now: float = 0.0, *, whole: bool = False
    ) -> None:
        self._asked = asked
        self._known = known
        self._now = now
        self._whole = whole or not known
        self._found: dict[Key, CachedRRset] = {}
        self._targets = Targets(self._found, known, now)
        self._unanswered = Unanswered(self._found, known, self._targets)
        self._targets_seen: set[bytes] = {ROOT}
        self._answered = False
        self._stalled: list[tuple[Question, CachedRRset]] = []
        self._cut = False
        self.open: dict[Key, Name] = {}

    @property
    def usable(self) -> bool:
        """Whether some endpoint has an address."""
        return self._targets.usable

    def begin(self) -> Sequence[Question]:
        """The first questions."""
        name = self._asked.name
        if self._asked.instance is None:
            return self._ask([(name, "PTR")])
        return self._ask([(name, "SRV"), (name, "TXT")])

    def complete(self) -> Sequence[Question]:
        """Instead of `begin`: only what was left out, the other address families of targets."""
        self._found.update(self._known)
        self._answered = True
        return self._ask(unasked(self._known))

    def take(
        self, question: Question, answer: Answer | Unavailable, now: float
    ) -> Sequence[Question]:
        """Take in what has come of a question; what to ask because of it.

        Args:
            question: One that is `open`.
            answer: What it says, or why there is none.
            now: When it was asked, on the monotonic clock, in seconds.
        """
        name, rdtype = question
        key = name.key, rdtype
        del self.open[key]
        if isinstance(answer, Unavailable):
            return self._take_failure(question, answer)
        if answer.additional:
            self._targets.add(answer.additional, now)
        self._answered = True
        if answer.signed:
            ttl: float = answer.ttl
            if not MIN_TTL <= ttl <= MAX_TTL:
                ttl = held(ttl)
            found = _new(CachedRRset, (answer.values, now + ttl, ttl, 0, 0.0, answer.validated))
        else:
            found = self._unsigned(key, now)
        self._found[key] = found
        if self._stalled:
            stalled, self._stalled = self._stalled, []
            return [more for one in ((question, found), *stalled) for more in self._next(*one)]
        return _NEXT[rdtype](self, name, found)

    def stand_in(self) -> Sequence[Question]:
        """Time has passed: what was known stands in for what is late; what to ask besides."""
        if not self._answered:
            return ()
        late = [(name, key[1]) for key, name in self.open.items() if key not in self._found]
        more: list[Question] = []
        for question in late:
            if known := self._known.get((question[0].key, question[1])):
                more += self._next(question, known)
        return more

    def hasten(self) -> Sequence[Question]:
        """Time has passed: what to ask besides, where nobody tells the instances of a service."""
        name = self._asked.name
        if (name.key, "PTR") not in self.open or self._asked.instance is not None:
            return ()
        return self._ask([(name, "SRV"), (name, "TXT")])

    def result(self, now: float = 0.0) -> LookupResult:
        """What has come of it so far, whether or not everything is answered.

        Args:
            now: Monotonic clock reading, in seconds.

        Raises:
            Unavailable: Nothing was answered; or no endpoint has an address, and some question
                about one was not answered.
        """
        if not (self.open or self._unanswered.failed or self._unanswered.pausing):
            return LookupResult(self._found, cut=self._cut, incomplete=self._targets.incomplete)
        return self._unanswered.result(self.open, now, answered=self._answered, cut=self._cut)

    def _take_failure(self, question: Question, error: Unavailable) -> Sequence[Question]:
        """What was known stands in, and leads on, once anything at all is answered."""
        name, rdtype = question
        key = name.key, rdtype
        self._unanswered.failed[key] = name, error
        if rdtype in FAMILIES:
            return ()
        known = self._known.get(key)
        if known and not self._answered:
            self._stalled.append((question, known))
            return ()
        return self._next(question, known or CachedRRset((), self._now))

    def _next(self, question: Question, found: CachedRRset) -> Sequence[Question]:
        self._found[question[0].key, question[1]] = found
        return _NEXT[question[1]](self, question[0], found)

    def _ask(self, questions: Sequence[Question]) -> Sequence[Question]:
        """Note what is asked, each once; what is known and not due is taken as it is."""
        new: list[Question] = []
        for question in questions:
            name, rdtype = question
            key = name.key, rdtype
            if key in self.open or key in self._found:
                continue
            known = None if self._whole else self._known.get(key)
            if known is None or key in self._targets.doubted or is_due(known, self._now):
                self.open[key] = name
                new.append(question)
            else:
                new += self._keep(question, known)
        return new

    def _keep(self, question: Question, known: CachedRRset) -> Sequence[Question]:
        """Go on with what is known for a while yet, or has failed just before."""
        if known.failures:
            self._unanswered.pausing[question[0].key, question[1]] = question[0]
        else:
            self._answered = True
        return self._next(question, known)

    def _pointed(self, name: Name, found: CachedRRset) -> Sequence[Question]:
        """The instances of a service are known: ask for each of them."""
        if self._asked.instance is not None:  # only whether it is one of them was asked
            return ()
        names = instance_names(self._asked, found)
        self._cut = len(names) == MAX_INSTANCES
        return self._ask([(name, rdtype) for name in names for rdtype in ("SRV", "TXT")])

    def _offered(self, name: Name, found: CachedRRset) -> Sequence[Question]:
        """Who offers an instance is known: ask for the addresses that did not come along."""
        missing: list[Question] = []
        seen = self._targets_seen
        for srv in found.values:
            assert isinstance(srv, Srv)  # noqa: S101 (SRV records were asked for)
            target = srv.target
            if target.key not in seen:
                if len(seen) > MAX_ENDPOINTS:
                    break
                seen.add(target.key)
                missing += self._targets.lacking(target)
        if self._asked.instance is None and len(seen) == 1:
            return self._ask(self._plain())
        return self._ask(missing) if found.values else self._described(name, found)

    def _plain(self) -> Sequence[Question]:
        """No instance is offered, nor can be any more: plain SRV records may be (RFC 2782)."""
        if any(rdtype == "SRV" for _, rdtype in self.open):
            return ()
        return [(self._asked.name, "SRV"), (self._asked.name, "TXT")]

    def _described(self, name: Name, found: CachedRRset) -> Sequence[Question]:
        """An instance without SRV records may be listed by its service; TXT may be a wildcard's."""
        if self._asked.instance is None or self._unanswered.failed:
            return ()
        both = [self._found.get((name.key, rdtype)) for rdtype in ("SRV", "TXT")]
        if all(both) and not (both[0] and both[0].values):
            return self._ask([(self._asked.service.in_domain(self._asked.domain), "PTR")])
        return ()

    def _addressed(self, name: Name, found: CachedRRset) -> Sequence[Question]:
        """Where nothing is left of one family, the other one is not left alone any longer."""
        if found.values:
            self._targets.usable = True
            return ()
        return self._ask(self._targets.is_absent(name))

    def _unsigned(self, key: Key, now: float) -> CachedRRset:
        if key[1] in FAMILIES:
            # No caching without SOA (RFC 2308), but many packets agreed on it, and servers that
            # never send one would be asked as many again for each target at each refresh.
            return untold(self._known.get(key), now)
        return CachedRRset((), now + UNSIGNED_HELD, UNSIGNED_HELD)


_new = tuple.__new__  # a CachedRRset's own __new__ takes twice as long
_NEXT: dict[str, Callable[[Gathering, Name, CachedRRset], Sequence[Question]]] = {
    "PTR": Gathering._pointed,
    "SRV": Gathering._offered,
    "TXT": Gathering._described,
    "A": Gathering._addressed,
    "AAAA": Gathering._addressed,
}
