"""Packets, sound and broken, and what dnspython makes of them: the judge of our own reader."""

import random
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
from dnssd.wire.query import answers_question
from dnssd.wire.reader import read_message

IN, OPT, TSIG = 1, 41, 250
KEPT = {number: rdtype for rdtype, number in NUMBERS.items()}
LABELS = (b"a", b"B", b"_tcp", b"_http", b"www", b"WWW", b"example", b"com", "Büro".encode())
TYPES = (*NUMBERS, "MX", "DNAME", "CAA", "NSEC", "TYPE65280")


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
    try:
        read_answer(message)
    except NoAnswer:
        pass
    return message


def _theirs(data: bytes) -> Message | None:
    try:
        message = dns.message.from_wire(data, one_rr_per_rrset=True)
    except Exception:  # noqa: BLE001 (whatever it raises, it does not accept the packet)
        return None
    questions = [(_name(rrset.name), int(rrset.rdtype)) for rrset in message.question]
    return Message(
        message.id,
        int(message.rcode()),
        bool(message.flags & dns.flags.TC),
        questions[0] if questions else None,
        *(_records(section) for section in message.sections[1:]),
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
    return Message(ident, rcode, False, question, *sections)


def _lenient_section(parser: dns.wire.Parser, count: int, extended: list[int]) -> list[Record]:
    records = []
    for _ in range(count):
        name = parser.get_name(None, True)
        rdtype, rdclass, ttl, length = parser.get_struct("!HHIH")
        with parser.restrict_to(length):
            if rdclass == IN and rdtype in KEPT:
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


def sound(rng: random.Random) -> bytes:
    """A response as dnspython makes it: all types, compressed, with EDNS or without."""
    names = [_some_name(rng) for _ in range(4)]
    message = dns.message.QueryMessage(rng.getrandbits(16))
    message.flags = dns.flags.Flag(dns.flags.QR | rng.choice((0, 0, 0x0580, 0x0003, 0x0002)))
    question = dns.rrset.RRset(rng.choice(names), IN, NUMBERS[rng.choice(tuple(NUMBERS))])
    message.question = [question]
    for section in message.sections[1:]:
        for _ in range(rng.choice((0, 0, 1, 2, 5))):
            rdtype = dns.rdatatype.from_text(rng.choice(TYPES))
            rdclass = rng.choice((IN, IN, IN, IN, 3, 255))
            rdata = dns.rdata.from_wire(rdclass, rdtype, *_rdata(rng, rdtype, rdclass, names))
            ttl = rng.choice((0, 60, MAX_TTL, MAX_TTL + 1, 2**32 - 1))
            section.append(dns.rrset.from_rdata(rng.choice(names), ttl, rdata))
    if rng.random() < 0.7:
        message.use_edns(0, rng.choice((0, 1 << 24, 0x8000)), rng.choice((512, 1232)))
    return message.to_wire(max_size=65535)


def _some_name(rng: random.Random) -> dns.name.Name:
    labels = [rng.choice((*LABELS, rng.randbytes(rng.randint(1, 5)))) for _ in range(4)]
    return dns.name.Name((*labels[: rng.randint(0, 4)], b"example", b"test", b""))


def _rdata(
    rng: random.Random, rdtype: int, rdclass: int, names: Sequence[dns.name.Name]
) -> tuple[bytes, int, int]:
    """Rdata of a type, without compression, and the bounds that dnspython wants with it."""
    name = rng.choice(names).to_wire()
    kind = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rdtype))
    texts = b"".join(bytes((n,)) + rng.randbytes(n) for n in rng.choices((0, 1, 9, 255), k=2))
    data = {
        "A": rng.randbytes(4) if rdclass == IN else name + b"\0\1",
        "AAAA": rng.randbytes(16),
        "CAA": b"\0\5issueca.example",
        "MX": b"\0\5" + name,
        "NSEC": name + b"\0\1\x40",
        "SOA": name + rng.choice(names).to_wire() + rng.randbytes(20),
        "SRV": rng.randbytes(6) + name,
        "TXT": texts,
        "TYPE65280": rng.randbytes(7),
    }.get(kind, name)
    return data, 0, len(data)


def tangled(rng: random.Random) -> bytes:
    """A response whose names are labels and pointers to anywhere, with lengths that are true."""
    packet = bytearray(struct.pack("!HHHHHH", 7, 0x8400, 1, 0, 0, 0))
    marks = [12]
    packet += _tangled_name(rng, packet, marks) + struct.pack("!HH", NUMBERS["SRV"], IN)
    for _ in range(count := rng.choice((1, 3, 9, 20))):
        rdtype = rng.choice(("CNAME", "PTR", "SRV", "NS", "SOA", "TXT", "A"))
        packet += _tangled_name(rng, packet, marks) + struct.pack("!HHI", NUMBERS[rdtype], IN, 60)
        start = len(packet)
        packet += b"\0\0" + rng.randbytes({"SRV": 6, "A": 4}.get(rdtype, 0))
        if rdtype == "TXT":
            packet += b"\4\1a\xc0" + rng.randbytes(1)
            marks.append(len(packet) - 4)
        elif rdtype == "SOA":
            packet += _tangled_name(rng, packet, marks)
        if rdtype not in ("A", "TXT"):
            packet += _tangled_name(rng, packet, marks)
        packet += bytes(20 if rdtype == "SOA" else 0)
        packet[start : start + 2] = struct.pack("!H", len(packet) - start - 2)
    packet[6:8] = struct.pack("!H", count)
    return bytes(packet)


def _tangled_name(rng: random.Random, packet: bytes, marks: list[int]) -> bytes:
    # Mostly to where a name or the end of one stands already, now and then to anywhere.
    target = rng.choice(marks) if rng.random() < 0.98 else rng.randrange(len(packet) + 9)
    name = b""
    for _ in range(rng.choice((0, 0, 1, 2, 3, rng.choice((4, 30))))):
        marks.append(len(packet) + len(name))
        label = rng.choice(LABELS)
        name += bytes((len(label),)) + label
    if len(packet) == 12 or rng.random() < 0.1:
        return name + b"\0"
    marks.append(len(packet) + len(name))
    return name + struct.pack("!H", 0xC000 | target)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """A packet with some octets changed, removed or put in."""
    packet = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(packet) + 1)
        octet = rng.choice((0, 1, 41, 63, 64, 128, 192, 193, 255, rng.getrandbits(8)))
        match rng.randrange(7):
            case 0:
                packet[at : at + 1] = bytes((octet,))
            case 1:
                packet[at:at] = rng.randbytes(rng.randint(1, 4))
            case 2:
                del packet[at : at + rng.randint(1, 4)]
            case 3:
                del packet[at:]
            case 4:  # a pointer
                packet[at : at + 2] = struct.pack("!H", 0xC000 | rng.randrange(len(data) + 2))
            case 5:  # a count or a flag
                packet[2 + at % 10 : 3 + at % 10] = bytes((octet,))
            case _:
                packet[at : at + 8] = packet[: rng.randint(0, 60)]
    return bytes(packet)
