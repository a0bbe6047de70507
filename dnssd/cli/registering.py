"""What commands that change a zone share: how long they wait, and how changes are told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dnssd.cli.failures import error_json
from dnssd.cli.output import print_json, safe
from dnssd.cli.reporting import result_is_told
from dnssd.cli.several import InZone, Parts
from dnssd.deadline import Deadline
from dnssd.errors import DnssdError
from dnssd.names import Name
from dnssd.records import Rdata
from dnssd.registration.operation import Operation
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Zone
from dnssd.zones.served import wait_seen


def changes_json(changes: Sequence[Change]) -> dict[str, Any]:
    """What would change, as JSON."""
    return {"changes": [_change_json(change) for change in changes]}


def zone_json(zone: Zone, error: DnssdError | None, *, changed: bool) -> dict[str, Any]:
    """A zone's entry in the result of a command that takes one zone, as JSON."""
    return {
        "zone": zone.address,
        "changed": changed,
        "requests": zone.requests,
        "error": error_json(error) if error else None,
    }


def print_changes(changes: Sequence[Change], as_json: bool) -> None:
    """What a dry run would change, record by record."""
    if as_json:
        print_json(changes_json(changes))
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


def print_plans(
    addresses: Sequence[str],
    deadline: Deadline,
    plan: Callable[[InZone[Sequence[Change]]], Sequence[Change]],
    as_json: bool,
) -> None:
    """What a dry run would change in each zone.

    Raises:
        DnssdError: A zone cannot be planned for; the others are told.
    """
    parts: Parts[Sequence[Change]] = Parts(addresses, deadline)
    parts.run(plan)
    if parts.done:
        changes = [change for part in parts.done for change in part.result or ()]
        print_changes(changes, as_json)
        if as_json:
            result_is_told()
    parts.end()


@dataclass(frozen=True, slots=True)
class Seen:
    """What name servers are waited for to serve.

    Attributes:
        nameservers: HOST[:PORT] each.
        wanted: SRV values that were joined.
        gone: SRV values that were left.
    """

    nameservers: Sequence[str]
    wanted: frozenset[Rdata] = frozenset()
    gone: frozenset[Rdata] = frozenset()


def wait(operation: Operation, name: Name, seen: Seen, deadline: Deadline) -> DnssdError | None:
    """Return once what was changed is being served; the error if it is not."""
    try:
        operation.wait(name)
        wait_seen(seen.nameservers, name, seen.wanted, seen.gone, deadline)
    except DnssdError as error:
        return error
    return None


def requests_to(zone: Zone) -> str:
    """How many requests a zone has taken, for people."""
    count = zone.requests
    return f"{count} request{'s' if count != 1 else ''} to {zone.address}"


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
