"""DNS messages as bytes, taken apart and put together: fast, since a proxy does it to each one.

What is no DNS message is told by `MalformedPacket`, or stays as it is.
"""

import io
import random
import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import dns.exception
import dns.message
import dns.rrset

HEADER = 12  # octets (RFC 1035 section 4.1.1)
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
_TC = 0x0200
_OPT = 41
_POINTER = 0xC0


class MalformedPacket(Exception):
    """Bytes that are no DNS message."""


class _Found(NamedTuple):
    """A record in a packet: its type, and where it begins and ends."""

    rdtype: int
    begin: int
    end: int


def question_end(packet: bytes) -> int:
    """Where the question section of a packet ends, in octets; it holds at most one question.

    Raises:
        MalformedPacket: It ends elsewhere than it says, or asks several questions.
    """
    (count,) = _unpack("!H", packet, 4)
    if count > 1:
        raise MalformedPacket(f"{count} questions")
    if not count:
        return HEADER
    end = _skip_name(packet, HEADER) + 4
    if end > len(packet):
        raise MalformedPacket("cut in its question")
    return end


def question_of(packet: bytes) -> bytes:
    """What a packet asks or answers: the same for the same question; nothing if it is malformed.

    The case of the name does not count.
    """
    try:
        end = question_end(packet)
    except MalformedPacket:
        return b""
    return packet[HEADER : end - 4].lower() + packet[max(HEADER, end - 4) : end]


def bare(packet: bytes, rcode: int, *, truncated: bool = False, soa: bytes = b"") -> bytes:
    """The same packet with another response code, and without its records.

    Args:
        packet: A response.
        rcode: 0 to 15.
        truncated: Whether it says that it was cut to fit.
        soa: A record for the authority section, if it is to have one.
    """
    end = question_end(packet)
    flags = _unpack("!H", packet, 2)[0] & 0xFDF0 | rcode | (_TC if truncated else 0)
    counts = struct.pack("!5H", flags, int(end > HEADER), 0, int(bool(soa)), 0)
    return packet[:2] + counts + packet[HEADER:end] + soa


def truncated(packet: bytes) -> bytes:
    """The same packet, records and all, saying that it was cut to fit."""
    flags = _unpack("!H", packet, 2)[0] | _TC
    return packet[:2] + struct.pack("!H", flags) + packet[4:]


def without_additional(packet: bytes) -> bytes:
    """The same packet with nothing but OPT in its additional section."""
    try:
        before, records = _additional(packet)
    except MalformedPacket:
        return packet
    opt = [packet[record.begin : record.end] for record in records if record.rdtype == _OPT]
    return b"".join((packet[:10], struct.pack("!H", len(opt)), packet[12:before], *opt))


def thinned(packet: bytes, dice: random.Random, soa: bytes) -> bytes:
    """The same packet without some of its answer's records, and some of the additional ones.

    The order of what remains is left to chance, as servers do it.

    Args:
        packet: A response; a negative one stays as it is.
        dice: Choose how many records remain, all but all, and which.
        soa: The record that makes it a negative answer if none remains.
    """
    try:
        message = dns.message.from_wire(packet)
    except dns.exception.DNSException:
        return packet
    records = [(rrset, rdata) for rrset in message.answer for rdata in rrset]
    if not records:
        return packet
    kept = dice.randrange(len(records))
    if not kept:
        return bare(packet, NOERROR, soa=soa)
    _remove(dice.sample(records, len(records) - kept))
    more = [(rrset, rdata) for rrset in message.additional for rdata in rrset]
    _remove([record for record in more if dice.random() < 0.5])
    message.answer = [rrset for rrset in message.answer if rrset]
    message.additional = [rrset for rrset in message.additional if rrset]
    return message.to_wire(max_size=65535)


def record(rrset: dns.rrset.RRset) -> bytes:
    """An RRset as uncompressed records, to be put into any packet."""
    wire = io.BytesIO()
    rrset.to_wire(wire)
    return wire.getvalue()


def _remove(records: Iterable[tuple[dns.rrset.RRset, Any]]) -> None:
    for rrset, rdata in records:
        rrset.remove(rdata)  # type: ignore[no-untyped-call] # dnspython has no types here


def _additional(packet: bytes) -> tuple[int, list[_Found]]:
    """Where the additional section begins, and its records."""
    before, after = _unpack("!2H", packet, 6), _unpack("!H", packet, 10)
    records = list(_records(packet, sum(before) + after[0]))
    if len(records) < sum(before) + after[0]:
        raise MalformedPacket("fewer records than it says")
    at = records[sum(before) - 1].end if sum(before) else question_end(packet)
    return at, records[sum(before) :]


def _records(packet: bytes, count: int) -> Iterator[_Found]:
    at = question_end(packet)
    for _ in range(count):
        after_name = _skip_name(packet, at)
        rdtype, _, _, size = _unpack("!HHIH", packet, after_name)
        end = after_name + 10 + size
        if end > len(packet):
            raise MalformedPacket("cut in a record")
        yield _Found(rdtype, at, end)
        at = end


def _skip_name(packet: bytes, at: int) -> int:
    """Where a name that begins there ends; a pointer ends it."""
    while at < len(packet):
        size = packet[at]
        if size >= _POINTER:
            return at + 2
        at += 1 + size
        if not size:
            return at
    raise MalformedPacket("cut in a name")


def _unpack(form: str, packet: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, packet, at)
    except struct.error as error:
        raise MalformedPacket("cut short") from error
