"""What becomes of every answer that passes the fault proxy, and how often that was."""

import contextlib
import random
from collections import Counter
from typing import Any, NamedTuple

from kit.faultproxy.faults import DELAY, Fault, Plan, Transport, spoil
from kit.faultproxy.messages import (
    HEADER,
    NOERROR,
    MalformedPacket,
    bare,
    question_of,
    without_additional,
)

_UNUSED = random.Random(0)  # dice of what needs none


class Verdict(NamedTuple):
    """What becomes of an answer."""

    fault: Fault | None
    answer: bytes
    dice: random.Random

    @property
    def delay(self) -> float:
        """Seconds until it is sent."""
        return self.dice.uniform(*DELAY) if self.fault is Fault.DELAY else 0.0


class Judge:
    """Decides about every answer, and counts.

    Attributes:
        counts: By transport and what is counted: `queries`, `answers`, `right`, faults.
        plan: What is to happen.
    """

    def __init__(self, plan: Plan, soa: bytes = b"") -> None:
        self.plan = plan
        self.counts: dict[Transport, Counter[str]] = {"udp": Counter(), "tcp": Counter()}
        self._soa = soa
        self._before: Counter[tuple[Transport, bytes]] = Counter()
        self._questions: set[bytes] = set()

    def ask(self, transport: Transport, query: bytes) -> None:
        """Count a query."""
        self.counts[transport]["queries"] += 1
        self._questions.add(question_of(query))

    def decide(self, transport: Transport, answer: bytes) -> Verdict:
        """What becomes of an answer; counted."""
        plan, counts = self.plan, self.counts[transport]
        question = question_of(answer)
        before = self._before[transport, question]
        self._before[transport, question] += 1
        counts["answers"] += 1
        whole = self._whole(transport, answer)
        fate = plan.draw(transport, question, before) if len(answer) >= HEADER else None
        if fate is None:
            counts["right"] += 1
            return Verdict(None, whole, _UNUSED)
        counts[fate.fault] += 1
        return Verdict(fate.fault, spoil(fate, whole, self._soa), fate.dice)

    def report(self) -> dict[str, Any]:
        """All counts; `questions` are different names and types."""
        udp, tcp = self.counts["udp"], self.counts["tcp"]
        return {"questions": len(self._questions), "udp": udp, "tcp": tcp}

    def _whole(self, transport: Transport, answer: bytes) -> bytes:
        """An answer as a server of that plan would give it."""
        if transport == "udp" and not self.plan.udp:
            with contextlib.suppress(MalformedPacket):
                return bare(answer, NOERROR, truncated=True)
        return answer if self.plan.additional else without_additional(answer)
