"""`dnssd uninstall-records`: remove everything this tool wrote for a service."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import click

from dnssd.cli.options import Command, json_option, option
from dnssd.cli.reporting import result_is_told, say, start_logging
from dnssd.cli.zone_options import zone_option

if TYPE_CHECKING:  # --help needs none of it
    from collections.abc import Sequence

    from dnssd.errors import ZoneError
    from dnssd.registration.uninstall import Uninstalled
    from dnssd.rrsets import Change
    from dnssd.services import Service
    from dnssd.zones.base import Zone

EPILOG = """\b
Examples:
  dnssd uninstall-records http --zone example.com          # shows what would go
  dnssd uninstall-records http --zone example.com --yes
  dnssd uninstall-records http --zone example.com --yes --limit 3   # of hosts that are up
"""
DEADLINE = 600.0  # seconds, without what agents need to hear of it
TELL_EVERY = 30.0  # seconds


@click.command("uninstall-records", cls=Command, epilog=EPILOG)
@click.argument("service")
@zone_option
@option(
    "--limit",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="How many members may be up: they are taken out of service.",
)
@option("--yes", is_flag=True, help="Do it; without this the changes are only shown.")
@json_option
def command(service: str, zone_address: str, limit: int, yes: bool, as_json: bool) -> None:
    """Remove everything this tool wrote for a service, whichever host wrote it.

    Values and addresses that another hand wrote stay, and so does the definition of an
    instance that still has such values: what stayed is told, with exit code 1. Agents are told
    to stay out first, which takes about two TTLs.
    """
    from dnssd.deadline import Deadline
    from dnssd.registration.uninstall import Brake, plan_uninstall
    from dnssd.services import Service
    from dnssd.zones.factory import open_zone

    start_logging()
    browse = Service.parse(service)
    deadline = Deadline(DEADLINE)
    zone = open_zone(zone_address, deadline=deadline)
    name = str(browse.in_domain(zone.origin))
    planned = Brake()
    changes = plan_uninstall(zone, browse, deadline, planned) if as_json or not yes else ()
    if yes:
        _tell_done(zone, name, _uninstall(zone, browse, limit), changes, as_json)
    else:
        _tell_planned(zone, name, changes, len(planned.up), as_json)


def _uninstall(zone: Zone, service: Service, limit: int) -> Uninstalled:
    """Tell agents to stay out, give them time to hear it, and remove everything."""
    from dnssd.deadline import Deadline
    from dnssd.registration.operation import Operation
    from dnssd.registration.uninstall import Brake, hold_agents_out, uninstall

    zone.actor = f"uninstall-records {socket.gethostname()}"
    brake = Brake(limit)
    operation = Operation(zone, Deadline(DEADLINE))
    left = hold_agents_out(operation, service, brake)
    with operation.telling():
        while left > 0:
            say("info", f"waiting until agents have heard that they are to stay out: {left:.0f} s")
            time.sleep(min(left, TELL_EVERY))  # no server can be asked what agents have read
            left -= TELL_EVERY
    return uninstall(Operation(zone, Deadline(DEADLINE)), service, brake)


def _tell_planned(zone: Zone, name: str, changes: Sequence[Change], up: int, as_json: bool) -> None:
    from dnssd.cli import registering

    if as_json:
        _print_json(zone, name, changes)
        return
    registering.print_changes(changes, as_json)
    if changes:
        how = f"--yes --limit {up}: {up} members are up" if up else "--yes"
        click.echo(f"nothing was removed: run it with {how}", err=True)


def _tell_done(
    zone: Zone, name: str, done: Uninstalled, changes: Sequence[Change], as_json: bool
) -> None:
    from dnssd.cli.output import safe, some
    from dnssd.errors import ZoneError

    stayed = [f"{rrset.rdtype} {rrset.name}" for rrset in done.stayed]
    error = None
    if stayed:
        error = ZoneError(
            f"{name}: not everything is removed: {some(stayed)} stayed, by "
            "another hand or beside its values; remove what is there by hand, and run this again"
        )
    if as_json:
        _print_json(zone, name, changes, done, error)
    elif done.changed:
        print(safe(f"removed the records of {name}"))
    elif not stayed:
        print(safe(f"no records of {name} here"))
    if error is not None:
        raise error


def _print_json(
    zone: Zone,
    name: str,
    changes: Sequence[Change],
    done: Uninstalled | None = None,
    error: ZoneError | None = None,
) -> None:
    from dnssd.cli import registering
    from dnssd.cli.output import print_json

    result_is_told()
    changed = done is not None and done.changed
    print_json(
        {
            "name": name,
            "done": done is not None,
            **registering.changes_json(changes),
            "stayed": [f"{r.rdtype} {r.name}" for r in done.stayed] if done else [],
            "zones": [registering.zone_json(zone, error, changed=changed)],
        }
    )
