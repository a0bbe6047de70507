"""What commands that change a zone share: how long they wait, and how changes are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dnssd.cli.failures import error_json
from dnssd.cli.output import print_json, safe
from dnssd.cli.reporting import result_is_told
from dnssd.deadline import Deadline
from dnssd.errors import DnssdError
from dnssd.names import Name
from dnssd.records import Rdata
from dnssd.registration.operation import Operation, Outcome
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Zone
from dnssd.zones.factory import open_zone
from dnssd.zones.served import wait_seen


def changes_json(changes: Sequence[Change]) -> dict[str, Any]:
    """What would change, as JSON."""
    return {"changes": [_change_json(change) for change in changes]}


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


def print_outcome(
    outcome: Outcome,
    zone: Zone,
    extra: dict[str, Any],
    told: str,
    as_json: bool,
    error: DnssdError | None = None,
) -> None:
    """What a join or leave did, and what failed after that."""
    result = {
        "zone": zone.address,
        "changed": outcome.changed,
        "requests": zone.requests,
        "error": error_json(error) if error else None,
    }
    if as_json:
        result_is_told()
        print_json({"name": str(outcome.name), **extra, "zones": [result]})
    else:
        requests = f"{zone.requests} request{'s' if zone.requests != 1 else ''}"
        print(safe(f"{told} ({requests} to {zone.address})"))


def open_within(address: str, deadline: Deadline) -> Zone:
    """The zone of an address, whose provider is waited for so that a deadline holds several tries.

    Raises:
        DnssdError: As `open_zone` does.
    """
    return open_zone(address, deadline=deadline, timeout=min(10.0, max(1.0, deadline.seconds / 3)))


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
