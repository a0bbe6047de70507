"""The records of one Cloudflare zone, and what a batch makes of them."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dns.exception
import dns.rdata

from kit.cloudflare.errors import (
    ABSENT,
    ADDRESS_CONFLICT,
    BAD_BODY,
    BAD_CONTENT,
    BAD_DATA,
    BAD_NAME,
    BAD_PROXIED,
    BAD_TTL,
    CNAME_CONFLICT,
    DUPLICATE,
    INVALID,
    QUOTA,
    ApiError,
)

MAX_OPERATIONS = 200  # in a batch, on a free plan
MAX_RECORDS = 200  # in a zone, on a free plan
MAX_CHARACTERS = 8192  # of the contents of one name and type
MAX_COMMENT = 100  # characters, on a free plan
AUTOMATIC = 1  # the TTL that Cloudflare chooses

_TYPES = ("A", "AAAA", "CNAME", "NS", "PTR", "SRV", "TXT")
_PROXIABLE = ("A", "AAAA", "CNAME")
_FIELDS = {"name", "type", "content", "data", "ttl", "proxied", "comment"}
_SRV_FIELDS = {"priority", "weight", "port", "target"}
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?|\*")


@dataclass(frozen=True, slots=True)
class Record:
    """One record; its id names this content as long as nobody patches it."""

    id: str
    created_on: str
    name: str
    type: str
    content: str
    ttl: int
    proxied: bool = False
    comment: str | None = None
    data: tuple[tuple[str, Any], ...] = ()
    modified_on: str = ""

    def document(self, shadowed_by: Sequence[str] = ()) -> dict[str, Any]:
        """As the API gives it; numbers in `data` come as floats, as they may."""
        made: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "content": self.content,
            "proxiable": self.type in _PROXIABLE and _is_public(self.type, self.content),
            "proxied": self.proxied,
            "ttl": AUTOMATIC if self.proxied else self.ttl,
            "settings": {},
            "meta": {"shadowed_by": list(shadowed_by)} if shadowed_by else {},
            "comment": self.comment,
            "tags": [],
            "created_on": self.created_on,
            "modified_on": self.modified_on or self.created_on,
        }
        if self.data:
            numbers = {k: float(v) if isinstance(v, int) else v for k, v in self.data}
            made["data"] = numbers
        return made


Records = tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a zone lets happen.

    Attributes:
        origin: The zone's name, in lower case and without the last dot.
        max_records: How many records it may hold.
        max_operations: How many a batch may have.
        duplicate: The code with which an identical record is refused.
    """

    origin: str
    max_records: int = MAX_RECORDS
    max_operations: int = MAX_OPERATIONS
    duplicate: int = DUPLICATE


def apply_batch(
    rules: Rules, records: Records, body: Mapping[str, Any], stamp: Callable[[], tuple[str, str]]
) -> tuple[Records, Records, Records]:
    """What a zone holds after a batch, what was deleted, and what was posted.

    Args:
        rules: Of the zone.
        records: What it holds.
        body: The request.
        stamp: A new id, and the time.

    Raises:
        ApiError: The first thing that is wrong; nothing is done.
    """
    deletes, posts = _operations(rules, body)
    held = {record.id: record for record in records}
    deleted = []
    for each in deletes:
        if set(each) != {"id"} or not isinstance(each["id"], str):
            raise ApiError(BAD_BODY, "Request body is invalid.")
        if each["id"] not in held:
            raise ApiError(ABSENT, "Record does not exist.")
        deleted.append(held.pop(each["id"]))
    posted = []
    for each in posts:
        record = make_record(rules, each, *stamp())
        _check_beside(rules, record, held.values())
        held[record.id] = record
        posted.append(record)
    if len(held) > max(rules.max_records, len(records)):
        raise ApiError(QUOTA, "Record quota exceeded.")
    after = _alike(tuple(held.values()))
    by_id = {record.id: record for record in after}
    return after, tuple(deleted), tuple(by_id[record.id] for record in posted)


def make_record(rules: Rules, fields: Mapping[str, Any], record_id: str, now: str) -> Record:
    """The record that a request describes.

    Raises:
        ApiError: Something in it is wrong.
    """
    if not isinstance(fields, Mapping) or set(fields) - _FIELDS:
        raise ApiError(BAD_BODY, "Request body is invalid.")
    rdtype = fields.get("type")
    if rdtype not in _TYPES:
        raise ApiError(INVALID, f"DNS Validation Error: type {rdtype!r}")
    content, data = _content(rdtype, fields)
    proxied, comment = fields.get("proxied", False), fields.get("comment")
    if type(proxied) is not bool or (
        proxied and not (rdtype in _PROXIABLE and _is_public(rdtype, content))
    ):
        raise ApiError(BAD_PROXIED, "Proxying is not available for this record.")
    if comment is not None and len(comment) > MAX_COMMENT:
        raise ApiError(INVALID, "DNS Validation Error: the comment is too long")
    return Record(
        id=record_id,
        created_on=now,
        name=_name(rules.origin, fields.get("name")),
        type=rdtype,
        content=content,
        ttl=_ttl(fields.get("ttl", AUTOMATIC)),
        proxied=proxied,
        comment=comment,
        data=data,
    )


def shadows(rules: Rules, records: Records, name: str) -> tuple[str, ...]:
    """The ids of the NS records that delegate `name` away."""
    return tuple(
        record.id
        for record in records
        if record.type == "NS"
        and record.name != rules.origin
        and (name == record.name or name.endswith(f".{record.name}"))
    )


def _operations(
    rules: Rules, body: Mapping[str, Any]
) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """The deletes and posts of a batch; patches and puts keep an id and change its meaning."""
    if not isinstance(body, Mapping) or set(body) - {"deletes", "posts"}:
        raise ApiError(BAD_BODY, "Request body is invalid: only deletes and posts are known here")
    lists = [body.get(key) or [] for key in ("deletes", "posts")]
    if not all(isinstance(each, list) for each in lists) or not any(lists):
        raise ApiError(BAD_BODY, "Request body is invalid.")
    if sum(map(len, lists)) > rules.max_operations:
        raise ApiError(INVALID, f"A batch may have {rules.max_operations} operations at most")
    return lists[0], lists[1]


def _name(origin: str, name: object) -> str:
    """A name in full: the zone's name is appended where it is missing, as Cloudflare does."""
    if not isinstance(name, str) or name.endswith("."):
        raise ApiError(BAD_NAME, "DNS name is invalid.")
    full = origin if name == "@" else name.lower()
    if full != origin and not full.endswith(f".{origin}"):
        full = f"{full}.{origin}"
    if len(full) > 253 or not all(map(_LABEL.fullmatch, full.split("."))):
        raise ApiError(BAD_NAME, "DNS name is invalid.")
    return full


def _content(rdtype: str, fields: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, Any], ...]]:
    if rdtype == "SRV":
        return _srv(fields.get("data"), fields)
    content = fields.get("content")
    if not isinstance(content, str) or "data" in fields:
        raise ApiError(BAD_CONTENT, "Content for this record is invalid.")
    if rdtype == "TXT" and not content.startswith('"'):
        raise ApiError(BAD_CONTENT, "Content of a TXT record: quoted strings are wanted here")
    if rdtype not in ("A", "AAAA", "TXT"):
        return _target(content), ()
    try:  # as it is read, not as it was written
        return dns.rdata.from_text("IN", rdtype, content).to_text(), ()
    except (dns.exception.DNSException, ValueError) as error:
        raise ApiError(BAD_CONTENT, f"Content for {rdtype} record is invalid.") from error


def _srv(data: object, fields: Mapping[str, Any]) -> tuple[str, tuple[tuple[str, Any], ...]]:
    if not isinstance(data, dict) or set(data) != _SRV_FIELDS or "content" in fields:
        raise ApiError(BAD_DATA, "Missing or invalid data for SRV record.")
    numbers = [data[key] for key in ("priority", "weight", "port")]
    if any(type(number) is not int or not 0 <= number <= 65535 for number in numbers):
        raise ApiError(BAD_DATA, "Missing or invalid data for SRV record.")
    target = _target(data["target"])
    named = zip(("priority", "weight", "port"), numbers, strict=True)
    return " ".join((*map(str, numbers), target)), (*named, ("target", target))


def _target(text: object) -> str:
    """A name in rdata: without the last dot; a dot alone is the root."""
    if text == ".":
        return "."
    if not isinstance(text, str) or text.endswith(".") or not 0 < len(text) <= 253:
        raise ApiError(BAD_CONTENT, "Content for this record is invalid: no trailing dot")
    return text


def _ttl(ttl: object) -> int:
    if type(ttl) is not int or not (ttl == AUTOMATIC or 60 <= ttl <= 86_400):
        raise ApiError(
            BAD_TTL, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic."
        )
    return ttl


def _is_public(rdtype: str, content: str) -> bool:
    return rdtype == "CNAME" or ipaddress.ip_address(content).is_global


def _check_beside(rules: Rules, record: Record, others: Iterable[Record]) -> None:
    """Whether a record may stand beside what is there; SRV takes exact duplicates."""
    size = len(record.content)
    for other in others:
        if other.name != record.name:
            continue
        if other.type == record.type:
            size += len(other.content)
            if other.content == record.content and record.type != "SRV":
                raise ApiError(rules.duplicate, "An identical record already exists.")
        if "CNAME" in (other.type, record.type):
            if {other.type, record.type} <= set(_PROXIABLE):
                message = "An A, AAAA, or CNAME record with that host already exists."
                raise ApiError(ADDRESS_CONFLICT, message)
            raise ApiError(CNAME_CONFLICT, "A CNAME record with that host already exists.")
    if size > MAX_CHARACTERS:
        raise ApiError(INVALID, "DNS Validation Error: too much content at this name and type")


def _alike(records: Records) -> Records:
    """One proxied address makes all of its name proxied."""
    proxied = {record.name for record in records if record.proxied}
    return tuple(
        replace(record, proxied=True)
        if record.name in proxied and record.type in _PROXIABLE
        else record
        for record in records
    )
