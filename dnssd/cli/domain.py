"""The domain that look-ups belong to, where their name does not say."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from dnssd.cli.options import option

if TYPE_CHECKING:  # --help needs none of it
    from dnssd.names import Name

_HOSTED_ZONE_ID = re.compile(r"Z[0-9A-Z]{7,31}")


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
        UsageError: Not a name; the message names the variable.
    """
    from dnssd.errors import MalformedName, UsageError
    from dnssd.names import Name

    for address in os.environ.get("DNSSD_ZONE", "").splitlines():
        # The provider's part ends at a colon, the name at a comma; neither is in a name.
        name = address.partition(",")[0].rpartition(":")[2].strip()
        if name and not _HOSTED_ZONE_ID.fullmatch(name):
            try:
                return Name.parse(name)
            except MalformedName as error:
                raise UsageError(f"DNSSD_ZONE: {error}") from error
    return None
