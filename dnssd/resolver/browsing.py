"""What a domain has to browse: which names to ask about, and what their PTR records say; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dnssd.errors import NotFound, UsageError
from dnssd.names import Name
from dnssd.records import Ptr
from dnssd.resolver.known import CachedRRset
from dnssd.resolver.snapshot import instance_names
from dnssd.services import Service, ServiceName, ServiceType, instance_text
from dnssd.wire.answers import Answer

DOMAINS = (b"b", b"db", b"lb")  # what points to domains worth browsing (RFC 6763 section 11)


@dataclass(frozen=True, slots=True)
class Listing:
    """Something that PTR records list.

    Attributes:
        names: Whose PTR records do, n >= 1.
        read: What the answers about these say.
        empty: What to tell if that is nothing.
    """

    names: tuple[Name, ...]
    read: Callable[[Sequence[Answer]], tuple[str, ...]]
    empty: str

    def of(self, answers: Sequence[Answer]) -> tuple[str, ...]:
        """What is listed, in order.

        Args:
            answers: One for each of the names.

        Raises:
            NotFound: Nothing.
        """
        if any(answer.values for answer in answers):
            return self.read(answers)
        raise NotFound(self.empty, name=str(self.names[0]))


def instances_of(asked: ServiceName) -> Listing:
    """The instances of a service.

    Raises:
        UsageError: Not a service.
    """
    if asked.instance is not None:
        raise UsageError(f"{asked.name}: an instance; browse a service, or look it up")

    def read(answers: Sequence[Answer]) -> tuple[str, ...]:
        names = instance_names(asked, CachedRRset(answers[0].values, 0.0))
        return tuple(_told(name, asked) for name in names)

    empty = f"{asked.name}: no such service; check the name and the domain"
    return Listing((asked.name,), read, empty)


def services_in(domain: str) -> Listing:
    """The service types of a domain (RFC 6763 section 9).

    Raises:
        UsageError: Not a domain.
    """
    name = Service("any").enumeration_in(Name.parse(domain))

    def read(answers: Sequence[Answer]) -> tuple[str, ...]:
        pointers = (value for value in answers[0].values if isinstance(value, Ptr))
        types = (pointer.target.labels[:2] for pointer in pointers)
        found = {str(ServiceType.of((name, kind))) for name, kind in filter(_is_type, types)}
        return tuple(sorted(found))

    return Listing((name,), read, f"{domain}: it lists no services; check the domain")


def domains_of(domain: str) -> Listing:
    """The domains that a domain recommends for browsing (RFC 6763 section 11).

    Raises:
        UsageError: Not a domain.
    """
    where = Name.parse(domain)

    def read(answers: Sequence[Answer]) -> tuple[str, ...]:
        values = (value for answer in answers for value in answer.values)
        targets = {value.target for value in values if isinstance(value, Ptr)}
        return tuple(str(target) for target in sorted(targets))

    names = tuple(where.child(kind, b"_dns-sd", b"_udp") for kind in DOMAINS)
    return Listing(names, read, f"{domain}: it names no domains to browse; check the domain")


def _told(name: Name, asked: ServiceName) -> str:
    """An instance of what was asked for; one that stands in another domain by its whole name."""
    if name.is_below(asked.service.in_domain(asked.domain)):
        return instance_text(name.labels[0])
    return instance_text(name.labels[0]) + "." + str(name.parent)


def _is_type(labels: tuple[bytes, ...]) -> bool:
    """Whether labels are those of a service type."""
    return [label[:1] for label in labels] == [b"_", b"_"]
