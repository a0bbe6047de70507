"""What was heard about a question, and what of it is believed; pure.

a value           at once; the values of several answers are united
none, with SOA    at once while calm; after trouble once `negatives` agree
none, no SOA      a fault (RFC 2308), unless 32 say so, nothing else comes, and nothing
                  was there before
a value missing   that was there before: once `answers` of them all lack it
"""

from dataclasses import dataclass

from dnssd.records import Rdata
from dnssd.wire.answers import Answer

UNSIGNED = 32  # negative answers without SOA that are believed if nothing else comes
FEW_UNSIGNED = 3  # the same, of servers that are known to send none


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

    def is_enough(self, answer: Answer) -> bool:
        """Whether the first answer can be believed where nothing has gone wrong."""
        if self.expected and self.answers > 1:
            return self.expected.issubset(answer.values)
        return bool(answer.values) or answer.signed


TRUSTING = Doubt()


class Evidence:
    """What was heard since something went wrong.

    Args:
        doubt: What it takes to believe in absence.

    Attributes:
        heard: How many answers came, and of them
        positive: those with values, the latest first,
        negatives: and how many were signed denials.
        unsigned: How many denials came without SOA record.
    """

    __slots__ = ("_doubt", "heard", "negatives", "positive", "unsigned")

    def __init__(self, doubt: Doubt) -> None:
        self._doubt = doubt
        self.heard = self.negatives = self.unsigned = 0
        self.positive: list[Answer] = []

    def take(self, answer: Answer) -> Answer | None:
        """Hear an answer with values or an SOA record; what is believed now, if anything."""
        self.heard += 1
        if answer.values:
            self.positive.insert(0, answer)
        else:
            self.negatives += 1
        if not self._is_believed():
            return None
        return self._union() if self.positive else answer

    def take_unsigned(self, answer: Answer, enough: int, *, alone: bool) -> Answer | None:
        """Hear a denial without SOA record: a fault, unless nothing else is ever said.

        Args:
            answer: The denial.
            enough: How many are believed then.
            alone: Whether nothing came that is no answer.
        """
        self.unsigned += 1
        if self.unsigned < enough or self.heard or self._doubt.expected:
            return None
        return answer if alone else None

    def at_last(self) -> Answer | None:
        """What is believed at the deadline: no more than takes nothing away."""
        if self.positive:
            union = self._union()
            kept = self._doubt.expected.difference(union.values)
            validated = union.validated and not kept
            return union._replace(values=(*union.values, *kept), validated=validated)
        return Answer((), 0) if self.negatives and not self._doubt.expected else None

    def _is_believed(self) -> bool:
        doubt = self._doubt
        if doubt.expected:
            seen = {value for one in self.positive for value in one.values}
            return self.heard >= doubt.answers or doubt.expected <= seen
        return bool(self.positive) or self.negatives >= doubt.negatives

    def _union(self) -> Answer:
        """All values that were heard of, those of the latest answer first."""
        latest = self.positive[0]
        if len(self.positive) == 1:
            return latest
        values = dict.fromkeys(value for answer in self.positive for value in answer.values)
        more = dict.fromkeys(record for answer in self.positive for record in answer.additional)
        ttl = min(answer.ttl for answer in self.positive)
        validated = all(answer.validated for answer in self.positive)
        return latest._replace(
            values=tuple(values), ttl=ttl, additional=tuple(more), validated=validated
        )
