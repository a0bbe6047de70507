"""The event loop of a thread: what is posted, what is timed, what can be read."""

import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from dnssd.resolver.client import Resolver
from dnssd.wire.clock import ClockedLoop, clock
from dnssd.wire.loop import SelectLoop
from kit.simnet import SimLoop

SOON = 30.0  # seconds until a test that is stuck ends; none takes them


@pytest.fixture
def loop() -> Iterator[SelectLoop]:
    """A loop that stops by itself if nothing else happens."""
    with closing(SelectLoop()) as made:
        made.call_at(made.time() + SOON, made.stop)
        yield made


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected to each other."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_timers_come_in_order_and_not_before_their_time() -> None:
    """Those whose time has passed come at once."""
    clock = Clock()
    came: list[int] = []
    with closing(SelectLoop(clock)) as loop:
        for at in (3, 1, 2):
            loop.call_at(100.0 + at, came.append, at)
        loop.call_at(99.0, came.append, 0)
        loop.run(until=lambda: bool(came))
        assert came == [0]
        clock.now = 102.0
        loop.run(until=lambda: len(came) > 1)
        assert came == [0, 1, 2]


def test_a_cancelled_timer_does_not_come() -> None:
    """Neither before its time nor in the round in which it is due."""
    clock = Clock()
    came: list[str] = []
    with closing(SelectLoop(clock)) as loop:
        never = loop.call_at(101.0, came.append, "never")
        late = loop.call_at(102.0, came.append, "late")
        loop.call_at(101.5, late.cancel)
        loop.call_at(103.0, came.append, "end")
        never.cancel()
        never.cancel()
        clock.now = 103.0
        loop.run(until=lambda: bool(came))

    assert came == ["end"]


def test_cancelled_timers_wake_nobody() -> None:
    """The loop sleeps until the first one that still counts, and those before it are forgotten."""
    clock = Clock()
    with closing(SelectLoop(clock)) as loop:
        for at in range(10):
            loop.call_at(101.0 + at, loop.stop).cancel()
        loop.call_at(150.0, loop.stop)
        assert loop._patience() == 50.0
        assert len(loop._timers) == 1


@pytest.mark.parametrize("how", ["post", "call_at"])
def test_what_calls_itself_leaves_time_for_others(
    how: str, pair: tuple[socket.socket, socket.socket]
) -> None:
    """A callback that is due again at once does not keep the loop from its sockets."""
    came: list[bytes] = []
    with closing(SelectLoop(Clock())) as loop:

        def again() -> None:
            if how == "post":
                loop.post(again)
            else:
                loop.call_at(0.0, again)

        again()
        loop.add_reader(pair[0].fileno(), lambda: came.append(pair[0].recv(9)))
        pair[1].send(b"x")
        loop.run(until=lambda: bool(came))

    assert came == [b"x"]


def test_what_many_threads_post_is_called_once_each_and_in_order(loop: SelectLoop) -> None:
    """In the loop's thread, whoever posts it."""
    threads, each = 8, 500
    came: list[tuple[int, int]] = []
    where: set[int] = set()

    def note(thread: int, at: int) -> None:
        came.append((thread, at))
        where.add(threading.get_ident())

    def post(thread: int) -> None:
        for at in range(each):
            loop.post(partial(note, thread, at))

    posting = [threading.Thread(target=post, args=(at,)) for at in range(threads)]
    for thread in posting:
        thread.start()
    loop.run(until=lambda: len(came) == threads * each)
    for thread in posting:
        thread.join()

    assert len(came) == threads * each
    for number in range(threads):
        assert [at for thread, at in came if thread == number] == list(range(each))
    assert where == {threading.get_ident()}


def test_a_post_is_never_slept_through(loop: SelectLoop) -> None:
    """Each comes while the loop falls asleep, is asleep, or wakes up."""
    rounds = 2000
    heard = threading.Semaphore(0)
    left = threading.Event()

    def post() -> None:
        for _ in range(rounds):
            loop.post(heard.release)
            if not heard.acquire(timeout=SOON):
                break
        else:
            left.set()
        loop.stop()

    thread = threading.Thread(target=post)
    thread.start()
    loop.run()
    thread.join()

    assert left.is_set()


@pytest.mark.parametrize("what", ["post", "stop"])
def test_falling_asleep_is_no_gap(loop: SelectLoop, what: str) -> None:
    """Between the look whether anything was posted and the sleep, the bell wakes it at once."""
    came: list[int] = []
    patience = loop._patience

    def interrupted() -> float | None:
        """What another thread may do in the worst moment."""
        seconds = patience()
        if what == "post":
            loop.post(lambda: came.append(1))
        else:
            loop.stop()
        return seconds

    loop._patience = interrupted  # type: ignore[method-assign] # the moment cannot be had otherwise
    began = loop.time()
    loop.run(until=lambda: bool(came))

    assert loop.time() - began < SOON / 2


def test_what_is_posted_before_the_sleep_is_seen(loop: SelectLoop) -> None:
    """It does not matter that nobody rang for it: the loop was awake."""
    loop.post(loop.stop)
    assert not loop._sleeping
    assert loop._patience() == 0
    began = loop.time()
    loop.run()
    assert loop.time() - began < SOON / 2


def test_thousands_of_posts_do_not_fill_the_bell(loop: SelectLoop) -> None:
    """The pipe that wakes the loop may be full; nobody waits for it."""
    loop._sleeping = True
    for _ in range(20_000):
        loop.post(int)
    loop.post(loop.stop)
    loop.run()

    assert not loop._posted


def test_stop_ends_a_loop_that_sleeps() -> None:
    """From another thread, without a timer that would wake it."""
    with closing(SelectLoop()) as loop:
        thread = threading.Thread(target=loop.run)
        thread.start()
        asleep = threading.Event()
        loop.post(asleep.set)
        assert asleep.wait(SOON)
        loop.stop()
        thread.join(SOON)
        assert not thread.is_alive()


@pytest.mark.parametrize("how", ["posted", "timer", "reader"])
def test_a_callback_that_fails_ends_nothing(
    loop: SelectLoop,
    how: str,
    pair: tuple[socket.socket, socket.socket],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The error is logged with its place; others are called."""

    def fail() -> None:
        pair[0].recv(9)
        raise ZeroDivisionError

    pair[1].send(b"x")
    if how == "posted":
        loop.post(fail)
    elif how == "timer":
        loop.call_at(0.0, fail)
    else:
        loop.add_reader(pair[0].fileno(), fail)
    loop.call_at(1.0, loop.post, loop.stop)
    with caplog.at_level(logging.ERROR):
        loop.run()

    (record,) = caplog.records
    assert record.message == "unexpected error in a callback"
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_reading_and_writing_are_apart(
    loop: SelectLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Each may be begun, changed and ended without the other."""
    fd = pair[0].fileno()
    came: list[str] = []

    def note(what: str, stop: Callable[[int], object]) -> None:
        came.append(what)
        stop(fd)

    loop.add_writer(fd, note, "never", loop.remove_writer)
    loop.add_writer(fd, note, "write", loop.remove_writer)
    loop.add_reader(fd, note, "read", loop.remove_reader)
    loop.run(until=lambda: bool(came))
    assert came == ["write"]
    pair[1].send(b"x")
    loop.run(until=lambda: len(came) > 1)
    assert came == ["write", "read"]
    assert not loop.remove_reader(fd)
    assert not loop.remove_writer(fd)
    loop.add_writer(fd, note, "again", loop.remove_writer)
    loop.run(until=lambda: len(came) > 2)
    assert came == ["write", "read", "again"]


@pytest.mark.parametrize("after", ["a post", "writing"])
def test_a_loop_with_nothing_to_do_sleeps(
    loop: SelectLoop, after: str, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Also once its bell has rung, and while a socket that could be written is only read."""
    rounds = 0

    def over() -> bool:
        nonlocal rounds
        rounds += 1
        return False

    if after == "a post":
        loop._sleeping = True
        loop.post(int)
    else:
        loop.add_reader(pair[0].fileno(), int)
        loop.add_writer(pair[0].fileno(), int)
        loop.remove_writer(pair[0].fileno())
    loop.call_at(loop.time() + 0.02, loop.stop)
    loop.run(over)

    assert rounds < 10


def test_who_is_taken_out_is_not_called_in_the_same_round(loop: SelectLoop) -> None:
    """Two sockets are ready; whoever comes first closes both, and their numbers are used anew."""
    pairs = [socket.socketpair() for _ in range(2)]
    came: list[int] = []
    opened: list[socket.socket] = []

    def close(at: int) -> None:
        came.append(at)
        for one, _ in pairs:
            assert loop.remove_reader(one.fileno())
            one.close()
        opened.extend(socket.socketpair())
        loop.add_reader(opened[0].fileno(), came.append, -1)

    for at, (one, other) in enumerate(pairs):
        loop.add_reader(one.fileno(), close, at)
        other.send(b"x")
    loop.call_at(0.0, loop.call_at, 0.0, loop.stop)
    loop.run()

    assert len(came) == 1
    assert came[0] >= 0
    for one in (*opened, *(other for _, other in pairs)):
        one.close()


def test_a_writer_that_its_reader_has_taken_out_is_not_called(
    loop: SelectLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    """A broken connection can be read and written: the first to see it closes it."""
    fd = pair[0].fileno()
    came: list[str] = []

    def read() -> None:
        came.append("read")
        loop.remove_reader(fd)
        loop.remove_writer(fd)
        loop.call_at(0.0, loop.stop)

    loop.add_reader(fd, read)
    loop.add_writer(fd, came.append, "write")
    pair[1].send(b"x")
    loop.run()

    assert came == ["read"]


def test_a_closed_loop_is_harmless() -> None:
    """What comes too late is not called, and fails nobody."""
    before = _descriptors()
    loop = SelectLoop()
    came: list[int] = []
    loop.call_at(0.0, came.append, 1)
    loop.post(lambda: came.append(2))

    loop.close()
    loop.post(lambda: came.append(3))
    loop.stop()

    assert not loop.remove_reader(0)
    assert not loop.remove_writer(0)
    loop.run()
    assert came == []
    assert _descriptors() <= before  # what another test has left behind may end meanwhile


def _descriptors() -> int:
    gc.collect()
    return len(os.listdir("/dev/fd"))


def test_a_loop_whose_bell_is_cut_off_says_so() -> None:
    """It may sleep for ever: whoever waits for it must not."""
    with closing(SelectLoop(Clock())) as loop:
        loop._sleeping = True
        assert not loop.is_stopped
        loop._rope.close()
        loop.post(str)
        assert loop.is_stopped


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    """A resolver has it where nobody gives another."""
    assert Resolver(["127.0.0.1"]).monotonic is clock
    assert getattr(clock, "args", None) == (time.CLOCK_BOOTTIME,)


@pytest.mark.parametrize(("due", "comes"), [(45.0, 4545.0), (3000.0, 4560.0), (5000.0, 5000.0)])
def test_after_a_suspension_timers_are_a_minute_late_at_most(due: float, comes: float) -> None:
    """A loop whose own clock stood still meanwhile; one that is cancelled never comes."""
    sim = SimLoop()
    asleep = [0.0]
    loop = ClockedLoop(sim, lambda: sim.time() + asleep[0])
    came: list[float] = []
    begin = sim.time()
    for at in 3.0, 300.0, due:
        loop.call_at(begin + at, came.append, -1.0).cancel()
    loop.call_at(begin + due, lambda: came.append(loop.time() - begin))

    sim.run(1.0)
    asleep[0] = 4500.0
    sim.run(500.0)

    assert came == [pytest.approx(comes)]
    assert sim.pending() == 0
