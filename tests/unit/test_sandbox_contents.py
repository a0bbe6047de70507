"""Zones as a text, and back: what is kept of a sandbox."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.sandbox.api.hostedzones import Contents, Store, Vpc, Zone
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.rrsets import Action, Alias, Edit, Entry, Routing
from dnssd.sandbox.api.state import Writer, read

ORIGIN = Name.parse("example.test")
ROUTINGS = (
    Routing("a", weight=0),
    Routing("ä \U0001f600", region="eu-west-1", health_check_id="hc"),
    Routing("c", failover="PRIMARY"),
    Routing("d", multivalue=True),
    Routing("e", geo_location=(("CountryCode", "US"), ("SubdivisionCode", "CA"))),
)


def _store() -> Store:
    """A store with two zones, one of them holding something of everything."""
    store = Store(date=lambda: datetime(2026, 1, 2, 3, 4, 5, 678, UTC))
    zone = store.create_zone(ORIGIN, caller_reference="é", comment='said "so"')
    store.create_zone(ORIGIN, caller_reference="b", vpc=Vpc("vpc-1", "eu-west-1"), zone_id="Z9")
    entries = [
        Entry.of(Name((b"a b\x00\xff.", *ORIGIN.labels)), "TXT", 0, (r'"x\"\\\303" "y"', '"A"')),
        Entry.of(ORIGIN.child(b"_tcp", b"Up"), "SRV", 2**31 - 1, ("1 2 3 h.", "1 2 3 H.")[:1]),
        Entry.of(
            ORIGIN.child(b"alias"), "A", 0, (), Routing(alias=Alias("Z1", ORIGIN.child(b"x"), True))
        ),
    ]
    entries += [
        Entry.of(ORIGIN.child(b"r%d" % number), "A", 60, ("10.0.0.1",), routing)
        for number, routing in enumerate(ROUTINGS)
    ]
    store.change(zone.id, [Edit(Action.CREATE, entry) for entry in entries])
    return store


def _facts(contents: Contents) -> list[Any]:
    """All that is to be kept."""
    return [contents.number, [_zone_facts(zone) for zone in contents.zones]]


def _zone_facts(zone: Zone) -> list[Any]:
    entries = [(entry, entry.texts) for entry in zone.since(("", "", ""))]
    creation = (zone.creation.id, zone.creation.comment, zone.creation.submitted_at)
    return [zone.id, zone.origin, zone.vpcs, zone.caller_reference, zone.comment, creation, entries]


def _document() -> Any:
    return json.loads(Writer().write(_store().contents()))


def test_what_is_written_is_read_again() -> None:
    """To the letter: identifiers, references, values, TTLs, routing."""
    contents = _store().contents()

    again = read(Writer().write(contents))

    assert _facts(again) == _facts(contents)
    assert Writer().write(again) == Writer().write(contents)


def test_a_store_goes_on_where_another_ended() -> None:
    """New identifiers are new, caller references are known, and old changes are everywhere."""
    before = _store()
    store = Store(read(Writer().write(before.contents())), insync_after=1000)

    assert store.insync(store.zones()[0].creation)
    made = store.create_zone(ORIGIN, caller_reference="new")
    assert made.id == before.create_zone(ORIGIN, caller_reference="new").id
    with pytest.raises(Rejection, match="HostedZoneAlreadyExists"):
        store.create_zone(ORIGIN, caller_reference="é")


def test_nothing_is_something_too() -> None:
    """A store without zones has a text."""
    assert _facts(read(Writer().write(Contents()))) == [0, []]


def test_the_text_is_that_of_the_latest_version() -> None:
    """Whatever the writer remembers of versions before: many changes, each written."""
    store, writer = Store(), Writer()
    zone = store.create_zone(ORIGIN, caller_reference="a")
    for number in range(300):
        entry = Entry.of(ORIGIN.child(b"h%d" % (number % 200)), "A", 60, (f"10.0.0.{number % 9}",))
        store.change(zone.id, [Edit(Action.UPSERT, entry)])
        contents = store.contents()
        assert writer.write(contents) == Writer().write(contents)
    assert len(writer._written) == len(list(contents.zones[0].entries.chunks()))


def test_a_person_can_read_it() -> None:
    """Each RRset has a line."""
    lines = Writer().write(_store().contents()).decode().splitlines()

    assert '{"name": "r0.example.test.", "type": "A", "ttl": 60, ' in "\n".join(lines)
    assert sum(line.startswith('{"name"') for line in lines) == 8 + 2 * 2


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}x'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    """Empty, cut off, no text, too deep."""
    with pytest.raises(UsageError, match="not JSON, so it is damaged or something else"):
        read(data)


@pytest.mark.parametrize("data", [b"1", b"[]", b"{}", b'{"format": "x", "version": 1}'])
def test_json_of_something_else_is_refused(data: bytes) -> None:
    """It is told apart from damage."""
    with pytest.raises(UsageError, match="not the state of a sandbox"):
        read(data)


def test_a_later_version_is_refused() -> None:
    """What this program does not know, it does not guess at."""
    document = {**_document(), "version": 2}

    with pytest.raises(UsageError, match=r"version '2' of the format, of which .* only 1"):
        read(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["number"], "1"),
        (["number"], True),
        (["zones"], {}),
        (["zones", 0], []),
        (["zones", 0, "id"], "Z9"),
        (["zones", 0, "caller_reference"], "b"),
        (["zones", 0, "name"], "a..b"),
        (["zones", 0, "name"], "other.test."),
        (["zones", 0, "creation", "submitted_at"], "yesterday"),
        (["zones", 1, "vpcs", 0], "vpc-1"),
        (["zones", 1, "vpcs"], [{"id": "vpc-1"}]),
        (["zones", 0, "entries", 0, "ttl"], -1),
        (["zones", 0, "entries", 0, "ttl"], 1.5),
        (["zones", 0, "entries", 0, "type"], "X"),
        (["zones", 0, "entries", 0, "type"], "TXT"),
        (["zones", 0, "entries", 0, "values"], "ns."),
        (["zones", 0, "entries", 0, "values"], []),
        (["zones", 0, "entries", 0, "values"], [1]),
        (["zones", 0, "entries", 0, "routing"], {"weight": 1}),
        (["zones", 0, "entries", 1], None),
        (["zones", 1, "entries"], []),
    ],
)
def test_damage_is_found(path: list[str | int], value: object) -> None:
    """Values of the wrong type, or that no zone could hold."""
    document = _document()
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value

    with pytest.raises(UsageError, match=r"^damaged \(.*\)$"):
        read(json.dumps(document).encode())


def test_missing_parts_are_found() -> None:
    """Each key of a zone and of an RRset with routing is needed."""
    whole = _document()
    for key in whole["zones"][0]:
        document = _document()
        del document["zones"][0][key]
        with pytest.raises(UsageError, match="damaged"):
            read(json.dumps(document).encode())
    (routed,) = [e for e in whole["zones"][0]["entries"] if e["name"] == "r0.example.test."]
    for key in routed["routing"]:
        document = _document()
        for entry in document["zones"][0]["entries"]:
            entry.get("routing", {}).pop(key, None)
        with pytest.raises(UsageError, match="damaged"):
            read(json.dumps(document).encode())


@given(st.data())
def test_damage_is_never_a_crash(data: st.DataObject) -> None:
    """One octet changed, or the end missing: read, or refused in one line."""
    text = bytearray(Writer().write(_store().contents()))
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(text)))
    for damaged in (bytes(text), bytes(text[:cut])):
        assert "\n" not in _complaint(damaged)


def _complaint(data: bytes) -> str:
    try:
        read(data)
    except UsageError as error:
        return str(error)
    return ""
