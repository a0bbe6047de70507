"""The sandbox's Route 53: the operations behind an HTTP server with a thread a connection."""

import contextlib
import itertools
import socket
import threading
import uuid
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from dnssd.errors import Unavailable
from dnssd.sandbox.operations import Handler, Request, Response, action, operations, refusal
from dnssd.sandbox.rejections import Rejection
from dnssd.sandbox.store import Store

MAX_BODY = 1_000_000  # octets; the largest batch that the limits allow has about 300,000
MAX_DRAINED = 16 * MAX_BODY  # octets of a refused body that are read so that the answer arrives
MAX_REQUESTS = 10_000  # remembered
TIMEOUT = 10.0  # seconds that a connection may say nothing


class Exchange(NamedTuple):
    """A request and what became of it."""

    action: str  # empty if it asked for no operation
    status: int
    error: str | None
    user_agent: str


class Api:
    """Serves a store as Route 53 does.

    Args:
        store: The zones.
        host: The address to listen on.
        port: The port, 0 for any free one.
        wrap: What is laid around the operations.
        timeout: Seconds after which a silent connection is closed.
    """

    def __init__(
        self,
        store: Store,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        wrap: Callable[[Handler], Handler] = lambda handler: handler,
        timeout: float = TIMEOUT,
    ) -> None:
        self.host = host
        self.port = port
        self.timeout = timeout
        self._handler = wrap(operations(store))
        self._ids = itertools.count(1)
        self._exchanges: deque[Exchange] = deque(maxlen=MAX_REQUESTS)
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def start(self) -> None:
        """Listen, and answer from now on.

        Raises:
            Unavailable: The address or port cannot be had.
        """
        try:
            self._server = _Server(self)
        except OSError as error:
            raise Unavailable(
                f"sandbox API on {self.host} port {self.port}: {error.strerror}; choose another"
            ) from error
        self.port = self._server.server_address[1]
        self._server.start()

    def close(self) -> None:
        """End all connections and stop listening; again does nothing."""
        if self._server:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def requests(self) -> tuple[Exchange, ...]:
        """The latest requests, the oldest first."""
        with self._lock:
            return tuple(self._exchanges)

    def count(self, user_agent_contains: str = "") -> int:
        """How many of the latest requests came from such a client."""
        return sum(user_agent_contains in exchange.user_agent for exchange in self.requests())

    def request_id(self) -> str:
        """A new identifier for a request."""
        return str(uuid.UUID(int=next(self._ids)))

    def answer(self, request: Request) -> Response:
        """Handle a request; whatever goes wrong has an answer."""
        try:
            response = self._handler(request)
        except Exception as error:  # the client and its test must hear of a bug here
            failure = Rejection("InternalFailure", type(error).__name__, 500)
            response = refusal(request.id, failure)
        exchange = Exchange(action(request), response.status, response.error, request.user_agent)
        with self._lock:
            self._exchanges.append(exchange)
        return response


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api: Api) -> None:
        self.api = api
        self._open: set[Any] = set()  # connections
        self._changed = threading.Condition()
        self.address_family = socket.AF_INET6 if ":" in api.host else socket.AF_INET
        super().__init__((api.host, api.port), _Connection)
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.02,), name="sandbox-api", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout=5)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the client has gone away."""


class _Connection(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "dnssd-sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer go out together

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.api.timeout)

    def _respond(self) -> None:
        request_id = self.server.api.request_id()
        try:
            response = self.server.api.answer(self._request(request_id))
        except Rejection as rejection:
            self.close_connection = True  # what follows may be the rest of this request
            response = refusal(request_id, rejection)
        self._send(request_id, response)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = _respond  # noqa: N815

    def _request(self, request_id: str) -> Request:
        body = self._body()
        try:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query, keep_blank_values=True, max_num_fields=20))
        except ValueError as error:
            raise Rejection("BadRequest", "The URL is not valid") from error
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(request_id, self.command, url.path, query, headers, body)

    def _body(self) -> bytes:
        if "transfer-encoding" in self.headers:
            raise Rejection("LengthRequired", "Content-Length is needed", 411)
        text = self.headers.get("content-length", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise Rejection("BadRequest", "Content-Length is not a number")
        length = int(text)
        if length > MAX_BODY:
            self._drain(min(length, MAX_DRAINED))
            raise Rejection("RequestEntityTooLarge", f"At most {MAX_BODY} octets are allowed", 413)
        body = self.rfile.read(length)
        if len(body) < length:
            raise Rejection("BadRequest", "The request ended early")
        return body

    def _drain(self, length: int) -> None:
        while length > 0 and (chunk := self.rfile.read(min(length, 65536))):
            length -= len(chunk)

    def _send(self, request_id: str, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("x-amzn-RequestId", request_id)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no HTTP request, or has an unknown method, in XML too."""
        self.close_connection = True
        if code == 501:
            rejection = Rejection("MethodNotAllowed", "This method is not allowed", 405)
        else:
            rejection = Rejection("BadRequest", "This is no HTTP request", code)
        request_id = self.server.api.request_id()
        self._send(request_id, refusal(request_id, rejection))
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are remembered."""
