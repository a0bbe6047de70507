"""Resolvers with their thread and sockets: many threads, forks, ends; nothing is left behind."""

import gc
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from dnssd.errors import NotFound, Unavailable
from dnssd.resolver import worker
from dnssd.resolver.client import Resolver
from dnssd.resolver.events import Event
from kit.simnet import SERVICE, WEB, Records
from kit.simresolver import hosts_of, kinds
from kit.simserver import Clock, SimServer, SlowClock

HOSTS = {"h1.example.com.", "h2.example.com.", "h3.example.com."}
PATIENCE = 30.0  # seconds; nothing here takes long unless it is broken


@pytest.fixture
def server() -> Iterator[SimServer]:
    """A name server that knows one instance on three hosts."""
    with SimServer(hosts_of(range(1, 4))) as running:
        yield running


@pytest.fixture
def resolver(server: SimServer) -> Iterator[Resolver]:
    """A resolver that asks it, and is closed in the end."""
    with Resolver([server.nameserver], timeout=PATIENCE) as made:
        yield made


def descriptors() -> set[str]:
    """What this process has open, with what stands behind it."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name} {os.readlink(entry)}")
        except FileNotFoundError:  # that by which the folder was read
            continue
    return found


@contextmanager
def nothing_left() -> Iterator[None]:
    """Check that no thread and no descriptor remains."""
    gc.collect()
    threads, opened = set(threading.enumerate()), descriptors()
    yield
    # A resolver that is dropped does not wait for its thread for ever, the server closes its ends
    # of connections too, and what another test has left behind may end meanwhile.
    until(lambda: set(threading.enumerate()) <= threads)
    until(lambda: descriptors() <= opened)


def in_threads(count: int, work: Callable[[int], object]) -> list[object]:
    """Have so many threads do something at the same moment."""
    gate = threading.Barrier(count)

    def begin(number: int) -> object:
        gate.wait(PATIENCE)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count), timeout=PATIENCE))


def test_sixteen_threads_and_two_hundred_names_take_one_question_each() -> None:
    """All cold, all at once, in different orders.

    On a slow clock nothing is asked again but what the kernel has dropped, if anything.
    """
    records: Records = {}
    for number in range(200):
        records |= hosts_of(range(1, 4), f"v{number}")
    names = [f"v{number}.{SERVICE}" for number in range(200)]
    with (
        SimServer(records, additional=True) as server,
        Resolver([server.nameserver], monotonic=SlowClock()) as resolver,
    ):

        def work(number: int) -> set[str]:
            mine = names[number * 12 :] + names[: number * 12]
            return {endpoint.target for name in mine for endpoint in resolver.order(name)}

        assert in_threads(16, work) == [HOSTS] * 16
        assert set(server.asked) == {(name, kind) for name in names for kind in ("SRV", "TXT")}
        assert server.asked.total() <= 1.1 * 400


def test_picks_go_on_while_the_cache_is_cleared_and_refreshed(server: SimServer) -> None:
    """No pick ever fails or gives anything but an endpoint of the service."""
    server.network.ttl = 1
    clock = Clock()
    stop = threading.Event()
    picked: list[str] = []
    with Resolver([server.nameserver], monotonic=clock, timeout=1e6) as resolver:

        def work(number: int) -> None:
            if number == 0:
                for _ in range(40):
                    resolver.clear()
                    clock.ahead += 0.8
                    enough = len(picked) + 40
                    until(lambda: stop.is_set() or len(picked) > enough)  # noqa: B023 (at once)
                stop.set()
            while not stop.is_set():
                picked.append(resolver.pick(WEB).target)
                picked.extend(endpoint.target for endpoint in resolver.order(WEB.upper()))
                resolver.report(resolver.pick(SERVICE), ok=number % 2 == 0)

        try:
            in_threads(5, work)
        finally:
            stop.set()

    assert set(picked) == HOSTS
    assert server.asked[WEB, "SRV"] >= 40


def test_closing_wakes_everybody_who_waits(
    server: SimServer, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an error that says so; and watches end."""
    watched: list[Event] = []
    watching = threading.Thread(target=lambda: watched.extend(resolver.watch(WEB)))
    watching.start()
    server.wait_for(lambda: server.asked[WEB, "TXT"] > 0)
    resolver.lookup(WEB)
    server.silent = True
    calls: list[Callable[[], object]] = [
        *[lambda: resolver.lookup(SERVICE)] * 3,
        lambda: resolver.pick(f"other.{SERVICE}"),
        lambda: resolver.order(f"other.{SERVICE}"),
        lambda: resolver.browse(SERVICE),
        lambda: resolver.services("example.com"),
        lambda: resolver.domains("example.com"),
    ]
    errors: list[str] = []
    arrived = threading.Semaphore(0)
    running = resolver._running

    def noted() -> worker.Worker:  # who came after the end would start it anew
        found = running()
        arrived.release()
        return found

    monkeypatch.setattr(resolver, "_running", noted)

    def wait(call: Callable[[], object]) -> None:
        with pytest.raises(Unavailable) as caught:
            call()
        errors.append(str(caught.value))

    waiting = [threading.Thread(target=wait, args=(call,)) for call in calls]
    for thread in waiting:
        thread.start()
    asked = {(SERVICE, "PTR"), (f"other.{SERVICE}", "SRV")}
    asked |= {(f"{name}._dns-sd._udp.example.com.", "PTR") for name in ("_services", "b")}
    server.wait_for(lambda: asked <= set(server.asked))
    for _ in calls:
        assert arrived.acquire(timeout=PATIENCE)

    resolver.close()

    for thread in [*waiting, watching]:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert len(errors) == len(calls)
    assert all("closed" in error for error in errors)
    assert kinds([*watched]) == ["added h1", "added h2", "added h3"]


def test_whoever_asks_an_ended_thread_is_told(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between starting a look-up and posting it, another thread may have closed the resolver."""
    monkeypatch.setattr(worker, "CHECK", 0.01)
    resolver.lookup(WEB)
    running = resolver._running()
    running.stop()  # behind the resolver's back: as if it were being closed just now
    monkeypatch.setattr(resolver, "_running", lambda: running)

    with pytest.raises(Unavailable, match="closed"):
        resolver.lookup(SERVICE)
    assert list(resolver.watch(WEB)) == []


@pytest.mark.parametrize("records", [3, 200])
def test_nothing_is_left_after_closing(records: int) -> None:
    """No thread, no socket, UDP or TCP, no descriptor; however often, and closing twice is fine."""
    with SimServer(hosts_of(range(1, records + 1))) as server, nothing_left():
        for _ in range(3):
            with Resolver([server.nameserver], timeout=PATIENCE) as resolver:
                assert len(resolver.lookup(SERVICE).endpoints) == records
                with pytest.raises(NotFound):
                    resolver.lookup(f"other.{SERVICE}")
            resolver.close()


def test_nothing_is_left_of_a_resolver_that_is_dropped(server: SimServer) -> None:
    """Nobody has to close it; not even if a watch was begun."""
    with nothing_left():
        resolver = Resolver([server.nameserver], timeout=PATIENCE)
        resolver.pick(WEB)
        events = resolver.watch(WEB)
        assert kinds([next(events)]) == ["added h1"]
        del events, resolver
        gc.collect()


def test_nothing_is_left_of_a_resolver_that_was_never_used() -> None:
    """It starts nothing before the first look-up."""
    with nothing_left():
        Resolver(["127.0.0.1:9"]).close()
        Resolver(["127.0.0.1:9"])


def test_a_program_that_closes_nothing_ends_at_once(server: SimServer) -> None:
    """Neither the thread nor a watch keeps the interpreter alive; nothing is said about it."""
    program = f"""
        import threading
        from dnssd import Resolver
        resolver = Resolver([{server.nameserver!r}], timeout={PATIENCE})
        print(resolver.pick({WEB!r}).port)
        watch = resolver.watch({WEB!r})
        next(watch)
        threading.Thread(target=lambda: list(resolver.watch({WEB!r})), daemon=True).start()
    """

    done = run(program)

    assert (done.stdout, done.stderr, done.returncode) == ("80\n", "", 0)


def run(program: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of its own."""
    return subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_it_may_be_used_again_after_closing(server: SimServer) -> None:
    """What is known counts on, and is kept fresh again; watching begins anew."""
    clock = Clock()
    with Resolver([server.nameserver], monotonic=clock, timeout=1e6) as resolver:
        resolver.lookup(WEB)
        resolver.close()
        server.network.change(hosts_of(range(7, 8)))  # whoever asks now is told otherwise
        assert resolver.pick(WEB).target in HOSTS
        resolver.close()
        clock.ahead += 3600
        until(lambda: resolver.pick(WEB).target == "h7.example.com.")
        assert kinds([next(resolver.watch(WEB))]) == ["added h7"]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread will do in a moment."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_watching_ends_with_its_loop(server: SimServer, resolver: Resolver) -> None:
    """Whoever leaves the loop hears no more, and the engine forgets the listener."""
    for event in resolver.watch(WEB):
        assert event.kind == "added"
        break
    gc.collect()

    until(lambda: not resolver._running().engine._listeners)


def test_events_come_while_waiting(server: SimServer) -> None:
    """From the thread that refreshes to the one that watches."""
    clock = Clock()
    with Resolver([server.nameserver], monotonic=clock, timeout=1e6) as resolver:
        events = resolver.watch(WEB)
        assert kinds([next(events) for _ in range(3)]) == ["added h1", "added h2", "added h3"]
        server.network.change(hosts_of(range(1, 3)))
        clock.ahead += 50
        with pytest.raises(NotFound):
            resolver.lookup(f"other.{SERVICE}")  # something to do: the thread looks at its clock

        assert kinds([next(events)]) == ["removed h3"]


FORK = """
    import json, os, threading, time
    from dnssd import Resolver
    opened = len(os.listdir("/proc/self/fd"))
    slowly = lambda: time.monotonic() / 50  # so that a busy machine makes nothing late
    resolver = Resolver([{nameserver!r}], monotonic=slowly)
    names = {names!r}
    resolver.pick(names[0])
    {before}
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        said = [resolver.pick(names[0]).target, len(threading.enumerate())]
        said += [resolver.lookup(names[1]).endpoints[0].target]
        resolver.clear()
        said += [resolver.lookup(names[0]).endpoints[0].target, len(threading.enumerate())]
        resolver.close()
        said += [len(os.listdir("/proc/self/fd")) - 2 - opened]
        os.write(writing, json.dumps(said).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        said = json.loads(pipe.read())
    assert os.waitpid(child, 0)[1] == 0
    {after}
    print(json.dumps([said, resolver.lookup(names[2]).endpoints[0].target]))
    resolver.close()
"""


def forked(server: SimServer, before: str = "", after: str = "") -> object:
    """What a program with two processes says."""
    server.network.change(
        hosts_of(range(1, 2), "v0") | hosts_of(range(2, 3), "v1") | hosts_of(range(3, 4), "v2")
    )
    names = [f"v{number}.{SERVICE}" for number in range(3)]
    program = FORK.format(nameserver=server.nameserver, names=names, before=before, after=after)
    done = run(program)
    assert done.stderr == "" or "DeprecationWarning" in done.stderr
    return json.loads(done.stdout)


def test_a_child_goes_on_and_so_does_its_parent(server: SimServer) -> None:
    """The child picks from the cache, asks by a thread and sockets of its own, and frees all."""
    said = forked(server)

    assert said == [
        ["h1.example.com.", 2, "h2.example.com.", "h1.example.com.", 2, 0],
        "h3.example.com.",
    ]
    assert server.asked[f"v0.{SERVICE}", "SRV"] == 2


def test_a_fork_while_another_thread_waits(server: SimServer) -> None:
    """The child has no part in that wait; the parent's ends as it should."""
    before = """
    came = []
    silent = threading.Thread(target=lambda: came.append(resolver.watch(names[0]).__next__()))
    silent.start()
    silent.join()
    waiting = threading.Thread(target=lambda: came.append(list(resolver.watch(names[1]))))
    waiting.start()
    """.strip()
    after = "assert waiting.is_alive(); resolver.close(); waiting.join(); assert len(came) == 2"

    said = forked(server, before=before, after=after)

    assert isinstance(said, list)
    assert said[1] == "h3.example.com."
