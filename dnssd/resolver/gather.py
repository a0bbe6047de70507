"""Which questions a look-up asks, and what comes of their answers; pure.

    service     PTR -> SRV and TXT of every instance -> addresses that are still missing
    instance           SRV and TXT                   -> addresses that are still missing

A generator asks a batch of questions by yielding them, and gets what came of each. The
caller asks those of one batch side by side.
"""

from collections.abc import Container, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Srv
from dnssd.resolver.snapshot import (
    MAX_ENDPOINTS,
    MAX_INSTANCES,
    Findings,
    Found,
    Question,
    instance_names,
)
from dnssd.services import ServiceName

FAMILIES = ("A", "AAAA")
LEFT_ALONE = 300.0  # seconds that a family which no server tells of properly is not asked for
PASSING = 10.0  # seconds; what lasts longer is no passing trouble
NOTHING: Findings = {}


class Reply(NamedTuple):
    """What came of one question.

    Attributes:
        found: What it says.
        additional: Addresses that came with it.
    """

    found: Found
    additional: Findings


Replies = Sequence[Reply | Unavailable | None]  # None for what is not waited for any more
Steps = Generator[Sequence[Question], Replies, "Gathered"]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The outcome of a look-up.

    Attributes:
        found: All that is known now.
        failures: Questions that nobody answered, and that do not make all of it useless.
        in_part: Whether something known before had to stand in for an answer.
        cut: Whether there are more instances than are looked at.
        incomplete: Whether one address family of some target has not been asked for.
    """

    found: Findings
    failures: tuple[Unavailable, ...] = ()
    in_part: bool = False
    cut: bool = False
    incomplete: bool = False


def gather(asked: ServiceName, known: Findings = NOTHING, now: float = 0.0) -> Steps:
    """Find out about a service or an instance.

    Args:
        asked: What is looked up.
        known: What was found before: where a question fails this time, that still counts,
            and both address families are asked for.
        now: Monotonic clock reading, in seconds; addresses in `known` hold until they expire.

    Raises:
        Unavailable: A question that it takes was not answered, and nothing is known; or
            nothing was answered at all.
    """
    work = _Work(known, now)
    names: tuple[Name, ...] = (asked.name,)
    if asked.instance is None:
        yield from work.ask([(asked.name, "PTR")])
        names = instance_names(asked, work.found[asked.name, "PTR"])
    yield from work.ask([(name, rdtype) for name in names for rdtype in ("SRV", "TXT")])
    if asked.instance is not None and not any(one.values for one in work.found.values()):
        yield from work.ask([(asked.service.in_domain(asked.domain), "PTR")])
    targets = _targets(work.found.values())
    yield from work.ask_addresses(work.missing(targets))
    yield from work.ask_addresses(work.lost())
    return Gathered(
        work.found,
        tuple(work.failures),
        in_part=work.in_part,
        cut=len(names) == MAX_INSTANCES,
        incomplete=work.incomplete,
    )


def complete(known: Findings, now: float = 0.0) -> Steps:
    """Ask for what `gather` left out at first: the other address families of targets.

    The arguments are those of `gather`.

    Raises:
        Unavailable: No address is known and none can be had.
    """
    work = _Work(known, now)
    work.found.update(known)
    yield from work.ask_addresses(_unasked(known))
    return Gathered(work.found, tuple(work.failures))


class _Work:
    """What is found in the course of one look-up."""

    def __init__(self, known: Findings, now: float) -> None:
        self._known = known
        self._now = now
        self._additional: dict[Question, Found] = {}
        self.found: dict[Question, Found] = {}
        self.failures: list[Unavailable] = []
        self.in_part = False
        self.incomplete = False
        self._left_alone: list[Question] = []

    def ask(self, questions: Sequence[Question]) -> Generator[Sequence[Question], Replies, None]:
        """Ask questions that need an answer, now or earlier."""
        replies = yield questions
        failures = [reply for reply in replies if isinstance(reply, Unavailable)]
        nothing_came = not self.found and len(failures) == len(replies)
        if failures and (nothing_came or not self._known):
            raise failures[0]
        self.failures += failures
        for question, reply in zip(questions, replies, strict=True):
            if isinstance(reply, Reply):
                self.found[question] = reply.found
                self._additional.update(reply.additional)
            else:
                self.found[question] = self._known.get(question) or Found((), 0.0)
                self.in_part = True

    def missing(self, targets: Iterable[Name]) -> list[Question]:
        """Take in the addresses that came unasked; those that are to be asked for.

        At first a target with any address is complete; later its other family is asked for
        too, unless it is known to have none.
        """
        missing: list[Question] = []
        for target in targets:
            unknown = []
            for key in ((target, "A"), (target, "AAAA")):
                if came := self._additional.get(key):
                    self.found[key] = came
                else:
                    unknown.append(key)
            if self._known:
                missing += self._unknown(target, unknown)
            elif len(unknown) == len(FAMILIES):
                missing += unknown
            else:
                self.incomplete = self.incomplete or bool(unknown)
        return missing

    def _unknown(self, target: Name, keys: list[Question]) -> list[Question]:
        """Without what the target is known not to have, for a while yet.

        Whatever has no address at all is asked about again: a lie may have taken it.
        """
        held = {(target, f): one for f in FAMILIES if (one := self._known.get((target, f)))}
        if any(one.values for one in held.values()):
            for key in tuple(keys):
                if key in held and not held[key].values and held[key].expires_at > self._now:
                    self.found[key] = held[key]
                    self._left_alone.append(key)
                    keys.remove(key)
        return keys

    def lost(self) -> list[Question]:
        """What was left alone for the sake of the other family, of which nothing is left."""
        return [key for key in self._left_alone if not self.found[_other(key)].values]

    def ask_addresses(
        self, questions: Sequence[Question]
    ) -> Generator[Sequence[Question], Replies, None]:
        """Ask for addresses; that some cannot be had is no failure of the whole."""
        if not questions:
            return
        replies = yield questions
        failures: dict[Question, Unavailable] = {}
        for question, reply in zip(questions, replies, strict=True):
            if isinstance(reply, Reply):
                self.found[question] = reply.found
            elif reply is None:
                self.incomplete = True
            else:
                failures[question] = reply
        for question in failures:
            self._do_without(question, asked_in_vain=failures)
        has_address = any(f.values for (_, rdtype), f in self.found.items() if rdtype in FAMILIES)
        if failures and not has_address:
            raise next(iter(failures.values()))
        self.failures += failures.values()

    def _do_without(self, question: Question, asked_in_vain: Container[Question]) -> None:
        """Nobody has told one family of a target's addresses: what was known stands in.

        Some servers never answer for a family that they have no addresses of (RFC 4074). Where
        the other one is there, and was so before, that is not waited for at every refresh.
        """
        known = self._known.get(question)
        other = _other(question)
        is_told = other in self.found and other not in asked_in_vain
        is_there = other in self._known and is_told and self.found[other].values
        if is_there and not (known and known.values):
            self.found[question] = untold(known, self._now)
        elif known:
            self.found[question] = known
            self.in_part = True


def _other(question: Question) -> Question:
    """The other address family of the same target."""
    target, rdtype = question
    return target, FAMILIES[rdtype == "A"]


def untold(known: Found | None, now: float) -> Found:
    """What to believe of a family of which no server tells properly: there is none, for a while.

    At first for no time at all, so that the next refresh asks again: it may be trouble that
    passes, and a client may have no way to the other family.

    Args:
        known: What was known of it before.
        now: Monotonic clock reading, in seconds.
    """
    if known is None or known.values:
        return Found((), now)
    if now - known.expires_at < PASSING:
        return known
    return Found((), now + LEFT_ALONE)


def is_untold(found: Findings, now: float) -> bool:
    """Whether of some family it is only known that no server has told of it, once."""
    families = (one for (_, rdtype), one in found.items() if rdtype in FAMILIES)
    return any(one.expires_at <= now and not one.values for one in families)


def _unasked(found: Findings) -> list[Question]:
    keys = ((target, family) for target in _targets(found.values()) for family in FAMILIES)
    return [key for key in keys if key not in found]


def _targets(found: Iterable[Found]) -> list[Name]:
    """The targets of all SRV values, once each."""
    srvs = (value for one in found for value in one.values if isinstance(value, Srv))
    return list({srv.target: None for srv in srvs if srv.target.labels})[:MAX_ENDPOINTS]
