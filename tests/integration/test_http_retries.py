"""`max_retries` of the adapter: urllib3's Retry, carried out over all endpoints of a service."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from requests import exceptions
from urllib3.util import Retry

from dnssd.resolver.snapshot import Endpoint
from kit.web import PATIENCE, URL, Stub, Web, endpoint_of, session_of

UNAVAILABLE: tuple[int, dict[str, str]] = (503, {})


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in seconds; none takes any time."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def test_a_status_to_try_again_after_is_had_from_the_next_endpoint(
    pair: tuple[Web, Web], stub: Stub
) -> None:
    """Any answer is still a success for the endpoint."""
    pair[0].replies = [UNAVAILABLE]
    with session_of(stub, max_retries=Retry(1, status_forcelist=[503])) as session:
        answer = session.get(URL, timeout=PATIENCE)

    assert answer.json()["port"] == pair[1].port
    assert [len(web.seen) for web in pair] == [1, 1]
    assert stub.reports == [("a.example.test.", True), ("b.example.test.", True)]
    made: Any = answer.raw.retries
    assert [past.status for past in made.history] == [503]
    assert not any(stub.in_flight.values())


def test_the_only_endpoint_is_asked_again(pair: tuple[Web, Web], stub: Stub) -> None:
    """It is picked anew each time, and its connection is kept; streamed answers too."""
    stub.endpoints = stub.endpoints[:1]
    for stream in False, True:
        pair[0].replies = [UNAVAILABLE, UNAVAILABLE]
        with session_of(stub, max_retries=Retry(2, status_forcelist=[503])) as session:
            assert session.get(URL, stream=stream, timeout=PATIENCE).status_code == 200

    assert len(pair[0].seen) == 6
    assert len(pair[0].connections) == 2
    assert not any(stub.in_flight.values())


def test_what_stays_so_is_an_error_that_names_all(pair: tuple[Web, Web], stub: Stub) -> None:
    """Or the last answer, where that was asked for."""
    for web in pair:
        web.replies = [UNAVAILABLE] * 4
    with (
        session_of(stub, max_retries=Retry(2, status_forcelist=[503])) as session,
        pytest.raises(exceptions.RetryError) as caught,
    ):
        session.get(URL, timeout=PATIENCE)
    told = f"a.example.test:{pair[0].port} answered 503, b.example.test:{pair[1].port} answered 503"
    assert told in str(caught.value)
    assert sum(len(web.seen) for web in pair) == 3

    retries = Retry(2, status_forcelist=[503], raise_on_status=False)
    with session_of(stub, max_retries=retries) as session:
        assert session.get(URL, timeout=PATIENCE).status_code == 503
    assert sum(len(web.seen) for web in pair) == 6


@pytest.mark.parametrize(("allowed", "count"), [(Retry.DEFAULT_ALLOWED_METHODS, 1), (None, 2)])
def test_methods_that_are_allowed_are_repeated(
    allowed: Any, count: int, pair: tuple[Web, Web], stub: Stub
) -> None:
    """A POST only where the caller says so: after a status, and after an answer that broke off."""
    retries = Retry(1, status_forcelist=[503], allowed_methods=allowed)
    with session_of(stub, max_retries=retries) as session:
        pair[0].replies = [UNAVAILABLE]
        status = session.post(URL, data=b"x", timeout=PATIENCE).status_code
        assert status == (503 if count == 1 else 200)
        assert sum(len(web.seen) for web in pair) == count

        pair[0].fault = "drop"
        if allowed is None:
            assert session.post(URL, data=b"x", timeout=PATIENCE).status_code == 200
        else:
            with pytest.raises(exceptions.ConnectionError):
                session.post(URL, data=b"x", timeout=PATIENCE)
        assert sum(len(web.seen) for web in pair) == 2 * count


def test_methods_that_are_not_allowed_are_not_repeated(pair: tuple[Web, Web], stub: Stub) -> None:
    """Not by `attempts` either, once they have been sent."""
    pair[0].fault = "drop"
    with session_of(stub, max_retries=Retry(1, allowed_methods={"GET"})) as session:
        with pytest.raises(exceptions.ConnectionError):
            session.put(URL, data=b"x", timeout=PATIENCE)
        assert session.get(URL, timeout=PATIENCE).status_code == 200
    assert len(pair[1].seen) == 1


@pytest.mark.parametrize("forbidden", [{"total": False}, {"total": 3, "read": False}])
def test_what_was_sent_is_not_repeated_where_that_is_forbidden(
    forbidden: dict[str, Any], pair: tuple[Web, Web], stub: Stub
) -> None:
    """Whatever the method."""
    pair[0].fault = "drop"
    with (
        session_of(stub, max_retries=Retry(**forbidden)) as session,
        pytest.raises(exceptions.ConnectionError),
    ):
        session.get(URL, timeout=PATIENCE)
    assert not pair[1].seen


@pytest.mark.parametrize("forbidden", [{"total": False}, {"total": 3, "connect": False}])
def test_no_other_connection_is_made_where_that_is_forbidden(
    forbidden: dict[str, Any], refused: Endpoint, pair: tuple[Web, Web], stub: Stub
) -> None:
    """The first failure is the caller's."""
    stub.endpoints = (refused, *stub.endpoints)
    with (
        session_of(stub, max_retries=Retry(**forbidden)) as session,
        pytest.raises(exceptions.ConnectionError),
    ):
        session.get(URL, timeout=PATIENCE)
    assert not pair[0].seen


@pytest.mark.parametrize("retries", [2, Retry(5, connect=2), Retry(2)])
def test_endpoints_are_picked_anew_when_all_have_failed(
    retries: Any, refused: Endpoint, pair: tuple[Web, Web], stub: Stub
) -> None:
    """Meanwhile DNS may tell of others."""
    there = stub.endpoints
    stub.endpoints = (refused,)
    pick, picks = stub.pick, iter([(refused,), (refused,), there])

    def moving(name: str) -> Endpoint:
        stub.endpoints = next(picks)
        return pick(name)

    stub.pick = moving  # type: ignore[method-assign] # this one stub only
    with session_of(stub, max_retries=retries) as session:
        assert session.post(URL, data=b"x", timeout=PATIENCE).status_code == 200
    assert [ok for _, ok in stub.reports] == [False, False, True]
    assert not any(stub.in_flight.values())


def test_no_more_than_was_allowed(refused: Endpoint, stub: Stub) -> None:
    """One try, and two more."""
    stub.endpoints = (refused,)
    with (
        session_of(stub, max_retries=2) as session,
        pytest.raises(exceptions.ConnectionError, match="Connection refused"),
    ):
        session.get(URL, timeout=PATIENCE)
    assert len(stub.reports) == 3


def test_pauses_grow_as_asked(slept: list[float], pair: tuple[Web, Web], stub: Stub) -> None:
    """As urllib3 makes them: none before the first, then twice as long each time."""
    pair[0].replies = [UNAVAILABLE, UNAVAILABLE]
    pair[1].replies = [UNAVAILABLE, UNAVAILABLE]
    retries = Retry(4, status_forcelist=[503], backoff_factor=1.5)
    with session_of(stub, max_retries=retries) as session:
        assert session.get(URL, timeout=PATIENCE).status_code == 200
    assert slept == [3.0, 6.0, 12.0]


def test_pauses_between_failed_connections(slept: list[float], refused: Endpoint) -> None:
    """Only when all endpoints have failed: from one to the next there is none."""
    stub = Stub(refused, Endpoint("too.example.test.", refused.port, 0, 1, refused.addresses))
    with (
        session_of(stub, max_retries=Retry(2, backoff_factor=1.0)) as session,
        pytest.raises(exceptions.ConnectionError),
    ):
        session.get(URL, timeout=PATIENCE)
    assert slept == [2.0]
    assert len(stub.reports) == 6


@pytest.mark.parametrize("respected", [True, False])
def test_retry_after_is_respected(
    respected: bool, slept: list[float], pair: tuple[Web, Web], stub: Stub
) -> None:
    """429 needs no list of statuses then; who does not respect it gets the answer."""
    pair[0].replies = [(429, {"Retry-After": "7"})]
    retries = Retry(1, respect_retry_after_header=respected)
    with session_of(stub, max_retries=retries) as session:
        assert session.get(URL, timeout=PATIENCE).status_code == (200 if respected else 429)
    assert slept == ([7] if respected else [])


def test_a_retry_of_ones_own_is_asked(pair: tuple[Web, Web], stub: Stub) -> None:
    """Its methods decide, as within urllib3."""
    asked: list[str] = []

    class Mine(Retry):
        def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
            return status_code == 500

        def increment(self, method: Any = None, url: Any = None, *args: Any, **more: Any) -> Retry:  # type: ignore[override]
            asked.append(f"{method} {url}")
            return super().increment(method, url, *args, **more)

        def sleep(self, response: Any = None) -> None:
            asked.append(f"sleep {response and response.status}")

    pair[0].replies = [(500, {})]
    with session_of(stub, max_retries=Mine(1)) as session:
        assert session.get(f"{URL}/x?y=1", timeout=PATIENCE).status_code == 200
    assert asked == ["GET /x?y=1", "sleep 500"]


def test_a_body_that_is_used_up_keeps_the_answer(pair: tuple[Web, Web], stub: Stub) -> None:
    """The rest of an iterator would be another body."""
    pair[0].replies = [UNAVAILABLE]

    def body() -> Iterator[bytes]:
        yield b"data"

    with session_of(stub, max_retries=Retry(1, status_forcelist=[503])) as session:
        assert session.put(URL, data=body(), timeout=PATIENCE).status_code == 503
    assert not pair[1].seen


def test_a_host_that_comes_back_between_two_rounds(pair: tuple[Web, Web], stub: Stub) -> None:
    """It was refusing connections when the first one was made."""
    late = socket.socket()
    late.bind(("127.0.0.1", 0))
    stub.endpoints = (Endpoint("late.example.test.", late.getsockname()[1], 0, 1, ("127.0.0.1",)),)

    class Waiting(Retry):
        def sleep(self, response: Any = None) -> None:
            stub.endpoints = (endpoint_of(pair[1], "late.example.test."),)

    with late, session_of(stub, max_retries=Waiting(1)) as session:
        assert session.get(URL, timeout=PATIENCE).json()["port"] == pair[1].port
