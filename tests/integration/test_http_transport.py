"""The transports of httpx against real HTTP servers, for threads and for asyncio."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trustme

from dnssd.errors import DnssdError, NotFound, UsageError
from dnssd.http import AsyncTransport, Transport
from dnssd.resolver.asyncio import AsyncResolver
from dnssd.resolver.client import Resolver
from dnssd.resolver.snapshot import Endpoint
from dnssd.sandbox.sandbox import Sandbox
from kit.web import (
    NAME,
    PATIENCE,
    SOON,
    TLS_URL,
    URL,
    AsyncStub,
    Serve,
    Stub,
    Web,
    certified,
    endpoint_of,
    publish,
)

Requests = list[tuple[str, str]] | list[tuple[str, str, dict[str, Any]]]
Call = Callable[..., list[httpx.Response]]


def by_threads(stub: Stub, *requests: Any, **options: Any) -> list[httpx.Response]:
    """Send requests one after the other, each read."""
    transport = Transport(stub, **options)
    mounts = {"http+dnssd://": transport, "https+dnssd://": transport}
    with httpx.Client(mounts=mounts, timeout=PATIENCE) as client:
        return [client.request(method, url, **more) for method, url, more in _whole(requests)]


def by_tasks(stub: Stub, *requests: Any, **options: Any) -> list[httpx.Response]:
    """The same with asyncio."""

    async def send() -> list[httpx.Response]:
        transport = AsyncTransport(AsyncStub(stub), **options)
        mounts = {"http+dnssd://": transport, "https+dnssd://": transport}
        async with httpx.AsyncClient(mounts=mounts, timeout=PATIENCE) as client:
            return [
                await client.request(method, url, **more) for method, url, more in _whole(requests)
            ]

    return asyncio.run(send())


def _whole(requests: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for request in requests:
        if callable(request):
            request()
        else:
            yield (*request, {}) if len(request) == 2 else request


@pytest.fixture(params=[by_threads, by_tasks], ids=["threads", "tasks"])
def call(request: pytest.FixtureRequest) -> Call:
    """Both kinds."""
    return request.param  # type: ignore[no-any-return]


GET = ("GET", f"{URL}/x")


def test_a_request_reaches_the_endpoint_under_its_own_name(
    call: Call, pair: tuple[Web, Web], stub: Stub
) -> None:
    """The server sees its host name and port; who gives another keeps it."""
    own = {"headers": {"Host": "www.example.test"}}
    first, second = call(stub, ("GET", f"{URL}/path?q=a+b"), (*GET, own))

    assert first.json() == {"port": pair[0].port, "path": "/path?q=a+b"}
    assert str(first.url) == f"{URL}/path?q=a+b"
    assert second.status_code == 200
    hosts = [seen[2]["Host"] for seen in pair[0].seen]
    assert hosts == [f"a.example.test:{pair[0].port}", "www.example.test"]
    assert len(pair[0].connections) == 1
    assert stub.reports == [("a.example.test.", True)] * 2
    assert not any(stub.in_flight.values())


@pytest.mark.parametrize("name", ["my web._http._tcp.example.test", "a/b:c@d?e#f._http._tcp.test"])
def test_a_name_arrives_as_it_was_quoted(call: Call, name: str, stub: Stub) -> None:
    """No letter is taken for a part of the URL; case does not count in DNS."""
    call(stub, ("GET", f"http+dnssd://{quote(name, safe='')}/x"))
    assert stub.names == [name]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_connection_is_made_elsewhere(
    call: Call, method: str, refused: Endpoint, pair: tuple[Web, Web], stub: Stub
) -> None:
    """Any method may be repeated; those that refuse do not count as attempts."""
    others = [replace(refused, target=f"gone-{n}.example.test.") for n in range(3)]
    stub.endpoints = (*others, *stub.endpoints)
    (answer,) = call(stub, (method, f"{URL}/x", {"content": b"data"}), attempts=1)

    assert answer.json()["port"] == pair[0].port
    assert pair[0].seen[0][3] == b"data"
    assert [ok for _, ok in stub.reports] == [False, False, False, True]
    assert not any(stub.in_flight.values())


@pytest.mark.parametrize("fault", ["hang", "drop"])
def test_an_idempotent_request_is_repeated_elsewhere(
    call: Call, fault: str, pair: tuple[Web, Web], stub: Stub
) -> None:
    """No answer in time, or none at all; a POST is the caller's to repeat."""
    pair[0].fault = fault
    patience = httpx.Timeout(PATIENCE, read=SOON if fault == "hang" else PATIENCE)
    kind = httpx.ReadTimeout if fault == "hang" else httpx.TransportError

    (answer,) = call(stub, ("PUT", f"{URL}/x", {"content": b"data", "timeout": patience}))
    assert answer.json()["port"] == pair[1].port
    with pytest.raises(kind, match=r"^'v1\._http\._tcp\.example\.test': a\.example\.test:\d+ "):
        call(stub, ("POST", f"{URL}/x", {"content": b"data", "timeout": patience}))
    assert [ok for _, ok in stub.reports] == [False, True, False]


def test_when_nobody_answers_one_line_names_them_all(
    call: Call, refused: Endpoint, stub: Stub
) -> None:
    """The error is of the type that the last try met, which is its cause."""
    stub.endpoints = (refused, replace(refused, target="too.example.test.", addresses=()))
    with pytest.raises(httpx.ConnectError) as caught:
        call(stub, GET)
    assert str(caught.value) == (
        f"'{NAME}': gone.example.test:{refused.port} did not connect (Connection refused), "
        f"too.example.test:{refused.port} did not connect (no connection: no endpoint has an "
        "address; check its records); check that the service runs"
    )
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert caught.value.request.method == "GET"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NotFound("v1: none"), httpx.ConnectError),
        (UsageError("v1: bad"), httpx.UnsupportedProtocol),
    ],
)
def test_what_the_resolver_says_is_an_error_of_httpx(
    call: Call, error: DnssdError, raised: type[Exception], stub: Stub
) -> None:
    """Its cause is there for those who ask."""
    stub.error = error
    with pytest.raises(raised, match=str(error)) as caught:
        call(stub, GET)
    assert caught.value.__cause__ is error


def test_a_url_that_cannot_be_meant(call: Call, stub: Stub) -> None:
    """A port, or another scheme."""
    with pytest.raises(httpx.UnsupportedProtocol, match="DNS gives the port"):
        call(stub, ("GET", f"http+dnssd://{NAME}:80/"))
    with (
        httpx.Client(transport=Transport(stub)) as client,
        pytest.raises(httpx.UnsupportedProtocol, match="not http"),
    ):
        client.get("http://example.test/")


def test_tls_is_spoken_in_the_targets_name(
    call: Call, serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """With the context that the transport was given; another certificate leads on, for a POST."""
    asked: list[str | None] = []
    wrong = serve("127.0.0.1", certified(authority[0], "other.example.test", []))
    right = serve("127.0.0.2", certified(authority[0], "b.example.test", asked))
    stub = Stub(endpoint_of(wrong, "a.example.test."), endpoint_of(right, "b.example.test."))
    context = ssl.create_default_context(cafile=authority[1])

    (answer,) = call(stub, ("POST", f"{TLS_URL}/x", {"content": b"data"}), verify=context)
    assert answer.json()["port"] == right.port
    assert asked == ["b.example.test"]
    assert wrong.seen == []
    stub.endpoints = stub.endpoints[:1]
    with pytest.raises(httpx.ConnectError, match=r"did not connect \(Hostname mismatch"):
        call(stub, ("GET", f"{TLS_URL}/x"), verify=context)
    stub.endpoints = (replace(stub.endpoints[0], target=f"{'x' * 64}.test."),)
    with pytest.raises(httpx.ConnectError):
        call(stub, ("GET", f"{TLS_URL}/x"), verify=context)


def test_who_is_not_trusted_is_not_talked_to(
    call: Call, serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """By default the public authorities count, and verify=False is the caller's own word."""
    web = serve("127.0.0.1", certified(authority[0], "a.example.test", []))
    stub = Stub(endpoint_of(web, "a.example.test."))
    with pytest.raises(httpx.ConnectError):
        call(stub, ("GET", f"{TLS_URL}/x"))
    assert web.seen == []
    assert call(stub, ("GET", f"{TLS_URL}/x"), verify=False)[0].status_code == 200


def test_new_addresses_mean_new_connections(
    call: Call, pair: tuple[Web, Web], serve: Serve
) -> None:
    """A host that was replaced under its name is found, though the old one still answers."""
    twin = Web("127.0.0.3", port=pair[0].port)
    try:
        old = Endpoint("a.example.test.", pair[0].port, 0, 1, ("127.0.0.1",))
        stub = Stub(old)

        def replaced() -> None:
            stub.endpoints = (replace(old, addresses=("127.0.0.3",)),)

        call(stub, GET, GET, replaced, GET, GET)
        assert [len(web.seen) for web in (pair[0], twin)] == [2, 2]
        assert [len(web.connections) for web in (pair[0], twin)] == [1, 1]
    finally:
        twin.kill()


def test_all_addresses_of_an_endpoint_are_tried(call: Call, serve: Serve) -> None:
    """It has failed only if none of them answers."""
    web = serve("127.0.0.2")
    stub = Stub(replace(endpoint_of(web, "a.example.test."), addresses=("127.0.0.1", "127.0.0.2")))
    assert call(stub, GET)[0].status_code == 200
    assert stub.reports == [("a.example.test.", True)]


def test_a_host_that_is_gone_is_given_up_in_time(
    call: Call, pair: tuple[Web, Web], stub: Stub
) -> None:
    """The transport's own limit counts where the client has none."""
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
        assert call(stub, ("POST", f"{URL}/x", {"timeout": None}), connect_timeout=SOON)
    assert [ok for _, ok in stub.reports] == [False, True]


@pytest.mark.parametrize(
    "location", ["/there", "http://A.example.test:{port}/there", f"{URL}/there"]
)
def test_a_redirect_to_itself_stays_on_the_service(
    call: Call, location: str, pair: tuple[Web, Web], stub: Stub
) -> None:
    """The next request is for any endpoint of it."""
    location = quote(location.format(port=pair[0].port), safe="")
    (answer,) = call(stub, ("GET", f"{URL}/redirect?{location}", {"follow_redirects": True}))
    assert str(answer.url) == f"{URL}/there"
    assert stub.names == [NAME, NAME]


def test_options_of_connections(call: Call, pair: tuple[Web, Web], stub: Stub) -> None:
    """They come from the given address, with the given options."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    call(stub, GET, local_address="127.0.0.9", socket_options=options)
    assert pair[0].seen[0][2]["Host"].startswith("a.example.test")
    assert pair[0].peers == ["127.0.0.9"]


def test_one_attempt_at_least() -> None:
    """None would be no transport."""
    for kind in Transport, AsyncTransport:
        with pytest.raises(UsageError, match="attempts 0"):
            kind(Stub(), attempts=0)  # type: ignore[arg-type] # nothing is asked of it


def test_a_streamed_answer_that_breaks_off_is_the_callers(
    pair: tuple[Web, Web], stub: Stub
) -> None:
    """It is handed over at its headers."""
    pair[0].fault = "half"
    with (
        httpx.Client(mounts={"http+dnssd://": Transport(stub)}, timeout=PATIENCE) as client,
        client.stream("GET", URL) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        answer.read()
    assert stub.reports == [("a.example.test.", True)]


def test_threads_share_a_transport(pair: tuple[Web, Web], stub: Stub) -> None:
    """Each of their calls is answered and reported once; connections that ended are not used."""
    with httpx.Client(mounts={"http+dnssd://": Transport(stub)}, timeout=PATIENCE) as client:

        def run() -> None:
            for _ in range(10):
                assert client.get(URL).status_code == 200

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pair[0].kill()
        stub.endpoints = stub.endpoints[::-1]
        assert client.get(URL).json()["port"] == pair[1].port
    assert stub.reports[:40] == [("a.example.test.", True)] * 40
    assert not any(stub.in_flight.values())


def test_from_dns_to_an_answer(sandbox: Sandbox, serve: Serve, refused: Endpoint) -> None:
    """Real resolvers find the service; its first host is down, its second one answers."""
    web = serve("127.0.0.2")
    publish(sandbox, refused, web)
    url = "http+dnssd://my%20web._http._tcp.example.test./x"
    with (
        Resolver([sandbox.nameserver], timeout=PATIENCE) as resolver,
        httpx.Client(mounts={"http+dnssd://": Transport(resolver)}) as client,
    ):
        assert client.get(url).json() == {"port": web.port, "path": "/x"}

    async def get() -> object:
        async with AsyncResolver([sandbox.nameserver], timeout=PATIENCE) as resolver:
            mounts = {"http+dnssd://": AsyncTransport(resolver)}
            async with httpx.AsyncClient(mounts=mounts) as client:
                return (await client.get(url)).json()

    assert asyncio.run(get()) == {"port": web.port, "path": "/x"}
