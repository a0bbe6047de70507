"""A strict double of the one call that an agent makes to Auto Scaling."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

WANTED = {
    "Action": "CompleteLifecycleAction",
    "Version": "2011-01-01",
    "LifecycleActionResult": "CONTINUE",
}
NAMES = {*WANTED, "AutoScalingGroupName", "LifecycleHookName", "InstanceId"}
_DONE = (
    '<CompleteLifecycleActionResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">'
    "<CompleteLifecycleActionResult/><ResponseMetadata><RequestId>1</RequestId>"
    "</ResponseMetadata></CompleteLifecycleActionResponse>"
)
_ERROR = (
    '<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error>'
    "<Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>"
    "<RequestId>1</RequestId></ErrorResponse>"
)


class AutoScaling:
    """Takes the call for an instance that waits, once.

    Attributes:
        url: Where.
        waiting: GROUP/HOOK/INSTANCE that wait.
        completed: Those that were completed, in order.
        refused: Calls that were none: by what was wrong.
        failures: How many calls fail before one is looked at.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.waiting: set[str] = set()
        self.completed: list[str] = []
        self.refused: list[str] = []
        self.failures = 0

    def answer(self, headers: dict[str, str], body: str) -> tuple[int, str]:
        """A status, and what comes with it."""
        if self.failures:
            self.failures -= 1
            return 503, _ERROR.format("ServiceUnavailable", "Try again.")
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        scope = "/us-east-1/autoscaling/aws4_request"
        if scope not in headers.get("authorization", ""):
            return self._refuse("IncompleteSignature", "the signature is not for this")
        if set(asked) != NAMES or any(asked[name] != WANTED[name] for name in WANTED):
            return self._refuse("ValidationError", f"not that call: {asked}")
        key = f"{asked['AutoScalingGroupName']}/{asked['LifecycleHookName']}/{asked['InstanceId']}"
        if key not in self.waiting:
            return self._refuse(
                "ValidationError",
                f"No active Lifecycle Action found with instance ID {asked['InstanceId']}",
            )
        self.waiting.remove(key)
        self.completed.append(key)
        return 200, _DONE

    def _refuse(self, code: str, why: str) -> tuple[int, str]:
        self.refused.append(why)
        return 400, _ERROR.format(code, why)


@contextmanager
def auto_scaling() -> Iterator[AutoScaling]:
    """The double, on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, text = double.answer(headers, body)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double = AutoScaling(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
