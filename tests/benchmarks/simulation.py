"""Many hosts on one virtual clock: their code is real and so are their requests, only time is not.

Each host is a thread, of which one runs at a time. A host gives way when it sleeps and when
it sends a request, which arrives half a round trip later and is answered half a round trip
after that. So a storm of minutes takes seconds, and the same seed gives the same storm.
"""

import heapq
import itertools
import threading
from collections.abc import Callable
from typing import Any


class World:
    """The clock, and who is to run when.

    Attributes:
        now: Seconds since the start.
    """

    def __init__(self, *, round_trip: float) -> None:
        """Stop the clock at 0.

        Args:
            round_trip: Seconds that a request and its answer are under way.
        """
        self.now = 0.0
        self._round_trip = round_trip
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._order = itertools.count()
        self._main = threading.Semaphore(0)
        self._failures: list[BaseException] = []

    def monotonic(self) -> float:
        """The clock, as a function."""
        return self.now

    def start(self, at: float, work: Callable[[], object]) -> None:
        """Have a host start its work at a time."""

        def run() -> None:
            wake.acquire()
            try:
                work()
            except BaseException as error:  # told by `run`
                self._failures.append(error)
            self._main.release()

        wake = threading.Semaphore(0)
        threading.Thread(target=run, daemon=True).start()
        heapq.heappush(self._waiting, (at, next(self._order), wake))

    def run(self) -> None:
        """Let time pass until every host is done; raise the first failure of one."""
        while self._waiting:
            self.now, _, wake = heapq.heappop(self._waiting)
            wake.release()
            self._main.acquire()
        if self._failures:
            raise self._failures[0]

    def sleep(self, seconds: float) -> None:
        """Let others run until `seconds` have passed."""
        wake = threading.Semaphore(0)
        heapq.heappush(self._waiting, (self.now + seconds, next(self._order), wake))
        self._main.release()
        wake.acquire()

    def client(self, client: Any) -> Any:
        """An AWS client whose requests take their time on this clock."""
        return _Client(client, self._delayed)

    def _delayed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def delayed(*args: Any, **kwargs: Any) -> Any:
            self.sleep(self._round_trip / 2)
            try:
                return call(*args, **kwargs)
            finally:
                self.sleep(self._round_trip / 2)

        return delayed


class _Client:
    def __init__(self, client: Any, delayed: Callable[..., Any]) -> None:
        self._client = client
        self._delayed = delayed

    def __getattr__(self, name: str) -> Any:
        return self._delayed(getattr(self._client, name))
