"""A strict double of EC2's DescribeInstances and STS's GetCallerIdentity, on loopback.

It takes exactly these two calls of the Query API, and refuses what AWS refuses.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

ACCOUNT = "123456789012"
MOST = 1000  # instances on a page


@dataclass
class FakeEc2:
    """Instances and their states, and what goes wrong.

    Attributes:
        states: The state of each instance, by its ID.
        account: Whom the caller's credentials belong to.
        failures: What the next answers are instead: an error code each, None for a proper one.
        calls: The actions asked for, in order.
        page: Instances on a page, at most.
        url: Where it listens.
    """

    states: dict[str, str] = field(default_factory=dict)
    account: str = ACCOUNT
    failures: list[str | None] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    page: int = MOST
    url: str = ""

    def answer(self, form: dict[str, str]) -> tuple[int, str]:
        """The status and document for one request."""
        action = form.get("Action", "")
        self.calls.append(action)
        if self.failures and (code := self.failures.pop(0)):
            return 503 if code == "RequestLimitExceeded" else 403, _error(code, "as told")
        if action == "GetCallerIdentity":
            return 200, _identity(self.account)
        if action != "DescribeInstances":
            return 400, _error("InvalidAction", f"The action {action} is not valid")
        return self._instances(form)

    def _instances(self, form: dict[str, str]) -> tuple[int, str]:
        unknown = set(form) - {"Action", "Version", "MaxResults", "NextToken"}
        if unknown:
            return 400, _error("UnknownParameter", f"{sorted(unknown)}")
        wanted = int(form.get("MaxResults", MOST))
        if not 5 <= wanted <= MOST:
            return 400, _error("InvalidParameterValue", f"MaxResults {wanted}")
        token = form.get("NextToken", "0")
        if not token.isdigit() or int(token) > len(self.states):
            return 400, _error("InvalidNextToken", token)
        start, size = int(token), min(wanted, self.page)
        chosen = list(self.states.items())[start : start + size]
        more = start + size if start + size < len(self.states) else None
        return 200, _page(chosen, more)


@contextmanager
def fake_ec2() -> Iterator[FakeEc2]:
    """A double that answers as long as the block runs."""
    double = FakeEc2()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if "Authorization" not in self.headers:
                status, document = 401, _error("AuthFailure", "not signed")
            else:
                form = {key: values[0] for key, values in parse_qs(body).items()}
                status, document = double.answer(form)
            payload = document.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        double.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield double
        finally:
            server.shutdown()
            thread.join()


def _page(instances: Sequence[tuple[str, str]], more: int | None) -> str:
    items = "".join(
        "<item><reservationId>r-1</reservationId><instancesSet><item>"
        f"<instanceId>{escape(name)}</instanceId>"
        f"<instanceState><code>0</code><name>{escape(state)}</name></instanceState>"
        "</item></instancesSet></item>"
        for name, state in instances
    )
    token = f"<nextToken>{more}</nextToken>" if more is not None else ""
    return (
        '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        f"<requestId>1</requestId><reservationSet>{items}</reservationSet>{token}"
        "</DescribeInstancesResponse>"
    )


def _identity(account: str) -> str:
    return (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<GetCallerIdentityResult><Arn>arn:aws:iam::{account}:user/x</Arn><UserId>x</UserId>"
        f"<Account>{account}</Account></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


def _error(code: str, text: str) -> str:
    return (
        f"<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(text)}</Message>"
        "</Error></Errors><RequestID>1</RequestID></Response>"
    )
