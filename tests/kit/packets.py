"""Responses, sound and broken, of which the reader is to make the right thing."""

import random
import struct
from collections.abc import Sequence

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from dnssd.records import MAX_TTL
from dnssd.wire.message import NUMBERS

IN = dns.rdataclass.IN
LABELS = (b"a", b"B", b"_tcp", b"_http", b"www", b"WWW", b"example", b"com", "Büro".encode())
USUAL = ("A", "AAAA", "PTR", "SRV", "TXT")
TYPES = (*NUMBERS, "MX", "DNAME", "CAA", "NSEC", "TYPE65280")


def sound(rng: random.Random) -> bytes:
    """A response as dnspython makes it: all types, compressed, with EDNS or without."""
    names = [_some_name(rng) for _ in range(4)]
    message = dns.message.QueryMessage(rng.getrandbits(16))
    message.flags = dns.flags.Flag(dns.flags.QR | rng.choice((0, 0, 0x0580, 0x0003, 0x0002)))
    question = dns.rrset.RRset(
        rng.choice(names), IN, dns.rdatatype.from_text(rng.choice(tuple(NUMBERS)))
    )
    message.question = [question]
    for section in message.sections[1:]:
        for _ in range(rng.choice((0, 0, 1, 2, 5))):
            rdtype = dns.rdatatype.from_text(rng.choice(TYPES))
            rdclass = rng.choice((IN, IN, IN, IN, dns.rdataclass.HS, dns.rdataclass.ANY))
            rdata = dns.rdata.from_wire(rdclass, rdtype, *_rdata(rng, rdtype, names))
            ttl = rng.choice((0, 60, MAX_TTL, MAX_TTL + 1, 2**32 - 1))
            section.append(dns.rrset.from_rdata(rng.choice(names), ttl, rdata))
    if rng.random() < 0.7:
        message.use_edns(0, rng.choice((0, 1 << 24, 0x8000)), rng.choice((512, 1232)))
    return message.to_wire(max_size=65535)


def usual(rng: random.Random) -> bytes:
    """A response as name servers send most of them: values, addresses beside them, EDNS."""
    names = [_some_name(rng) for _ in range(4)]
    rdtype = dns.rdatatype.from_text(rng.choice(USUAL))
    message = dns.message.QueryMessage(rng.getrandbits(16))
    message.flags = dns.flags.Flag(dns.flags.QR | rng.choice((0, 0x0180, 0x0400)))
    message.question = [dns.rrset.RRset(names[0], IN, rdtype)]
    _add(message.answer, rng, names[0], rdtype, names)
    for name in rng.sample(names[1:], rng.randint(0, 3)):
        _add(message.additional, rng, name, rng.choice(USUAL[:2]), names)
    if rng.random() < 0.8:
        message.use_edns(0, 0, 1232)
    return message.to_wire(max_size=65535)


def _add(
    section: list[dns.rrset.RRset],
    rng: random.Random,
    name: dns.name.Name,
    kind: dns.rdatatype.RdataType | str,
    names: Sequence[dns.name.Name],
) -> None:
    """Put an RRset of one to four values into a section."""
    rdtype = dns.rdatatype.RdataType.make(kind)
    rdata = [
        dns.rdata.from_wire(IN, rdtype, *_rdata(rng, rdtype, names))
        for _ in range(rng.randint(1, 4))
    ]
    section.append(dns.rrset.from_rdata(name, rng.choice((0, 60, MAX_TTL)), *rdata))


def _some_name(rng: random.Random) -> dns.name.Name:
    labels = [rng.choice((*LABELS, rng.randbytes(rng.randint(1, 5)))) for _ in range(4)]
    return dns.name.Name((*labels[: rng.randint(0, 4)], b"example", b"test", b""))


def _wire(name: dns.name.Name) -> bytes:
    return b"".join(bytes((len(label),)) + label for label in name.labels)


def _rdata(
    rng: random.Random,
    rdtype: dns.rdatatype.RdataType,
    names: Sequence[dns.name.Name],
) -> tuple[bytes, int, int]:
    """Rdata of a type, without compression, and the bounds that dnspython wants with it."""
    name, other = (_wire(rng.choice(names)) for _ in range(2))
    texts = b"".join(bytes((n,)) + rng.randbytes(n) for n in rng.choices((0, 1, 9, 255), k=2))
    data = {
        "A": rng.randbytes(4),
        "AAAA": rng.randbytes(16),
        "CAA": b"\0\5issueca.example",
        "MX": b"\0\5" + name,
        "NSEC": name + b"\0\1\x40",
        "SOA": name + other + rng.randbytes(20),
        "SRV": rng.randbytes(6) + name,
        "TXT": texts,
        "TYPE65280": rng.randbytes(7),
    }.get(dns.rdatatype.to_text(rdtype), name)
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


def _tangled_name(rng: random.Random, packet: bytes | bytearray, marks: list[int]) -> bytes:
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
