"""Runs several hosts against one zone, one request at a time, in an order the test chooses.

Each actor is a thread that stops before every request and waits for its turn. A turn has a
fate: the request may be answered, answered from the past, lost on the way there or back, or
be the last thing its host ever did.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple, TypeVar

from dnssd.deadline import Deadline
from dnssd.errors import DnssdError, OutcomeUnknown
from dnssd.names import Name
from dnssd.registration.joining import join
from dnssd.registration.leaving import leave
from dnssd.registration.operation import Operation, Outcome
from dnssd.registration.request import Registration
from dnssd.rrsets import Change, RRset
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.zones.base import Question, Zone
from dnssd.zones.memory import MemoryZone
from kit.invariants import State, state_of

_Answer = TypeVar("_Answer")

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
LIMIT = 400  # requests: no host of these tests needs as many


class Fate(Enum):
    """What becomes of a request."""

    FAIR = "answered"
    STALE = "answered from the state before the last one; a commit is answered fairly"
    LOST_BEFORE = "lost on the way there"
    LOST_AFTER = "carried out, and its answer lost"
    KILLED_BEFORE = "never sent: the host died"
    KILLED_AFTER = "carried out, and the host died"


class Killed(BaseException):
    """The host has died: nothing of its code runs on."""


class Recorded(NamedTuple):
    """A zone, and every state that it has been in, the newest last."""

    zone: Zone
    states: Callable[[], Sequence[State]]

    @classmethod
    def memory(cls, zone: MemoryZone) -> "Recorded":
        """The zone in memory, which keeps its states itself."""
        return cls(zone, lambda: zone.states)

    @classmethod
    def sandbox(cls, zone: Zone, store: HostedZones) -> "Recorded":
        """A zone at the sandbox, whose change log has them."""
        return cls(zone, lambda: [state_of(zone) for zone in store.log()])


class Stepped:
    """A `Zone` of one actor: every request waits for its turn."""

    def __init__(self, recorded: Recorded, turn: Callable[[], Fate]) -> None:
        zone = self._zone = recorded.zone
        self._states = recorded.states
        self._turn = turn
        self.address = zone.address
        self.zone_id = zone.zone_id
        self.actor = ""
        self.origin = zone.origin
        self.limits = zone.limits
        self.traits = zone.traits
        self.requests = 0
        self.throttled = 0

    def read(self, name: Name, rdtype: str, deadline: Deadline) -> RRset | None:
        """See `Zone.read`."""
        return self._read(lambda zone: zone.read(name, rdtype, deadline))

    def read_node(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_node`."""
        return self._read(lambda zone: zone.read_node(name, deadline))

    def read_below(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_below`."""
        return self._read(lambda zone: zone.read_below(name, deadline))

    def read_many(self, questions: Sequence[Question], deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_many`."""
        if self.traits.merges:
            return self._read(lambda zone: zone.read_many(questions, deadline))
        found = (self.read(name, rdtype, deadline) for name, rdtype in questions)
        return tuple(rrset for rrset in found if rrset is not None)

    def is_answered_by_wildcard(self, name: Name, deadline: Deadline) -> bool:
        """See `Zone.is_answered_by_wildcard`."""
        return self._read(lambda zone: zone.is_answered_by_wildcard(name, deadline))

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, *, absent: Collection[Question] = ()
    ) -> str:
        """See `Zone.commit`."""
        self.requests += 1
        fate = self._turn()
        if fate is Fate.KILLED_BEFORE:
            raise Killed
        if fate is Fate.LOST_BEFORE:
            raise OutcomeUnknown("lost on the way there")
        try:
            return self._zone.commit(changes, deadline, absent=absent)
        finally:
            if fate is Fate.KILLED_AFTER:
                raise Killed
            if fate is Fate.LOST_AFTER:
                raise OutcomeUnknown("lost on the way back")

    def wait_served(self, commit: str, deadline: Deadline) -> None:
        """See `Zone.wait_served`."""

    def _read(self, question: Callable[[Zone], _Answer]) -> _Answer:
        self.requests += 1
        fate = self._turn()
        if fate in (Fate.KILLED_BEFORE, Fate.KILLED_AFTER):
            raise Killed
        if fate is Fate.STALE:
            past = self._states()[-2:]
            return question(MemoryZone(self.origin, past[0].values() if past else ()))
        return question(self._zone)


class Actor:
    """One host: a thread that does its work a turn at a time.

    Attributes:
        result: What the work returned or raised; None while it is under way.
        turns: How many requests it has made.
    """

    def __init__(self, zone: MemoryZone | Recorded, work: Callable[[Stepped], object]) -> None:
        recorded = Recorded.memory(zone) if isinstance(zone, MemoryZone) else zone
        self.result: object = None
        self.turns = 0
        self._fate: Fate | None = None
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(recorded, work), daemon=True)
        self._thread.start()
        self._stopped.acquire()

    @property
    def done(self) -> bool:
        """Whether the work has ended, in one way or another."""
        return self.result is not None

    def step(self, fate: Fate = Fate.FAIR) -> None:
        """Let it make its next request, and run on until it would make another."""
        assert not self.done
        assert self.turns < LIMIT, "it never ends"
        self.turns += 1
        self._fate = fate
        self._go.release()
        self._stopped.acquire()

    def finish(self) -> object:
        """Let it run to its end; return its result."""
        while not self.done:
            self.step()
        return self.result

    def _turn(self) -> Fate:
        self._stopped.release()
        self._go.acquire()
        assert self._fate is not None
        return self._fate

    def _run(self, recorded: Recorded, work: Callable[[Stepped], object]) -> None:
        try:
            result = work(Stepped(recorded, self._turn))
            self.result = "done" if result is None else result
        except (DnssdError, Killed) as error:
            self.result = error
        finally:
            if self.result is None:
                self.result = RuntimeError("the work broke; see the thread's traceback")
            self._stopped.release()


def patient(seconds: float = 1e9) -> Deadline:
    """A deadline whose waits take no time."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    return Deadline(seconds, monotonic=lambda: clock[0], sleep=sleep, draw=lambda: 0.5)


def operation(zone: Zone, *, now: datetime = NOW) -> Operation:
    """An operation that never waits."""
    return Operation(zone, patient(), now=lambda: now)


def joins(registration: Registration) -> Callable[[Stepped], Outcome]:
    """Work: to join."""
    return lambda zone: join(operation(zone), registration.wish_in(zone.origin))


def leaves(registration: Registration) -> Callable[[Stepped], Outcome]:
    """Work: to leave."""
    return lambda zone: leave(operation(zone), registration.departure_in(zone.origin))
