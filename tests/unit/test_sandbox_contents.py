"""Hosted zones as a text, and back: what is kept of a sandbox."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.sandbox.api.hostedzones import Contents, HostedZone, HostedZones, Vpc
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.api.statefile import format_state, parse_state

ORIGIN = Name.parse("example.test")


def _zones() -> HostedZones:
    """Two zones, one of them holding something of everything."""
    zones = HostedZones()
    zone = zones.create_zone(ORIGIN, caller_reference="é", comment='said "so"')
    zones.create_zone(ORIGIN, caller_reference="b", vpc=Vpc("vpc-1", "eu-west-1"), zone_id="Z9")
    place = ("GeoLocation", (("CountryCode", "US"), ("SubdivisionCode", "CA")))
    alias = ("AliasTarget", (("HostedZoneId", "Z1"), ("DNSName", "x.example.test.")))
    rrsets = [
        HostedRRset(Name((b"a b\x00\xff.", *ORIGIN.labels)), "TXT", 0, (r'"x\"\\\303" "y"', '"A"')),
        HostedRRset(ORIGIN.child(b"_tcp", b"Up"), "SRV", 2**31 - 1, ("1 2 3 h.",)),
        HostedRRset(ORIGIN.child(b"alias"), "A", 0, (), (alias,)),
        HostedRRset(
            ORIGIN.child(b"r"), "A", 60, ("10.0.0.1",), (("SetIdentifier", "ä \U0001f600"), place)
        ),
    ]
    zones.change(zone.id, [Edit(Action.CREATE, rrset) for rrset in rrsets])
    return zones


def _facts(contents: Contents) -> list[Any]:
    """All that is to be kept."""
    return [contents.number, [_zone_facts(zone) for zone in contents.zones]]


def _zone_facts(zone: HostedZone) -> list[Any]:
    return [zone.id, zone.origin, zone.vpc, zone.caller_reference, zone.comment, zone.rrsets]


def _document() -> Any:
    return json.loads(format_state(_zones().contents()))


def test_what_is_written_is_read_again() -> None:
    """To the letter: identifiers, references, values, TTLs, routing."""
    contents = _zones().contents()

    again = parse_state(format_state(contents))

    assert _facts(again) == _facts(contents)
    assert format_state(again) == format_state(contents)


def test_zones_go_on_where_others_ended() -> None:
    """New identifiers are new, and caller references are known."""
    before = _zones()
    zones = HostedZones(parse_state(format_state(before.contents())))

    made = zones.create_zone(ORIGIN, caller_reference="new")
    assert made.id == before.create_zone(ORIGIN, caller_reference="new").id
    with pytest.raises(Rejection, match="HostedZoneAlreadyExists"):
        zones.create_zone(ORIGIN, caller_reference="é")


def test_nothing_is_something_too() -> None:
    """There is a text even if there are no zones."""
    assert _facts(parse_state(format_state(Contents()))) == [0, []]


def test_a_person_can_read_it() -> None:
    """Each RRset has a line."""
    lines = format_state(_zones().contents()).decode().splitlines()

    assert '["_tcp.up.example.test.", "SRV", 2147483647, ["1 2 3 h."], []]' in lines
    assert sum(line.startswith('["') for line in lines) == 4 + 2 * 2


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": 1}x'])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    """Empty, cut off, no text, too deep."""
    with pytest.raises(UsageError, match="not JSON, so it is damaged or something else"):
        parse_state(data)


@pytest.mark.parametrize("data", [b"1", b"[]", b"{}", b'{"format": "x", "version": 1}'])
def test_json_of_something_else_is_refused(data: bytes) -> None:
    """It is told apart from damage."""
    with pytest.raises(UsageError, match="not the state of a sandbox"):
        parse_state(data)


def test_a_later_version_is_refused() -> None:
    """What this program does not know, it does not guess at."""
    document = {**_document(), "version": 3}

    with pytest.raises(UsageError, match=r"version '3' of the format, of which .* only 2"):
        parse_state(json.dumps(document).encode())


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
        (["zones", 1, "vpc"], ["vpc-1", 1]),
        (["zones", 1, "vpc"], ["a", "b", "c"]),
        (["zones", 1, "vpc"], {}),
        (["zones", 0, "rrsets", 0, 0], 1),
        (["zones", 0, "rrsets", 0, 1], "X"),
        (["zones", 0, "rrsets", 0, 1], "TXT"),
        (["zones", 0, "rrsets", 0, 1], {}),
        (["zones", 0, "rrsets", 0, 2], -1),
        (["zones", 0, "rrsets", 0, 2], 1.5),
        (["zones", 0, "rrsets", 0, 3], "ns."),
        (["zones", 0, "rrsets", 0, 3], []),
        (["zones", 0, "rrsets", 0, 3], [1]),
        (["zones", 0, "rrsets", 0, 4], [["Weight"]]),
        (["zones", 0, "rrsets", 0, 4], [["Weight", 1]]),
        (["zones", 0, "rrsets", 0, 4], {}),
        (["zones", 0, "rrsets", 0], []),
        (["zones", 0, "rrsets", 1], None),
        (["zones", 1, "rrsets"], []),
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
        parse_state(json.dumps(document).encode())


def test_missing_parts_are_found() -> None:
    """Each key of a zone is needed."""
    for key in _document()["zones"][0]:
        document = _document()
        del document["zones"][0][key]
        with pytest.raises(UsageError, match="damaged"):
            parse_state(json.dumps(document).encode())


@given(st.data())
def test_damage_is_never_a_crash(data: st.DataObject) -> None:
    """One octet changed, or the end missing: read, or refused in one line."""
    text = bytearray(format_state(_zones().contents()))
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(text)))
    for damaged in (bytes(text), bytes(text[:cut])):
        assert "\n" not in _complaint(damaged)


def _complaint(data: bytes) -> str:
    try:
        parse_state(data)
    except UsageError as error:
        return str(error)
    return ""
