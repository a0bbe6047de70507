"""Asking instance metadata over real sockets, a well-behaved one and others."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dnssd.deadline import Deadline
from dnssd.errors import DeadlineExceeded, Unavailable
from dnssd.hosts import HostFacts, detect, ec2
from dnssd.hosts.ec2 import SHOW_ACCOUNT
from dnssd.hosts.imds import Imds, Settings
from dnssd.sandbox.metadata.instance import Instance
from dnssd.sandbox.sandbox import Sandbox
from kit.clouds import Clock

DOCUMENT = "/latest/dynamic/instance-identity/document"
TOKEN = "/latest/api/token"
IDENTITY = '{"accountId": "123456789012", "region": "us-west-2", "instanceId": "i-0ABC"}'

Reply = tuple[int, str]


class Service:
    """A metadata service that gives scripted replies; the last for a path is repeated."""

    def __init__(self, replies: dict[str, list[Reply]]) -> None:
        self.replies = {TOKEN: [(200, "token")], DOCUMENT: [(200, IDENTITY)]} | replies
        self.seen: list[tuple[str, str]] = []
        self.url = ""

    def reply(self, method: str, path: str) -> Reply:
        """What to say, and note that it was asked."""
        self.seen.append((method, path))
        replies = self.replies.get(path, [(404, "")])
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def environ(self, **more: str) -> dict[str, str]:
        """An environment that leads here."""
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url, **more}

    def facts(self, deadline: Deadline) -> HostFacts:
        """What a client makes of it."""
        return ec2.facts(self.environ(), deadline)


@contextmanager
def service(**replies: list[Reply]) -> Iterator[Service]:
    """A running service; keywords are item names, or `token` or `document`."""
    paths = {"token": TOKEN, "document": DOCUMENT}
    script = Service(
        {
            paths.get(item) or f"/latest/meta-data/{item.replace('_', '-')}": list(script)
            for item, script in replies.items()
        }
    )

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, body = script.reply(self.command, self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_PUT = answer  # noqa: N815 (the names that http.server looks for)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        script.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()


def test_an_instance_of_the_sandbox(sandbox: Sandbox) -> None:
    """Everything comes from the metadata."""
    facts = detect(sandbox.environment(), Clock().deadline())

    assert facts == HostFacts(
        label="i-0123456789abcdef0",
        private=("10.0.0.5",),
        public=(),
        owner="ec2/d6c35c/us-east-1/i-0123456789abcdef0",
        source=f"EC2 instance metadata at {sandbox.metadata_url}",
        cloud="ec2",
        region="us-east-1",
        zone="us-east-1a",
        former_owners=("ec2/123456789012/us-east-1/i-0123456789abcdef0",),
    )
    asked = detect({**sandbox.environment(), SHOW_ACCOUNT: "1"}, Clock().deadline())
    assert (asked.owner, asked.former_owners) == (*facts.former_owners, (facts.owner,))


def test_proxies_are_passed_by(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would answer for itself, or keep the token."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert detect(sandbox.environment(), Clock().deadline()).private == ("10.0.0.5",)


def test_an_instance_with_every_address() -> None:
    """The interface's IPv6 address is both private and public."""
    instance = Instance(private_ip="10.0.0.9", public_ip="198.51.100.7", ipv6="2001:db8::9")
    with Sandbox(instance=instance) as sandbox:
        facts = detect(sandbox.environment(), Clock().deadline())

    assert facts.private == ("10.0.0.9", "2001:db8::9")
    assert facts.public == ("198.51.100.7", "2001:db8::9")


def test_a_given_label_wins(sandbox: Sandbox) -> None:
    """The owner stays the instance."""
    facts = detect(sandbox.environment(), Clock().deadline(), label="web")

    assert facts.label == "web"
    assert facts.owner.endswith("/i-0123456789abcdef0")


def test_metadata_that_is_switched_off_is_not_asked(sandbox: Sandbox, tmp_path: Path) -> None:
    """The machine speaks for itself then."""
    environ = sandbox.environment() | {"AWS_EC2_METADATA_DISABLED": "true"}

    facts = detect(environ, Clock().deadline(), label="web", root=tmp_path)

    assert facts.owner.startswith("host/-/")


def test_one_token_serves_all_items() -> None:
    """A conversation asks for it once."""
    with service(local_ipv4=[(200, "10.0.0.5")]) as script:
        facts = script.facts(Clock().deadline())

    assert facts.owner == "ec2/d6c35c/us-west-2/i-0abc"
    assert [path for method, path in script.seen if method == "PUT"] == [TOKEN]


def test_a_token_that_has_ended_is_replaced_once() -> None:
    """A second refusal in a row is an error, and no loop."""
    replies = {"document": [(401, ""), (200, IDENTITY)], "local_ipv4": [(401, "")]}

    with service(**replies) as script, pytest.raises(Unavailable, match="HTTP 401"):
        script.facts(Clock().deadline())

    assert [path for _, path in script.seen] == [
        TOKEN,
        DOCUMENT,
        TOKEN,
        DOCUMENT,
        "/latest/meta-data/local-ipv4",
        TOKEN,
        "/latest/meta-data/local-ipv4",
    ]


@pytest.mark.parametrize("failure", [(500, ""), (503, "slow down"), (429, "")])
def test_passing_failures_are_tried_again(failure: Reply) -> None:
    """With growing waits, inside the deadline."""
    clock = Clock()

    with service(token=[failure, failure, (200, "t")], document=[failure, (200, IDENTITY)]) as it:
        facts = it.facts(clock.deadline())

    assert facts.label == "i-0abc"
    assert clock.slept == [1.0, 2.0, 1.0]


def test_lasting_failures_end_with_the_deadline() -> None:
    """The error says where, what and what to do."""
    clock = Clock()

    with service(token=[(500, "")]) as script, pytest.raises(DeadlineExceeded) as caught:
        script.facts(clock.deadline(5.0))

    assert clock.now == 5.0
    assert clock.slept == [1.0, 2.0, 2.0]
    assert script.seen == [("PUT", TOKEN)] * 3  # none without time: it would hide the reason
    assert str(caught.value).startswith(f"instance metadata at {script.url}: HTTP 500; ")


def test_a_deadline_that_has_passed_is_said() -> None:
    """Nothing is asked then."""
    with service() as script, pytest.raises(DeadlineExceeded, match="no time left"):
        script.facts(Clock().deadline(0.0))

    assert script.seen == []


def test_the_number_of_tries_may_be_set() -> None:
    """As for the AWS SDKs."""
    with service(token=[(500, "")]) as script, pytest.raises(Unavailable, match="HTTP 500"):
        ec2.facts(script.environ(AWS_METADATA_SERVICE_NUM_ATTEMPTS="2"), Clock().deadline())

    assert script.seen == [("PUT", TOKEN)] * 2


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ({"token": [(403, "")]}, "switched off"),
        ({"token": [(400, "")]}, "HTTP 400"),
        ({"token": [(404, "")]}, "HTTP 404"),
        ({"token": [(302, "")]}, "HTTP 302"),
        ({"token": [(200, "")]}, "malformed token"),
        ({"token": [(200, "a\r\nHost: x")]}, "malformed token"),
        ({"document": [(404, "")]}, "no instance identity document"),
        ({"document": [(200, "<html>")]}, "no instance identity document"),
        ({"document": [(200, "[" * 60_000)]}, "no instance identity document"),
        ({"document": [(200, "[]")]}, "no instance identity document"),
        ({"document": [(200, '{"accountId": 1}')]}, "no accountId"),
        ({"document": [(200, IDENTITY.replace("i-0ABC", "i 0/x"))]}, "no instanceId"),
        ({"local_ipv4": [(200, "nonsense")]}, "local-ipv4 is not an address"),
    ],
)
def test_lasting_refusals_end_at_once(replies: dict[str, list[Reply]], message: str) -> None:
    """No wait helps; the error says what to do."""
    clock = Clock()

    with service(**replies) as script, pytest.raises(Unavailable, match=message):
        script.facts(clock.deadline())

    assert clock.slept == []


@pytest.mark.parametrize(
    "junk", [b"", b"junk\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
def test_broken_answers_are_tried_again(junk: bytes) -> None:
    """Closed connections, nonsense and bodies cut short are failures that may pass."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(junk)

        thread = threading.Thread(target=serve)
        thread.start()
        settings = Settings((f"http://127.0.0.1:{listener.getsockname()[1]}",), attempts=2)
        with pytest.raises(Unavailable, match=r"malformed answer|reset|RemoteDisconnected"):
            Imds(settings, Clock().deadline()).get("/x")
        thread.join()


def test_silence_hints_at_the_hop_limit() -> None:
    """From a container the answer to the token request is lost on its way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = Settings(
            (f"http://127.0.0.1:{listener.getsockname()[1]}",), timeout=0.01, attempts=1
        )
        with pytest.raises(Unavailable, match=r"no answer within 0\.01 s; check the hop limit"):
            Imds(settings, Clock().deadline()).get("/x")


def test_nobody_there_says_so() -> None:
    """A refused connection is tried until the deadline."""
    with socket.socket() as bound:  # and does not listen; nobody else gets its port
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}"}

        with pytest.raises(DeadlineExceeded, match="refused"):
            ec2.facts(environ, Clock().deadline(3.0))
