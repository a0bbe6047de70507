"""Reads responses off the wire, strictly, and only what this package has a use for.

A packet is understood as a whole or refused as a whole: counts, lengths and pointers agree to
the octet. Of records of other types and classes, and of EDNS options, nothing but the length
is looked at. What a truncated response holds is not looked at either: it is to be ignored
(RFC 2181 section 9), and some servers cut through the middle of a record.
"""

import struct
from collections.abc import Callable

from dnssd.names import Name
from dnssd.records import MAX_TTL, Address, Ptr, Srv, Txt
from dnssd.wire.message import NUMBERS, MalformedMessage, Message, Record
from dnssd.wire.packet import Packet

_IN, _OPT, _TSIG = 1, 41, 250
_RESPONSE, _OPCODE, _TRUNCATED, _RCODE = 0x8000, 0x7800, 0x0200, 0x000F
_VALIDATED = 0x0020  # AD
_HEADER = struct.Struct("!HHHHHH").unpack_from
_QUESTION = struct.Struct("!HH").unpack_from
_RECORD = struct.Struct("!HHIH").unpack_from
_SRV = struct.Struct("!HHH").unpack_from
_OPTION = struct.Struct("!HH").unpack_from

_Data = Ptr | Srv | Txt | Address | Name | int | None

_new = tuple.__new__  # a Record's own __new__ takes twice as long


def read_message(data: bytes) -> Message:
    """Read a response.

    Raises:
        MalformedMessage: Not the response to a query, or not well formed.
    """
    try:
        return _message(Packet(data))
    except (IndexError, struct.error) as error:
        raise MalformedMessage(_SHORT) from error


def _message(packet: Packet) -> Message:
    data = packet.data
    ident, flags, questions, answers, authorities, additionals = _HEADER(data, 0)
    if flags & (_RESPONSE | _OPCODE) != _RESPONSE:
        raise MalformedMessage("not the response to a query")
    question, at = _question(packet, 12) if questions else (None, 12)
    if questions > 1:
        raise MalformedMessage("more than one question (RFC 9619)")
    rcode = flags & _RCODE
    if flags & _TRUNCATED:
        return Message(ident, rcode, True, question, (), (), ())
    options: list[int] = []
    answer, at = _section(packet, at, answers, options)
    authority, at = _section(packet, at, authorities, options) if authorities else ((), at)
    if options:
        raise MalformedMessage("an OPT record outside the additional section")
    additional, at = _section(packet, at, additionals, options)
    if len(options) > 1:
        raise MalformedMessage("more than one OPT record")
    if at != len(data):
        raise MalformedMessage(_SHORT if at > len(data) else "longer than it says")
    for ttl in options:
        rcode |= ttl >> 24 << 4  # RFC 6891 section 6.1.3
    validated = flags & _VALIDATED != 0
    return _new(Message, (ident, rcode, False, question, answer, authority, additional, validated))


def _question(packet: Packet, at: int) -> tuple[tuple[Name, int], int]:
    """What was asked, and where that ends."""
    name, at = packet.name(at)
    rdtype, rdclass = _QUESTION(packet.data, at)
    if rdclass != _IN:
        raise MalformedMessage("a question of another class than IN")
    return (name, rdtype), at + 4


def _section(
    packet: Packet, at: int, count: int, options: list[int]
) -> tuple[tuple[Record, ...], int]:
    """The records of a section, and where they end; the TTL of OPT records to `options`."""
    data = packet.data
    records = []
    for _ in range(count):
        name, at = packet.name(at)
        number, rdclass, ttl, length = _RECORD(data, at)
        at += 10
        end = at + length
        if rdclass == _IN and number in _READERS:
            rdtype, read = _READERS[number]
            if ttl > MAX_TTL:
                ttl = 0
            records.append(_new(Record, (name, rdtype, ttl, read(packet, at, end))))
        elif number == _OPT:
            if len(name.key) > 1 or not holds_options(data, at, end):
                raise MalformedMessage("an OPT record that is not as it should be")
            options.append(ttl)
        elif number == _TSIG:
            raise MalformedMessage("a signature that nobody has asked for")
        at = end
    return tuple(records), at


def holds_options(data: bytes, at: int, end: int) -> bool:
    """Whether the rdata of an OPT record is well formed (RFC 6891 section 6.1.2)."""
    while at < end:
        _, length = _OPTION(data, at)
        at += 4 + length
    return at == end


def _name(packet: Packet, at: int, end: int) -> Name:
    name, at = packet.name(at)
    if at != end:
        raise MalformedMessage(_LENGTH)
    return name


def _ns(packet: Packet, at: int, end: int) -> None:
    _name(packet, at, end)


def _ptr(packet: Packet, at: int, end: int) -> Ptr:
    return Ptr(_name(packet, at, end))


def _srv(packet: Packet, at: int, end: int) -> Srv:
    priority, weight, port = _SRV(packet.data, at)
    target, at = packet.name(at + 6)
    if at != end:
        raise MalformedMessage(_LENGTH)
    return Srv.of_wire(priority, weight, port, target)


def _soa(packet: Packet, at: int, end: int) -> int:
    _, at = packet.name(at)
    _, at = packet.name(at)
    if at + 20 != end:
        raise MalformedMessage(_LENGTH)
    return int.from_bytes(packet.data[end - 4 : end], "big")


def read_txt(packet: Packet, at: int, end: int) -> Txt:
    """TXT rdata; none at all is one empty string (RFC 6763 section 6.1).

    Raises:
        MalformedMessage: Its strings do not end where it does.
        IndexError: They go on past the packet.
    """
    strings = []
    while at < end:
        start = at + 1
        at = start + packet.data[at]
        strings.append(packet.data[start:at])
    if at != end:
        raise MalformedMessage(_LENGTH)
    return Txt(tuple(strings))


def _a(packet: Packet, at: int, end: int) -> Address:
    if at + 4 != end:
        raise MalformedMessage(_LENGTH)
    return Address.of_wire(packet.data[at:end])


def _aaaa(packet: Packet, at: int, end: int) -> Address:
    if at + 16 != end:
        raise MalformedMessage(_LENGTH)
    return Address.of_wire(packet.data[at:end])


_LENGTH = "rdata of another length than it says"
_SHORT = "shorter than it says"
_BY_TYPE: dict[str, Callable[[Packet, int, int], _Data]] = {
    "A": _a,
    "NS": _ns,
    "CNAME": _name,
    "SOA": _soa,
    "PTR": _ptr,
    "TXT": read_txt,
    "AAAA": _aaaa,
    "SRV": _srv,
}
_READERS = {NUMBERS[rdtype]: (rdtype, read) for rdtype, read in _BY_TYPE.items()}
