"""`dnssd agent`: services that are in DNS while they are healthy."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dnssd.cli.agent_options import AGENT_WIDE, AgentCommand, checked_settings, settings_of
from dnssd.cli.join_address import join_address_option
from dnssd.cli.options import Option, option
from dnssd.cli.reporting import set_verbosity

if TYPE_CHECKING:
    from dnssd.agent.service import Settings

EPILOG = """\b
Examples:
  dnssd agent http --zone example.com --port 8080 --check http:///health
  dnssd agent --config /etc/dnssd/agent.toml --check-config
  dnssd agent --config /etc/dnssd/agent.toml
  dnssd agent --join-address www.example.com --zone example.com --check https:///health --port 443
"""
_FOR_FILES = {"config", "check_config", *AGENT_WIDE}


class _Agent(AgentCommand):
    """Has every option of `run`; with a file none of a service's is needed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for param in self.params:
            param.required = False


@click.command("agent", cls=_Agent, epilog=EPILOG)
@click.argument("service", required=False)
@join_address_option
@option("--config", metavar="FILE", help="Look after the services in this file, in TOML.")
@option("--check-config", is_flag=True, help="Say whether the configuration is right, and end.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    service: str | None,
    config: str | None,
    check_config: bool,
    **options: Any,
) -> None:
    """Look after services: in DNS while they are healthy, out while they are not.

    SIGHUP reads the file again and touches only what has changed. On SIGTERM the services
    leave, but not where systemd restarts the agent. What is lost from DNS is joined again,
    unless somebody took it out on purpose.
    """
    settings = _from_file(ctx, service, config, options) if config else _alone(service, options)
    if check_config:
        click.echo(f"{config or service or 'agent'}: {_counted(settings)}, all right")
        return

    from dnssd.agent.main import live

    set_verbosity(1)  # of what runs for long its log is what one sees
    reload = (lambda: _from_file(ctx, service, config, options)) if config else None
    if live(settings, reload=reload):
        sys.exit(130)


def _counted(settings: Settings) -> str:
    from dnssd.agent.service import Service

    services = sum(isinstance(offer, Service) for offer in settings.services)
    names = len(settings.services) - services
    told = [f"{services} service{'s' if services != 1 else ''}"] if services or not names else []
    return ", ".join((*told, *([f"{names} name{'s' if names != 1 else ''}"] if names else [])))


def _alone(service: str | None, options: dict[str, Any]) -> Settings:
    if service is None and not options["names"]:
        raise click.UsageError("missing argument 'SERVICE', --join-address NAME or --config FILE")
    for name in ("zone_addresses", *(["port"] if service else [])):
        if not options[name]:
            raise click.UsageError(f"missing option '--{name.partition('_')[0]}'")
    return settings_of(service, options)


def _from_file(
    ctx: click.Context, service: str | None, config: str, options: dict[str, Any]
) -> Settings:
    """What a file says, with the options of the command line that are for all services."""
    from dnssd.agent.config import parse
    from dnssd.errors import UsageError

    for param in ctx.command.params:
        given = ctx.get_parameter_source(str(param.name)) == ParameterSource.COMMANDLINE
        of_service = isinstance(param, Option) and param.expose_value
        if given and of_service and param.name not in _FOR_FILES:
            raise click.UsageError(f"{param.opts[0]}: with --config it belongs in the file")
    if service is not None:
        raise click.UsageError(f"{service}: with --config services stand in the file")
    try:
        text = Path(config).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{config}: {why}; give the path of a file that can be read") from error
    given_here = {
        name: options[name]
        for name in AGENT_WIDE
        if ctx.get_parameter_source(name) != ParameterSource.DEFAULT
    }
    return checked_settings(replace(parse(text, config, os.environ), **given_here))
