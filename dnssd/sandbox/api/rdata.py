r"""Values in the text of Route 53, whose escapes are octal, as rdata in octets.

dnspython reads the text of master files, whose escapes are decimal. A name without its last
dot is absolute all the same.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import dns.exception
import dns.name
import dns.rdata
import dns.rdatatype

from dnssd.errors import MalformedRecord
from dnssd.names import shown
from dnssd.zones.route53.text import decimal

_NAMES = {"CNAME", "MX", "NS", "PTR", "SOA", "SRV"}  # types of numbers and names alone
_SPECIAL = re.compile(r"\\.|([\"$();@])")  # what means something in a master file, and not here


class WireRdata(NamedTuple):
    """One value.

    Attributes:
        octets: As it travels, names in it without compression.
        canonical: The same for all values that mean the same: names in lower case.
    """

    octets: bytes
    canonical: bytes


@lru_cache(maxsize=16_384)  # a swap of an RRset repeats all its values twice
def wire_rdata(rdtype: str, text: str) -> WireRdata:
    """The value that `text` is.

    Raises:
        MalformedRecord: It is not what its type asks for.
    """
    try:
        master = decimal(text)
        if rdtype in _NAMES:
            master = _SPECIAL.sub(_escaped, master)
        rdata = dns.rdata.from_text("IN", rdtype, master, origin=dns.name.root, relativize=False)
        return WireRdata(bytes(rdata.to_wire() or b""), rdata.to_digestable())
    except (dns.exception.DNSException, ValueError) as error:
        raise MalformedRecord(f"{shown(text)}: not {rdtype} rdata") from error


def _escaped(match: re.Match[str]) -> str:
    return f"\\{ord(match[1]):03d}" if match[1] else match[0]
