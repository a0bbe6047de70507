"""The resolver for asyncio: the same core, and the ways in which tasks and loops end."""

import asyncio
import contextlib
import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dnssd.errors import NotFound, Unavailable, UsageError
from dnssd.names import Name
from dnssd.resolver.asyncio import AsyncResolver
from dnssd.resolver.client import Resolver
from dnssd.resolver.events import Event
from dnssd.resolver.lookup import GRACE
from kit.simnet import SERVICE, WEB, servfail, where
from kit.simresolver import hosts_of, kinds
from kit.simserver import SimServer

HOSTS = {"h1.example.com.", "h2.example.com.", "h3.example.com."}
PATIENCE = 30.0  # seconds; nothing here takes long unless it is broken


@pytest.fixture
def server() -> Iterator[SimServer]:
    """A name server that knows one instance on three hosts."""
    with SimServer(hosts_of(range(1, 4))) as running:
        yield running


def resolver_of(server: SimServer) -> AsyncResolver:
    """A resolver that asks it, with much patience."""
    return AsyncResolver([server.nameserver], timeout=PATIENCE)


def descriptors() -> set[str]:
    """What this process has open, with what stands behind it; without other tests' garbage."""
    gc.collect()
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that by which the folder was read
            found.add(f"{entry.name} {entry.readlink()}")
    return found


def test_both_resolvers_have_the_same_names() -> None:
    """Streams are asyncio's own."""
    names = {name for name in dir(AsyncResolver) if not name.startswith("_")}

    assert names - {"open_connection"} == {n for n in dir(Resolver) if not n.startswith("_")}


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock may be put forward."""

    ahead = 0.0

    def time(self) -> float:
        """What its clock reads, in seconds."""
        return super().time() + self.ahead

    # The default handler only logs; a test must fail.
    def default_exception_handler(self, context: Mapping[str, object]) -> None:
        """Somebody's callback has failed."""
        raise AssertionError(context)


async def until_asked(server: SimServer, key: tuple[str, str], times: int = 1) -> None:
    """Wait until a question has come that often."""
    async with asyncio.timeout(PATIENCE):
        while server.asked[key] < times:
            await asyncio.sleep(0.001)


def test_it_answers_as_the_other_resolver_does(server: SimServer) -> None:
    """Look-ups, picks, orders and browsing, cold and warm."""
    types = "_services._dns-sd._udp.example.com."
    domains = "b._dns-sd._udp.example.com."
    server.network.change(
        {**hosts_of(range(1, 4)), (types, "PTR"): [SERVICE], (domains, "PTR"): ["example.com."]}
    )

    async def main() -> None:
        async with resolver_of(server) as resolver:
            snapshot = await resolver.lookup(WEB)
            assert {endpoint.target for endpoint in snapshot.endpoints} == HOSTS
            assert await resolver.lookup(WEB) is snapshot
            assert (await resolver.pick(WEB)).target in HOSTS
            assert {endpoint.target for endpoint in await resolver.order(SERVICE)} == HOSTS
            resolver.report(await resolver.pick(WEB), ok=True, seconds=0.1)
            assert await resolver.browse("http", "example.com") == ("web",)
            assert await resolver.services("example.com") == ("_http._tcp",)
            assert await resolver.domains("example.com") == ("example.com.",)
            await resolver.clear()
            assert await resolver.lookup(WEB) is not snapshot

    asyncio.run(main())


def test_what_is_wrong_is_said_in_the_same_words(server: SimServer) -> None:
    """Nothing there, and names that are none."""

    async def main() -> None:
        async with resolver_of(server) as resolver:
            with pytest.raises(NotFound, match="no such instance"):
                await resolver.lookup(f"other.{SERVICE}")
            with pytest.raises(NotFound, match="no such service"):
                await resolver.browse("smtp", "example.com")
            with pytest.raises(NotFound, match="lists no services"):
                await resolver.services("example.com")
            with pytest.raises(NotFound, match="no domains"):
                await resolver.domains("example.com")
            for name in ("web", "example.com."):
                with pytest.raises(UsageError):
                    await resolver.pick(name)
                with pytest.raises(UsageError):
                    resolver.watch(name)

    asyncio.run(main())


def test_one_bad_instance_takes_no_other_away(server: SimServer) -> None:
    """What is there is served once its grace is over, and what lacks is named."""
    bad = ("bad._http._tcp.example.com.", "SRV")
    pointers = {(SERVICE, "PTR"): [WEB, bad[0]]}
    server.network.change({**hosts_of(range(1, 4)), **pointers})
    server.network.fault = where(lambda query: query.key == bad, servfail)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        async with AsyncResolver([server.nameserver], timeout=1e6, monotonic=loop.time) as resolver:
            looking = asyncio.create_task(resolver.lookup(SERVICE))
            for host in HOSTS:
                await until_asked(server, (host, "A"))
                await until_asked(server, (host, "AAAA"))
            await until_asked(server, bad, server.asked[bad] + 2)  # those answers are here by now
            while not looking.done():
                loop.ahead += GRACE / 4
                await asyncio.sleep(0.01)
            snapshot = await looking
            assert {endpoint.target for endpoint in snapshot.endpoints} == HOSTS
            assert snapshot.missing == (" ".join(bad),)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


def test_many_tasks_make_one_flight(server: SimServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait for the same name; and however often a busy machine repeats a question."""
    asked: list[tuple[str, str]] = []

    async def main() -> None:
        async with resolver_of(server) as resolver:
            questioner = resolver._running()._client
            ask = questioner.ask

            def noted(name: Name, rdtype: str, *args: Any) -> None:
                asked.append((str(name), rdtype))
                ask(name, rdtype, *args)

            monkeypatch.setattr(questioner, "ask", noted)
            snapshots = await asyncio.gather(*(resolver.lookup(WEB) for _ in range(100)))
            assert len({id(snapshot) for snapshot in snapshots}) == 1

    asyncio.run(main())
    assert Counter(asked)[WEB, "SRV"] == Counter(asked)[WEB, "TXT"] == 1


def test_a_task_that_is_cancelled_takes_nothing_from_others(
    server: SimServer, caplog: pytest.LogCaptureFixture
) -> None:
    """The look-up goes on: for whoever waits too, and for the cache."""

    async def main() -> None:
        server.silent = True
        async with resolver_of(server) as resolver:
            tasks = [asyncio.create_task(resolver.lookup(WEB)) for _ in range(3)]
            await until_asked(server, (WEB, "SRV"))
            tasks[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await tasks[0]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(resolver.pick(WEB), 0.001)
            server.silent = False
            assert {e.target for e in (await tasks[1]).endpoints} == HOSTS
            assert await tasks[2] is await resolver.lookup(WEB)

    asyncio.run(main())
    assert "error" not in caplog.text


def test_closing_wakes_everybody_who_waits(server: SimServer) -> None:
    """With an error that says so; watches end; nothing is left open."""

    async def main() -> None:
        before = descriptors()
        resolver = resolver_of(server)
        watched = asyncio.create_task(collected(resolver.watch(WEB)))
        await resolver.lookup(WEB)
        server.silent = True
        waiting = [
            asyncio.create_task(resolver.lookup(SERVICE)),
            asyncio.create_task(resolver.browse(SERVICE)),
            asyncio.create_task(resolver.domains("example.com")),
        ]
        await until_asked(server, ("lb._dns-sd._udp.example.com.", "PTR"))
        await resolver.close()
        async with asyncio.timeout(PATIENCE):
            for error in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(error, Unavailable)
                assert "closed" in str(error)
            assert kinds([*await watched]) == ["added h1", "added h2", "added h3"]
        assert descriptors() <= before
        await resolver.close()

    asyncio.run(main())


async def collected(events: AsyncIterator[Event]) -> list[Event]:
    """All that comes until the end."""
    return [event async for event in events]


def test_a_watch_that_is_cancelled_is_forgotten(server: SimServer) -> None:
    """Its task ends, and nothing is told to it any more."""

    async def main() -> None:
        async with resolver_of(server) as resolver:
            task = asyncio.create_task(collected(resolver.watch(WEB)))
            await resolver.lookup(WEB)
            await asyncio.sleep(0)
            assert resolver._running()._listeners
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not resolver._running()._listeners

    asyncio.run(main())


def test_events_come_as_they_happen(server: SimServer) -> None:
    """At the refresh, with the loop's own clock."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        async with AsyncResolver([server.nameserver], timeout=1e6, monotonic=loop.time) as resolver:
            events = resolver.watch(WEB)
            first = [await anext(events) for _ in range(3)]
            assert kinds([*first]) == ["added h1", "added h2", "added h3"]
            server.network.change(hosts_of(range(2, 4)))
            loop.ahead += 50
            assert kinds([await anext(events)]) == ["removed h1"]
            server.network.change({})
            loop.ahead += 50
            gone = [await anext(events) for _ in range(2)]
            assert kinds([*gone]) == ["removed h2", "removed h3"]

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


@pytest.mark.parametrize("closing", [True, False])
def test_it_goes_on_under_another_loop(server: SimServer, closing: bool) -> None:
    """What is known counts; what is not is asked by sockets of the new loop."""
    resolver = resolver_of(server)

    async def first() -> None:
        await resolver.lookup(WEB)
        if closing:
            await resolver.close()

    async def second() -> None:
        server.network.change(hosts_of(range(7, 8)))  # whoever asks now is told otherwise
        assert (await resolver.pick(WEB)).target in HOSTS
        found = (await resolver.lookup(SERVICE)).endpoints
        assert [endpoint.target for endpoint in found] == ["h7.example.com."]
        await resolver.close()

    gc.collect()  # what other tests have left
    before = descriptors()
    asyncio.run(first())
    asyncio.run(second())
    assert descriptors() <= before  # what another test has left behind may end meanwhile


@pytest.mark.parametrize("running", [True, False])
def test_nothing_is_left_of_one_that_is_dropped(server: SimServer, running: bool) -> None:
    """Without closing it, while its loop runs or later."""

    async def main() -> AsyncResolver | None:
        of_loop = descriptors()
        resolver = resolver_of(server)
        await resolver.lookup(WEB)
        if not running:
            return resolver
        del resolver
        gc.collect()
        await asyncio.sleep(0)  # it is freed by the loop
        await asyncio.sleep(0)
        assert descriptors() <= of_loop
        return None

    before = descriptors()
    resolver = asyncio.run(main())
    del resolver
    assert descriptors() <= before


def test_what_another_loop_has_learned_is_kept_fresh(server: SimServer) -> None:
    """Not served stale for ever by a loop in which nothing refreshes it."""
    ahead = 0.0

    def make() -> Loop:
        loop = Loop()
        loop.ahead = ahead
        return loop

    resolver = AsyncResolver([server.nameserver], timeout=1e6, monotonic=lambda: now())
    loops: list[asyncio.AbstractEventLoop] = []

    def now() -> float:
        return loops[-1].time()

    async def first() -> None:
        loops.append(asyncio.get_running_loop())
        await resolver.lookup(WEB)

    async def second() -> None:
        loops.append(asyncio.get_running_loop())
        server.network.change(hosts_of(range(7, 8)))
        await resolver.pick(WEB)
        async with asyncio.timeout(PATIENCE):
            while (await resolver.pick(WEB)).target != "h7.example.com.":
                await asyncio.sleep(0.001)
        await resolver.close()

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(first())
    ahead = 1000.0
    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(second())


def test_tasks_left_behind_in_a_loop_that_has_ended_hurt_nobody(
    server: SimServer, caplog: pytest.LogCaptureFixture
) -> None:
    """They can never be woken; the next loop does not stumble over them."""
    resolver = resolver_of(server)
    server.silent = True
    loop = asyncio.new_event_loop()
    task = loop.create_task(resolver.lookup(WEB))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    server.silent = False

    async def main() -> None:
        assert {e.target for e in (await resolver.lookup(WEB)).endpoints} == HOSTS
        await resolver.close()

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(main())
    with contextlib.suppress(RuntimeError):  # its loop is closed
        task.cancel()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it was meant to be
    task.get_coro().close()  # so that it does not warn


def test_closing_one_that_was_never_used_is_nothing() -> None:
    """It starts nothing before the first look-up."""

    async def main() -> None:
        before = descriptors()
        async with AsyncResolver(["127.0.0.1:9"]):
            assert descriptors() <= before

    asyncio.run(main())
