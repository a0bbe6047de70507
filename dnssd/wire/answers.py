"""What a message says about its question: values, an alias, nothing, or no answer at all."""

from collections.abc import Iterable
from typing import NamedTuple, cast

from dnssd.names import Name
from dnssd.records import MAX_TTL, Rdata
from dnssd.wire.message import BADVERS, NOERROR, NUMBERS, NXDOMAIN, RCODES, Message, Record

MAX_VALUES = 4000  # of one answer; 64 KiB of them hold about as many
MAX_CHAIN = 16  # aliases that lead to each other in one message

_ASKED = {NUMBERS[rdtype]: rdtype for rdtype in ("A", "AAAA", "PTR", "SOA", "SRV", "TXT")}


class NoAnswer(Exception):
    """A message that leaves its question open; the text says what it is instead.

    Attributes:
        rcode: The response code, if that is why.
    """

    def __init__(self, what: str, rcode: int = NOERROR) -> None:
        super().__init__(what)
        self.rcode = rcode


class CutShort(NoAnswer):
    """It did not fit a packet."""


class Answer(NamedTuple):
    """What one message says about a name and a type.

    Attributes:
        values: The rdata, each once; empty if there is none of that type.
        ttl: Seconds that it holds: the smallest TTL of it and of the aliases passed, for
            negative answers also of the SOA record and its minimum (RFC 2308 section 5).
        alias: The name that is to be asked for instead, if it is an alias.
        signed: Whether a negative answer carries the SOA record that makes it one, of a zone
            that the name may be in (RFC 2308 section 2.2); without, it holds for no time.
        additional: Addresses that came with it.
        via: The name that the values stand under, if an alias has led there.
        validated: Whether the server says that it has validated it by DNSSEC (AD).
    """

    values: tuple[Rdata, ...]
    ttl: int = MAX_TTL
    alias: Name | None = None
    signed: bool = True
    additional: tuple[Record, ...] = ()
    via: Name | None = None
    validated: bool = False


def read_answer(message: Message) -> Answer:
    """Read the response to a question for A, AAAA, PTR, SOA, SRV or TXT records.

    Raises:
        NoAnswer: An error, a referral, cut short, or contradicting itself.
    """
    name, rdtype = _asked(message)
    ttl = MAX_TTL
    for passed in range(MAX_CHAIN):
        key = name.key
        found = [
            record for record in message.answer if record[1] == rdtype and record[0].key == key
        ]
        if found:
            return _positive(message, found, ttl, name if passed else None)
        alias = _alias(message.answer, name)
        if alias is None:
            return _negative(message, name, ttl, is_alias=passed > 0)
        name, ttl = alias[0], min(ttl, alias[1])
    raise NoAnswer("aliases without end")


def _asked(message: Message) -> tuple[Name, str]:
    """The question, if this can be an answer to it."""
    if message.truncated:
        raise CutShort("an answer cut short")
    if message.rcode not in (NOERROR, NXDOMAIN):
        raise NoAnswer(_rcode(message.rcode), message.rcode)
    if message.question is None or message.question[1] not in _ASKED:
        raise NoAnswer("no answer to a question")
    name, number = message.question
    return name, _ASKED[number]


def _alias(records: Iterable[Record], name: Name) -> tuple[Name, int] | None:
    """The name that another is an alias of, and for how long."""
    for record in records:
        if isinstance(record.data, Name) and record.name == name:
            return record.data, record.ttl
    return None


def _positive(message: Message, found: list[Record], ttl: int, via: Name | None) -> Answer:
    if message.rcode == NXDOMAIN:
        raise NoAnswer("values of a name that it says does not exist")
    # What is asked for is Rdata: names and numbers are the data of other types.
    values = cast("list[Rdata]", [record.data for record in found])
    if len(values) > 1:
        values = list(dict.fromkeys(values))[:MAX_VALUES]
    additional = [record for record in message.additional if record[1] in ("A", "AAAA")]
    ttls = [record.ttl for record in found]
    ttl = min(ttl, *ttls)
    return Answer(tuple(values), ttl, None, True, tuple(additional), via, message.validated)


def _negative(message: Message, name: Name, ttl: int, *, is_alias: bool) -> Answer:
    for record in message.authority:
        if record.rdtype == "SOA" and isinstance(record.data, int) and name.is_below(record.name):
            ttl = min(ttl, record.ttl, record.data)
            return Answer((), ttl, validated=message.validated)
    if is_alias and message.rcode == NOERROR:
        return Answer((), ttl, alias=name)
    if any(record.rdtype == "NS" for record in message.authority):
        raise NoAnswer("a referral")
    return Answer((), 0, signed=False)


def _rcode(rcode: int) -> str:
    """The name of a response code, or its number."""
    if rcode == BADVERS:
        return "BADVERS"
    return RCODES[rcode] if rcode < len(RCODES) else f"response code {rcode}"
