"""What `dnssd run` and `dnssd agent` share: the options, and the settings they describe."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.join import command as join_command
from dnssd.cli.options import Command, Option, check_target, txt_pairs

if TYPE_CHECKING:
    from dnssd.agent.service import Settings

_NOT_OF_JOIN = {"wait", "wait_healthy", "checks", "dry_run", "as_json", "deadline"}
_OF_NAMES = (  # what a name has of a service's options
    *("zones", "port", "host", "cloud", "addresses", "ttl", "takeover", "splay"),
    *("nameservers", "checks", "interval", "timeout", "rise", "fall", "start_period", "drain"),
)
AGENT_WIDE = ("metrics", "metrics_file", "complete_hook", "leave_on_exit")


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
    """How an agent looks after a service, and what it does beside that."""
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
        _word("--load", "KIND", "Let its weight follow the load: cpu, psi or exec:COMMAND."),
        _port("--haproxy-agent", "Answer HAProxy's agent-check there."),
        _port("--metrics", "Show metrics and /healthz there, on loopback."),
        _word("--metrics-file", "PATH", "Write metrics there each 15 s, for a textfile collector."),
        _word("--complete-hook", "[GROUP/]HOOK", "Complete this Auto Scaling hook once it left."),
        Option(
            ["--leave-on-exit"],
            type=click.Choice(["always", "shutdown", "never"]),
            default="always",
            show_default=True,
            help="When its own end takes it out of DNS; never when systemd only restarts it.",
        ),
    ]


def _word(name: str, metavar: str, what: str) -> Option:
    return Option([name], metavar=metavar, help=what)


def _port(name: str, what: str) -> Option:
    return Option([name], type=click.IntRange(1, 65_535), metavar="PORT", help=what)


class AgentCommand(Command):
    """Has join's options and an agent's; they come first."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        (service, *own) = self.params
        self.params = [service, *join_options(), *agent_options(), *own]


def settings_of(service: str | None, options: dict[str, Any]) -> Settings:
    """What the options of a command line describe.

    Raises:
        UsageError: Something that cannot be.
    """
    from dnssd.agent.service import Settings, plain_address_of, service_of
    from dnssd.checks import Check

    check_target(options["target"], options["host"], options["addresses"])
    own = {name: options.pop(name) for name in AGENT_WIDE}
    txt, zones, checks = (options.pop(name) for name in ("txt", "zone_addresses", "checks"))
    names = options.pop("names")
    fields = options | {"zones": tuple(zones), "checks": tuple(map(Check.parse, checks))}
    described = {
        "service": service,
        "instance": options["instance"] or "default",
        "txt": tuple(txt_pairs(txt).items()) if txt else None,
    }
    shared = {key: fields[key] or 0 if key == "port" else fields[key] for key in _OF_NAMES}
    offers = (
        *([service_of(fields | described)] if service is not None else []),
        *(plain_address_of(shared | {"plain_name": name}) for name in names),
    )
    return checked_settings(Settings(services=offers, **own))


def checked_settings(settings: Settings) -> Settings:
    """Find now what would be found wrong later; each name goes to the zones that it is in.

    Raises:
        UsageError: A zone's address is none, a name is in none of its zones, or what metrics take
            is not installed.
    """
    from dnssd.agent.service import PlainAddress
    from dnssd.zones.address import ZoneAddress, zones_with

    offers = []
    for offer in settings.services:
        for zone in offer.zones:
            ZoneAddress.parse(zone)
        if isinstance(offer, PlainAddress):
            zones = zones_with(offer.plain_name, offer.zones, proxied=offer.proxied)
            offer = replace(offer, zones=zones)
        offers.append(offer)
    if settings.metrics is not None or settings.metrics_file is not None:
        from dnssd.agent.metrics import check_installed

        check_installed()
    return replace(settings, services=tuple(offers))
