"""200 requests a second, and what came of each."""

import asyncio
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

RATE = 200  # a second
PATIENCE = 5.0  # seconds after which a client gives up


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a request.

    Attributes:
        at: When it began, on the monotonic clock.
        seconds: How long it took.
        server: The port of the server that has answered; nothing where it failed.
    """

    at: float
    seconds: float
    server: str


class Load:
    """Asks HAProxy, from a thread of its own; each request has a connection of its own."""

    def __init__(self, host: str, port: int) -> None:
        self.results: list[Result] = []
        self._place = host, port
        self._is_over = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._is_over = True
        self._thread.join()

    def between(self, begin: float, end: float) -> list[Result]:
        """What began in that time, as far as it is over."""
        return [result for result in tuple(self.results) if begin <= result.at < end]

    async def _run(self) -> None:
        tasks: set[asyncio.Task[None]] = set()
        at = time.monotonic()
        while not self._is_over:
            tasks.add(task := asyncio.create_task(self._ask()))
            task.add_done_callback(tasks.discard)
            at += 1 / RATE
            await asyncio.sleep(max(0.0, at - time.monotonic()))
        await asyncio.gather(*tasks)

    async def _ask(self) -> None:
        at, server = time.monotonic(), ""
        with suppress(OSError, TimeoutError):
            server = await asyncio.wait_for(self._answer(), PATIENCE)
        self.results.append(Result(at, time.monotonic() - at, server))

    async def _answer(self) -> str:
        reader, writer = await asyncio.open_connection(*self._place)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
            head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
            return body if " 200 " in head.partition("\r\n")[0] else ""
        finally:
            writer.close()
