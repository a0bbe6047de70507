"""Questions on their way, and as packets (RFC 1035 section 4.1)."""

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import MAX_TTL
from dnssd.wire.answers import Answer
from dnssd.wire.belief import TRUSTING, Doubt
from dnssd.wire.message import NUMBERS
from dnssd.wire.resolution import Resolution

if TYPE_CHECKING:
    from dnssd.wire.connections import Connection
    from dnssd.wire.server import Server

PAYLOAD = 1232  # octets: what UDP carries everywhere without fragments
HEADER = 12  # octets
MAX_ALIASES = 8  # answers that are nothing but an alias, one after the other
NEVER = float("inf")

_CLASS_IN = 1
_FLAGS = 0x0120  # recursion is desired, and AD is understood (RFC 6840 section 5.7)
_HEAD = struct.pack("!HHHHH", _FLAGS, 1, 0, 0, 1)
_HEAD_ALONE = struct.pack("!HHHHH", _FLAGS, 1, 0, 0, 0)
_NONE, _ONE = b"\0\0", b"\0\1"
_OPT = struct.pack("!BHHIH", 0, 41, PAYLOAD, 0, 0)  # root, OPT, nothing else (RFC 6891)
_ENDS = {rdtype: struct.pack("!HH", number, _CLASS_IN) for rdtype, number in NUMBERS.items()}

Done = Callable[[Answer | Unavailable], object]


class Query:
    """One question and what has been sent for it.

    Attributes:
        name: Whom it is about now.
        asked: Whom it was about at first.
        aliases: How many lie between them.
        ttl: Seconds that those hold.
        rdtype: PTR, SRV, TXT, A, AAAA or SOA.
        deadline: When to give up.
        done: Gets the answer.
        doubt: What it takes to believe in absence.
        question: As it goes into packets.
        held: What it failed with not long ago, if that is its answer.
        resolution: Decides what is sent and believed, once `started`.
        sent: The connections it was sent by, the query IDs there, and when it was.
        due_at: The earliest time at which somebody comes back to it.
        packet: What is sent behind the ID.
    """

    __slots__ = (
        "_copies",
        "aliases",
        "asked",
        "deadline",
        "done",
        "doubt",
        "due_at",
        "finished",
        "held",
        "name",
        "packet",
        "question",
        "rdtype",
        "resolution",
        "sent",
        "started",
        "ttl",
    )
    resolution: Resolution

    def __init__(
        self, name: Name, rdtype: str, deadline: float, done: Done, doubt: Doubt = TRUSTING
    ) -> None:
        self.name = self.asked = name
        self.rdtype = rdtype
        self.deadline = deadline
        self.done = done
        self.doubt = doubt
        self.question = name.octets + _ENDS[rdtype]
        self.packet = _HEAD + self.question + _OPT
        self.sent: list[tuple[Connection, int, float]] = []
        self.due_at = NEVER
        self.held: Unavailable | None = None
        self.ttl = MAX_TTL
        self.aliases = self._copies = 0
        self.started = self.finished = False

    def result(self, answer: Answer) -> "Answer | Unavailable | Query":
        """What its answer comes to: another question, if that is an alias."""
        ttl = min(answer.ttl, self.ttl)
        if answer.alias is None:
            if self.aliases:
                answer = answer._replace(ttl=ttl, via=answer.via or self.name, validated=False)
            return answer
        if self.aliases == MAX_ALIASES:
            why = f"{MAX_ALIASES} aliases (CNAME) in a row, the last to {answer.alias}"
            what = f"{self.asked}: {why}; have its zone corrected"
            return Unavailable(what, name=str(self.asked))
        onward = Query(answer.alias, self.rdtype, self.deadline, self.done, self.doubt)
        onward.asked, onward.ttl, onward.aliases = self.asked, ttl, self.aliases + 1
        return onward

    def copy(self) -> bytes:
        """The packet when it is sent once more, in another case.

        Servers repeat the question as it was put. So it can be told which packet an answer
        is for, and how long it took (Karn's algorithm). Where nothing but silence has come,
        every other copy has no OPT record: some paths drop packets that have one.
        """
        self._copies += 1
        question = self.question.swapcase()
        if self._copies % 2 == 0 and not self.resolution.disturbed:
            return _HEAD_ALONE + question
        return self.packet.replace(self.question, question, 1)

    def without_edns(self) -> None:
        """Send no OPT record from now on."""
        self.packet = _HEAD_ALONE + self.question

    def unanswered(self, servers: "Sequence[Server]") -> Unavailable:
        """What to say where none of `servers` has given an answer."""
        failed = self.resolution.failures if self.started else {}
        failures = {str(servers[at].address): why for at, why in failed.items()}
        told = ", ".join(f"{server} {why}" for server, why in failures.items())
        return Unavailable(
            f"{self.asked} {self.rdtype}: {told or 'no time left'}; "
            "check the network, or give another --nameserver",
            name=str(self.asked),
            server=", ".join(failures) or None,
        )

    def is_answered_by(self, data: bytes) -> bool:
        """Whether a packet may answer it: it repeats the question, in whatever case.

        One that repeats none cannot be believed, but tells of an error: that is how some
        servers refuse what they do not understand.
        """
        return answers_question(data, self.question) or (data[2] >= 0x80 and data[4:6] == _NONE)


def question(name: Name, rdtype: str) -> bytes:
    """A question section of one question; the case of its name is kept.

    Args:
        name: The owner.
        rdtype: One of `message.NUMBERS`.
    """
    return name.octets + _ENDS[rdtype]


def query(id: int, question: bytes, *, edns: bool = True) -> bytes:
    """A packet that asks for recursion too, which authoritative servers pass over.

    Args:
        id: 0 to 65535.
        question: As `question` makes it.
        edns: Whether to say that answers of `PAYLOAD` octets are welcome (RFC 6891).
    """
    packet = _HEAD + question + _OPT if edns else _HEAD_ALONE + question
    return id.to_bytes(2, "big") + packet


def carries_edns(data: bytes) -> bool:
    """Whether a packet seems to have an OPT record."""
    return data.find(_OPT[:3], HEADER) >= 0


def answers_question(data: bytes, question: bytes) -> bool:
    """Whether a packet is a response that repeats a question, in whatever case.

    Looks at no more than that: the rest of the packet may be anything.
    """
    # Lower case is for the letters of labels. Lengths are below 64, and so are the types that
    # are asked for: none of those octets is a letter.
    return (
        data[4:6] == _ONE
        and data[2] >= 0x80
        and data[HEADER : HEADER + len(question)].lower() == question.lower()
    )
