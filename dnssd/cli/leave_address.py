"""`dnssd leave-address`: this host's address out of those of a name."""

from __future__ import annotations

from typing import Any

import click

from dnssd.cli.join_address import name_argument
from dnssd.cli.options import (
    Command,
    deadline_option,
    dry_run_option,
    host_option,
    json_option,
    option,
    wait_option,
)
from dnssd.cli.reporting import start_logging
from dnssd.cli.whoami import cloud_option
from dnssd.cli.zone_options import zones_option

EPILOG = """\b
Examples:
  dnssd leave-address www.example.com --zone example.com
  dnssd leave-address www.example.com --zone example.com --host i-0abc --force
"""


@click.command("leave-address", cls=Command, epilog=EPILOG)
@name_argument
@zones_option
@host_option
@cloud_option
@option("--force", is_flag=True, help="Take that --host out, whoever owns it.")
@deadline_option(25)
@wait_option
@dry_run_option
@json_option
def command(**options: Any) -> None:
    """Take this host's address out of the A and AAAA records of NAME.

    Leaving again changes nothing.
    """
    from dnssd.cli.addresses import AddressOptions, leave
    from dnssd.names import Name

    if options["force"] and options["host"] is None:
        raise click.UsageError("--force needs --host: whom to take out")
    start_logging()
    name = Name.parse(options.pop("name"))
    leave(AddressOptions(name=name, **options))
