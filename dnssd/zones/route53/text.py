r"""What Route 53 writes: names, values and RRsets as text, and what a batch of them may hold.

A byte is escaped in octal (`\052` is a star), in a master file in decimal (`\042`); all else
is the same, so text is read and written by way of that form.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dnssd.names import Name
from dnssd.records import Opaque, Rdata, parse_rdata
from dnssd.rrsets import Change, RRset
from dnssd.zones.limits import CommitLimits

_ESCAPE = re.compile(r"\\(?:([0-9]{3})|.)", re.DOTALL)
_MEMBER = re.compile(rb"[A-Za-z0-9-]+-[0-9]+")
MAX_COMMENT = 256  # characters
_NONE = "\\999"  # in place of an escape that is none: refused by whoever reads it
_ROUTINGS = {
    "AliasTarget": "alias",
    "MultiValueAnswer": "multivalue",
    "Weight": "weighted",
    "Region": "latency",
    "Failover": "failover",
    "GeoLocation": "geolocation",
    "GeoProximityLocation": "geoproximity",
    "CidrRoutingConfig": "IP-based",
    "TrafficPolicyInstanceId": "traffic policy",
    "HealthCheckId": "health-checked",
    "SetIdentifier": "routed",
}


def read_name(text: str) -> Name:
    """A name as Route 53 writes it.

    Raises:
        MalformedName: Not a legal name.
    """
    return Name.parse(decimal(text))


def write_name(name: Name) -> str:
    """A name in ASCII, as Route 53 writes it in values (case kept)."""
    return _octal(name.master())


def read_value(rdtype: str, text: str) -> Rdata:
    """Rdata of any type; what does not parse is `Opaque`, to the letter."""
    rdata = parse_rdata(rdtype, decimal(text))
    return Opaque(rdtype, text) if isinstance(rdata, Opaque) else rdata


def write_value(value: Rdata) -> str:
    """Rdata in ASCII; `read_value` is the inverse."""
    return value.text if isinstance(value, Opaque) else _octal(value.format())


def read_rrset(listed: Mapping[str, Any]) -> RRset:
    """An RRset as Route 53 lists it."""
    rdtype = listed["Type"]
    texts = tuple(record["Value"] for record in listed.get("ResourceRecords", ()))
    values: tuple[Rdata, ...] = tuple(read_value(rdtype, text) for text in texts)
    if not values:
        target = listed.get("AliasTarget", {}).get("DNSName", "")
        values = (Opaque(rdtype, f"ALIAS {target}".rstrip()),)
    not_plain = None if texts else "alias"
    return RRset(
        name=read_name(listed["Name"]),
        rdtype=rdtype,
        ttl=listed.get("TTL", 0),
        values=values,
        as_read=texts,
        kind=next((kind for key, kind in _ROUTINGS.items() if key in listed), not_plain),
    )


def texts(rrset: RRset) -> tuple[str, ...]:
    """The values as text: to the letter where Route 53 listed them, which a DELETE must be."""
    if isinstance(rrset.as_read, tuple):
        return rrset.as_read
    return tuple(map(write_value, rrset.values))


def write_change(change: Change) -> Iterator[dict[str, Any]]:
    """The compare-and-swap of one RRset: DELETE comes before CREATE."""
    for action, rrset in (("DELETE", change.before), ("CREATE", change.after)):
        if rrset is not None:
            yield {
                "Action": action,
                "ResourceRecordSet": {
                    "Name": write_name(rrset.name),
                    "Type": rrset.rdtype,
                    "TTL": rrset.ttl,
                    "ResourceRecords": [{"Value": text} for text in texts(rrset)],
                },
            }


def comment(actor: str, changes: Iterable[Change]) -> str:
    """What the account's log tells of a batch: who made it, and whose values it folded.

    Args:
        actor: As `join i-0abc`.
        changes: Member records among them are known by their labels, HOST-PORT.
    """
    first = (change.name.labels[0] for change in changes if change.rdtype == "TXT")
    labels = dict.fromkeys(label.decode() for label in first if _MEMBER.fullmatch(label))
    told = " ".join(filter(None, ["dnssd", actor])) + (": " if labels else "") + ", ".join(labels)
    return told if len(told) <= MAX_COMMENT else told[: MAX_COMMENT - 4] + " ..."


def decimal(text: str) -> str:
    """Route 53's text with the escapes of a master file."""
    return _ESCAPE.sub(_to_decimal, text) if "\\" in text else text


LIMITS = CommitLimits(
    values=400,
    elements=1_000,
    characters=32_000,
    value=4_000,
    reserve=1_600,
    lengths=lambda rrset: tuple(map(len, texts(rrset))),
)


def _octal(text: str) -> str:
    return _ESCAPE.sub(_to_octal, text) if "\\" in text else text


def _to_decimal(escape: re.Match[str]) -> str:
    if (digits := escape[1]) is None:
        return escape[0]
    return _NONE if set(digits) & {"8", "9"} else f"\\{int(digits, 8):03d}"


def _to_octal(escape: re.Match[str]) -> str:
    return escape[0] if escape[1] is None else f"\\{int(escape[1]):03o}"
