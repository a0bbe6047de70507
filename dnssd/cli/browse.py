"""`dnssd browse`: service types, or the instances of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dnssd.cli.domain import domain_option
from dnssd.cli.options import Command, json_option, nameserver_option, timeout_option
from dnssd.cli.reporting import start_logging

if TYPE_CHECKING:  # importing the resolver takes longer than printing --help
    from dnssd.names import Name

EPILOG = """\b
Examples:
  dnssd browse --domain example.com          # the service types there
  dnssd browse http --domain example.com     # the instances of _http._tcp
"""


@click.command("browse", cls=Command, epilog=EPILOG)
@click.argument("service", required=False)
@domain_option
@nameserver_option
@timeout_option
@json_option
def command(
    service: str | None,
    domain: Name | None,
    nameservers: tuple[str, ...],
    timeout: float,
    as_json: bool,
) -> None:
    """List the service types of a domain, or the instances of SERVICE, one a line."""
    from dnssd.cli.output import print_json, safe
    from dnssd.errors import UsageError
    from dnssd.resolver.client import Resolver
    from dnssd.resolver.defaults import default_domain, parse_name

    start_logging()
    with Resolver(nameservers, timeout=timeout) as resolver:
        if service is not None:
            asked = parse_name(service, domain)
            found = resolver.browse(asked.name.master())
            of = {"domain": str(asked.domain), "service": str(asked.service)}
        elif (where := domain or default_domain()) is not None:
            found = resolver.services(str(where))
            of = {"domain": str(where)}
        else:
            raise UsageError("browse: no domain; give --domain or set DNSSD_DOMAIN")
    if as_json:
        print_json({**of, "instances" if service is not None else "services": list(found)})
    else:
        for line in found:
            print(safe(line))
