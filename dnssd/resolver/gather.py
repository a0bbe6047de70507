"""Which questions a look-up asks, and what comes of their answers; pure.

    service     PTR -> SRV and TXT of every instance -> addresses that are still missing
    instance           SRV and TXT                   -> addresses that are still missing

A generator asks a batch of questions by yielding them, and gets what came of each. The
caller asks those of one batch side by side.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

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
NOTHING: Findings = {}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one question.

    Attributes:
        found: What it says.
        additional: Addresses that came with it.
    """

    found: Found
    additional: Findings


Replies = Sequence[Reply | Unavailable]
Steps = Generator[Sequence[Question], Replies, "Gathered"]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The outcome of a look-up.

    Attributes:
        found: All that is known now.
        failures: Questions that nobody answered, and that do not make all of it useless.
        cut: Whether there are more instances than are looked at.
        incomplete: Whether some target's other address family has not been asked for.
    """

    found: Findings
    failures: tuple[Unavailable, ...] = ()
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
        Unavailable: A question that it takes was not answered, and nothing is known.
    """
    work = _Work(known)
    names: tuple[Name, ...] = (asked.name,)
    if asked.instance is None:
        yield from work.ask([(asked.name, "PTR")])
        names = instance_names(asked, work.found[asked.name, "PTR"])
    yield from work.ask([(name, rdtype) for name in names for rdtype in ("SRV", "TXT")])
    if asked.instance is not None and not any(one.values for one in work.found.values()):
        yield from work.ask([(asked.service.in_domain(asked.domain), "PTR")])
    targets = _targets(work.found.values())
    work.found.update(work.additional_for(targets))
    if known:
        work.found.update(_known_absent(targets, known, now) | work.found)
    yield from work.ask_addresses(_missing(targets, work.found, at_all=not known))
    return Gathered(
        work.found,
        tuple(work.failures),
        cut=len(names) == MAX_INSTANCES,
        incomplete=any((t, family) not in work.found for t in targets for family in FAMILIES),
    )


class _Work:
    """What is found in the course of one look-up."""

    def __init__(self, known: Findings) -> None:
        self._known = known
        self._additional: dict[Question, Found] = {}
        self.found: dict[Question, Found] = {}
        self.failures: list[Unavailable] = []

    def ask(self, questions: Sequence[Question]) -> Generator[Sequence[Question], Replies, None]:
        """Ask questions that need an answer, now or earlier."""
        replies = yield questions
        for question, reply in zip(questions, replies, strict=True):
            if isinstance(reply, Reply):
                self.found[question] = reply.found
                self._additional.update(reply.additional)
            elif not self._known:
                raise reply
            else:
                self.failures.append(reply)
                self.found[question] = self._known.get(question) or Found((), 0.0)

    def additional_for(self, targets: Iterable[Name]) -> dict[Question, Found]:
        """The addresses of these targets that came unasked."""
        wanted = [(target, family) for target in targets for family in FAMILIES]
        return {key: self._additional[key] for key in wanted if key in self._additional}

    def ask_addresses(
        self, questions: Sequence[Question]
    ) -> Generator[Sequence[Question], Replies, None]:
        """Ask for addresses; that some cannot be had is no failure of the whole."""
        if not questions:
            return
        replies = yield questions
        failures = []
        for question, reply in zip(questions, replies, strict=True):
            if isinstance(reply, Reply):
                self.found[question] = reply.found
            else:
                failures.append(reply)
                if question in self._known:
                    self.found[question] = self._known[question]
        has_address = any(f.values for (_, rdtype), f in self.found.items() if rdtype in FAMILIES)
        if failures and not has_address:
            raise failures[0]
        self.failures += failures


def _targets(found: Iterable[Found]) -> list[Name]:
    """The targets of all SRV values, once each."""
    srvs = (value for one in found for value in one.values if isinstance(value, Srv))
    return list({srv.target: None for srv in srvs if srv.target.labels})[:MAX_ENDPOINTS]


def _known_absent(targets: Iterable[Name], known: Findings, now: float) -> dict[Question, Found]:
    """Address families that targets are known not to have, for a while yet."""
    keys = ((target, family) for target in targets for family in FAMILIES)
    held = ((key, known[key]) for key in keys if key in known)
    return {key: one for key, one in held if not one.values and one.expires_at > now}


def _missing(targets: Iterable[Name], found: Findings, *, at_all: bool) -> list[Question]:
    """The addresses to ask for: those of targets without any, or also the other family."""
    missing: list[Question] = []
    for target in targets:
        keys = [(target, family) for family in FAMILIES]
        unknown = [key for key in keys if key not in found]
        if not at_all or len(unknown) == len(keys):
            missing += unknown
    return missing
