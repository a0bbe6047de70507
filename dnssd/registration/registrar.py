"""Joins and leaves: the one place where registration has effects."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dnssd.deadline import Deadline
from dnssd.errors import NotShareable, PlaceTaken, RRsetFull
from dnssd.names import Name
from dnssd.records import Change, Rdata
from dnssd.registration.commits import Commits, Result
from dnssd.registration.joining import Joining
from dnssd.registration.leaving import Leaving
from dnssd.registration.request import Departure, Registration, Wish
from dnssd.zones.base import Zone


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a join or leave did.

    Attributes:
        name: The service instance name.
        members: The labels of the members that joined or left.
        changed: Whether the zone was changed, or, after a lost answer, may have been.
        defined: Whether the instance's definition was written: this was its first join.
        requests: Requests sent to the zone's provider.
        removed: The SRV values that the departed members had.
    """

    name: Name
    members: tuple[str, ...]
    changed: bool
    defined: bool
    requests: int
    removed: frozenset[Rdata] = frozenset()


class Registrar:
    """One join or leave in one zone, under one deadline. Use a new one for each."""

    def __init__(
        self,
        zone: Zone,
        deadline: Deadline,
        *,
        splay: float = 0.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: f"{random.getrandbits(40):010x}",
    ) -> None:
        """Prepare.

        Args:
            zone: Where.
            deadline: When to give up.
            splay: Seconds; a random part of it is waited between announcing and folding.
            now: The time of day, in UTC.
            new_id: A new identifier for a member record.
        """
        self._commits = Commits(zone, deadline)
        self._splay = splay
        self._now = now
        self._new_id = new_id

    def join(self, wish: Wish) -> Outcome:
        """Publish a member; changes nothing if it is published as wanted.

        Raises:
            Refused: Another owner's records, or records of another kind, are in the way.
            RRsetFull: The instance is full; the announcement was withdrawn.
            ZoneError: The provider said no.
            DeadlineExceeded: It took too long; the message says what is in the zone now.
        """
        with self._commits.telling():
            joining = self._joining(wish)
            try:
                joining.run()
            except (RRsetFull, NotShareable, PlaceTaken):
                if joining.is_new:
                    self._leaving(wish.undone()).run()
                    self._commits.truth = "its announcement was withdrawn"
                raise
        self._commits.truth = "it has joined"
        return self._outcome(wish.name, (wish.label,))

    def leave(self, departure: Departure) -> Outcome:
        """Take the host's members out; changes nothing if there are none.

        Raises:
            OwnedByAnother: They are another owner's.
            Superseded: The host has joined again meanwhile.
            ZoneError: The provider said no.
            DeadlineExceeded: It took too long; the message says what is in the zone now.
        """
        with self._commits.telling():
            members = self._leaving(departure).run()
        self._commits.truth = "it has left"
        outcome = self._outcome(departure.name, tuple(sorted(m.label for m in members)))
        return replace(outcome, removed=frozenset(member.srv for member in members))

    def plan_join(self, wish: Wish) -> tuple[Change, ...]:
        """What `join` would change. Reads only.

        Raises:
            DnssdError: As `join` would.
        """
        with self._commits.telling():
            step = self._joining(wish).look()
        return tuple(change for change in step.changes if not change.is_guard)

    def plan_leave(self, departure: Departure) -> tuple[Change, ...]:
        """What `leave` would change. Reads only.

        Raises:
            DnssdError: As `leave` would.
        """
        with self._commits.telling():
            step = self._leaving(departure).look()
        return tuple(change for change in step.changes if not change.is_guard)

    def wait(self, name: Name) -> None:
        """Return once what was just joined or left under `name` is being served.

        Where the SRV RRset came right by somebody else's commit, one that changes nothing
        is made behind it, and waited for.

        Raises:
            DeadlineExceeded: It is not served yet.
        """
        with self._commits.telling():
            self._wait(name)

    def _wait(self, name: Name) -> None:
        commits = self._commits
        while not commits.folded:
            view = commits.read_instance(name)
            rrset = view.srv or view.txt
            if rrset is None or commits.attempt((Change(rrset, rrset),)) is Result.MADE:
                break
            commits.back_off()
        if commits.last is not None:
            commits.zone.wait_served(commits.last, commits.deadline)

    def _joining(self, wish: Wish) -> Joining:
        return Joining(wish, self._commits, splay=self._splay, now=self._now, new_id=self._new_id)

    def _leaving(self, departure: Departure) -> Leaving:
        return Leaving(departure, self._commits, splay=self._splay, now=self._now)

    def _outcome(self, name: Name, members: tuple[str, ...]) -> Outcome:
        return Outcome(
            name=name,
            members=members,
            changed=self._commits.last is not None or self._commits.uncertain,
            defined=self._commits.defined,
            requests=self._commits.requests,
        )


def join(
    zone: Zone, registration: Registration, deadline: float = 120, *, splay: float = 0
) -> Outcome:
    """Publish a host as a member of a service instance; idempotent.

    Args:
        zone: Where, from `open_zone`.
        registration: What.
        deadline: Seconds to try for.
        splay: Seconds; a random part of it is waited so that hosts that boot together part.

    Raises:
        UsageError: A name or record becomes too long in this zone.
        Refused: Another owner's records, or a full RRset, are in the way.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long.
    """
    registrar = Registrar(zone, Deadline(deadline), splay=splay)
    return registrar.join(registration.wish_in(zone.origin))


def leave(zone: Zone, registration: Registration, deadline: float = 25) -> Outcome:
    """Take a host out again; idempotent. The definition stays.

    Args:
        zone: Where, from `open_zone`.
        registration: What was joined.
        deadline: Seconds to try for.

    Raises:
        Refused: The member is another owner's, or has joined again meanwhile.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long.
    """
    return Registrar(zone, Deadline(deadline)).leave(registration.departure_in(zone.origin))


@contextmanager
def joined(zone: Zone, registration: Registration, deadline: float = 120) -> Iterator[Outcome]:
    """Join, and leave at the end of the `with` block, however it ends.

    Raises:
        DnssdError: As `join` and `leave` do.
    """
    outcome = join(zone, registration, deadline)
    try:
        yield outcome
    finally:
        leave(zone, registration)
