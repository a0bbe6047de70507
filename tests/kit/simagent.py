"""Agents on a virtual clock, over a zone in memory: real plans and writes, made-up services.

async def story(world: World) -> None:
agent = await world.agent(service("web", 80))
await world.until(lambda: world.published() == {80})

run(story)
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from dnssd.agent import operations
from dnssd.agent.agent import Agent
from dnssd.agent.around import Around
from dnssd.agent.own import Published, Seen
from dnssd.agent.service import Offer, Service
from dnssd.checks import Check, Result, Verdict
from dnssd.deadline import Deadline
from dnssd.errors import Unavailable
from dnssd.hosts import HostFacts
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Srv, Txt
from dnssd.registration.operation import Operation
from dnssd.zones.memory import MemoryZone
from kit import virtualtime
from kit.virtualtime import VirtualLoop

ORIGIN = Name.parse("example.test.")
NAME = Name.parse("web._http._tcp.example.test.")
FACTS = HostFacts("i-0", ("10.0.0.5",), (), "name/i-0", "a test")
BEGIN = datetime(2026, 11, 28, tzinfo=UTC)
PATIENCE = 200_000.0  # virtual seconds until a story gives up
ANSWER = 0.3  # virtual seconds that each operation takes


def service(port: int, **others: Any) -> Service:
    """A service of the instance web, on a port."""
    return Service(service="http", instance="web", port=port, zones=("example.test",), **others)


class World:
    """What is around the agents, and what the zone holds.

    Attributes:
        zone: The zone.
        verdicts: What probes of a port find; what is not there passes.
        api_works: Whether what is written arrives.
        dns_works: Whether name servers answer.
        asked: The operations that were asked for, and when.
    """

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.loop = loop
        self.zone = MemoryZone(ORIGIN)
        self.verdicts: dict[int, Verdict] = {}
        self.looks: list[float] = []  # when agents have asked DNS
        self.api_works = self.dns_works = True
        self.asked: list[tuple[float, str]] = []
        self.spent: Counter[tuple[str, str]] = Counter()
        self.starts = 0
        self._under_way = 0
        self._rng = random.Random(seed)
        self.ending = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def agent(self, *services: Offer) -> Agent:
        """One that has begun."""
        agent = Agent(services, self.around(), environ={})
        self.tasks.append(asyncio.create_task(agent.run(self.ending)))
        await asyncio.sleep(0)
        return agent

    async def restart(self, *services: Offer) -> Agent:
        """What runs dies, and another one begins in a while."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()
        await asyncio.sleep(100)
        return await self.agent(*services)

    def now(self) -> datetime:
        """The time of day."""
        return BEGIN + timedelta(seconds=self.loop.time())

    def member(self, port: int) -> Member:
        """The member of a port, by its record."""
        label = f"i-0-{port}".encode()
        (txt,) = self.zone.states[-1][NAME.child(label), "TXT"].values
        assert isinstance(txt, Txt)
        return Member.from_txt(label, txt)

    def around(self) -> Around:
        """What its agents act by."""
        return Around(self, self.look, self.probe, self._rng.random, self.loop.time)

    async def probe(self, check: Check, timeout: float) -> Result:
        """What a check finds."""
        return Result(self.verdicts.get(check.port, "pass"), f"port {check.port}")

    async def ask(self, op: str, deadline: float, **details: Any) -> dict[str, Any]:
        """Carry out a request, as the process that writes would."""
        if op == "identify":
            label = details["host"] or "i-0"
            return {
                "label": label,
                "private": ["10.0.0.5"],
                "public": [],
                "owner": f"name/{label}",
                "source": "a test",
                "cloud": "plain",
                "region": None,
                "zone": None,
            }
        self.asked.append((self.loop.time(), op))
        self._under_way += 1
        try:
            await asyncio.sleep(ANSWER if self.api_works else deadline)
        finally:
            self._under_way -= 1
        if not self.api_works:
            raise Unavailable("the API is down")
        with self._opened():
            return operations.OPERATIONS[op]({"deadline": deadline, **details})

    async def warm(self) -> None:
        """Nothing to load."""

    async def settle(self, seconds: float) -> None:
        """Wait for what is under way."""
        ends = self.loop.time() + seconds
        while self._under_way and self.loop.time() < ends:
            await asyncio.sleep(0.05)

    async def look(self, nameservers: Sequence[str], own: Published) -> Seen:
        """What DNS shows: the zone as it is."""
        self.looks.append(self.loop.time())
        if not self.dns_works:
            raise Unavailable("no name server answers")
        records = self.zone.states[-1]
        txt = records.get((own.record, "TXT"))
        found = (records.get((own.name, kind)) for kind in own.types)
        return Seen(
            next((v for v in txt.values if isinstance(v, Txt)), None) if txt else None,
            frozenset(value for rrset in found if rrset for value in rrset.values),
        )

    def weights(self) -> dict[int, int]:
        """The weight of each port that is in DNS."""
        rrset = self.zone.states[-1].get((NAME, "SRV"))
        return {v.port: v.weight for v in rrset.values if isinstance(v, Srv)} if rrset else {}

    def published(self) -> set[int]:
        """The ports that are in DNS."""
        return set(self.weights())

    def addresses(self, name: Name) -> set[str]:
        """The addresses at a name."""
        found = (self.zone.states[-1].get((name, kind)) for kind in ("A", "AAAA"))
        return {value.format() for rrset in found if rrset for value in rrset.values}

    def lose_everything(self) -> None:
        """Somebody makes the zone anew."""
        self.zone.states.append({})

    async def until(self, holds: Callable[[], bool]) -> float:
        """Wait until something holds; how many seconds that took."""
        began = self.loop.time()
        while not holds():
            assert self.loop.time() - began < PATIENCE, "it never happens"
            await asyncio.sleep(0.1)
        return self.loop.time() - began

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            deadline = Deadline(1e9, sleep=lambda seconds: None)
            patch.setattr(operations, "_opened", lambda request: (self.zone, deadline))
            patch.setattr(operations, "Operation", partial(Operation, now=self.now))
            yield


def run(story: Callable[[World], Awaitable[None]], seed: int = 0) -> None:
    """Tell a story on virtual time."""

    async def main(loop: VirtualLoop) -> None:
        world = World(loop, seed)
        try:
            await story(world)
        finally:
            world.ending.set()
            await asyncio.gather(*world.tasks)

    virtualtime.run(main)
