"""What commands that change a zone share: how long they wait, and how changes are told."""

from collections.abc import Sequence
from typing import Any

from dnssd.cli.output import print_json, safe
from dnssd.records import Change, RRset
from dnssd.registration.registrar import Outcome
from dnssd.zones.base import Zone


def print_changes(changes: Sequence[Change], as_json: bool) -> None:
    """What a dry run would change, record by record."""
    if as_json:
        print_json({"changes": [_change_json(change) for change in changes]})
        return
    for change in changes:
        before, after = _lines(change.before), _lines(change.after)
        for line in before:
            if line not in after:
                print(safe(f"- {line}"))
        for line in after:
            if line not in before:
                print(safe(f"+ {line}"))
    if not changes:
        print("nothing to change")


def print_outcome(
    outcome: Outcome, zone: Zone, extra: dict[str, Any], told: str, as_json: bool
) -> None:
    """What a join or leave did."""
    result = {
        "zone": zone.address,
        "changed": outcome.changed,
        "requests": zone.requests,
        "error": None,
    }
    if as_json:
        print_json({"name": str(outcome.name), **extra, "zones": [result]})
    else:
        requests = f"{zone.requests} request{'s' if zone.requests != 1 else ''}"
        print(safe(f"{told} ({requests} to {zone.address})"))


def answer_timeout(deadline: float) -> float:
    """Seconds to wait for one answer of the provider: a deadline holds several."""
    return min(10.0, max(1.0, deadline / 3))


def _change_json(change: Change) -> dict[str, Any]:
    side = change.after or change.before
    return {
        "name": str(change.name),
        "type": change.rdtype,
        "before": _texts(change.before),
        "after": _texts(change.after),
        "ttl": side.ttl if side else None,
    }


def _texts(rrset: RRset | None) -> list[str] | None:
    return None if rrset is None else [value.format() for value in rrset.values]


def _lines(rrset: RRset | None) -> list[str]:
    if rrset is None:
        return []
    head = f"{rrset.name} {rrset.ttl} {rrset.rdtype}"
    return [f"{head} {value.format()}" for value in rrset.values]
