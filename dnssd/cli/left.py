"""What `dnssd leave` says of what it did."""

from dataclasses import dataclass
from typing import Any

from dnssd.cli.output import print_json, safe
from dnssd.cli.registering import requests_to
from dnssd.cli.reporting import result_is_told, warn
from dnssd.cli.several import InZone, Parts
from dnssd.names import shown
from dnssd.registration.operation import Outcome


@dataclass(frozen=True, slots=True)
class Left:
    """What came of it in one zone."""

    outcome: Outcome
    elsewhere: tuple[str, ...]


def tell(parts: Parts[Left], *, as_json: bool) -> dict[str, Any]:
    """Say what has come of it: the whole of it, for JSON."""
    entries = [_entry(part) for part in parts.all]
    left = [part.result for part in parts.done if part.result is not None]
    document: dict[str, Any] = {
        "name": str(left[0].outcome.name) if left else None,
        "members": list(dict.fromkeys(m for one in left for m in one.outcome.members)),
        "elsewhere": list(dict.fromkeys(e for one in left for e in one.elsewhere)),
        "zones": entries,
    }
    if as_json and left:
        result_is_told()
        print_json(document)
    for part in parts.done:
        if part.result is None or part.zone is None:
            continue
        if not as_json:
            print(safe(f"{_told(part.result.outcome)} ({requests_to(part.zone)})"))
        _warn(part.result)
    return document


def _entry(part: InZone[Left]) -> dict[str, Any]:
    entry = part.json("left")
    if part.result is not None:
        outcome = part.result.outcome
        about = {"name": str(outcome.name), "members": list(outcome.members)}
        entry |= {"changed": outcome.changed, **about}
    return entry


def _warn(left: Left) -> None:
    if left.outcome.held:
        warn(
            f"{', '.join(left.outcome.held)}: an agent looks after it, and will stay out until "
            "'dnssd join' runs there; run this again in a minute to remove the record"
        )
    if left.elsewhere:
        names = ", ".join(map(shown, left.elsewhere))
        warn(f"this host is a member of other instances: {names}; name one with --instance")


def _told(outcome: Outcome) -> str:
    members = ", ".join(outcome.members)
    return f"left {outcome.name}: {members}" if members else f"no member here of {outcome.name}"
