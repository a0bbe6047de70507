"""`dnssd iam-policy`: the least that hosts of a service must be allowed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from dnssd.cli.options import Command, option
from dnssd.cli.reporting import warn

if TYPE_CHECKING:  # --help needs none of it
    from dnssd.names import Name

EPILOG = """\b
Examples:
  dnssd iam-policy http --zone-id Z0123456789ABC --domain example.com > policy.json
  dnssd iam-policy http --zone-id Z0123456789ABC --domain example.com --instance web

Where zones are given without their ID, hosts also need route53:ListHostedZonesByName on *.
"""


@click.command("iam-policy", cls=Command, epilog=EPILOG)
@click.argument("service")
@option("--zone-id", metavar="ID", required=True, help="The hosted zone, such as Z0123456789ABC.")
@option("--domain", metavar="DOMAIN", shared="DNSSD_DOMAIN", required=True, help="The zone's name.")
@option(
    "--instance",
    "instances",
    metavar="NAME",
    multiple=True,
    help="This service instance only; may be repeated.  [default: all of the service]",
)
@option(
    "--host-pattern",
    "hosts",
    metavar="PATTERN",
    multiple=True,
    default=("i-*",),
    show_default=True,
    help="The hosts' labels, with * and ?; may be repeated.",
)
@option("--wait", is_flag=True, help="Allow what --wait of join and leave asks, too.")
def command(
    service: str,
    zone_id: str,
    domain: str,
    instances: tuple[str, ...],
    hosts: tuple[str, ...],
    wait: bool,
) -> None:
    """Print the IAM policy that hosts of a service need, and no more.

    Changes are by CREATE and DELETE alone, of the names and types of one service in one
    zone.
    """
    from dnssd.names import shown
    from dnssd.provisioning.policy import Grant
    from dnssd.services import Service

    grant = Grant(
        service=Service.parse(service),
        zone_id=_zone_id(zone_id),
        domain=_domain(domain),
        instances=instances,
        hosts=hosts,
        wait=wait,
    )
    print(json.dumps(grant.policy(), indent=2))
    if grant.is_unbounded:
        warn(
            f"host pattern: it covers every name below {shown(domain)}, of other services too; "
            "write what the hosts' labels have in common, such as i-*"
        )


def _zone_id(text: str) -> str:
    from dnssd.errors import UsageError
    from dnssd.names import shown
    from dnssd.zones.factory import ZoneAddress

    try:
        address = ZoneAddress.parse(text)
    except UsageError:
        address = None
    if address is None or address.name is not None or set(",:") & set(text):
        raise UsageError(
            f"zone ID {shown(text)}: an ID looks like Z0123456789ABC; find it by the zone's name "
            "with: aws route53 list-hosted-zones-by-name --dns-name NAME"
        )
    return address.options["id"]


def _domain(text: str) -> Name:
    from dnssd.errors import UsageError
    from dnssd.names import shown
    from dnssd.zones.factory import ZoneAddress

    name = None if set(",:") & set(text) else ZoneAddress.parse(text).name
    if name is None:
        raise UsageError(f"domain {shown(text)}: give the zone's name alone, such as example.com")
    return name
