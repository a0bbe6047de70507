"""The metadata service's HTTP server: a thread and a connection for each request."""

from http.server import BaseHTTPRequestHandler

from dnssd.sandbox.metadata.instance import Metadata, Reply
from dnssd.sandbox.server import StreamServer

PATIENCE = 5.0  # seconds that a client has to say what it wants


class MetadataServer(StreamServer):
    """Serves an instance's metadata.

    Args:
        metadata: What to answer.
        host: The IP address to listen on.
        port: 0 for any that is free.
    """

    def __init__(self, metadata: Metadata, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__("metadata", _Connection, host, port, patience=PATIENCE)
        self.metadata = metadata


class _Connection(BaseHTTPRequestHandler):
    """One request; HTTP/1.0, so that the connection ends with it."""

    server: MetadataServer

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
