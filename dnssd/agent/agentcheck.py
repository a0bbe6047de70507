"""HAProxy's agent-check: a word of each service's state and load, by the second and unwritten.

HAProxy connects to a port now and then, and reads one line (configuration.txt, "agent-check"):

    up ready 75%    healthy, and worth three quarters of its weight
    drain           on its way out: no new connections
    maint           in maintenance, or kept out on purpose
    down #WHY       its checks fail
"""

import asyncio
from contextlib import suppress

from dnssd.agent.health import State
from dnssd.agent.loop import ServiceAgent
from dnssd.agent.metrics import listen
from dnssd.agent.wishes import Gate

ANYWHERE = None  # proxies are on other hosts


def word_for(state: State, gate: Gate, load: float, said: str) -> str:
    """What HAProxy is told.

    Args:
        state: Of the service's health.
        gate: Whether the host takes part.
        load: 0 for idle to 1 for busy.
        said: The last word of the check that decides.
    """
    if gate != "in":
        return "drain"
    if state == "maintenance":
        return "maint"
    if state == "passing":
        return f"up ready {max(1, round(100 * (1 - load)))}%"
    why = "".join(char for char in said if " " <= char <= "~")[:60]
    return f"down #{'starting' if state == 'starting' else why}"


async def serve(port: int, agent: ServiceAgent) -> asyncio.Server:
    """Answer HAProxy about one service.

    Raises:
        Unavailable: The port cannot be had.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word = word_for(agent.health.state, agent.gate, agent.load, agent.said)
        with suppress(OSError):
            writer.write(word.encode("ascii") + b"\n")
            await writer.drain()
        writer.close()

    return await listen(port, answer, ANYWHERE)
