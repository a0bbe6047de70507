"""Which answers the fault proxy breaks, and how: a pure function of a plan and of the answer.

Every answer is broken with one probability, and the fault is drawn evenly from those that the
plan allows and that fit the transport. The draw depends on the plan's seed, the transport, the
question and how many answers to that question came before, so that it does not matter how the
answers to different questions are interleaved.
"""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self

from kit.faultproxy.messages import (
    HEADER,
    NOERROR,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    MalformedPacket,
    bare,
    question_end,
    thinned,
    truncated,
)

Transport = Literal["udp", "tcp"]
DELAY = (0.1, 1.0)  # seconds, from and to


class Fault(StrEnum):
    """What happens to an answer."""

    DROP = "drop"
    DELAY = "delay"
    GARBAGE = "garbage"
    WRONG_ID = "wrong ID"
    WRONG_QUESTION = "wrong question"
    CUT = "cut short"
    SERVFAIL = "SERVFAIL"
    REFUSED = "REFUSED"
    FALSE_TC = "false TC"
    RESET = "TCP reset"
    STALL = "TCP stall"
    WRONG_LENGTH = "TCP wrong length"
    BARE_NXDOMAIN = "NXDOMAIN without SOA"
    BARE_EMPTY = "empty without SOA"
    FALSE_NXDOMAIN = "NXDOMAIN with SOA"
    PARTIAL = "partial set"

    def fits(self, transport: Transport) -> bool:
        """Whether it can happen to an answer that travels so."""
        if self is Fault.FALSE_TC:
            return transport == "udp"
        return transport == "tcp" or self not in TCP_ONLY


TCP_ONLY = (Fault.RESET, Fault.STALL, Fault.WRONG_LENGTH)
LIES = (Fault.FALSE_NXDOMAIN, Fault.PARTIAL)  # one such answer cannot be told from the truth
HONEST = tuple(fault for fault in Fault if fault not in LIES)


class Fate(NamedTuple):
    """A fault, and dice for its details."""

    fault: Fault
    dice: random.Random


@dataclass(frozen=True, slots=True)
class Plan:
    """What a proxy does to answers.

    Attributes:
        share: The probability that an answer is broken.
        faults: What may happen to it; those that fit no transport are passed over.
        seed: Another one, other draws.
        additional: Whether answers keep their additional section; OPT always stays.
        udp: Whether UDP carries answers: if not, each is empty with TC, which is no fault.
    """

    share: float = 0.7
    faults: tuple[Fault, ...] = HONEST
    seed: int = 0
    additional: bool = True
    udp: bool = True

    @classmethod
    def from_json(cls, words: dict[str, Any]) -> Self:
        """The plan whose attributes these are, with faults by value."""
        return cls(**words | {"faults": tuple(map(Fault, words["faults"]))})

    def draw(self, transport: Transport, question: bytes, before: int) -> Fate | None:
        """What is to happen to an answer, None for nothing.

        Args:
            transport: How it travels.
            question: What it answers.
            before: How many answers to it have come this way before.
        """
        dice = random.Random(b"%d/%b/%d/%b" % (self.seed, transport.encode(), before, question))
        faults = _fitting(self.faults, transport)
        if not faults or dice.random() >= self.share:
            return None
        return Fate(dice.choice(faults), dice)


def spoil(fate: Fate, answer: bytes, soa: bytes) -> bytes:
    """What is sent in place of an answer; the answer itself if its fault is one of transport.

    Args:
        fate: Its fault.
        answer: A response; one that is malformed stays as it is.
        soa: The zone's SOA record, uncompressed, for lies.
    """
    spoiler = _SPOILERS.get(fate.fault)
    if spoiler is None or len(answer) < HEADER:
        return answer
    try:
        return spoiler(answer, fate.dice, soa)
    except MalformedPacket:
        return answer


def wrong_length(size: int, dice: random.Random) -> int:
    """A length that TCP could announce for a message, but not the right one; in octets."""
    if dice.random() < 0.5:
        return dice.randrange(size)
    return min(65535, size + dice.randint(1, 1000))


@lru_cache
def _fitting(faults: tuple[Fault, ...], transport: Transport) -> tuple[Fault, ...]:
    return tuple(fault for fault in faults if fault.fits(transport))


def _garbage(answer: bytes, dice: random.Random, soa: bytes) -> bytes:
    """Random octets, behind the right ID as often as not."""
    noise = dice.randbytes(dice.randint(1, max(HEADER, len(answer))))
    return answer[:2] + noise if dice.random() < 0.5 else noise


def _wrong_id(answer: bytes, dice: random.Random, soa: bytes) -> bytes:
    other = int.from_bytes(answer[:2]) ^ dice.randint(1, 65535)
    return other.to_bytes(2) + answer[2:]


def _wrong_question(answer: bytes, dice: random.Random, soa: bytes) -> bytes:
    """Another name, or another type."""
    end = question_end(answer)
    if end == HEADER:
        raise MalformedPacket("no question")
    if answer[HEADER] and dice.random() < 0.5:
        first = chr(answer[HEADER + 1]).lower()
        other = dice.choice(string.ascii_lowercase.replace(first, "")).encode()
        return answer[: HEADER + 1] + other + answer[HEADER + 2 :]
    other_type = answer[end - 3] ^ dice.randint(1, 255)
    return answer[: end - 3] + bytes([other_type]) + answer[end - 2 :]


def _cut(answer: bytes, dice: random.Random, soa: bytes) -> bytes:
    return answer[: dice.randrange(1, len(answer))]


def _false_tc(answer: bytes, dice: random.Random, soa: bytes) -> bytes:
    """Truncated, as servers do it: empty, or with records."""
    if dice.random() < 0.5:
        return bare(answer, NOERROR, truncated=True)
    return truncated(answer)


_SPOILERS: dict[Fault, Callable[[bytes, random.Random, bytes], bytes]] = {
    Fault.GARBAGE: _garbage,
    Fault.WRONG_ID: _wrong_id,
    Fault.WRONG_QUESTION: _wrong_question,
    Fault.CUT: _cut,
    Fault.SERVFAIL: lambda answer, dice, soa: bare(answer, SERVFAIL),
    Fault.REFUSED: lambda answer, dice, soa: bare(answer, REFUSED),
    Fault.FALSE_TC: _false_tc,
    Fault.BARE_NXDOMAIN: lambda answer, dice, soa: bare(answer, NXDOMAIN),
    Fault.BARE_EMPTY: lambda answer, dice, soa: bare(answer, NOERROR),
    Fault.FALSE_NXDOMAIN: lambda answer, dice, soa: bare(answer, NXDOMAIN, soa=soa),
    Fault.PARTIAL: thinned,
}
