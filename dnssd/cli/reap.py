"""`dnssd reap`: take out the members that somebody knows to be dead."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import click

from dnssd.cli.options import Command, json_option, option
from dnssd.cli.reporting import result_is_told, start_logging
from dnssd.cli.zone_options import zone_option

if TYPE_CHECKING:  # --help needs none of it
    from dnssd.errors import DnssdError
    from dnssd.registration.reaper import Reaped
    from dnssd.zones.base import Zone

EPILOG = """\b
Examples:
  dnssd reap --zone example.com                      # shows who is dead, at a first look
  dnssd reap http --zone example.com --yes
  dnssd reap --zone example.com --probe --yes
  dnssd reap http --zone example.com --yes --limit 7
"""
DEADLINE = 900.0  # seconds


@click.command("reap", cls=Command, epilog=EPILOG)
@click.argument("service", required=False)
@zone_option
@option("--probe", is_flag=True, help="A member whose port does not answer is dead, too.")
@option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Take out up to N, also the last one. [default: a quarter in ten minutes, never the last]",
)
@option("--yes", is_flag=True, help="Do it; without this they are only shown.")
@json_option
def command(
    service: str | None, zone_address: str, probe: bool, limit: int | None, yes: bool, as_json: bool
) -> None:
    """Take out members that are dead: of one service, or of the whole zone.

    A member is dead if EC2 says that its instance is terminated, stopped or unknown, or if its
    lease has ended. What an interrupted leave has left behind goes, too. With --yes everybody is
    looked at twice, a minute apart; with --probe three times.
    """
    from dnssd.deadline import Deadline
    from dnssd.hosts.aws import Ec2
    from dnssd.registration.operation import Operation
    from dnssd.registration.reaper import PROBE_ROUNDS, ROUNDS, Reaper, answers
    from dnssd.services import Service
    from dnssd.zones.factory import open_zone

    start_logging()
    deadline = Deadline(DEADLINE)
    wanted = Service.parse(service) if service is not None else None
    zone = open_zone(zone_address, deadline=deadline)
    zone.actor = f"reap {socket.gethostname()}"
    ask, rounds = (answers, PROBE_ROUNDS) if probe else (None, ROUNDS)
    reaper = Reaper(Operation(zone, deadline), Ec2().words, wanted, ask, limit)
    dead = reaper.find(rounds if yes else 1)
    reaped = reaper.remove(dead) if yes else reaper.plan(dead)
    error = _error(reaped, yes)
    if as_json:
        _print_json(zone, reaped, yes, error)
    else:
        _print(reaped, yes)
    if error is not None:
        raise error


def _print(reaped: Reaped, yes: bool) -> None:
    from dnssd.cli.output import safe

    verb = "removed" if yes else "would remove"
    for one in reaped.removed:
        print(safe(f"{verb} {one.label} of {one.instance}: {one.why}; {one.owner}"))
    for one in reaped.held:
        print(safe(f"kept {one.label} of {one.instance}: {one.why}; {one.owner}"))
    for name, label in reaped.cleaned:
        print(safe(f"{verb} the records of {label} of {name}"))
    if not (reaped.removed or reaped.held or reaped.cleaned):
        print("nobody is known to be dead")
    elif not yes:
        click.echo("nothing was removed: run it with --yes, which looks again", err=True)


def _print_json(zone: Zone, reaped: Reaped, yes: bool, error: DnssdError | None) -> None:
    from dnssd.cli.output import print_json
    from dnssd.cli.registering import zone_json

    result_is_told()
    print_json(
        {
            "zone": zone.address,
            "done": yes,
            **reaped.to_json(),
            "zones": [zone_json(zone, error, changed=reaped.changed)],
        }
    )


def _error(reaped: Reaped, yes: bool) -> DnssdError | None:
    """What is to be told, the worst of it; None if all went well."""
    from dnssd.cli.output import some
    from dnssd.errors import Refused

    if reaped.failed or reaped.unheard:
        return reaped.failed or reaped.unheard
    if not (yes and reaped.held):
        return None
    labels = some([one.label for one in reaped.held])
    return Refused(
        f"{len(reaped.held)} dead members are kept: {labels}: a quarter of an instance may "
        "go in ten minutes, and never its last; run it again later, or allow that many with "
        f"--limit {len(reaped.held)}"
    )
