"""The connector and the resolver of aiohttp against real HTTP servers."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult

from dnssd.errors import DnssdError, NotFound, UsageError
from dnssd.http import AiohttpConnector, AiohttpResolver
from dnssd.resolver.asyncio import AsyncResolver
from dnssd.resolver.snapshot import Endpoint
from dnssd.sandbox.sandbox import Sandbox
from kit.web import (
    NAME,
    PATIENCE,
    SOON,
    AsyncStub,
    Serve,
    Stub,
    Web,
    certified,
    endpoint_of,
    publish,
)

URL = f"http://{NAME}"
TLS_URL = f"https://{NAME}"
Work = Callable[[aiohttp.ClientSession], Awaitable[Any]]


def run(stub: Stub, work: Work, **options: Any) -> Any:
    """Do something with a session whose services `stub` finds."""

    async def inside() -> Any:
        async with session_of(stub, **options) as session:
            return await work(session)

    return asyncio.run(asyncio.wait_for(inside(), PATIENCE))


@asynccontextmanager
async def session_of(stub: Stub, **options: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """A session."""
    connector = AiohttpConnector(AsyncStub(stub), others=Nobody(), **options)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


class Nobody(AbstractResolver):
    """Knows no host but one."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The address of www.example.test."""
        if host != "www.example.test":
            raise OSError(0, f"{host} is unknown")
        found = ResolveResult(
            hostname=host, host="127.0.0.2", port=port, family=family, proto=0, flags=0
        )
        return [found]

    async def close(self) -> None:
        """Nothing to do."""


async def get(session: aiohttp.ClientSession, url: str = f"{URL}/x", **options: Any) -> Any:
    """What a GET brings."""
    async with session.get(url, **options) as answer:
        return await answer.json(content_type=None)


def test_a_request_reaches_the_endpoint_under_its_own_name(
    pair: tuple[Web, Web], stub: Stub
) -> None:
    """The server sees its host name and port; who gives another keeps it."""

    async def work(session: aiohttp.ClientSession) -> None:
        answer = await session.get(f"{URL}/path", params={"q": "a b"})
        assert (await answer.json(content_type=None))["path"] == "/path?q=a+b"
        assert str(answer.url) == f"{URL}/path?q=a+b"
        await get(session, headers={"Host": "www.example.test"})

    run(stub, work)
    hosts = [seen[2]["Host"] for seen in pair[0].seen]
    assert hosts == [f"a.example.test:{pair[0].port}", "www.example.test"]
    assert len(pair[0].connections) == 1
    assert stub.names == [NAME, NAME]
    assert stub.reports == [("a.example.test.", True)] * 2


def test_connections_are_kept_for_each_endpoint(pair: tuple[Web, Web], stub: Stub) -> None:
    """Each request is for whom the resolver picks, though another connection is idle."""

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in range(3):
            await get(session)
            stub.endpoints = stub.endpoints[::-1]

    run(stub, work)
    assert [len(web.seen) for web in pair] == [2, 1]
    assert [len(web.connections) for web in pair] == [1, 1]


def test_a_refused_connection_is_made_elsewhere(
    refused: Endpoint, pair: tuple[Web, Web], stub: Stub
) -> None:
    """Nothing was sent; those that refuse do not count as attempts."""
    others = [replace(refused, target=f"gone-{n}.example.test.") for n in range(3)]
    stub.endpoints = (*others, *stub.endpoints)

    async def work(session: aiohttp.ClientSession) -> None:
        async with session.post(f"{URL}/x", data=b"data") as answer:
            assert (await answer.json(content_type=None))["port"] == pair[0].port

    run(stub, work, attempts=1)
    assert pair[0].seen[0][2]["Host"] == f"a.example.test:{pair[0].port}"
    assert [ok for _, ok in stub.reports] == [False, False, False, True]
    assert not any(stub.in_flight.values())


def test_what_was_sent_is_the_callers_to_repeat(pair: tuple[Web, Web], stub: Stub) -> None:
    """A connector only connects."""
    pair[0].fault = "drop"

    async def work(session: aiohttp.ClientSession) -> None:
        async with session.post(f"{URL}/x", data=b"data"):
            pass

    with pytest.raises(aiohttp.ServerDisconnectedError):
        run(stub, work)
    assert pair[1].seen == []


def test_when_nobody_can_be_connected_to_one_line_names_them_all(
    refused: Endpoint, stub: Stub
) -> None:
    """It is an error of aiohttp's."""
    stub.endpoints = (refused, replace(refused, target="too.example.test.", addresses=()))
    with pytest.raises(aiohttp.ClientConnectorError) as caught:
        run(stub, get)
    told = f"'{NAME}': gone.example.test:{refused.port} did not connect ("
    assert told in str(caught.value)
    assert f"too.example.test:{refused.port} did not connect (no address is known)" in str(
        caught.value
    )
    assert isinstance(caught.value.__cause__, aiohttp.ClientConnectorError)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NotFound("v1: none"), aiohttp.ClientConnectorError),
        (UsageError("v1: bad"), aiohttp.InvalidURL),
    ],
)
def test_what_the_resolver_says_is_an_error_of_aiohttp(
    error: DnssdError, raised: type[Exception], stub: Stub
) -> None:
    """Its cause is there for those who ask."""
    stub.error = error
    with pytest.raises(raised, match=str(error)) as caught:
        run(stub, get)
    assert caught.value.__cause__ is error


def test_tls_is_spoken_in_the_targets_name(serve: Serve, authority: tuple[trustme.CA, str]) -> None:
    """A certificate for another name leads on; alone, it is an error that says so."""
    asked: list[str | None] = []
    wrong = serve("127.0.0.1", certified(authority[0], "other.example.test", []))
    right = serve("127.0.0.2", certified(authority[0], "b.example.test", asked))
    stub = Stub(endpoint_of(wrong, "a.example.test."), endpoint_of(right, "b.example.test."))
    context = ssl.create_default_context(cafile=authority[1])

    async def work(session: aiohttp.ClientSession) -> Any:
        return await get(session, f"{TLS_URL}/x", ssl=context)

    assert run(stub, work)["port"] == right.port
    assert asked == ["b.example.test"]
    assert wrong.seen == []
    stub.endpoints = stub.endpoints[:1]
    with pytest.raises(aiohttp.ClientConnectorCertificateError, match="Hostname mismatch"):
        run(stub, work)


def test_new_addresses_mean_new_connections(pair: tuple[Web, Web]) -> None:
    """A host that was replaced under its name is found, though the old one still answers."""
    twin = Web("127.0.0.3", port=pair[0].port)
    try:
        old = Endpoint("a.example.test.", pair[0].port, 0, 1, ("127.0.0.1",))
        stub = Stub(old)

        async def work(session: aiohttp.ClientSession) -> None:
            for addresses in ("127.0.0.1",), ("127.0.0.3",):
                stub.endpoints = (replace(old, addresses=addresses),)
                for _ in range(2):
                    await get(session)

        run(stub, work)
        assert [len(web.seen) for web in (pair[0], twin)] == [2, 2]
        assert [len(web.connections) for web in (pair[0], twin)] == [1, 1]
    finally:
        twin.kill()


def test_all_addresses_of_an_endpoint_are_tried(serve: Serve) -> None:
    """It has failed only if none of them answers."""
    web = serve("127.0.0.2")
    stub = Stub(replace(endpoint_of(web, "a.example.test."), addresses=("127.0.0.1", "127.0.0.2")))
    assert run(stub, get)["port"] == web.port
    assert stub.reports == [("a.example.test.", True)]


def test_a_host_that_is_gone_is_given_up_in_time(pair: tuple[Web, Web], stub: Stub) -> None:
    """The next endpoint gets its turn."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.socket() as client,
        socket.socket() as other,
    ):
        for one in client, other:  # fill its queue: further connections are left unanswered
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        gone = Endpoint("gone.example.test.", full.getsockname()[1], 0, 1, ("127.0.0.1",))
        stub.endpoints = (gone, *stub.endpoints)
        assert run(stub, get, connect_timeout=SOON)["port"] == pair[0].port
        stub.endpoints = (gone,)
        with pytest.raises(aiohttp.ConnectionTimeoutError) as caught:
            run(stub, get, connect_timeout=SOON)
        assert "did not connect in time" in str(caught.value.__cause__)


def test_other_hosts_are_connected_to_as_always(pair: tuple[Web, Web], stub: Stub) -> None:
    """By the resolver that was given for them."""

    async def work(session: aiohttp.ClientSession) -> Any:
        return await get(session, f"http://www.example.test:{pair[1].port}/x")

    assert run(stub, work)["port"] == pair[1].port
    assert stub.names == []


def test_one_attempt_at_least() -> None:
    """None would be no connector."""
    with pytest.raises(UsageError, match="attempts 0"):
        AiohttpConnector(AsyncStub(Stub()), attempts=0)


def test_the_resolver_alone_serves_any_connector(pair: tuple[Web, Web], stub: Stub) -> None:
    """Addresses and ports come from the service; hosts are left to others."""

    async def work() -> None:
        resolver = AiohttpResolver(AsyncStub(stub), others=Nobody())
        connector = aiohttp.TCPConnector(resolver=resolver)
        async with aiohttp.ClientSession(connector=connector) as session:
            assert (await get(session))["port"] == pair[0].port
            other = f"http://www.example.test:{pair[1].port}/x"
            assert (await get(session, other))["port"] == pair[1].port
            stub.error = NotFound("v1: none")
            with pytest.raises(aiohttp.ClientConnectorDNSError, match="v1: none"):
                await get(session, f"http://v2.{NAME.partition('.')[2]}/")

    asyncio.run(asyncio.wait_for(work(), PATIENCE))
    assert pair[0].seen[0][2]["Host"] == NAME


def test_from_dns_to_an_answer(sandbox: Sandbox, serve: Serve, refused: Endpoint) -> None:
    """A real resolver finds the service; its first host is down, its second one answers."""
    web = serve("127.0.0.2")
    publish(sandbox, refused, web)

    async def work() -> Any:
        async with AsyncResolver([sandbox.nameserver], timeout=PATIENCE) as resolver:
            connector = AiohttpConnector(resolver)
            async with aiohttp.ClientSession(connector=connector) as session:
                return await get(session, "http://_http._tcp.example.test/x")

    assert asyncio.run(work()) == {"port": web.port, "path": "/x"}
