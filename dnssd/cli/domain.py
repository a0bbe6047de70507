"""The domain that look-ups belong to, where their name does not say."""

from __future__ import annotations

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
