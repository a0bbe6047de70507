"""The sandbox's Route 53: the operations behind an HTTP server, and what was asked of them."""

import itertools
import threading
import uuid
from collections import deque
from typing import NamedTuple, Self

from dnssd.errors import Unavailable
from dnssd.sandbox.api import counts
from dnssd.sandbox.api.hostedzones import Store
from dnssd.sandbox.api.operations import Request, Response, Wrap, action, operations, refusal
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.server import ApiServer
from dnssd.sandbox.server import MAX_CONNECTIONS

MAX_REQUESTS = 10_000  # remembered
TIMEOUT = 10.0  # seconds that a connection may say nothing


class Exchange(NamedTuple):
    """A request and what became of it."""

    action: str  # empty if it asked for no operation
    status: int  # 0 if nothing was done, and nothing answered
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
        max_connections: At a time; one more ends that which has waited longest for a request.
    """

    def __init__(
        self,
        store: Store,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        wrap: Wrap = lambda handler: handler,
        timeout: float = TIMEOUT,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.host = host
        self.port = port
        self.timeout = timeout
        self.max_connections = max_connections
        self.counts = counts.Counts()
        self._handler = wrap(operations(store))
        self._ids = itertools.count(1)
        self._exchanges: deque[Exchange] = deque(maxlen=MAX_REQUESTS)
        self._lock = threading.Lock()
        self._server: ApiServer | None = None

    def start(self) -> None:
        """Listen, and answer from now on.

        Raises:
            Unavailable: The address or port cannot be had.
        """
        try:
            self._server = ApiServer(
                (self.host, self.port),
                self.answer,
                self.request_id,
                timeout=self.timeout,
                max_connections=self.max_connections,
            )
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
        if (request.method, request.path) == ("GET", counts.PATH):
            return Response(200, self.counts.document(), content_type="application/json")
        try:
            response = self._handler(request)
        except Exception as error:  # the client and its test must hear of a bug here
            failure = Rejection("InternalFailure", type(error).__name__, 500)
            response = refusal(request.id, failure)
        exchange = Exchange(action(request), response.status, response.error, request.user_agent)
        self.counts.add(exchange.action, exchange.error, response.fault, exchange.user_agent)
        with self._lock:
            self._exchanges.append(exchange)
        return response
