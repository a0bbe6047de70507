"""`dnssd status`: the members of instances, and what no member explains."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.options import Command, instance_option, json_option
from dnssd.cli.reporting import start_logging, warn
from dnssd.cli.zone_options import zones_option

if TYPE_CHECKING:  # --help needs none of it
    from collections.abc import Mapping, Sequence

    from dnssd.cli.several import InZone, Parts
    from dnssd.cli.statusjson import Beside
    from dnssd.deadline import Deadline
    from dnssd.members import Member
    from dnssd.names import Name
    from dnssd.registration.views import InstanceView
    from dnssd.rrsets import RRset
    from dnssd.services import ServiceName, ServiceType
    from dnssd.zones.base import Zone

EPILOG = """\b
SERVICE is _NAME._tcp, _NAME._udp, NAME for _NAME._tcp, or INSTANCE._NAME._tcp.

\b
Examples:
  dnssd status --zone example.com                        # all that the zone holds
  dnssd status http --zone example.com                   # the instances of one service
  dnssd status http --zone example.com --instance web    # one instance
  dnssd status www.example.com --zone example.com        # a plain address
"""
STATUS_SECONDS = 30.0
HEADINGS = ("MEMBER", "STATE", "PUBLISHED", "PRIORITY", "WEIGHT", "TARGET", "AGE", "OWNER")


@click.command("status", cls=Command, epilog=EPILOG)
@click.argument("service", required=False)
@zones_option
@instance_option
@json_option
def command(
    service: str | None, zone_addresses: tuple[str, ...], instance: str | None, as_json: bool
) -> None:
    """Show members, owners, states and ages: of an instance, a service or the whole zone.

    Values that no member explains were written by another hand: dnssd leaves them alone.
    """
    from dnssd.cli.several import Parts
    from dnssd.deadline import Deadline

    start_logging()
    if service is None and instance is not None:
        raise click.UsageError("--instance: of which service? Name it")
    if service is not None and _is_address(service):
        from dnssd.cli.addresses import status

        return status(service, zone_addresses, Deadline(STATUS_SECONDS), as_json=as_json)
    parts: Parts[_Found] = Parts(zone_addresses, Deadline(STATUS_SECONDS))
    parts.run(lambda part: _look(part.open(), service, instance, part.deadline))
    _tell(parts, as_json)
    parts.end()


def _is_address(word: str) -> bool:
    """Whether it is a dotted name, and none of a service."""
    labels = word.lower().rstrip(".").split(".")
    return len(labels) > 1 and not any(label in ("_tcp", "_udp") for label in labels)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is in one zone.

    Attributes:
        asked: The service or instance that is meant; None for all.
        views: Instances, by service; of an instance that is meant, it alone.
        beside: Their members' addresses and their plain names.
        cut: What is delegated away above them.
        soa: The zone's own record.
        listed: The list of services.
    """

    asked: ServiceName | None
    views: Mapping[ServiceType, Sequence[InstanceView]]
    beside: Beside
    cut: Name | None
    soa: RRset | None
    listed: RRset | None

    @property
    def is_instance(self) -> bool:
        """Whether one instance was asked for."""
        return self.asked is not None and self.asked.instance is not None

    @property
    def offered(self) -> tuple[ServiceType, ...]:
        """Services that have members."""
        return tuple(s for s, views in self.views.items() if any(v.members for v in views))


def _look(zone: Zone, service: str | None, instance: str | None, deadline: Deadline) -> _Found:
    """Everything that is to be told of one zone.

    Raises:
        NotFound: Nothing of it is there.
    """
    from dnssd.cli.statusjson import Beside, is_plain
    from dnssd.registration.listing import addresses_of, delegation_above
    from dnssd.registration.plainname import plain_names
    from dnssd.services import PROTOCOLS, Service

    asked = _asked(service, instance, zone.origin) if service is not None else None
    views = _views(zone, asked, deadline)
    instances = [view for each in views.values() for view in each if not is_plain(view)]
    members = (m for view in instances for m, _ in view.members.values())
    beside = Beside(
        addresses_of(zone, (member.srv.target for member in members), deadline),
        plain_names(zone, [view.name for view in instances], deadline),
    )
    top = asked.name if asked else zone.origin.child(PROTOCOLS[0].encode())
    return _Found(
        asked=asked,
        views=views,
        beside=beside,
        cut=delegation_above(zone, top, deadline),
        soa=zone.read(zone.origin, "SOA", deadline),
        listed=zone.read(Service("any").enumeration_in(zone.origin), "PTR", deadline),
    )


def _tell(parts: Parts[_Found], as_json: bool) -> None:
    from dnssd.cli import hints
    from dnssd.cli.output import print_json
    from dnssd.cli.reporting import result_is_told

    if as_json and parts.done:
        result_is_told()
        documents = [_document(part) for part in parts.all]
        print_json({"zones": documents} if parts.are_several else documents[0])
    for part in parts.done:
        found, zone = part.result, part.zone
        if found is None or zone is None:
            continue
        for service, views in found.views.items():
            for view in () if as_json else views:
                _print(view, found.beside)
            _warn(service.in_domain(zone.origin), views, found.beside)
        if found.cut is not None:
            hints.warn_of_cut(zone, found.cut)
        hints.warn_of_unlisted(zone.origin, found.offered, found.listed)
        if found.soa is not None:
            hints.warn_negative_ttl(zone.origin, found.soa.ttl, found.soa.values[0].format())


def _document(part: InZone[_Found]) -> dict[str, Any]:
    """One zone's result, as it stands alone; beside others with the zone and what failed."""
    from dnssd.cli.statusjson import instance_json, service_json

    found = part.result
    beside = {"zone": part.address, "error": part.json("")["error"]}
    if found is None:
        return beside
    if not found.is_instance:
        services = [service_json(s, each, found.beside) for s, each in found.views.items()]
        alone = {"zone": part.address, "services": services}
    else:
        alone = instance_json(next(iter(found.views.values()))[0], found.beside)
    return alone | beside if part.others.are_several else alone


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


def _views(
    zone: Zone, asked: ServiceName | None, deadline: Deadline
) -> Mapping[ServiceType, Sequence[InstanceView]]:
    from dnssd.errors import NotFound
    from dnssd.registration.listing import service_views
    from dnssd.registration.views import InstanceView

    if asked is not None and asked.instance is not None:
        view = InstanceView.of(asked.name, zone.read_below(asked.name, deadline))
        if not (view.srv or view.txt or view.members or view.others):
            raise NotFound(
                f"{asked.name}: no such instance in {zone.address}{_others(zone, asked, deadline)}",
                name=str(asked.name),
            )
        return {asked.service: [view]}
    found = service_views(zone, deadline, asked.service if asked else None, plain=True)
    if not any(found.values()):
        what = str(asked.name) if asked else str(zone.origin)
        raise NotFound(f"{what}: no service here; join a first host", name=what)
    return found


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


def _print(view: InstanceView, beside: Beside) -> None:
    from dnssd.cli.output import print_table, safe
    from dnssd.cli.statusjson import is_plain, sorted_members

    print(safe(str(view.name)))
    now = datetime.now(UTC)
    rows = [_row(view, member, now) for member in sorted_members(view)]
    if rows:
        print_table(HEADINGS, rows)
    elif is_plain(view):
        print("SRV records of the service itself: clients use them while no instance is offered")
    else:
        print("no members: nobody offers it")
    plain = beside.plain.get(view.name)
    if plain and plain.state == "there":
        print(safe(f"plain name: {plain.name}"))
    for value in view.unexplained:
        print(safe(f"unexplained: {value.format()}"))
    for value in view.doubled:
        print(safe(f"doubled: {value.format()}"))
    for rrset in view.others:
        print(safe(f"foreign: {rrset.name} {rrset.kind or ''} {rrset.rdtype}"))


def _warn(service: Name, views: Sequence[InstanceView], beside: Beside) -> None:
    from dnssd.cli.hints import warn_of_plain_name
    from dnssd.cli.output import some
    from dnssd.cli.statusjson import sorted_members
    from dnssd.registration.remarks import crowd_warning

    crowds = [(service, len(views)), *((view.name, len(view.values)) for view in views)]
    for warning in (each for crowd in crowds for each in crowd_warning(*crowd)):
        warn(warning)
    for plain in (beside.plain[view.name] for view in views if view.name in beside.plain):
        warn_of_plain_name(plain)
    members = [member for view in views for member in sorted_members(view)]
    now = datetime.now(UTC)
    if ended := [m.label for m in members if m.until is not None and m.until < now]:
        warn(f"lease ended, and not renewed since: {some(ended)}; dnssd reap takes these out")
    for target in sorted({member.srv.target for member in members}):
        if beside.addresses.get(target) == ():
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
