"""`dnssd browse`: service types, or the instances of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dnssd.cli.domain import domain_option, zone_domain
from dnssd.cli.options import Command, json_option, nameserver_option
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
@json_option
def command(
    service: str | None, domain: Name | None, nameservers: tuple[str, ...], as_json: bool
) -> None:
    """List the service types of a domain, or the instances of SERVICE, one a line."""
    from dnssd.cli.output import print_json, safe
    from dnssd.errors import UsageError
    from dnssd.resolver.client import Resolver
    from dnssd.services import parse_service_name

    start_logging()
    where = domain or zone_domain()
    with Resolver(nameservers) as resolver:
        if service is not None:
            asked = parse_service_name(service, where)
            found = resolver.browse(asked.name.master())
            report = {
                "domain": str(asked.domain),
                "service": str(asked.service),
                "instances": list(found),
            }
        elif where is not None:
            found = resolver.services(str(where))
            report = {"domain": str(where), "services": list(found)}
        else:
            raise UsageError("browse: no domain; give --domain or set DNSSD_DOMAIN")
    if as_json:
        print_json(report)
    else:
        for line in found:
            print(safe(line))
