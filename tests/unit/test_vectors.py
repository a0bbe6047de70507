"""The golden vectors of the record format, which implementations in any language share."""

import json
from pathlib import Path
from typing import Any

import pytest

from dnssd.errors import MalformedRecord
from dnssd.members import HostRecord, Member, format_time, parse_time
from dnssd.names import Name
from dnssd.records import Srv, Txt
from dnssd.registration.fold import Aim, fold, unchanged
from dnssd.registration.views import InstanceView
from dnssd.rrsets import RRset
from dnssd.zones.limits import CommitLimits

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "records.json").read_text())
ORIGIN = Name.parse("example.com.")


def ids(vectors: list[dict[str, Any]]) -> list[str]:
    """What each vector shows."""
    return [vector["what"] for vector in vectors]


def txt_of(vector: dict[str, Any]) -> Txt:
    """The TXT record of a vector."""
    return Txt(tuple(string.encode() for string in vector["strings"]))


def member_as_json(member: Member) -> dict[str, Any]:
    """A member as the vectors write it."""
    return {
        "srv": member.srv.format(),
        "addresses": [address.format() for address in member.addresses],
        "owner": member.owner,
        "since": format_time(member.since),
        "id": member.id,
        "state": member.state,
        "was": [srv.format() for srv in member.was],
        "until": format_time(member.until) if member.until else None,
        **({"removed": member.removed} if member.removed else {}),
        "format": member.version,
        "unknown": [string.decode() for string in member.unknown],
    }


@pytest.mark.parametrize("vector", VECTORS["members"], ids=ids(VECTORS["members"]))
def test_member_records(vector: dict[str, Any]) -> None:
    """Each member record is read as the vector says, and written as it was."""
    txt, label = txt_of(vector), vector["label"].encode()
    if vector["means"] is None:
        with pytest.raises(MalformedRecord):
            Member.from_txt(label, txt)
        return

    member = Member.from_txt(label, txt)

    assert member_as_json(member) == vector["means"]
    assert member.to_txt() == txt


@pytest.mark.parametrize("vector", VECTORS["hosts"], ids=ids(VECTORS["hosts"]))
def test_host_records(vector: dict[str, Any]) -> None:
    """Each host record is read as the vector says, and written as it was."""
    txt = txt_of(vector)

    host = HostRecord.from_txt(txt, ORIGIN)

    assert {
        "owner": host.owner,
        "used": [str(name) for name in host.used],
        "format": host.version,
        "unknown": [string.decode() for string in host.unknown],
    } == vector["means"]
    assert host.to_txt(ORIGIN) == txt


@pytest.mark.parametrize("vector", VECTORS["folds"], ids=ids(VECTORS["folds"]))
def test_folds(vector: dict[str, Any]) -> None:
    """One fold makes of the SRV records what the vector says."""
    name = Name.parse("web._http._tcp.example.com.")
    srvs = tuple(map(Srv.parse, vector["srv"]))
    records = [
        RRset(name.child(each["label"].encode()), "TXT", 60, (txt_of(each),))
        for each in vector["members"]
    ]
    view = InstanceView.of(name, [RRset(name, "SRV", 60, srvs), *records])

    folded = fold(
        view,
        unchanged(view),
        Aim.REPAIR,
        own=frozenset(vector["own"]),
        now=parse_time(vector["now"]),
        limits=CommitLimits(),
    )

    (after,) = [change.after for change in folded.changes if change.rdtype == "SRV"]
    assert after is not None
    assert set(after.texts()) == set(vector["after"])
