"""What HTTP clients cost through us, beside the same clients to host:port: in one run, by turns."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from itertools import repeat
from typing import NamedTuple

import aiohttp
import httpx
import requests
from tables import rates, show
from warm import DOMAIN, ROUNDS, served

from dnssd import AsyncResolver, Resolver
from dnssd.http import Adapter, AiohttpConnector, AsyncTransport, Transport
from kit.servers import Host, Zone, service

NAME = f"web._http._tcp.{DOMAIN}"
SECONDS = 0.3  # of one client, each round

_Work = Callable[[int], object]
_SERVER = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *arguments):
        pass

with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""


class Pair(NamedTuple):
    """One client, as it sends requests through us and to host:port."""

    through: _Work
    plain: _Work


def clients() -> None:
    """requests, httpx and aiohttp: one server, connections kept."""
    with ExitStack() as stack:
        port = stack.enter_context(_web_server())
        host = Host("web-1", ("127.0.0.1",), port=port)
        zone = Zone((*host.records, *service("web", "_http._tcp", [host], '""')))
        address = f"127.0.0.1:{stack.enter_context(served(zone)).port}"
        runner = stack.enter_context(asyncio.Runner())
        resolver = stack.enter_context(Resolver([address]))
        finder, closing = AsyncResolver([address]), AsyncExitStack()
        closing.push_async_callback(finder.close)
        plain = f"http://127.0.0.1:{port}/"
        pairs = {
            "requests": _requests(resolver, plain),
            "httpx": _httpx(stack, resolver, plain),
            "httpx, asyncio": runner.run(_async_httpx(runner, finder, plain, closing)),
            "aiohttp": runner.run(_aiohttp(runner, finder, plain, closing)),
        }
        works = [work for pair in pairs.values() for work in pair]
        for work in works:
            work(20)  # connected, and known from DNS
        measured = rates(3 * ROUNDS, SECONDS, works)
        rows = [
            (name, ours.text(), theirs.text(), theirs.over(ours).text(2))
            for name, ours, theirs in zip(pairs, measured[::2], measured[1::2], strict=True)
        ]
        runner.run(closing.aclose())
    show("Requests a second on loopback", ("client", "through us", "to host:port", "time"), rows)


def _requests(resolver: Resolver, plain: str) -> Pair:
    session = requests.Session()
    session.mount("http+dnssd://", Adapter(resolver))
    get = partial(session.get, timeout=5)
    return Pair(*(_often(get, url) for url in (f"http+dnssd://{NAME}/", plain)))


def _httpx(stack: ExitStack, resolver: Resolver, plain: str) -> Pair:
    transport = Transport(resolver)
    client = stack.enter_context(httpx.Client(mounts={"http+dnssd://": transport}))
    return Pair(*(_often(client.get, url) for url in (f"http+dnssd://{NAME}/", plain)))


def _often(get: Callable[[str], object], url: str) -> _Work:
    def work(number: int) -> None:
        for _ in repeat(None, number):
            get(url)

    return work


async def _async_httpx(
    runner: asyncio.Runner, finder: AsyncResolver, plain: str, closing: AsyncExitStack
) -> Pair:
    mounts = {"http+dnssd://": AsyncTransport(finder)}
    client = await closing.enter_async_context(httpx.AsyncClient(mounts=mounts))

    async def work(url: str, number: int) -> None:
        for _ in repeat(None, number):
            await client.get(url)

    urls = f"http+dnssd://{NAME}/", plain
    return Pair(*(lambda number, url=url: runner.run(work(url, number)) for url in urls))


async def _aiohttp(
    runner: asyncio.Runner, finder: AsyncResolver, plain: str, closing: AsyncExitStack
) -> Pair:
    sessions = {
        f"http://{NAME}/": aiohttp.ClientSession(connector=AiohttpConnector(finder)),
        plain: aiohttp.ClientSession(),
    }
    for session in sessions.values():
        await closing.enter_async_context(session)

    async def work(url: str, number: int) -> None:
        get = sessions[url].get
        for _ in repeat(None, number):
            async with get(url) as answer:
                await answer.read()

    return Pair(*(lambda number, url=url: runner.run(work(url, number)) for url in sessions))


@contextmanager
def _web_server() -> Iterator[int]:
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()
