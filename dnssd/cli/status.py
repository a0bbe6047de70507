"""`dnssd status`: an instance's members, and what no member explains."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.options import Command, instance_option, json_option, zone_option
from dnssd.cli.reporting import start_logging

if TYPE_CHECKING:
    from dnssd.members import Member
    from dnssd.registration.views import InstanceView

EPILOG = """\b
Example:
  dnssd status http --zone example.com --instance web
"""
DEADLINE = 30.0  # seconds
HEADINGS = ("MEMBER", "STATE", "PUBLISHED", "PRIORITY", "WEIGHT", "TARGET", "AGE", "OWNER")


@click.command("status", cls=Command, epilog=EPILOG)
@click.argument("service")
@zone_option
@instance_option
@json_option
def command(service: str, zone_address: str, instance: str | None, as_json: bool) -> None:
    """Show an instance's members, owners, states and ages.

    Values that no member explains were written by another hand: dnssd leaves them alone.
    """
    from dnssd.cli import serving
    from dnssd.cli.output import print_json
    from dnssd.deadline import Deadline
    from dnssd.errors import NotFound
    from dnssd.registration.views import InstanceView
    from dnssd.services import DEFAULT_INSTANCE, Service, instance_label
    from dnssd.zones.factory import open_zone

    start_logging()
    label = instance_label(instance or DEFAULT_INSTANCE)
    browse = Service.parse(service)
    deadline = Deadline(DEADLINE)
    zone = open_zone(zone_address, deadline=deadline)
    name = browse.in_domain(zone.origin).child(label)
    view = InstanceView.of(name, zone.read_below(name, deadline))
    if not (view.srv or view.txt or view.members or view.others):
        raise NotFound(f"{name}: no such instance in {zone.address}; join a first host")
    if as_json:
        print_json(_as_json(view))
    else:
        _print(view)
    soa = zone.read(zone.origin, "SOA", deadline)
    if soa is not None:
        serving.warn_negative_ttl(zone.origin, soa.ttl, soa.values[0].format())


def _as_json(view: InstanceView) -> dict[str, Any]:
    from dnssd.members import format_time

    return {
        "name": str(view.name),
        "members": [
            {
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
            }
            for member in _sorted(view)
        ],
        "unexplained": [value.format() for value in view.unexplained],
        "doubled": [value.format() for value in view.doubled],
    }


def _print(view: InstanceView) -> None:
    from dnssd.cli.output import print_table, safe

    print(safe(str(view.name)))
    now = datetime.now(UTC)
    rows = [
        (
            member.label,
            member.state,
            "yes" if member.srv in view.values else "no",
            member.srv.priority,
            member.srv.weight,
            f"{str(member.srv.target).rstrip('.')}:{member.srv.port}",
            age((now - member.since).total_seconds()),
            member.owner,
        )
        for member in _sorted(view)
    ]
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


def age(seconds: float) -> str:
    """A duration for people: `5s`, `12m`, `3h`, `4d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def _sorted(view: InstanceView) -> list[Member]:
    members = (member for member, _ in view.members.values())
    return sorted(members, key=lambda m: (m.srv.priority, m.label))
