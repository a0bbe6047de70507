"""What a caller asks for: a host's membership in a service instance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dnssd.errors import MalformedName, MalformedRecord, UsageError
from dnssd.members import member_label
from dnssd.names import Name, shown
from dnssd.records import MAX_TTL, TXT_SIZE, Address, Srv, Txt
from dnssd.registration.wish import Departure, Wish, check_range, default_owner
from dnssd.services import Service, instance_label, parse_host_label, parse_instance

SHORTEST_LEASE, LONGEST_LEASE = 60, 366 * 86_400  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration:
    """One host's membership in a service instance, as its owner describes it.

    Attributes:
        service: `_http._tcp`, or `http` for the same.
        port: 1 to 65535.
        host: The host's label in the zone, which gets `addresses`.
        instance: The service instance, up to 63 octets of UTF-8.
        target: An existing host name to use; no address is written then.
        addresses: IPv4 and IPv6 addresses of the host, as text.
        priority: 0 to 65535; lower is tried first.
        weight: 0 to 65535; the share of traffic within one priority.
        ttl: Seconds; None keeps the instance's, and is 60 for a new one.
        txt: The instance's TXT data; None keeps what it has.
        owner: Who may change or remove this member; by default named after the host.
        takeover: Replace a member or host record of another owner.
        agent: An agent answers for this member as long as it runs.
        lease: Seconds after which it counts as gone unless it has joined again; 0 for no end.
        former_owners: What `owner` was called by earlier versions: their records are its own.

    Raises:
        UsageError: One of them is not legal; the message names it.

    Example:
        >>> web = Registration(service="http", instance="web", port=8080, host="web-1",
        ...                    addresses=["10.0.0.5"], weight=75, txt={"version": "1"})
        >>> web.owner
        'name/web-1'
    """

    service: str
    port: int
    host: str
    instance: str = "default"
    target: str | None = None
    addresses: Sequence[str] = ()
    priority: int = 0
    weight: int = 100
    ttl: int | None = None
    txt: Mapping[str, str | bytes | None] | None = None
    owner: str = ""
    takeover: bool = False
    former_owners: tuple[str, ...] = ()
    agent: bool = False
    lease: int = 0

    def __post_init__(self) -> None:
        Service.parse(self.service)
        object.__setattr__(self, "instance", parse_instance(self.instance))
        parse_host_label(self.host)
        check_range("port", self.port, 1, 65535)
        check_range("priority", self.priority, 0, 65535)
        check_range("weight", self.weight, 0, 65535)
        if self.ttl is not None:
            check_range("ttl", self.ttl, 1, MAX_TTL)
        if self.lease:
            check_range("lease", self.lease, SHORTEST_LEASE, LONGEST_LEASE)
        if self.target is None and not self.addresses:
            raise UsageError(f"host {self.host}: no address; give one, or a target that has one")
        if self.target is not None and self.addresses:
            raise UsageError(f"target {self.target}: its addresses are its own; give none")
        if self.target is not None:
            check_target(self.target)
        if isinstance(self.addresses, str):  # each of its characters would be taken for one
            raise UsageError(f"addresses {shown(self.addresses)}: one text; give a list of them")
        object.__setattr__(self, "addresses", tuple(parse_address(text) for text in self.addresses))
        object.__setattr__(self, "owner", self.owner or default_owner(self.host))
        if not self.owner.isprintable() or len(self.owner.encode()) > 200:
            raise UsageError("owner: up to 200 octets of printable text are needed")
        self._txt()

    @staticmethod
    def here(
        service: str,
        *,
        port: int,
        instance: str = "default",
        host: str | None = None,
        cloud: str | None = None,
        addresses: Sequence[str] = (),
        target: str | None = None,
        priority: int = 0,
        weight: int = 100,
        ttl: int | None = None,
        txt: Mapping[str, str | bytes | None] | None = None,
        takeover: bool = False,
        deadline: float = 120,
    ) -> "Registration":
        """The registration of this host: label, addresses and owner as the commands find them.

        Args:
            service: As for `Registration`, like those that are not named here.
            port: 1 to 65535.
            instance: The service instance.
            host: The host's label; by default from instance metadata or the host name.
            cloud: The cloud to ask, of those in `dnssd whoami --help`; by default found.
            addresses: `private`, `public` and IP addresses; private by default.
            target: An existing host name to use; no address is written then.
            priority: Lower is tried first.
            weight: The share of traffic within one priority.
            ttl: Seconds.
            txt: The instance's TXT data.
            takeover: Replace a member or host record of another owner.
            deadline: Seconds that instance metadata may take.

        Raises:
            UsageError: One of them is not legal, or the host has no such address.
            Unavailable: The instance metadata did not answer in time.

        Example:
            >>> here = Registration.here("http", port=8080, instance="web")
            >>> here.host, here.addresses
            ('i-0123456789abcdef0', ('10.0.0.5',))
        """
        from dnssd.registration.of_host import facts_within, registration_of

        facts = facts_within(deadline, host, cloud)
        asked: dict[str, Any] = {"instance": instance, "priority": priority, "weight": weight}
        asked |= {"ttl": ttl, "txt": txt, "takeover": takeover, "target": target, "port": port}
        return registration_of(facts, service, addresses=addresses, **asked)

    def wish_in(self, origin: Name) -> Wish:
        """What this registration asks of the zone at `origin`.

        Raises:
            MalformedName: A name becomes too long there.
            MalformedRecord: Its member record becomes too long there.
        """
        service = Service.parse(self.service)
        browse = service.in_domain(origin)
        host = None if self.target is not None else origin.child(self.host.encode())
        target = Name.parse(self.target) if self.target is not None else host
        assert target is not None  # noqa: S101 (there is a target or a host)
        wish = Wish(
            origin=origin,
            name=browse.child(instance_label(self.instance)),
            service=browse,
            enumeration=service.enumeration_in(origin),
            label=member_label(self.host, self.port),
            srv=Srv(self.priority, self.weight, self.port, target),
            host=host,
            addresses=tuple(Address.parse(text) for text in self.addresses),
            owner=self.owner,
            ttl=self.ttl,
            txt=self._txt(),
            takeover=self.takeover,
            former_owners=self.former_owners,
            agent=self.agent,
            lease=self.lease,
        )
        wish.member("0" * 8, datetime.fromtimestamp(0, UTC)).to_txt()  # would it fit?
        return wish

    def departure_in(self, origin: Name) -> Departure:
        """The departure that undoes this registration."""
        return Departure.of(
            origin,
            self.service,
            instance=self.instance,
            host=self.host,
            port=self.port,
            owner=self.owner,
            former_owners=self.former_owners,
        )

    def _txt(self) -> Txt | None:
        if self.txt is None:
            return None
        txt = Txt.from_pairs(self.txt)
        if (size := sum(len(string) + 1 for string in txt.strings)) > TXT_SIZE:
            raise MalformedRecord(f"TXT: {size} octets; keep it to {TXT_SIZE} (RFC 6763)")
        return txt


def check_host_and_service(service: str, host: str | None) -> None:
    """Check what can be before anybody is asked.

    Raises:
        UsageError: One of them is not legal.
    """
    Service.parse(service)
    if host is not None:
        parse_host_label(host)


def check_target(text: str) -> None:
    """Check that clients can connect to a name.

    Raises:
        UsageError: It is no name of a host.
    """
    try:
        target = Name.parse(text)
    except MalformedName as error:
        raise UsageError(f"target {shown(text)}: {error}") from error
    if not target.labels:
        raise UsageError("target .: it would mean that nobody offers the service; name a host")


def parse_address(text: str) -> str:
    """An address that a client can connect to, in its usual form.

    Raises:
        UsageError: It is none.
    """
    try:
        address = Address.parse(text)
    except MalformedRecord as error:
        raise UsageError(f"address {error}") from error
    if address.ip.is_unspecified or address.ip.is_multicast:
        raise UsageError(f"address {text}: not one that a client can connect to")
    return address.format()
