"""A fleet of agents at one zone whose answers are broken, on a virtual clock.

Each write of each agent is real, one request at a time, in between those of the others. Every
change of the zone is checked at once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import pytest

from dnssd.agent import operations
from dnssd.agent.agent import Agent
from dnssd.agent.loop import ServiceAgent
from dnssd.deadline import Deadline
from dnssd.errors import DnssdError, Unavailable
from dnssd.records import Rdata, Srv
from dnssd.registration.operation import Operation
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Question
from dnssd.zones.memory import MemoryZone
from kit import virtualtime
from kit.interleaving import Actor, Fate, Stepped
from kit.simagent import NAME, ORIGIN, World, service
from kit.virtualtime import VirtualLoop

FOREIGN = Srv(0, 1, 8080, ORIGIN.child(b"elsewhere"))
ROUND_TRIP = 0.05  # virtual seconds of a request


class Fleet(World):
    """Agents, each on a host of its own, with one service whose port is the host's number.

    Attributes:
        broken: Share of the API's answers that are broken: half of those are refusals, which
            are tried again, and half are answers that nobody gets.
        changes: How often the zone has changed.
        wrong: What such a change did that none may do.
    """

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        super().__init__(loop, seed)
        self.zone = _Watched(self)
        self.broken = 0.0
        self.changes = 0
        self.wrong: list[str] = []
        self._dice = random.Random(seed)
        self._running: dict[int, tuple[Agent, asyncio.Event, asyncio.Task[None]]] = {}

    def join(self, number: int, **others: Any) -> None:
        """A host starts."""
        ending = asyncio.Event()
        agent = Agent([service(number, host=f"h{number}", **others)], self.around(), environ={})
        task = asyncio.create_task(agent.run(ending))
        self._running[number] = agent, ending, task

    async def leave(self, number: int) -> None:
        """A host stops: it leaves, as long as it may."""
        agent, ending, task = self._running.pop(number)
        ending.set()
        await task
        await agent.leave(drain=False)

    async def kill(self, number: int) -> None:
        """A host's agent dies; its service runs on."""
        _, _, task = self._running.pop(number)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def end(self) -> None:
        """All stop."""
        await asyncio.gather(*map(self.leave, list(self._running)))

    @property
    def running(self) -> AbstractSet[int]:
        """The hosts that have started and not stopped."""
        return self._running.keys()

    def check(self, former: Collection[Rdata], values: Collection[Rdata]) -> None:
        """After each change: nothing foreign is gone, and nobody healthy is out for two folds."""
        self.changes += 1
        if FOREIGN not in values:
            self.wrong.append(f"change {self.changes}: a foreign value was removed")
        there = {value.port for value in (*former, *values) if isinstance(value, Srv)}
        for number, (agent, _, _) in self._running.items():
            if number not in there and _is_settled(agent.services):
                self.wrong.append(f"change {self.changes}: h{number} was removed")

    async def ask(self, op: str, deadline: float, **details: Any) -> dict[str, Any]:
        """Carry out a request of an agent, one step after the other."""
        if op == "identify":
            return await super().ask(op, deadline, **details)
        ends = self.loop.time() + deadline
        slept = [0.0]
        within = Deadline(
            deadline,
            monotonic=lambda: self.loop.time() + slept[0],
            sleep=lambda seconds: slept.__setitem__(0, slept[0] + seconds),
            draw=self._dice.random,
        )
        request = {"op": op, "deadline": deadline, **details}

        def work(zone: Stepped) -> object:
            operation = Operation(zone, within, now=self.now)
            return operations.OPERATIONS[op](request | {"operation": operation})

        actor = Actor(self.zone, work)
        while not actor.done:
            await asyncio.sleep(ROUND_TRIP + self._refused() + slept[0])
            slept[0] = 0.0
            late = self.loop.time() >= ends
            actor.step(Fate.KILLED_BEFORE if late else self._fate())
        if isinstance(actor.result, DnssdError):
            raise actor.result
        if isinstance(actor.result, BaseException):
            raise Unavailable("no answer in time")
        assert isinstance(actor.result, dict)
        return actor.result

    def _refused(self) -> float:
        """Seconds until a request is not refused."""
        seconds, tries = 0.0, 0
        while self._dice.random() < self.broken / 2:
            seconds += self._dice.random() * min(30.0, 2.0**tries)
            tries += 1
        return seconds

    def _fate(self) -> Fate:
        if self._dice.random() < self.broken / 2:
            return self._dice.choice((Fate.LOST_BEFORE, Fate.LOST_AFTER))
        return Fate.FAIR


class _Watched(MemoryZone):
    """A zone that has each of its changes checked."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(ORIGIN, (RRset(NAME, "SRV", 60, (FOREIGN,)),))
        self._fleet = fleet

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, *, absent: Collection[Question] = ()
    ) -> str:
        """See `Zone.commit`."""
        answer = super().commit(changes, deadline, absent=absent)
        former, now = (state.get((NAME, "SRV")) for state in self.states[-2:])
        self._fleet.check(former.values if former else (), now.values if now else ())
        return answer


def _is_settled(agents: Sequence[ServiceAgent]) -> bool:
    """Whether a host's service is healthy, and its agent believes it to be in DNS."""
    return all(
        agent.health.state == "passing" and publication.is_settled
        for agent in agents
        for publication in agent.publications
    )


def run(story: Callable[[Fleet], Awaitable[None]], seed: int) -> None:
    """Tell a story on virtual time."""

    async def main(loop: VirtualLoop) -> None:
        fleet = Fleet(loop, seed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(operations, "_begun", lambda request: request["operation"])
            try:
                await story(fleet)
            finally:
                fleet.broken = 0.0
                await fleet.end()

    virtualtime.run(main)
