"""UPDATE messages (RFC 2136, 8945) from our own values, which know their octets already.

dnspython's own messages parse each value's text and hash each of its names several times: that
was two thirds of what an update cost here.
"""

import struct
import time
from collections.abc import Iterable
from typing import Any

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update

from dnssd.names import Name
from dnssd.records import Address, Ptr, Rdata, Srv, Txt

_IN, _NONE, _ANY = (int(c) for c in (dns.rdataclass.IN, dns.rdataclass.NONE, dns.rdataclass.ANY))
_POINTER = 0xC000  # to a name that stands before (RFC 1035 section 4.1.4)
_MOST = 65_535  # octets


class Update(dns.update.UpdateMessage):
    """One update of a zone, as far as it is written here; dnspython numbers and reads it.

    Args:
        origin: The zone's apex.
    """

    def __init__(self, origin: Name) -> None:
        super().__init__(dns.name.Name((*origin.labels, b"")))
        self._origin = origin
        self._prerequisites: list[tuple[bytes, bytes]] = []  # owner name, and all behind it
        self._changes: list[tuple[bytes, bytes]] = []

    def needs(self, name: Name, values: Iterable[Rdata]) -> None:
        """An RRset has to be exactly as these values are."""
        self._prerequisites += _records(name, _IN, values)

    def needs_none(self, name: Name, rdtype: str = "ANY") -> None:
        """Nothing of a type, or nothing at all, may stand at a name."""
        self._prerequisites.append(_empty(name, rdtype, _NONE))

    def remove(self, name: Name, values: Iterable[Rdata]) -> None:
        """Delete single values."""
        self._changes += _records(name, _NONE, values)

    def remove_all(self, name: Name, rdtype: str) -> None:
        """Delete an RRset."""
        self._changes.append(_empty(name, rdtype, _ANY))

    def put(self, name: Name, ttl: int, values: Iterable[Rdata]) -> None:
        """Add values."""
        self._changes += _records(name, _IN, values, ttl)

    def to_wire(self, *_: Any, prepend_length: bool = False, **__: Any) -> bytes:
        """As it is sent, signed if `use_tsig` was called.

        Raises:
            TooBig: It does not fit into a message.
        """
        counts = len(self._prerequisites), len(self._changes)
        wire = bytearray(struct.pack("!6H", self.id, self.flags, 1, *counts, 0))
        places = {self._origin.octets: len(wire)}
        wire += self._origin.octets + struct.pack("!HH", dns.rdatatype.SOA, _IN)
        for owner, rest in (*self._prerequisites, *self._changes):
            place = places.setdefault(owner, len(wire))
            known = place < len(wire) and place < 0x4000
            wire += (struct.pack("!H", _POINTER | place) if known else owner) + rest
        if self.tsig is not None:
            self._sign(wire)
        if len(wire) > _MOST:
            raise dns.exception.TooBig
        return (struct.pack("!H", len(wire)) if prepend_length else b"") + wire

    def _sign(self, wire: bytearray) -> None:
        tsig: Any = self.tsig
        sign: Any = dns.tsig.sign  # neither has annotations
        signed, _ = sign(bytes(wire), self.keyring, tsig[0], int(time.time()))
        tsig.clear()
        tsig.add(signed)  # the answer's signature covers it
        rdata = signed.to_wire()
        wire += self.keyring.name.to_wire()
        wire += struct.pack("!HHIH", dns.rdatatype.TSIG, _ANY, 0, len(rdata)) + rdata
        wire[10:12] = struct.pack("!H", 1)


def _empty(name: Name, rdtype: str, rdclass: int) -> tuple[bytes, bytes]:
    number = dns.rdatatype.from_text(rdtype)
    return name.octets, struct.pack("!HHIH", number, rdclass, 0, 0)


def _records(
    name: Name, rdclass: int, values: Iterable[Rdata], ttl: int = 0
) -> Iterable[tuple[bytes, bytes]]:
    for value in values:
        rdata, number = _rdata(value), dns.rdatatype.from_text(value.rdtype)
        yield name.octets, struct.pack("!HHIH", number, rdclass, ttl, len(rdata)) + rdata


def _rdata(value: Rdata) -> bytes:
    """A value's octets, without compression."""
    if isinstance(value, Txt):
        return b"".join(bytes((len(one),)) + one for one in value.strings or (b"",))
    if isinstance(value, Srv):
        return struct.pack("!3H", value.priority, value.weight, value.port) + value.target.octets
    if isinstance(value, Ptr):
        return value.target.octets
    if isinstance(value, Address):
        return value.packed
    read = dns.rdata.from_text("IN", value.rdtype, value.format(), relativize=False)
    return bytes(read.to_wire() or b"")
