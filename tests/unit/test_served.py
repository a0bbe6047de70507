"""Waiting until name servers serve what was written."""

import socket

import pytest

from dnssd.deadline import Deadline
from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.sandbox.sandbox import Sandbox
from dnssd.zones.served import HOPELESS_TRIES, wait_seen


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer is there at once, or never."""
    monkeypatch.setattr("dnssd.zones.served.ANSWER_SECONDS", 0.2)


def waiting(nameserver: str, name: str) -> list[float]:
    """The pauses until waiting ends with an error of that server."""
    slept: list[float] = []
    deadline = Deadline(600, monotonic=lambda: sum(slept), sleep=slept.append)
    with pytest.raises(Unavailable, match=nameserver) as raised:
        wait_seen([nameserver], Name.parse(name), frozenset(), frozenset(), deadline)
    assert type(raised.value) is Unavailable  # and not that the deadline has passed
    return slept


def test_a_server_that_refuses_is_not_waited_for(sandbox: Sandbox) -> None:
    """It has no such zone, and will have none however long somebody waits."""
    assert waiting(sandbox.nameserver, "web._http._tcp.other.test") == [1.0] * (HOPELESS_TRIES - 1)


def test_a_server_that_is_not_there_is_not_waited_for() -> None:
    """One that starts anew gets some seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        nameserver = f"127.0.0.1:{closed.getsockname()[1]}"

    assert len(waiting(nameserver, "web._http._tcp.example.test")) == HOPELESS_TRIES - 1
