"""`dnssd leave`: take this host's members out of a service instance."""

from __future__ import annotations

import click

from dnssd.cli.options import (
    Command,
    dry_run_option,
    host_option,
    instance_option,
    json_option,
    nameserver_option,
    option,
    start_logging,
    wait_option,
    zone_option,
)
from dnssd.cli.whoami import cloud_option

EPILOG = """\b
Examples:
  dnssd leave http --zone example.com --instance web
  dnssd leave http --zone example.com --instance web --port 8080 --dry-run
"""


@click.command("leave", cls=Command, epilog=EPILOG)
@click.argument("service")
@zone_option
@option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="This member only.  [default: all members of this host]",
)
@instance_option
@host_option
@cloud_option
@option(
    "--deadline",
    type=click.FloatRange(min=0, min_open=True),
    default=25,
    show_default=True,
    metavar="SECONDS",
    help="Give up after this.",
)
@wait_option
@nameserver_option
@dry_run_option
@json_option
def command(
    service: str,
    zone_address: str,
    port: int | None,
    instance: str,
    host: str | None,
    cloud: str | None,
    deadline: float,
    wait: bool,
    nameservers: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Take this host's members out of a service instance.

    The address goes with the host's last service; the definition of the service stays.
    Leaving again changes nothing.
    """
    from dnssd.cli import registering
    from dnssd.registration.registrar import Registrar
    from dnssd.registration.request import Departure, check_host_and_service
    from dnssd.zones.factory import ZoneAddress, open_zone
    from dnssd.zones.pace import Pace
    from dnssd.zones.served import wait_seen

    start_logging()
    ZoneAddress.parse(zone_address)
    check_host_and_service(service, host)
    pace = Pace(deadline)
    facts = registering.this_host(pace, host, budget=registering.METADATA_AT_LEAVE, cloud=cloud)
    zone = open_zone(zone_address, pace=pace, timeout=registering.answer_timeout(deadline))
    departure = Departure.of(
        zone.origin, service, instance=instance, host=facts.label, port=port, owner=facts.owner
    )
    registrar = Registrar(zone, pace)
    if dry_run:
        registering.print_changes(registrar.plan_leave(departure), as_json)
        return
    outcome = registrar.leave(departure)
    if wait:
        registrar.wait(departure.name)
        wait_seen(nameservers, departure.name, frozenset(), outcome.removed, pace)
    members = ", ".join(outcome.members)
    told = f"left {outcome.name}: {members}" if members else f"no member here of {outcome.name}"
    registering.print_outcome(outcome, zone, {"members": list(outcome.members)}, told, as_json)
