"""Many agents at once, while most answers of the API are broken."""

import random
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import tables
from chaosplace import Place, at_sandbox
from chaosstage import Stage

from dnssd.sandbox.faults.injected import Dice, Fault, Mishap

ODDS = {  # 70 % of all answers
    Fault.THROTTLE: 0.2,
    Fault.ERROR: 0.15,
    Fault.CUT_BEFORE: 0.1,
    Fault.CUT_AFTER: 0.15,
    Fault.SLOW: 0.1,
}
UNDER_WAY = 45.0  # seconds that a leave may still take, which somebody wants no more
SETTLES = 600.0  # seconds after the storm: what has flapped is held out for up to 300
PAUSE = 0.5  # seconds between two things that happen


class _Weather(Dice):
    """Faults, until it is calm."""

    is_calm = False

    def throw(self) -> Mishap | None:
        """What befalls the next request."""
        return None if self.is_calm else super().throw()


class _Member(Stage):
    """A service that comes and goes, with an agent that does.

    Attributes:
        is_up: Whether the service is.
        is_leaving: Whether its agent was told to end.
        good: When it was up, and nobody wanted it out: from, to; the last one until now.
    """

    is_up = True
    is_leaving = False
    good: list[list[float]]

    def happens(self, dice: random.Random) -> None:
        """Something, at random."""
        assert self.agent
        if self.agent.poll() is not None:
            self.watch()
            self.is_leaving = False
        elif dice.random() < 0.5:
            self.serve() if not self.is_up else self.kill()
            self.is_up = not self.is_up
        elif dice.random() < 0.5:
            self.agent.kill()
            self.agent.wait()
        else:
            self.agent.terminate()
            self.is_leaving = True
        self.note()

    def note(self) -> None:
        """Remember since when it is to be in DNS."""
        now, is_good = time.monotonic(), self.is_up and not self.is_leaving
        if is_good and (not self.good or self.good[-1][1] != float("inf")):
            self.good.append([now, float("inf")])
        elif not is_good and self.good:
            self.good[-1][1] = min(now, self.good[-1][1])

    def was_good(self, at: float) -> bool:
        """Whether nobody can have wanted it out then."""
        return any(begin + UNDER_WAY < at < end for begin, end in self.good)


def blow(agents: int, seconds: float, dice: random.Random) -> list[str]:
    """Let so many join, flap, die and leave; what was wrong."""
    weather = _Weather(ODDS, random.Random(dice.random()))
    with at_sandbox(weather) as place, tempfile.TemporaryDirectory() as folder:
        members = [_Member(place, f"h{n}", Path(folder)) for n in range(agents)]
        try:
            for member in members:
                member.good = []
                member.serve()
                member.watch()
                member.note()
            events = _storm(members, seconds, dice)
            weather.is_calm = True
            settled = _settled(place, members)
            wrong = [*place.wrong, *_removed(place, members)]
        finally:
            for member in members:
                member.end()
    if settled is None:
        wrong.append(f"{SETTLES:.0f} s after the storm DNS is not as the services are")
    row = (agents, f"{seconds / 60:g} min", events, len(place.seen), f"{settled or 0:.0f} s")
    heading = ("agents", "storm", "what happened", "changes of SRV", "all right after")
    tables.show("70 % of the API's answers broken", (*heading, "wrong"), [(*row, len(wrong))])
    return wrong


def _storm(members: list[_Member], seconds: float, dice: random.Random) -> int:
    ends, events = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        dice.choice(members).happens(dice)
        events += 1
        time.sleep(PAUSE)
    return events


def _settled(place: Place, members: list[_Member]) -> float | None:
    """Start whoever does not run; seconds until exactly the healthy are in DNS."""
    began = time.monotonic()
    while time.monotonic() - began < SETTLES:
        for member in members:
            if member.agent and member.agent.poll() is not None:
                member.watch()
                member.is_leaving = False
                member.note()
        if place.ports == {member.port for member in members if member.is_up}:
            return time.monotonic() - began
        time.sleep(0.1)
    return None


def _removed(place: Place, members: list[_Member]) -> list[str]:
    """Who was out for more than one change of the zone, and should have been in."""
    of_port: Mapping[int, _Member] = {member.port: member for member in members}
    found = []
    states = [ports for _, ports in place.seen]
    for (at, ports), before, after in zip(place.seen[1:], states, states[2:], strict=False):
        for port in (before - ports) - after:
            if of_port[port].was_good(at):
                found.append(f"storm: {of_port[port].host} was removed, and is healthy")
    return found
