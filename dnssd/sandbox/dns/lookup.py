"""Finding records in zones: closest zone, zone cuts, wildcards, CNAMEs, Route 53's routing."""

import random
from collections.abc import Iterable, Sequence
from itertools import groupby

from dnssd.names import Name
from dnssd.sandbox.api.batch import node
from dnssd.sandbox.api.hostedzones import Zone
from dnssd.sandbox.api.rrsets import Entry
from dnssd.sandbox.dns import packets
from dnssd.sandbox.dns.packets import Answer, Rcode, Record, read_name
from dnssd.sandbox.dns.rdata import type_number, wire_rdata

MAX_HOPS = 8  # names that one question is led through by CNAMEs
MAX_ALIASES = 3  # that lead to one another
MAX_MULTIVALUE = 8  # multivalue RRsets that Route 53 shows in an answer

_HOST_AT = {packets.SRV: 6, packets.NS: 0}  # octets of rdata before the name of a host


class Lookup:
    """Answers from zones as they are at one moment.

    Args:
        zones: What the server is authoritative for.
        rng: Shuffles values, and chooses where routing leaves a choice.
    """

    def __init__(self, zones: Sequence[Zone], rng: random.Random) -> None:
        self._zones = zones
        self._rng = rng

    def answer(self, name: Name, rdtype: str) -> Answer:
        """What the zones say of `name`, without additional data.

        Args:
            name: In a zone or not; the answer repeats its case.
            rdtype: A mnemonic, or `ANY` for all that is there.

        Raises:
            MalformedRecord: A value to be given is not what its type asks for.
        """
        found: tuple[Record, ...] = ()
        seen: set[Name] = set()
        while name not in seen and len(seen) < MAX_HOPS:
            seen.add(name)
            zone = find_zone(self._zones, name)
            if zone is None:
                break
            if cut := self._cut(zone, name):
                return Answer(authoritative=bool(found), answer=found, authority=cut)
            entries = find_node(zone, name)
            if entries is None:
                return Answer(Rcode.NXDOMAIN, True, answer=found, authority=self._soa(zone))
            if records := self._records(zone, name, entries, rdtype):
                return Answer(authoritative=True, answer=found + records)
            cname = self._records(zone, name, entries, "CNAME")
            if not cname:
                return Answer(authoritative=True, answer=found, authority=self._soa(zone))
            found += cname
            name, _ = read_name(cname[0].rdata, 0)
        # Either what a CNAME leads to is another server's, or CNAMEs lead in a circle.
        return Answer(authoritative=True, answer=found) if found else Answer(Rcode.REFUSED)

    def additional(self, said: Answer) -> tuple[Record, ...]:
        """The addresses, where known, of the hosts that SRV and NS records in `said` name.

        Raises:
            MalformedRecord: A value to be given is not what its type asks for.
        """
        hosts = {
            read_name(record.rdata, _HOST_AT[record.rdtype])[0]: None
            for record in said.answer + said.authority
            if record.rdtype in _HOST_AT
        }
        records: list[Record] = []
        for host in hosts:
            if (zone := find_zone(self._zones, host)) and (entries := find_node(zone, host)):
                for rdtype in ("A", "AAAA"):
                    records += self._records(zone, host, entries, rdtype)
        return tuple(records)

    def _cut(self, zone: Zone, name: Name) -> tuple[Record, ...]:
        """The NS records that delegate `name` or what it is in (RFC 1034 section 4.3.2)."""
        for number in reversed(range(len(name.labels) - len(zone.origin.labels))):
            domain = Name(name.labels[number:])
            if records := self._records(zone, domain, tuple(node(zone.entries, domain)), "NS"):
                return records
        return ()

    def _soa(self, zone: Zone) -> tuple[Record, ...]:
        """What a negative answer shows, its TTL saying how long it holds (RFC 2308 section 3)."""
        records = self._records(zone, zone.origin, find_node(zone, zone.origin) or (), "SOA")
        return tuple(soa._replace(ttl=min(soa.ttl, _soa_minimum(soa))) for soa in records)

    def _records(
        self, zone: Zone, owner: Name, entries: Iterable[Entry], rdtype: str
    ) -> tuple[Record, ...]:
        """The records that answer a question for `rdtype`, given what stands at `owner`."""
        records: list[Record] = []
        for present, same in groupby(entries, key=lambda entry: entry.rdtype):
            if rdtype in (present, "ANY"):
                chosen = list(records_of(owner, self._followed(zone, self._chosen(tuple(same)))))
                self._rng.shuffle(chosen)
                records += chosen
        return tuple(records)

    def _chosen(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Of the entries of one name and type those to be shown; all count as healthy."""
        match entries[0].routing.kinds:
            case ():
                return entries
            case ("multivalue",):
                return self._rng.sample(entries, min(len(entries), MAX_MULTIVALUE))
            case ("weighted",):
                weights = [entry.routing.weight or 0 for entry in entries]
                return self._rng.choices(entries, weights if any(weights) else None)
            case ("failover",):
                return sorted(entries, key=lambda entry: entry.routing.failover != "PRIMARY")[:1]
            case _:  # by where the client is, which only Route 53 knows
                return [self._rng.choice(entries)]

    def _followed(
        self, zone: Zone, entries: Iterable[Entry], left: int = MAX_ALIASES
    ) -> list[Entry]:
        """`entries`, with those that aliases of the same zone lead to in the aliases' place."""
        followed: list[Entry] = []
        for entry in entries:
            alias = entry.routing.alias
            if alias is None:
                followed.append(entry)
            elif left and alias.target.is_below(zone.origin):
                there = find_node(zone, alias.target) or ()
                if same := [other for other in there if other.rdtype == entry.rdtype]:
                    followed += self._followed(zone, self._chosen(same), left - 1)
        return followed


def find_zone(zones: Iterable[Zone], name: Name) -> Zone | None:
    """The zone that `name` is in: the closest one, of two with one origin the public one."""
    holding = [zone for zone in zones if name.is_below(zone.origin)]
    return max(holding, key=lambda zone: (len(zone.origin.labels), not zone.private), default=None)


def find_node(zone: Zone, name: Name) -> tuple[Entry, ...] | None:
    """What stands at `name`, or at the wildcard that covers it (RFC 4592 section 3.3.1).

    Returns:
        No entries where only something below the name exists; None where nothing does.
    """
    found = _exact_node(zone, name)
    while found is None:
        name = name.parent
        if _exact_node(zone, name) is not None:  # the closest encloser; the origin is the last
            return _exact_node(zone, name.child(b"*"))
    return found


def records_of(owner: Name, entries: Iterable[Entry]) -> tuple[Record, ...]:
    """The records of `entries`, as if they stood at `owner`; an alias has none.

    Raises:
        MalformedRecord: A value that is not what its type asks for.
    """
    records: list[Record] = []
    for entry in entries:
        rdtype, ttl = type_number(entry.rdtype), entry.rrset.ttl
        records += [Record(owner, rdtype, ttl, wire_rdata(value)) for value in entry.rrset.values]
    return tuple(records)


def _exact_node(zone: Zone, name: Name) -> tuple[Entry, ...] | None:
    entries = tuple(node(zone.entries, name))
    exists = entries or name == zone.origin or zone.has_below(name)
    return entries if exists else None


def _soa_minimum(soa: Record) -> int:
    return int.from_bytes(soa.rdata[-4:], "big")
