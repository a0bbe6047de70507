"""What join-address, leave-address and `status NAME` share: carried out, and told."""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from dnssd.cli import hints, registering
from dnssd.cli.identity import identities
from dnssd.cli.output import print_json, print_table, safe
from dnssd.cli.reporting import result_is_told, warn
from dnssd.cli.several import InZone, Parts, saying
from dnssd.deadline import Deadline
from dnssd.errors import DnssdError, NotFound
from dnssd.hosts import METADATA_AT_JOIN_SECONDS, HostFacts, this_host
from dnssd.hosts.kept import Kept, StateFolder
from dnssd.members import format_time
from dnssd.names import Name
from dnssd.registration import addressing
from dnssd.registration.of_host import address_wish_of, chosen_addresses
from dnssd.registration.operation import Operation, Outcome
from dnssd.registration.plainaddress import AddressView, AddressWish, members_of
from dnssd.rrsets import Change
from dnssd.zones.address import ZoneAddress
from dnssd.zones.base import Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressOptions:
    """What `dnssd join-address` or `leave-address` was told; see their options."""

    name: Name
    zone_addresses: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    proxied: bool = False
    ttl: int | None = None
    host: str | None
    cloud: str | None
    splay: float = 0.0
    takeover: bool = False
    force: bool = False
    deadline: float
    wait: bool
    dry_run: bool
    as_json: bool

    @classmethod
    def of(cls, kept: Kept, options: Mapping[str, Any], zone_address: str) -> Self:
        """How it joined, but for the zone's address."""
        return cls(**options, name=Name.parse(kept.name), zone_addresses=(zone_address,))

    def kept(self, facts: HostFacts, zone_address: str) -> Kept:
        """What to keep of a join in one zone; `of` is the inverse."""
        options = asdict(self) | {"zone_address": zone_address}
        del options["zone_addresses"], options["name"]
        return Kept.of(facts, str(self.name), 0, options)

    def wish(self, facts: HostFacts, zone: Zone, addresses: Sequence[str]) -> AddressWish:
        """What this host wants of one zone.

        Raises:
            UsageError: The name is not in it.
        """
        return address_wish_of(
            facts,
            zone.origin,
            self.name,
            addresses,
            ttl=self.ttl,
            proxied=self.proxied,
            force=self.takeover or self.force,
        )


@dataclass(frozen=True, slots=True)
class _Done:
    outcome: Outcome
    addresses: tuple[str, ...]


def join(asked: AddressOptions) -> None:
    """Put this host's addresses at a name in each zone.

    Raises:
        DnssdError: One of them failed.
    """
    deadline = Deadline(asked.deadline)
    with saying():
        facts = this_host(deadline, asked.host, budget=METADATA_AT_JOIN_SECONDS, cloud=asked.cloud)
    chosen = {
        text: chosen_addresses(facts, _choices(asked, ZoneAddress.parse(text)))
        for text in asked.zone_addresses
    }

    def begun(part: InZone[Any]) -> tuple[Operation, AddressWish]:
        operation = part.begin(splay=asked.splay)
        return operation, asked.wish(facts, operation.zone, chosen[part.address])

    def act(part: InZone[_Done]) -> _Done:
        operation, wish = begun(part)
        state().keep(asked.kept(facts, part.address))
        outcome = addressing.join_address(operation, wish)
        _wait(asked, part, operation, "it has joined")
        return _Done(outcome, tuple(address.format() for address in wish.addresses))

    _carry_out(asked, deadline, act, lambda part: addressing.plan_join_address(*begun(part)))


def leave(asked: AddressOptions) -> None:
    """Take this host's addresses out of a name in each zone.

    Raises:
        DnssdError: One of them failed.
    """
    deadline = Deadline(asked.deadline)
    kept = state().kept(str(asked.name))
    with saying():
        who = identities(() if asked.force else kept, asked.host, asked.cloud, deadline)

    def begun(part: InZone[Any], facts: HostFacts) -> tuple[Operation, AddressWish]:
        operation = part.begin()
        return operation, asked.wish(facts, operation.zone, ())

    def act(part: InZone[_Done]) -> _Done:
        for facts in who:
            operation, wish = begun(part, facts)
            if asked.force:
                by = socket.gethostname()
                operation.zone.actor = f"leave-address --host {wish.label} --force on {by}"
            outcome = addressing.leave_address(operation, wish)
            if outcome.members:
                break
        _wait(asked, part, operation, "it has left")
        return _Done(outcome, ())

    def plan(part: InZone[Sequence[Change]]) -> Sequence[Change]:
        plans = (addressing.plan_leave_address(*begun(part, facts)) for facts in who)
        return next(filter(None, plans), ())

    _carry_out(asked, deadline, act, plan)
    if not (asked.force or asked.dry_run):
        state().forget(str(asked.name))


def _carry_out(
    asked: AddressOptions,
    deadline: Deadline,
    act: Callable[[InZone[_Done]], _Done],
    plan: Callable[[InZone[Sequence[Change]]], Sequence[Change]],
) -> None:
    if asked.dry_run:
        registering.print_plans(asked.zone_addresses, deadline, plan, asked.as_json)
        return
    parts: Parts[_Done] = Parts(asked.zone_addresses, deadline)
    parts.run(act)
    document = _document(asked, parts)
    if asked.as_json and parts.done:
        result_is_told()
        print_json(document)
    for part in parts.done:
        if part.zone is None or part.result is None:
            continue
        if not asked.as_json:
            told = _told(part.result)
            print(safe(f"{told} ({registering.requests_to(part.zone)})"))
        _warn_of_absence(part.result.outcome, part.zone, deadline)
    parts.end(document)


def _document(asked: AddressOptions, parts: Parts[_Done]) -> dict[str, Any]:
    entries = []
    members: list[str] = []
    for part in parts.all:
        entry = part.json("joined" if part.result and part.result.addresses else "left")
        if part.result is not None:
            members += part.result.outcome.members
            entry |= {"changed": part.result.outcome.changed}
            entry |= {"addresses": list(part.result.addresses)}
        entries.append(entry)
    return {"name": str(asked.name), "members": list(dict.fromkeys(members)), "zones": entries}


def _told(done: _Done) -> str:
    outcome, name = done.outcome, done.outcome.name
    if done.addresses:
        verb = "joined" if outcome.changed else "had joined already:"
        return f"{verb} {name} as {', '.join(outcome.members)}: {', '.join(done.addresses)}"
    members = ", ".join(outcome.members)
    return f"left {name}: {members}" if members else f"no address of this host at {name}"


def _wait(asked: AddressOptions, part: InZone[_Done], operation: Operation, truth: str) -> None:
    if not asked.wait:
        return
    try:
        operation.wait_made()
    except DnssdError as error:
        part.error = error.telling(truth)


def _warn_of_absence(outcome: Outcome, zone: Zone, deadline: Deadline) -> None:
    """An empty name is remembered as such by clients that ask meanwhile."""
    gone = [change for change in outcome.changes if change.rdtype != "TXT" and not change.after]
    if not gone or any(zone.read(outcome.name, kind, deadline) for kind in ("A", "AAAA")):
        return
    warn(f"{outcome.name}: no address is left there")
    if (soa := zone.read(zone.origin, "SOA", deadline)) is not None:
        hints.warn_negative_ttl(zone.origin, soa.ttl, soa.values[0].format())


def _choices(asked: AddressOptions, zone: ZoneAddress) -> Sequence[str]:
    return zone.addresses or asked.addresses or ("public",)


def state() -> StateFolder:
    """Where joins of plain addresses are kept."""
    return StateFolder.of_addresses(os.environ)


def status(text: str, zone_addresses: Sequence[str], deadline: Deadline, *, as_json: bool) -> None:
    """Who stands at a name, in each zone.

    Raises:
        DnssdError: One of them failed.
    """
    name = Name.parse(text)
    parts: Parts[AddressView] = Parts(zone_addresses, deadline)
    parts.run(lambda part: _look(part.open(), name, part.deadline))
    _tell_status(parts, as_json=as_json)


def _look(zone: Zone, name: Name, deadline: Deadline) -> AddressView:
    parent = members_of(name, zone.origin)
    node, below = zone.read_node(name, deadline), zone.read_below(parent, deadline)
    view = AddressView.of(name, parent, node, below)
    if not (view.values or view.members or view.others):
        raise NotFound(f"{name}: no address in {zone.address}; join a first host", name=str(name))
    return view


def _tell_status(parts: Parts[AddressView], *, as_json: bool) -> None:
    if as_json and parts.done:
        result_is_told()
        documents = [_status_json(part) for part in parts.all]
        print_json({"zones": documents} if parts.are_several else documents[0])
    for part in parts.done:
        if part.result is not None and not as_json:
            _print(part.result)
    parts.end()


def _status_json(part: InZone[AddressView]) -> Mapping[str, Any]:
    view, beside = part.result, {"zone": part.address, "error": part.json("")["error"]}
    if view is None:
        return beside
    members = [
        {
            "member": label,
            "owner": member.owner,
            "state": "up",
            "published": set(member.addresses) <= set(view.all_values),
            "since": format_time(member.since),
            "addresses": [address.format() for address in member.addresses],
            "proxied": member.proxied,
        }
        for label, (member, _) in sorted(view.members.items())
    ]
    unexplained = [value.format() for value in view.unexplained]
    alone = {"name": str(view.name), "members": members, "unexplained": unexplained}
    return alone | beside if part.others.are_several else alone


def _print(view: AddressView) -> None:
    print(safe(str(view.name)))
    rows = [
        (
            label,
            "yes" if set(member.addresses) <= set(view.all_values) else "no",
            ", ".join(address.format() for address in member.addresses),
            format_time(member.since),
            member.owner,
        )
        for label, (member, _) in sorted(view.members.items())
    ]
    if rows:
        print_table(("MEMBER", "PUBLISHED", "ADDRESSES", "SINCE", "OWNER"), rows)
    for value in view.unexplained:
        print(safe(f"unexplained: {value.format()}"))
    for rrset in view.others:
        print(safe(f"foreign: {rrset.name} {rrset.kind or ''} {rrset.rdtype}"))
