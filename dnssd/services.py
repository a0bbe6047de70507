"""What DNS-SD calls things: service types, instances, subtypes (RFC 6763 sections 4, 7, 9)."""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise
from typing import Self

from dnssd.errors import MalformedName
from dnssd.names import MAX_LABEL, Name, display, shown, split_labels

DEFAULT_INSTANCE = "default"  # what a service has where nobody names an instance
MAX_HOST_LABEL = 57  # octets: leaves room for "-65535" in a member's label
_HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?", re.IGNORECASE | re.ASCII)
ENUMERATION = (b"_services", b"_dns-sd", b"_udp")  # of services, below a domain
PROTOCOLS = ("_tcp", "_udp")
_WITH_DOMAIN = tuple(known + "." for known in PROTOCOLS)
_BARE = re.compile(r"[a-z0-9_-]+", re.IGNORECASE | re.ASCII)
_SIMPLE_INSTANCE = re.compile(rb"[A-Za-z0-9-]+")
_SERVICE = re.compile(r"(?=[^a-z]*[a-z])[a-z0-9]+(-[a-z0-9]+)*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class ServiceType:
    """The two labels under which clients browse, such as `_sip._tls`: whatever DNS can hold.

    Attributes:
        labels: The two labels, underscores included.
    """

    labels: tuple[bytes, bytes]

    def __str__(self) -> str:
        return ".".join(map(display, self.labels))

    @classmethod
    def of(cls, labels: tuple[bytes, bytes]) -> "ServiceType":
        """The service type of two labels: a `Service` where a host could join it."""
        try:
            return Service.parse(".".join(map(display, labels)))
        except MalformedName:
            return cls(labels)

    @property
    def key(self) -> bytes:
        """The two labels in lower case as on the wire, to compare with."""
        name, protocol = self.labels
        return b"%c%b%c%b" % (len(name), name.lower(), len(protocol), protocol.lower())

    def in_domain(self, domain: Name) -> Name:
        """The name that clients browse."""
        return domain.child(*self.labels)

    def enumeration_in(self, domain: Name) -> Name:
        """The name under which all service types of `domain` stand (RFC 6763 section 9)."""
        return domain.child(*ENUMERATION)


class Service(ServiceType):
    """A service type that hosts join, such as `_http._tcp` (RFC 6763 section 7, RFC 6335 5.1).

    Args:
        name: The service name without its underscore, 1 to 15 letters, digits, hyphens.
        protocol: `tcp`, or `udp` for everything that is not TCP.

    Raises:
        MalformedName: Not such a name or protocol.
    """

    __slots__ = ()

    def __init__(self, name: str, protocol: str = "tcp") -> None:
        if not name or len(name) > 15:
            raise MalformedName(
                f"service {shown(name)}: {len(name)} characters; "
                "a service name has 1 to 15 (RFC 6335)"
            )
        if not _SERVICE.fullmatch(name):
            raise MalformedName(
                f"service {shown(name)}: a service name is letters, digits and single "
                "hyphens between them, one letter at least (RFC 6335)"
            )
        if protocol not in ("tcp", "udp"):
            raise MalformedName(f"service {name}: the protocol is _tcp or _udp")
        super().__init__((f"_{name}".encode(), f"_{protocol}".encode()))

    @property
    def name(self) -> str:
        """The service name without its underscore."""
        return self.labels[0][1:].decode()

    @property
    def protocol(self) -> str:
        """`tcp` or `udp`."""
        return self.labels[1][1:].decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `_http._tcp`, or `http` for the same.

        Raises:
            MalformedName: Not a service type.
        """
        if not text.startswith("_"):
            if "." in text:
                raise MalformedName(
                    f"service {shown(text)}: write it as _NAME._tcp or _NAME._udp, or as NAME"
                )
            return cls(text)
        name, dot, protocol = text[1:].partition(".")
        if protocol.lower().startswith(_WITH_DOMAIN):
            raise MalformedName(
                f"service {shown(text)}: give the service type alone; its domain is the zone's"
            )
        if not dot or protocol.lower() not in PROTOCOLS:
            raise MalformedName(f"service {shown(text)}: write it as _NAME._tcp or _NAME._udp")
        return cls(name, protocol[1:].lower())


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A service, one of its subtypes or one of its instances, in a domain.

    Attributes:
        instance: Its label as text; bytes that are not UTF-8 are surrogates (PEP 383).
        subtype: Likewise.
        name: The domain name to ask for.
    """

    service: ServiceType
    domain: Name
    instance: str | None = None
    subtype: str | None = None
    name: Name = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = self.service.in_domain(self.domain)
        if self.instance is not None:
            name = name.child(_octets(self.instance))
        elif self.subtype is not None:
            name = name.child(_octets(self.subtype), b"_sub")
        object.__setattr__(self, "name", name)


def parse_service_name(text: str, domain: Name | None = None) -> ServiceName:
    r"""Read `[INSTANCE.]SERVICE[.DOMAIN]`, or `SUBTYPE._sub.SERVICE[.DOMAIN]`.

    The instance may hold dots, escaped or not: the service type tells where it ends. Whatever
    DNS can hold is taken, since others' names are looked up: `_sip._tls.example.com`, and
    `web.service.consul` for the SRV records of that very name.

    Args:
        text: The name. Absolute if it ends in a dot, continues after its service type, or has
            none and three labels or more.
        domain: Where a relative name belongs.

    Raises:
        MalformedName: No service type in it, or relative without a `domain`.
    """
    labels = split_labels(text)
    absolute = labels[-1] == b"" and len(labels) > 1
    labels = labels[:-1] if absolute else labels
    at = _find_service(labels)
    if at is None:
        return _without_service_type(text, labels, absolute, domain)
    after = labels[at + 2 :]
    if after or absolute:
        domain = Name(after)
    service = ServiceType.of((labels[at], labels[at + 1]))
    return _named(text, labels[:at], service, domain)


def _without_service_type(
    text: str, labels: tuple[bytes, ...], absolute: bool, domain: Name | None
) -> ServiceName:
    if len(labels) == 1 and not absolute:
        bare = display(labels[0])
        if not _BARE.fullmatch(bare):
            raise MalformedName(f"service {shown(bare)}: a service name has no such characters")
        return _named(text, (), ServiceType.of((f"_{bare}".encode(), b"_tcp")), domain)
    if len(labels) > 2:  # shorter ones are mistyped more often than meant
        return ServiceName(ServiceType((labels[0], labels[1])), Name(labels[2:]))
    raise MalformedName(
        f"{shown(text)}: no service type in it; write [INSTANCE.]_NAME._tcp[.DOMAIN]"
    )


def _named(
    text: str, before: tuple[bytes, ...], service: ServiceType, domain: Name | None
) -> ServiceName:
    """A service, or what the labels before its type say of it."""
    if domain is None:
        raise MalformedName(
            f"{shown(text)}: no domain; add it to the name, as in _http._tcp.example.com "
            "(commands: --domain or DNSSD_DOMAIN)"
        )
    if len(before) == 2 and before[1].lower() == b"_sub":
        return ServiceName(service, domain, subtype=_text(before[0]))
    if not before:
        return ServiceName(service, domain)
    instance = _text(b".".join(before))
    if "\\" not in text:  # as it was typed, not as DNS holds it
        instance = unicodedata.normalize("NFC", instance)
    return ServiceName(service, domain, instance=instance)


@lru_cache(4096)
def instance_text(label: bytes) -> str:
    r"""An instance's label as text that `parse_service_name` takes in front of a service type.

    The label itself wherever it reads back as it is, dots and spaces included; else with `\.`
    and `\DDD` in it.
    """
    if _SIMPLE_INSTANCE.fullmatch(label):
        return label.decode()
    texts = (label.decode("utf-8", "surrogateescape"), display(label))
    return next(filter(partial(_reads_back, label), texts), Name((label,)).master()[:-1])


def _reads_back(label: bytes, text: str) -> bool:
    try:
        return text.isprintable() and parse_service_name(f"{text}._a._tcp.").instance == _text(
            label
        )
    except MalformedName:
        return False


def parse_instance(text: str) -> str:
    """The instance name in Unicode's composed form (RFC 6763 section 4.1.1).

    Raises:
        MalformedName: Empty, over 63 octets of UTF-8, or with a control character.
    """
    instance = unicodedata.normalize("NFC", text)
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in instance):
        raise MalformedName(f"instance {shown(text)}: control characters are not allowed")
    try:
        size = len(instance.encode())
    except UnicodeEncodeError as error:
        raise MalformedName(f"instance {shown(text)}: not UTF-8") from error
    if not 1 <= size <= MAX_LABEL:
        raise MalformedName(
            f"instance {shown(text)}: {size} octets of UTF-8; 1 to {MAX_LABEL} are allowed"
        )
    return instance


def instance_label(instance: str) -> bytes:
    """The label that stands for an instance: raw UTF-8, never IDNA (RFC 6763 section 4.3)."""
    return parse_instance(instance).encode()


def parse_host_label(text: str) -> str:
    """A host's label: letters, digits, hyphens and underscores.

    Raises:
        MalformedName: Other characters, or more than 57 octets: its member label
            appends the port.
    """
    if not _HOST_LABEL.fullmatch(text):
        raise MalformedName(
            f"host {shown(text)}: one label of letters, digits and hyphens is needed; give --host"
        )
    if text.lower() in PROTOCOLS:
        raise MalformedName(f"host {shown(text)}: service types stand below that name; give --host")
    if len(text) > MAX_HOST_LABEL:
        raise MalformedName(
            f"host {shown(text)}: {len(text)} octets; at most {MAX_HOST_LABEL} are allowed "
            "so that its port can be appended; give --host"
        )
    return text


def _text(label: bytes) -> str:
    return label.decode("utf-8", "surrogateescape")


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _find_service(labels: tuple[bytes, ...]) -> int | None:
    """Where the service type begins: `_x._tcp` or `_x._udp`, else two labels with underscores."""
    other = None
    for at, (label, following) in enumerate(pairwise(labels)):
        if label.startswith(b"_") and following.startswith(b"_"):
            if following.lower() in (b"_tcp", b"_udp"):
                return at
            other = at if other is None else other
    return other
