"""What a registration comes to in one zone: names and values, nothing left to parse."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from dnssd.errors import UsageError
from dnssd.members import Member
from dnssd.names import Name, shown
from dnssd.records import Address, Srv, Txt
from dnssd.services import DEFAULT_INSTANCE, Service, instance_label, parse_host_label

DEFAULT_TTL = 60  # seconds: of what this project writes, where nothing else was there or asked for
_PLAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Wish:
    """A registration in one zone: names and values, nothing left to parse.

    Attributes:
        origin: The zone's apex.
        name: The service instance name.
        service: The name that clients browse: holds PTR records to instances.
        enumeration: Holds PTR records to services.
        label: The member's label below `name`.
        srv: The member's value.
        host: The name that gets `addresses`; None if the target is somebody else's.
        addresses: What it gets.
        owner: Whose member it is.
        former_owners: What the same owner was called by earlier versions.
        ttl: Seconds, None to keep what is there.
        txt: None to keep what is there.
        takeover: Whether another owner's records may be replaced.
        agent: Whether an agent answers for the member.
        lease: Seconds that its record counts for, unless it is renewed; 0 for no end.
        confirm: Whether a member that is as wished is to tell that it still lives.
    """

    origin: Name
    name: Name
    service: Name
    enumeration: Name
    label: str
    srv: Srv
    host: Name | None
    addresses: tuple[Address, ...]
    owner: str
    ttl: int | None
    txt: Txt | None
    takeover: bool
    former_owners: tuple[str, ...] = ()
    agent: bool = False
    lease: int = 0
    confirm: bool = False

    def owns(self, owner: str) -> bool:
        """Whether records of that owner are this host's own."""
        return owner == self.owner or owner in self.former_owners

    def member(self, id: str, since: datetime) -> Member:
        """The member that this wish is for, announced at `since`."""
        return Member(
            label=self.label,
            srv=self.srv,
            addresses=self.addresses,
            owner=self.owner,
            since=since,
            id=id,
            until=since + timedelta(seconds=self.lease) if self.lease else None,
            agent=id if self.agent else "",
        )

    @property
    def record_name(self) -> Name:
        """Where the member record stands."""
        return self.name.child(self.label.encode())

    @property
    def new_ttl(self) -> int:
        """Seconds: the TTL of what was not there before."""
        return DEFAULT_TTL if self.ttl is None else self.ttl

    def undone(self) -> "Departure":
        """The departure that undoes this wish."""
        host, _, port = self.label.rpartition("-")
        host_name = self.origin.child(host.encode())
        return Departure(
            self.origin, self.name, host, host_name, int(port), self.owner, self.former_owners
        )


@dataclass(frozen=True, slots=True)
class Departure:
    """Who leaves which instance.

    Attributes:
        origin: The zone's apex.
        name: The service instance name.
        host: The host's label.
        host_name: The name that may hold its address.
        port: One member only; None for every port of the host.
        owner: Whose members may be removed.
        former_owners: What the same owner was called by earlier versions.
        force: Whether members of every owner may be removed.
    """

    origin: Name
    name: Name
    host: str
    host_name: Name
    port: int | None
    owner: str
    former_owners: tuple[str, ...] = ()
    force: bool = False

    @classmethod
    def of(
        cls,
        origin: Name,
        service: str,
        *,
        instance: str = "default",
        host: str,
        port: int | None = None,
        owner: str = "",
        former_owners: tuple[str, ...] = (),
        force: bool = False,
    ) -> "Departure":
        """Build one; see `Registration` for the arguments.

        Raises:
            UsageError: One of them is not legal; the message names it.
        """
        label = parse_host_label(host)
        if port is not None:
            check_range("port", port, 1, 65535)
        return cls(
            origin=origin,
            name=Service.parse(service).in_domain(origin).child(instance_label(instance)),
            host=label,
            host_name=origin.child(label.encode()),
            port=port,
            owner=owner or default_owner(label),
            former_owners=former_owners,
            force=force,
        )

    def owns(self, owner: str) -> bool:
        """Whether members of that owner may be removed."""
        return self.force or owner == self.owner or owner in self.former_owners

    def means(self, label: str) -> bool:
        """Whether a member's label is one of those that leave."""
        host, _, port = label.rpartition("-")
        return host == self.host.lower() and (self.port is None or port == str(self.port))


def is_plain(instance: str) -> bool:
    """Whether an instance can have a plain name: where a host could be called so."""
    return bool(_PLAIN.fullmatch(instance)) and instance.lower() != DEFAULT_INSTANCE


def check_plain(instance: str | None) -> None:
    """See that an instance can have a plain name.

    Raises:
        UsageError: It cannot.
    """
    if instance is None or not is_plain(instance):
        raise UsageError(
            f"plain name: instance {shown(instance or DEFAULT_INSTANCE)}: it takes one label of "
            f"letters, digits and inner hyphens, and not {DEFAULT_INSTANCE}; name the instance so"
        )


def default_owner(host: str) -> str:
    """The owner of a member whose caller names none."""
    return f"name/{host.lower()}"


def check_range(what: str, value: int, least: int, most: int) -> None:
    """Refuse a number beyond its bounds.

    Raises:
        UsageError: The message says which.
    """
    if not least <= value <= most:
        raise UsageError(f"{what} {value}: {least} to {most} is allowed")
