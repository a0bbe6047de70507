"""What an authoritative server answers: a message and the zones in, messages out.

dnspython reads and writes the packets, piece by piece: its whole messages would take twice as
long. Names in rdata are never compressed: a pointer into the question would take on the case
of whoever asked, and DNS-SD names keep the case that they were written in.
"""

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.renderer
import dns.wire
from dns.rcode import Rcode
from dns.renderer import ADDITIONAL, ANSWER, AUTHORITY

from dnssd.sandbox.api.hostedzones import HostedZone
from dnssd.sandbox.dns.lookup import (
    RECORD,
    Answer,
    Lookup,
    Records,
    Section,
    find_zone,
    key_of,
    records_of,
    type_text,
    zone_key,
)

MIN_PAYLOAD = 512  # octets of an answer by UDP that every client takes (RFC 1035)
MAX_PAYLOAD = 1232  # octets that travel without fragments (DNS flag day 2020)
MAX_MESSAGE = 65535  # octets of a message by TCP

_Renderer: Any = dns.renderer.Renderer  # which has no annotations
_HEADER = 12  # octets
_OPT_SIZE = 11  # octets
_TRANSFER_SIZE = 16_000  # octets, after which a message of a zone transfer ends
_MAX_RECORDS = 100  # in a query, beside its question: more is no query
_QR, _AA, _TC, _RD, _OPCODE = 0x8000, 0x0400, 0x0200, 0x0100, 0x7800
_OPT = int(dns.rdatatype.OPT)


class Query(NamedTuple):
    """One question, and what the client said of itself.

    Attributes:
        name: In the case in which it was asked.
        payload: The octets that the client takes by UDP; None if it knows no EDNS.
        edns_version: 0 is the only one there is.
    """

    id: int
    flags: int
    name: dns.name.Name | None = None
    rdtype: int = 0
    rdclass: int = dns.rdataclass.IN
    payload: int | None = None
    edns_version: int = 0


def respond(
    message: bytes, zones: Sequence[HostedZone], rng: random.Random, *, stream: bool = False
) -> Sequence[bytes]:
    """Answer one DNS message.

    Args:
        message: Octets from anybody.
        zones: What the server is authoritative for.
        rng: Shuffles values.
        stream: Whether it came by TCP, where answers may be long.

    Returns:
        Nothing for what is no query; else one message, or more for a zone transfer.
    """
    if len(message) < _HEADER or message[2] & 0x80:
        return ()
    bare = Query(int.from_bytes(message[:2], "big"), int.from_bytes(message[2:4], "big"))
    if bare.flags & _OPCODE:
        return (_write(bare, Answer(Rcode.NOTIMP)),)
    try:
        query = _read(message)
    except (dns.exception.DNSException, ValueError):
        return (_write(bare, Answer(Rcode.FORMERR)),)
    return _answered(query, zones, rng, stream)


def _answered(
    query: Query, zones: Sequence[HostedZone], rng: random.Random, stream: bool
) -> Sequence[bytes]:
    assert query.name is not None  # noqa: S101 (held by _read)
    zone = find_zone(zones, query.name)
    if query.edns_version > 0:
        return (_write(query, Answer(Rcode.BADVERS)),)
    if zone is None or query.rdclass != dns.rdataclass.IN or query.rdtype == dns.rdatatype.IXFR:
        return (_write(query, Answer(Rcode.REFUSED)),)
    if query.rdtype == dns.rdatatype.AXFR:
        if not (stream and key_of(query.name) == zone_key(zone)):
            return (_write(query, Answer(Rcode.REFUSED)),)
        return tuple(_write(query, part) for part in _transfer(zone))
    said = Lookup(zones, rng).answer(query.name, type_text(query.rdtype))
    return (_fitted(query, said, stream),)


def _read(message: bytes) -> Query:
    """Read a query of one question, to its last octet.

    Raises:
        DNSException: It is malformed.
        ValueError: It is well formed, and yet no query.
    """
    parser = dns.wire.Parser(message)
    number, flags, questions, *counts = parser.get_struct("!6H")
    if questions != 1 or sum(counts) > _MAX_RECORDS:
        raise ValueError(f"{questions} questions, {sum(counts)} records")
    name = parser.get_name()
    rdtype, rdclass = parser.get_struct("!HH")
    payload, version = None, 0
    for place in range(sum(counts)):
        owner = parser.get_name()
        found, size, ttl, length = parser.get_struct("!HHIH")
        parser.get_bytes(length)
        if found == _OPT:
            if payload is not None or len(owner) > 1 or place < sum(counts[:2]):
                raise ValueError("OPT stands once, at the root, in the additional section")
            payload, version = size, ttl >> 16 & 0xFF
    if parser.remaining():
        raise ValueError("the packet does not end where its last record does")
    return Query(number, flags, name, rdtype, rdclass, payload, version)


def _fitted(query: Query, said: Answer, stream: bool) -> bytes:
    """The answer, less what there is no room for: first the additional data, then all of it."""
    payload = max(MIN_PAYLOAD, min(query.payload or 0, MAX_PAYLOAD))  # RFC 6891 section 6.2.3
    try:
        return _write(query, said, MAX_MESSAGE if stream else payload)
    except dns.exception.TooBig:
        return _write(query, Answer(said.rcode, said.authoritative, truncated=True))


def _transfer(zone: HostedZone) -> Iterator[Answer]:
    """All records of a zone between its SOA record and the same again (RFC 5936 section 2.2)."""
    records = [
        whole._replace(values=(value,))
        for rrset in zone.since(("", "", ""))
        for whole in [records_of(dns.name.Name((*rrset.name.labels, b"")), rrset)]
        for value in whole.values
    ]
    records.sort(key=lambda record: record.rdtype != "SOA")
    part: list[Records] = []
    room = _TRANSFER_SIZE
    for record in (*records, records[0]):
        part.append(record)
        room -= len(record.owner.to_wire() or b"") + len(record.values[0]) + RECORD.size
        if room <= 0:
            yield Answer(authoritative=True, answer=tuple(part))
            part, room = [], _TRANSFER_SIZE
    if part:
        yield Answer(authoritative=True, answer=tuple(part))


def _write(query: Query, said: Answer, limit: int = MAX_MESSAGE) -> bytes:
    """The packet that says it.

    Raises:
        TooBig: It would be longer than `limit`, even without additional data.
    """
    flags = _QR | query.flags & (_OPCODE | _RD) | said.rcode & 0xF
    flags |= _AA * said.authoritative | _TC * said.truncated
    packet = _Renderer(query.id, flags, limit)
    if query.payload is not None:
        packet.reserve(_OPT_SIZE)
    if query.name is not None:
        packet.add_question(query.name, query.rdtype, query.rdclass)
    for number, section in ((ANSWER, said.answer), (AUTHORITY, said.authority)):
        if section:
            packet.add_rdataset(number, None, _Section(section))
    if said.additional:
        with contextlib.suppress(dns.exception.TooBig):
            packet.add_rdataset(ADDITIONAL, None, _Section(said.additional))
    if query.payload is not None:
        packet.release_reserved()
        packet.add_rdataset(ADDITIONAL, None, _Opt(said.rcode))
    packet.write_header()
    return bytes(packet.get_wire())


class _Section(NamedTuple):
    """All records of a section, for a renderer: it takes all of them or none."""

    records: Section

    def to_wire(self, _: None, file: BinaryIO, compress: dns.name.CompressType, *__: object) -> int:
        return sum(records.to_wire(file, compress) for records in self.records)


class _Opt(NamedTuple):
    """The OPT record of an answer (RFC 6891), for a renderer."""

    rcode: int

    def to_wire(self, _: None, file: BinaryIO, *__: object) -> int:
        extended = self.rcode >> 4 << 24
        file.write(b"\0" + RECORD.pack(_OPT, MAX_PAYLOAD, extended, 0))
        return 1
