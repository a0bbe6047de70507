"""`dnssd run`: a program that is in DNS while it runs and is healthy."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from dnssd.cli.agent_options import AgentCommand, settings_of
from dnssd.cli.join_address import join_address_option
from dnssd.cli.options import option
from dnssd.cli.reporting import set_verbosity, warn

EPILOG = """\b
Examples:
  dnssd run http --zone example.com --port 8080 -- ./server --port 8080
  dnssd run http --zone example.com --port 8080 --check http:///health -- ./server
  dnssd run http --zone example.com --port 8080 --drain 60 -- ./server
"""


@click.command(
    "run", cls=AgentCommand, epilog=EPILOG, context_settings={"allow_interspersed_args": True}
)
@click.argument("service")
@join_address_option
@option("--term-first", is_flag=True, help="Pass SIGTERM on at once, and leave meanwhile.")
@click.argument("argv", nargs=-1, required=True, metavar="-- COMMAND...")
def command(service: str, term_first: bool, argv: tuple[str, ...], **options: Any) -> None:
    """Run COMMAND, and publish it while it runs and is healthy.

    It joins once the checks pass, and leaves when they fail, when COMMAND ends, or when this
    is told to end: then it leaves first, and passes the signal on. The exit code is COMMAND's.
    As process 1 of a container it also cleans up after what COMMAND leaves behind.
    """
    settings = settings_of(service, options)

    def agent(parent: int) -> None:
        from dnssd.agent.main import live

        set_verbosity(1)  # of what runs for long its log is what one sees
        live(settings, parent=parent)

    from dnssd.agent.supervisor import Program, run

    drain = settings.services[0].drain
    program = Program(argv, os.environ, agent, drain, term_first, warn)
    sys.exit(run(program))
