"""`dnssd whoami`: who this host is, and who says so."""

from __future__ import annotations

import click

from dnssd.cli.options import Command, json_option, option
from dnssd.cli.reporting import start_logging
from dnssd.hosts.clouds import CLOUDS

EPILOG = """\b
Examples:
  dnssd whoami
  dnssd whoami --cloud plain    # what the machine itself says, whatever cloud it is in
  dnssd whoami --json
"""

cloud_option = option(
    "--cloud",
    type=click.Choice(CLOUDS),
    metavar="NAME",
    help=f"Ask this one: {', '.join(CLOUDS)}.  [default: found by its signs]",
)


@click.command("whoami", cls=Command, epilog=EPILOG)
@cloud_option
@json_option
def command(cloud: str | None, as_json: bool) -> None:
    """Show what join would call this host: label, addresses and owner.

    It comes from the instance metadata of the cloud that the host is in, or else from the
    machine; SOURCE tells which.
    """
    from dnssd.cli.output import print_json, print_table
    from dnssd.deadline import Deadline
    from dnssd.hosts import METADATA_AT_WHOAMI_SECONDS, this_host

    start_logging()
    budget = METADATA_AT_WHOAMI_SECONDS
    facts = this_host(Deadline(budget), budget=budget, cloud=cloud)
    report = {
        "cloud": facts.cloud,
        "host": facts.label,
        "owner": facts.owner,
        "private": list(facts.private),
        "public": list(facts.public),
        "region": facts.region,
        "zone": facts.zone,
        "source": facts.source,
    }
    if as_json:
        print_json(report)
    else:
        print_table(("FACT", "VALUE"), [(key, _told(value)) for key, value in report.items()])


def _told(value: str | list[str] | None) -> str:
    return ", ".join(value) or "-" if isinstance(value, list) else value or "-"
