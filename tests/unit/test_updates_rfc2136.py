"""UPDATE messages on the wire: dnspython reads what was meant."""

import dns.exception
import dns.message
import dns.rcode
import dns.rrset
import dns.tsig
import dns.update
import pytest

from dnssd.names import Name
from dnssd.records import Address, Opaque, Ptr, Rdata, Srv, Txt
from dnssd.zones.rfc2136.updates import Update

ORIGIN = Name.parse("example.test")
HOST = ORIGIN.child(b"h")
KEY = dns.tsig.Key("k.", b"secret", "hmac-sha256")
VALUES = [
    Txt((b"a=1", b"", bytes(range(256))[:255])),
    Txt(()),
    Srv(1, 2, 3, ORIGIN.child("Ünï \\.".encode())),
    Ptr(ORIGIN.child(b"a.b")),
    Address.parse("10.0.0.1"),
    Address.parse("2001:db8::1"),
    Opaque("CAA", '0 issue "example.net"'),
]


def read(update: Update) -> dns.update.UpdateMessage:
    """The message as another implementation reads it, its signature verified."""
    update.id = 7
    update.use_tsig(KEY)
    wire = update.to_wire(prepend_length=True)
    assert int.from_bytes(wire[:2]) == len(wire) - 2
    found = dns.message.from_wire(wire[2:], keyring=KEY)
    assert isinstance(found, dns.update.UpdateMessage)
    assert (found.id, found.had_tsig) == (7, True)
    return found


def texts(section: list[dns.rrset.RRset]) -> list[str]:
    """A section in the usual form."""
    return [line for rrset in section for line in rrset.to_text().splitlines()]


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_any_value_is_what_dnspython_writes(value: Rdata) -> None:
    """Names and strings of any bytes; a repeated owner is a pointer."""
    update, theirs = Update(ORIGIN), dns.update.UpdateMessage("example.test")
    update.needs_none(HOST, "CNAME")
    update.put(HOST, 60, [value])
    theirs.absent("h", "CNAME")
    theirs.add("h", 60, value.rdtype, value.format())

    found, other = read(update), dns.message.from_wire(theirs.to_wire())

    assert isinstance(other, dns.update.UpdateMessage)
    assert texts(found.update) == texts(other.update)
    assert update.to_wire().count(b"\x01h\x07example") == 1


def test_each_prerequisite_and_change_has_its_class() -> None:
    """RFC 2136 sections 2.4 and 2.5; in the order in which they were given."""
    update = Update(ORIGIN)
    update.needs(HOST, [Address.parse("10.0.0.1")])
    update.needs_none(HOST, "CNAME")
    update.needs_none(ORIGIN.child(b"free"))
    update.remove_all(HOST, "A")
    update.remove(HOST, [Txt((b"x",))])
    update.put(HOST, 60, [Address.parse("10.0.0.2")])

    found = read(update)

    theirs = dns.update.UpdateMessage("example.test")
    theirs.present("h", "A", "10.0.0.1")
    theirs.absent("h", "CNAME")
    theirs.absent("free")
    theirs.delete("h", "A")
    theirs.delete("h", "TXT", "x")
    theirs.add("h", 60, "A", "10.0.0.2")
    other = dns.message.from_wire(theirs.to_wire())
    assert isinstance(other, dns.update.UpdateMessage)
    assert texts(found.prerequisite) == texts(other.prerequisite)
    assert texts(found.update) == texts(other.update)


def test_what_no_message_holds_is_not_sent() -> None:
    """Its length would not fit into two octets."""
    update = Update(ORIGIN)
    for number in range(300):
        update.put(HOST, 60, [Txt((b"x" * 250, str(number).encode()))])
    with pytest.raises(dns.exception.TooBig):
        update.to_wire()
