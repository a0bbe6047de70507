"""Questions and updates as messages, and what answers hold (RFC 1035, RFC 2136). Pure.

An own RRset is an exact swap: the prerequisite is what was read, value for value, or its
absence. Of a shared RRset single values are added and deleted, and the rest stays. And no name
that is written may be an alias: BIND and Knot would drop that record and say NOERROR. What becomes
an alias must have no record of another type, for the same reason.
"""

from collections.abc import Iterable, Sequence

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update

from dnssd.names import Name
from dnssd.records import parse_rdata
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Question
from dnssd.zones.rfc2136.keyfile import Key
from dnssd.zones.rfc2136.updates import Update

BRIM = 8  # values below a limit from where on a shared RRset is swapped as a whole

# What a server says about data, as opposed to what it says about itself or the request.
_ANSWERS = frozenset(
    (
        dns.rcode.NOERROR,
        dns.rcode.NXDOMAIN,
        dns.rcode.YXDOMAIN,
        dns.rcode.YXRRSET,
        dns.rcode.NXRRSET,
    )
)


class NoAnswer(Exception):
    """What came is not an answer to the request."""


def question(name: Name, rdtype: str) -> dns.message.Message:
    """Ask for one RRset, of the server itself."""
    message = dns.message.make_query(dns_name(name), rdtype)
    message.flags &= ~dns.flags.RD
    return message


def exists(origin: Name, name: Name, rdtype: str) -> dns.update.UpdateMessage:
    """Ask whether an RRset really stands there: a prerequisite sees no wildcard."""
    message = dns.update.UpdateMessage(dns_name(origin))
    message.present(dns_name(name), rdtype)
    return message


def update(
    origin: Name, changes: Sequence[Change], absent: Iterable[Question] = (), *, limit: int
) -> Update:
    """All `changes` in one update.

    Args:
        origin: The zone's apex.
        changes: Own ones are exact swaps; of shared ones, single values.
        absent: What must not stand there.
        limit: Values that an RRset holds. Close to it nobody adds to an RRset that has
            grown since it was read.
    """
    message = Update(origin)
    for name, rdtype in absent:
        message.needs_none(name, rdtype)
    for name in dict.fromkeys(change.name for change in changes if not _only_removes(change)):
        message.needs_none(name, "CNAME")
    for change in changes:
        if change.shared:
            _share(message, change, limit)
        else:
            _swap(message, change)
    return message


def read(
    wire: bytes, request: dns.message.Message, key: dns.tsig.Key | None
) -> dns.message.Message:
    """Read the answer to a request.

    What says something about data has to be signed, if the request was. An error is taken
    as it comes: the worst it can do is to be believed.

    Raises:
        NoAnswer: It is to another request, or not signed.
        DNSException: It is not a message, or its signature does not hold.
    """
    keyring = key if dns.rcode.from_flags(int.from_bytes(wire[2:4]), 0) in _ANSWERS else None
    answer = dns.message.from_wire(
        wire, keyring=keyring or False, request_mac=request.mac if keyring else b""
    )
    if keyring and not answer.had_tsig:
        raise NoAnswer("an answer that is not signed")
    if not request.is_response(answer):
        raise NoAnswer("an answer to another question")
    return answer


def rrsets(answer: dns.message.Message, name: Name) -> tuple[RRset, ...]:
    """The RRsets of an answer that stand at `name`: what was asked for, or an alias."""
    return tuple(
        RRset(name, rdtype, found.ttl, tuple(parse_rdata(rdtype, v.to_text()) for v in found))
        for found in answer.answer
        if found.rdclass == dns.rdataclass.IN and _our_name(found.name) == name
        for rdtype in [dns.rdatatype.to_text(found.rdtype)]
    )


def soa_owner(answer: dns.message.Message) -> Name | None:
    """Whose zone a negative answer is from."""
    return _owner(answer, dns.rdatatype.SOA)


def referral(answer: dns.message.Message) -> Name | None:
    """The name that the server has delegated away, if the answer says that."""
    return None if answer.flags & dns.flags.AA else _owner(answer, dns.rdatatype.NS)


def dns_name(name: Name) -> dns.name.Name:
    """A name as dnspython has it."""
    return dns.name.Name((*name.labels, b""))


def dns_key(key: Key | None) -> dns.tsig.Key | None:
    """A key as dnspython has it."""
    if key is None:
        return None
    return dns.tsig.Key(dns_name(key.name), key.secret, key.algorithm)


def _owner(answer: dns.message.Message, rdtype: dns.rdatatype.RdataType) -> Name | None:
    return next((_our_name(r.name) for r in answer.authority if r.rdtype == rdtype), None)


def _our_name(name: dns.name.Name) -> Name:
    return Name(name.labels[:-1])


def _only_removes(change: Change) -> bool:
    return change.after is None or (change.shared and not change.added)


def _swap(message: Update, change: Change) -> None:
    name = change.name
    if change.before is None:  # an alias stands alone, or BIND drops it and says NOERROR
        message.needs_none(name, *((change.rdtype,) if change.rdtype != "CNAME" else ()))
    else:
        message.needs(name, change.before.values)
        if not change.is_guard:
            message.remove_all(name, change.rdtype)
    if change.after is not None and not change.is_guard:
        message.put(name, change.after.ttl, change.after.values)


def _share(message: Update, change: Change, limit: int) -> None:
    name, new = change.name, change.added
    if gone := change.removed:
        message.remove(name, gone)
    if not new or change.after is None:
        return
    if change.before is not None:
        if len(change.after.values) > limit - BRIM:
            message.needs(name, change.before.values)
        if change.before.ttl != change.after.ttl:
            message.remove(name, new)  # added anew, they bring their TTL along
    message.put(name, change.after.ttl, new)
