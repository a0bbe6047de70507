"""INTERIM: to be overwritten by the owner of this file."""
import ipaddress
import dns.message, dns.rdatatype, dns.flags, dns.exception, dns.rdataclass
from dnssd.names import Name
from dnssd.records import Srv, Ptr, Txt, Address
from dnssd.wire.message import Message, Record, MalformedMessage
def _n(n): return Name(n.labels[:-1])
_R = {"PTR": lambda r: Ptr(_n(r.target)), "SRV": lambda r: Srv(r.priority, r.weight, r.port, _n(r.target)),
 "TXT": lambda r: Txt(tuple(r.strings)), "A": lambda r: Address(ipaddress.IPv4Address(r.address)),
 "AAAA": lambda r: Address(ipaddress.IPv6Address(r.address)), "CNAME": lambda r: _n(r.target), "SOA": lambda r: r.minimum, "NS": lambda r: None}
def read_message(data: bytes) -> Message:
    try:
        m = dns.message.from_wire(data)
    except Exception as e:
        raise MalformedMessage(str(e)) from e
    def sec(s):
        return tuple(Record(_n(rs.name), dns.rdatatype.to_text(rs.rdtype), rs.ttl, _R[dns.rdatatype.to_text(rs.rdtype)](r)) for rs in s if dns.rdatatype.to_text(rs.rdtype) in _R for r in rs)
    q = m.question[0] if m.question else None
    return Message(m.id, m.rcode(), bool(m.flags & dns.flags.TC), (_n(q.name), int(q.rdtype)) if q is not None else None, sec(m.answer), sec(m.authority), sec(m.additional))
