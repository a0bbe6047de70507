"""`dnssd run`: a program that is in DNS while it runs and is healthy."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.join import check_target, txt_pairs
from dnssd.cli.join import command as join_command
from dnssd.cli.options import Command, Option, option
from dnssd.cli.reporting import set_verbosity, warn

if TYPE_CHECKING:
    from dnssd.agent.service import Service

EPILOG = """\b
Examples:
  dnssd run http --zone example.com --port 8080 -- ./server --port 8080
  dnssd run http --zone example.com --port 8080 --check http:///health -- ./server
  dnssd run http --zone example.com --port 8080 --drain 60 -- ./server
"""
_NOT_OF_JOIN = {"wait", "dry_run", "as_json", "deadline"}


def join_options() -> Iterable[click.Parameter]:
    """What an agent needs to know of a service, as `join` does."""
    return [
        copy.copy(param)
        for param in join_command.params
        if isinstance(param, Option) and param.expose_value and param.name not in _NOT_OF_JOIN
    ]


def _seconds(name: str, default: float, what: str) -> Option:
    return Option(
        [name],
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        default=default,
        show_default=True,
        help=what,
    )


def _times(name: str, default: int, what: str) -> Option:
    count = click.IntRange(1, 1000)
    return Option([name], type=count, metavar="N", default=default, show_default=True, help=what)


def agent_options() -> Iterable[click.Parameter]:
    """How an agent looks after a service."""
    return [
        Option(
            ["--check", "checks"],
            metavar="URL",
            multiple=True,
            help="What must pass: tcp://HOST:PORT, tls://, http(s)://, grpc://, exec:COMMAND, "
            "systemd:UNIT, unless-file:PATH; may be repeated.  [default: tcp:// to itself]",
        ),
        _seconds("--interval", 5.0, "From one round of checks to the next."),
        _seconds("--timeout", 2.0, "What one check may take."),
        _times("--rise", 2, "Passes in a row that make it healthy."),
        _times("--fall", 3, "Fails in a row that make it unhealthy."),
        _seconds("--start-period", 30.0, "At its start, in which fails do not count."),
        _seconds("--drain", 0.0, "What a planned end may take, out of use but still in DNS."),
    ]


class AgentCommand(Command):
    """Has join's options and an agent's; they come first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        (service, *own) = self.params
        self.params = [service, *join_options(), *agent_options(), *own]


@click.command(
    "run", cls=AgentCommand, epilog=EPILOG, context_settings={"allow_interspersed_args": True}
)
@click.argument("service")
@option("--term-first", is_flag=True, help="Pass SIGTERM on at once, and leave meanwhile.")
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...")
def command(service: str, term_first: bool, argv: tuple[str, ...], **options: Any) -> None:
    """Run COMMAND, and publish it while it runs and is healthy.

    It joins once the checks pass, and leaves when they fail, when COMMAND ends, or when this
    is told to end: then it leaves first, and passes the signal on. The exit code is COMMAND's.
    As process 1 of a container it also cleans up after what COMMAND leaves behind.
    """
    described = service_of(service, options)

    def agent(pipe: int) -> None:
        from dnssd.agent.main import beside_a_command

        set_verbosity(1)  # of what runs for long its log is what one sees
        beside_a_command([described], pipe)

    from dnssd.agent.supervisor import Program, run

    program = Program(argv, os.environ, agent, described.drain, term_first, warn)
    sys.exit(run(program))


def service_of(service: str, options: dict[str, Any]) -> Service:
    """The service that the options of a command line describe.

    Raises:
        UsageError: They describe none.
    """
    from dnssd.agent.health import Rules
    from dnssd.agent.service import Service
    from dnssd.checks import Check
    from dnssd.zones.factory import ZoneAddress

    check_target(options["target"], options["host"], options["addresses"])
    zone = options.pop("zone_address")
    instance = options.pop("instance") or "default"
    ZoneAddress.parse(zone)
    txt = options.pop("txt")
    rules = Rules(*(options.pop(name) for name in ("rise", "fall", "start_period")))
    checks = tuple(map(Check.parse, options.pop("checks")))
    return Service(
        service=service,
        instance=instance,
        zones=(zone,),
        txt=tuple(txt_pairs(txt).items()) if txt else None,
        checks=checks,
        rules=rules,
        **options,
    )
