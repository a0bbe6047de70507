"""The agent's file that `dnssd user-data --agent` puts on hosts."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from dnssd.cli.agent_options import agent_options, checked_settings

_KEYS = {"zone_addresses": "zone", "addresses": "address", "nameservers": "nameserver"}
_KEYS |= {"checks": "check"}
_NOT_OF_FILES = {"deadline", "wait", "secrets", "names"}


def tables_of(
    ctx: click.Context, service: str | None, config: str | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The configuration as tables: what a file says, or what the options describe.

    Raises:
        UsageError: It is none.
    """
    from dnssd.agent.config import parse
    from dnssd.errors import UsageError
    from dnssd.provisioning.toml import toml

    if config is None:
        tables, name, environ = _described(ctx, service, options), "these options", {}
        text = toml(tables)
    else:
        if service is not None:
            raise click.UsageError(f"{service}: with --config services stand in the file")
        try:
            text = Path(config).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise UsageError(f"{config}: {why}; give the path of a file") from error
        name, environ = config, {"DNSSD_ZONE": os.environ.get("DNSSD_ZONE", "")}
    settings = parse(text, name, environ)
    checked_settings(settings)
    tables = tomllib.loads(text)
    if "zone" not in tables and environ.get("DNSSD_ZONE"):
        tables = {"zone": environ["DNSSD_ZONE"].split(), **tables}  # hosts do not know of it
    return tables


def zones_of(tables: Mapping[str, Any]) -> list[str]:
    """Every zone that a configuration names."""
    offers = (*tables.get("service", ()), *tables.get("join_address", ()))
    named = [table.get("zone", []) for table in (tables, *offers)]
    return [zone for one in named for zone in (one if isinstance(one, list) else [one])]


def check_without_agent(ctx: click.Context, config: str | None) -> None:
    """See that nothing is asked of an agent where there is to be none.

    Raises:
        UsageError: Something is.
    """
    if config is not None:
        raise click.UsageError("--config: it is an agent's; give --agent too")
    for param in agent_options():
        given = ctx.get_parameter_source(str(param.name)) == ParameterSource.COMMANDLINE
        if given:
            raise click.UsageError(f"{param.opts[0]}: it is an agent's; give --agent too")


def _described(
    ctx: click.Context, service: str | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """One service, and what is not as it would be anyway."""
    from dnssd.agent.config import ADDRESS_KEYS, AGENT_KEYS

    names = options["names"]
    if service is None and not names:
        raise click.UsageError("missing argument 'SERVICE', --join-address NAME or --config FILE")
    defaults = {str(param.name): param.default for param in ctx.command.params}
    given = {
        _KEYS.get(name, name): list(value) if isinstance(value, tuple) else value
        for name in defaults  # always in one order
        if (value := options.get(name)) not in (None, (), False, defaults[name])
        and name not in _NOT_OF_FILES
    }
    if len(given.get("zone", ())) == 1:
        (given["zone"],) = given["zone"]
    if options["splay"]:
        given["splay"] = options["splay"]  # the default of hosts that boot by themselves
    own = {key: given.pop(key) for key in list(given) if key in AGENT_KEYS}
    of_names = {key: value for key, value in given.items() if key in ADDRESS_KEYS}
    if given.pop("proxied", None) and not names:
        raise click.UsageError("--proxied: it is an address's; give --join-address too")
    services = [{"service": service, **given}] if service is not None else []
    addresses = [{"name": name, **of_names} for name in names]
    tables = {"service": services, "join_address": addresses}
    return {**own, **{key: kept for key, kept in tables.items() if kept}}
