"""Hosted zones as a text that can be kept, and read again: JSON, an RRset to a line."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from dnssd.errors import DnssdError, UsageError
from dnssd.names import Name, shown
from dnssd.records import MAX_TTL
from dnssd.sandbox.api.batch import apply_edits
from dnssd.sandbox.api.hostedzones import Contents, Submission, Vpc, Zone
from dnssd.sandbox.api.rrsets import SIMPLE, Action, Alias, Edit, Entry, Routing
from dnssd.sandbox.api.sortedmap import SortedMap
from dnssd.sandbox.api.validation import TYPES, read_name
from dnssd.zones.route53.text import write_name

FORMAT = "dnssd sandbox state"
VERSION = 1

_ALWAYS = float("-inf")  # since when a change of an earlier run is everywhere
T = TypeVar("T")


class _Written(NamedTuple):
    """Entries and their text; holding the entries keeps their id() theirs."""

    entries: tuple[Entry, ...]
    text: str


class Writer:
    """Writes contents, and remembers the text of what the next contents will have in common."""

    def __init__(self) -> None:
        self._written: dict[int, _Written] = {}  # by the id() of a chunk of entries

    def write(self, contents: Contents) -> bytes:
        """The text of `contents`; `read` is the inverse."""
        chunks = [chunk for zone in contents.zones for chunk in zone.entries.chunks()]
        self._written = {
            id(chunk): self._written.get(id(chunk)) or _Written(chunk, _lines(chunk))
            for chunk in chunks
        }
        head = {"format": FORMAT, "version": VERSION, "number": contents.number}
        return (_with_list(head, "zones", map(self._zone, contents.zones)) + "\n").encode()

    def _zone(self, zone: Zone) -> str:
        texts = (self._written[id(chunk)].text for chunk in zone.entries.chunks())
        return _with_list(_zone_json(zone), "entries", texts)


def read(data: bytes) -> Contents:
    """The contents that `data` is the text of.

    Raises:
        UsageError: It is damaged, something else, or of a newer version.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON, so it is damaged or something else ({error})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UsageError("JSON, but not the state of a sandbox")
    if document.get("version") != VERSION:
        raise UsageError(
            f"written in version {shown(str(document.get('version')))} of the format, of which "
            f"this program knows only {VERSION}"
        )
    try:
        return _contents(document)
    except (ValueError, KeyError, DnssdError) as error:
        raise UsageError(f"damaged ({type(error).__name__}: {shown(str(error))})") from error


def _with_list(head: Mapping[str, object], name: str, items: Iterable[str]) -> str:
    """The JSON object `head` with one more member: a list of JSON texts, each on a line."""
    return f'{json.dumps(head)[:-1]}, "{name}": [\n' + ",\n".join(items) + "\n]}"


def _lines(entries: Iterable[Entry]) -> str:
    return ",\n".join(json.dumps(_entry_json(entry)) for entry in entries)


def _zone_json(zone: Zone) -> dict[str, object]:
    return {
        "id": zone.id,
        "name": write_name(zone.origin),
        "caller_reference": zone.caller_reference,
        "comment": zone.comment,
        "vpcs": [{"id": vpc.id, "region": vpc.region} for vpc in zone.vpcs],
        "creation": {
            "id": zone.creation.id,
            "comment": zone.creation.comment,
            "submitted_at": zone.creation.submitted_at.isoformat(),
        },
    }


def _entry_json(entry: Entry) -> dict[str, object]:
    made: dict[str, object] = {
        "name": write_name(entry.name),
        "type": entry.rdtype,
        "ttl": entry.rrset.ttl,
        "values": entry.texts,
    }
    if entry.routing != SIMPLE:
        made["routing"] = _routing_json(entry.routing)
    return made


def _routing_json(routing: Routing) -> dict[str, object]:
    alias = routing.alias
    return {
        "set_identifier": routing.set_identifier,
        "weight": routing.weight,
        "region": routing.region,
        "failover": routing.failover,
        "multivalue": routing.multivalue,
        "geo_location": dict(routing.geo_location),
        "health_check_id": routing.health_check_id,
        "alias": alias
        and {
            "zone_id": alias.zone_id,
            "target": write_name(alias.target),
            "evaluate_health": alias.evaluate_health,
        },
    }


def _contents(document: Mapping[str, Any]) -> Contents:
    zones = tuple(_zone(_checked(zone, dict)) for zone in _get(document, "zones", list))
    for what in ("id", "caller_reference"):
        if len({getattr(zone, what) for zone in zones}) < len(zones):
            raise ValueError(f"two zones have one {what}")
    return Contents(zones, _get(document, "number", int))


def _zone(fields: Mapping[str, Any]) -> Zone:
    origin = _name(fields, "name")
    creation = _get(fields, "creation", dict)
    entries = [_entry(_checked(entry, dict)) for entry in _get(fields, "entries", list)]
    edits = [Edit(Action.CREATE, entry) for entry in entries]
    return Zone(
        id=_get(fields, "id", str),
        origin=origin,
        vpcs=tuple(_vpc(_checked(vpc, dict)) for vpc in _get(fields, "vpcs", list)),
        caller_reference=_get(fields, "caller_reference", str),
        comment=_get(fields, "comment", str),
        creation=Submission(
            id=_get(creation, "id", str),
            comment=_get(creation, "comment", str),
            submitted_at=datetime.fromisoformat(_get(creation, "submitted_at", str)),
            insync_at=_ALWAYS,
        ),
        entries=apply_edits(origin, SortedMap(), edits, len(edits)),
    )


def _vpc(fields: Mapping[str, Any]) -> Vpc:
    return Vpc(_get(fields, "id", str), _get(fields, "region", str))


def _entry(fields: Mapping[str, Any]) -> Entry:
    rdtype = _get(fields, "type", str)
    ttl = _get(fields, "ttl", int)
    if rdtype not in TYPES or not 0 <= ttl <= MAX_TTL:
        raise ValueError(f"type {rdtype}, TTL {ttl}")
    values = tuple(_checked(value, str) for value in _get(fields, "values", list))
    routing = _routing(_get(fields, "routing", dict)) if "routing" in fields else SIMPLE
    if bool(values) == bool(routing.alias):
        raise ValueError("an alias has no values, and everything else has some")
    return Entry.of(_name(fields, "name"), rdtype, ttl, values, routing)


def _routing(fields: Mapping[str, Any]) -> Routing:
    alias = fields["alias"]
    geo_location = _get(fields, "geo_location", dict)
    return Routing(
        set_identifier=_get(fields, "set_identifier", str),
        weight=None if fields["weight"] is None else _get(fields, "weight", int),
        region=_get(fields, "region", str),
        failover=_get(fields, "failover", str),
        multivalue=_get(fields, "multivalue", bool),
        geo_location=tuple((key, _get(geo_location, key, str)) for key in geo_location),
        health_check_id=_get(fields, "health_check_id", str),
        alias=None if alias is None else _alias(_checked(alias, dict)),
    )


def _alias(fields: Mapping[str, Any]) -> Alias:
    return Alias(
        _get(fields, "zone_id", str),
        _name(fields, "target"),
        _get(fields, "evaluate_health", bool),
    )


def _name(fields: Mapping[str, Any], key: str) -> Name:
    return read_name(_get(fields, key, str)).lower()


def _get(fields: Mapping[str, Any], key: str, kind: type[T]) -> T:
    try:
        return _checked(fields[key], kind)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _checked(value: object, kind: type[T]) -> T:
    if type(value) is not kind:  # not isinstance(): True is no number here
        raise ValueError(f"{shown(str(value))} is no {kind.__name__}")
    return value
