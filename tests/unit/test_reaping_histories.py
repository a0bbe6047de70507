"""Reaping in random histories: nothing of a living host is ever touched.

The default run tries a few hundred; DNSSD_HISTORIES=10000 tries as many.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import pytest

from dnssd.deadline import Deadline
from dnssd.errors import DnssdError, OutcomeUnknown, Unavailable
from dnssd.members import Member
from dnssd.registration import joining, leaving, reaper
from dnssd.registration.operation import Operation
from dnssd.registration.reaper import PROBE_ROUNDS, ROUNDS, Reaper
from dnssd.registration.request import Registration
from dnssd.rrsets import Change
from dnssd.zones.base import Question
from dnssd.zones.memory import MemoryZone
from kit.interleaving import NOW, operation, patient
from kit.invariants import INSTANCE, ORIGIN, host_record, srv, view_of

HISTORIES = int(os.environ.get("DNSSD_HISTORIES", "200"))
BATCHES = 20
STEPS = 25
EVENTS = {"terminated": ["shutting-down", "terminated"], "stopped": ["stopping", "stopped"]}
LAG = timedelta(seconds=50)  # for which EC2 may tell what was


class Unreliable(MemoryZone):
    """A zone in memory whose answers to commits are lost now and then."""

    dice = Random(0)
    is_down = False

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, *, absent: Collection[Question] = ()
    ) -> str:
        """See `Zone.commit`."""
        fate = self.dice.random() if self.is_down else 1.0
        if fate < 0.2:
            raise OutcomeUnknown("lost on the way there")
        made = super().commit(changes, deadline, absent=absent)
        if fate < 0.4:
            raise OutcomeUnknown("lost on the way back")
        return made


@dataclass
class Host:
    """An instance, and what it has in the zone.

    Attributes:
        state: EC2's word.
        before: What it was before, which EC2 may say for a while.
        changed: When that was.
        events: What was said of it.
        serves: Labels that it has joined by since it started, with the announcement's id;
            empty where another tool has removed the record.
    """

    name: str
    state: str = "running"
    before: str = "absent"
    changed: datetime = NOW
    serves: dict[str, str] = field(default_factory=dict)
    lease: int = 0
    events: list[str] = field(default_factory=list)


class History:
    """One history of a zone."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.zone = Unreliable(ORIGIN, merges=self.dice.random() < 0.3)
        self.zone.dice = self.dice
        self.now = NOW
        self.hosts: list[Host] = []
        self.cut_off = False
        self.leases = self.dice.random() < 0.5
        for _ in range(self.dice.randint(1, 8)):
            self.boot()
        self.pass_time()

    def step(self) -> None:
        """Something happens."""
        happens = (
            *(self.boot, self.die, self.die, self.stop, self.start, self.rename, self.leave),
            *(self.vandalise, self.pass_time, self.reap, self.reap, self.reap),
        )
        self.dice.choice(happens)()

    def boot(self) -> None:
        """A new instance, which joins."""
        lease = 900 if self.leases and self.dice.random() < 0.5 else 0
        host = Host(f"i-{len(self.hosts)}", changed=self.now, lease=lease)
        self.hosts.append(host)
        self.join(host, host.name)

    def join(self, host: Host, label: str) -> None:
        """It joins, or joins again."""
        asked = Registration(
            service="http",
            instance="web",
            port=80,
            host=label,
            addresses=["10.0.0.1"],
            owner=f"ec2/123456789012/us-east-1/{host.name}",
            lease=host.lease,
            takeover=True,
        )
        joining.join(operation(self.zone, now=self.now), asked.wish_in(ORIGIN))
        members = view_of(self.zone.states[-1]).members
        host.serves[label] = members[f"{label}-80"][0].id

    def become(self, host: Host, state: str) -> None:
        """It changes its state, and EC2 may know it late."""
        host.before, host.state, host.changed = host.state, state, self.now
        host.serves = {}
        if state in EVENTS:
            host.events += EVENTS[state]

    def some(self, state: str) -> list[Host]:
        """One of the hosts in a state, if there is one."""
        found = [host for host in self.hosts if host.state == state]
        return [self.dice.choice(found)] if found else []

    def die(self) -> None:
        """A host goes without a word."""
        for host in self.some("running"):
            self.become(host, "terminated")

    def stop(self) -> None:
        """Likewise, and may come back."""
        for host in self.some("running"):
            self.become(host, "stopped")

    def start(self) -> None:
        """It comes back, and joins at once or not at all."""
        for host in self.some("stopped"):
            self.become(host, "running")
            self.now += timedelta(minutes=1)  # a boot takes longer than EC2 lags behind
            if self.dice.random() < 0.8:
                self.join(host, host.name)

    def rename(self) -> None:
        """It joins by another name, and leaves the old one behind."""
        for host in self.some("running"):
            self.join(host, f"{host.name}-x{self.dice.randrange(3)}")

    def leave(self) -> None:
        """It leaves, or only says that it does."""
        for host in self.some("running"):
            for label in host.serves:
                asked = Registration(
                    service="http", instance="web", port=80, host=label, addresses=["10.0.0.1"],
                    owner=f"ec2/123456789012/us-east-1/{host.name}",
                )  # fmt: skip
                leaving.leave(operation(self.zone, now=self.now), asked.departure_in(ORIGIN))
            host.serves = {}

    def vandalise(self) -> None:
        """Another tool removes a member record."""
        for host in self.some("running"):
            for label in [label for label, id in host.serves.items() if id][:1]:
                _, record = view_of(self.zone.states[-1]).members[f"{label}-80"]
                self.zone.commit([Change(record, None)], patient())
                host.serves[label] = ""

    def pass_time(self) -> None:
        """Minutes pass, in which leases are renewed."""
        for _ in range(self.dice.randint(1, 6)):
            self.now += timedelta(minutes=5)
            for host in self.hosts:
                for label, id in host.serves.items():
                    if host.lease and id:
                        self.join(host, label)

    def reap(self) -> None:
        """Somebody reaps, with one fault or another; then it is looked who is there."""
        dice = self.dice
        self.cut_off, self.zone.is_down = dice.random() < 0.2, dice.random() < 0.2
        hint = self.events() if dice.random() < 0.3 else None
        skew = timedelta(minutes=dice.uniform(-4, 4))
        if not self.leases and hint is None and dice.random() < 0.2:
            skew = timedelta(days=dice.choice((-1, 1)))
        run = Reaper(
            Operation(self.zone, self.deadline(), now=lambda: self.now + skew),
            self.words,
            probe=self.answers if dice.random() < 0.3 else None,
            limit=dice.choice((None, None, 3)),
        )
        rounds = 1 if hint else PROBE_ROUNDS if run.probe else ROUNDS
        try:
            run.remove(run.find(rounds, hint=hint))
        except DnssdError:
            assert self.zone.is_down
        self.zone.is_down = False
        self.check()

    def deadline(self) -> Deadline:
        """Waits that take none of the test's time, and in which something may happen."""

        def sleep(seconds: float) -> None:
            self.now += timedelta(seconds=seconds)
            if seconds == reaper.PAUSE and self.dice.random() < 0.3:
                down, self.zone.is_down = self.zone.is_down, False
                self.dice.choice((self.boot, self.start, self.stop, self.rename))()
                self.zone.is_down = down

        return Deadline(1e9, monotonic=lambda: 0.0, sleep=sleep, draw=lambda: 0.5)

    def events(self) -> Mapping[str, str]:
        """Events: lost, late, repeated, and long untrue."""
        return {
            f"ec2/123456789012/us-east-1/{host.name}": self.dice.choice(host.events)
            for host in self.hosts
            if host.events and self.dice.random() < 0.5
        }

    def words(self, owners: Iterable[str]) -> Mapping[str, str]:
        """EC2's, which may lag behind or fail."""
        if self.dice.random() < 0.1:
            raise Unavailable("ec2:DescribeInstances: page 3: RequestLimitExceeded")
        known = {f"ec2/123456789012/us-east-1/{host.name}": host for host in self.hosts}
        return {owner: self.word(known[owner]) for owner in owners}

    def word(self, host: Host) -> str:
        """What EC2 says of an instance."""
        lags = self.now - host.changed < LAG and self.dice.random() < 0.5
        return host.before if lags else host.state

    def answers(self, members: Sequence[Member]) -> list[bool]:
        """Whose port answers; nobody's where the network does not."""
        serving = {label for host in self.hosts for label in host.serves}
        return [not self.cut_off and one.label.removesuffix("-80") in serving for one in members]

    def check(self) -> None:
        """Whoever serves is there as it was."""
        state = self.zone.states[-1]
        view = view_of(state)
        for host in self.hosts:
            for label, id in host.serves.items():
                if id:
                    member, _ = view.members[f"{label}-80"]
                    assert (member.state, member.id) == ("up", id)
                assert srv(label) in view.values
                name = ORIGIN.child(label.encode())
                assert (name, "A") in state
                record = host_record(state, name)
                assert record
                assert INSTANCE.child(f"{label}-80".encode()) in record.used


@pytest.mark.parametrize("batch", range(BATCHES))
def test_nothing_of_a_living_host_is_touched(batch: int) -> None:
    """Booting, dying, stopping, starting, renamed, vandalised; EC2 and the zone failing."""
    for seed in range(batch, HISTORIES, BATCHES):
        history = History(seed)
        for _ in range(STEPS):
            history.step()
