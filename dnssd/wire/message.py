"""A DNS message as frozen values (RFC 1035 section 4)."""

from typing import NamedTuple

from dnssd.names import Name
from dnssd.records import Address, Ptr, Srv, Txt

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
BADVERS = 16  # RFC 6891
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
NUMBERS = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "TXT": 16, "AAAA": 28, "SRV": 33}


class MalformedMessage(Exception):
    """Bytes that are no DNS message; the text says why."""


class Record(NamedTuple):
    """One resource record of class IN.

    Attributes:
        name: The owner.
        rdtype: `A`, `AAAA`, `CNAME`, `PTR`, `SRV`, `TXT`, `SOA` or `NS`.
        ttl: Seconds; 0 where the packet has more than 2**31 - 1 (RFC 2181 section 8).
        data: The alias for CNAME; for SOA its minimum, in seconds; None for NS.
    """

    name: Name
    rdtype: str
    ttl: int
    data: Ptr | Srv | Txt | Address | Name | int | None


class Message(NamedTuple):
    """What a response says, less what this package has no use for.

    Attributes:
        id: As in the query that it answers.
        rcode: The response code, extended by EDNS if there is an OPT record.
        truncated: Whether it was cut to fit a packet (TC).
        question: What was asked, if it repeats that: the name, and the type by number.
        answer: The records of each section; records of other types and classes are left out.
        authority: Likewise.
        additional: Likewise, without OPT.
        validated: Whether the server says that it has validated the answer (AD).
    """

    id: int
    rcode: int
    truncated: bool
    question: tuple[Name, int] | None
    answer: tuple[Record, ...]
    authority: tuple[Record, ...]
    additional: tuple[Record, ...]
    validated: bool = False
