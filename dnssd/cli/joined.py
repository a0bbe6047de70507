"""What comes of a join in each zone, or would, as people and programs are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dnssd.cli import hints
from dnssd.cli.output import print_json, safe
from dnssd.cli.registering import requests_to
from dnssd.cli.reporting import result_is_told, warn
from dnssd.cli.several import InZone, Parts
from dnssd.cli.statusjson import plain_name_json
from dnssd.deadline import Deadline
from dnssd.registration import remarks
from dnssd.registration.joining import plan_join
from dnssd.registration.operation import Outcome
from dnssd.registration.plainname import PlainName, Told, look
from dnssd.registration.request import Registration
from dnssd.registration.wish import Wish
from dnssd.rrsets import Change
from dnssd.zones.base import Zone


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it in one zone."""

    wish: Wish
    outcome: Outcome
    news: tuple[str, ...]
    plain: Told | None = None


def plan_in(
    part: InZone[Sequence[Change]], registration: Registration, *, plain_name: bool
) -> Sequence[Change]:
    """What a join would change in one zone.

    Args:
        part: The zone.
        registration: The host's, there.
        plain_name: Whether it is to have one.

    Raises:
        DnssdError: As the join would.
    """
    operation = part.begin()
    wish = registration.wish_in(operation.zone.origin)
    changes = plan_join(operation, wish)
    if not plain_name:
        return changes
    plain = PlainName.of(wish.name, wish.origin)
    told = look(operation.zone, plain, part.deadline)
    if told is None:
        return (*changes, plain.change(wish.new_ttl))
    hints.warn_of_plain_name(told)
    return changes


def tell(parts: Parts[Joined], nameservers: Sequence[str], *, as_json: bool) -> dict[str, Any]:
    """Say what has come of it, what was replaced, and what may be wrong all the same."""
    document = _heading([part.result for part in parts.done if part.result is not None])
    document["zones"] = [_entry(part) for part in parts.all]
    if as_json and parts.done:
        result_is_told()
        print_json(document)
    for part in parts.done:
        if part.result is None or part.zone is None:
            continue
        if not as_json:
            _print(part.result, part.zone)
        _warn(nameservers, part.result, part.zone, part.deadline)
    return document


def _print(joined: Joined, zone: Zone) -> None:
    outcome, news, plain = joined.outcome, joined.news, joined.plain
    verb = "joined" if outcome.changed else "had joined already:"
    told = f"{verb} {outcome.name} as {joined.wish.label}{': ' if news else ''}{', '.join(news)}"
    print(safe(f"{told} ({requests_to(zone)})"))
    if plain:
        print(safe(f"plain name {plain.name}: {plain.state}"))


def _heading(results: Sequence[Joined]) -> dict[str, Any]:
    """What the first zone has of it."""
    if not results:
        return {"name": None, "member": None}
    first = results[0]
    document: dict[str, Any] = {"name": str(first.wish.name), "member": first.wish.label}
    if first.news:
        document["replaced"] = list(first.news)
    if first.plain:
        document["plain_name"] = plain_name_json(first.plain)
    return document


def _entry(part: InZone[Joined]) -> dict[str, Any]:
    entry = part.json("joined")
    if part.result is not None:
        entry |= {"changed": part.result.outcome.changed, "name": str(part.result.wish.name)}
        if part.result.plain:
            entry["plain_name"] = plain_name_json(part.result.plain)
    return entry


def _warn(nameservers: Sequence[str], joined: Joined, zone: Zone, deadline: Deadline) -> None:
    for warning in remarks.warnings(joined.wish, joined.outcome, datetime.now(UTC)):
        warn(warning)
    if joined.plain is not None:
        hints.warn_of_plain_name(joined.plain)
    hints.warn_of_loopback(joined.wish.addresses, nameservers)
    if joined.outcome.defined:
        hints.of_definition(zone, joined.wish.name, nameservers, deadline)
