"""What dnspython makes of a packet: the judge of our own reader."""

import contextlib
import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.wire

from dnssd.names import Name
from dnssd.records import MAX_TTL, Address, Ptr, Srv, Txt
from dnssd.wire.answers import NoAnswer, read_answer
from dnssd.wire.message import NUMBERS, MalformedMessage, Message, Record
from dnssd.wire.query import answers_question, question
from dnssd.wire.reader import read_message
from dnssd.wire.usual import read_usual

IN, OPT, TSIG = 1, 41, 250
KEPT = {number: rdtype for rdtype, number in NUMBERS.items()}

# Left to itself, dnspython takes a type for unknown that it has met in class ANY first.
for number in KEPT:
    dns.rdata.get_rdata_class(IN, number)  # type: ignore[no-untyped-call] # as dnspython has it


def judge(data: bytes) -> str:
    """Compare our reading of a packet with dnspython's.

    Returns:
        Who accepts it: `both`, `neither`, `us` or `dnspython`.

    Raises:
        AssertionError: They disagree where they must not.
    """
    ours, theirs = _ours(data), _theirs(data)
    if ours is None:
        assert theirs is None or _is_odd(data), f"refused without a reason: {data!r}"
        return "neither" if theirs is None else "dnspython"
    if theirs is None:
        # What is not looked at may be broken, and nothing else.
        assert repr(ours) == repr(_lenient(data)), data
        return "us"
    if ours.truncated:
        theirs = theirs._replace(rcode=theirs.rcode & 15, answer=(), authority=(), additional=())
    assert repr(ours) == repr(theirs), data
    return "both"


def _ours(data: bytes) -> Message | None:
    answers_question(data, data[12:40])
    try:
        message = read_message(data)
    except MalformedMessage:
        return None
    _compare_usual(data, message)
    return message


def _compare_usual(data: bytes, message: Message) -> None:
    """Where the reader of the usual answers understands a packet, the other one says the same."""
    answer = None
    with contextlib.suppress(NoAnswer):
        answer = read_answer(message)
    if message.question and message.question[1] in KEPT:
        name, number = message.question
        asked = question(name, KEPT[number])
        if answers_question(data, asked) and (usual := read_usual(data, asked)):
            assert repr(usual) == repr(answer), data


def _theirs(data: bytes) -> Message | None:
    try:
        message = dns.message.from_wire(data, one_rr_per_rrset=True)
    except Exception:  # whatever it raises, it does not accept the packet
        return None
    questions = [(_name(rrset.name), int(rrset.rdtype)) for rrset in message.question]
    answer, authority, additional = map(_records, message.sections[1:])
    return Message(
        message.id,
        int(message.rcode()),
        bool(message.flags & dns.flags.TC),
        questions[0] if questions else None,
        answer,
        authority,
        additional,
        validated=bool(message.flags & dns.flags.AD) and not message.flags & dns.flags.TC,
    )


def _is_odd(data: bytes) -> bool:
    """Whether we refuse it for being no response to a question that we ask."""
    _, flags, questions = struct.unpack_from("!HHH", data)
    if flags & 0xF800 != 0x8000 or questions > 1:
        return True
    return questions == 1 and dns.message.from_wire(data).question[0].rdclass != IN


def _lenient(data: bytes) -> Message:
    """Read a packet with dnspython's parser, and pass over what is not looked at."""
    parser = dns.wire.Parser(data)
    ident, flags, questions, *counts = parser.get_struct("!HHHHHH")
    question = None
    for _ in range(questions):
        name = parser.get_name(None, True)
        rdtype, rdclass = parser.get_struct("!HH")
        question = (_name(name), rdtype)
        assert rdclass == IN
    rcode = flags & 15
    if flags & dns.flags.TC:
        return Message(ident, rcode, True, question, (), (), ())
    sections: list[tuple[Record, ...]] = []
    extended: list[int] = []
    for count in counts:
        assert not extended
        sections.append(tuple(_lenient_section(parser, count, extended)))
    assert parser.remaining() == 0
    assert len(extended) <= 1
    for high in extended:
        rcode |= high << 4
    answer, authority, additional = sections
    validated = bool(flags & dns.flags.AD)
    return Message(ident, rcode, False, question, answer, authority, additional, validated)


def _lenient_section(parser: dns.wire.Parser, count: int, extended: list[int]) -> list[Record]:
    records = []
    for _ in range(count):
        name = parser.get_name(None, True)
        rdtype, rdclass, ttl, length = parser.get_struct("!HHIH")
        with parser.restrict_to(length):
            if rdclass == IN and rdtype == NUMBERS["TXT"] and not parser.remaining():
                ttl = ttl if ttl <= MAX_TTL else 0  # RFC 6763 section 6.1
                records.append(Record(_name(name), "TXT", ttl, Txt()))
            elif rdclass == IN and rdtype in KEPT:
                rdata = dns.rdata.from_wire_parser(rdclass, rdtype, parser)
                records.append(_record(name, rdtype, ttl, rdata))
            elif rdtype == OPT:
                assert name == dns.name.root
                extended.append(ttl >> 24)
                while parser.remaining():
                    parser.get_bytes(parser.get_struct("!HH")[1])
            else:
                assert rdtype != TSIG
                parser.get_remaining()
    return records


def _records(section: Sequence[dns.rrset.RRset]) -> tuple[Record, ...]:
    return tuple(
        _record(rrset.name, rrset.rdtype, rrset.ttl, rrset[0])
        for rrset in section
        if rrset.rdclass == IN and rrset.rdtype in KEPT
    )


def _record(name: dns.name.Name, number: int, ttl: int, rdata: Any) -> Record:
    rdtype = KEPT[number]
    return Record(_name(name), rdtype, ttl if ttl <= MAX_TTL else 0, _DATA[rdtype](rdata))


def _name(name: dns.name.Name) -> Name:
    return Name(name.labels[:-1])


_DATA: dict[str, Callable[[Any], Ptr | Srv | Txt | Address | Name | int | None]] = {
    "A": lambda rdata: Address(IPv4Address(rdata.address)),
    "AAAA": lambda rdata: Address(IPv6Address(rdata.address)),
    "CNAME": lambda rdata: _name(rdata.target),
    "NS": lambda rdata: None,
    "PTR": lambda rdata: Ptr(_name(rdata.target)),
    "SOA": lambda rdata: rdata.minimum,
    "SRV": lambda rdata: Srv(rdata.priority, rdata.weight, rdata.port, _name(rdata.target)),
    "TXT": lambda rdata: Txt(rdata.strings),
}
