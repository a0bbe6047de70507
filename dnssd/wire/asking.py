"""One question, from where it is asked to where its aliases lead."""

from collections.abc import Callable

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import MAX_TTL
from dnssd.wire.answers import Answer
from dnssd.wire.inquiry import Doubt, Inquiry
from dnssd.wire.ports import Port
from dnssd.wire.query import question

NEVER = float("inf")

Done = Callable[[Answer | Unavailable], object]


class Asking:
    """One question and what has been sent for it.

    Attributes:
        name: Whom it is about now.
        asked: Whom it was about at first.
        aliases: How many lie between them.
        ttl: Seconds that those hold.
        deadline: When to give up.
        done: Gets the answer.
        doubt: What it takes to believe in absence.
        question: As it goes into packets.
        inquiry: Decides what is sent and believed, once `started`.
        sent: The ports it was sent by, and the query IDs there.
        due_at: The earliest time at which somebody comes back to it.
        edns: Whether to send OPT records.
    """

    __slots__ = (
        "aliases",
        "asked",
        "deadline",
        "done",
        "doubt",
        "due_at",
        "edns",
        "finished",
        "inquiry",
        "name",
        "question",
        "rdtype",
        "sent",
        "started",
        "ttl",
    )
    inquiry: Inquiry

    def __init__(self, name: Name, rdtype: str, deadline: float, done: Done, doubt: Doubt) -> None:
        self.name = self.asked = name
        self.rdtype = rdtype
        self.deadline = deadline
        self.done = done
        self.doubt = doubt
        self.question = question(name, rdtype)
        self.sent: list[tuple[Port, int]] = []
        self.due_at = NEVER
        self.ttl = MAX_TTL
        self.aliases = 0
        self.edns = True
        self.started = self.finished = False

    def onward(self, alias: Name, ttl: int) -> "Asking":
        """The same question about what its name is an alias of."""
        onward = Asking(alias, self.rdtype, self.deadline, self.done, self.doubt)
        onward.asked, onward.ttl, onward.aliases = self.asked, ttl, self.aliases + 1
        return onward

    def waits_for(self, port: Port) -> bool:
        """Whether an attempt by this port is still unanswered."""
        return any(port is other and ticket in port.waiting for other, ticket in self.sent)
