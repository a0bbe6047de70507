"""What has come of a join in each zone, as people and programs are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dnssd.cli import hints
from dnssd.cli.output import print_json, safe
from dnssd.cli.registering import requests_to
from dnssd.cli.reporting import result_is_told, warn
from dnssd.cli.several import InZone, Parts
from dnssd.deadline import Deadline
from dnssd.registration import remarks
from dnssd.registration.operation import Outcome
from dnssd.registration.wish import Wish
from dnssd.zones.base import Zone


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it in one zone."""

    wish: Wish
    outcome: Outcome
    news: tuple[str, ...]


def tell(parts: Parts[Joined], nameservers: Sequence[str], *, as_json: bool) -> dict[str, Any]:
    """Say what has come of it, what was replaced, and what may be wrong all the same."""
    document: dict[str, Any] = {"name": None, "member": None}
    for part in reversed(parts.done):
        if part.result is not None:
            document = {"name": str(part.result.wish.name), "member": part.result.wish.label}
            if part.result.news:
                document["replaced"] = list(part.result.news)
    document["zones"] = [_entry(part) for part in parts.all]
    if as_json and parts.done:
        result_is_told()
        print_json(document)
    for part in parts.done:
        if part.result is None or part.zone is None:
            continue
        outcome, news = part.result.outcome, part.result.news
        verb = "joined" if outcome.changed else "had joined already:"
        told = f"{verb} {outcome.name} as {part.result.wish.label}"
        if not as_json:
            told += f"{': ' if news else ''}{', '.join(news)}"
            print(safe(f"{told} ({requests_to(part.zone)})"))
        _warn(nameservers, part.result, part.zone, part.deadline)
    return document


def _entry(part: InZone[Joined]) -> dict[str, Any]:
    entry = part.json("joined")
    if part.result is not None:
        entry |= {"changed": part.result.outcome.changed, "name": str(part.result.wish.name)}
    return entry


def _warn(nameservers: Sequence[str], joined: Joined, zone: Zone, deadline: Deadline) -> None:
    for warning in remarks.warnings(joined.wish, joined.outcome, datetime.now(UTC)):
        warn(warning)
    hints.warn_of_loopback(joined.wish.addresses, nameservers)
    if joined.outcome.defined:
        hints.of_definition(zone, joined.wish.name, nameservers, deadline)
