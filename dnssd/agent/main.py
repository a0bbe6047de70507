"""What an agent's process does, from its start to its end."""

import asyncio
import logging
import os
import signal
from collections.abc import Sequence

from dnssd.agent.loop import Agent
from dnssd.agent.service import Service
from dnssd.agent.writing import Writer

_log = logging.getLogger("dnssd.agent")


def beside_a_command(services: Sequence[Service], pipe: int) -> None:
    """Look after services until told to leave by a signal, or by the end of `pipe`.

    SIGTERM drains and leaves, SIGQUIT leaves at once.
    """
    asyncio.run(_beside(services, pipe))


async def _beside(services: Sequence[Service], pipe: int) -> None:
    loop = asyncio.get_running_loop()
    ending, hurry = asyncio.Event(), asyncio.Event()

    def end(now: bool) -> None:
        if now:
            hurry.set()
        ending.set()

    def end_with_parent() -> None:
        loop.remove_reader(pipe)
        os.close(pipe)
        end(now=True)

    for number, now in ((signal.SIGTERM, False), (signal.SIGQUIT, True)):
        loop.add_signal_handler(number, end, now)
    loop.add_reader(pipe, end_with_parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    writer = Writer()
    agent = Agent(services, writer)
    await agent.run(ending)
    await _leave(agent, hurry)
    await writer.close()


async def _leave(agent: Agent, hurry: asyncio.Event) -> None:
    """Drain and leave; when there is hurry, leave without."""
    if not hurry.is_set():
        leaving = asyncio.create_task(agent.leave(drain=True))
        hurrying = asyncio.create_task(hurry.wait())
        await asyncio.wait((leaving, hurrying), return_when=asyncio.FIRST_COMPLETED)
        hurrying.cancel()
        if leaving.done():
            await leaving
            return
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    await agent.leave(drain=False)
