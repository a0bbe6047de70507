"""`dnssd status`: the members of instances, and what no member explains."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.options import Command, instance_option, json_option, zone_option
from dnssd.cli.reporting import start_logging, warn

if TYPE_CHECKING:  # --help needs none of it
    from collections.abc import Iterable, Mapping, Sequence

    from dnssd.deadline import Deadline
    from dnssd.members import Member
    from dnssd.names import Name
    from dnssd.registration.views import InstanceView
    from dnssd.services import ServiceName, ServiceType
    from dnssd.zones.base import Zone

EPILOG = """\b
SERVICE is _NAME._tcp, _NAME._udp, NAME for _NAME._tcp, or INSTANCE._NAME._tcp.

\b
Examples:
  dnssd status --zone example.com                        # all that the zone holds
  dnssd status http --zone example.com                   # the instances of one service
  dnssd status http --zone example.com --instance web    # one instance
"""
STATUS_SECONDS = 30.0
HEADINGS = ("MEMBER", "STATE", "PUBLISHED", "PRIORITY", "WEIGHT", "TARGET", "AGE", "OWNER")


@click.command("status", cls=Command, epilog=EPILOG)
@click.argument("service", required=False)
@zone_option
@instance_option
@json_option
def command(service: str | None, zone_address: str, instance: str | None, as_json: bool) -> None:
    """Show members, owners, states and ages: of an instance, a service or the whole zone.

    Values that no member explains were written by another hand: dnssd leaves them alone.
    """
    from dnssd.deadline import Deadline
    from dnssd.zones.factory import open_zone

    start_logging()
    if service is None and instance is not None:
        raise click.UsageError("--instance: of which service? Name it")
    deadline = Deadline(STATUS_SECONDS)
    zone = open_zone(zone_address, deadline=deadline)
    asked = _asked(service, instance, zone.origin) if service is not None else None
    if asked is not None and asked.instance is not None:
        _tell_instance(zone, asked, deadline, as_json)
    else:
        _tell_services(zone, asked, deadline, as_json)
    _hint(zone, asked, deadline)


def _asked(service: str, instance: str | None, origin: Name) -> ServiceName:
    """The service or the instance that is meant.

    Raises:
        UsageError: It is none, or is not in this zone.
    """
    from dnssd.errors import UsageError
    from dnssd.services import Service, ServiceName, parse_service_name

    asked = parse_service_name(service, origin)
    if asked.domain != origin:
        raise UsageError(f"{asked.name}: not a service of the zone {origin}; give its own zone")
    if asked.instance is not None and instance not in (None, asked.instance):
        raise UsageError(
            f"{asked.name}: another instance than --instance {instance}; leave one out"
        )
    plain = Service.parse(str(asked.service))  # as strict as join
    return ServiceName(plain, origin, instance=asked.instance or instance)


def _tell_instance(zone: Zone, asked: ServiceName, deadline: Deadline, as_json: bool) -> None:
    from dnssd.cli.output import print_json
    from dnssd.errors import NotFound
    from dnssd.registration.views import InstanceView

    view = InstanceView.of(asked.name, zone.read_below(asked.name, deadline))
    if not (view.srv or view.txt or view.members or view.others):
        raise NotFound(
            f"{asked.name}: no such instance in {zone.address}{_others(zone, asked, deadline)}",
            name=str(asked.name),
        )
    addresses = _addresses_of(zone, [view], deadline)
    if as_json:
        print_json(_as_json(view, addresses))
    else:
        _print(view, addresses)


def _tell_services(
    zone: Zone, asked: ServiceName | None, deadline: Deadline, as_json: bool
) -> None:
    from dnssd.cli.output import print_json
    from dnssd.errors import NotFound
    from dnssd.registration.listing import service_views

    found = service_views(zone, deadline, asked.service if asked else None)
    views = [view for each in found.values() for view in each]
    if not views:
        what = str(asked.name) if asked else str(zone.origin)
        raise NotFound(f"{what}: no service here; join a first host", name=what)
    addresses = _addresses_of(zone, views, deadline)
    if as_json:
        services = [_service_json(service, each, addresses) for service, each in found.items()]
        print_json({"zone": zone.address, "services": services})
    else:
        for view in views:
            _print(view, addresses)


def _others(zone: Zone, asked: ServiceName, deadline: Deadline) -> str:
    """The instances that there are, for who has asked for one that is not there."""
    from dnssd.names import shown
    from dnssd.registration.listing import service_views
    from dnssd.services import instance_text

    views = service_views(zone, deadline, asked.service)[asked.service]
    if not views:
        return "; join a first host"
    names = ", ".join(shown(instance_text(view.name.labels[0])) for view in views[:10])
    return f"; there {'are' if len(views) > 1 else 'is'} {names}{', …' if views[10:] else ''}"


def _addresses_of(
    zone: Zone, views: Iterable[InstanceView], deadline: Deadline
) -> Mapping[Name, tuple[str, ...]]:
    from dnssd.registration.listing import addresses_of

    members = (member for view in views for member, _ in view.members.values())
    return addresses_of(zone, (member.srv.target for member in members), deadline)


def _hint(zone: Zone, asked: ServiceName | None, deadline: Deadline) -> None:
    """Say what keeps clients from seeing all this."""
    from dnssd.cli import hints
    from dnssd.services import PROTOCOLS

    top = zone.origin.child(PROTOCOLS[0].encode())
    hints.warn_of_delegation(zone, asked.name if asked else top, deadline)
    soa = zone.read(zone.origin, "SOA", deadline)
    if soa is not None:
        hints.warn_negative_ttl(zone.origin, soa.ttl, soa.values[0].format())


def _service_json(
    service: ServiceType, views: Sequence[InstanceView], addresses: Mapping[Name, tuple[str, ...]]
) -> dict[str, Any]:
    from dnssd.cli.output import txt_json
    from dnssd.records import Txt

    instances = []
    for view in views:
        txt = view.txt.values[0] if view.txt else None
        data = txt_json(txt if isinstance(txt, Txt) else None)
        instances.append(_as_json(view, addresses) | {"txt": data})
    return {"service": str(service), "instances": instances}


def _as_json(view: InstanceView, addresses: Mapping[Name, tuple[str, ...]]) -> dict[str, Any]:
    return {
        "name": str(view.name),
        "members": [_member_json(view, member, addresses) for member in _sorted(view)],
        "unexplained": [value.format() for value in view.unexplained],
        "doubled": [value.format() for value in view.doubled],
    }


def _member_json(
    view: InstanceView, member: Member, addresses: Mapping[Name, tuple[str, ...]]
) -> dict[str, Any]:
    from dnssd.members import format_time

    known = addresses.get(member.srv.target)
    return {
        "member": member.label,
        "owner": member.owner,
        "state": member.state,
        "published": member.srv in view.values,
        "since": format_time(member.since),
        "until": format_time(member.until) if member.until else None,
        "target": str(member.srv.target),
        "port": member.srv.port,
        "priority": member.srv.priority,
        "weight": member.srv.weight,
        "addresses": None if known is None else list(known),
    }


def _print(view: InstanceView, addresses: Mapping[Name, tuple[str, ...]]) -> None:
    from dnssd.cli.output import print_table, safe
    from dnssd.registration.remarks import crowd_warning

    print(safe(str(view.name)))
    now = datetime.now(UTC)
    rows = [_row(view, member, now) for member in _sorted(view)]
    if rows:
        print_table(HEADINGS, rows)
    else:
        print("no members: nobody offers it")
    for value in view.unexplained:
        print(safe(f"unexplained: {value.format()}"))
    for value in view.doubled:
        print(safe(f"doubled: {value.format()}"))
    for rrset in view.others:
        print(safe(f"foreign: {rrset.name} {rrset.kind or ''} {rrset.rdtype}"))
    for warning in crowd_warning(view.name, view.values):
        warn(warning)
    for target in sorted({member.srv.target for member in _sorted(view)}):
        if addresses.get(target) == ():
            warn(f"{target}: no address record: no client can connect; join again on that host")


def _row(view: InstanceView, member: Member, now: datetime) -> tuple[object, ...]:
    return (
        member.label,
        member.state,
        "yes" if member.srv in view.values else "no",
        member.srv.priority,
        member.srv.weight,
        f"{str(member.srv.target).rstrip('.')}:{member.srv.port}",
        age((now - member.since).total_seconds()),
        member.owner,
    )


def age(seconds: float) -> str:
    """A duration for people: `5s`, `12m`, `3h`, `4d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def _sorted(view: InstanceView) -> list[Member]:
    members = (member for member, _ in view.members.values())
    return sorted(members, key=lambda m: (m.srv.priority, m.label))
