"""`dnssd lookup`: a service's endpoints, or one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.domain import domain_option, zone_domain
from dnssd.cli.options import Command, json_option, nameserver_option, option
from dnssd.cli.reporting import start_logging, warn

if TYPE_CHECKING:  # importing the resolver takes longer than printing --help
    from collections.abc import Iterable, Iterator

    from dnssd.names import Name
    from dnssd.resolver.core import Policy
    from dnssd.resolver.snapshot import Endpoint, Instance, Snapshot

EPILOG = """\b
NAME is absolute if it ends in a dot or goes on after ._tcp or ._udp; otherwise it
belongs to --domain.

\b
Examples:
  dnssd lookup web._http._tcp.example.com          # one instance
  dnssd lookup http --domain example.com --json    # all instances of a service
  curl "http://$(dnssd lookup web._http._tcp.example.com --pick)/"
"""

HEADINGS = ("INSTANCE", "PRIORITY", "WEIGHT", "TARGET", "ADDRESSES", "TXT")


@click.command("lookup", cls=Command, epilog=EPILOG)
@click.argument("name")
@domain_option
@nameserver_option
@option("--pick", "pick_one", is_flag=True, help="Choose one by priority and weight.")
@option("--all", "all_lines", is_flag=True, help="Print ADDRESS:PORT lines in failover order.")
@option(
    "--policy",
    type=click.Choice(["weighted", "least_pending"]),
    default="weighted",
    show_default=True,
    help="How --pick chooses within a priority.",
)
@json_option
def command(
    name: str,
    domain: Name | None,
    nameservers: tuple[str, ...],
    pick_one: bool,
    all_lines: bool,
    policy: Policy,
    as_json: bool,
) -> None:
    """Find the endpoints of a service or of one instance.

    Prints a table; with --pick one ADDRESS:PORT, chosen anew each time; with --all
    every ADDRESS:PORT, in an order in which to try them.
    """
    if all_lines and (pick_one or as_json):
        raise click.UsageError("--all goes with neither --pick nor --json")

    from dnssd.resolver.client import Resolver
    from dnssd.services import parse_service_name

    start_logging()
    asked = parse_service_name(name, domain or zone_domain()).name.master()
    with Resolver(nameservers, policy=policy) as resolver:
        snapshot = resolver.lookup(asked)
        if pick_one:
            _print_one(resolver.pick(asked), snapshot.status, as_json)
        elif all_lines:
            _print_all(resolver.order(asked))
        else:
            _print_snapshot(snapshot, as_json)
    if snapshot.status == "stale":
        warn(f"{snapshot.name}: stale: no name server answers; this is what was known before")


def endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as it stands in a look-up's JSON."""
    return {
        "target": endpoint.target,
        "port": endpoint.port,
        "priority": endpoint.priority,
        "weight": endpoint.weight,
        "addresses": list(endpoint.addresses),
    }


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """A look-up's JSON."""
    import time

    return {
        "name": snapshot.name,
        "status": snapshot.status,
        "ttl": round(snapshot.ttl(time.monotonic()), 1),
        "instances": [_instance_json(instance) for instance in snapshot.instances],
    }


def _instance_json(instance: Instance) -> dict[str, Any]:
    from dnssd.cli.output import txt_json

    return {
        "name": instance.name,
        "instance": instance.instance,
        "txt": txt_json(instance.data),
        "endpoints": [endpoint_json(endpoint) for endpoint in instance.endpoints],
    }


def _print_one(endpoint: Endpoint, status: str, as_json: bool) -> None:
    from dnssd.cli.output import print_json

    if as_json:
        instance = {"instance": endpoint.instance}
        print_json(instance | endpoint_json(endpoint) | {"status": status})
    else:
        print(_authorities(endpoint)[0])


def _print_all(endpoints: Iterable[Endpoint]) -> None:
    """Those with addresses; if none has one, that is the error."""
    endpoints = tuple(endpoints)
    for endpoint in tuple(e for e in endpoints if e.addresses) or endpoints:
        print("\n".join(_authorities(endpoint)))


def _authorities(endpoint: Endpoint) -> tuple[str, ...]:
    """`ADDRESS:PORT`, n >= 1: scripts are promised addresses.

    Raises:
        NotFound: The target has none.
    """
    from dnssd.errors import NotFound

    if not endpoint.addresses:
        raise NotFound(
            f"{endpoint.target}: no address record, although SRV records point there; "
            "add an A or AAAA record for it"
        )
    return endpoint.authorities


def _print_snapshot(snapshot: Snapshot, as_json: bool) -> None:
    from dnssd.cli.output import print_json, print_table

    if as_json:
        print_json(snapshot_json(snapshot))
    else:
        print_table(HEADINGS, (row for one in snapshot.instances for row in _rows(one)))


def _rows(instance: Instance) -> Iterator[tuple[object, ...]]:
    """A row for each endpoint; the TXT data stands in the first."""
    txt = " ".join(f"{key}{_shown(value)}" for key, value in instance.txt.items())
    for endpoint in instance.endpoints:
        target = f"{endpoint.target.removesuffix('.')}:{endpoint.port}"
        yield (
            instance.instance or "-",
            endpoint.priority,
            endpoint.weight,
            target,
            " ".join(endpoint.addresses) or "-",
            txt,
        )
        txt = ""


def _shown(value: bytes | None) -> str:
    return "" if value is None else "=" + value.decode(errors="backslashreplace")
