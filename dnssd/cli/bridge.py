"""`dnssd bridge`: a proxy whose servers are a service's endpoints, always."""

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
    from dnssd.names import Name

EPILOG = """\b
HAProxy loads FILE behind its own configuration, and its frontends use the backends by the
names of the services. With Debian's HAProxy:
  echo 'EXTRAOPTS="-f /etc/haproxy/services.cfg -S /run/haproxy-master.sock"' \\
      >>/etc/default/haproxy

\b
Examples:
  dnssd bridge haproxy web._http._tcp.example.com \\
      -o /etc/haproxy/services.cfg --socket /run/haproxy-master.sock
  dnssd bridge haproxy _http._tcp.example.com _postgresql._tcp.example.com --slots 64 \\
      -o services.cfg --socket /run/haproxy/admin.sock --exec 'systemctl reload haproxy'
"""

TICK = 5.0  # seconds between looks at HAProxy: it may have been started anew
LONGEST = 0.5  # seconds that changes in DNS may take to come together


@click.command("bridge", cls=Command, epilog=EPILOG)
@click.argument("proxy", type=click.Choice(["haproxy"]))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    required=True,
    help="The file of backends, which HAProxy loads.",
)
@option(
    "--socket",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="SOCKET",
    required=True,
    help="HAProxy's socket: the master's, or a stats socket of level admin.",
)
@option(
    "--slots",
    type=click.IntRange(1, 4096),
    default=32,
    show_default=True,
    help="How many servers a service has room for; a reload doubles it.",
)
@option(
    "--exec",
    "words",
    metavar="COMMAND",
    callback=split,
    help="What reloads HAProxy.  [default: the master's socket]",
)
@domain_option
@nameserver_option
@timeout_option
def command(
    proxy: str,
    names: tuple[str, ...],
    output: Path,
    socket: Path,
    slots: int,
    words: list[str],
    domain: Name | None,
    nameservers: tuple[str, ...],
    timeout: float,
) -> None:
    """Keep the servers of HAProxy equal to services, without reloads.

    Each service is a backend with slots, which are filled through HAProxy's socket. It is
    reloaded only when they are too few. A service that vanishes, or cannot be looked up,
    stays as it was. This command ends with SIGTERM; HAProxy goes on.
    """
    from dnssd.export.bridge import Bridge
    from dnssd.export.following import Following
    from dnssd.export.runtime import Runtime
    from dnssd.resolver.client import Resolver
    from dnssd.resolver.defaults import parse_name

    start_logging()
    asked = [parse_name(name, domain) for name in names]
    run = (lambda: execute(words)) if words else None
    bridge = Bridge(Runtime(socket), output, slots, warn, execute=run)
    with contextlib.suppress(Terminated), Resolver(nameservers, timeout=timeout) as resolver:
        following = Following(resolver, asked)
        for why in following.unknown():
            warn(f"{why}; its servers stay as they are until it is found")
        bridge.begin(following.services)
        for _ in following.changes(TICK, LONGEST):
            bridge.step(following.services)
