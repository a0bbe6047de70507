"""Cloudflare's records, each with an ID and one value, and the RRsets that they make. Pure.

    {"type": "SRV", "name": "web._http._tcp.example.com", "ttl": 60,
     "data": {"priority": 0, "weight": 100, "port": 80, "target": "i-0abc.example.com"}}

Names have no dot at the end. A TTL of 1 is Cloudflare's own choice: 300 seconds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dnssd.errors import ChangeRejected, MalformedName, MalformedRecord, RRsetFull
from dnssd.names import Name
from dnssd.records import Opaque, Ptr, Rdata, Srv, Txt, parse_rdata
from dnssd.rrsets import PROXIED, Change, RRset
from dnssd.zones.base import Question

AUTOMATIC = 1  # a TTL of Cloudflare's choice
AUTOMATIC_SECONDS = 300
SHORTEST_TTL, LONGEST_TTL = 60, 86_400  # seconds
MOST_CHARACTERS = 8_192  # of the content of one name and type
_NAMES = ("CNAME", "NS")  # types whose content is one name


@dataclass(frozen=True, slots=True)
class Record:
    """One record as listed.

    Attributes:
        id: Names this record with this content, as long as nobody overwrites it in place.
        age: Sorts records by when they were made.
    """

    id: str
    name: Name
    rdtype: str
    ttl: int
    value: Rdata
    proxied: bool
    age: tuple[str, str]

    @property
    def key(self) -> Question:
        """Its name and type."""
        return self.name, self.rdtype


def read_record(listed: Mapping[str, Any]) -> Record:
    """A record as the API lists it.

    Raises:
        KeyError, TypeError, MalformedName: It is not one.
    """
    rdtype = str(listed["type"])
    ttl = int(listed["ttl"])
    return Record(
        id=str(listed["id"]),
        name=Name.parse(str(listed["name"])),
        rdtype=rdtype,
        ttl=AUTOMATIC_SECONDS if ttl == AUTOMATIC else ttl,
        value=_read_value(rdtype, listed),
        proxied=bool(listed.get("proxied", False)),
        age=(str(listed.get("created_on", "")), str(listed["id"])),
    )


def rrsets(records: Iterable[Record]) -> tuple[RRset, ...]:
    """The RRsets that records make; the newest tells the TTL, which was asked for last."""
    grouped: dict[Question, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.age):
        grouped.setdefault(record.key, []).append(record)
    return tuple(
        RRset(
            name=name,
            rdtype=rdtype,
            ttl=found[-1].ttl,
            values=tuple(record.value for record in found),
            kind=PROXIED if any(record.proxied for record in found) else None,
        )
        for (name, rdtype), found in grouped.items()
    )


def write_record(rrset: RRset, value: Rdata) -> dict[str, Any]:
    """What makes a record of one value."""
    record: dict[str, Any] = {
        "type": rrset.rdtype,
        "name": write_name(rrset.name),
        "ttl": rrset.ttl,
    }
    if rrset.rdtype in ("A", "AAAA", "CNAME"):
        record["proxied"] = rrset.kind == PROXIED
    if record.get("proxied"):
        record["ttl"] = AUTOMATIC
    if isinstance(value, Srv):
        target = write_name(value.target)
        data = {"priority": value.priority, "weight": value.weight, "port": value.port}
        return record | {"data": data | {"target": target}}
    return record | {"content": _content(value)}


def write_name(name: Name) -> str:
    """A name as the API has it: without the last dot, a wildcard as it is."""
    return name.master().replace(r"\042", "*").removesuffix(".") or "."


def check(changes: Iterable[Change], origin: Name) -> None:
    """Refuse what Cloudflare cannot hold, before anything is sent.

    Raises:
        ChangeRejected: A TTL that it does not take, or a name outside the zone.
        RRsetFull: Too much under one name and type.
    """
    for change in changes:
        after = change.after
        if not change.name.is_below(origin):
            raise ChangeRejected(f"{change.name}: not in zone {origin}", name=str(change.name))
        if after is None or not change.added:
            continue
        if after.kind != PROXIED and not SHORTEST_TTL <= after.ttl <= LONGEST_TTL:
            raise ChangeRejected(
                f"{change.name}: TTL {after.ttl}: Cloudflare takes {SHORTEST_TTL} to {LONGEST_TTL}"
                " seconds; give another --ttl",
                name=str(change.name),
            )
        characters = sum(len(_content(value)) for value in after.values)
        if characters > MOST_CHARACTERS:
            raise RRsetFull(
                f"{change.name}: RRset full: {characters} characters of {change.rdtype} values "
                f"would be needed and {MOST_CHARACTERS} are allowed; use a second instance of "
                "the service: clients merge them",
                name=str(change.name),
            )


def _read_value(rdtype: str, listed: Mapping[str, Any]) -> Rdata:
    data = listed.get("data") or {}
    try:
        if rdtype == "SRV" and "target" in data:
            priority, weight, port = (int(data[key]) for key in ("priority", "weight", "port"))
            return Srv(priority, weight, port, Name.parse(str(data["target"])))
        content = str(listed["content"])
        if rdtype == "TXT" and not content.startswith('"'):
            return Txt((content.encode(),))
        return parse_rdata(rdtype, content)
    except (ValueError, MalformedName, MalformedRecord):
        return Opaque(rdtype, str(listed.get("content", "")))


def _content(value: Rdata) -> str:
    if isinstance(value, Ptr):
        return write_name(value.target)
    if isinstance(value, Srv):
        return f"{value.priority} {value.weight} {value.port} {write_name(value.target)}"
    return value.format().removesuffix(".") if value.rdtype in _NAMES else value.format()
