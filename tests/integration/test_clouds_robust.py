"""Metadata services that fail, hang, trickle or belong to somebody else."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dnssd.deadline import Deadline
from dnssd.errors import DeadlineExceeded, Unavailable
from dnssd.hosts import detect
from dnssd.hosts import probe as probing
from dnssd.hosts.metadata import Metadata
from dnssd.hosts.probe import probe
from dnssd.sandbox.sandbox import Sandbox
from kit.clouds import Azure, Clock, Ecs, Fake, Google, OpenStack, ask, serving

FAKES: list[Callable[[], Fake]] = [Google, Azure, OpenStack, Ecs]


@pytest.mark.parametrize("kind", FAKES)
@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "HTTP 401"), (403, "HTTP 403, access is switched off"), (302, "HTTP 302")],
)
def test_refusals(kind: Callable[[], Fake], status: int, message: str) -> None:
    """They end the matter at once, with what to do."""
    clock = Clock()
    fake = kind()
    fake.failures = [status] * 9
    with serving(fake), pytest.raises(Unavailable, match=message) as caught:
        ask(fake, clock.deadline())

    assert clock.slept == []
    assert str(caught.value).endswith("or use --cloud plain for the host's own name and address")


@pytest.mark.parametrize("kind", FAKES)
def test_failures_until_the_budget_ends(kind: Callable[[], Fake]) -> None:
    """No longer, and the error says why."""
    clock = Clock()
    fake = kind()
    fake.failures = [500] * 9
    with serving(fake), pytest.raises(DeadlineExceeded, match=f"metadata at {fake.url}.*HTTP 500"):
        ask(fake, clock.deadline(5.0))

    assert clock.now == 5.0


@pytest.mark.parametrize("kind", [Google, OpenStack, Ecs])
def test_nothing_there(kind: Callable[[], Fake]) -> None:
    """A service that knows nothing is one of another kind."""
    fake = kind()
    fake.failures = [404] * 9
    with serving(fake), pytest.raises(Unavailable, match="instance metadata: no "):
        ask(fake)


def test_proxies_are_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would answer for themselves."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    with serving(Google()) as fake:
        assert ask(fake).zone == "europe-west1-b"


@contextmanager
def closed_port() -> Iterator[str]:
    """A URL where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_the_endpoint_that_answers_is_kept() -> None:
    """The other family's is tried at once, and the first no more."""
    clock = Clock()
    with closed_port() as nobody, serving(OpenStack()) as fake:
        metadata = Metadata((nobody, fake.url), clock.deadline())
        assert metadata.endpoint == nobody
        assert metadata.read("/openstack", {}) == "2018-08-27\nlatest"
        assert metadata.endpoint == fake.url

    assert clock.slept == []


def test_the_first_endpoint_is_the_one_to_complain_about() -> None:
    """A machine without IPv6 says nothing by "unreachable"."""
    with socket.create_server(("127.0.0.1", 0)) as silent, closed_port() as nobody:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        metadata = Metadata((url, nobody), Clock().deadline(), timeout=0.01, attempts=2)
        with pytest.raises(Unavailable, match=rf"at {url}: no answer within 0\.01 s"):
            metadata.read("/", {})


def test_a_trickle_ends_in_time() -> None:
    """A service that sends an octet now and then does not hold a host up."""
    now = iter(range(10_000))
    deadline = Deadline(
        60, monotonic=lambda: next(now) / 10, sleep=lambda _: None, draw=lambda: 0.0
    )
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def trickle() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.settimeout(0.01)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
                while not done.wait(0.001):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        break

        thread = threading.Thread(target=trickle)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with pytest.raises(Unavailable, match="no answer within 2 s"):
                Metadata((url,), deadline, attempts=1).read("/", {})
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize("length", ["Content-Length: 2000000\r\n", ""])
def test_an_answer_without_end_is_none(length: str) -> None:
    """Only so much of it is read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def pour() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
                try:
                    for _ in range(100):
                        connection.sendall(b"x" * 65536)
                except OSError:
                    pass

        thread = threading.Thread(target=pour)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable, match=r"malformed answer \(IncompleteRead\)"):
            Metadata((url,), Clock().deadline(), attempts=1).read("/", {})
        thread.join()


@pytest.mark.parametrize(
    ("fake", "cloud"),
    [(Google(), "gce"), (Azure(), "azure"), (OpenStack(), "openstack"), (Fake(), None)],
)
def test_who_is_at_the_metadata_address(fake: Fake, cloud: str | None) -> None:
    """Each cloud's service is known by how it answers; a stranger is none."""
    with serving(fake):
        assert probe(Clock().deadline(), endpoint=fake.url) == cloud


def test_ec2_is_at_the_metadata_address(sandbox: Sandbox) -> None:
    """Even its refusals are signed."""
    assert probe(Clock().deadline(), endpoint=sandbox.metadata_url) == "ec2"


def test_nobody_is_at_the_metadata_address() -> None:
    """The machine is plain then, after one try."""
    clock = Clock()
    with closed_port() as url:
        assert probe(clock.deadline(), endpoint=url) is None
    assert clock.slept == []


def test_asking_who_is_there_keeps_to_the_budget() -> None:
    """Without time there is no answer."""
    with serving(Google()) as fake:
        assert probe(Clock().deadline(0.0), endpoint=fake.url) is None


def test_a_machine_without_firmware_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if nothing else tells, and not if metadata is switched off."""
    asked: list[Deadline] = []

    def nobody(deadline: Deadline) -> None:
        asked.append(deadline)

    monkeypatch.setattr(probing, "probe", nobody)
    off = {"AWS_EC2_METADATA_DISABLED": "true"}

    for environ in (off, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}):
        detect(environ, Clock().deadline(), label="web", root=tmp_path)
    assert asked == []
    assert detect({}, Clock().deadline(), label="web", root=tmp_path).cloud == "plain"
    assert len(asked) == 1
