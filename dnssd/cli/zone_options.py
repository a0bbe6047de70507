"""The option `--zone`, of commands that take one zone and of those that take several."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from dnssd.cli.options import checked, option

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _check_zone(text: str) -> None:
    from dnssd.zones.address import ZoneAddress

    ZoneAddress.parse(text)


def one_zone(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str:
    """The zone of a command that takes one.

    Raises:
        BadParameter: There are several, or it is none.
    """
    if len(value) > 1:
        raise click.BadParameter(f"{len(value)} zones; this command takes one", ctx, param)
    checked(_check_zone)(ctx, param, value)
    return value[0]


def several_zones(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """The zones of a command that takes several.

    Raises:
        BadParameter: One of them is none, or is given twice.
    """
    from dnssd.zones.address import ZoneAddress

    checked(_check_zone)(ctx, param, value)
    known: dict[object, str] = {}
    for text in value:
        if (identity := ZoneAddress.parse(text).identity) in known:
            why = f"{text}: the same zone as {known[identity]}; leave one out"
            raise click.BadParameter(why, ctx, param)
        known[identity] = text
    return value


def _zone_option(
    name: str, callback: Callable[..., Any], more: str = ""
) -> Callable[[_Function], _Function]:
    return option(
        "--zone",
        name,
        metavar="ADDRESS",
        shared="DNSSD_ZONE",
        words=True,
        required=True,
        multiple=True,
        callback=callback,
        help="Where the records live: a name, a hosted zone ID, or PROVIDER:NAME[,key=value]..."
        + more,
    )


zone_option = _zone_option("zone_address", one_zone)
zones_option = _zone_option("zone_addresses", several_zones, "; may be repeated.")
