"""The agent: for each service probe, judge, and publish or take out."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence

from dnssd.agent import own
from dnssd.agent.health import Health
from dnssd.agent.identity import Clocks, Identity
from dnssd.agent.publication import Publication
from dnssd.agent.service import Service
from dnssd.agent.wishes import Gate, wish_for
from dnssd.agent.writing import Writer
from dnssd.checks import Check, Result
from dnssd.errors import DnssdError
from dnssd.probes import probe

QUICK = 1.0  # seconds between rounds while a service is starting
LEAVE = 18.0  # seconds for all services to leave at the end
MOMENT = 3.0  # seconds of that which a write under way may still take
LOOKING = 10.0  # seconds between looks at the clocks
RETRY = 5.0  # seconds until it is asked again who this host is

_log = logging.getLogger("dnssd.agent")


class ServiceAgent:
    """Looks after one service.

    Args:
        service: Which.
        identity: Who this host is.
        publications: One for each zone.
        draw: Gives a random number in [0, 1).
        monotonic: The clock, in seconds.

    Attributes:
        health: The service's.
        results: The last result of each check.
    """

    def __init__(
        self,
        service: Service,
        identity: Identity,
        publications: Sequence[Publication],
        writer: Writer,
        *,
        draw: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.service = service
        self.identity = identity
        self.publications = tuple(publications)
        self.health = Health.start(monotonic())
        self.results: dict[str, Result] = {}
        self.gate: Gate = "in"
        self.weight = service.weight
        self._writer = writer
        self._draw = draw
        self._monotonic = monotonic
        self._warming: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for publication in self.publications:
                tasks.create_task(publication.run())
            await self._probe(await self._checks())

    def update(self) -> None:
        """Let the publications know what is wanted now."""
        for publication in self.publications:
            wish = wish_for(self.health, self.gate, self.weight)
            publication.wish(None if publication.held else wish)

    async def leave(self, drain: float, deadline: float) -> None:
        """Take it out of every zone, after a drain if there is time for one."""
        await asyncio.gather(*(self._leave(p, drain, deadline) for p in self.publications))

    async def _leave(self, publication: Publication, drain: float, deadline: float) -> None:
        try:
            if drain and self.health.state == "passing":
                with contextlib.suppress(TimeoutError, DnssdError):
                    async with asyncio.timeout(drain):
                        await publication.drain(drain)
            await publication.leave(deadline)
        except DnssdError as error:
            _log.error("%s in %s: it has not left: %s", self.service.name, publication.zone, error)

    async def _checks(self) -> tuple[Check, ...]:
        """What to probe, once it is known at which address."""
        while True:
            try:
                facts = await self.identity.facts()
            except DnssdError as error:
                _log.warning("this host's identity: %s; it is asked again", error)
                await asyncio.sleep(RETRY)
                continue
            return self.service.checks_at(tuple(facts["private"]))

    async def _probe(self, checks: Sequence[Check]) -> None:
        while True:
            started = self._monotonic()
            self._heard(await round_of(checks, self.service.timeout))
            starting = self.health.state == "starting"
            interval = min(QUICK, self.service.interval) if starting else self.service.interval
            pause = interval * (0.9 + self._draw() / 5) - (self._monotonic() - started)
            await asyncio.sleep(max(0.0, pause))

    def _heard(self, results: dict[str, Result]) -> None:
        self.results = results
        worst = worst_of(results.values())
        former = self.health.state
        self.health = self.health.heard(worst.verdict, self._monotonic(), self.service.rules)
        if self.health.state != former:
            level = logging.WARNING if self.health.state == "failing" else logging.INFO
            _log.log(level, "%s: %s: %s", self.service.name, self.health.state, worst.said)
        elif self.health.is_about_to_change(self.service.rules) and not self._warming:
            self._warming = asyncio.create_task(self._warm())
        self.update()

    async def _warm(self) -> None:
        await self._writer.warm()
        self._warming = None


async def round_of(checks: Sequence[Check], timeout: float) -> dict[str, Result]:
    """The results of all checks, probed at once, by URL."""
    results = await asyncio.gather(*(probe(check, timeout) for check in checks))
    return {check.url: result for check, result in zip(checks, results, strict=True)}


def worst_of(results: Iterable[Result]) -> Result:
    """The result that decides: all must pass, and maintenance is somebody's wish."""
    order = {"maintenance": 0, "fail": 1, "pass": 2}
    return min(results, key=lambda r: order[r.verdict], default=Result("pass", "no check"))


class Agent:
    """Looks after a host's services until it is told to end.

    Args:
        services: Which.
        writer: Writes.
        look: Asks DNS.
    """

    def __init__(
        self, services: Iterable[Service], writer: Writer, *, look: own.Look = own.look
    ) -> None:
        self._writer = writer
        self._look = look
        self._locks: dict[str, asyncio.Lock] = {}
        self._identities: dict[tuple[str | None, str | None], Identity] = {}
        self._tasks: dict[ServiceAgent, asyncio.Task[None]] = {}
        self._services = tuple(services)

    @property
    def services(self) -> tuple[ServiceAgent, ...]:
        """What it looks after."""
        return tuple(self._tasks)

    async def run(self, ending: asyncio.Event) -> None:
        """Look after the services until `ending`.

        What is being written then has a moment to end; probing stops, and all stays as it is.
        """
        for service in self._services:
            self._add(service)
        watching = asyncio.create_task(self._watch_clocks())
        try:
            await ending.wait()
        finally:
            watching.cancel()
            await self._writer.settle(MOMENT)
            await self._stop(self._tasks)

    async def leave(self, drain: bool) -> None:
        """Take every service out, once what is being written has had its moment."""
        await self._writer.settle(MOMENT)
        await asyncio.gather(
            *(agent.leave(agent.service.drain if drain else 0.0, LEAVE) for agent in self._tasks)
        )

    def _add(self, service: Service) -> None:
        who = service.host, service.cloud
        identity = self._identities.setdefault(who, Identity(self._writer, *who))
        publications = [
            Publication(
                service,
                zone,
                identity,
                self._writer,
                self._locks.setdefault(zone, asyncio.Lock()),
                look=self._look,
            )
            for zone in service.zones
        ]
        agent = ServiceAgent(service, identity, publications, self._writer)
        self._tasks[agent] = asyncio.create_task(agent.run())

    async def _stop(self, agents: Iterable[ServiceAgent]) -> None:
        tasks = [self._tasks[agent] for agent in agents]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch_clocks(self) -> None:
        """After a sleep, or on another network, this host may be called something else."""
        clocks = Clocks()
        while True:
            await asyncio.sleep(LOOKING)
            if not clocks.have_jumped():
                continue
            _log.info("the clock has jumped: asking again who this host is")
            for identity in self._identities.values():
                if await identity.has_changed():
                    for agent in self._tasks:
                        if agent.identity is identity:
                            for publication in agent.publications:
                                publication.again()
