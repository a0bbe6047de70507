"""The plain name of an instance, on request: where programs ask that know SRV and no DNS-SD.

    _http._tcp.web.example.com CNAME web._http._tcp.example.com

One static record, so that no join or leave writes it again. It is not written where anything
stands at that name, where clients are led past it, or where `web.example.com` has its answers
from a wildcard: a record below that name would end them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from dnssd.deadline import Deadline
from dnssd.errors import Conflict, DnssdError, MalformedName, OutcomeUnknown
from dnssd.names import Name, shown
from dnssd.records import Opaque, Ptr
from dnssd.registration.wish import Wish, is_plain
from dnssd.rrsets import Change, RRset
from dnssd.services import instance_text
from dnssd.wire.blocking import ask
from dnssd.wire.nameservers import NameServer
from dnssd.wire.system_servers import system_nameservers
from dnssd.zones.base import Question, Zone

SHORTEST, LONGEST = 5.0, 20.0  # seconds that it may take: the join is done and has its result
DNS_SECONDS = 1.0  # to wait for an answer that saves two requests

_FEW = 4  # instances whose plain names are asked for one by one; of more the zone is listed
_LEADS_AWAY = {
    "NS": "it is delegated to other name servers, and clients ask those",
    "DNAME": "its DNAME record sends clients elsewhere",
}
_OF_NODES = ("A", "AAAA", "CNAME", "DNAME", "MX", "NS", "SRV", "TXT")  # what may be in the way

State = Literal["written", "there", "not written"]


@dataclass(frozen=True, slots=True)
class PlainName:
    """What stands where, and what it leads to.

    Attributes:
        name: `_http._tcp.web.example.com`.
        instance: `web._http._tcp.example.com`.
        above: `web.example.com` and the name between: who is sent away there does not find it.
    """

    name: Name
    instance: Name
    above: tuple[Name, Name]

    @classmethod
    def of(cls, instance: Name, origin: Name) -> Self:
        """The plain name of a service instance in the zone at `origin`."""
        label, service, protocol, *_ = instance.labels
        host = origin.child(label)
        middle = host.child(protocol)
        return cls(middle.child(service), instance, (host, middle))

    @property
    def questions(self) -> tuple[Question, ...]:
        """What to ask for where nothing lists what stands below a name."""
        names = (*self.above, self.name, self.above[0].child(b"*"))
        return tuple((name, rdtype) for name in names for rdtype in _OF_NODES)

    def change(self, ttl: int) -> Change:
        """The bare creation of the record."""
        value = Opaque("CNAME", Ptr(self.instance).format())
        return Change(None, RRset(self.name, "CNAME", ttl, (value,)))

    def is_said_by(self, rrset: RRset) -> bool:
        """Whether an RRset is the record."""
        if (rrset.name, rrset.rdtype, rrset.kind) != (self.name, "CNAME", None):
            return False
        try:
            return [Name.parse(text) for text in rrset.texts()] == [self.instance]
        except MalformedName:
            return False

    def obstacle(self, found: Iterable[RRset]) -> str | None:
        """Why it must not be written, by what stands at and below `web.example.com`."""
        for rrset in found:
            if rrset.name == self.name:
                values = " ".join(rrset.texts()) or rrset.kind or ""
                return f"there is {rrset.rdtype} {shown(values)} at this name"
            if rrset.name in self.above and rrset.rdtype in _LEADS_AWAY:
                return f"{rrset.name}: {_LEADS_AWAY[rrset.rdtype]}"
        return None


@dataclass(frozen=True, slots=True)
class Told:
    """What is so of a plain name.

    Attributes:
        name: The plain name.
        state: Whether it was written, was there, or was not written.
        why: What is in the way, or why it may not be served yet; None for nothing.
    """

    name: Name
    state: State
    why: str | None = None


def write(
    zone: Zone,
    wish: Wish,
    nameservers: Sequence[str] | None,
    deadline: Deadline,
    *,
    wait: bool = False,
) -> Told:
    """Have the plain name there, if that does no harm; a failure is told and not raised.

    Args:
        zone: Where.
        wish: Whose instance it leads to, and with which TTL.
        nameservers: HOST[:PORT] each, which may know that it is there; none for those of the
            system. None to ask nobody: what DNS is asked for too early it remembers as absent.
        deadline: When the join was to give up; a few seconds are left in any case.
        wait: Return only once it is being served.
    """
    plain = PlainName.of(wish.name, wish.origin)
    deadline = Deadline(min(LONGEST, max(SHORTEST, deadline.remaining)))
    if nameservers is not None and _is_served(plain, nameservers):
        return Told(plain.name, "there")
    try:
        if (told := look(zone, plain, deadline)) is not None:
            return told
        return _create(zone, plain, wish.new_ttl, deadline, wait=wait)
    except DnssdError as error:
        return Told(plain.name, "not written", str(error))


def look(zone: Zone, plain: PlainName, deadline: Deadline) -> Told | None:
    """What keeps it from being written, if it is not there; None if nothing does. Reads only.

    Raises:
        DnssdError: The zone cannot be read, or the name is delegated away.
    """
    host, _ = plain.above
    lists = zone.traits.lists
    found = zone.read_below(host, deadline) if lists else zone.read_many(plain.questions, deadline)
    if any(map(plain.is_said_by, found)):
        return Told(plain.name, "there")
    why = plain.obstacle(found)
    if why is None and not found and zone.is_answered_by_wildcard(host, deadline):
        wildcard = host.parent.child(b"*")
        why = f"{wildcard} answers for {host}, and would not any more with a record below it"
    return None if why is None else Told(plain.name, "not written", why)


def plain_names(zone: Zone, instances: Iterable[Name], deadline: Deadline) -> Mapping[Name, Told]:
    """What stands at the plain names of service instances, where anything does.

    Raises:
        ZoneError: The provider said no.
    """
    plains = [
        PlainName.of(n, zone.origin) for n in instances if is_plain(instance_text(n.labels[0]))
    ]
    if zone.traits.merges or len(plains) <= _FEW:
        found = zone.read_many([(p.name, "CNAME") for p in plains], deadline) if plains else ()
    else:
        found = zone.read_below(zone.origin, deadline)
    at = {rrset.name: rrset for rrset in found if rrset.rdtype == "CNAME"}
    return {p.instance: _told(p, at[p.name]) for p in plains if p.name in at}


def plain_record(zone: Zone, instance: Name, deadline: Deadline) -> RRset | None:
    """The record that leads to an instance by its plain name; None where nothing says just that.

    Raises:
        ZoneError: The provider said no.
    """
    if not is_plain(instance_text(instance.labels[0])):
        return None
    plain = PlainName.of(instance, zone.origin)
    rrset = zone.read(plain.name, "CNAME", deadline)
    return rrset if rrset and plain.is_said_by(rrset) else None


def _told(plain: PlainName, rrset: RRset) -> Told:
    if plain.is_said_by(rrset):
        return Told(plain.name, "there")
    return Told(plain.name, "not written", plain.obstacle([rrset]))


def _is_served(plain: PlainName, nameservers: Sequence[str]) -> bool:
    try:
        servers = NameServer.parse_all(nameservers) or system_nameservers()
        return ask(servers, plain.name, "SRV", DNS_SECONDS).via == plain.instance
    except DnssdError:
        return False  # the zone itself will tell


def _create(zone: Zone, plain: PlainName, ttl: int, deadline: Deadline, *, wait: bool) -> Told:
    """Write it, once; what becomes of that is judged by reading again.

    Raises:
        DnssdError: It was not written, or nobody knows.
    """
    try:
        commit = zone.commit([plain.change(ttl)], deadline)
    except (Conflict, OutcomeUnknown) as error:
        told = look(zone, plain, deadline)
        if told is None:
            raise
        lost = isinstance(error, OutcomeUnknown) and told.state == "there"
        return Told(plain.name, "written") if lost else told
    why = None
    if wait:
        try:
            zone.wait_served(commit, deadline)
        except DnssdError as error:
            why = str(error)
    return Told(plain.name, "written", why)
