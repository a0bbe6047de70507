"""Members of a service instance, and the TXT records that tell of them.

The member record says who put a value into the shared SRV RRset; the host record says who
uses a host's address.

A member is up or leaving. Its record is the truth and the SRV RRset its projection:

    announce        -> up        its value is to be published
    up -> leaving   same id      its value is to go
    leaving -> none              only once its value has gone

`id` is new at every announce, so that a record that left and came back with the same content
is told apart: whoever relies on a record restates it, id and all, in the batch that does.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from dnssd.errors import MalformedName, MalformedRecord
from dnssd.names import Name, shown
from dnssd.records import Address, Srv, Txt
from dnssd.services import parse_host_label

FORMAT = 1  # the `dnssd=` that this code writes; a higher one is left as it is
_SOON = timedelta(minutes=1)  # one join may read its own record several times
AGENT_SETTLES = 90.0  # seconds after its own write in which an agent does not look at its record

State = Literal["up", "leaving"]
_KEYS = ("dnssd", "srv", "addr", "owner", "since", "id", "state", "was", "until")
_WORDS = ("agent", "hold", "removed")  # what was said of an announcement
_HOST_KEYS = ("dnssd", "owner", "used")


@dataclass(frozen=True, slots=True)
class Member:
    """One host's share in a service instance.

    Attributes:
        label: HOST-PORT in lower case: where its record stands below the instance.
        srv: The value it has, or is to have, in the instance's SRV RRset.
        addresses: What the target resolved to when it announced; empty with a target
            that it does not write.
        owner: Who may change the record, such as `ec2/ACCOUNT/REGION/INSTANCE`.
        since: When it announced, to the second.
        id: Random, new at every announce.
        state: `up` or `leaving`.
        was: Superseded values that it may still have in the SRV RRset, in other places.
        until: When its lease ends, if it has one.
        agent: The announcement that an agent answers for; see `has_agent`.
        hold: The announcement that somebody wants out of the service; see `is_held`.
        removed: Who took it for dead, and when; see `removed_at`.
        version: The record's format.
        unknown: Strings that this version does not know, kept as they are.
    """

    label: str
    srv: Srv
    addresses: tuple[Address, ...]
    owner: str
    since: datetime
    id: str
    state: State = "up"
    was: tuple[Srv, ...] = ()
    until: datetime | None = None
    agent: str = ""
    hold: str = ""
    removed: str = ""
    version: int = FORMAT
    unknown: tuple[bytes, ...] = ()

    @classmethod
    def from_txt(cls, label: bytes, txt: Txt) -> Self:
        """Read a member record.

        Args:
            label: The record's first label, HOST-PORT.
            txt: Its data.

        Raises:
            MalformedRecord: Not a member record.
        """
        try:
            fields, unknown = txt_fields(txt, (*_KEYS, *_WORDS))
            state = _one(fields, "state")
            if state not in ("up", "leaving"):
                raise ValueError(f"state {state}")
            until = fields.get("until")
            return cls(
                label=_member_label(label),
                srv=Srv.parse(_one(fields, "srv")),
                addresses=tuple(map(Address.parse, filter(None, fields.get("addr", ())))),
                owner=_one(fields, "owner"),
                since=parse_time(_one(fields, "since")),
                id=_one(fields, "id"),
                state="up" if state == "up" else "leaving",
                was=tuple(map(Srv.parse, fields.get("was", ()))),
                until=parse_time(until[0]) if until else None,
                agent=fields.get("agent", [""])[0],
                hold=fields.get("hold", [""])[0],
                removed=fields.get("removed", [""])[0],
                version=_version(fields),
                unknown=unknown,
            )
        except (ValueError, MalformedName, MalformedRecord) as error:
            raise MalformedRecord(
                f"{shown(txt.format())}: not a member record ({error})"
            ) from error

    def to_txt(self) -> Txt:
        """The member record's data; `from_txt` is the inverse."""
        pairs = [
            ("dnssd", str(self.version)),
            ("srv", self.srv.format()),
            *(("addr", address.format()) for address in self.addresses),
            ("owner", self.owner),
            ("since", format_time(self.since)),
            ("id", self.id),
            ("state", self.state),
            *(("was", srv.format()) for srv in self.was),
            *([("until", format_time(self.until))] if self.until else []),
            *([("agent", self.agent)] if self.agent else []),
            *([("hold", self.hold)] if self.hold else []),
            *([("removed", self.removed)] if self.removed else []),
        ]
        return Txt((*txt_strings(pairs), *self.unknown))

    @property
    def is_newer(self) -> bool:
        """Whether its format is newer than this code, which then leaves it as it is."""
        return self.version > FORMAT

    @property
    def has_agent(self) -> bool:
        """Whether an agent answers for it: older versions copy the key to other announcements."""
        return self.agent == self.id

    @property
    def is_held(self) -> bool:
        """Whether it was taken out on purpose, so that no agent may join it again by itself."""
        return self.hold == self.id

    @property
    def removed_at(self) -> datetime | None:
        """When it was taken for dead; None if it was not: who is up has come back since."""
        if self.state == "up":
            return None
        try:
            return parse_time(self.removed.rpartition("/")[2])
        except MalformedRecord:
            return None

    def claims(self, value: object) -> bool:
        """Whether an SRV value is this member's: by target and port, whatever its weight."""
        if not isinstance(value, Srv):
            return False
        return any(
            own.port == value.port and own.target == value.target for own in (self.srv, *self.was)
        )

    def leaving(self, *, held: bool = False) -> Self:
        """The same member on its way out; `held` keeps its agent from joining it again."""
        return replace(self, state="leaving", hold=self.id if held else self.hold)

    def renewed(self, draft: "Member", *, confirmed: bool = False) -> "Member":
        """The same member with the lease of a draft; one that has just begun stays as it is.

        Without a lease one that is `confirmed` gets the draft's time, if that is of much later.
        """
        if confirmed and draft.until is None and draft.since - self.since > _SOON:
            return replace(self, since=draft.since, until=None)
        if draft.until is not None and self.until is not None:
            quarter = (draft.until - draft.since) / 4  # renewals come at each third
            if draft.until - quarter < self.until <= draft.until:
                return self
        return replace(self, until=draft.until)

    def same_as(self, other: "Member") -> bool:
        """Whether both say the same, whenever and by whichever announce, and for how long."""
        return (
            self.srv == other.srv
            and set(self.addresses) == set(other.addresses)
            and self.owner == other.owner
            and self.state == other.state
            and self.has_agent == other.has_agent
        )


@dataclass(frozen=True, slots=True)
class HostRecord:
    """Who uses a host's address: it goes with its last user.

    Attributes:
        owner: Who may change the address.
        used: The member records that use it, as absolute names.
        unknown: Strings that this version does not know, kept as they are.
    """

    owner: str
    used: tuple[Name, ...]
    version: int = FORMAT
    unknown: tuple[bytes, ...] = ()

    @classmethod
    def from_txt(cls, txt: Txt, origin: Name) -> Self:
        """Read a host record; the names in it are relative to `origin`.

        Raises:
            MalformedRecord: Not a host record.
        """
        try:
            fields, unknown = txt_fields(txt, _HOST_KEYS)
            used = tuple(origin.child(*Name.parse(text).labels) for text in fields.get("used", ()))
            return cls(_one(fields, "owner"), used, _version(fields), unknown)
        except (ValueError, MalformedName, MalformedRecord) as error:
            raise MalformedRecord(f"{shown(txt.format())}: not a host record ({error})") from error

    def to_txt(self, origin: Name) -> Txt:
        """The host record's data; `from_txt` is the inverse."""
        used = [("used", str(Name(name.relative_to(origin)))[:-1]) for name in self.used]
        pairs = [("dnssd", str(self.version)), ("owner", self.owner), *used]
        return Txt((*txt_strings(pairs), *self.unknown))

    @property
    def is_newer(self) -> bool:
        """Whether its format is newer than this code, which then leaves it as it is."""
        return self.version > FORMAT

    def without(self, names: Iterable[Name]) -> Self | None:
        """This record without some users; None if nobody is left."""
        gone = set(names)
        used = tuple(name for name in self.used if name not in gone)
        return replace(self, used=used) if used else None


def member_label(host: str, port: int) -> str:
    """The label of a host's member record for one port."""
    return f"{parse_host_label(host)}-{port}".lower()


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time in UTC.

    Raises:
        MalformedRecord: Not one.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedRecord(f"{shown(text)}: not a time like 2026-11-21T01:00:00Z") from error


def format_time(time: datetime) -> str:
    """An RFC 3339 time in UTC, to the second."""
    return time.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def txt_fields(txt: Txt, known: Iterable[str]) -> tuple[dict[str, list[str]], tuple[bytes, ...]]:
    """The values of each known key, and the strings with other keys."""
    fields: dict[str, list[str]] = {}
    unknown = []
    for string in txt.strings:
        key, equals, value = string.partition(b"=")
        name = key.decode("latin-1")
        if equals and name in known:
            fields.setdefault(name, []).append(value.decode())
        else:
            unknown.append(string)
    return fields, tuple(unknown)


def _one(fields: dict[str, list[str]], key: str) -> str:
    values = fields.get(key, [])
    if len(values) != 1 or not values[0]:
        raise ValueError(f"{key}= {'is missing' if not values else 'is not one value'}")
    return values[0]


def _version(fields: dict[str, list[str]]) -> int:
    version = _one(fields, "dnssd")
    if not re.fullmatch("[1-9][0-9]{0,8}", version):
        raise ValueError(f"dnssd={version}")
    return int(version)


def _member_label(label: bytes) -> str:
    text = label.decode("ascii").lower()
    host, dash, port = text.rpartition("-")
    if not dash or not port.isdigit():
        raise ValueError(f"its label {text} is not HOST-PORT")
    parse_host_label(host)
    return text


def txt_strings(pairs: Iterable[tuple[str, str]]) -> Iterable[bytes]:
    """A string for each key and value."""
    return (f"{key}={value}".encode() for key, value in pairs)
