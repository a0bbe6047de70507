"""What a DNS message answers, as records; all that is not understood is left out."""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from dnssd.names import Name
from dnssd.records import MAX_TTL, Address, Ptr, Rdata, RRset, Srv, Txt


class NoAnswer(Exception):
    """A message that leaves its question open; the text says what it is instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one message says about a name and a type.

    Attributes:
        values: The rdata; empty if there is none of that type.
        ttl: The smallest of it and of the aliases passed, in seconds.
        alias: The name that is to be asked for instead, if it is an alias.
        signed: Whether a negative answer carries the SOA record that makes it one
            (RFC 2308 section 2.2).
        additional: Address RRsets that came with it.
    """

    values: tuple[Rdata, ...]
    ttl: int = MAX_TTL
    alias: Name | None = None
    signed: bool = True
    additional: tuple[RRset, ...] = ()


def read_answer(message: dns.message.Message) -> Answer:
    """Read the response to a question.

    Raises:
        NoAnswer: An error, a referral, or not well formed.
    """
    if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise NoAnswer(dns.rcode.to_text(message.rcode()))
    if message.flags & dns.flags.TC:
        raise NoAnswer("an answer cut short")
    if not isinstance(message, dns.message.QueryMessage):
        raise NoAnswer("no answer to a question")
    try:
        chain = message.resolve_chaining()
    except dns.exception.DNSException as error:
        raise NoAnswer(f"a malformed answer ({type(error).__name__})") from error
    ttl = min(map(_ttl, chain.cnames), default=MAX_TTL)
    if chain.answer is not None:
        additional = tuple(_addresses(message.additional))
        return Answer(_values(chain.answer), min(ttl, _ttl(chain.answer)), additional=additional)
    authority = {rrset.rdtype for rrset in message.authority}
    if dns.rdatatype.SOA in authority:
        return Answer((), ttl)
    if chain.cnames and message.rcode() == dns.rcode.NOERROR:
        return Answer((), ttl, alias=read_name(chain.canonical_name))
    if dns.rdatatype.NS in authority:
        raise NoAnswer("a referral")
    return Answer((), ttl, signed=False)


def read_name(name: dns.name.Name) -> Name:
    """An absolute name of dnspython as one of ours: the same labels but the root's."""
    return Name(name.labels[:-1])


def _addresses(additional: Iterable[dns.rrset.RRset]) -> Iterable[RRset]:
    for rrset in additional:
        kind = dns.rdatatype.to_text(rrset.rdtype)
        if kind in ("A", "AAAA") and rrset.rdclass == dns.rdataclass.IN:
            yield RRset(read_name(rrset.name), kind, _ttl(rrset), _values(rrset))


def _ttl(rrset: dns.rrset.RRset) -> int:
    return rrset.ttl if rrset.ttl <= MAX_TTL else 0  # RFC 2181 section 8


def _values(rrset: dns.rrset.RRset) -> tuple[Rdata, ...]:
    read = _READERS[dns.rdatatype.to_text(rrset.rdtype)]
    return tuple(read(rdata) for rdata in rrset)


_READERS: dict[str, Callable[[Any], Rdata]] = {
    "PTR": lambda rdata: Ptr(read_name(rdata.target)),
    "SRV": lambda rdata: Srv(rdata.priority, rdata.weight, rdata.port, read_name(rdata.target)),
    "TXT": lambda rdata: Txt(tuple(rdata.strings)),
    "A": lambda rdata: Address(ipaddress.IPv4Address(rdata.address)),
    "AAAA": lambda rdata: Address(ipaddress.IPv6Address(rdata.address)),
}
