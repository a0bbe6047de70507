"""`dnssd join`: publish this host as a member of a service instance."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.options import (
    Command,
    address_option,
    check_target,
    checked,
    deadline_option,
    dry_run_option,
    host_option,
    instance_option,
    json_option,
    nameserver_option,
    option,
    splay_option,
    txt_pairs,
    wait_option,
)
from dnssd.cli.reporting import start_logging
from dnssd.cli.whoami import cloud_option
from dnssd.cli.zone_options import zones_option

if TYPE_CHECKING:  # --help needs none of it
    from collections.abc import Sequence

    from dnssd.cli.joined import Joined
    from dnssd.cli.several import InZone
    from dnssd.hosts import HostFacts
    from dnssd.registration.request import Registration
    from dnssd.rrsets import Change
    from dnssd.zones.address import ZoneAddress

EPILOG = """\b
SERVICE is _NAME._tcp, _NAME._udp, or NAME for _NAME._tcp.

\b
Examples:
  dnssd join http --zone example.com --port 8080 --instance web
  dnssd join http --zone example.com,id=Z0123456789ABC --port 8080 --weight 50 --txt version=1
  dnssd join http --zone example.com --port 8080 --dry-run
"""
_HIGHEST = 65535


def _check_target_name(text: str) -> None:
    from dnssd.registration.request import check_target

    check_target(text)


def _check_check(text: str) -> None:
    from dnssd.checks import Check

    Check.parse(text)


def _check_txt(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    from dnssd.records import Txt

    checked(lambda _: Txt.from_pairs(txt_pairs(value)))(ctx, param, value[:1])
    return value


@click.command("join", cls=Command, epilog=EPILOG)
@click.argument("service")
@zones_option
@option(
    "--port",
    type=click.IntRange(1, _HIGHEST),
    metavar="PORT",
    required=True,
    help="Where it listens.",
)
@instance_option
@host_option
@cloud_option
@option(
    "--target",
    metavar="NAME",
    callback=checked(_check_target_name),
    help="An existing host name; no address is written then.",
)
@address_option("private")
@option(
    "--priority",
    type=click.IntRange(0, _HIGHEST),
    metavar="N",
    default=0,
    show_default=True,
    help="Lower is tried first.",
)
@option(
    "--weight",
    type=click.IntRange(0, _HIGHEST),
    metavar="N",
    default=100,
    show_default=True,
    help="Its share of the traffic within its priority.",
)
@option(
    "--ttl",
    type=click.IntRange(1, 2**31 - 1),
    metavar="SECONDS",
    help="Of the instance's records.  [default: what they have, 60 for new ones]",
)
@option(
    "--txt",
    "txt",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_check_txt,
    help="The instance's TXT data; may be repeated; replaces what is there.",
)
@option(
    "--lease",
    type=click.IntRange(min=0),
    default=0,
    metavar="SECONDS",
    help="Count as gone unless joined again within this: by the agent, a timer, or cron.",
)
@splay_option
@deadline_option(120)
@option(
    "--check",
    "checks",
    metavar="URL",
    multiple=True,
    callback=checked(_check_check),
    help="Join only if this passes: tcp://HOST:PORT, tls://, http(s)://, grpc://, exec:COMMAND, "
    "systemd:UNIT, unless-file:PATH; may be repeated.",
)
@option(
    "--wait-healthy",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait so long for the checks to pass; without one, for its port to take connections.",
)
@wait_option
@nameserver_option
@option("--takeover", is_flag=True, help="Replace a member or address of another owner.")
@option(
    "--plain-name",
    is_flag=True,
    help="Lead _SERVICE._tcp.INSTANCE.ZONE there, too: for programs that ask for SRV alone.",
)
@dry_run_option
@json_option
def command(**options: Any) -> None:
    """Publish this host as a member of a service instance.

    Joining again changes nothing; with another weight, priority, TTL or address it
    replaces this host's own values. Other hosts' values are never touched.
    """
    from dnssd.registration.wish import check_plain

    asked = JoinOptions(**options)
    check_target(asked.target, asked.host, asked.addresses)
    if asked.plain_name:
        check_plain(asked.instance)
    start_logging()
    join_as(asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinOptions:
    """What `dnssd join` was told; see its options."""

    service: str
    zone_addresses: tuple[str, ...]
    port: int
    instance: str | None
    host: str | None
    cloud: str | None
    target: str | None
    addresses: tuple[str, ...]
    priority: int
    weight: int
    ttl: int | None
    txt: tuple[str, ...]
    lease: int = 0
    splay: float
    deadline: float
    wait: bool
    nameservers: tuple[str, ...]
    takeover: bool
    dry_run: bool
    as_json: bool
    checks: tuple[str, ...] = ()
    wait_healthy: float | None = None
    plain_name: bool = False
    confirm: bool = False

    def registration(self, facts: HostFacts, zone: ZoneAddress) -> Registration:
        """This host's registration in one zone, whose own choice of an address wins.

        Raises:
            UsageError: One of the options is not legal.
        """
        from dnssd.registration.of_host import registration_of
        from dnssd.services import DEFAULT_INSTANCE

        addresses = zone.addresses or self.addresses or (zone.default_address,)
        return registration_of(
            facts,
            self.service,
            port=self.port,
            instance=self.instance or DEFAULT_INSTANCE,
            target=self.target,
            addresses=() if self.target else addresses,
            priority=self.priority,
            weight=self.weight,
            ttl=self.ttl,
            txt=txt_pairs(self.txt) if self.txt else None,
            takeover=self.takeover,
            lease=self.lease,
        )


def join_as(asked: JoinOptions) -> None:
    """Join, and tell it.

    Raises:
        DnssdError: What failed.
    """
    from dnssd.cli import registering
    from dnssd.cli.joined import plan_in, tell
    from dnssd.cli.several import Parts, saying
    from dnssd.cli.waiting import once_healthy
    from dnssd.deadline import Deadline
    from dnssd.hosts import METADATA_AT_JOIN_SECONDS, this_host
    from dnssd.registration.request import check_host_and_service
    from dnssd.zones.address import ZoneAddress

    check_host_and_service(asked.service, asked.host)
    deadline = Deadline(asked.deadline)
    with saying():
        facts = this_host(deadline, asked.host, budget=METADATA_AT_JOIN_SECONDS, cloud=asked.cloud)
    registrations = {
        address: asked.registration(facts, ZoneAddress.parse(address))
        for address in asked.zone_addresses
    }

    def plan(part: InZone[Sequence[Change]]) -> Sequence[Change]:
        return plan_in(part, registrations[part.address], plain_name=asked.plain_name)

    if asked.dry_run:
        registering.print_plans(asked.zone_addresses, deadline, plan, asked.as_json)
        return
    parts: Parts[Joined] = Parts(asked.zone_addresses, once_healthy(asked, facts, deadline))
    parts.run(lambda part: _join_in(part, asked, facts, registrations[part.address]))
    parts.end(tell(parts, asked.nameservers, as_json=asked.as_json))


def _join_in(
    part: InZone[Joined], asked: JoinOptions, facts: HostFacts, registration: Registration
) -> Joined:
    """Join in one zone."""
    from dnssd.cli import registering
    from dnssd.cli.joined import Joined
    from dnssd.hosts.kept import Kept, StateFolder
    from dnssd.registration import plainname, remarks
    from dnssd.registration.joining import join

    operation = part.begin(splay=asked.splay)
    wish = replace(registration.wish_in(operation.zone.origin), confirm=asked.confirm)
    options = asdict(asked)
    del options["zone_addresses"], options["confirm"]
    options["zone_address"] = part.address
    StateFolder.find(os.environ).keep(Kept.of(facts, str(wish.name), asked.port, options))
    outcome = join(operation, wish)
    if asked.wait:
        seen = registering.Seen(asked.nameservers, wanted=frozenset({wish.srv}))
        error = registering.wait(operation, wish.name, seen, part.deadline)
        part.error = error and error.telling("it has joined")
    plain = None
    if asked.plain_name:
        nameservers = None if outcome.defined else asked.nameservers
        plain = plainname.write(operation.zone, wish, nameservers, part.deadline, wait=asked.wait)
    return Joined(wish, outcome, tuple(remarks.replaced(wish, outcome)), plain)
