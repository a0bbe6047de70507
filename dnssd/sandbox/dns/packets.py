"""DNS packets as an authoritative server sees them: queries read strictly, answers written.

Names inside rdata are never compressed: a pointer into the question would take on the case
of whoever asked, and DNS-SD names keep the case that they were written in.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

from dnssd.errors import MalformedName
from dnssd.names import MAX_LABEL, Name

HEADER = struct.Struct("!6H")  # ID, flags, and the number of entries in each section
MIN_PAYLOAD = 512  # octets of an answer by UDP that every client takes (RFC 1035)
MAX_PAYLOAD = 1232  # octets that travel without fragments (DNS flag day 2020)
MAX_MESSAGE = 65535  # octets of a message by TCP

QR, AA, TC, RD = 0x8000, 0x0400, 0x0200, 0x0100
OPCODE = 0x7800

A, NS, CNAME, SOA, AAAA, SRV, OPT, IXFR, AXFR, ANY = 1, 2, 5, 6, 28, 33, 41, 251, 252, 255
IN = 1

_TYPE_CLASS = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")  # type, class, TTL, rdata length
RECORD_SIZE = _RECORD.size
_POINTER = 0xC000
_MAX_RECORDS = 100  # in a query, beside its question: more is no query


class Rcode(IntEnum):
    """How a query went (RFC 1035 section 4.1.1, RFC 6891 section 9)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    BADVERS = 16


class Malformed(ValueError):
    """Octets that are not a DNS query."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first two fields of a packet."""

    id: int
    flags: int

    @property
    def is_response(self) -> bool:
        """Whether the packet claims to answer something."""
        return bool(self.flags & QR)

    @property
    def is_standard_query(self) -> bool:
        """Whether the opcode is QUERY."""
        return not self.flags & OPCODE


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; `name` keeps the case in which it was asked."""

    name: Name
    rdtype: int
    rdclass: int


@dataclass(frozen=True, slots=True)
class Query:
    """One question, and what the client said of itself.

    Attributes:
        payload: The octets that the client takes by UDP; None if it knows no EDNS.
        edns_version: 0 is the only one there is.
    """

    header: Header
    question: Question
    payload: int | None = None
    edns_version: int = 0


class Record(NamedTuple):
    """One resource record of class IN, rdata as octets."""

    owner: Name
    rdtype: int
    ttl: int  # seconds
    rdata: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says, before it is a packet."""

    rcode: Rcode = Rcode.NOERROR
    authoritative: bool = False
    truncated: bool = False
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()

    def cut(self) -> "Answer":
        """This answer with nothing but the advice to ask again by TCP."""
        return replace(self, truncated=True, answer=(), authority=(), additional=())


def read_header(packet: bytes) -> Header | None:
    """The header of `packet`; None if it is too short to have one."""
    if len(packet) < HEADER.size:
        return None
    return Header(*HEADER.unpack_from(packet)[:2])


def read_query(packet: bytes) -> Query:
    """Read a query of one question, to its last octet.

    Raises:
        Malformed: Anything else.
    """
    try:
        return _read_query(packet)
    except (struct.error, IndexError, MalformedName) as error:
        raise Malformed(str(error)) from error


def write(header: Header, answer: Answer, question: Question | None, *, edns: bool) -> bytes:
    """The packet that gives `answer` to the query with this header and question.

    Args:
        header: The query's.
        answer: What to say.
        question: Repeated exactly as it was asked; None if it could not be read.
        edns: Whether the query spoke EDNS.
    """
    flags = QR | header.flags & (OPCODE | RD) | answer.rcode & 0xF
    flags |= AA * answer.authoritative | TC * answer.truncated
    sections = answer.answer, answer.authority, answer.additional
    counts = [len(section) for section in sections]
    counts[2] += edns
    packet = bytearray(HEADER.pack(header.id, flags, question is not None, *counts))
    offsets: dict[tuple[bytes, ...], int] = {}
    if question:
        _write_name(packet, question.name, offsets)
        packet += _TYPE_CLASS.pack(question.rdtype, question.rdclass)
    for section in sections:
        _write_records(packet, section, offsets)
    if edns:
        packet += b"\0" + _RECORD.pack(OPT, MAX_PAYLOAD, answer.rcode >> 4 << 24, 0)
    return bytes(packet)


def read_name(packet: bytes, at: int) -> tuple[Name, int]:
    """The name at `at`, and where it ends.

    Raises:
        Malformed: It is compressed: a question has nothing to point to.
        IndexError: It does not end.
        MalformedName: It is too long.
    """
    labels = []
    while size := packet[at]:
        if size > MAX_LABEL:
            raise Malformed("a name that is compressed")
        labels.append(packet[at + 1 : at + 1 + size])
        at += 1 + size
    return Name(tuple(labels)), at + 1


def wire_name(name: Name) -> bytes:
    """`name` as octets, without compression."""
    return b"".join(bytes([len(label)]) + label for label in name.labels) + b"\0"


def _read_query(packet: bytes) -> Query:
    identity, flags, questions, *counts = HEADER.unpack_from(packet)
    if questions != 1:
        raise Malformed(f"{questions} questions")
    name, at = read_name(packet, HEADER.size)
    question = Question(name, *_TYPE_CLASS.unpack_from(packet, at))
    at += _TYPE_CLASS.size
    if sum(counts) > _MAX_RECORDS:
        raise Malformed(f"{sum(counts)} records")
    payload, version = None, 0
    for number in range(sum(counts)):
        start, at = at, _skip_name(packet, at)
        rdtype, rdclass, ttl, size = _RECORD.unpack_from(packet, at)
        at += _RECORD.size + size
        if rdtype == OPT:
            if payload is not None or packet[start] or number < sum(counts[:2]):
                raise Malformed("OPT stands once, at the root, in the additional section")
            payload, version = rdclass, ttl >> 16 & 0xFF
    if at != len(packet):
        raise Malformed("the packet does not end where its last record does")
    return Query(Header(identity, flags), question, payload, version)


def _skip_name(packet: bytes, at: int) -> int:
    """Where the name at `at` ends; a pointer is not followed."""
    while size := packet[at]:
        if size >= 0xC0:
            return at + 2
        if size > MAX_LABEL:
            raise Malformed("a label of an unknown kind")
        at += 1 + size
    return at + 1


def _write_records(
    packet: bytearray, records: Iterable[Record], offsets: dict[tuple[bytes, ...], int]
) -> None:
    for record in records:
        _write_name(packet, record.owner, offsets)
        packet += _RECORD.pack(record.rdtype, IN, record.ttl, len(record.rdata)) + record.rdata


def _write_name(packet: bytearray, name: Name, offsets: dict[tuple[bytes, ...], int]) -> None:
    """Append `name`, pointing to the longest end of it that was written before."""
    for number, label in enumerate(name.labels):
        end = name.lower().labels[number:]
        if end in offsets:
            packet += (_POINTER | offsets[end]).to_bytes(2, "big")
            return
        if len(packet) < 0x4000:  # 14 bits can point no further
            offsets[end] = len(packet)
        packet += bytes([len(label)]) + label
    packet.append(0)
