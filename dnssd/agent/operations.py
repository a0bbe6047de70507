"""What is written for an agent, each from a request in JSON to a result in JSON."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from dnssd.deadline import Deadline
from dnssd.errors import HeldOut, UsageError
from dnssd.hosts import HostFacts
from dnssd.hosts.kept import Kept, StateFolder
from dnssd.names import Name
from dnssd.records import LAST_PRIORITY
from dnssd.registration import plainname
from dnssd.registration.addressing import join_address, leave_address
from dnssd.registration.draining import part
from dnssd.registration.joining import join
from dnssd.registration.leaving import leave
from dnssd.registration.of_host import (
    address_wish_of,
    chosen_addresses,
    departure_of,
    facts_within,
    registration_of,
)
from dnssd.registration.operation import Operation
from dnssd.registration.plainaddress import AddressWish
from dnssd.registration.request import Registration
from dnssd.registration.wish import DEFAULT_TTL, Departure, Wish
from dnssd.zones.address import ZoneAddress
from dnssd.zones.base import Zone
from dnssd.zones.factory import open_zone

_Json = dict[str, Any]


def _identify(request: _Json) -> _Json:
    """Who this host is."""
    return asdict(facts_within(request["deadline"], request["host"], request["cloud"]))


def _warm(request: _Json) -> _Json:
    """Load what a write takes, before it is known whether there is one."""
    import dnssd.zones.route53  # noqa: F401 (slow to import)

    return {}


def _join(request: _Json) -> _Json:
    """Publish the member in one zone, unless somebody wants it out; again changes nothing."""
    operation = _begun(request)
    zone = operation.zone
    registration = _registration(request)
    wish = registration.wish_in(zone.origin)
    name, state = str(wish.name), _state()
    held = any(k.held for k in state.kept(name, wish.srv.port)) and not request["by_hand"]
    changed, defined = False, False
    if not held:
        state.keep(Kept.of(_facts(request), name, wish.srv.port, _options(request)))
        try:
            outcome = join(operation, wish)
            changed, defined = outcome.changed, outcome.defined
        except HeldOut:
            held = True
            state.hold(name, wish.srv.port)
    if request["wait"] and not held:
        operation.wait(wish.name)
    return {
        "held": held,
        "plain_name": None if held else _plain_name(request, operation, wish, defined=defined),
        "name": str(wish.name),
        "record": str(wish.record_name),
        "member": wish.label,
        "target": str(wish.srv.target),
        "port": wish.srv.port,
        "ttl": wish.new_ttl,
        "changed": changed,
        "requests": zone.requests,
    }


def _plain_name(
    request: _Json, operation: Operation, wish: Wish, *, defined: bool
) -> tuple[str, str | None] | None:
    """What is so of the plain name, and why, if there is to be one and it is not known yet."""
    asked = request["registration"]
    if not (asked["plain_name"] and request["plain_name"]):
        return None
    nameservers = None if defined else asked["nameservers"]
    told = plainname.write(operation.zone, wish, nameservers, operation.deadline)
    return told.state, told.why


def _hold(request: _Json) -> _Json:
    """Remember that somebody wants the member out."""
    _state().hold(request["name"], request["port"])
    return {}


def _part(request: _Json) -> _Json:
    """Leave the member where it is, without an agent that answers for it."""
    operation = _begun(request)
    zone = operation.zone
    outcome = part(operation, _departure(request, zone))
    return {"changed": outcome.changed, "requests": zone.requests}


def _leave(request: _Json) -> _Json:
    """Take the member out of one zone; again changes nothing."""
    operation = _begun(request)
    zone = operation.zone
    departure = _departure(request, zone)
    outcome = leave(operation, departure)
    _state().forget(str(departure.name), departure.port)
    return {
        "name": str(departure.name),
        "members": list(outcome.members),
        "changed": outcome.changed,
        "requests": zone.requests,
    }


def _join_address(request: _Json) -> _Json:
    """Put the host's addresses at a plain name in one zone; again changes nothing."""
    operation = _begun(request)
    zone = operation.zone
    facts, asked = _facts(request), request["registration"]
    choices = ZoneAddress.parse(request["zone"]).addresses or asked["addresses"] or ("public",)
    wish = _address_wish(request, zone, chosen_addresses(facts, choices))
    options = {"zone_address": request["zone"], "addresses": asked["addresses"], "agent": True}
    StateFolder.of_addresses(os.environ).keep(Kept.of(facts, str(wish.name), 0, options))
    outcome = join_address(operation, wish)
    return {
        "held": False,
        "name": str(wish.name),
        "record": str(wish.record_name),
        "member": wish.label,
        "addresses": [] if wish.proxied else [a.format() for a in wish.addresses],
        "ttl": wish.ttl or DEFAULT_TTL,
        "changed": outcome.changed,
        "requests": zone.requests,
    }


def _leave_address(request: _Json) -> _Json:
    """Take the host's addresses out of a plain name in one zone; again changes nothing."""
    operation = _begun(request)
    zone = operation.zone
    wish = _address_wish(request, zone, ())
    outcome = leave_address(operation, wish)
    StateFolder.of_addresses(os.environ).forget(str(wish.name))
    return {
        "name": str(wish.name),
        "members": list(outcome.members),
        "changed": outcome.changed,
        "requests": zone.requests,
    }


def _address_wish(request: _Json, zone: Zone, addresses: Sequence[str]) -> AddressWish:
    asked = request["registration"]
    return address_wish_of(
        _facts(request),
        zone.origin,
        Name.parse(asked["name"]),
        addresses,
        ttl=asked["ttl"],
        proxied=asked["proxied"],
        force=asked["takeover"] and bool(addresses),
    )


def _departure(request: _Json, zone: Zone) -> Departure:
    asked = request["registration"]
    return departure_of(
        _facts(request),
        zone.origin,
        asked["service"],
        instance=asked["instance"],
        port=asked["port"],
    )


def _facts(request: _Json) -> HostFacts:
    """Who this host is, as it was told before."""
    facts = HostFacts(**request["facts"])
    return replace(facts, private=tuple(facts.private), public=tuple(facts.public))


def _state() -> StateFolder:
    return StateFolder.find(os.environ)


def _options(request: _Json) -> _Json:
    """The options of `dnssd join` that would do the same."""
    asked = {**request["registration"]}
    del asked["zones"]
    txt = asked["txt"]
    return asked | {
        "agent": True,  # which joins again by itself
        "zone_address": request["zone"],
        "txt": [k if v is None else f"{k}={v}" for k, v in (txt or {}).items()],
        "deadline": request["deadline"],
        **dict.fromkeys(("wait", "dry_run", "as_json"), False),
    }


def _registration(request: _Json) -> Registration:
    asked = dict(request["registration"])
    for key in ("host", "cloud", "zones", "splay", "nameservers", "plain_name"):
        del asked[key]
    if not asked["target"]:
        zone = ZoneAddress.parse(request["zone"])
        asked["addresses"] = zone.addresses or asked["addresses"] or (zone.default_address,)
    if request["drained"]:
        asked |= {"priority": LAST_PRIORITY, "weight": 0}
    else:
        asked["weight"] = request["weight"]
    return registration_of(_facts(request), agent=True, **asked)


def _begun(request: _Json) -> Operation:
    """An operation in the zone; what it takes is told with its answer."""
    zone, deadline = _opened(request)
    operation = Operation(zone, deadline, splay=request.get("splay", 0.0))
    request["operation"] = operation
    return operation


def _opened(request: _Json) -> tuple[Zone, Deadline]:
    """The zone, and how long it may take: a deadline holds several answers."""
    deadline = Deadline(request["deadline"])
    timeout = min(10.0, max(1.0, deadline.seconds / 3))
    return open_zone(request["zone"], deadline=deadline, timeout=timeout), deadline


def _complete_hook(request: _Json) -> _Json:
    """Let Auto Scaling go on with this instance."""
    from dnssd.hosts.aws import Ec2Instance, complete_lifecycle_action
    from dnssd.hosts.lifecycle import group

    deadline, facts = Deadline(request["deadline"]), _facts(request)
    name, slash, hook = request["hook"].rpartition("/")
    if not slash:
        name = group(os.environ, deadline) or ""
    if not name:
        raise UsageError(
            f"its group is not known: give GROUP/{hook}, or let the metadata show instance tags"
        )
    instance = Ec2Instance.of_owner(facts.owner)
    if instance is None:
        raise UsageError(f"hook {hook}: this host is no EC2 instance; leave out --complete-hook")
    complete_lifecycle_action(name, hook, instance)
    return {}


OPERATIONS: Mapping[str, Callable[[_Json], _Json]] = {
    "identify": _identify,
    "warm": _warm,
    "join": _join,
    "leave": _leave,
    "join-address": _join_address,
    "leave-address": _leave_address,
    "hold": _hold,
    "part": _part,
    "complete-hook": _complete_hook,
}
