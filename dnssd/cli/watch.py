"""`dnssd watch`: what happens to a service, line by line, or as a command's input."""

from __future__ import annotations

import contextlib
import select
import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.domain import domain_option
from dnssd.cli.execution import event_json, execute, split, time_of
from dnssd.cli.failures import Terminated
from dnssd.cli.options import Command, json_option, nameserver_option, option, timeout_option
from dnssd.cli.reporting import start_logging, warn

if TYPE_CHECKING:  # importing the resolver takes longer than printing --help
    from dnssd.names import Name
    from dnssd.resolver.client import Resolver
    from dnssd.resolver.events import Event

EPILOG = """\b
Begins with an `added` line for each endpoint; ends with Ctrl-C.

\b
Examples:
  dnssd watch web._http._tcp.example.com
  dnssd watch http --domain example.com --json
  dnssd watch http --domain example.com --exec 'systemctl reload haproxy'
"""

WIDEST = 32  # columns: what is longer makes no room for itself in later lines
_TOLD = {
    "stale": "no name server answers; its endpoints stay as they were",
    "recovered": "a name server answers again",
}


@click.command("watch", cls=Command, epilog=EPILOG)
@click.argument("name")
@domain_option
@nameserver_option
@timeout_option
@option(
    "--exec",
    "words",
    metavar="COMMAND",
    callback=split,
    help="Run this after each burst of events, with their JSON lines on its stdin.",
)
@json_option
def command(
    name: str,
    domain: Name | None,
    nameservers: tuple[str, ...],
    timeout: float,
    words: list[str],
    as_json: bool,
) -> None:
    """Tell what happens to a service or to one instance, as it happens.

    An endpoint is added, removed or changed; the service is stale when no name server
    answers any more, and recovered when one does again: until then its endpoints stay.

    --exec runs a command, without a shell: once for events that come together, once more
    for those that came meanwhile, and never two at a time. What it prints goes to stderr.
    """
    from dnssd.resolver.client import Resolver
    from dnssd.resolver.debounce import bursts
    from dnssd.resolver.defaults import parse_name

    start_logging()
    asked = parse_name(name, domain).name.master()
    with contextlib.suppress(Terminated), Resolver(nameservers, timeout=timeout) as resolver:
        has_reader = _end_with_reader(resolver)
        _tell_absence(resolver, asked)
        for burst in bursts(resolver.watch(asked), _printer(as_json)):
            if words and (why := execute(words, burst)):
                warn(f"{why}; it is tried again at the next event")
        if not has_reader.is_set():
            raise BrokenPipeError


def _tell_absence(resolver: Resolver, name: str) -> None:
    """Say why there is nothing to print yet, if that is so."""
    from dnssd.errors import NotFound, Unavailable

    try:
        resolver.lookup(name)
    except (NotFound, Unavailable) as error:
        warn(f"{error}; still watching")


def _printer(as_json: bool) -> Any:
    """Prints an event at once, for whoever reads along."""
    from dnssd.cli.output import json_line

    widths: list[int] = []

    def show(event: Event) -> None:
        line = json_line(event_json(event)) if as_json else _line(event, widths)
        print(line, flush=True)

    return show


def _line(event: Event, widths: list[int]) -> str:
    """An event in columns, as wide as those of the lines before it: `widths` is kept here."""
    from dnssd.cli.output import padded, safe, width_of

    when = f"{time_of(event)}  {event.kind:<9}"
    endpoint = event.endpoint
    if endpoint is None:
        return f"{when}  {_TOLD[event.kind]}"
    cells = (
        safe(endpoint.instance or "-"),
        safe(f"{endpoint.target.removesuffix('.')}:{endpoint.port}"),
        " ".join(endpoint.addresses) or "no address",
        f"priority {endpoint.priority} weight {endpoint.weight}",
    )
    taken = (min(width_of(cell), WIDEST) for cell in cells)
    widths[:] = map(max, widths or (0,) * len(cells), taken)
    columns = map(padded, cells, widths)
    return "  ".join((when, *columns)).rstrip()


def _end_with_reader(resolver: Resolver) -> threading.Event:
    """Close the resolver once nobody reads stdout: there may be no event to find that out by.

    Returns:
        Whether somebody still does.
    """
    has_reader = threading.Event()
    has_reader.set()
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)  # errors and hang-ups are told without asking
    except (AttributeError, OSError, ValueError):  # closed from the start, or no file
        return has_reader

    def wait() -> None:
        poll.poll()
        has_reader.clear()
        resolver.close()

    threading.Thread(target=wait, name="dnssd-reader", daemon=True).start()
    return has_reader
