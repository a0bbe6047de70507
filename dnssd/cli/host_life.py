"""What a host without an agent runs at its starts and stops: the words of its commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dnssd.cli.agent_file import check_without_agent
from dnssd.cli.join import command as join_command
from dnssd.cli.join_address import command as join_address_command
from dnssd.cli.leave import command as leave_command
from dnssd.cli.leave_address import command as leave_address_command
from dnssd.cli.options import Option, check_target, txt_pairs

if TYPE_CHECKING:  # --help needs none of it
    from dnssd.provisioning.userdata import Life

LEAVE_DEADLINE = "10"  # seconds: a host that shuts down has few
_AT_ONCE = {"dry_run", "as_json", "checks", "wait_healthy"}  # of join: for people
_INTERACTIVE = {
    "deadline",
    "wait",
    "nameservers",
    "force",
    "drain",
}  # of leave: for people, who have time


def _options(command: click.Command, leave_out: Iterable[str] = ()) -> list[Option]:
    return [
        param
        for param in command.params
        if isinstance(param, Option) and param.expose_value and param.name not in leave_out
    ]


JOIN_OPTIONS = _options(join_command, _AT_ONCE)
ADDRESS_OPTIONS = _options(join_address_command, _AT_ONCE)
_LEAVE_OPTIONS = _options(leave_command, {*_AT_ONCE, *_INTERACTIVE})
_LEAVE_ADDRESS_OPTIONS = _options(leave_address_command, {*_AT_ONCE, *_INTERACTIVE})
_OF_SERVICES = {p.name for p in JOIN_OPTIONS} - {p.name for p in ADDRESS_OPTIONS}


def life_of(service: str | None, options: Mapping[str, Any], install: str | None) -> Life:
    """What a host does that offers a service, plain addresses, or both.

    Raises:
        UsageError: A name is in none of the zones.
    """
    from dnssd.provisioning.userdata import AND, Life
    from dnssd.zones.address import zones_with

    join, leave = [], []
    everywhere: tuple[str, ...] = options["zone_addresses"]
    unsaid = {**options, "zone_addresses": ()}  # the unit's environment says it
    if service is not None:
        join.append(("join", "-v", service, *_words(JOIN_OPTIONS, unsaid)))
        leave.append(("leave", "-v", service, *_words(_LEAVE_OPTIONS, unsaid)))
    for name in options["names"]:
        zones = zones_with(name, everywhere, proxied=options["proxied"])
        there = {**options, "zone_addresses": zones} if zones != everywhere else dict(unsaid)
        if options["proxied"]:
            there["ttl"] = None  # the provider's own; it is the service's alone
        join.append(("join-address", "-v", name, *_words(ADDRESS_OPTIONS, there)))
        leave.append(("leave-address", "-v", name, *_words(_LEAVE_ADDRESS_OPTIONS, there)))
    leave = [(*words, f"--deadline={LEAVE_DEADLINE}") for words in leave]

    def together(commands: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
        return tuple(word for words in commands for word in (AND, *words))[1:]

    return Life(
        join=together(join),
        leave=together(leave),
        deadline=options["deadline"],
        install=install,
        zones=everywhere,
        lease=options["lease"] if service is not None else 0,
    )


def check(
    ctx: click.Context, service: str | None, config: str | None, options: Mapping[str, Any]
) -> None:
    """Find now what the commands would find wrong at every start.

    Raises:
        UsageError: Something is missing, or cannot be.
    """
    check_without_agent(ctx, config)
    if service is None and not options["names"]:
        raise click.UsageError("missing argument 'SERVICE', or --join-address NAME")
    for name, variable in (("zone_addresses", "DNSSD_ZONE"), ("port", "DNSSD_USER_DATA_PORT")):
        if not options[name] and not (name == "port" and service is None):
            told = name.partition("_")[0]
            raise click.UsageError(f"missing option '--{told}' or {variable}")
    if options["proxied"] and not options["names"]:
        raise click.UsageError("--proxied: it is an address's; give --join-address too")
    if service is None:
        for param in JOIN_OPTIONS:
            given = ctx.get_parameter_source(str(param.name)) == ParameterSource.COMMANDLINE
            if given and param.name in _OF_SERVICES:
                raise click.UsageError(f"{param.opts[0]}: it is a service's; give SERVICE too")
    else:
        _check_service(service, options)


def _check_service(service: str, options: Mapping[str, Any]) -> None:
    from dnssd.registration.request import Registration
    from dnssd.registration.wish import check_plain
    from dnssd.services import DEFAULT_INSTANCE

    if options["plain_name"]:
        check_plain(options["instance"])
    host, target, txt = (options[name] for name in ("host", "target", "txt"))
    check_target(target, host, options["addresses"])
    addresses = options["addresses"] or (() if target else ("private",))
    Registration(
        service=service,
        instance=options["instance"] or DEFAULT_INSTANCE,
        port=options["port"],
        host=host or "i-0",  # the host will know, as it will its addresses (RFC 5737)
        target=target,
        addresses=["192.0.2.1" if a in ("private", "public") else a for a in addresses],
        txt=txt_pairs(txt) or None,
        lease=options["lease"],
    )


def _words(known: Iterable[Option], values: Mapping[str, Any]) -> list[str]:
    """Command-line words for the values that are not the defaults of their options."""
    words = []
    for param in known:
        value = values[str(param.name)]
        if value is None or value is False or value == param.default:
            continue
        name = next(name for name in param.opts if name.startswith("--"))
        if value is True:
            words.append(name)
        else:
            words += [
                f"{name}={item}" for item in (value if isinstance(value, tuple) else (value,))
            ]
    return words
