"""Members of a plain address, and the TXT records that tell of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from dnssd.errors import MalformedRecord
from dnssd.members import FORMAT, format_time, parse_time, txt_fields, txt_strings
from dnssd.names import shown
from dnssd.records import Address, Txt

_KEYS = ("dnssd", "addr", "owner", "since", "id", "state", "proxied")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressMember:
    """One host's share in a name.

    Attributes:
        label: The host's label, in lower case.
        addresses: Its values.
        owner: Who may change the record.
        since: When it joined, to the second.
        id: Random, new with every join that changes something.
        proxied: Whether its provider stands before it.
        unknown: Strings that this version does not know, kept as they are.
    """

    label: str
    addresses: tuple[Address, ...]
    owner: str
    since: datetime
    id: str
    proxied: bool = False
    version: int = FORMAT
    unknown: tuple[bytes, ...] = ()

    @classmethod
    def from_txt(cls, label: bytes, txt: Txt) -> Self:
        """Read a member record.

        Raises:
            MalformedRecord: Not one of a plain address.
        """
        try:
            found, unknown = txt_fields(txt, _KEYS)
            version, owner, since, id = (_one(found, k) for k in ("dnssd", "owner", "since", "id"))
            return cls(
                label=label.decode("ascii").lower(),
                addresses=tuple(map(Address.parse, found["addr"])),
                owner=owner,
                since=parse_time(since),
                id=id,
                proxied="proxied" in found,
                version=int(version),
                unknown=unknown,
            )
        except (ValueError, KeyError, MalformedRecord) as error:
            raise MalformedRecord(f"{shown(txt.format())}: not a member record") from error

    def to_txt(self) -> Txt:
        """The member record's data; `from_txt` is the inverse."""
        pairs = [
            ("dnssd", str(self.version)),
            *(("addr", address.format()) for address in self.addresses),
            ("owner", self.owner),
            ("since", format_time(self.since)),
            ("id", self.id),
            ("state", "up"),
            *([("proxied", "1")] if self.proxied else []),
        ]
        return Txt((*txt_strings(pairs), *self.unknown))


def _one(found: Mapping[str, Sequence[str]], key: str) -> str:
    (value,) = found[key]
    return value
