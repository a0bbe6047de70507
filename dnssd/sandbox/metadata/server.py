"""The metadata service's HTTP server: a thread and a connection for each request."""

from http.server import BaseHTTPRequestHandler
from typing import Self

from dnssd.errors import Unavailable
from dnssd.sandbox.metadata.instance import Metadata, Reply
from dnssd.sandbox.server import ConnectionServer

TIMEOUT = 5.0  # seconds that a client has to say what it wants


class MetadataServer:
    """Serves an instance's metadata.

    Args:
        metadata: What to answer.
        host: The IP address to listen on.
        port: 0 for any that is free.
        timeout: Seconds after which a silent connection is closed.
    """

    def __init__(
        self,
        metadata: Metadata,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        self.metadata = metadata
        self.host = host
        self.port = port  # once started: the one it has
        self.timeout = timeout
        self._server: _Server | None = None

    def start(self) -> None:
        """Listen, and answer from now on.

        Raises:
            Unavailable: The address or the port cannot be had.
        """
        try:
            self._server = _Server(self)
        except OSError as error:
            raise Unavailable(
                f"metadata port {self.port} of {self.host}: {error.strerror}; "
                "choose another, or 0 for any that is free"
            ) from error
        self.port = self._server.server_address[1]
        self._server.start()

    def close(self) -> None:
        """Stop, and close every connection; again does nothing."""
        if self._server:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ConnectionServer):
    def __init__(self, owner: MetadataServer) -> None:
        self.metadata = owner.metadata
        super().__init__((owner.host, owner.port), _Connection, timeout=owner.timeout)


class _Connection(BaseHTTPRequestHandler):
    """One request; HTTP/1.0, so that the connection ends with it."""

    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.patience)

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path.partition("?")[0]
        with self.server.at_work(self.connection):
            self._send(self.server.metadata.reply(self.command, path, headers))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 (http.server's names)

    def _send(self, reply: Reply) -> None:
        body = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """What the service calls itself."""
        return "EC2ws"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
