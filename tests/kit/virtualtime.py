"""An event loop whose clock jumps to whatever is due next: an hour takes a moment.

Whatever it waits for must be timers and futures, no sockets and no threads.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _Selector(selectors.DefaultSelector):
    """Never waits: it moves the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is due, ever: the program under test hangs")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a clock of its own."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Seconds since it began."""
        return self._virtual.now


def run(program: Callable[[VirtualLoop], Awaitable[_Result]]) -> _Result:
    """Run a program to its end, on virtual time."""
    loop = VirtualLoop()
    try:

        async def main() -> _Result:
            return await program(loop)

        return loop.run_until_complete(main())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
