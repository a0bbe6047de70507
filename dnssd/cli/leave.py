"""`dnssd leave`: take this host's members out of a service instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from dnssd.cli.options import (
    Command,
    dry_run_option,
    host_option,
    instance_option,
    json_option,
    nameserver_option,
    option,
    wait_option,
    zone_option,
)
from dnssd.cli.reporting import start_logging
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
def command(**options: Any) -> None:
    """Take this host's members out of a service instance.

    The address goes with the host's last service; the definition of the service stays.
    Leaving again changes nothing.
    """
    start_logging()
    _leave(LeaveOptions(**options))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOptions:
    """What `dnssd leave` was told; see its options."""

    service: str
    zone_address: str
    port: int | None
    instance: str | None
    host: str | None
    cloud: str | None
    deadline: float
    wait: bool
    nameservers: tuple[str, ...]
    dry_run: bool
    as_json: bool


def _leave(asked: LeaveOptions) -> None:
    from dnssd.cli import registering
    from dnssd.deadline import Deadline
    from dnssd.hosts import METADATA_AT_LEAVE_SECONDS, this_host
    from dnssd.registration.of_host import departure_of
    from dnssd.registration.registrar import Registrar
    from dnssd.registration.request import check_host_and_service
    from dnssd.services import DEFAULT_INSTANCE
    from dnssd.zones.factory import ZoneAddress, open_zone
    from dnssd.zones.served import wait_seen

    ZoneAddress.parse(asked.zone_address)
    check_host_and_service(asked.service, asked.host)
    deadline = Deadline(asked.deadline)
    facts = this_host(deadline, asked.host, budget=METADATA_AT_LEAVE_SECONDS, cloud=asked.cloud)
    timeout = registering.answer_timeout(asked.deadline)
    zone = open_zone(asked.zone_address, deadline=deadline, timeout=timeout)
    departure = departure_of(
        facts,
        zone.origin,
        asked.service,
        instance=asked.instance or DEFAULT_INSTANCE,
        port=asked.port,
    )
    registrar = Registrar(zone, deadline)
    if asked.dry_run:
        registering.print_changes(registrar.plan_leave(departure), asked.as_json)
        return
    outcome = registrar.leave(departure)
    if asked.wait:
        registrar.wait(departure.name)
        wait_seen(asked.nameservers, departure.name, frozenset(), outcome.removed, deadline)
    members = ", ".join(outcome.members)
    told = f"left {outcome.name}: {members}" if members else f"no member here of {outcome.name}"
    extra = {"members": list(outcome.members)}
    registering.print_outcome(outcome, zone, extra, told, asked.as_json)
