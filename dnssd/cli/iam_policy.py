"""`dnssd iam-policy`: the least that hosts of a service, or who reaps, must be allowed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.join_address import join_address_option
from dnssd.cli.options import Command, option
from dnssd.cli.reporting import warn
from dnssd.cli.zone_options import zone_option

if TYPE_CHECKING:  # --help needs none of it
    from collections.abc import Sequence

    from dnssd.names import Name

PARTITIONS = ("aws", "aws-us-gov", "aws-cn")
EPILOG = """\b
Examples:
  dnssd iam-policy http --zone example.com,id=Z0123456789ABC > policy.json
  dnssd iam-policy http --zone example.com,id=Z0123456789ABC --instance web
  dnssd iam-policy --join-address www.example.com --zone example.com,id=Z0123456789ABC
  dnssd iam-policy --reap --zone example.com,id=Z0123456789ABC

Where zones are given without their ID, hosts also need route53:ListHostedZonesByName on *.
"""


@click.command("iam-policy", cls=Command, epilog=EPILOG)
@click.argument("service", required=False)
@zone_option
@join_address_option
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
@option("--plain-name", is_flag=True, help="Allow what --plain-name of join writes, too.")
@option("--agent", is_flag=True, help="Allow what an agent asks: drains, lifecycle hooks.")
@option(
    "--reap", is_flag=True, help="Allow what dnssd reap asks; without SERVICE, of the whole zone."
)
@option(
    "--partition",
    type=click.Choice(PARTITIONS),
    default=PARTITIONS[0],
    show_default=True,
    help="Of AWS, where the zone is.",
)
def command(
    service: str | None,
    zone_address: str,
    names: tuple[str, ...],
    **others: Any,
) -> None:
    """Print the IAM policy that hosts of a service, or of a plain address, need, and no more.

    Changes are by CREATE and DELETE alone, of the names and types of one service in one
    zone, and of the names that are given with --join-address. With --reap it is for who runs
    dnssd reap.
    """
    from dnssd.names import shown
    from dnssd.provisioning.policy import Grant
    from dnssd.services import Service

    if service is None and not (names or others["reap"]):
        raise click.UsageError(
            "missing argument 'SERVICE', or --join-address NAME, or --reap for the whole zone"
        )
    if others["plain_name"]:
        _check_plain(service, others["instances"])
    zone_id, domain = _zone(zone_address)
    grant = Grant(
        service=None if service is None else Service.parse(service),
        zone_id=zone_id,
        domain=domain,
        addresses=_members_of(names, domain),
        **others,
    )
    print(json.dumps(grant.policy(), indent=2))
    if grant.is_unbounded:
        warn(
            f"host pattern: it covers every name below {shown(str(domain).rstrip('.'))}, of other "
            "services too; write what the hosts' labels have in common, such as i-*"
        )


def _check_plain(service: str | None, instances: Sequence[str]) -> None:
    """See that there can be plain names.

    Raises:
        UsageError: No service is given, or an instance can have none.
    """
    from dnssd.registration.wish import check_plain

    if service is None:
        raise click.UsageError("--plain-name: of which service? Name it")
    for instance in instances:
        check_plain(instance)


def _members_of(names: Sequence[str], domain: Name) -> dict[Name, Name]:
    """Names for browsers, each with what its member records stand below.

    Raises:
        UsageError: One of them is not in the zone.
    """
    from dnssd.errors import UsageError
    from dnssd.names import Name
    from dnssd.registration.plainaddress import members_of

    parsed = [Name.parse(text) for text in names]
    for name in parsed:
        if not name.is_below(domain):
            raise UsageError(f"{name}: not in the zone {domain}; give it in full")
    return {name: members_of(name, domain) for name in parsed}


def _zone(text: str) -> tuple[str, Name]:
    """The ID and the name of a hosted zone: a policy names both.

    Raises:
        UsageError: One of them is missing, or it is no zone of Route 53.
    """
    from dnssd.errors import UsageError
    from dnssd.names import shown
    from dnssd.zones.address import ZoneAddress

    address = ZoneAddress.parse(text)
    if not address.by_iam:
        raise UsageError(f"zone {shown(text)}: IAM rules over Route 53 alone; name a zone there")
    if address.name is None:
        raise UsageError(f"zone {shown(text)}: the policy needs its name, too; write NAME,id=ID")
    if "id" not in address.options:
        raise UsageError(
            f"zone {shown(text)}: the policy needs its ID, too; write {text},id=Z0123456789ABC; "
            "find it with: aws route53 list-hosted-zones-by-name --dns-name NAME"
        )
    return address.options["id"], address.name
