"""HTTP servers on loopback, sound ones and others, and a resolver that finds them."""

import http.server
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests
import trustme
from urllib3.util import Timeout

from dnssd.errors import DnssdError
from dnssd.http import Adapter, Chooser
from dnssd.resolver.snapshot import Endpoint
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.sandbox import Sandbox
from dnssd.zones.route53.text import read_name

SERVICE = "_http._tcp.example.test."
NAME = f"v1.{SERVICE[:-1]}"
URL = f"http+dnssd://{NAME}"
TLS_URL = f"https+dnssd://{NAME}"
SOON = 0.3  # seconds after which a server that hangs is given up
PATIENCE = 60.0  # seconds that a server which answers may take; none does


class Handler(http.server.BaseHTTPRequestHandler):
    """Echoes requests, redirects, or does what its server's `fault` says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Web"

    def setup(self) -> None:
        """Remember the connection, so that the server can break it."""
        super().setup()
        self.server.connections.append(self.connection)
        self.server.peers.append(self.client_address[0])

    def answer(self) -> None:
        """Answer one request, whatever its method."""
        body = self.body()
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        self.server.asked.release()
        self.server.gate.wait(PATIENCE)
        fault = self.server.fault
        if self.server.replies:
            status, headers = self.server.replies.pop(0)
            self.reply(status, b"", **headers)
            return
        if fault == "hang":
            self.server.released.wait(PATIENCE)
        if fault in ("hang", "drop"):
            self.close_connection = True
            return
        path, _, query = self.path.partition("?")
        if self.server.challenge and "Authorization" not in self.headers:
            self.reply(401, b"", **{"WWW-Authenticate": self.server.challenge})
        elif path == "/redirect":
            self.reply(302, b"moved", Location=unquote(query))
        elif path == "/cookie":
            self.reply(200, b"", **{"Set-Cookie": unquote(query)})
        elif fault == "half":
            self.reply(200, b"only this", **{"Content-Length": "100"})
            self.close_connection = True
        else:
            status = int(path[1:]) if path[1:].isdigit() else 200
            self.reply(status, json.dumps({"port": self.server.port, "path": self.path}).encode())

    do_GET = do_HEAD = do_OPTIONS = do_TRACE = do_DELETE = answer  # noqa: N815 (http.server's names)
    do_POST = do_PUT = do_PATCH = answer  # noqa: N815 (http.server's names)

    def body(self) -> bytes:
        """The body that came, by either framing."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline() or b"0", 16):
            body += self.rfile.read(size + 2)[:-2]
        self.rfile.readline()
        return body

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Web(http.server.ThreadingHTTPServer):
    """An HTTP server on loopback; `seen` holds what was asked of it.

    Requests wait while its `gate` is not set. `died` tells when it was being killed: from, to.
    """

    daemon_threads = False  # they are waited for

    def __init__(
        self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        super().__init__((host, port), Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.asked = threading.Semaphore(0)
        self.connections: list[socket.socket] = []
        self.peers: list[str] = []  # whence they came
        self.fault = ""
        self.replies: list[tuple[int, dict[str, str]]] = []  # what it says first
        self.challenge = ""  # to whoever gives no credentials
        self.released = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.died: tuple[float, float] | None = None
        self._thread = threading.Thread(target=self.serve_forever, args=[0.01])
        self._thread.start()

    @property
    def host(self) -> str:
        """The address on which it listens."""
        return str(self.server_address[0])

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is none of its business."""

    def await_asked(self) -> None:
        """Wait until one more request has come; a client may give up before."""
        assert self.asked.acquire(timeout=PATIENCE)

    def kill(self) -> None:
        """End it as a crash would: no port, and every connection cut; again does nothing."""
        if self.died:
            return
        began = time.monotonic()
        self.released.set()
        self.shutdown()
        self._thread.join()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended before
        self.gate.set()
        self.server_close()
        self.died = began, time.monotonic()


class Turns(Timeout):
    """A time-out for each try, in seconds, so that none is short whose server does answer."""

    def __init__(self, *seconds: float) -> None:
        super().__init__(PATIENCE)
        self._seconds = iter(seconds)

    def clone(self) -> Timeout:
        """That of the next try: urllib3 makes itself one of its own."""
        seconds = next(self._seconds)
        return Timeout(connect=seconds, read=seconds)


def turns(*seconds: float) -> Any:
    """The same for requests, whose types do not say that it takes what urllib3 does."""
    return Turns(*seconds)


class Stub:
    """A resolver that gives endpoints in a fixed order, and remembers what it hears."""

    def __init__(self, *endpoints: Endpoint) -> None:
        self.endpoints = endpoints
        self.names: list[str] = []
        self.reports: list[tuple[str, bool | None]] = []
        self.seconds: list[float] = []
        self.in_flight: Counter[str] = Counter()
        self.error: DnssdError | None = None
        self._lock = threading.Lock()

    def pick(self, name: str) -> Endpoint:
        """The first endpoint; counts a call."""
        self.names.append(name)
        if self.error:
            raise self.error
        with self._lock:
            self.in_flight[self.endpoints[0].target] += 1
        return self.endpoints[0]

    def order(self, name: str) -> tuple[Endpoint, ...]:
        """All endpoints."""
        if self.error:
            raise self.error
        return self.endpoints

    def report(
        self,
        endpoint: Endpoint,
        ok: bool | None,
        seconds: float | None = None,
        *,
        picked: bool = True,
    ) -> None:
        """Note how a call went."""
        assert seconds is not None
        assert seconds >= 0
        with self._lock:
            self.reports.append((endpoint.target, ok))
            self.seconds.append(seconds)
            self.in_flight[endpoint.target] -= picked


class AsyncStub:
    """The same for asyncio."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self.report = stub.report

    async def pick(self, name: str) -> Endpoint:
        """The first endpoint."""
        return self._stub.pick(name)

    async def order(self, name: str) -> tuple[Endpoint, ...]:
        """All endpoints."""
        return self._stub.order(name)


Serve = Callable[..., Web]


@contextmanager
def mounted(adapter: Adapter) -> Iterator[requests.Session]:
    """A session that has an adapter for services."""
    with requests.Session() as session:
        session.mount("http+dnssd://", adapter)
        session.mount("https+dnssd://", adapter)
        yield session


def session_of(stub: Chooser, **options: Any) -> AbstractContextManager[requests.Session]:
    """A session whose services `stub` finds."""
    return mounted(Adapter(stub, **options))


def endpoint_of(web: Web, target: str, **more: Any) -> Endpoint:
    """The endpoint at which a server can be reached."""
    return Endpoint(target, web.port, 0, 1, (web.host,), **more)


def certified(ca: trustme.CA, name: str, asked: list[str | None]) -> ssl.SSLContext:
    """What a server with a certificate for `name` needs; notes the names it is asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)

    def note(_: object, name: str | None, __: object) -> None:
        asked.append(name)

    context.sni_callback = note
    return context


def publish(sandbox: Sandbox, refused: Endpoint, web: Web) -> None:
    """Put a service into DNS whose first host is down and whose second one answers."""
    instance = "My\\040Web." + SERVICE
    records = {
        (SERVICE, "PTR"): [instance],
        (instance, "SRV"): [
            f"0 1 {refused.port} gone.example.test.",
            f"1 1 {web.port} b.example.test.",
        ],
        (instance, "TXT"): ['""'],
        ("gone.example.test.", "A"): ["127.0.0.1"],
        ("b.example.test.", "A"): ["127.0.0.2"],
    }
    edits = [
        Edit(Action.CREATE, HostedRRset(read_name(name), rdtype, 60, tuple(values)))
        for (name, rdtype), values in records.items()
    ]
    sandbox.zones.change(sandbox.zone_id, edits)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that end with the test."""
    with ExitStack() as stack:

        def start(*args: Any) -> Web:
            web = Web(*args)
            stack.callback(web.kill)
            return web

        yield start


@pytest.fixture
def pair(serve: Serve) -> tuple[Web, Web]:
    """Two servers."""
    return serve("127.0.0.1"), serve("127.0.0.2")


@pytest.fixture
def stub(pair: tuple[Web, Web]) -> Stub:
    """A resolver that gives the two servers, always in the same order."""
    return Stub(endpoint_of(pair[0], "a.example.test."), endpoint_of(pair[1], "b.example.test."))


@pytest.fixture
def session(stub: Stub) -> Iterator[requests.Session]:
    """A session whose services are the two servers."""
    with session_of(stub) as session:
        yield session


@pytest.fixture
def refused() -> Iterator[Endpoint]:
    """An endpoint where nobody listens; its port stays taken."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield Endpoint("gone.example.test.", sock.getsockname()[1], 0, 1, ("127.0.0.1",))


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, str]:
    """Who certifies, and the file in which clients find that."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return ca, str(tmp_path / "ca.pem")
