"""What a read of the zone shows, in registration's terms. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dnssd.errors import MalformedRecord, NotShareable
from dnssd.members import HostRecord, Member
from dnssd.names import Name
from dnssd.records import Ptr, Rdata, Srv, Txt
from dnssd.rrsets import RRset


@dataclass(frozen=True, slots=True)
class InstanceView:
    """One listing from a service instance's name.

    Attributes:
        name: The service instance name.
        srv: The SRV RRset, None if nobody offers the instance.
        txt: Its TXT RRset.
        members: Each member by its label, with the RRset of its record.
        others: Everything else at or below the name, in the zone's order.
    """

    name: Name
    srv: RRset | None
    txt: RRset | None
    members: Mapping[str, tuple[Member, RRset]]
    others: tuple[RRset, ...]

    @classmethod
    def of(cls, name: Name, rrsets: Iterable[RRset]) -> "InstanceView":
        """Sort out what a listing from `name` shows."""
        own: dict[str, RRset] = {}
        members: dict[str, tuple[Member, RRset]] = {}
        others = []
        for rrset in rrsets:
            member = _member(name, rrset)
            if member:
                members[member.label] = member, rrset
            elif rrset.name == name and rrset.rdtype in ("SRV", "TXT") and not rrset.kind:
                own[rrset.rdtype] = rrset
            else:
                others.append(rrset)
        return cls(
            name=name,
            srv=own.get("SRV"),
            txt=own.get("TXT"),
            members=MappingProxyType(members),
            others=tuple(others),
        )

    @property
    def rrsets(self) -> tuple[RRset, ...]:
        """Everything at or below the name."""
        own = (rrset for rrset in (self.srv, self.txt) if rrset)
        return (*own, *(record for _, record in self.members.values()), *self.others)

    @property
    def values(self) -> tuple[Rdata, ...]:
        """The SRV RRset's values."""
        return self.srv.values if self.srv else ()

    def publishes(self, member: Member) -> bool:
        """Whether the SRV RRset holds a value of this member, of whatever weight."""
        return any(member.claims(value) for value in self.values)

    @property
    def unexplained(self) -> tuple[Rdata, ...]:
        """Values that no member claims: foreign ones, never touched."""
        members = [member for member, _ in self.members.values()]
        return tuple(v for v in self.values if not any(m.claims(v) for m in members))

    @property
    def doubled(self) -> tuple[Rdata, ...]:
        """Values that share their target and port with another one."""
        places = Counter((v.target, v.port) for v in self.values if isinstance(v, Srv))
        return tuple(v for v in self.values if isinstance(v, Srv) and places[v.target, v.port] > 1)

    def check(self) -> None:
        """Refuse an instance whose records are of a kind that cannot be shared.

        Raises:
            NotShareable: A CNAME, or an alias, weighted or multivalue SRV or TXT at the name.
        """
        for rrset in self.others:
            if rrset.name == self.name and rrset.rdtype in ("CNAME", "SRV", "TXT"):
                what = f"{_article(rrset.kind)} {rrset.kind}" if rrset.kind else "a"
                raise NotShareable(
                    f"{self.name}: there is {what} record of type {rrset.rdtype} at this name, "
                    "which cannot be shared; remove it, or use another instance name"
                )


@dataclass(frozen=True, slots=True)
class HostView:
    """What stands at a host's name.

    Attributes:
        name: The host's name.
        origin: The zone's apex, which names in the host record are relative to.
        record: The host record, with its RRset; None if there is none.
        addresses: The A and AAAA RRsets by type.
        others: Everything else at the name.
    """

    name: Name
    origin: Name
    record: tuple[HostRecord, RRset] | None
    addresses: Mapping[str, RRset]
    others: tuple[RRset, ...]

    @classmethod
    def of(cls, name: Name, rrsets: Iterable[RRset], origin: Name) -> "HostView":
        """Sort out the RRsets at `name` in the zone at `origin`."""
        record, addresses, others = None, {}, []
        for rrset in rrsets:
            parsed = _host_record(rrset, origin)
            if parsed:
                record = parsed, rrset
            elif rrset.rdtype in ("A", "AAAA") and not rrset.kind:
                addresses[rrset.rdtype] = rrset
            else:
                others.append(rrset)
        return cls(name, origin, record, MappingProxyType(addresses), tuple(others))


@dataclass(frozen=True, slots=True)
class DefinitionView:
    """The PTR RRsets that make a service and an instance known; None where there is none."""

    service: RRset | None
    enumeration: RRset | None

    @classmethod
    def of(cls, rrsets: Iterable[RRset], service: Name, enumeration: Name) -> "DefinitionView":
        """Pick them out of what was read.

        Raises:
            NotShareable: An alias stands where one of them is to be.
        """
        found = {r.name: r for r in rrsets if r.rdtype in ("PTR", "CNAME")}
        pair = found.get(service), found.get(enumeration)
        for rrset in pair:
            if rrset is not None and rrset.rdtype == "CNAME":
                raise NotShareable.by_cname(rrset.name)
        return cls(*pair)


def holds_pointer(rrset: RRset | None, target: Name) -> bool:
    """Whether a PTR RRset points to `target`."""
    return rrset is not None and Ptr(target) in rrset.values


def _member(instance: Name, rrset: RRset) -> Member | None:
    txt = _single_txt(rrset)
    if txt is None or rrset.name == instance or rrset.name.parent != instance:
        return None
    try:
        return Member.from_txt(rrset.name.labels[0], txt)
    except MalformedRecord:
        return None


def _host_record(rrset: RRset, origin: Name) -> HostRecord | None:
    txt = _single_txt(rrset)
    if txt is None:
        return None
    try:
        return HostRecord.from_txt(txt, origin)
    except MalformedRecord:
        return None


def _single_txt(rrset: RRset) -> Txt | None:
    if rrset.rdtype != "TXT" or rrset.kind or len(rrset.values) != 1:
        return None
    value = rrset.values[0]
    return value if isinstance(value, Txt) else None


def _article(word: str) -> str:
    return "an" if word[0].lower() in "aeiou" else "a"
