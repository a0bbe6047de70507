"""`dnssd sandbox`: Route 53, DNS and instance metadata on this machine."""

import contextlib
import ipaddress
import os
import random
import re
import shlex
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from dnssd.cli.options import Command, option
from dnssd.cli.output import safe
from dnssd.cli.reporting import warn
from dnssd.errors import UsageError
from dnssd.names import Name, shown
from dnssd.sandbox.api.exchange import Wrap
from dnssd.sandbox.api.statefile import StateFile
from dnssd.sandbox.faults.busy import BusyZones, keep_busy
from dnssd.sandbox.faults.injected import Dice, Fault, inject, parse_faults
from dnssd.sandbox.faults.policy import enforce
from dnssd.sandbox.faults.policyfile import load_policy
from dnssd.sandbox.faults.rate import Bucket, limit
from dnssd.sandbox.metadata.instance import Instance
from dnssd.sandbox.sandbox import EXAMPLE, Ports, Sandbox, lead_into
from dnssd.sandbox.supervisor import blocked_signals, run, wait_for_stop

# Exit codes, as shells give them.
NOT_EXECUTABLE, NOT_FOUND, SIGNALLED = 126, 127, 128

_SERVED = re.compile(r"([^,]+)(?:,id=([A-Z0-9]{1,32}))?")
_LINES = (  # what is exported together
    (
        "AWS_ENDPOINT_URL_ROUTE_53",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
    ),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "NO_PROXY"),
    ("DNSSD_ZONE", "DNSSD_DOMAIN", "DNSSD_NAMESERVER", "DNSSD_STATE"),
)
_INSTANCE = Instance()
EPILOG = """\b
Examples:
  dnssd sandbox -- sh            a shell in which dnssd and boto3 find the sandbox
  dnssd sandbox -- pytest        stops with its command, and returns its exit code
  dnssd sandbox --dns-port 5300  prints what to export, and runs until interrupted
  dnssd sandbox --rate 5 --busy 0.5 -- sh                  as slow as Route 53
  dnssd sandbox --faults error=0.1,cut-after=0.1 -- sh     as on a bad day
  dnssd sandbox --faults guardrail=1 -- sh                 refuses that a name vanishes
  dnssd sandbox --state zones.json -- sh                   goes on where it ended
  dnssd sandbox --serve example.com,id=Z0123456789ABC --policy policy.json -- sh

What became of the requests is counted at $AWS_ENDPOINT_URL_ROUTE_53/sandbox/counts.
"""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _port_option(name: str, what: str) -> Callable[[_Function], _Function]:
    return option(
        name,
        type=click.IntRange(0, 65535),
        default=0,
        show_default=True,
        help=f"Where {what} listens; 0 for any free port.",
    )


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """What the command line asks for; each field is the option of its name."""

    serve: tuple[str, ...]
    api_port: int
    dns_port: int
    metadata_port: int
    bind: str
    instance_id: str
    private_ip: str
    public_ip: str | None
    rate: float | None
    burst: float | None
    busy: float | None
    faults: str | None
    seed: int
    state: str | None
    policy: str | None

    def zone_ids(self) -> dict[Name, str | None]:
        """The zones to serve, each with the identifier that was asked for.

        Raises:
            UsageError: What is served is no zone.
        """
        zones = {}
        for text in self.serve:
            if not (match := _SERVED.fullmatch(text)):
                raise UsageError(f"--serve {shown(text)}: write NAME, or NAME,id=ID")
            zones[Name.parse(match[1])] = match[2]
        return zones

    def wraps(self) -> Iterator[Wrap]:
        """What stands between clients and zones, the outermost first.

        Raises:
            UsageError: A setting makes no sense.
        """
        if self.rate is not None:
            burst = max(1.0, self.rate) if self.burst is None else self.burst
            yield limit(Bucket(self.rate, burst, time.monotonic))
        elif self.burst is not None:
            raise UsageError(f"--burst {self.burst:g}: it needs a rate; give --rate too")
        if self.faults is not None:
            yield inject(Dice(parse_faults(self.faults), random.Random(self.seed)), time.sleep)
        if self.busy is not None:
            yield keep_busy(BusyZones(self.busy, time.monotonic))
        if self.policy is not None:
            yield enforce(load_policy(Path(self.policy)))

    def sandbox(self, state: StateFile | None) -> Sandbox:
        """The sandbox that is asked for, not started.

        Raises:
            UsageError: A setting makes no sense.
        """
        zones = self.zone_ids()
        return Sandbox(
            list(zones),
            zone_ids={origin: zone_id for origin, zone_id in zones.items() if zone_id},
            host=self.bind,
            ports=Ports(self.api_port, self.dns_port, self.metadata_port),
            instance=Instance(self.instance_id, self.private_ip, self.public_ip),
            wraps=list(self.wraps()),
            state=state,
            insync_after=self.busy or 0.0,
            max_log=0,  # the log is for tests, and holds on to every state of a zone
        )


@click.command(
    "sandbox", cls=Command, epilog=EPILOG, context_settings={"allow_interspersed_args": False}
)
@option(
    "--serve",
    metavar="NAME[,id=ID]",
    multiple=True,
    default=[str(EXAMPLE).rstrip(".")],
    show_default=True,
    help="A zone to serve; may be repeated.",
)
@_port_option("--api-port", "Route 53's API")
@_port_option("--dns-port", "the DNS server, by UDP and TCP,")
@_port_option("--metadata-port", "the instance metadata service")
@option(
    "--bind",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="The IP address to listen on.",
)
@option(
    "--instance-id",
    metavar="ID",
    default=_INSTANCE.instance_id,
    show_default=True,
    help="The instance that the metadata is about.",
)
@option(
    "--private-ip",
    metavar="IP",
    default=_INSTANCE.private_ip,
    show_default=True,
    help="Its private IPv4 address.",
)
@option("--public-ip", metavar="IP", help="Its public IPv4 address.  [default: none]")
@option("--rate", type=float, metavar="R", help="Requests a second that the API lets pass.")
@option("--burst", type=float, metavar="B", help="How many at once.  [default: R, at least 1]")
@option(
    "--busy",
    type=float,
    metavar="SECONDS",
    help="How long a zone takes no change after one, which is pending for as long.",
)
@option(
    "--faults",
    metavar="FAULT=P,...",
    help=f"How likely requests meet which faults: {', '.join(Fault)}.",
)
@option(
    "--seed",
    type=int,
    metavar="N",
    default=1,
    show_default=True,
    help="Determines which requests meet them.",
)
@option("--state", metavar="FILE", help="Keep the zones in FILE, and begin with those in it.")
@option("--policy", metavar="FILE", help="Deny what the IAM policy in FILE does not allow.")
@click.argument("argv", nargs=-1, metavar="[-- COMMAND...]")
def command(argv: tuple[str, ...], **options: Any) -> None:
    """Run Route 53, DNS and instance metadata locally.

    With a COMMAND, runs it so that it finds them; else prints what to export.
    """
    settings = SandboxOptions(**options)
    _check_address(settings.bind)
    with contextlib.ExitStack() as running:
        running.enter_context(blocked_signals())
        file = running.enter_context(StateFile(Path(settings.state))) if settings.state else None
        sandbox = running.enter_context(settings.sandbox(file))
        if sys.stderr.isatty():
            click.echo(banner(sandbox, settings), err=True)
        if argv:
            environment = with_own_folder(lead_into(sandbox.environment(), os.environ))
            sys.exit(_run(argv, environment))
        _print_exports(sandbox.environment())
        wait_for_stop()


def banner(sandbox: Sandbox, settings: SandboxOptions) -> str:
    """What is inside, for who looks at a terminal."""
    zones = (f"{safe(str(zone.origin))} ({zone.id})" for zone in sandbox.zones.zones())
    lines = [
        "This is a sandbox on this machine; nothing here reaches AWS. It has",
        f"  Route 53     {sandbox.api_url}",
        f"  zones        {', '.join(zones)}",
        f"  name server  {sandbox.nameserver}, by UDP and TCP",
        f"  metadata     {sandbox.metadata_url}, of the instance {safe(settings.instance_id)}",
    ]
    asked = (
        f"--{name} {safe(str(value))}"
        for name in ("rate", "burst", "busy", "faults", "state", "policy")
        if (value := getattr(settings, name)) is not None
    )
    if told := " ".join(asked):
        lines.append(f"  asked for    {told}")
    return "\n".join((*lines, "It ends with its command, or else with Ctrl-C."))


def with_own_folder(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with the folder of this `dnssd` first on its PATH."""
    program = Path(sys.argv[0])
    own = program.parent if program.name == "dnssd" else Path(sysconfig.get_path("scripts"))
    path = environment.get("PATH", os.defpath)
    return {**environment, "PATH": f"{own.resolve()}{os.pathsep}{path}"}


def _check_address(bind: str) -> None:
    try:
        address = ipaddress.ip_address(bind)
    except ValueError as error:
        raise UsageError(f"--bind {shown(bind)}: an IP address is needed") from error
    if not address.is_loopback:
        warn(f"--bind {bind}: whoever reaches these ports may change the zones")


def _print_exports(environment: Mapping[str, str]) -> None:
    for names in _LINES:
        pairs = (f"{name}={shlex.quote(environment[name])}" for name in names)
        print("export", *pairs, flush=True)


def _run(argv: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Run a program to its end, and return the exit code that tells how it ended."""
    try:
        code = run(argv, environment)
    except FileNotFoundError:
        warn(f"{safe(argv[0])}: no such command; give a path, or one that PATH leads to")
        return NOT_FOUND
    except OSError as error:
        warn(f"{safe(argv[0])}: {error.strerror}; give a program that may be executed")
        return NOT_EXECUTABLE
    return code if code >= 0 else SIGNALLED - code
