"""The data of resource records as frozen values.

Text forms only: packets are another module's. Every rdata type reads and writes the text of
a master file; what a provider writes otherwise is its zone's business.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

from dnssd.errors import MalformedName, MalformedRecord
from dnssd.names import Name, shown, unescape

LAST_PRIORITY = 65_535  # of who is on the way out: clients take any other first
MAX_TTL = 2**31 - 1  # seconds (RFC 2181 section 8)
MAX_STRING = 255  # octets of one TXT string
TXT_SIZE = 1300  # octets of TXT data that still travel well (RFC 6763 section 6.2)

_STRING = r'"((?:[^"\\]|\\.)*)"'
_STRINGS = re.compile(rf"\s*{_STRING}(?:\s+{_STRING})*\s*", re.DOTALL)
_KEY = re.compile(r"[ -<>-~]+")


@dataclass(frozen=True, slots=True, order=True)
class Srv:
    """SRV rdata: where one service instance listens (RFC 2782)."""

    rdtype: ClassVar[str] = "SRV"
    priority: int  # lower is tried first
    weight: int  # share of traffic within one priority
    port: int
    target: Name  # absolute host name; the root means "not offered here"

    def __post_init__(self) -> None:
        for field_name in ("priority", "weight", "port"):
            if not 0 <= getattr(self, field_name) <= 65535:
                raise MalformedRecord(
                    f"{field_name} {getattr(self, field_name)}: 0 to 65535 is allowed"
                )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `priority weight port target`.

        Raises:
            MalformedRecord: Not SRV rdata.
        """
        try:
            priority, weight, port, target = text.split()
            return cls(_number(priority), _number(weight), _number(port), Name.parse(target))
        except (ValueError, MalformedName, MalformedRecord) as error:
            raise MalformedRecord(f"{shown(text)}: not SRV rdata ({error})") from error

    @classmethod
    def of_wire(cls, priority: int, weight: int, port: int, target: Name) -> Self:
        """The rdata out of a packet, where no number can be too large."""
        srv = _new(cls)
        _set_priority(srv, priority)
        _set_weight(srv, weight)
        _set_port(srv, port)
        _set_target(srv, target)
        return srv

    def format(self) -> str:
        """This rdata as text; `parse` is the inverse."""
        return f"{self.priority} {self.weight} {self.port} {self.target.master()}"


# Slots are set past the frozen dataclass: answers of 200 values are read within a millisecond.
_new = object.__new__
_set_priority, _set_weight, _set_port, _set_target = (
    vars(Srv)[slot].__set__ for slot in ("priority", "weight", "port", "target")
)


@dataclass(frozen=True, slots=True, order=True)
class Ptr:
    """PTR rdata: one name that belongs to another (RFC 1035 section 3.3.12)."""

    rdtype: ClassVar[str] = "PTR"
    target: Name

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one name.

        Raises:
            MalformedRecord: Not PTR rdata.
        """
        try:
            (target,) = text.split()
            return cls(Name.parse(target))
        except (ValueError, MalformedName) as error:
            raise MalformedRecord(f"{shown(text)}: not PTR rdata ({error})") from error

    def format(self) -> str:
        """This rdata as text; `parse` is the inverse."""
        return self.target.master()


@dataclass(frozen=True, slots=True, order=True)
class Txt:
    """TXT rdata: strings of at most 255 octets (RFC 1035 section 3.3.14).

    No strings and one empty string mean the same (RFC 6763 section 6.1); kept as the latter.
    """

    rdtype: ClassVar[str] = "TXT"
    strings: tuple[bytes, ...] = (b"",)

    def __post_init__(self) -> None:
        for string in self.strings:
            if len(string) > MAX_STRING:
                raise MalformedRecord(
                    f"TXT string {shown(string[:24].decode('latin-1'))}: {len(string)} octets; "
                    f"at most {MAX_STRING} are allowed"
                )
        if not self.strings:
            object.__setattr__(self, "strings", (b"",))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read quoted strings with white space between them.

        Raises:
            MalformedRecord: Not TXT rdata.
        """
        try:
            if not _STRINGS.fullmatch(text):
                raise ValueError("quoted strings are needed")
            strings = re.findall(_STRING, text, re.DOTALL)
            return cls(tuple(unescape(string) for string in strings))
        except (ValueError, MalformedName) as error:
            raise MalformedRecord(f"{shown(text)}: not TXT rdata ({error})") from error

    def format(self) -> str:
        """This rdata as text; `parse` is the inverse."""
        return " ".join(
            '"' + "".join(_quoted(byte) for byte in string) + '"' for string in self.strings
        )

    @classmethod
    def from_pairs(cls, pairs: Mapping[str, str | bytes | None]) -> Self:
        """The TXT rdata of a service instance (RFC 6763 section 6).

        Args:
            pairs: Values by key; None for a key without a value, "" for an empty one.

        Raises:
            MalformedRecord: A key that is empty, holds `=` or is not printable ASCII, or
                differs from another by case only; a string over 255 octets; a value
                that is not Unicode.
        """
        strings: dict[str, bytes] = {}
        for key, value in pairs.items():
            if not _KEY.fullmatch(key):
                raise MalformedRecord(
                    f"TXT key {shown(key)}: printable ASCII without = is needed (RFC 6763)"
                )
            if key.lower() in strings:
                raise MalformedRecord(f"TXT key {shown(key)}: given twice; case does not count")
            data = _utf8(key, value) if isinstance(value, str) else value
            strings[key.lower()] = key.encode() + (b"" if data is None else b"=" + data)
        return cls(tuple(strings.values()))

    @property
    def pairs(self) -> dict[str, bytes | None]:
        """Values by key as first written; of keys that differ by case only, the first.

        Strings that start with `=`, and keys that are not printable ASCII, are passed over.
        """
        seen: dict[str, tuple[str, bytes | None]] = {}
        for string in self.strings:
            raw, equals, value = string.partition(b"=")
            key = raw.decode("latin-1")
            if _KEY.fullmatch(key):
                seen.setdefault(key.lower(), (key, value if equals else None))
        return dict(seen.values())


@dataclass(frozen=True, slots=True, order=True, init=False)
class Address:
    """A or AAAA rdata: one IP address.

    Attributes:
        packed: Its 4 or 16 octets.
    """

    packed: bytes

    def __init__(self, ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
        _set_packed(self, ip.packed)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an IPv4 or IPv6 address.

        Raises:
            MalformedRecord: Neither.
        """
        try:
            ip = ipaddress.ip_address(text.strip())
            if isinstance(ip, ipaddress.IPv6Address) and ip.scope_id:
                raise ValueError(text)
        except ValueError as error:
            raise MalformedRecord(f"{shown(text)}: not an IPv4 or IPv6 address") from error
        return cls(ip)

    @classmethod
    def of_wire(cls, packed: bytes) -> Self:
        """The rdata out of a packet: 4 or 16 octets."""
        address = _new(cls)
        _set_packed(address, packed)
        return address

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """The address as an object."""
        return ipaddress.ip_address(self.packed)

    def format(self) -> str:
        """This rdata as text; `parse` is the inverse."""
        return _address_text(self.packed)

    @property
    def rdtype(self) -> str:
        """`A` or `AAAA`."""
        return "A" if len(self.packed) == 4 else "AAAA"


_set_packed = vars(Address)["packed"].__set__


@lru_cache(4096)  # many services share few hosts, whose addresses are then kept once
def _address_text(packed: bytes) -> str:
    if len(packed) == 4:
        return ".".join(map(str, packed))
    return str(ipaddress.IPv6Address(packed))


@dataclass(frozen=True, slots=True, order=True)
class Opaque:
    """Rdata of a type that is not ours, or that does not parse: kept as it was listed."""

    rdtype: str
    text: str

    def format(self) -> str:
        """The text as it was listed."""
        return self.text


Rdata = Srv | Ptr | Txt | Address | Opaque

_PARSERS: dict[str, type[Srv | Ptr | Txt | Address]] = {
    "SRV": Srv,
    "PTR": Ptr,
    "TXT": Txt,
    "A": Address,
    "AAAA": Address,
}


def parse_rdata(rdtype: str, text: str) -> Rdata:
    """Read rdata of any type; what does not parse is `Opaque`."""
    try:
        rdata = _PARSERS[rdtype].parse(text)
    except (KeyError, MalformedRecord):
        return Opaque(rdtype, text)
    return rdata if rdata.rdtype == rdtype else Opaque(rdtype, text)


def _utf8(key: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:  # bytes of a command line that were no UTF-8
        raise MalformedRecord(
            f"TXT value of {shown(key)}: {shown(value)} is not UTF-8; write it in UTF-8"
        ) from error


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{shown(text)} is no number")
    return int(text)


def _quoted(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if 0x20 <= byte <= 0x7E else f"\\{byte:03d}"
