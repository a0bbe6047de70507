"""`dnssd lookup`: a service's endpoints, or one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.domain import domain_option
from dnssd.cli.options import Command, json_option, nameserver_option, option, timeout_option
from dnssd.cli.reporting import start_logging, warn

if TYPE_CHECKING:  # importing the resolver takes longer than printing --help
    from collections.abc import Iterable, Iterator

    from dnssd.names import Name
    from dnssd.resolver.client import Resolver
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
  curl "https://$(dnssd lookup web._https._tcp.example.com --pick --target)/"
  dnssd lookup web._http._tcp.example.com --wait 60    # until the first host is there
"""

HEADINGS = ("INSTANCE", "PRIORITY", "WEIGHT", "TARGET", "ADDRESSES", "TXT")


_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", re.ASCII)
POLL_SECONDS = 1.0  # between look-ups of what is waited for


@click.command("lookup", cls=Command, epilog=EPILOG)
@click.argument("name")
@domain_option
@nameserver_option
@timeout_option
@option(
    "--wait",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Look it up again until somebody offers it, for so long.",
)
@option("--pick", "pick_one", is_flag=True, help="Choose one by priority and weight.")
@option("--all", "all_lines", is_flag=True, help="Print ADDRESS:PORT lines in failover order.")
@option(
    "--target",
    "by_target",
    is_flag=True,
    help="With --pick or --all, print TARGET:PORT: the name that a TLS certificate is for.",
)
@option(
    "--prefer",
    metavar="INSTANCE",
    multiple=True,
    help="Of a service, this instance first while any host of it is healthy; may be repeated.",
)
@option(
    "--policy",
    type=click.Choice(["weighted", "least_pending"]),
    default="weighted",
    show_default=True,
    help="How --pick chooses within a priority.",
)
@json_option
def command(name: str, domain: Name | None, **options: Any) -> None:
    """Find the endpoints of a service or of one instance.

    Prints a table; with --pick one ADDRESS:PORT, chosen anew each time; with --all
    every ADDRESS:PORT, in an order in which to try them.
    """
    asked = LookupOptions(**options)
    if asked.all_lines and (asked.pick_one or asked.as_json):
        raise click.UsageError("--all goes with neither --pick nor --json")
    if asked.by_target and not (asked.all_lines or asked.pick_one):
        raise click.UsageError("--target goes with --pick or --all")

    from dnssd.resolver.client import Resolver
    from dnssd.resolver.defaults import parse_name

    start_logging()
    wanted = parse_name(name, domain).name.master()
    with Resolver(
        asked.nameservers, timeout=asked.timeout, policy=asked.policy, prefer=asked.prefer
    ) as resolver:
        snapshot = _snapshot(resolver, wanted, asked.wait)
        if asked.pick_one:
            _print_one(resolver.pick(wanted), snapshot.status, asked)
        elif asked.all_lines:
            _print_all(resolver.order(wanted), asked.by_target)
        else:
            _print_snapshot(snapshot, asked.as_json)
    if snapshot.status == "stale":
        warn(f"{snapshot.name}: stale: no name server answers; this is what was known before")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupOptions:
    """What `dnssd lookup` was told; see its options."""

    nameservers: tuple[str, ...]
    timeout: float
    wait: float | None
    pick_one: bool
    all_lines: bool
    by_target: bool
    prefer: tuple[str, ...]
    policy: Policy
    as_json: bool


def _snapshot(resolver: Resolver, name: str, wait: float | None) -> Snapshot:
    """What there is, or what there is as soon as there is something.

    Raises:
        NotFound: Nobody offers it, still.
        Unavailable: No name server answers, still.
    """
    from dnssd.deadline import Deadline
    from dnssd.errors import NotFound, Unavailable

    deadline = Deadline(wait or 0.0)
    while True:
        try:
            return resolver.lookup(name)
        except (NotFound, Unavailable):
            if deadline.remaining <= POLL_SECONDS:
                raise
        deadline.pause(POLL_SECONDS, name)
        resolver.clear()  # an absence is remembered for longer than anybody waits


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
    from dnssd.wire.clock import clock

    return {
        "name": snapshot.name,
        "status": snapshot.status,
        "ttl": round(snapshot.ttl(clock()), 1),
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


def _print_one(endpoint: Endpoint, status: str, asked: LookupOptions) -> None:
    from dnssd.cli.output import print_json

    if asked.as_json:
        instance = {"instance": endpoint.instance}
        print_json(instance | endpoint_json(endpoint) | {"status": status})
    else:
        print(_authorities(endpoint, asked.by_target)[0])


def _print_all(endpoints: Iterable[Endpoint], by_target: bool) -> None:
    """Those with addresses; if none has one, that is the error."""
    endpoints = tuple(endpoints)
    for endpoint in tuple(e for e in endpoints if e.addresses or by_target) or endpoints:
        print("\n".join(_authorities(endpoint, by_target)))


def _authorities(endpoint: Endpoint, by_target: bool) -> tuple[str, ...]:
    """`ADDRESS:PORT`, n >= 1, or one `TARGET:PORT`: what scripts can connect to.

    Raises:
        NotFound: The target has no address.
        Unavailable: The target is no host name: a script could take it for something else.
    """
    from dnssd.cli.output import safe
    from dnssd.errors import NotFound, Unavailable

    if by_target:
        target = endpoint.target.removesuffix(".")
        if not _HOST_NAME.fullmatch(target):
            raise Unavailable(
                f"{safe(target)}: not a host name, although SRV records point there; "
                "correct them, or leave out --target",
                name=endpoint.target,
            )
        return (f"{target}:{endpoint.port}",)
    if not endpoint.addresses:
        raise NotFound(
            f"{endpoint.target}: no address record, although SRV records point there; "
            "add an A or AAAA record for it",
            name=endpoint.target,
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
