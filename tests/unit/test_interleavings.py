"""Hosts that join and leave at once, in any order, with lost answers, stale reads and deaths."""

from dataclasses import dataclass

from hypothesis import event, given, settings
from hypothesis import strategies as st

from dnssd.errors import Refused
from dnssd.records import Srv
from dnssd.registration import joining
from dnssd.registration.operation import Outcome
from dnssd.registration.request import Registration
from dnssd.rrsets import RRset
from dnssd.zones.memory import MemoryZone
from kit.interleaving import NOW, Actor, Fate, Killed, joins, leaves, operation
from kit.invariants import INSTANCE, ORIGIN, check_projection, check_state, srv, view_of

FOREIGN = srv("elsewhere", 8080)
HOSTS = ("a", "b", "c")


def registration(
    host: str, *, port: int = 80, weight: int = 100, address: str = "10.0.0.1", owner: str = ""
) -> Registration:
    """A membership of one of the hosts."""
    return Registration(
        service="http",
        instance="web",
        port=port,
        host=host,
        weight=weight,
        addresses=[address],
        owner=owner,
    )


@dataclass(frozen=True)
class Act:
    """What one run of the program is to do."""

    host: str
    port: int
    weight: int
    address: str
    leave: bool

    @property
    def registration(self) -> Registration:
        """As the program is told."""
        return registration(self.host, port=self.port, weight=self.weight, address=self.address)


ACTS = st.builds(
    Act,
    host=st.sampled_from(HOSTS),
    port=st.sampled_from([80, 80, 80, 81]),
    weight=st.sampled_from([100, 7]),
    address=st.sampled_from(["10.0.0.1", "10.0.0.2"]),
    leave=st.booleans(),
)
FATES = st.sampled_from([*[Fate.FAIR] * 8, *Fate])
SCHEDULES = st.lists(st.tuples(st.integers(0, 3), FATES), max_size=60)


def zone_with(foreign: bool, merges: bool) -> MemoryZone:
    """A zone of either mode, with a hand-made SRV RRset or nothing in it."""
    rrsets = [RRset(INSTANCE, "SRV", 300, (FOREIGN,))] if foreign else []
    return MemoryZone(ORIGIN, rrsets, merges=merges)


def start(zone: MemoryZone, act: Act) -> Actor:
    """Start one run of the program."""
    work = leaves(act.registration) if act.leave else joins(act.registration)
    return Actor(zone, work)


def run_all(
    zone: MemoryZone, actors: list[Actor], schedule: list[tuple[int, Fate]]
) -> dict[int, int]:
    """Run every actor to its end; the state in which each that succeeded returned."""
    returned: dict[int, int] = {}
    for number, fate in [*schedule, *[(n, Fate.FAIR) for n in range(300)]]:
        waiting = [n for n, actor in enumerate(actors) if not actor.done]
        if waiting:
            chosen = waiting[number % len(waiting)]
            actors[chosen].step(fate)
            if isinstance(actors[chosen].result, Outcome):
                returned[chosen] = len(zone.states) - 1
    assert all(actor.done for actor in actors)
    return returned


@settings(max_examples=450, deadline=None)
@given(
    before=st.lists(ACTS, max_size=4),
    acts=st.lists(ACTS, min_size=2, max_size=4),
    schedule=SCHEDULES,
    foreign=st.booleans(),
    merges=st.booleans(),
)
def test_every_state_keeps_the_invariants(
    before: list[Act],
    acts: list[Act],
    schedule: list[tuple[int, Fate]],
    foreign: bool,
    merges: bool,
) -> None:
    """Whatever the order and the faults, each state is sound and one fold heals the rest.

    Where a zone merges there is nothing to heal: every state is a projection.
    """
    zone = zone_with(foreign, merges)
    for act in before:
        start(zone, act).finish()
    actors = [start(zone, act) for act in acts]
    for number, fate in schedule:
        waiting = [actor for actor in actors if not actor.done]
        if waiting:
            waiting[number % len(waiting)].step(fate)
    for actor in actors:
        if not actor.done:
            actor.finish()

    values = {FOREIGN} if foreign else set()
    for state in zone.states:
        (check_projection if merges else check_state)(state, values)
        check_state(state, values)
    for act, actor in zip(acts, actors, strict=True):
        event(f"{'leave' if act.leave else 'join'}: {type(actor.result).__name__}")
        assert isinstance(actor.result, Outcome | Refused | Killed), actor.result
    healer = registration("healer")
    joining.join(operation(zone), healer.wish_in(ORIGIN))
    check_projection(zone.states[-1], values)


@settings(max_examples=300, deadline=None)
@given(
    weights=st.lists(st.sampled_from([1, 2]), min_size=3, max_size=3),
    schedule=SCHEDULES,
    merges=st.booleans(),
)
def test_a_join_that_returned_stays_published(
    weights: list[int], schedule: list[tuple[int, Fate]], merges: bool
) -> None:
    """Invariants 2 and 6: from the state in which a join returned, its value is always there."""
    zone = zone_with(foreign=False, merges=merges)
    wanted = [registration(host, weight=weights[n]) for n, host in enumerate(HOSTS)]
    actors = [Actor(zone, joins(one)) for one in wanted]
    returned = run_all(zone, actors, schedule)
    for number, since in returned.items():
        value = Srv(0, weights[number], 80, ORIGIN.child(HOSTS[number].encode()))
        for state in zone.states[since:]:
            assert value in view_of(state).values


@settings(max_examples=300, deadline=None)
@given(schedule=SCHEDULES, merges=st.booleans())
def test_a_leave_that_returned_is_gone(schedule: list[tuple[int, Fate]], merges: bool) -> None:
    """Invariant 6: from the state in which a leave returned, nothing of the host is there.

    A zone that merges answers from its last state: a leave trusts what it does not see.
    """
    if merges:
        schedule = [(n, Fate.FAIR if fate is Fate.STALE else fate) for n, fate in schedule]
    zone = zone_with(foreign=True, merges=merges)
    for host in HOSTS:
        joining.join(operation(zone), registration(host).wish_in(ORIGIN))
    actors = [Actor(zone, leaves(registration(host))) for host in HOSTS]
    returned = run_all(zone, actors, schedule)
    for number, since in returned.items():
        name = ORIGIN.child(HOSTS[number].encode())
        for state in zone.states[since:]:
            view = view_of(state)
            assert srv(HOSTS[number]) not in view.values
            assert f"{HOSTS[number]}-80" not in view.members
            assert (name, "A") not in state
            assert (name, "TXT") not in state
    assert NOW  # one clock for all: nobody's announcement grows old here
