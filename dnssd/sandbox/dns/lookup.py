"""Finding records in hosted zones: closest zone, zone cuts, wildcards, CNAMEs.

Names are looked up by their listing key, in which each ancestor of a name is a beginning of
it (`dnssd.sandbox.api.rrsets.listing_key`).
"""

import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import BinaryIO, NamedTuple

import dns.name
import dns.rdataclass
import dns.rdatatype
from dns.rcode import Rcode

from dnssd.sandbox.api.hostedzones import HostedZone
from dnssd.sandbox.api.rdata import wire_rdata
from dnssd.sandbox.api.rrsets import HostedRRset, listing_key

_IN = int(dns.rdataclass.IN)
MAX_HOPS = 8  # names that one question is led through by CNAMEs

RECORD = struct.Struct("!HHIH")  # type, class, TTL, rdata length
_HOST_AT = {"SRV": 6, "NS": 0}  # octets of rdata before the name of a host
_WILDCARD = listing_key(b"\1*\0")


class Records(NamedTuple):
    """The records of one name and type."""

    owner: dns.name.Name
    rdtype: str
    ttl: int  # seconds
    values: tuple[bytes, ...]

    def to_wire(self, file: BinaryIO, compress: dns.name.CompressType) -> int:
        """Write them, names in values not compressed; return how many they are."""
        start = type_number(self.rdtype), _IN, self.ttl
        for value in self.values:
            self.owner.to_wire(file, compress)
            file.write(RECORD.pack(*start, len(value)) + value)
        return len(self.values)


Section = tuple[Records, ...]


class Answer(NamedTuple):
    """What an answer says, before it is a packet."""

    rcode: Rcode = Rcode.NOERROR
    authoritative: bool = False
    truncated: bool = False
    answer: Section = ()
    authority: Section = ()
    additional: Section = ()


class Lookup:
    """Answers from zones as they are at one moment.

    Args:
        zones: What the server is authoritative for.
        rng: Shuffles values.
    """

    def __init__(self, zones: Sequence[HostedZone], rng: random.Random) -> None:
        self._zones = zones
        self._rng = rng

    def answer(self, name: dns.name.Name, rdtype: str) -> Answer:
        """What the zones say of `name`.

        Args:
            name: In a zone or not; the answer repeats its case.
            rdtype: A mnemonic, or `ANY` for all that is there.
        """
        found: Section = ()
        seen: set[str] = set()
        while (key := key_of(name)) not in seen and len(seen) < MAX_HOPS:
            seen.add(key)
            zone = find_zone(self._zones, name)
            if zone is None:
                break
            if cut := self._cut(zone, name, key):
                return Answer(
                    authoritative=bool(found),
                    answer=found,
                    authority=cut,
                    additional=self._additional(cut),
                )
            rrsets = find_node(zone, key)
            if rrsets is None:
                return Answer(Rcode.NXDOMAIN, True, answer=found, authority=self._soa(zone))
            if records := self._records(name, rrsets, rdtype):
                found += records
                return Answer(
                    authoritative=True, answer=found, additional=self._additional(records)
                )
            cname = self._records(name, rrsets, "CNAME")
            if not cname:
                return Answer(authoritative=True, answer=found, authority=self._soa(zone))
            found += cname
            name, _ = dns.name.from_wire(cname[0].values[0], 0)
        # Either what a CNAME leads to is another server's, or CNAMEs lead in a circle.
        return Answer(authoritative=True, answer=found) if found else Answer(Rcode.REFUSED)

    def _additional(self, section: Section) -> Section:
        """The addresses, where known, of the hosts that SRV and NS records name."""
        hosts = {
            dns.name.from_wire(value, _HOST_AT[records.rdtype])[0]: None
            for records in section
            if records.rdtype in _HOST_AT
            for value in records.values
        }
        found: Section = ()
        for host in hosts:
            zone = find_zone(self._zones, host)
            rrsets = find_node(zone, key_of(host)) if zone else None
            for rdtype in ("A", "AAAA"):
                found += self._records(host, rrsets or (), rdtype)
        return found

    def _cut(self, zone: HostedZone, name: dns.name.Name, key: str) -> Section:
        """The NS records that delegate `name` or what it is in (RFC 1034 section 4.3.2)."""
        depth, at = len(zone.origin.labels) + 1, len(zone_key(zone))
        while at < len(key):
            depth, at = depth + 1, key.index(".", at) + 1
            owner = dns.name.Name(name.labels[-depth:])
            if records := self._records(owner, zone.at(key[:at]), "NS"):
                return records
        return ()

    def _soa(self, zone: HostedZone) -> Section:
        """What a negative answer shows, its TTL saying how long it holds (RFC 2308 section 3)."""
        owner = dns.name.Name((*zone.origin.labels, b""))
        (soa,) = self._records(owner, zone.at(zone_key(zone)), "SOA")
        minimum = int.from_bytes(soa.values[0][-4:], "big")
        return (soa._replace(ttl=min(soa.ttl, minimum)),)

    def _records(self, owner: dns.name.Name, rrsets: Iterable[HostedRRset], rdtype: str) -> Section:
        """The records that answer a question for `rdtype`, given what stands at `owner`.

        Of several RRsets with routing the first is shown; an alias has nothing to show.
        """
        asked = (rrset for rrset in rrsets if rrset.texts and rdtype in (rrset.rdtype, "ANY"))
        found = []
        for _, same in groupby(asked, key=attrgetter("rdtype")):
            records = records_of(owner, next(same))
            if (count := len(records.values)) > 1:
                values = self._rng.sample(records.values, count)
                records = records._replace(values=tuple(values))
            found.append(records)
        return tuple(found)


def records_of(owner: dns.name.Name, rrset: HostedRRset) -> Records:
    """The records of `rrset`, as if they stood at `owner`."""
    values = tuple(wire_rdata(rrset.rdtype, text).octets for text in rrset.texts)
    return Records(owner, rrset.rdtype, rrset.ttl, values)


def find_zone(zones: Iterable[HostedZone], name: dns.name.Name) -> HostedZone | None:
    """The zone that `name` is in: the closest one, of two with one origin the public one."""
    key = key_of(name)
    holding = [zone for zone in zones if key.startswith(zone_key(zone))]
    return max(holding, key=lambda zone: (len(zone.origin.labels), not zone.private), default=None)


def find_node(zone: HostedZone, key: str) -> tuple[HostedRRset, ...] | None:
    """What stands at the name with this key, or at the wildcard that covers it.

    Returns:
        No RRsets where only something below the name exists; None where nothing does.

    Source: RFC 4592 section 3.3.1.
    """
    if zone.exists(key):
        return zone.at(key)
    for encloser in _ancestors(key):
        if zone.exists(encloser):  # the closest one; the origin is the last
            key = encloser + _WILDCARD
            return zone.at(key) if zone.exists(key) else None
    return None


def key_of(name: dns.name.Name) -> str:
    """The listing key of a name out of a packet."""
    octets = b"".join(bytes((len(label),)) + label for label in name.labels)
    return listing_key(octets.lower())


def zone_key(zone: HostedZone) -> str:
    """The listing key of a zone's origin."""
    return listing_key(zone.origin.key)


@lru_cache
def type_number(rdtype: str) -> int:
    """The number of a type that a hosted zone can hold."""
    return int(dns.rdatatype.from_text(rdtype))


@lru_cache
def type_text(number: int) -> str:
    """The mnemonic of a type, `TYPE65280` where it has none."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(number))


def _ancestors(key: str) -> Iterator[str]:
    while key:
        key = key[: key.rfind(".", 0, -1) + 1]
        yield key
