"""`dnssd uninstall-records`: remove everything this tool wrote for a service."""

from __future__ import annotations

import click

from dnssd.cli.options import Command, json_option, option, zone_option
from dnssd.cli.reporting import start_logging

EPILOG = """\b
Examples:
  dnssd uninstall-records http --zone example.com          # shows what would go
  dnssd uninstall-records http --zone example.com --yes
"""
DEADLINE = 600.0  # seconds


@click.command("uninstall-records", cls=Command, epilog=EPILOG)
@click.argument("service")
@zone_option
@option("--yes", is_flag=True, help="Do it; without this the changes are only shown.")
@json_option
def command(service: str, zone_address: str, yes: bool, as_json: bool) -> None:
    """Remove everything this tool wrote for a service, whichever host wrote it.

    Values and addresses that another hand wrote stay, and so does the definition of an
    instance that still has such values.
    """
    from dnssd.cli import registering
    from dnssd.cli.output import print_json, safe
    from dnssd.deadline import Deadline
    from dnssd.registration.operation import Operation
    from dnssd.registration.uninstall import plan_uninstall, uninstall
    from dnssd.services import Service
    from dnssd.zones.factory import open_zone

    start_logging()
    browse = Service.parse(service)
    deadline = Deadline(DEADLINE)
    zone = open_zone(zone_address, deadline=deadline)
    name = str(browse.in_domain(zone.origin))
    changes = plan_uninstall(zone, browse, deadline) if as_json or not yes else ()
    changed = uninstall(Operation(zone, deadline), browse).changed if yes else False
    if as_json:
        result = {"zone": zone.address, "changed": changed, "requests": zone.requests}
        report = {"name": name, "done": yes, **registering.changes_json(changes)}
        print_json({**report, "zones": [{**result, "error": None}]})
    elif not yes:
        registering.print_changes(changes, as_json)
        if changes:
            click.echo("nothing was removed: run it with --yes", err=True)
    elif changed:
        print(safe(f"removed the records of {name}"))
    else:
        print(safe(f"no records of {name} here"))
