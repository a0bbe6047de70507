"""`dnssd leave`: take this host's members out of a service instance."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from dnssd.cli.options import (
    Command,
    deadline_option,
    dry_run_option,
    host_option,
    instance_option,
    json_option,
    nameserver_option,
    option,
    wait_option,
)
from dnssd.cli.reporting import start_logging, warn
from dnssd.cli.whoami import cloud_option
from dnssd.cli.zone_options import zones_option

if TYPE_CHECKING:  # --help needs none of it
    from collections.abc import Iterator, Sequence

    from dnssd.cli import registering
    from dnssd.cli.left import Left
    from dnssd.cli.several import InZone, Parts
    from dnssd.errors import DnssdError
    from dnssd.names import Name
    from dnssd.registration.operation import Operation, Outcome
    from dnssd.registration.wish import Departure
    from dnssd.rrsets import Change

EPILOG = """\b
Examples:
  dnssd leave http --zone example.com --instance web
  dnssd leave http --zone example.com --instance web --port 8080 --dry-run
  dnssd leave http --zone example.com --instance web --host i-0abc --force
"""
_log = logging.getLogger("dnssd.cli")


@click.command("leave", cls=Command, epilog=EPILOG)
@click.argument("service")
@zones_option
@option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="This member only.  [default: all members of this host]",
)
@instance_option
@host_option
@cloud_option
@option(
    "--force",
    is_flag=True,
    help="Take that --host out, whoever owns it; nothing of this host is written.",
)
@option(
    "--drain",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="Stand behind all others first, until clients know, for so long at most.",
)
@deadline_option(25)
@wait_option
@nameserver_option
@dry_run_option
@json_option
def command(**options: Any) -> None:
    """Take this host's members out of a service instance.

    The address goes with the host's last service; the definition of the service stays.
    Leaving again changes nothing.
    """
    asked = LeaveOptions(**options)
    if asked.force and asked.host is None:
        raise click.UsageError("--force needs --host: whom to take out")
    start_logging()
    _leave(asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOptions:
    """What `dnssd leave` was told; see its options."""

    service: str
    zone_addresses: tuple[str, ...]
    port: int | None
    instance: str | None
    host: str | None
    cloud: str | None
    force: bool
    deadline: float
    wait: bool
    nameservers: tuple[str, ...]
    dry_run: bool
    as_json: bool
    drain: float = 0.0


def _leave(asked: LeaveOptions) -> None:
    from dnssd.cli import registering
    from dnssd.cli.left import tell
    from dnssd.cli.several import Parts
    from dnssd.deadline import Deadline
    from dnssd.registration.request import check_host_and_service

    check_host_and_service(asked.service, asked.host)
    deadline = Deadline(asked.deadline)

    def plan(part: InZone[Sequence[Change]]) -> Sequence[Change]:
        return _Leaving(asked, part).plan()

    if asked.dry_run:
        registering.print_plans(asked.zone_addresses, deadline, plan, asked.as_json)
        return
    parts: Parts[Left] = Parts(asked.zone_addresses, deadline)
    parts.run(lambda part: _leave_in(part, asked))
    parts.end(tell(parts, as_json=asked.as_json))


def _leave_in(part: InZone[Left], asked: LeaveOptions) -> Left:
    from dnssd.cli import registering
    from dnssd.cli.left import Left

    leaving = _Leaving(asked, part)
    if asked.drain:
        leaving.drain()
    outcome = leaving.run()
    if asked.wait:
        seen = registering.Seen(asked.nameservers, gone=outcome.removed)
        error = leaving.wait(outcome.name, seen)
        part.error = error and error.telling("it has left")
    looks = not outcome.members and asked.instance is None
    return Left(outcome, leaving.elsewhere() if looks else ())


class _Leaving:
    """The leave of this host, as whoever it is now or was when it joined."""

    def __init__(self, asked: LeaveOptions, part: InZone[Any]) -> None:
        from dnssd.cli.identity import identities
        from dnssd.hosts.kept import StateFolder
        from dnssd.services import DEFAULT_INSTANCE, Service, instance_label

        self._asked = asked
        self._part = part
        self._zone = zone = part.open()
        self._deadline = part.deadline
        self._instance = asked.instance or DEFAULT_INSTANCE
        self._service = Service.parse(asked.service)
        browse = self._service.in_domain(zone.origin)
        self._name = str(browse.child(instance_label(self._instance)))
        self._state = StateFolder.find(os.environ)
        kept = self._state.kept(self._name, asked.port)
        self._identities = (
            [] if asked.force else identities(kept, asked.host, asked.cloud, self._deadline)
        )
        self._operation = self._begin()

    def run(self) -> Outcome:
        """Leave as the first of them that is a member."""
        from dnssd.registration.leaving import leave

        for departure in self._departures():
            self._operation = self._begin()
            outcome = leave(self._operation, departure)
            if outcome.members:
                break
        if not self._asked.force:
            self._state.forget(self._name, self._asked.port)
        return outcome

    def drain(self) -> None:
        """Have clients turn away first; the leave's own time begins after that."""
        from dnssd.deadline import Deadline
        from dnssd.errors import DeadlineExceeded, DnssdError
        from dnssd.registration.draining import drain

        self._part.deadline = deadline = Deadline(self._asked.drain)
        try:
            for departure in self._departures():
                operation = self._begin()
                if seconds := drain(operation, departure):
                    operation.wait(departure.name)
                    deadline.pause(seconds, "clients may still come")
        except DeadlineExceeded as error:
            _log.info("%s", error)
        except DnssdError as error:
            warn(f"drain: {error}; it leaves without")
        self._part.deadline = self._deadline = Deadline(self._asked.deadline)

    def plan(self) -> Sequence[Change]:
        """What `run` would change."""
        from dnssd.registration.leaving import plan_leave

        plans = (plan_leave(self._begin(), departure) for departure in self._departures())
        return next(filter(None, plans), ())

    def wait(self, name: Name, seen: registering.Seen) -> DnssdError | None:
        """Return once what `run` did is served; why not, if it is not."""
        from dnssd.cli import registering

        return registering.wait(self._operation, name, seen, self._deadline)

    def elsewhere(self) -> tuple[str, ...]:
        """The other instances of the service that this host is a member of."""
        from dnssd.registration.listing import elsewhere

        if not self._identities:
            return ()
        facts = self._identities[0]
        return elsewhere(self._zone, self._service, facts.label, facts.owner, self._deadline)

    def _begin(self) -> Operation:
        return self._part.begin()

    def _departures(self) -> Iterator[Departure]:
        from dnssd.registration.of_host import departure_of

        if self._asked.force:
            yield self._forced()
            return
        for facts in self._identities:
            yield departure_of(
                facts,
                self._zone.origin,
                self._asked.service,
                instance=self._instance,
                port=self._asked.port,
            )

    def _forced(self) -> Departure:
        """The departure of a host that is gone, from anywhere."""
        from dnssd.registration.wish import Departure

        self._zone.actor = f"leave --host {self._asked.host} --force on {socket.gethostname()}"
        return Departure.of(
            self._zone.origin,
            self._asked.service,
            instance=self._instance,
            host=self._asked.host or "",
            port=self._asked.port,
            force=True,
        )
