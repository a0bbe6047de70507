"""`dnssd rejoin`: join again whatever the state folder says that this host had joined."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.options import Command, option
from dnssd.cli.reporting import say, start_logging

if TYPE_CHECKING:  # --help needs none of it
    from collections.abc import Callable, Sequence

    from dnssd.hosts.kept import Kept

EPILOG = """\b
Examples:
  dnssd rejoin                                        # the zone was restored from yesterday
  dnssd rejoin --zone example.com,id=Z0123456789ABC   # it was made anew, with another ID
"""


@click.command("rejoin", cls=Command, epilog=EPILOG)
@option(
    "--zone",
    "zones",
    metavar="ZONE",
    multiple=True,
    words=True,
    help="Where the zone of that name is now; may be repeated.  [default: as it was joined]",
)
def command(zones: tuple[str, ...]) -> None:
    """Join again as this host had joined, after a zone was deleted, made anew or restored.

    Each `dnssd join` and `dnssd join-address` keeps its options in the state folder until its
    leave. Agents join again by themselves. What is there already is not changed, but for the age
    that `dnssd status` shows.
    """
    from dnssd.cli import addresses
    from dnssd.cli.failures import one_line
    from dnssd.errors import DnssdError, NotFound
    from dnssd.hosts.kept import StateFolder

    start_logging()
    folder = StateFolder.find(os.environ)
    kept = [*folder.kept(), *addresses.state().kept()]
    joins = [join for one in kept if (join := _join(one, zones))]
    if not joins:
        raise NotFound(f"{folder.path or 'no state folder'}: no join is kept there; run dnssd join")
    failed: list[DnssdError] = []
    for join in joins:
        try:
            join()
        except DnssdError as error:
            failed.append(error)
    for former in failed[:-1]:
        say("error", one_line(former))
    if failed:
        raise failed[-1]


def _join(kept: Kept, zones: Sequence[str]) -> Callable[[], None] | None:
    """As it joined, in the zone as it is now; None for an agent's, which sees to itself."""
    from dnssd.cli import addresses
    from dnssd.cli.join import JoinOptions, join_as
    from dnssd.names import Name
    from dnssd.zones.address import ZoneAddress

    options: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in kept.options.items()
    }
    address: str = options.pop("zone_address", "")
    if "agent" in options:
        return None
    for zone in zones:
        name = ZoneAddress.parse(zone).name
        if name is None:
            raise click.UsageError(f"--zone {zone}: give its name as well, as NAME,id=ID")
        if Name.parse(kept.name).is_below(name):
            address = zone
    with contextlib.suppress(TypeError):  # kept by another version
        if "service" in options:
            return partial(join_as, JoinOptions(**options, zone_addresses=(address,), confirm=True))
        return partial(addresses.join, addresses.AddressOptions.of(kept, options, address))
    return None
