"""Which questions a look-up asks, and what comes of their answers; pure.

    service     PTR -> SRV and TXT of every instance -> addresses that are still missing
    instance           SRV and TXT                   -> addresses that are still missing

Each answer leads on by itself: what one instance lacks keeps no other waiting. What is known
already stands in for what nobody answers; without endpoints, TXT data alone are of no use,
and endpoints are of use without them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Address, Srv
from dnssd.resolver.snapshot import (
    MAX_ENDPOINTS,
    MAX_INSTANCES,
    NOTHING,
    CachedRRset,
    Key,
    Known,
    instance_names,
)
from dnssd.services import ServiceName
from dnssd.wire.answers import Answer
from dnssd.wire.message import Record

FAMILIES = ("A", "AAAA")
LEFT_ALONE = 300.0  # seconds that a family which no server tells of properly is not asked for
UNSIGNED_HELD = 5.0  # seconds that an absence without SOA record is remembered
PASSING = 10.0  # seconds; what lasts longer is no passing trouble

Question = tuple[Name, str]  # a name and a type


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The outcome of a look-up.

    Attributes:
        found: All that is known now.
        failures: Questions that nobody answered, and that do not make all of it useless.
        in_part: Whether something was not answered that was known before, or belongs to it.
        cut: Whether there are more instances than are looked at.
        incomplete: Whether one address family of some target has not been asked for.
        missing: What could not be had, and was not known before.
    """

    found: Known
    failures: tuple[Unavailable, ...] = ()
    in_part: bool = False
    cut: bool = False
    incomplete: bool = False
    missing: tuple[Question, ...] = ()


class Gathering:
    """What a look-up has still to ask, and what it has found.

    Args:
        asked: What is looked up.
        known: What was found before: where a question fails this time, that still counts,
            and both address families are asked for.
        now: Monotonic clock reading, in seconds; addresses in `known` hold until they expire.

    Attributes:
        open: What was asked and is not answered yet.
        usable: Whether some endpoint has an address.
    """

    __slots__ = (
        "_additional",
        "_answered",
        "_asked",
        "_cut",
        "_failed",
        "_found",
        "_incomplete",
        "_known",
        "_left_alone",
        "_now",
        "_stalled",
        "_targets",
        "open",
        "usable",
    )

    def __init__(self, asked: ServiceName, known: Known = NOTHING, now: float = 0.0) -> None:
        self._asked = asked
        self._known = known
        self._now = now
        self._found: dict[Key, CachedRRset] = {}
        self._additional: dict[Key, CachedRRset] = {}
        self._failed: dict[Key, tuple[Name, Unavailable]] = {}
        self._left_alone: dict[Key, Name] = {}
        self._targets: dict[bytes, Name] = {}
        self._answered = False
        self._stalled: list[tuple[Question, CachedRRset]] = []
        self._cut = self._incomplete = False
        self.open: dict[Key, Name] = {}
        self.usable = False

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
        srvs = (value for one in self._known.values() for value in one.values)
        targets = {srv.target.key: srv.target for srv in srvs if isinstance(srv, Srv)}
        targets.pop(_ROOT, None)
        unasked = [
            (name, rdtype)
            for key, name in targets.items()
            for rdtype in FAMILIES
            if (key, rdtype) not in self._found
        ]
        return self._ask(unasked)

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
            return self._take_failure(question, answer, now)
        if answer.additional:
            self._add(answer.additional, now)
        self._answered = True
        if answer.signed:
            found = _new(CachedRRset, (answer.values, now + answer.ttl, answer.ttl))
        else:
            found = self._unsigned(key, answer, now)
        self._found[key] = found
        if self._stalled:
            stalled, self._stalled = self._stalled, []
            return [more for one in ((question, found), *stalled) for more in self._next(*one)]
        return _NEXT[rdtype](self, name, found)

    def _take_failure(
        self, question: Question, error: Unavailable, now: float
    ) -> Sequence[Question]:
        """What was known stands in, and leads on, once anything at all is answered."""
        name, rdtype = question
        key = name.key, rdtype
        self._failed[key] = name, error
        if rdtype in FAMILIES:
            return ()
        known = self._known.get(key)
        if known and not self._answered:
            self._stalled.append((question, known))
            return ()
        return self._next(question, known or CachedRRset((), now))

    def _next(self, question: Question, found: CachedRRset) -> Sequence[Question]:
        self._found[question[0].key, question[1]] = found
        return _NEXT[question[1]](self, question[0], found)

    def result(self) -> LookupResult:
        """What has come of it so far, whether or not everything is answered.

        Raises:
            Unavailable: Nothing was answered; or no endpoint has an address, and some question
                about one was not answered.
        """
        if not (self._failed or self.open):
            return LookupResult(self._found, cut=self._cut, incomplete=self._incomplete)
        stood_in = [key for key in self._failed if self._do_without(key)]
        failures = tuple([error for _, error in self._failed.values()])
        if failures and not self._answered:
            raise failures[0]
        asked = [error for (_, rdtype), (_, error) in self._failed.items() if rdtype in FAMILIES]
        if asked and not self._has_address():
            raise asked[0]
        missing = tuple(self._missing())
        return LookupResult(
            self._found,
            failures,
            in_part=bool(stood_in or missing),
            cut=self._cut,
            incomplete=self._incomplete or any(rdtype in FAMILIES for _, rdtype in self.open),
            missing=missing,
        )

    def hasten(self) -> Sequence[Question]:
        """Time has passed: what to ask besides, where nobody tells the instances of a service."""
        name = self._asked.name
        if (name.key, "PTR") not in self.open or self._asked.instance is not None:
            return ()
        return self._ask([(name, "SRV"), (name, "TXT")])

    def _ask(self, questions: Sequence[Question]) -> Sequence[Question]:
        """Note what is asked, each once."""
        new = []
        for name, rdtype in questions:
            key = name.key, rdtype
            if key not in self.open and key not in self._found:
                self.open[key] = name
                new.append((name, rdtype))
        return new

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
        for srv in found.values:
            assert isinstance(srv, Srv)  # noqa: S101 (SRV records were asked for)
            target = srv.target
            if target.key not in self._targets and target.key != _ROOT:
                if len(self._targets) >= MAX_ENDPOINTS:
                    break
                self._targets[target.key] = target
                missing += self._lacking(target)
        if self._asked.instance is None and not self._targets:
            return self._ask(self._plain())
        return self._ask(missing) if found.values else self._described(name, found)

    def _plain(self) -> Sequence[Question]:
        """No instance is offered, nor can be any more: plain SRV records may be (RFC 2782)."""
        if any(rdtype == "SRV" for _, rdtype in self.open):
            return ()
        return [(self._asked.name, "SRV"), (self._asked.name, "TXT")]

    def _described(self, name: Name, found: CachedRRset) -> Sequence[Question]:
        """An instance that has neither SRV nor TXT records may be listed by its service."""
        if self._asked.instance is None or self._failed:
            return ()
        both = (self._found.get((name.key, rdtype)) for rdtype in ("SRV", "TXT"))
        if all(one is not None and not one.values for one in both):
            return self._ask([(self._asked.service.in_domain(self._asked.domain), "PTR")])
        return ()

    def _addressed(self, name: Name, found: CachedRRset) -> Sequence[Question]:
        """Where nothing is left of one family, the other one is not left alone any longer."""
        if found.values:
            self.usable = True
            return ()
        lost = [(name, family) for family in FAMILIES if (name.key, family) in self._left_alone]
        for _, family in lost:
            del self._left_alone[name.key, family], self._found[name.key, family]
        return self._ask(lost)

    def _add(self, records: Iterable[Record], now: float) -> None:
        """Take note of addresses that came along; one TTL for an RRset, the smallest."""
        more: dict[Key, list[Record]] = {}
        for record in records:
            name, rdtype, ttl, address = record
            key = name.key, rdtype
            if key in self._additional:
                more.setdefault(key, []).append(record)
            elif isinstance(address, Address):
                self._additional[key] = _new(CachedRRset, ((address,), now + ttl, ttl))
        for key, others in more.items():
            known = self._additional[key]
            least = min(known.ttl, *[record.ttl for record in others])
            addresses = [one.data for one in others if isinstance(one.data, Address)]
            values = tuple(dict.fromkeys((*known.values, *addresses)))
            self._additional[key] = CachedRRset(values, now + least, least)

    def _unsigned(self, key: Key, answer: Answer, now: float) -> CachedRRset:
        if key[1] in FAMILIES:
            # No caching without SOA (RFC 2308), but many packets agreed on it, and servers that
            # never send one would be asked as many again for each target at each refresh.
            return untold(self._known.get(key), now)
        return CachedRRset((), now + UNSIGNED_HELD, UNSIGNED_HELD)

    def _lacking(self, target: Name) -> Sequence[Question]:
        """The addresses of a target that are to be asked for.

        At first a target with any address is complete; later its other family is asked for
        too, unless it is known to have none. What came along, but lacks something that was
        known, is asked for like everything that is doubted.
        """
        unknown = []
        for family in FAMILIES:
            key = target.key, family
            came, known = self._additional.get(key), self._known.get(key)
            if came and (known is None or set(known.values) <= set(came.values)):
                self._found[key] = came
                self.usable = True
            else:
                unknown.append((target, family))
        if not self._known:
            if len(unknown) < len(FAMILIES):
                self._incomplete = self._incomplete or bool(unknown)
                return ()
            return unknown
        return self._without_absent(target, unknown)

    def _without_absent(self, target: Name, questions: list[Question]) -> Sequence[Question]:
        """Without what the target is known not to have, for a while yet.

        Whatever has no address at all is asked about again: a lie may have taken it.
        """
        keys = [(target.key, family) for family in FAMILIES]
        held = {key: known for key in keys if (known := self._known.get(key))}
        if not any(known.values for known in held.values()):
            return questions
        for key, known in held.items():
            question = target, key[1]
            if not known.values and known.expires_at > self._now and question in questions:
                self._found[key] = known
                self._left_alone[key] = target
                questions.remove(question)
        return questions

    def _do_without(self, key: Key) -> bool:
        """Nobody has answered this: whether what was known stands in.

        Some servers never answer for a family that they have no addresses of (RFC 4074). Where
        the other one is there, and was so before, that is not waited for at every refresh.
        """
        known, other = self._known.get(key), _other(key)
        if key[1] in FAMILIES:
            is_told = other in self._found and other not in self._failed
            is_there = other in self._known and is_told and self._found[other].values
            if is_there and not (known and known.values):
                self._found[key] = untold(known, self._now)
                return False
        if known:
            self._found[key] = known
        return known is not None

    def _has_address(self) -> bool:
        return any(one.values for (_, rdtype), one in self._found.items() if rdtype in FAMILIES)

    def _missing(self) -> Iterable[Question]:
        """What was not answered and was not known before."""
        unanswered = {key: name for key, (name, _) in self._failed.items()}
        for key, name in (unanswered | self.open).items():
            if key[1] not in FAMILIES:
                if key not in self._known:
                    yield name, key[1]
            elif key not in self._found and not self._found.get(_other(key), _ABSENT).values:
                yield name, key[1]


def _other(key: Key) -> Key:
    """The other address family of the same target."""
    return key[0], FAMILIES[key[1] == "A"]


def untold(known: CachedRRset | None, now: float) -> CachedRRset:
    """What to believe of a family of which no server tells properly: there is none, for a while.

    At first for no time at all, so that the next refresh asks again: it may be trouble that
    passes, and a client may have no way to the other family.

    Args:
        known: What was known of it before.
        now: Monotonic clock reading, in seconds.
    """
    if known is None or known.values:
        return CachedRRset((), now)
    if now - known.expires_at < PASSING:
        return known
    return CachedRRset((), now + LEFT_ALONE)


def is_untold(found: Known, now: float) -> bool:
    """Whether of some family it is only known that no server has told of it, once."""
    absent = [key for key, one in found.items() if not one.values and one.expires_at <= now]
    return any(rdtype in FAMILIES for _, rdtype in absent)


_new = tuple.__new__  # a CachedRRset's own __new__ takes twice as long
_ROOT = Name(()).key
_ABSENT = CachedRRset((), 0.0)
_NEXT: dict[str, Callable[[Gathering, Name, CachedRRset], Sequence[Question]]] = {
    "PTR": Gathering._pointed,
    "SRV": Gathering._offered,
    "TXT": Gathering._described,
    "A": Gathering._addressed,
    "AAAA": Gathering._addressed,
}
