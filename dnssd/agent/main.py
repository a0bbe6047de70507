"""What an agent's process does, from its start to its end.

SIGTERM, SIGINT   drain and leave, then end; a second one ends a drain
SIGQUIT           leave at once, then end
SIGHUP            read the configuration again
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack

from dnssd.agent import agentcheck, metrics, systemd
from dnssd.agent.agent import LEAVE, MOMENT, Agent
from dnssd.agent.around import Around
from dnssd.agent.service import LeaveOnExit, Settings
from dnssd.agent.systemd import Notifier
from dnssd.agent.writing import Writer
from dnssd.errors import DnssdError

STATUS = 1.0  # seconds between looks at what to tell systemd

_log = logging.getLogger("dnssd.agent")

Reload = Callable[[], Settings]


def live(settings: Settings, *, reload: Reload | None = None, parent: int | None = None) -> bool:
    """Look after the services until told to end.

    Args:
        settings: What to do.
        reload: Reads the configuration again; without it SIGHUP is ignored.
        parent: A file descriptor that ends when the process beside this one has ended, which
            is to leave at once.

    Returns:
        Whether it ended by SIGINT.

    Raises:
        Unavailable: A port cannot be had.
    """
    return asyncio.run(_Life(settings, reload).run(parent))


class _Life:
    """One agent, and what it is told by signals.

    Args:
        settings: What to do.
        reload: Reads the configuration again.
    """

    def __init__(self, settings: Settings, reload: Reload | None) -> None:
        self._settings = settings
        self._reload = reload
        self._notifier = Notifier(os.environ)
        self._ending, self._hurry = asyncio.Event(), asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None
        self._interrupted = False
        self._writer = Writer()
        self._agent = Agent(settings.services, Around(self._writer), hook=settings.complete_hook)
        self._checks = AsyncExitStack()

    async def run(self, parent: int | None) -> bool:
        """From start to end."""
        self._listen_to_signals(parent)
        async with AsyncExitStack() as running:
            if self._settings.metrics is not None:
                page = await metrics.serve(self._settings.metrics, self._agent, self._writer)
                await running.enter_async_context(page)
            living = asyncio.create_task(self._agent.run(self._ending))
            await asyncio.sleep(0)  # its services are there now
            await self._answer_haproxy()
            for telling in self._tellings():
                running.callback(asyncio.create_task(telling).cancel)
            await living
            self._notifier.tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={self._end_takes() * 1e6:.0f}")
            if await is_to_leave(self._settings.leave_on_exit, alone=parent is None):
                await self._leave()
            elif not await systemd.is_restarting():
                await self._agent.part()
            await self._checks.aclose()
            await self._writer.close()
        return self._interrupted

    def _listen_to_signals(self, parent: int | None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._read_again)
        if parent is not None:
            loop.add_reader(parent, self._parent_ended, parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _end(self, number: int) -> None:
        if self._ending.is_set() or number == signal.SIGQUIT:
            self._hurry.set()
        self._interrupted |= number == signal.SIGINT
        self._ending.set()

    def _parent_ended(self, parent: int) -> None:
        asyncio.get_running_loop().remove_reader(parent)
        os.close(parent)
        self._end(signal.SIGQUIT)

    async def _leave(self) -> None:
        """Drain and leave; when there is hurry, leave without."""
        if not self._hurry.is_set():
            leaving = asyncio.create_task(self._agent.leave(drain=True))
            hurrying = asyncio.create_task(self._hurry.wait())
            await asyncio.wait((leaving, hurrying), return_when=asyncio.FIRST_COMPLETED)
            hurrying.cancel()
            if leaving.done():
                return await leaving
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        await self._agent.leave(drain=False)

    def _end_takes(self) -> float:
        """Seconds, at most: systemd waits for a drain if it knows of one."""
        drain = max((service.drain for service in self._settings.services), default=0.0)
        return drain + LEAVE + 2 * MOMENT + STATUS

    def _read_again(self) -> None:
        if self._reload and not (self._reloading and not self._reloading.done()):
            self._reloading = asyncio.create_task(self._apply(self._reload))

    async def _apply(self, reload: Reload) -> None:
        self._notifier.tell("RELOADING=1")
        try:
            settings = await asyncio.to_thread(reload)
            await self._agent.reload(settings.services)
        except DnssdError as error:
            _log.error("%s; the former configuration stays", error)
        else:
            if self._shows(settings) != self._shows(self._settings):
                _log.warning("metrics: another port or file takes a restart")
            self._settings = settings
            await self._answer_haproxy()
            _log.info("configuration read: %d services", len(settings.services))
        self._notifier.tell("READY=1")

    @staticmethod
    def _shows(settings: Settings) -> tuple[object, ...]:
        return settings.metrics, settings.metrics_file

    async def _answer_haproxy(self) -> None:
        """Answer on the ports that the services have for it, and on no other."""
        await self._checks.aclose()
        for agent in self._agent.services:
            if agent.service.haproxy_agent is not None:
                server = await agentcheck.serve(agent.service.haproxy_agent, agent)
                self._checks.callback(server.close)

    def _tellings(self) -> Iterator[Coroutine[None, None, None]]:
        yield self._tell()
        if self._settings.metrics_file is not None:
            yield metrics.keep_file(self._settings.metrics_file, self._agent, self._writer)

    async def _tell(self) -> None:
        """Tell systemd how things are, until cancelled."""
        self._notifier.tell("READY=1")
        watched = asyncio.create_task(self._notifier.keep_watched())
        try:
            while True:
                self._notifier.status(summary(self._agent))
                await asyncio.sleep(STATUS)
        finally:
            watched.cancel()


def summary(agent: Agent) -> str:
    """How an agent's services are, in a line."""
    states = [each.health.state for each in agent.services]
    told = [f"{states.count(state)} {state}" for state in metrics.STATES if state in states]
    held = sum(p.held for each in agent.services for p in each.publications)
    troubles = [p.trouble for each in agent.services for p in each.publications if p.trouble]
    parts = [", ".join(told) or "no services"]
    parts += [f"{held} kept out on purpose"] if held else []
    parts += [troubles[0]] if troubles else []
    return "; ".join(parts)


async def is_to_leave(when: LeaveOnExit, *, alone: bool) -> bool:
    """Whether the services go out with the agent.

    Args:
        when: As it is configured.
        alone: Whether the services run on without it: then not where systemd only restarts it.
    """
    if when == "always":
        return not (alone and await systemd.is_restarting())
    return when == "shutdown" and await systemd.is_going_down()
