"""Resolvers as production treats them: frozen, starved, misused, on networks that change."""

import asyncio
import errno
import gc
import logging
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dnssd.errors import Unavailable, UsageError
from dnssd.names import Name
from dnssd.resolver import client
from dnssd.resolver.asyncio import AsyncResolver
from dnssd.resolver.client import Resolver
from dnssd.resolver.snapshot import Endpoint
from dnssd.wire import blocking
from dnssd.wire.answers import Answer
from dnssd.wire.nameservers import NameServer
from dnssd.wire.server import IDLE, PORTS, SILENT
from dnssd.wire.system_servers import FAREWELL, ResolvConf, SystemServers
from kit.simnet import SERVICE, WEB, SimLoop, SimNetwork, honest, silent, where
from kit.simresolver import SimResolver, hosts_of
from kit.simserver import Clock, SimServer

DAY = 86_400.0  # seconds
PATIENCE = 30.0  # seconds; nothing here takes long unless it is broken


@pytest.fixture
def server() -> Iterator[SimServer]:
    """A name server that knows one instance on two hosts."""
    with SimServer(hosts_of(range(1, 3))) as running:
        yield running


def in_time(work: Callable[[], object]) -> list[object]:
    """Have another thread do something, which must end; what came of it."""
    came: list[object] = []

    def run() -> None:
        try:
            came.append(work())
        except Exception as error:  # the test looks at it
            came.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    return came


@pytest.mark.parametrize("was_stale", [False, True])
def test_what_expired_while_nobody_looked_after_it_is_looked_up_first(
    server: SimServer, was_stale: bool
) -> None:
    """A closed resolver that is used again days later serves nothing of then if DNS answers."""
    clock = Clock()
    with Resolver([server.nameserver], monotonic=clock, timeout=PATIENCE) as resolver:
        resolver.lookup(WEB)
        resolver.close()
        if was_stale:
            entry = resolver._cache.by_text[WEB]
            clock.ahead += 61
            entry.failures = 1
            entry.expire(clock())
        clock.ahead += 10 * DAY
        server.network.change(hosts_of(range(5, 6)))

        snapshot = resolver.lookup(WEB)

    assert (snapshot.status, [e.target for e in snapshot.endpoints]) == (
        "fresh",
        ["h5.example.com."],
    )


def test_after_a_suspension_the_first_look_up_asks() -> None:
    """The clock has gone on for days, and no timer had a chance to refresh anything."""
    sim = SimResolver(hosts_of(range(1, 3)))
    sim.lookup(WEB)
    sim.advance(3.0)
    sim.network.change(hosts_of(range(5, 6)))

    sim.loop.now += 3 * DAY  # no callback runs meanwhile

    assert sim.known(WEB) is None
    assert [e.target for e in sim.lookup(WEB).endpoints] == ["h5.example.com."]


@pytest.mark.parametrize("state", ["first", "first with news", "warm", "browse"])
@pytest.mark.parametrize("answered", [True, False])
def test_what_was_asked_before_a_freeze_is_asked_again(state: str, answered: bool) -> None:
    """Answers that wait there after the thaw are as old as the freeze was long."""
    sim = SimResolver(hosts_of(range(1, 3)), ttl=7200)
    if state == "warm":
        sim.lookup(WEB)
        sim.until_asked()
    sim.network.fault = honest if answered else silent
    listed: list[Answer | Unavailable] = []
    came = sim.want(WEB)
    if state == "browse":
        sim.engine.pointers(Name.parse(SERVICE), listed.append)
    elif state == "first with news":
        sim.advance(0.0015)  # SRV and TXT are there, addresses on their way
    sim.network.change({**hosts_of(range(5, 6)), (SERVICE, "PTR"): [f"new.{SERVICE}"]})
    sim.network.fault = honest

    sim.loop.now += 3600.0
    thawed = sim.now
    sim.until(lambda: bool(listed if state == "browse" else came))

    if state == "browse":
        assert isinstance(listed[0], Answer)
        assert [value.format() for value in listed[0].values] == [f"new.{SERVICE}"]
    else:
        snapshot = sim.lookup(WEB)
        assert [e.target for e in snapshot.endpoints] == ["h5.example.com."]
        assert snapshot.status == "fresh"
        assert snapshot.expires_at > thawed + 7000.0
    assert sim.now < thawed + 0.1
    (server,) = sim.client._servers
    assert server.late < 0.2  # the freeze is none of its


def test_a_program_that_stands_still_again_and_again_is_told() -> None:
    """One more try, and no more."""
    sim = SimResolver(hosts_of(range(1, 3)), ttl=1)
    came = sim.want(WEB)
    for _ in range(2):
        assert came == []
        sim.loop.now += 10.0
        sim.loop.run(0.0005)

    with pytest.raises(Unavailable, match="stood still"):
        came[0].latest()


def test_in_an_outage_what_was_suspended_is_served_stale_after_one_time_out() -> None:
    """Within `max_stale`: old is better than nothing, once nobody has answered."""
    sim = SimResolver(hosts_of(range(1, 3)))
    sim.lookup(WEB)
    sim.network.fault = silent
    sim.loop.now += 3600.0

    before = sim.now
    assert sim.lookup(WEB).status == "stale"
    assert sim.now - before <= sim.limits.timeout + 0.1
    asked = sim.questions
    assert sim.known(WEB) is not None
    assert sim.questions == asked


def test_a_look_up_outlives_sockets_that_hear_nothing_any_more() -> None:
    """Their address is gone, or what translates addresses leads nowhere: all are drawn anew."""
    sim = SimResolver(hosts_of(range(1, 3)))
    for number in range(100):  # by each port
        sim.want(f"n{number}.{SERVICE}")
    sim.advance(1.0)
    deaf = sim.network.opened
    assert sim.network.open_channels == PORTS
    sim.network.fault = where(lambda query: query.channel <= deaf, silent)

    begin = sim.now
    assert len(sim.lookup(WEB).endpoints) == 2
    assert SILENT <= sim.now - begin < 1.0  # TCP has helped out: its answers mend UDP too
    assert sim.network.open_channels <= 2 * PORTS


def test_a_silent_server_costs_few_sockets() -> None:
    """Two hundred names in an outage: those that nobody waits for any more are closed."""
    sim = SimResolver({})
    sim.network.fault = silent
    most = 0
    for number in range(200):
        sim.want(f"n{number}.{SERVICE}")
    for _ in range(300):
        sim.advance(0.02)
        most = max(most, sim.network.open_channels)

    assert most <= 3 * PORTS
    sim.advance(IDLE)
    assert sim.network.open_channels == 0


@pytest.mark.parametrize("wrong", ["10.0.0.2", b"10.0.0.2", 5, [None], [b"10.0.0.2"]])
def test_what_is_no_list_of_name_servers(wrong: Any) -> None:
    """A text's letters are no hosts; `Resolver("10.0.0.2")` is what anybody writes once."""
    for kind in (Resolver, AsyncResolver):
        with pytest.raises(UsageError, match=r"give a list|not a text"):
            kind(wrong)


@pytest.mark.parametrize(
    "limits",
    [
        {"timeout": 0},
        {"timeout": -1.0},
        {"timeout": float("nan")},
        {"max_stale": -1.0},
        {"max_stale": float("nan")},
        {"max_names": 0},
        {"timeout": "3"},
        {"max_stale": None},
    ],
)
def test_limits_that_cannot_be_held_are_refused(limits: dict[str, Any]) -> None:
    """When it is made, not by look-ups that never end."""
    with pytest.raises(UsageError, match=next(iter(limits))):
        Resolver(["127.0.0.1:9"], **limits)


def test_a_log_handler_may_look_up_where_to_send_logs(server: SimServer) -> None:
    """What the resolver's own thread logs cannot wait for that thread; it is told, and goes on."""
    told: list[Exception] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                resolver.lookup(f"logs.{SERVICE}")
            except Unavailable as error:
                told.append(error)

    handler = Handler()
    logger = logging.getLogger("dnssd")
    logger.addHandler(handler)
    try:
        with Resolver([server.nameserver], timeout=PATIENCE) as resolver:
            worker = resolver._running()

            def warn(done: Callable[[None], object]) -> None:
                logger.warning("a warning")
                done(None)

            worker.wait(warn)
            assert resolver.lookup(WEB).status == "fresh"
    finally:
        logger.removeHandler(handler)
    assert "own thread" in str(told[0])


def test_what_the_garbage_collector_calls_may_report(server: SimServer) -> None:
    """A call that is dropped while its thread is choosing reports from within that choice."""
    with Resolver([server.nameserver], timeout=PATIENCE) as resolver:
        endpoint = resolver.pick(WEB)

        class Call:
            def __del__(self) -> None:
                resolver.report(endpoint, ok=False)

        def choose() -> Endpoint:
            with resolver._lock:  # as while it chooses
                call = Call()
                del call
                return resolver.pick(WEB)

        assert in_time(choose)[0] in resolver.order(WEB)


def test_dropping_a_resolver_never_waits_for_ever(
    server: SimServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector may drop it in a thread that has the lock its own thread waits for."""
    monkeypatch.setattr(client, "CHECK", 0.05)
    lock = threading.Lock()
    waiting = threading.Event()

    def stuck() -> None:
        waiting.set()
        with lock:
            pass

    def drop() -> None:
        resolver = Resolver([server.nameserver], timeout=PATIENCE)
        resolver.lookup(WEB)
        with lock:
            resolver._running().post(stuck)
            assert waiting.wait(PATIENCE)
            del resolver
            gc.collect()

    assert in_time(drop) == [None]
    end = time.monotonic() + PATIENCE
    while any(thread.name == "dnssd-resolver" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_process_out_of_descriptors_is_told_so(
    server: SimServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an error of dnssd's; and once it has some, all is well."""
    resolver = Resolver([server.nameserver], timeout=PATIENCE)

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with pytest.raises(Unavailable, match="cannot start: can't start new thread"):
            resolver.lookup(WEB)
    with resolver:
        assert resolver.lookup(WEB).status == "fresh"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_died_is_replaced(server: SimServer) -> None:
    """Of what cannot be caught, such as descriptors that the program has closed under it."""
    with Resolver([server.nameserver], timeout=PATIENCE) as resolver:
        resolver.lookup(WEB)
        first = resolver._running()

        def die() -> None:
            raise SystemExit

        first.post(die)
        first._thread.join(PATIENCE)

        assert len(resolver.lookup(SERVICE).endpoints) == 2


class NoReaders(asyncio.SelectorEventLoop):
    """A loop like those on Windows, which cannot watch sockets."""

    def add_reader(self, *args: object) -> None:
        """It cannot."""
        raise NotImplementedError

    remove_reader = add_reader  # type: ignore[assignment] # it returns nothing either way


def test_a_loop_that_cannot_watch_sockets_is_refused(server: SimServer) -> None:
    """Each time, at once, and by name: nobody waits for what cannot come."""

    async def main() -> None:
        resolver = AsyncResolver([server.nameserver], timeout=PATIENCE)
        for _ in range(2):
            with pytest.raises(UsageError, match="NoReaders"):
                await asyncio.wait_for(resolver.lookup(WEB), PATIENCE)

    loop = NoReaders()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_a_resolver_in_use_in_another_loop_is_refused(server: SimServer) -> None:
    """Two threads with loops of their own: the second would take the first one's sockets."""
    resolver = AsyncResolver([server.nameserver], timeout=PATIENCE)

    async def other() -> None:
        await resolver.lookup(WEB)

    async def main() -> None:
        await resolver.lookup(WEB)
        errors = await asyncio.to_thread(in_time, lambda: asyncio.run(other()))
        assert isinstance(errors[0], UsageError)
        assert (await resolver.pick(SERVICE)).port == 80
        await resolver.close()

    asyncio.run(main())
    asyncio.run(other())
    asyncio.run(resolver.close())


def test_an_error_while_asking_leaves_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the network raises: an answer comes, and the next look-up begins anew."""
    sim = SimResolver(hosts_of(range(1, 3)))

    def broken(*args: object) -> None:
        raise TypeError("encoding of hostname failed")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sim.network, "open", broken)
        with pytest.raises(Unavailable, match="TypeError"):
            sim.lookup(WEB)
    sim.advance(2.0)

    assert "unexpected error" in caplog.text
    assert len(sim.lookup(WEB).endpoints) == 2


def test_a_long_look_up_outlives_a_change_of_name_servers(tmp_path: Path) -> None:
    """Who was asked before `resolv.conf` changed has until the deadline to answer."""
    path = tmp_path / "resolv.conf"
    path.write_text("nameserver 10.0.0.1\n")
    loop = SimLoop()
    network = SimNetwork(loop, hosts_of(range(1, 3)), fault=silent)
    servers = SystemServers(loop, network, ResolvConf(path))
    came: list[Answer | Unavailable] = []
    servers.ask(Name.parse(WEB), "SRV", loop.now + 3 * FAREWELL, came.append)
    loop.run(10.0)
    other = tmp_path / "other"
    other.write_text("nameserver 10.0.0.2\n")
    other.replace(path)
    servers.ask(Name.parse(WEB), "TXT", loop.now + 3 * FAREWELL, came.append)

    loop.run(4 * FAREWELL)

    assert len(came) == 2
    servers.close()


@pytest.mark.parametrize("scope", ["é", "\x7f"])
def test_a_scope_that_no_socket_takes_is_no_address(scope: str, tmp_path: Path) -> None:
    """It is passed over in `resolv.conf`, and refused where it is given; others are taken."""
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver fe80::1%a{scope}\nnameserver fe80::1%eth0\n", encoding="utf-8")

    assert ResolvConf(path).servers(0.0) == (NameServer("fe80::1%eth0"),)
    with pytest.raises(UsageError):
        NameServer.parse(f"[fe80::1%a{scope}]:53")


def test_memory_of_what_is_on_disk_is_bounded(tmp_path: Path, server: SimServer) -> None:
    """Of names that come and go for months, those seen last are remembered, and their files."""
    clock = Clock()
    server.network.change(
        {k: v for n in range(8) for k, v in hosts_of(range(1, 3), f"v{n}").items()}
    )
    options = {"max_names": 2, "cache_dir": tmp_path, "monotonic": clock, "timeout": PATIENCE}
    with Resolver([server.nameserver], **options) as resolver:  # type: ignore[arg-type] # mixed
        for number in range(8):
            resolver.lookup(f"v{number}.{SERVICE}")
        saved = resolver._files
        assert saved is not None
        assert len(saved._written) <= 2
    assert len(os.listdir(tmp_path)) == 8


def test_files_too_old_to_be_read_are_removed(tmp_path: Path, server: SimServer) -> None:
    """Those of this store alone, and those that a killed run has begun; once a run writes."""
    old, temporary, foreign, young = "a" * 32 + ".json", "tmpx_1.new", "my.json", "b" * 32 + ".json"
    for name in (old, temporary, foreign, young):
        path = tmp_path / name
        path.touch()
        if name != young:
            os.utime(path, (1e9, 1e9))
    with Resolver([server.nameserver], cache_dir=tmp_path, timeout=PATIENCE) as resolver:
        resolver.lookup(WEB)

    left = set(os.listdir(tmp_path))
    assert {foreign, young} < left
    assert not {old, temporary} & left


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        (">/dev/full", 1, "dnssd: output: No space left on device; check where it goes\n"),
        (">&-", 0, ""),
    ],
)
def test_output_that_goes_nowhere_is_one_line(
    server: SimServer, where: str, code: int, said: str
) -> None:
    """A full disk is a failure; a standard output that is closed was meant to be."""
    command = f'"$0" -m dnssd lookup {WEB} --nameserver {server.nameserver} {where}'

    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=PATIENCE
    )

    assert (done.returncode, done.stderr) == (code, said)


def test_messages_never_take_the_place_of_a_result(server: SimServer) -> None:
    """Where standard error is closed, they are nowhere: a script would read one as an address."""
    command = f'"$0" -m dnssd lookup nobody.{WEB} --pick --nameserver {server.nameserver} 2>&-'

    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=PATIENCE
    )

    assert (done.returncode, done.stdout) == (3, "")


def failing(code: int, real: Callable[..., object] | None = None) -> Callable[..., object]:
    """What the system refuses to sockets of the network; those within a process are well."""

    def fail(*given: Any, **options: Any) -> object:
        if real and given[0].family == socket.AF_UNIX:
            return real(*given, **options)
        raise OSError(code, os.strerror(code))

    return fail


def ask_thread(nameserver: str) -> None:
    """Ask by a resolver with a thread."""
    with Resolver([nameserver], timeout=0.02) as resolver:
        resolver.lookup(WEB)


def ask_task(nameserver: str) -> None:
    """Ask in an event loop."""

    async def ask() -> None:
        async with AsyncResolver([nameserver], timeout=0.02) as resolver:
            await resolver.lookup(WEB)

    asyncio.run(ask())


def ask_alone(nameserver: str) -> None:
    """Ask without a resolver."""
    blocking.ask(NameServer.parse(nameserver), Name.parse(WEB), "SRV", 0.02)


ALL = (ask_thread, ask_task, ask_alone)
THREADS = (ask_thread, ask_alone)  # which have a selector of their own


@pytest.mark.parametrize(
    ("of", "name", "code", "asking"),
    [
        (of, name, code, ask)
        for of, name, code, asking in [
            (socket.socket, "connect", errno.EPERM, ALL),
            (socket.socket, "connect", errno.ENETUNREACH, ALL),
            (socket.socket, "setblocking", errno.EBADF, ALL),
            (socket.socket, "send", errno.ENOBUFS, ALL),
            (socket, "getaddrinfo", errno.EMFILE, ALL),
            (socket, "socketpair", errno.EMFILE, THREADS),
            (selectors.DefaultSelector, "__init__", errno.EMFILE, THREADS),
            (selectors.DefaultSelector, "register", errno.ENOSPC, THREADS),
            (selectors.DefaultSelector, "select", errno.EBADF, THREADS),
            (asyncio.SelectorEventLoop, "add_reader", errno.ENOSPC, (ask_task,)),
        ]
        for ask in asking
    ],
)
def test_what_the_system_refuses_is_an_error_of_ours(
    of: Any,
    name: str,
    code: int,
    asking: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No OSError comes out and no socket stays open, whatever call of the system fails."""
    real = getattr(of, name) if of is socket.socket else None
    monkeypatch.setattr(of, name, failing(code, real))

    with pytest.raises(Unavailable) as caught:
        asking("127.0.0.1:9")

    told = str(caught.value)  # a busy machine may have no time to try
    assert any(why in told for why in (os.strerror(code), "was closed", "no time left"))
    gc.collect()  # an unclosed socket would warn, and a warning is an error


def test_a_descriptor_that_somebody_closes_is_left_to_whoever_has_its_number(
    server: SimServer,
) -> None:
    """As programs do that make themselves daemons; others are opened in its place."""
    with Resolver([server.nameserver], timeout=PATIENCE) as resolver:
        resolver.lookup(WEB)
        asking: Any = resolver._running().engine._client
        (asked,) = asking._servers
        numbers = [connection.channel._socket.fileno() for connection in asked._connections]
        for number in numbers:
            os.close(number)
        others = [os.open(os.devnull, os.O_RDONLY) for _ in numbers]
        for _ in range(3):
            resolver.clear()
            assert len(resolver.lookup(WEB).endpoints) == 2
    for number in others:
        os.close(number)


def test_a_thread_that_cannot_wait_ends_and_another_one_takes_over(
    server: SimServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is known is served meanwhile."""
    with Resolver([server.nameserver], timeout=PATIENCE) as resolver:
        known = resolver.lookup(WEB)
        worker = resolver._running()
        with monkeypatch.context() as patch:
            patch.setattr(worker._loop._selector, "select", failing(errno.EBADF))
            worker.post(str)
            worker._thread.join(PATIENCE)
        assert not worker.is_alive
        assert "Bad file descriptor" in caplog.text
        with monkeypatch.context() as patch:
            patch.setattr(selectors.DefaultSelector, "__init__", failing(errno.EMFILE))
            assert resolver.lookup(WEB) is known
            with pytest.raises(Unavailable, match="Too many open files"):
                resolver.lookup(SERVICE)
        assert len(resolver.lookup(SERVICE).endpoints) == 2
