"""The domain that look-ups belong to, where their name does not say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from dnssd.cli.options import option

if TYPE_CHECKING:  # --help needs none of it
    from dnssd.names import Name


def _parse(ctx: click.Context, param: click.Parameter, value: str | None) -> Name | None:
    from dnssd.errors import MalformedName
    from dnssd.names import Name

    try:
        return None if value is None else Name.parse(value)
    except MalformedName as error:
        raise click.BadParameter(str(error)) from error


domain_option = option(
    "--domain",
    metavar="DOMAIN",
    shared="DNSSD_DOMAIN",
    callback=_parse,
    help="The domain of what is no absolute name.  [default: the name in DNSSD_ZONE]",
)


def zone_domain() -> Name | None:
    """The name in `DNSSD_ZONE`; None if there is none, as in a bare hosted zone ID.

    Raises:
        UsageError: Not a zone address; the message names the variable.
    """
    from dnssd.errors import UsageError
    from dnssd.zones.factory import ZoneAddress

    for address in os.environ.get("DNSSD_ZONE", "").splitlines():
        try:
            parsed = ZoneAddress.parse(address.strip())
        except UsageError as error:
            raise UsageError(f"DNSSD_ZONE: {error}") from error
        if parsed.name is not None:
            return parsed.name
    return None
