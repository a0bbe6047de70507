"""The usual answer, read in one go: most of what name servers send.

That is values of the type that was asked for, under the name that was asked for, and beside
them nothing but addresses and EDNS. Every other answer is for `reader` and `answers`, which
say the same of these.
"""

import struct
from collections.abc import Callable

from dnssd.records import MAX_TTL, Address, Ptr, Rdata, Srv
from dnssd.wire.answers import MAX_VALUES, Answer
from dnssd.wire.message import NUMBERS, MalformedMessage, Record
from dnssd.wire.packet import Packet
from dnssd.wire.reader import holds_options, read_txt

_HEADER = 12  # octets
_FLAGS = 0xFA  # response, opcode and truncation: a response to a query that is whole
_VALIDATED = 0x20  # AD, in the fourth octet
_OWNER = b"\xc0\x0c"  # a pointer to the name in the question
_ADDRESSES = {(NUMBERS["A"], 4): "A", (NUMBERS["AAAA"], 16): "AAAA"}  # by type and length
_IN, _OPT = 1, 41
_COUNTS = struct.Struct("!HHHH").unpack_from
_RECORD = struct.Struct("!HHIH").unpack_from
_SRV = struct.Struct("!HHH").unpack_from

_Found = tuple[bytes, Rdata]  # what tells a value from others, and the value
_new = tuple.__new__


def read_usual(data: bytes, question: bytes) -> Answer | None:
    """Read the answer in a packet; None if it is none of the usual kind.

    Args:
        data: A packet that repeats the question.
        question: For PTR, SRV, TXT, A or AAAA records, as `query.question` makes it.
    """
    questions, answers, authorities, _ = _COUNTS(data, 4)
    unusual = data[2] & _FLAGS != 0x80 or data[3] & 0x0F
    number = question[-3]
    if unusual or questions != 1 or authorities or not answers or number not in _READERS:
        return None
    try:
        return _read(Packet(data), _HEADER + len(question), number, answers)
    except (IndexError, struct.error, MalformedMessage):
        return None


def _read(packet: Packet, at: int, number: int, answers: int) -> Answer | None:
    data, read = packet.data, _READERS[number]
    values: dict[bytes, Rdata] = {}
    least = MAX_TTL
    for _ in range(answers):
        rdtype, rdclass, ttl, length = _RECORD(data, at + 2)
        start = at + 12
        if data[at : at + 2] != _OWNER or rdtype != number or rdclass != _IN:
            return None
        at = start + length
        found = read(packet, start, at)
        if found is None:
            return None
        values.setdefault(*found)
        least = min(least, ttl if ttl <= MAX_TTL else 0)
    additional = _additional(packet, at)
    if additional is None:
        return None
    kept = tuple(values.values())
    return _new(
        Answer, (kept[:MAX_VALUES], least, None, True, additional, None, data[3] & _VALIDATED != 0)
    )


def _additional(packet: Packet, at: int) -> tuple[Record, ...] | None:
    """The addresses to the end of a packet, if there is nothing else but EDNS."""
    data, count, options = packet.data, _COUNTS(packet.data, 4)[3], 0
    records = []
    for _ in range(count):
        name, at = (None, at + 1) if not data[at] else packet.name(at)
        rdtype, rdclass, ttl, length = _RECORD(data, at)
        start = at + 10
        at = start + length
        if name and rdclass == _IN and (rdtype, length) in _ADDRESSES:
            address = Address.of_wire(data[start:at])
            kind = _ADDRESSES[rdtype, length]
            ttl = ttl if ttl <= MAX_TTL else 0
            records.append(_new(Record, (name, kind, ttl, address)))
        elif rdtype == _OPT and not (name or options or ttl >> 24):
            options = 1
            if length and not holds_options(data, start, at):
                return None
        else:
            return None
    return tuple(records) if at == len(data) else None


def _ptr(packet: Packet, at: int, end: int) -> _Found | None:
    name, at = packet.name(at)
    return (name.key, Ptr(name)) if at == end else None


def _srv(packet: Packet, at: int, end: int) -> _Found | None:
    name, stop = packet.name(at + 6)
    if stop != end:
        return None
    priority, weight, port = _SRV(packet.data, at)
    srv = Srv.of_wire(priority, weight, port, name)
    return packet.data[at : at + 6] + name.key, srv


def _txt(packet: Packet, at: int, end: int) -> _Found | None:
    return packet.data[at:end] or b"\0", read_txt(packet, at, end)


def _a(packet: Packet, at: int, end: int) -> _Found | None:
    packed = packet.data[at:end]
    return (packed, Address.of_wire(packed)) if len(packed) == 4 == end - at else None


def _aaaa(packet: Packet, at: int, end: int) -> _Found | None:
    packed = packet.data[at:end]
    return (packed, Address.of_wire(packed)) if len(packed) == 16 == end - at else None


_READERS: dict[int, Callable[[Packet, int, int], _Found | None]] = {
    NUMBERS["A"]: _a,
    NUMBERS["AAAA"]: _aaaa,
    NUMBERS["PTR"]: _ptr,
    NUMBERS["SRV"]: _srv,
    NUMBERS["TXT"]: _txt,
}
