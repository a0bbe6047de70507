"""An event loop small enough for a thread of its own.

Transports need five methods of a loop. asyncio's loops on POSIX have them; `SelectLoop` is
for programs that run none, and costs less for each packet.
"""

import heapq
import logging
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Protocol

from dnssd.errors import Unavailable

LONGEST_SLEEP = 60.0  # seconds; selectors do not notice how long a machine was suspended

_log = logging.getLogger(__name__)


class Timer(Protocol):
    """A call to come."""

    def cancel(self) -> None:
        """It shall not come."""


class Loop(Protocol):
    """What transports need of an event loop; all but `time` is for its own thread alone."""

    def time(self) -> float:
        """Monotonic clock reading, in seconds."""

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back at that time or a little later."""

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call back whenever the socket can be read."""

    def remove_reader(self, fd: int) -> object:
        """Stop that."""

    def add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call back whenever the socket can be written."""

    def remove_writer(self, fd: int) -> object:
        """Stop that."""


class _Call:
    """A callback, and when it is due; a cancelled one stays where it is until then."""

    __slots__ = ("args", "callback", "failed", "when")

    def __init__(self, when: float, callback: Callable[..., object], args: Any) -> None:
        self.when = when
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.failed: Callable[[Exception], object] = _unexpected

    def __lt__(self, other: "_Call") -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        self.callback = self.args = None


def _unexpected(error: Exception) -> None:
    """One callback that fails must not end the thread for all others (as in asyncio)."""
    _log.error("unexpected error in a callback", exc_info=error)


@contextmanager
def sockets_at_hand() -> Iterator[None]:
    """What the system refuses here is told as an error of ours.

    Raises:
        Unavailable: It has no descriptor left, or one is closed.
    """
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"the system has no socket to wait for: {error.strerror or error}; check the limits "
            "of this process (ulimit -n), and what closes its descriptors"
        ) from error


class SelectLoop:
    """A loop over `selectors`, run by one thread; others may `post` to it.

    Args:
        monotonic: The clock, in seconds.

    Raises:
        Unavailable: The system has no descriptor left for it.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.time = monotonic
        self._timers: list[_Call] = []
        self._posted: deque[_Call] = deque()
        self._sleeping = self._stopped = False
        with sockets_at_hand(), ExitStack() as opened:
            self._selector = opened.enter_context(selectors.DefaultSelector())
            self._bell, self._rope = map(opened.enter_context, socket.socketpair())
            for end in (self._bell, self._rope):
                end.setblocking(False)
            self.add_reader(self._bell.fileno(), self._hear)
            opened.pop_all()

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back at that time or a little later."""
        call = _Call(when, callback, args)
        heapq.heappush(self._timers, call)
        return call

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call back whenever the socket can be read."""
        self._register(fd, selectors.EVENT_READ, callback, args)

    def remove_reader(self, fd: int) -> bool:
        """Stop that."""
        return self._unregister(fd, selectors.EVENT_READ)

    def add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        """Call back whenever the socket can be written."""
        self._register(fd, selectors.EVENT_WRITE, callback, args)

    def remove_writer(self, fd: int) -> bool:
        """Stop that."""
        return self._unregister(fd, selectors.EVENT_WRITE)

    def post(
        self,
        callback: Callable[..., object],
        *args: Any,
        failed: Callable[[Exception], object] = _unexpected,
    ) -> None:
        """Call back soon, in the loop's thread; from any thread.

        Args:
            callback: Is called with `args`.
            args: For it.
            failed: Gets what it raises, instead of the log.
        """
        call = _Call(0.0, callback, args)
        call.failed = failed
        self._posted.append(call)
        if self._sleeping:  # if it falls asleep just now, it sees `_posted` before
            self._wake()

    @property
    def is_stopped(self) -> bool:
        """Whether it does not run any more, or will not for long."""
        return self._stopped

    def stop(self) -> None:
        """Let `run` return; from any thread."""
        self._stopped = True
        self._wake()

    def run(
        self,
        until: Callable[[], bool] = lambda: False,
        at_last: Callable[[], object] = lambda: None,
    ) -> None:
        """Call back what is due until `stop` is called, or `until` holds after a round.

        Args:
            until: Whether that is all.
            at_last: Is called in the end, come what may.

        Raises:
            Unavailable: Somebody has closed a descriptor that it needs.
        """
        try:
            while not (self._stopped or until()):
                for call in self._ready():
                    if call.callback is not None:  # else cancelled by one of those before it
                        try:
                            call.callback(*call.args)
                        except Exception as error:
                            call.failed(error)
        finally:
            at_last()

    def close(self) -> None:
        """Free what it holds; nothing is called back any more."""
        self._timers.clear()
        self._posted.clear()
        for opened in (self._selector, self._bell, self._rope):
            with suppress(OSError):  # somebody else has closed it
                opened.close()

    def _ready(self) -> list[_Call]:
        """Sleep until there is something to call, and say what; what that adds comes later."""
        ready = []
        with sockets_at_hand():
            heard = self._selector.select(self._patience())
        for key, mask in heard:
            ready += [call for bit, call in key.data.items() if mask & bit]
        self._sleeping = False
        for _ in range(len(self._posted)):
            ready.append(self._posted.popleft())
        return ready + self._due(self.time()) if self._timers else ready

    def _due(self, now: float) -> list[_Call]:
        """The calls whose time has come; what they add waits for the next round."""
        due = []
        while self._timers and self._timers[0].when <= now:
            due.append(heapq.heappop(self._timers))
        return due

    def _patience(self) -> float | None:
        """How long to sleep, in seconds; None for until something happens."""
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        self._sleeping = True
        if self._posted:
            return 0
        if not self._timers:
            return None
        return min(LONGEST_SLEEP, max(0.0, self._timers[0].when - self.time()))

    def _wake(self) -> None:
        try:
            self._rope.send(b"!")
        except BlockingIOError:
            pass  # full: it will wake
        except OSError:  # closed: it need not, or never will
            self._stopped = True

    def _hear(self) -> None:
        try:  # noqa: SIM105 (likewise)
            self._bell.recv(4096)
        except OSError:
            pass  # somebody else has heard it

    def _register(self, fd: int, mask: int, callback: Callable[..., object], args: Any) -> None:
        wanted = _Call(0.0, callback, args)
        try:
            key = self._selector.get_key(fd)
        except KeyError:
            self._selector.register(fd, mask, {mask: wanted})
        else:
            if former := key.data.get(mask):
                former.cancel()
            key.data[mask] = wanted
            self._selector.modify(fd, key.events | mask, key.data)

    def _unregister(self, fd: int, mask: int) -> bool:
        try:
            key = self._selector.get_key(fd)
        except (KeyError, ValueError, RuntimeError):  # unknown, or all is closed
            return False
        call = key.data.pop(mask, None)
        if call is None:
            return False
        call.cancel()
        if key.data:
            self._selector.modify(fd, key.events & ~mask, key.data)
        else:
            self._selector.unregister(fd)
        return True
