"""The HTTP server in front of the sandbox's Route 53."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from dnssd.sandbox.api.operations import Delivery, Request, Response, refusal
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.server import ConnectionServer

MAX_BODY = 1_000_000  # octets; the largest batch that the limits allow has about 300,000
MAX_DRAINED = 16 * MAX_BODY  # octets of a refused body that are read so that the answer arrives


class ApiServer(ConnectionServer):
    """Reads requests, and sends what answers them.

    Args:
        address: Host and port to listen on; port 0 for any that is free.
        answer: Answers a request, in the thread of its connection.
        next_id: Gives a new identifier for a request.
        timeout: Seconds after which a silent connection is closed.
        max_connections: At a time; one more ends that which has waited longest for a request.

    Raises:
        OSError: The address or port cannot be had.
    """

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[Request], Response],
        next_id: Callable[[], str],
        *,
        timeout: float,
        max_connections: int,
    ) -> None:
        self.answer = answer
        self.next_id = next_id
        super().__init__(address, _Connection, timeout=timeout, max_connections=max_connections)


class _Connection(BaseHTTPRequestHandler):
    server: ApiServer
    protocol_version = "HTTP/1.1"
    server_version = "dnssd-sandbox"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer go out together

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.patience)

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
