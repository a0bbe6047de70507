"""Many agents at one zone, on a virtual clock, with most of the API's answers broken."""

import asyncio
import random

import pytest

from dnssd.agent.health import Rules
from kit import simfleet
from kit.simfleet import FOREIGN, Fleet

HOSTS = range(100, 130)


@pytest.mark.parametrize("seed", [0, 23])  # 23: a leave fails half done, wanted no more
def test_an_hour_of_broken_answers_loses_nobody(seed: int) -> None:
    """Hosts join, flap, die, come back and leave while 70 % of all answers are broken.

    After every change the foreign value is there, and whoever is healthy and had joined; in
    the end exactly the healthy ones are.
    """

    async def story(fleet: Fleet) -> None:
        dice = random.Random(seed)
        fleet.broken = 0.7
        start_all(fleet)
        for _ in range(360):
            await asyncio.sleep(10)
            await happens(fleet, dice.choice(HOSTS), dice)
        fleet.broken = 0.0
        start_all(fleet)
        await asyncio.sleep(1000)
        healthy = {n for n in HOSTS if fleet.verdicts.get(n, "pass") == "pass"}
        assert fleet.published() == healthy | {FOREIGN.port}
        await fleet.end()
        assert fleet.published() == {FOREIGN.port}
        assert fleet.wrong == []
        assert fleet.changes > 200  # and not all of them broken

    simfleet.run(story, seed)


def start_all(fleet: Fleet) -> None:
    """Whoever does not run starts."""
    for number in set(HOSTS) - fleet.running:
        fleet.join(number, interval=10.0, rules=Rules(1, 2, 0))


async def happens(fleet: Fleet, number: int, dice: random.Random) -> None:
    """Something, to one host."""
    if number not in fleet.running:
        fleet.join(number, interval=10.0, rules=Rules(1, 2, 0))
    elif dice.random() < 0.5:
        fleet.verdicts[number] = dice.choice(["pass", "fail"])
    elif dice.random() < 0.5:
        await fleet.kill(number)
    else:
        await fleet.leave(number)
