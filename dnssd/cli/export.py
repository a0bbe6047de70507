"""`dnssd export`: services as configuration of other programs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dnssd.cli.domain import domain_option
from dnssd.cli.execution import execute, split
from dnssd.cli.failures import Terminated
from dnssd.cli.options import Command, nameserver_option, option, timeout_option
from dnssd.cli.reporting import start_logging, warn

if TYPE_CHECKING:  # importing the resolver takes longer than printing --help
    from collections.abc import Sequence

    from dnssd.export.following import Following
    from dnssd.names import Name
    from dnssd.resolver.events import Event

FORMATS = ("haproxy", "nginx", "envoy-eds", "traefik", "prometheus")
RETRY_SECONDS = 30.0  # after which what could not be written, or was refused, is tried again

EPILOG = """\b
The file is replaced at once, and only if its contents change; COMMAND runs after that. If
it fails, the file becomes what it was. A service that is not found empties no file.

\b
Examples:
  dnssd export --format nginx web._http._tcp.example.com
  dnssd export --format prometheus -o /etc/prometheus/dns/node.json --watch \\
      _prometheus-http._tcp.example.com
  dnssd export --format nginx -o /etc/nginx/conf.d/web.conf --watch \\
      --exec 'sh -c "nginx -t && nginx -s reload"' web._http._tcp.example.com
"""


@click.command("export", cls=Command, epilog=EPILOG)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    required=True,
    help="Whose configuration.",
)
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it there.  [default: stdout]",
)
@option("--watch", "watching", is_flag=True, help="Go on, and write each change.")
@option(
    "--exec",
    "words",
    metavar="COMMAND",
    callback=split,
    help="Run this after the file has changed, with the events as JSON lines on its stdin.",
)
@domain_option
@nameserver_option
@timeout_option
def command(
    names: tuple[str, ...],
    form: str,
    output: Path | None,
    watching: bool,
    words: list[str],
    domain: Name | None,
    nameservers: tuple[str, ...],
    timeout: float,
) -> None:
    """Write services as the configuration of a proxy or of Prometheus.

    Priorities and weights mean there what they mean in DNS, as far as the program knows them.
    """
    if output is None and (watching or words):
        raise click.UsageError("--watch and --exec need a file: add -o FILE")
    if form == "envoy-eds" and len(names) > 1:
        raise click.UsageError("Envoy reads one service from a file: write a file for each NAME")
    from dnssd.export.following import Following
    from dnssd.resolver.client import Resolver
    from dnssd.resolver.defaults import parse_name

    start_logging()
    asked = [parse_name(name, domain) for name in names]
    with Resolver(nameservers, timeout=timeout) as resolver:
        following = Following(resolver, asked)
        if not watching:
            following.look_up()
            _write(following, form, output, words, ())
        else:
            with contextlib.suppress(Terminated):
                _watch(following, form, output, words)


def _watch(following: Following, form: str, output: Path | None, words: Sequence[str]) -> None:
    """Write each change, until this is told to end; what fails is tried again."""
    from dnssd.errors import Unavailable

    for why in following.unknown():
        warn(f"{why}; nothing is written until it is found")
    for burst in following.changes(RETRY_SECONDS):
        if following.unknown():
            continue
        try:
            _write(following, form, output, words, burst)
        except Unavailable as error:
            warn(f"{error}; still watching")


def _write(
    following: Following,
    form: str,
    output: Path | None,
    words: Sequence[str],
    burst: Sequence[Event],
) -> None:
    """Bring the file up to date.

    Raises:
        Unavailable: It could not be written, or the command has failed.
    """
    from dnssd.errors import Unavailable
    from dnssd.export import files
    from dnssd.export.formats import FORMATS

    def accept() -> None:
        if words and (why := execute(words, burst)):
            raise Unavailable(f"{why}; {output} stays as it was")

    text = FORMATS[form](following.services)
    if output is None:
        print(text, end="")
    else:
        files.update(output, text, accept)
