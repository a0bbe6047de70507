"""What has happened to a service, seen from two snapshots; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dnssd.resolver.snapshot import Endpoint, Snapshot

Kind = Literal["added", "removed", "changed", "stale", "recovered"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened to a service that is watched.

    Attributes:
        kind: `added`, `removed` or `changed` of an endpoint (its priority, weight or
            addresses); `stale` when what is known has become old since no name server
            answers, `recovered` when one does again.
        time: When it was noticed, in UTC.
        name: The service or instance that is watched.
        endpoint: The endpoint as it is now, or was before it was removed; None for `stale`
            and `recovered`.

    Example:
        >>> with Resolver() as resolver:
        ...     event = next(resolver.watch("web._http._tcp.example.test"))
        >>> event.kind, event.endpoint.target
        ('added', 'web-1.example.test.')
    """

    kind: Kind
    time: datetime
    name: str
    endpoint: Endpoint | None = None


def events(old: Snapshot | None, new: Snapshot | None, name: str, time: datetime) -> list[Event]:
    """What leads from one snapshot to the next, None being one without endpoints."""
    found = [Event(kind, time, name, endpoint) for kind, endpoint in _changes(old, new)]
    was_stale = old is not None and old.status == "stale"
    is_stale = new is not None and new.status == "stale"
    if was_stale and not is_stale:
        return [Event("recovered", time, name), *found]
    return [*found, Event("stale", time, name)] if is_stale and not was_stale else found


def _changes(old: Snapshot | None, new: Snapshot | None) -> Iterator[tuple[Kind, Endpoint]]:
    before, after = _by_place(old), _by_place(new)
    for place, endpoint in before.items():
        if place not in after:
            yield "removed", endpoint
    for place, endpoint in after.items():
        if place not in before:
            yield "added", endpoint
        elif _looks(endpoint) != _looks(before[place]):
            yield "changed", endpoint


def _by_place(snapshot: Snapshot | None) -> dict[tuple[object, ...], Endpoint]:
    endpoints = snapshot.endpoints if snapshot else ()
    return {((e.instance or "").lower(), e.target.lower(), e.port): e for e in endpoints}


def _looks(endpoint: Endpoint) -> tuple[object, ...]:
    """What changes of it are told: no new order of addresses."""
    return endpoint.priority, endpoint.weight, sorted(endpoint.addresses)
