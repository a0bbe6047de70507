"""The thread behind a `Resolver`: asks, refreshes, and hands snapshots over."""

import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from dnssd.errors import Unavailable
from dnssd.resolver.engine import Engine
from dnssd.wire.loop import Loop, SelectLoop

_log = logging.getLogger(__name__)

CHECK = 1.0  # seconds between looks whether the thread still lives, while waiting for it


class Worker:
    """An engine in a thread of its own.

    Args:
        make: Makes the engine.
        monotonic: The clock, in seconds.

    Raises:
        Unavailable: The system has no descriptor or no thread left for it.
    """

    def __init__(
        self,
        make: Callable[[Loop], Engine],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = SelectLoop(monotonic)
        self.engine = make(self._loop)
        self._thread = threading.Thread(
            target=self._run,
            name="dnssd-resolver",
            daemon=True,
        )
        try:
            self._thread.start()
        except RuntimeError as error:
            self.abandon()
            what = f"the resolver cannot start: {error}; raise the limits of this process"
            raise Unavailable(what) from error

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive() and not self._loop.is_stopped

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Have the thread call a function; do not wait for it."""
        self._loop.post(function, *args)

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Have the thread call a function, and wait until it has.

        Raises:
            Unavailable: The thread has ended meanwhile.
        """

        def call(done: Callable[[None], object]) -> None:
            function(*args)
            done(None)

        self.wait(call)

    def wait(self, function: Callable[..., object], *args: object) -> Any:
        """Have the thread call a function, and wait until that calls back.

        Args:
            function: Gets, behind `args`, what to call with the result.
            args: For it.

        Raises:
            Exception: That was the result, or what the function has raised.
            Unavailable: The thread has ended meanwhile, or is the caller: a log handler that
                looks up where to send what this very thread logs would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise Unavailable("the resolver's own thread cannot wait for it; use another thread")
        results: SimpleQueue[object] = SimpleQueue()
        self._loop.post(function, *args, results.put, failed=results.put)
        while True:
            is_alive = self.is_alive
            try:
                result = results.get(timeout=CHECK if is_alive else 0)
                break
            except Empty:
                if not is_alive:
                    what = "the resolver was closed while it was in use; ask again"
                    raise Unavailable(what) from None
        if isinstance(result, Exception):
            raise result
        return result

    def stop(self, patience: float | None = None) -> None:
        """End the thread, which frees what it holds.

        Args:
            patience: Seconds to wait for that; None for as long as it takes.
        """
        self._loop.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(patience)

    def abandon(self) -> None:
        """Free what a process inherited whose parent goes on using it: it has no thread here.

        The loop goes first: what is then closed is not taken out of the parent's selector.
        """
        self._loop.close()
        self.engine.close()

    def _run(self) -> None:
        try:
            self._loop.run(at_last=self._end)
        except Unavailable as error:
            _log.error("%s", error)

    def _end(self) -> None:
        self.engine.close()
        self._loop.close()
