"""The thread behind a `Resolver`: asks, refreshes, and hands snapshots over."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from dnssd.errors import Unavailable
from dnssd.resolver.engine import Engine
from dnssd.wire.loop import Loop, SelectLoop

_Result = TypeVar("_Result")
CHECK = 1.0  # seconds between looks whether the thread still lives, while waiting for it


class Worker:
    """An engine in a thread of its own.

    Args:
        make: Makes the engine.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        make: Callable[[Loop], Engine],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = SelectLoop(monotonic)
        self.engine = make(self._loop)
        self._thread = threading.Thread(target=self._run, name="dnssd-resolver", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self.abandon()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def post(self, function: Callable[[], object]) -> None:
        """Have the thread call a function; do not wait for it."""
        self._loop.post(function)

    def call(self, function: Callable[[], object]) -> None:
        """Have the thread call a function, and wait until it has.

        Raises:
            Unavailable: The thread has ended meanwhile.
        """

        def called(done: Callable[[object], object]) -> None:
            done(function())

        self.wait(called)

    def wait(self, function: Callable[[Callable[[_Result], object]], object]) -> _Result:
        """Have the thread call a function, and wait until that calls back.

        Args:
            function: Gets what to call with the result.

        Raises:
            Unavailable: The thread has ended meanwhile, or is the caller: a log handler that
                looks up where to send what this very thread logs would wait for itself.
        """
        if threading.current_thread() is self._thread:
            raise Unavailable("the resolver's own thread cannot wait for it; use another thread")
        results: list[_Result] = []
        errors: list[Exception] = []
        ready = threading.Lock()
        ready.acquire()

        def done(result: _Result) -> None:
            results.append(result)
            ready.release()

        def call() -> None:
            try:
                function(done)
            except Exception as error:  # raised where somebody waits for it
                errors.append(error)
                ready.release()

        self._loop.post(call)
        while not ready.acquire(timeout=CHECK):
            if not self._thread.is_alive() and not results:
                raise Unavailable("the resolver was closed while it was in use; ask again")
        if errors:
            raise errors[0]
        return results[0]

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
            self._loop.run()
        finally:
            self.engine.close()
            self._loop.close()
