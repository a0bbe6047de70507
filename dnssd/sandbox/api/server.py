"""The sandbox's Route 53: the operations behind an HTTP server, and what was asked of them."""

import itertools
import threading
import uuid
from collections import deque
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from dnssd.sandbox.api import counts
from dnssd.sandbox.api.exchange import Delivery, Request, Response, Wrap, refusal
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.operations import action, operations
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.server import MAX_CONNECTIONS, StreamServer, host_and_port

MAX_REQUESTS = 10_000  # remembered
MAX_BODY = 1_000_000  # octets; the largest batch that the limits allow has about 300,000
MAX_DRAINED = 16 * MAX_BODY  # octets of a refused body that are read so that the answer arrives
TIMEOUT = 10.0  # seconds that a connection may say nothing


class Exchange(NamedTuple):
    """A request and what became of it."""

    action: str  # empty if it asked for no operation
    status: int  # 0 if nothing was done, and nothing answered
    error: str | None
    user_agent: str


class Api(StreamServer):
    """Serves hosted zones as Route 53 does.

    Args:
        zones: The zones.
        host: The address to listen on.
        port: The port, 0 for any free one.
        wrap: What is laid around the operations.
        timeout: Seconds after which a silent connection is closed.
        max_connections: At a time; one more ends that which has waited longest for a request.
    """

    def __init__(
        self,
        zones: HostedZones,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        wrap: Wrap = lambda handler: handler,
        timeout: float = TIMEOUT,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        super().__init__(
            "API", _Connection, host, port, patience=timeout, max_connections=max_connections
        )
        self.counts = counts.Counts()
        self._operations = wrap(operations(zones))
        self._ids = itertools.count(1)
        self._exchanges: deque[Exchange] = deque(maxlen=MAX_REQUESTS)
        self._lock = threading.Lock()

    def requests(self) -> tuple[Exchange, ...]:
        """The latest requests, the oldest first."""
        with self._lock:
            return tuple(self._exchanges)

    def count(self, user_agent_contains: str = "") -> int:
        """How many of the latest requests came from such a client."""
        return sum(user_agent_contains in exchange.user_agent for exchange in self.requests())

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{host_and_port(self.host, self.port)}"

    def next_id(self) -> str:
        """A new identifier for a request."""
        return str(uuid.UUID(int=next(self._ids)))

    def answer(self, request: Request) -> Response:
        """Handle a request; whatever goes wrong has an answer."""
        if (request.method, request.path) == ("GET", counts.PATH):
            return Response(200, self.counts.document(), content_type="application/json")
        try:
            response = self._operations(request)
        except Exception as error:  # the client and its test must hear of a bug here
            failure = Rejection("InternalFailure", type(error).__name__, 500)
            response = refusal(request.id, failure)
        exchange = Exchange(action(request), response.status, response.error, request.user_agent)
        self.counts.add(exchange.action, exchange.error, response.fault, exchange.user_agent)
        with self._lock:
            self._exchanges.append(exchange)
        return response


class _Connection(BaseHTTPRequestHandler):
    server: Api
    protocol_version = "HTTP/1.1"
    server_version = "dnssd-sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer go out together

    def _respond(self) -> None:
        request_id = self.server.next_id()
        try:
            request = self._request(request_id)
        except Rejection as rejection:
            self.close_connection = True  # what follows may be the rest of this request
            self._send(request_id, refusal(request_id, rejection))
            return
        with self.server.at_work(self.connection):
            self._send(request_id, self.server.answer(request))

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = _respond  # noqa: N815 (http.server's names)

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
        if response.delivery is Delivery.NONE:
            self.close_connection = True
            return
        self.send_response(response.status)
        self.send_header("x-amzn-RequestId", request_id)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        octets = len(response.body)
        if response.delivery is Delivery.HALF:
            self.close_connection = True
            octets //= 2
        if self.command != "HEAD":
            self.wfile.write(response.body[:octets])
            self.wfile.flush()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no HTTP request, or has an unknown method, in XML too."""
        self.close_connection = True
        if code == 501:
            rejection = Rejection("MethodNotAllowed", "This method is not allowed", 405)
        else:
            rejection = Rejection("BadRequest", "This is no HTTP request", code)
        request_id = self.server.next_id()
        self._send(request_id, refusal(request_id, rejection))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are remembered."""
