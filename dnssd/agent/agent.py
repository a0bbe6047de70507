"""All services of a host, from the agent's start to its end."""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from dnssd.agent.around import Around
from dnssd.agent.identity import Clocks, Identity
from dnssd.agent.loop import ServiceAgent
from dnssd.agent.plain import AddressPublication
from dnssd.agent.publication import Publication
from dnssd.agent.service import Offer, PlainAddress
from dnssd.agent.wishes import OUT
from dnssd.deadline import Deadline
from dnssd.errors import DnssdError
from dnssd.hosts import lifecycle
from dnssd.hosts.lifecycle import Notice

LEAVE = 18.0  # seconds for all services to leave at the end
MOMENT = 3.0  # seconds that a write under way may still take
LOOKING = 10.0  # seconds between looks at the clocks
NOTICES = 5.0  # seconds between looks at what EC2 is about to do
HOOK = 30.0  # seconds to complete a lifecycle hook

_log = logging.getLogger("dnssd.agent")


class Agent:
    """Looks after a host's services until it is told to end.

    Args:
        services: Which.
        around: What it acts by.
        hook: The lifecycle hook to complete once this host has left, `[GROUP/]HOOK`.
        environ: The process's environment.
    """

    def __init__(
        self,
        services: Iterable[Offer],
        around: Around,
        *,
        hook: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._around = around
        self._hook = hook
        self._environ = environ
        self._locks: dict[str, asyncio.Lock] = {}
        self._identities: dict[tuple[str | None, str | None], Identity] = {}
        self._tasks: dict[ServiceAgent, asyncio.Task[None]] = {}
        self._services = tuple(services)
        self._notice = Notice()
        self._leaving: set[asyncio.Task[None]] = set()

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
        watching = [
            asyncio.create_task(self._watch_clocks()),
            asyncio.create_task(self._watch_ec2()),
        ]
        try:
            await ending.wait()
        finally:
            for task in watching:
                task.cancel()
            await self._around.writer.settle(MOMENT)
            await self._stop(self._tasks)

    async def leave(self, drain: bool) -> None:
        """Take every service out, once what is being written has had its moment."""
        await self._around.writer.settle(MOMENT)
        if drain:
            await asyncio.gather(*(agent.drain(agent.service.drain) for agent in self._tasks))
        await asyncio.gather(*(agent.leave(LEAVE) for agent in self._tasks))

    async def part(self) -> None:
        """Leave every service in DNS, with no agent that answers for it."""
        await self._around.writer.settle(MOMENT)
        await asyncio.gather(*(agent.part(LEAVE) for agent in self._tasks))

    async def reload(self, services: Iterable[Offer]) -> None:
        """Look after these from now on: only what has changed is touched."""
        wanted = {service.key: service for service in services}
        gone = [agent for agent in self._tasks if agent.service.key not in wanted]
        await self._stop(gone)
        for agent in gone:
            del self._tasks[agent]
            leaving = asyncio.create_task(agent.leave(LEAVE))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        kept = {agent.service.key: agent for agent in self._tasks}
        for key, service in wanted.items():
            if key not in kept:
                self._add(service)
            elif kept[key].service != service:
                kept[key].become(service)

    def _add(self, service: Offer) -> None:
        who = service.host, service.cloud
        identity = self._identities.setdefault(who, Identity(self._around.writer, *who))
        publishes = AddressPublication if isinstance(service, PlainAddress) else Publication
        publications = [
            publishes(
                service,
                zone,
                identity,
                self._locks.setdefault(zone, asyncio.Lock()),
                self._around,
            )
            for zone in service.zones
        ]
        agent = ServiceAgent(service, identity, publications, self._around)
        agent.let("in" if self._notice.takes_part else "out")
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

    async def _watch_ec2(self) -> None:
        """Follow what EC2 says of this instance; elsewhere end."""
        if not await self._is_on_ec2():
            return
        ask: Callable[[Deadline], Notice] = partial(lifecycle.notice, self._environ)
        completed = False
        while True:
            try:
                notice = await asyncio.to_thread(ask, Deadline(NOTICES))
            except DnssdError:
                notice = self._notice  # as it was
            if notice != self._notice:
                _log.info("EC2: %s", notice)
                completed = False
                former, self._notice = self._notice, notice
                await self._follow(former, notice)
            if self._hook and notice.target and not notice.takes_part and not completed:
                completed = await self._complete_hook()
            await asyncio.sleep(NOTICES)

    async def _is_on_ec2(self) -> bool:
        while not self._identities:
            await asyncio.sleep(LOOKING)
        identity = next(iter(self._identities.values()))
        while True:
            try:
                return bool((await identity.facts())["cloud"] == "ec2")
            except DnssdError:
                await asyncio.sleep(NOTICES)

    async def _follow(self, former: Notice, notice: Notice) -> None:
        """Take part or not, as EC2 has it now."""
        if notice.takes_part:
            for agent in self._tasks:
                agent.let("drained" if notice.rebalance else "in")
            return
        if former.takes_part and not notice.interrupted:
            await asyncio.gather(*(agent.drain(agent.service.drain) for agent in self._tasks))
        for agent in self._tasks:
            agent.let("out")

    async def _complete_hook(self) -> bool:
        """Let Auto Scaling go on, once every service has left; whether that is done."""
        publications = [p for agent in self._tasks for p in agent.publications]
        if any(publication.done != OUT for publication in publications):
            return False
        identity = next(iter(self._identities.values()))
        try:
            facts = await identity.facts()
            await self._around.writer.ask("complete-hook", HOOK, hook=self._hook, facts=facts)
        except DnssdError as error:
            _log.warning("lifecycle hook %s: %s; it is tried again", self._hook, error)
            return False
        _log.info("lifecycle hook %s: completed", self._hook)
        return True
