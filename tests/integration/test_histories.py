"""Hosts, a person and another tool at one zone, in any order, with faults: a state machine.

It runs over the zone in memory, and over the sandbox through boto3. Every state that the
zone has been in is checked, not only the last.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import ClassVar
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dnssd import open_zone
from dnssd.errors import Refused
from dnssd.records import Rdata
from dnssd.registration import joining
from dnssd.registration.operation import Outcome
from dnssd.registration.request import Registration
from dnssd.rrsets import Change, RRset
from dnssd.sandbox.sandbox import Sandbox
from dnssd.zones.memory import MemoryZone
from kit.interleaving import (
    Actor,
    Fate,
    Killed,
    Recorded,
    Stepped,
    joins,
    leaves,
    operation,
    patient,
)
from kit.invariants import INSTANCE, ORIGIN, check_projection, check_state, srv, view_of

NAMES = ("a", "b", "c", "d", "healer")
HOSTS = st.sampled_from(NAMES[:4])
PLACES = {srv(host, port, weight) for host in NAMES for port in (80, 81) for weight in (100, 7)}
FAULTS = st.sampled_from([fate for fate in Fate if fate is not Fate.FAIR])


def registration(
    host: str, port: int = 80, weight: int = 100, address: str = "10.0.0.1", takeover: bool = False
) -> Registration:
    """A membership of one of the hosts."""
    return Registration(
        service="http",
        instance="web",
        port=port,
        host=host,
        weight=weight,
        addresses=[address],
        owner="new" if takeover else "",
        takeover=takeover,
    )


class Zones(RuleBasedStateMachine):
    """What may happen to a zone."""

    actors: Bundle[Actor] = Bundle("actors")
    copies: Bundle[frozenset[Rdata]] = Bundle("copies")

    def __init__(self) -> None:
        super().__init__()
        self.recorded = self.open()
        self.foreign: set[Rdata] = set()
        self.revived: set[Rdata] = set()
        self.started: list[Actor] = []
        self.checked = 0

    def open(self) -> Recorded:
        """An empty zone."""
        return Recorded.memory(MemoryZone(ORIGIN))

    @initialize(target=copies)
    def nothing(self) -> frozenset[Rdata]:
        """The tool that knows of nothing."""
        return frozenset()

    @rule(
        target=actors,
        host=HOSTS,
        port=st.sampled_from([80, 80, 81]),
        weight=st.sampled_from([100, 7]),
        address=st.sampled_from(["10.0.0.1", "10.0.0.2"]),
        takeover=st.sampled_from([False, False, False, True]),
    )
    def join(self, host: str, port: int, weight: int, address: str, takeover: bool) -> Actor:
        """A host starts to join, or changes its weight, its address or its owner."""
        wanted = registration(host, port, weight, address, takeover)
        return self.start(joins(wanted))

    @rule(target=actors, host=HOSTS, port=st.sampled_from([80, 80, 81]))
    def leave(self, host: str, port: int) -> Actor:
        """A host starts to leave."""
        return self.start(leaves(registration(host, port)))

    @rule(target=actors, actor=consumes(actors), turns=st.integers(1, 4))
    def advance(self, actor: Actor, turns: int) -> Actor:
        """Some requests of one host are answered."""
        for _ in range(turns):
            if not actor.done:
                actor.step()
        return actor

    @rule(target=actors, actor=consumes(actors), fate=FAULTS)
    def fail(self, actor: Actor, fate: Fate) -> Actor:
        """A request is lost, answered from the past, or the last of its host."""
        if not actor.done:
            actor.step(fate)
        return actor

    @rule(actor=consumes(actors))
    def finish(self, actor: Actor) -> None:
        """A host runs to its end, which is never an unknown one."""
        result = actor.finish()
        assert isinstance(result, Outcome | Refused | Killed), result

    @rule(number=st.integers(0, 2), there=st.booleans())
    def edit(self, number: int, there: bool) -> None:
        """A person adds or removes a value of their own."""
        value = srv(f"foreign{number}", 8080)
        (self.foreign.add if there else self.foreign.discard)(value)
        current = self.srv_rrset()
        values = set(current.values) if current else set()
        self.write(current, values | {value} if there else values - {value})

    @rule(target=copies)
    def remember(self) -> frozenset[Rdata]:
        """Another tool reads the RRset, to write it back later."""
        current = self.srv_rrset()
        return frozenset(current.values if current else ())

    @rule(copy=copies, own=st.sampled_from(["tool", "other-tool"]))
    def upsert(self, copy: frozenset[Rdata], own: str) -> None:
        """The tool overwrites the RRset with what it remembers and a value of its own."""
        self.check_new_states()
        current = self.srv_rrset()
        self.write(current, {*copy, srv(own, 9090)})
        unexplained = set(view_of(self.recorded.states()[-1]).unexplained)
        self.revived |= {value for value in unexplained if value in PLACES}
        self.foreign = unexplained - self.revived
        self.checked = len(self.recorded.states())

    @rule()
    def heal(self) -> None:
        """One fold of a live host, while nobody else moves: the projection of the records."""
        joining.join(operation(self.recorded.zone), registration("healer").wish_in(ORIGIN))
        check_projection(self.recorded.states()[-1], self.foreign, self.revived)

    @invariant()
    def check_new_states(self) -> None:
        """The invariants of registration hold in every state since the last look."""
        states = self.recorded.states()
        for state in states[self.checked :]:
            check_state(state, self.foreign, self.revived)
        self.checked = len(states)

    def start(self, work: Callable[[Stepped], object]) -> Actor:
        """Start a run of the program."""
        self.started.append(Actor(self.recorded, work))
        return self.started[-1]

    def teardown(self) -> None:
        """Whatever has happened, one fold heals it, although everybody is dead."""
        for actor in self.started:
            if not actor.done:
                actor.step(Fate.KILLED_BEFORE)
        self.heal()
        self.check_new_states()

    def srv_rrset(self) -> RRset | None:
        """The SRV RRset as it is."""
        return self.recorded.zone.read(INSTANCE, "SRV", patient())

    def write(self, current: RRset | None, values: Iterable[Rdata]) -> None:
        """Put other values into the SRV RRset."""
        rrset = current or RRset(INSTANCE, "SRV", 60, (srv("nobody"),))
        change = (current, rrset.with_values(values))
        if change != (None, None) and change[0] != change[1]:
            self.recorded.zone.commit([Change(*change)], patient())


class MergingZones(Zones):
    """The same where single values are added and deleted."""

    def open(self) -> Recorded:
        """An empty zone."""
        return Recorded.memory(MemoryZone(ORIGIN, merges=True))

    @rule()
    def heal(self) -> None:
        """Nobody folds for others here: each host's own join restores its own value."""
        members = view_of(self.recorded.states()[-1]).members
        for member, _ in members.values():
            host, _, port = member.label.rpartition("-")
            again = Registration(
                service="http",
                instance="web",
                port=int(port),
                host=host,
                weight=member.srv.weight,
                addresses=[address.format() for address in member.addresses],
                owner=member.owner,
                takeover=True,
            )
            joining.join(operation(self.recorded.zone), again.wish_in(ORIGIN))
        check_projection(self.recorded.states()[-1], self.foreign, self.revived)


class SandboxZones(Zones):
    """The same over the sandbox, through boto3."""

    running: ClassVar[Sandbox]

    def open(self) -> Recorded:
        """A new hosted zone in a sandbox of its own."""
        self.cleanup = ExitStack()
        sandbox = self.cleanup.enter_context(Sandbox())
        self.cleanup.enter_context(mock.patch.dict("os.environ", sandbox.environment()))
        zone = open_zone(f"example.test,id={sandbox.zone_id}")
        return Recorded.sandbox(zone, sandbox.zones)

    def teardown(self) -> None:
        """Check, and stop the sandbox."""
        with self.cleanup:
            super().teardown()


@pytest.mark.parametrize(
    ("machine", "examples"),
    [(Zones, 120), (MergingZones, 120), (SandboxZones, 12)],
    ids=["memory", "merging memory", "sandbox"],
)
def test_no_history_breaks_the_invariants(machine: type[Zones], examples: int) -> None:
    """Rules in any order and number, faults among them."""
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=40, deadline=None),
    )


def test_a_value_that_comes_back_while_its_host_leaves_goes_too() -> None:
    """A tool has overwritten it; the leave has not seen it, and the host's own join restores it."""
    zone = Recorded.memory(MemoryZone(ORIGIN, merges=True))
    host = registration("a")
    assert isinstance(Actor(zone, joins(host)).finish(), Outcome)
    whole = zone.zone.read(INSTANCE, "SRV", patient())
    assert whole
    zone.zone.commit([Change(whole, whole.with_values([srv("tool", 9090)]))], patient())
    leaving = Actor(zone, leaves(host))
    leaving.step()
    leaving.step()
    assert isinstance(Actor(zone, joins(host)).finish(), Outcome)

    assert isinstance(leaving.finish(), Outcome)

    assert view_of(zone.states()[-1]).values == (srv("tool", 9090),)
