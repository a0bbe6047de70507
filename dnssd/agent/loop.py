"""The agent: for each service probe, judge, and publish or take out."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from dnssd.agent.around import Around
from dnssd.agent.health import Health
from dnssd.agent.identity import Identity
from dnssd.agent.load import Load
from dnssd.agent.loads import Weight
from dnssd.agent.publication import Publication
from dnssd.agent.service import Offer
from dnssd.agent.wishes import Gate, wish_for
from dnssd.checks import Check, Result
from dnssd.errors import DnssdError

QUICK = 1.0  # seconds between rounds while a service is starting
RETRY = 5.0  # seconds until it is asked again who this host is

_log = logging.getLogger("dnssd.agent")


class ServiceAgent:
    """Looks after one service, or one plain address.

    Args:
        service: Which.
        identity: Who this host is.
        publications: One for each zone.
        around: What it acts by.

    Attributes:
        health: The service's.
        results: The last result of each check, by its URL.
        gate: Whether the host takes part.
        load: 0 for idle to 1 for busy; 0 where it is not followed.
    """

    def __init__(
        self,
        service: Offer,
        identity: Identity,
        publications: Sequence[Publication],
        around: Around,
    ) -> None:
        self.service = service
        self.identity = identity
        self.publications = tuple(publications)
        self.health = Health.start(around.monotonic())
        self.results: dict[str, Result] = {}
        self.gate: Gate = "in"
        self.load = 0.0
        self._around = around
        self._weight = Weight(service.weight)
        self._load = Load(service.load) if service.load else None
        self._warming: asyncio.Task[None] | None = None

    @property
    def said(self) -> str:
        """The last word of the check that decides."""
        return worst_of(self.results.values()).said

    async def run(self) -> None:
        """Probe until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for publication in self.publications:
                tasks.create_task(publication.run())
            await self._probe()

    def become(self, service: Offer) -> None:
        """Look after this from now on: the same service, otherwise described."""
        if service.load != self.service.load:
            self._load = Load(service.load) if service.load else None
            self.load = 0.0
        self.service = service
        self._weight = Weight(service.weight, self._weight.step if self._load else 10)
        for publication in self.publications:
            publication.become(service)
        self.update()

    def let(self, gate: Gate) -> None:
        """Take part, stand behind all others, or stay out."""
        self.gate = gate
        self.update()

    def update(self) -> None:
        """Let the publications know what is wanted now."""
        for publication in self.publications:
            wish = wish_for(self.health, self.gate, self._weight.value)
            publication.wish(None if publication.held else wish)

    async def drain(self, seconds: float) -> None:
        """Stand behind all others until clients know, for so long at most."""
        self.let("drained")
        if seconds and self.health.state == "passing":
            with contextlib.suppress(TimeoutError, DnssdError):
                async with asyncio.timeout(seconds):
                    await asyncio.gather(*(p.drain(seconds) for p in self.publications))

    async def leave(self, deadline: float) -> None:
        """Take it out of every zone, within so many seconds."""
        await asyncio.gather(*(self._end(p, p.leave, deadline) for p in self.publications))

    async def part(self, deadline: float) -> None:
        """Leave it in every zone, without an agent, within so many seconds."""
        await asyncio.gather(*(self._end(p, p.part, deadline) for p in self.publications))

    async def _end(
        self, publication: Publication, end: Callable[[float], Awaitable[None]], deadline: float
    ) -> None:
        try:
            async with asyncio.timeout(deadline):
                await end(deadline)
        except (DnssdError, TimeoutError) as error:
            why = str(error) or f"not done within {deadline:g} s"
            where = f"{self.service.name} in {publication.zone}"
            _log.error("%s: its end is not written: %s; see `dnssd status`", where, why)

    async def _addresses(self) -> tuple[str, ...]:
        """This host's own, once they are known."""
        while True:
            try:
                return tuple((await self.identity.facts())["private"])
            except DnssdError as error:
                _log.warning("this host's identity: %s; it is asked again", error)
                await asyncio.sleep(RETRY)

    async def _probe(self) -> None:
        while True:
            checks = self.service.checks_at(await self._addresses())
            started = self._around.monotonic()
            self._heard(await self._round(checks))
            await self._look_at_load()
            starting = self.health.state == "starting"
            interval = min(QUICK, self.service.interval) if starting else self.service.interval
            pause = interval * (0.9 + self._around.draw() / 5) - (
                self._around.monotonic() - started
            )
            await asyncio.sleep(max(0.0, pause))

    async def _round(self, checks: Sequence[Check]) -> dict[str, Result]:
        """The results of all checks, probed at once, by URL."""
        timeout = self.service.timeout
        results = await asyncio.gather(*(self._around.probe(each, timeout) for each in checks))
        return {check.url: result for check, result in zip(checks, results, strict=True)}

    async def _look_at_load(self) -> None:
        if self._load:
            self.load = await self._load.read()
            members = max(publication.members for publication in self.publications)
            self._weight.heard(self.load, self._around.monotonic(), members)
            self.update()

    def _heard(self, results: dict[str, Result]) -> None:
        self.results = results
        worst = worst_of(results.values())
        former = self.health.state
        self.health = self.health.heard(worst.verdict, self._around.monotonic(), self.service.rules)
        if self.health.state != former:
            level = logging.WARNING if self.health.state == "failing" else logging.INFO
            _log.log(level, "%s: %s: %s", self.service.name, self.health.state, worst.said)
        elif self.health.is_about_to_change(self.service.rules) and not self._warming:
            self._warming = asyncio.create_task(self._warm())
        self.update()

    async def _warm(self) -> None:
        await self._around.writer.warm()
        self._warming = None


def worst_of(results: Iterable[Result]) -> Result:
    """The result that decides: all must pass, and maintenance is somebody's wish."""
    order = {"maintenance": 0, "fail": 1, "pass": 2}
    return min(results, key=lambda r: order[r.verdict], default=Result("pass", "no check"))
