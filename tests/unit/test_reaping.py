"""Reaping: who is dead by what is known, and what is done to them, over the zone in memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from dnssd.deadline import Deadline
from dnssd.errors import AccessDenied, Unavailable
from dnssd.members import Member, format_time
from dnssd.names import Name
from dnssd.records import Address, Srv
from dnssd.registration import joining, leaving, reaper
from dnssd.registration.operation import Operation
from dnssd.registration.reaper import PROBE_ROUNDS, ROUNDS, Reaped, Reaper
from dnssd.registration.reaping import Dead
from dnssd.registration.request import Registration
from dnssd.registration.wish import Departure
from dnssd.rrsets import Change, RRset
from dnssd.zones.memory import MemoryZone
from dnssd.zones.route53.text import LIMITS
from kit.interleaving import NOW, Actor, Stepped, operation, patient
from kit.invariants import BROWSE, INSTANCE, ORIGIN, SERVICE, check_state, srv, view_of

OTHER = BROWSE.child(b"other")


def owner(host: str) -> str:
    """The owner of a host's members."""
    return f"ec2/123456789012/us-east-1/{host}"


@dataclass
class World:
    """A zone, the time, and what EC2 and the network say.

    Attributes:
        words: EC2's word on each host; others are running. An error is raised instead.
        deaf: Hosts whose ports do not answer.
        meanwhile: What happens while a round is waited for.
    """

    zone: MemoryZone = field(default_factory=lambda: MemoryZone(ORIGIN))
    now: datetime = NOW
    words: dict[str, str] | Exception = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)
    meanwhile: Any = None

    def join(self, *hosts: str, instance: str = "web", **more: Any) -> None:
        """Join hosts, an hour ago unless something else is said."""
        then = more.pop("at", self.now - timedelta(hours=1))
        for host in hosts:
            asked: dict[str, Any] = {
                "port": 80,
                "addresses": ["10.0.0.1"],
                "owner": owner(host),
            } | more
            wish = Registration(service="http", instance=instance, host=host, **asked)
            joining.join(operation(self.zone, now=then), wish.wish_in(ORIGIN))

    def reap(self, **how: Any) -> Reaped:
        """One run, as the command makes it."""
        rounds = PROBE_ROUNDS if how.pop("probe", False) else ROUNDS
        hint = how.pop("hint", None)
        run = self.reaper(probe=self.answers if rounds == PROBE_ROUNDS else None, **how)
        return run.remove(run.find(1 if hint else rounds, hint=hint))

    def reaper(self, **how: Any) -> Reaper:
        """What does it."""
        deadline = Deadline(1e9, monotonic=lambda: 0.0, sleep=self._sleep, draw=lambda: 0.5)
        return Reaper(Operation(self.zone, deadline, now=lambda: self.now), self.say, **how)

    def say(self, owners: Iterable[str]) -> Mapping[str, str]:
        """EC2's words."""
        if isinstance(self.words, Exception):
            raise self.words
        hosts = {one: one.rpartition("/")[2] for one in owners if one.startswith("ec2/")}
        return {one: self.words.get(host, "running") for one, host in hosts.items()}

    def answers(self, members: Sequence[Member]) -> list[bool]:
        """Whose port answers."""
        return [member.label.rpartition("-")[0] not in self.deaf for member in members]

    def labels(self, instance: Name = INSTANCE) -> set[str]:
        """The targets of an instance's values."""
        values = view_of(self.zone.states[-1], instance).values
        return {str(v.target).partition(".")[0] for v in values if isinstance(v, Srv)}

    def edit(self, name: Name, rdtype: str, change: Any) -> None:
        """Change an RRset by another hand."""
        before = self.zone.read(name, rdtype, patient())
        self.zone.commit([Change(before, change(before))], patient())

    def edit_member(self, label: str, **changes: Any) -> None:
        """Change a member record by another hand."""
        member, _ = view_of(self.zone.states[-1]).members[label]
        text = replace(member, **changes).to_txt()
        self.edit(INSTANCE.child(label.encode()), "TXT", lambda rrset: rrset.with_values((text,)))

    def _sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        if self.meanwhile and seconds == reaper.PAUSE:
            self.meanwhile()


@pytest.fixture
def world() -> World:
    """Eight hosts that have been there for an hour."""
    world = World()
    world.join(*"abcdefgh")
    return world


def remove(world: World, dead: Sequence[Dead], zone: Stepped) -> Reaped:
    """Take out who was found dead, a request at a time."""
    return Reaper(operation(zone), world.say).remove(dead)


def removed(reaped: Reaped) -> set[str]:
    """The labels of those who were taken out."""
    return {one.label for one in reaped.removed}


@pytest.mark.parametrize(
    ("word", "minutes", "dead"),
    [
        ("terminated", 60, True),
        ("terminated", 1, True),
        ("shutting-down", 1, True),
        ("stopped", 60, True),
        ("stopping", 60, True),
        ("absent", 60, True),
        ("stopped", 1, False),
        ("absent", 1, False),
        ("absent", -1440 + 1, True),
        ("absent", -1, False),
        ("running", 60, False),
        ("pending", 60, False),
        ("rebooting?", 60, False),
    ],
)
def test_ec2_is_believed_as_far_as_it_can_know(word: str, minutes: int, dead: bool) -> None:
    """Of a young announcement only what cannot be taken back; clocks may be a day apart."""
    world = World(words={"x": word})
    world.join("a")
    world.join("x", at=NOW - timedelta(minutes=minutes))
    assert removed(world.reap()) == ({"x-80"} if dead else set())
    assert world.labels() == ({"a"} if dead else {"a", "x"})


@pytest.mark.parametrize("error", [AccessDenied("denied"), Unavailable("page 3 failed")])
def test_without_an_answer_of_ec2_nothing_is_concluded(world: World, error: Exception) -> None:
    """What others say still counts, and the error is told."""
    world.words = error
    world.edit_member("b-80", until=NOW - timedelta(hours=1))
    world.edit(INSTANCE.child(b"c-80"), "TXT", lambda _: None)
    reaped = world.reap()
    assert removed(reaped) == {"b-80"}
    assert reaped.unheard is error


def test_a_word_that_is_said_once_does_not_count(world: World) -> None:
    """Somebody who has started again, or come back, by the second look is alive."""
    world.words = {"a": "stopped", "b": "stopped"}

    def meanwhile() -> None:
        world.words = {"b": "stopped"}
        world.join("b", weight=5)  # the same host, announced anew

    world.meanwhile = meanwhile
    assert not world.reap().removed
    assert len(world.labels()) == 8


def test_a_hint_needs_one_more_word_and_no_time(world: World) -> None:
    """An event says terminated: EC2 is asked at once, and what others say is left alone."""
    world.words = {"a": "terminated", "b": "running"}
    world.edit_member("c-80", until=NOW - timedelta(hours=1))
    reaped = world.reap(hint={owner("a"): "terminated", owner("b"): "stopped"})
    assert removed(reaped) == {"a-80"}
    assert world.now == NOW


def test_probes_count_where_others_answer(world: World) -> None:
    """Three rounds; where most of an instance are silent, this host may be cut off itself."""
    world.join("x", "y", instance="other")
    world.deaf = {"a", "b", "x", "y"}
    assert removed(world.reap(probe=True)) == {"a-80", "b-80"}
    assert world.now == NOW + timedelta(minutes=2)
    assert world.labels(OTHER) == {"x", "y"}
    world.deaf = {"c"}
    world.meanwhile = world.deaf.clear
    assert not world.reap(probe=True).removed


def test_a_lease_ends_some_minutes_late(world: World) -> None:
    """Clocks that sign requests are right to five minutes."""
    world.edit_member("a-80", until=NOW - timedelta(minutes=3))
    assert not world.reap().removed
    world.now += timedelta(minutes=3)
    reaped = world.reap()
    assert removed(reaped) == {"a-80"}
    assert reaped.removed[0].why == "its lease ended at 2026-11-21T11:57:00Z"


def test_the_brake_counts_what_anybody_has_removed() -> None:
    """100 hosts, 30 terminated at once: 25 at first, the rest ten minutes later."""
    world = World(MemoryZone(ORIGIN, limits=LIMITS))
    world.join(*(f"h{number}" for number in range(100)))
    world.words = {f"h{number}": "terminated" for number in range(30)}
    run = world.reaper()
    dead = run.find(ROUNDS)
    before, commits = world.zone.requests, len(world.zone.states)

    first = run.remove(dead)

    assert (len(first.removed), len(first.held), len(world.labels())) == (25, 5, 75)
    assert len(world.zone.states) - commits == 1
    assert world.zone.requests - before <= 3
    assert not world.reap().removed  # nor by another reaper
    assert len(view_of(world.zone.states[-1]).members) == 100
    world.now += timedelta(minutes=10)
    second = world.reap()
    assert (len(second.removed), len(second.held)) == (5, 0)
    assert len(second.cleaned) == 25
    world.now += timedelta(minutes=10)
    world.reap()
    assert len(view_of(world.zone.states[-1]).members) == 70
    assert not any(str(name).startswith("h1.") for name, _ in world.zone.states[-1])


def test_the_last_one_stays_unless_a_limit_says_so(world: World) -> None:
    """Even if everybody is dead; a number says how many may go, and marks remain."""
    world.words = dict.fromkeys("abcdefgh", "terminated")
    assert len(world.reap().removed) == 2
    assert len(world.reap(limit=3).removed) == 3
    assert len(world.reap(limit=0).held) == 3
    assert len(world.reap(limit=9).removed) == 3
    assert world.labels() == set()

    alone = World(words={"a": "terminated"})
    alone.join("a")
    assert [one.label for one in alone.reap().held] == ["a-80"]


def test_times_of_other_clocks_only_hold_the_brake(world: World) -> None:
    """A removal by a clock that is a day ahead counts, one by a clock that is behind does not."""
    for label, days in (("a-80", 1), ("b-80", -1)):
        then = format_time(NOW + timedelta(days=days))
        world.edit_member(label, state="leaving", removed=f"reap/{then}")
    world.words = {"c": "terminated", "d": "terminated"}
    assert len(world.reap().held) == 2


def test_members_of_a_newer_format_go_with_their_values(world: World) -> None:
    """They are judged by what they say and never changed; the brake counts them in this run."""
    for host in "abc":
        world.edit_member(f"{host}-80", version=2)
    world.words = dict.fromkeys("abc", "terminated")
    reaped = world.reap()
    assert (len(reaped.removed), len(reaped.held)) == (2, 1)
    members = view_of(world.zone.states[-1]).members
    assert [members[label][0].version for label in ("c-80",)] == [2]
    assert len(members) == 6


def test_what_a_leave_has_left_goes_and_what_is_held_stays(world: World) -> None:
    """A leave that never ended is ended; an agent has to see that it is to stay out."""
    world.edit_member("a-80", state="leaving")
    world.join("b", agent=True)
    forced = Departure.of(ORIGIN, "http", instance="web", host="b", force=True)
    leaving.leave(operation(world.zone), forced)
    reaped = world.reap()
    assert reaped.cleaned == [(INSTANCE, "a-80")]
    assert "b-80" in view_of(world.zone.states[-1]).members
    assert world.labels() == set("cdefgh")
    world.words = {"b": "terminated"}
    assert world.reap().cleaned == [(INSTANCE, "b-80")]


def test_what_is_left_of_a_member_whose_record_is_gone(world: World) -> None:
    """Its value, host record and address go, unless EC2 or another member says that it lives."""
    foreign = RRset(ORIGIN.child(b"hand"), "A", 60, (Address.parse("10.9.9.9"),))
    world.zone.commit([Change(None, foreign)], patient())
    world.edit(INSTANCE, "SRV", lambda old: old.with_values((*old.values, srv("hand"))))
    world.join("a", port=81)
    world.words = {"b": "absent", "c": "stopped"}
    for label in ("a-80", "b-80", "c-80", "d-80"):
        world.edit(INSTANCE.child(label.encode()), "TXT", lambda _: None)

    assert len(world.reap(limit=0).held) == 2
    assert removed(world.reap(limit=2)) == {"b-80", "c-80"}
    assert world.labels() == {"hand", *"adefgh"}
    assert not world.reap().removed
    world.now += timedelta(minutes=10)
    assert len(world.reap().cleaned) == 2
    names = {str(name).partition(".")[0] for name, _ in world.zone.states[-1]}
    assert "b" not in names
    assert "c" not in names
    assert {"hand", *"adefgh"} <= names


def test_one_service_or_the_whole_zone(world: World) -> None:
    """A service alone, with what its values point to; a zone without members holds nobody."""
    world.words = {"a": "absent", "b": "terminated"}
    world.edit(INSTANCE.child(b"a-80"), "TXT", lambda _: None)
    other = Registration(service="_ipp._tcp", host="b", port=9, addresses=["10.0.0.1"])
    wish = replace(other, owner=owner("b")).wish_in(ORIGIN)
    joining.join(operation(world.zone, now=NOW - timedelta(hours=1)), wish)
    assert removed(world.reap(service=SERVICE)) == {"a-80", "b-80"}
    assert [one.label for one in world.reap().held] == ["b-9"]  # its last one
    assert not World().reap().removed


def test_a_plan_says_what_would_be_done(world: World) -> None:
    """One look, nothing written."""
    world.words = dict.fromkeys("abc", "terminated")
    world.edit_member("d-80", state="leaving")
    before = world.zone.states[-1]
    run = world.reaper()
    plan = run.plan(run.find(1))
    assert (len(plan.removed), len(plan.held), plan.cleaned) == (1, 2, [(INSTANCE, "d-80")])
    assert world.zone.states[-1] is before


@pytest.mark.parametrize("merges", [False, True])
@pytest.mark.parametrize("steps", range(10))
def test_a_host_that_comes_back_meanwhile_stays(merges: bool, steps: int) -> None:
    """Whenever it joins again, with its record there or gone, it ends up published."""
    for gone in (False, True):
        world = World(MemoryZone(ORIGIN, merges=merges), words={"b": "stopped"})
        world.join("a", "b", "c")
        if gone:
            world.edit(INSTANCE.child(b"b-80"), "TXT", lambda _: None)
        dead = world.reaper().find(ROUNDS)
        actor = Actor(world.zone, partial(remove, world, dead))
        for _ in range(steps):
            if not actor.done:
                actor.step()
        world.join("b", weight=7, at=NOW)
        actor.finish()
        assert not isinstance(actor.result, Exception)
        assert srv("b", weight=7) in view_of(world.zone.states[-1]).values
        check_state(world.zone.states[-1])
