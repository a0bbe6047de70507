"""What DNS-SD calls things: service types, instances, subtypes (RFC 6763 sections 4, 7, 9)."""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Self

from dnssd.errors import MalformedName
from dnssd.names import MAX_LABEL, Name, display, shown, split_labels

DEFAULT_INSTANCE = "default"  # what a service has where nobody names an instance
MAX_HOST_LABEL = 57  # octets: leaves room for "-65535" in a member's label
_HOST_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?", re.IGNORECASE | re.ASCII)
PROTOCOLS = ("_tcp", "_udp")
_SERVICE = re.compile(r"(?=[^a-z]*[a-z])[a-z0-9]+(-[a-z0-9]+)*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Service:
    """A service type such as `_http._tcp` (RFC 6763 section 7, RFC 6335 section 5.1).

    Attributes:
        name: The service name without its underscore, 1 to 15 letters, digits, hyphens.
        protocol: `tcp`, or `udp` for everything that is not TCP.
    """

    name: str
    protocol: str = "tcp"

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 15:
            raise MalformedName(
                f"service {shown(self.name)}: {len(self.name)} characters; "
                "a service name has 1 to 15 (RFC 6335)"
            )
        if not _SERVICE.fullmatch(self.name):
            raise MalformedName(
                f"service {shown(self.name)}: a service name is letters, digits and single "
                "hyphens between them, one letter at least (RFC 6335)"
            )
        if self.protocol not in ("tcp", "udp"):
            raise MalformedName(f"service {self.name}: the protocol is _tcp or _udp")

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
        if protocol.lower().startswith(tuple(known + "." for known in PROTOCOLS)):
            raise MalformedName(
                f"service {shown(text)}: give the service type alone; its domain is the zone's"
            )
        if not dot or protocol.lower() not in PROTOCOLS:
            raise MalformedName(f"service {shown(text)}: write it as _NAME._tcp or _NAME._udp")
        return cls(name, protocol[1:].lower())

    def __str__(self) -> str:
        return f"_{self.name}._{self.protocol}"

    @property
    def labels(self) -> tuple[bytes, bytes]:
        """The two labels, underscores included."""
        return f"_{self.name}".encode(), f"_{self.protocol}".encode()

    @property
    def key(self) -> bytes:
        """The two labels in lower case as on the wire, to compare with."""
        return Name(self.labels).key[:-1]

    def in_domain(self, domain: Name) -> Name:
        """The name that clients browse."""
        return domain.child(*self.labels)

    def enumeration_in(self, domain: Name) -> Name:
        """The name under which all service types of `domain` stand (RFC 6763 section 9)."""
        return domain.child(b"_services", b"_dns-sd", b"_udp")


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A service, one of its subtypes or one of its instances, in a domain.

    Attributes:
        name: The domain name to ask for.
    """

    service: Service
    domain: Name
    instance: str | None = None
    subtype: str | None = None
    name: Name = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        name = self.service.in_domain(self.domain)
        if self.instance is not None:
            name = name.child(instance_label(self.instance))
        elif self.subtype is not None:
            name = name.child(self.subtype.encode(), b"_sub")
        object.__setattr__(self, "name", name)


def parse_service_name(text: str, domain: Name | None = None) -> ServiceName:
    r"""Read `[INSTANCE.]SERVICE[.DOMAIN]`, or `SUBTYPE._sub.SERVICE[.DOMAIN]`.

    The instance may hold dots, escaped or not: the service type tells where it ends.

    Args:
        text: The name. Absolute if it ends in a dot or continues after `._tcp` or `._udp`.
        domain: Where a relative name belongs.

    Raises:
        MalformedName: No service type in it, or relative without a `domain`.
    """
    labels = split_labels(text)
    absolute = labels[-1] == b"" and len(labels) > 1
    labels = labels[:-1] if absolute else labels
    at = _find_service(labels)
    if at is None:
        if len(labels) == 1 and not absolute:
            at, labels = 0, (*Service(display(labels[0])).labels,)
        else:
            raise MalformedName(
                f"{shown(text)}: no service type in it; write [INSTANCE.]_NAME._tcp[.DOMAIN]"
            )
    service = Service.parse(".".join(map(display, labels[at : at + 2])))
    before, after = labels[:at], labels[at + 2 :]
    if after or absolute:
        domain = Name(after)
    if domain is None:
        raise MalformedName(
            f"{shown(text)}: no domain; add it to the name, as in _http._tcp.example.com "
            "(commands: --domain or DNSSD_DOMAIN)"
        )
    if len(before) == 2 and before[1].lower() == b"_sub":
        return ServiceName(service, domain, subtype=_utf8(before[0]))
    if not before:
        return ServiceName(service, domain)
    return ServiceName(service, domain, instance=parse_instance(_utf8(b".".join(before))))


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
    if len(text) > MAX_HOST_LABEL:
        raise MalformedName(
            f"host {shown(text)}: {len(text)} octets; at most {MAX_HOST_LABEL} are allowed "
            "so that its port can be appended; give --host"
        )
    return text


def _utf8(label: bytes) -> str:
    try:
        return label.decode()
    except UnicodeDecodeError as error:
        raise MalformedName(f"{display(label)}: not UTF-8 (RFC 6763 section 4.1.1)") from error


def _find_service(labels: tuple[bytes, ...]) -> int | None:
    for at in range(1, len(labels)):
        protocol = labels[at].lower().decode("latin-1")
        if protocol in PROTOCOLS and labels[at - 1].startswith(b"_"):
            return at - 1
    return None
