"""`dnssd sandbox`: Route 53, DNS and instance metadata on this machine."""

import contextlib
import ipaddress
import os
import random
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from dnssd.sandbox.sandbox import EXAMPLE, Sandbox, lead_into

# Exit codes, as shells give them.
NOT_EXECUTABLE, NOT_FOUND, SIGNALLED = 126, 127, 128

_STOPPING = (signal.SIGINT, signal.SIGTERM)
_AWAITED = (*_STOPPING, signal.SIGCHLD)
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # and by no other program
_LINES = (  # what is exported together
    (
        "AWS_ENDPOINT_URL_ROUTE_53",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
    ),
    ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "NO_PROXY"),
    ("DNSSD_ZONE", "DNSSD_DOMAIN", "DNSSD_NAMESERVER"),
)
_INSTANCE = Instance()
_EPILOG = """\b
Examples:
  dnssd sandbox -- sh            a shell in which dnssd and boto3 find the sandbox
  dnssd sandbox -- pytest        stops with its command, and returns its exit code
  dnssd sandbox --dns-port 5300  prints what to export, and runs until interrupted
  dnssd sandbox --rate 5 --busy 0.5 -- sh                  as slow as Route 53
  dnssd sandbox --faults error=0.1,cut-after=0.1 -- sh     as on a bad day
  dnssd sandbox --state zones.json -- sh                   goes on where it ended
  dnssd sandbox --policy policy.json -- sh                 allows what IAM would

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


@click.command(
    "sandbox", cls=Command, epilog=_EPILOG, context_settings={"allow_interspersed_args": False}
)
@option(
    "--serve",
    metavar="NAME",
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
    help="How long a zone takes no change after one.",
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
def command(
    serve: Sequence[str],
    api_port: int,
    dns_port: int,
    metadata_port: int,
    bind: str,
    instance_id: str,
    private_ip: str,
    public_ip: str | None,
    rate: float | None,
    burst: float | None,
    busy: float | None,
    faults: str | None,
    seed: int,
    state: str | None,
    policy: str | None,
    argv: tuple[str, ...],
) -> None:
    """Run Route 53, DNS and instance metadata locally.

    With a COMMAND, runs it so that it finds them; else prints what to export.
    """
    _check_address(bind)
    origins = [Name.parse(name) for name in serve]
    instance = Instance(instance_id, private_ip, public_ip)
    wraps = [
        *_limit_rate(rate, burst),
        *_inject_faults(faults, seed),
        *_keep_zones_busy(busy),
        *_enforce_policy(policy),
    ]
    with contextlib.ExitStack() as running:
        running.enter_context(_blocked_signals())
        file = running.enter_context(StateFile(Path(state))) if state else None
        sandbox = Sandbox(
            origins,
            host=bind,
            api_port=api_port,
            dns_port=dns_port,
            metadata_port=metadata_port,
            instance=instance,
            wraps=wraps,
            state=file,
            max_log=0,  # the log is for tests, and holds on to every state of a zone
        )
        running.enter_context(sandbox)
        if argv:
            sys.exit(_run(argv, lead_into(sandbox.environment(), os.environ)))
        _serve(sandbox.environment())


def _limit_rate(rate: float | None, burst: float | None) -> Iterator[Wrap]:
    if rate is None:
        if burst is not None:
            raise UsageError(f"--burst {burst:g}: it needs a rate; give --rate too")
        return
    yield limit(Bucket(rate, max(1.0, rate) if burst is None else burst, time.monotonic))


def _inject_faults(faults: str | None, seed: int) -> Iterator[Wrap]:
    if faults is not None:
        yield inject(Dice(parse_faults(faults), random.Random(seed)), time.sleep)


def _keep_zones_busy(seconds: float | None) -> Iterator[Wrap]:
    if seconds is not None:
        yield keep_busy(BusyZones(seconds, time.monotonic))


def _enforce_policy(file: str | None) -> Iterator[Wrap]:
    if file is not None:
        yield enforce(load_policy(Path(file)))


def _check_address(bind: str) -> None:
    try:
        address = ipaddress.ip_address(bind)
    except ValueError as error:
        raise UsageError(f"--bind {shown(bind)}: an IP address is needed") from error
    if not address.is_loopback:
        warn(f"--bind {bind}: whoever reaches these ports may change the zones")


def _serve(environment: Mapping[str, str]) -> None:
    """Print the export lines, and wait to be stopped."""
    for names in _LINES:
        pairs = (f"{name}={shlex.quote(environment[name])}" for name in names)
        print("export", *pairs, flush=True)
    signal.sigwait(_STOPPING)


def _run(argv: tuple[str, ...], environment: Mapping[str, str]) -> int:
    """Run a program to its end, and return the exit code that tells how it ended."""
    try:
        program = os.posix_spawnp(
            argv[0], argv, environment, setsigmask=(), setsigdef=_IGNORED_BY_PYTHON
        )
    except FileNotFoundError:
        warn(f"{safe(argv[0])}: no such command; give a path, or one that PATH leads to")
        return NOT_FOUND
    except OSError as error:
        warn(f"{safe(argv[0])}: {error.strerror}; give a program that may be executed")
        return NOT_EXECUTABLE
    code = _wait_for(program)
    return code if code >= 0 else SIGNALLED - code


def _wait_for(program: int) -> int:
    """Pass signals on until `program` ends; its exit code, or minus the signal that ended it."""
    while True:
        number = signal.sigwait(_AWAITED)
        if number == signal.SIGCHLD:
            ended, status = os.waitpid(program, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
        elif number != signal.SIGINT or not _in_foreground():
            os.kill(program, number)


def _in_foreground() -> bool:
    """Whether Ctrl-C in the terminal reaches this program and those that it starts."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """Signals wait until `sigwait` takes them: none is lost, and none goes to a thread."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
