r"""Rdata as octets.

What is not ours to read is kept in the text form of Route 53, whose escapes are octal;
dnspython reads that of master files, whose escapes are decimal.
"""

from functools import lru_cache

import dns.exception
import dns.rdata
import dns.rdatatype

from dnssd.errors import MalformedRecord
from dnssd.names import shown
from dnssd.records import Address, Opaque, Ptr, Rdata, Srv, Txt
from dnssd.sandbox.dns.packets import wire_name
from dnssd.zones.route53.text import decimal


def wire_rdata(rdata: Rdata) -> bytes:
    """The octets of `rdata`.

    Raises:
        MalformedRecord: Its text is not what its type asks for.
    """
    match rdata:
        case Srv():
            numbers = rdata.priority, rdata.weight, rdata.port
            return b"".join(n.to_bytes(2, "big") for n in numbers) + wire_name(rdata.target)
        case Ptr():
            return wire_name(rdata.target)
        case Txt():
            return b"".join(bytes([len(string)]) + string for string in rdata.strings)
        case Address():
            return rdata.ip.packed
        case Opaque():
            return _wire_opaque(rdata)


def type_number(rdtype: str) -> int:
    """The number of a type.

    Raises:
        MalformedRecord: There is no such type.
    """
    try:
        return int(dns.rdatatype.from_text(rdtype))
    except (dns.exception.DNSException, ValueError) as error:
        raise MalformedRecord(f"{shown(rdtype)}: no record type") from error


def type_text(number: int) -> str:
    """The mnemonic of a type, `TYPE65280` where it has none."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))


@lru_cache(maxsize=4096)
def _wire_opaque(rdata: Opaque) -> bytes:
    text = decimal(rdata.text)
    try:
        read = dns.rdata.from_text("IN", rdata.rdtype, text)
        return bytes(read.to_wire() or b"")
    except (dns.exception.DNSException, ValueError) as error:
        raise MalformedRecord(f"{shown(rdata.text)}: not {rdata.rdtype} rdata") from error
