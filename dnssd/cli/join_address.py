"""`dnssd join-address`: this host's address among those of a name, for browsers."""

from __future__ import annotations

from typing import Any

import click

from dnssd.cli.options import (
    Command,
    address_option,
    checked,
    deadline_option,
    dry_run_option,
    host_option,
    json_option,
    option,
    splay_option,
    wait_option,
)
from dnssd.cli.reporting import start_logging
from dnssd.cli.whoami import cloud_option
from dnssd.cli.zone_options import zones_option

EPILOG = """\b
Examples:
  dnssd join-address www.example.com --zone example.com,id=Z0123456789ABC
  dnssd join-address www.example.com --zone cloudflare:example.com --proxied
  dnssd join-address example.com --zone example.com --address 192.0.2.1 --dry-run
"""


def _check_name(text: str) -> None:
    from dnssd.names import Name
    from dnssd.registration.plainaddress import check_name

    check_name(Name.parse(text))


def name_argument(function: Any) -> Any:
    """NAME: what browsers go to."""
    return click.argument("name", callback=checked(_check_name))(function)


join_address_option = option(
    "--join-address",
    "names",
    metavar="NAME",
    multiple=True,
    words=True,
    callback=checked(_check_name),
    help="A name whose A and AAAA records hosts join, such as www.example.com; may be repeated.",
)


@click.command("join-address", cls=Command, epilog=EPILOG)
@name_argument
@zones_option
@host_option
@cloud_option
@address_option("public")
@option("--proxied", is_flag=True, help="Let the zone's provider stand before it.")
@option(
    "--ttl",
    type=click.IntRange(1, 2**31 - 1),
    metavar="SECONDS",
    help="Of the name's addresses.  [default: what they have, 60 for new ones]",
)
@splay_option
@deadline_option(120)
@wait_option
@option("--takeover", is_flag=True, help="Replace a record of another owner.")
@dry_run_option
@json_option
def command(**options: Any) -> None:
    """Put this host's address among the A and AAAA records of NAME.

    NAME is a name in full, such as www.example.com, or the zone's own. Other hosts' addresses,
    and those that were written by hand, are never touched.
    """
    from dnssd.cli.addresses import AddressOptions, join
    from dnssd.names import Name

    start_logging()
    name = Name.parse(options.pop("name"))
    join(AddressOptions(name=name, **options))
