"""What an authoritative server answers: a message and the zones in, messages out."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dnssd.errors import MalformedRecord
from dnssd.sandbox.api.hostedzones import Zone
from dnssd.sandbox.dns import packets
from dnssd.sandbox.dns.lookup import Lookup, find_zone, records_of
from dnssd.sandbox.dns.packets import Answer, Query, Rcode, Record
from dnssd.sandbox.dns.rdata import type_text

_TRANSFER_SIZE = 16_000  # octets, after which a message of a zone transfer ends


def respond(
    message: bytes, zones: Sequence[Zone], rng: random.Random, *, stream: bool = False
) -> Sequence[bytes]:
    """Answer one DNS message.

    Args:
        message: Octets from anybody.
        zones: What the server is authoritative for.
        rng: Shuffles values, and chooses where routing leaves a choice.
        stream: Whether it came by TCP, where answers may be long.

    Returns:
        Nothing for what is no query; else one message, or more for a zone transfer.
    """
    header = packets.read_header(message)
    if header is None or header.is_response:
        return ()
    if not header.is_standard_query:
        return (packets.write(header, Answer(Rcode.NOTIMP), None, edns=False),)
    try:
        query = packets.read_query(message)
    except packets.Malformed:
        return (packets.write(header, Answer(Rcode.FORMERR), None, edns=False),)
    try:
        refusal = _refusal(query, zones, stream)
        if refusal is not None:
            return (_write(query, Answer(refusal)),)
        if query.question.rdtype == packets.AXFR:
            return tuple(_write(query, part) for part in _transfer(query, zones))
        return (_fitted(query, Lookup(zones, rng), stream),)
    except MalformedRecord:  # the zone holds a value that cannot be sent
        return (_write(query, Answer(Rcode.SERVFAIL)),)


def _refusal(query: Query, zones: Sequence[Zone], stream: bool) -> Rcode | None:
    """Why the zones are not even asked."""
    question = query.question
    if query.edns_version > 0:
        return Rcode.BADVERS
    zone = find_zone(zones, question.name)
    if zone is None or question.rdclass != packets.IN or question.rdtype == packets.IXFR:
        return Rcode.REFUSED
    if question.rdtype == packets.AXFR and not (stream and question.name == zone.origin):
        return Rcode.REFUSED
    return None


def _fitted(query: Query, lookup: Lookup, stream: bool) -> bytes:
    """The answer, less what there is no room for: first the additional data, then all of it."""
    limit = packets.MAX_MESSAGE if stream else _payload(query)
    said = lookup.answer(query.question.name, type_text(query.question.rdtype))
    message = _write(query, said)
    if len(message) > limit:
        return _write(query, Answer(said.rcode, said.authoritative, truncated=True))
    if additional := lookup.additional(said):
        longer = _write(query, replace(said, additional=additional))
        return longer if len(longer) <= limit else message
    return message


def _payload(query: Query) -> int:
    """The octets that an answer by UDP may have (RFC 6891 section 6.2.3)."""
    return max(packets.MIN_PAYLOAD, min(query.payload or 0, packets.MAX_PAYLOAD))


def _transfer(query: Query, zones: Sequence[Zone]) -> Iterator[Answer]:
    """All records of a zone between its SOA record and the same again (RFC 5936 section 2.2)."""
    zone = find_zone(zones, query.question.name)
    assert zone is not None  # noqa: S101 (held by _refusal)
    entries = tuple(zone.since(("", "", "")))
    records = [record for entry in entries for record in records_of(entry.name, [entry])]
    records.sort(key=lambda record: record.rdtype != packets.SOA)
    part: list[Record] = []
    room = _TRANSFER_SIZE
    for record in (*records, records[0]):
        part.append(record)
        room -= len(packets.wire_name(record.owner)) + len(record.rdata) + packets.RECORD_SIZE
        if room <= 0:
            yield Answer(authoritative=True, answer=tuple(part))
            part, room = [], _TRANSFER_SIZE
    if part:
        yield Answer(authoritative=True, answer=tuple(part))


def _write(query: Query, said: Answer) -> bytes:
    return packets.write(query.header, said, query.question, edns=query.payload is not None)
