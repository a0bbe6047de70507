import queue
import threading
from collections.abc import Iterator

import pytest

from dnssd.resolver.debounce import bursts

PATIENCE = 30.0  # seconds; nothing here takes long unless it is broken


class Source:
    """Events that a test lets happen."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[int | Exception | None] = queue.SimpleQueue()
        self.shown: list[int] = []
        self._passed_on = threading.Semaphore(0)

    def put(self, *events: int | Exception | None) -> None:
        """Let them happen; None ends it."""
        for event in events:
            self._queue.put(event)

    def show(self, event: int) -> None:
        """Note what is shown."""
        self.shown.append(event)

    def await_shown(self, number: int) -> None:
        """Wait until so many more have been shown, and are there for the next burst."""
        for _ in range(number):
            assert self._passed_on.acquire(timeout=PATIENCE)

    def __iter__(self) -> Iterator[int]:
        while (event := self._queue.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event
            self._passed_on.release()  # who takes them is back for the next one


def test_events_that_come_together_are_one_burst() -> None:
    """A command runs once for the endpoints that are there at the start."""
    source = Source()
    source.put(1, 2, 3, None)

    assert list(bursts(source, source.show, quiet=5.0, longest=5.0)) == [[1, 2, 3]]


def test_what_comes_while_a_burst_is_dealt_with_is_the_next() -> None:
    """Nothing is lost while a command runs, and no two run at a time."""
    source = Source()
    source.put(1)
    running = bursts(source, source.show, quiet=0.001, longest=5.0)

    assert next(running) == [1]
    source.put(2, 3)
    source.await_shown(3)
    assert next(running) == [2, 3]
    source.put(None)
    assert list(running) == []


def test_a_burst_ends_however_fast_events_come() -> None:
    """A service that never rests still has its command run."""
    source = Source()
    source.put(*range(100))
    source.put(None)

    groups = list(bursts(source, source.show, quiet=5.0, longest=0.0))

    assert [event for group in groups for event in group] == list(range(100))
    assert len(groups) == 100


def test_events_are_shown_at_once() -> None:
    """Whoever reads along does not wait for the burst to end."""
    source = Source()
    running = bursts(source, source.show, quiet=30.0, longest=30.0)
    got: list[list[int]] = []
    thread = threading.Thread(target=lambda: got.extend(running))
    thread.start()
    source.put(1)
    source.await_shown(1)
    assert source.shown == [1]
    assert got == []

    source.put(None)
    thread.join(PATIENCE)
    assert got == [[1]]


def test_an_error_reaches_whoever_reads() -> None:
    """A closed pipe, say, ends the command and not just a thread."""
    source = Source()
    source.put(1, BrokenPipeError())
    running = bursts(source, source.show, quiet=5.0, longest=5.0)

    assert next(running) == [1]
    with pytest.raises(BrokenPipeError):
        next(running)
