"""The requests adapter against real HTTP servers on loopback, sound ones and others."""

import io
import json
import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
import requests
import trustme
from requests import exceptions
from requests.auth import HTTPDigestAuth
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import ClosedPoolError, MaxRetryError

from dnssd.errors import DnssdError, NotFound, Unavailable, UsageError
from dnssd.http import Adapter
from dnssd.names import Name
from dnssd.resolver.client import Resolver
from dnssd.resolver.snapshot import Endpoint
from dnssd.sandbox.sandbox import Sandbox
from kit.web import (
    NAME,
    PATIENCE,
    SERVICE,
    SOON,
    TLS_URL,
    URL,
    Serve,
    Stub,
    Web,
    certified,
    endpoint_of,
    publish,
    session_of,
    turns,
)


def test_a_request_reaches_the_endpoint_under_its_own_name(
    session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """The server sees its host name and port, and the path with its parameters."""
    answer = session.get(f"{URL}/path", params={"q": "a b"}, timeout=PATIENCE)

    assert answer.json() == {"port": pair[0].port, "path": "/path?q=a+b"}
    assert pair[0].seen[0][2]["Host"] == f"a.example.test:{pair[0].port}"
    assert answer.url == f"{URL}/path?q=a+b"
    assert stub.names == [NAME]
    assert stub.reports == [("a.example.test.", True)]


@pytest.mark.parametrize(
    "name",
    [
        "My Web._http._tcp.example.test",
        "My.Web v1.2._http._tcp.Example.TEST.",
        "Café ☕._http._tcp.example.test",
        r"a\.b\\c._http._tcp.example.test",
        "a/b:c@d?e#f%20[g]._http._tcp.example.test",
        "_http._tcp.example.test",
    ],
)
def test_a_name_arrives_as_it_was_quoted(name: str, session: requests.Session, stub: Stub) -> None:
    """No letter is changed and nothing is taken for a part of the URL."""
    assert (
        session.get(f"http+dnssd://{quote(name, safe='')}/x", timeout=PATIENCE).status_code == 200
    )

    assert stub.names == [name]


def test_credentials_in_the_url_are_no_part_of_the_name(
    session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """They become an Authorization header, as requests does it."""
    session.get(f"http+dnssd://user:secret@{NAME}/", timeout=PATIENCE)

    assert stub.names == [NAME]
    assert pair[0].seen[0][2]["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("host", "words"), [(f"user:secret@{NAME}:8080", "port"), ("%FF._http._tcp.test", "UTF-8")]
)
def test_a_url_that_cannot_be_meant(host: str, words: str, session: requests.Session) -> None:
    """What is wrong is said in one line, without the password."""
    with pytest.raises(exceptions.InvalidURL, match=words) as caught:
        session.get(f"http+dnssd://{host}/", timeout=PATIENCE)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_host_header_of_the_callers_is_kept(
    session: requests.Session, pair: tuple[Web, Web]
) -> None:
    """Who knows a virtual host may name it."""
    session.get(URL, headers={"Host": "www.example.test"}, timeout=PATIENCE)

    assert pair[0].seen[0][2]["Host"] == "www.example.test"


def test_a_hostile_target_cannot_write_headers(serve: Serve) -> None:
    """Any byte may stand in a target; in a request it is percent-encoded."""
    web = serve()
    target = str(Name((b"a b\r\nX-Evil: 1", "ü/@".encode(), "ü".encode() * 30)))

    with session_of(Stub(endpoint_of(web, target))) as session:
        assert session.get(URL, timeout=PATIENCE).status_code == 200
        with pytest.raises(exceptions.SSLError):
            session.get(TLS_URL, timeout=PATIENCE)

    assert "X-Evil" not in web.seen[0][2]
    host = web.seen[0][2]["Host"].lower()
    assert host.startswith("a%20b%5c013%5c010x-evil%3a%201.%c3%bc%2f%40.%c3%bc")


def test_connections_are_kept_for_each_endpoint(
    session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """Neither turns between endpoints nor a new weight cost a new connection."""
    one, other = stub.endpoints
    for weight in range(3):
        for endpoint in one, other:
            stub.endpoints = (replace(endpoint, weight=weight),)
            session.get(URL, timeout=PATIENCE)

    assert [len(web.seen) for web in pair] == [3, 3]
    assert [len(web.connections) for web in pair] == [1, 1]


def test_a_child_opens_connections_of_its_own(
    session: requests.Session,
    pair: tuple[Web, Web],
    stub: Stub,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On one that two processes use, their answers would be mixed up."""
    stub.endpoints = stub.endpoints[:1]
    session.get(URL, timeout=PATIENCE)
    monkeypatch.setattr("dnssd.http.adapter.getpid", lambda: -2)

    for _ in range(2):
        session.get(URL, timeout=PATIENCE)

    assert [len(web.connections) for web in pair] == [2, 0]


def test_new_addresses_mean_new_connections(
    session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """A host that was replaced under its name is found, though the old one still answers."""
    for web in pair:
        stub.endpoints = (Endpoint("a.example.test.", web.port, 0, 1, (web.host,)),)
        session.get(URL, timeout=PATIENCE)

    assert [len(web.seen) for web in pair] == [1, 1]


def test_connections_to_hosts_that_have_left_dns_are_closed(
    pair: tuple[Web, Web], stub: Stub
) -> None:
    """Within seconds, at the next call; what is under way there ends as it would."""
    clock = [0.0]
    one, other = stub.endpoints
    with session_of(stub, monotonic=lambda: clock[0]) as session:
        under_way = session.get(URL, timeout=PATIENCE, stream=True)
        session.get(URL, timeout=PATIENCE)
        stub.endpoints = (other,)
        for clock[0] in 9.0, 11.0:
            session.get(URL, timeout=PATIENCE)
        stub.endpoints = (one,)

        assert under_way.json()["port"] == one.port
        session.get(URL, timeout=PATIENCE)

    assert [len(web.connections) for web in pair] == [3, 1]


def test_a_pool_that_was_closed_just_now_fails_no_call(
    pair: tuple[Web, Web], stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent by it: the next endpoint is tried, whatever the method."""
    first = iter([ClosedPoolError])
    get = HTTPConnectionPool._get_conn

    def closed(pool: HTTPConnectionPool, *given: Any, **options: Any) -> Any:
        for error in first:
            raise error(pool, "Pool is closed.")
        return get(pool, *given, **options)

    monkeypatch.setattr(HTTPConnectionPool, "_get_conn", closed)
    with session_of(stub) as session:
        assert session.post(URL, timeout=PATIENCE).json()["port"] == pair[1].port


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_refused_connection_is_made_elsewhere(
    method: str, refused: Endpoint, pair: tuple[Web, Web], stub: Stub
) -> None:
    """Nothing was sent, so that any method may be repeated; one that fails is told apart."""
    stub.endpoints = (refused, *stub.endpoints)
    body = iter([b"one", b"two"]) if method != "GET" else None
    with session_of(stub) as session:
        assert session.request(method, URL, data=body, timeout=PATIENCE).status_code == 200

    assert [(seen[0], seen[3]) for seen in pair[0].seen] == [(method, b"onetwo" if body else b"")]
    assert stub.reports == [("gone.example.test.", False), ("a.example.test.", True)]


@pytest.mark.parametrize("fault", ["hang", "drop", "half"])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_an_idempotent_request_is_repeated_elsewhere(
    fault: str, method: str, session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """No answer in time, none at all or half of one: the next endpoint is asked."""
    pair[0].fault = fault
    body = b"data" if method == "PUT" else None

    timeout = turns(SOON if fault == "hang" else PATIENCE, PATIENCE)
    answer = session.request(method, URL, data=body, timeout=timeout)

    for web in pair:
        web.await_asked()
    assert answer.json()["port"] == pair[1].port
    assert [seen[3] for web in pair for seen in web.seen] == [body or b""] * 2
    assert stub.reports == [("a.example.test.", False), ("b.example.test.", True)]


@pytest.mark.parametrize("url", [URL, TLS_URL])
def test_half_of_an_answer_is_none_with_any_urllib3(
    url: str, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """urllib3 1, which requests takes too, does not mind unless it is told to."""
    asked = []

    def urlopen(self: object, *args: object, **options: object) -> None:
        asked.append({"enforce_content_length": False, **options}["enforce_content_length"])
        raise MaxRetryError(HTTPConnectionPool("a.example.test"), "/")

    monkeypatch.setattr(HTTPConnectionPool, "urlopen", urlopen)
    with session_of(stub) as session, pytest.raises(exceptions.ConnectionError):
        session.get(url, timeout=PATIENCE)
    assert asked
    assert all(asked)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("hang", exceptions.ReadTimeout),
        ("drop", exceptions.ConnectionError),
        ("half", exceptions.ChunkedEncodingError),
    ],
)
def test_what_may_have_been_done_is_not_done_twice(
    fault: str,
    error: type[Exception],
    session: requests.Session,
    pair: tuple[Web, Web],
    stub: Stub,
) -> None:
    """A POST is sent once, and the caller hears what requests would have said."""
    pair[0].fault = fault

    with pytest.raises(error, match=r"^'v1\._http\._tcp\.example\.test': a\.example\.test:\d+ "):
        session.post(URL, data=b"pay", timeout=SOON if fault == "hang" else PATIENCE)

    pair[0].await_asked()
    assert [len(web.seen) for web in pair] == [1, 0]
    assert stub.reports == [("a.example.test.", False)]


@pytest.mark.parametrize("method", ["HEAD", "TRACE"])
@pytest.mark.parametrize("stream", [False, True])
def test_so_are_those_without_a_body(
    method: str, stream: bool, session: requests.Session, pair: tuple[Web, Web]
) -> None:
    """Streamed or not: what never began is not the caller's yet."""
    pair[0].fault = "drop"

    with session.request(method, URL, stream=stream, timeout=PATIENCE) as answer:
        assert answer.status_code == 200
    assert [len(web.seen) for web in pair] == [1, 1]


def test_a_file_is_sent_again_from_where_it_began(
    session: requests.Session, pair: tuple[Web, Web]
) -> None:
    """Not from its end, where the first try has left it, nor from its beginning."""
    pair[0].fault = "drop"
    file = io.BytesIO(b"skipped data")
    file.seek(8)

    session.put(URL, data=file, timeout=PATIENCE)

    assert [seen[3] for web in pair for seen in web.seen] == [b"data", b"data"]


def test_a_body_that_is_used_up_is_not_sent_again(
    session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """The rest of an iterator would be another body."""
    pair[0].fault = "drop"

    with pytest.raises(exceptions.ConnectionError, match="broke off"):
        session.put(URL, data=iter([b"data"]), timeout=PATIENCE)
    assert pair[1].seen == []
    assert stub.reports == [("a.example.test.", False)]


def test_a_streamed_answer_is_the_callers(
    session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """It is handed over at its headers: what breaks off later breaks off for the caller."""
    with session.get(URL, stream=True, timeout=PATIENCE) as answer:
        assert json.loads(b"".join(answer.iter_content(4)))["path"] == "/"
    pair[0].fault = "half"
    with (
        session.get(URL, stream=True, timeout=PATIENCE) as answer,
        pytest.raises(exceptions.ChunkedEncodingError),
    ):
        list(answer.iter_content(4))

    assert stub.reports == [("a.example.test.", True)] * 2
    assert pair[1].seen == []


def test_no_more_than_the_attempts_are_made(pair: tuple[Web, Web], stub: Stub) -> None:
    """A third endpoint would have answered."""
    pair[0].fault = pair[1].fault = "drop"
    third = replace(stub.endpoints[0], target="c.example.test.")
    stub.endpoints = (*stub.endpoints, third)

    with session_of(stub, attempts=2) as session, pytest.raises(exceptions.ConnectionError):
        session.get(URL, timeout=PATIENCE)

    assert [target for target, _ in stub.reports] == ["a.example.test.", "b.example.test."]


def test_one_attempt_at_least() -> None:
    """None would be no adapter."""
    with pytest.raises(UsageError, match="attempts 0"):
        Adapter(Stub(), attempts=0)


def test_when_nobody_answers_one_line_names_them_all(
    refused: Endpoint, pair: tuple[Web, Web], stub: Stub
) -> None:
    """The error is of the type that the last try met, which is its cause."""
    pair[0].fault, pair[1].fault = "drop", "hang"
    stub.endpoints = (refused, *stub.endpoints)

    with session_of(stub) as session, pytest.raises(exceptions.ReadTimeout) as caught:
        session.get(f"{URL}/?token=secret", timeout=turns(PATIENCE, PATIENCE, SOON))

    assert str(caught.value) == (
        f"'{NAME}': gone.example.test:{refused.port} did not connect (Connection refused), "
        f"a.example.test:{pair[0].port} broke off, "
        f"b.example.test:{pair[1].port} did not answer in time; check that the service runs"
    )
    assert isinstance(caught.value.__cause__, exceptions.ReadTimeout)
    assert [ok for _, ok in stub.reports] == [False, False, False]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (NotFound("v1: no such instance; check"), exceptions.ConnectionError),
        (Unavailable("v1: no answer; wait"), exceptions.ConnectionError),
        (UsageError("v1: no service type; write one"), exceptions.InvalidURL),
    ],
)
def test_what_the_resolver_says_is_an_error_of_requests(
    error: DnssdError, raised: type[Exception], session: requests.Session, stub: Stub
) -> None:
    """Handlers that callers have work, and the cause is there for those who ask."""
    stub.error = error

    with pytest.raises(raised, match=str(error)) as caught:
        session.get(URL, timeout=PATIENCE)
    assert caught.value.__cause__ is error
    assert stub.reports == []


def test_a_service_that_is_gone_by_the_second_try(
    pair: tuple[Web, Web], stub: Stub, session: requests.Session
) -> None:
    """What the first try met says more than that there is no second."""
    pair[0].fault = "drop"
    pick = stub.pick

    def pick_once(name: str) -> Endpoint:
        endpoint = pick(name)
        stub.error = NotFound("gone")
        return endpoint

    stub.pick = pick_once  # type: ignore[method-assign] # this one stub only
    with pytest.raises(exceptions.ConnectionError, match="broke off"):
        session.get(URL, timeout=PATIENCE)


@pytest.mark.parametrize("status", [404, 500, 503])
def test_any_status_is_an_answer(
    status: int, session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """An error of the application's is neither repeated nor held against the endpoint."""
    assert session.get(f"{URL}/{status}", timeout=PATIENCE).status_code == status

    assert pair[1].seen == []
    assert stub.reports == [("a.example.test.", True)]


def test_a_report_tells_how_long_a_try_took(pair: tuple[Web, Web], stub: Stub) -> None:
    """Each has its own seconds, by the clock that the adapter was given."""
    pair[0].fault = "drop"
    readings = iter([10.0, 11.0, 20.0, 22.0, 22.0])

    with session_of(stub, monotonic=lambda: next(readings)) as session:
        session.get(URL, timeout=PATIENCE)
    assert stub.seconds == [1.0, 2.0]


class Interrupted(BaseException):
    """Stands for KeyboardInterrupt, which would end the test run."""


@pytest.mark.parametrize("error", [Interrupted, RuntimeError])
def test_every_pick_is_reported_whatever_happens(
    error: type[BaseException], session: requests.Session, stub: Stub
) -> None:
    """What the caller's own code raises passes, and says nothing about the endpoint."""

    def body() -> Iterator[bytes]:
        yield b"data"
        raise error

    with pytest.raises(error):
        session.post(URL, data=body(), timeout=PATIENCE)
    with pytest.raises(exceptions.InvalidHeader):
        session.get(URL, headers={"X-Bad": "a\nb"}, timeout=PATIENCE)
    with pytest.raises(OSError, match="TLS CA"):
        session.get(TLS_URL, verify="/nowhere", timeout=PATIENCE)

    assert [ok for _, ok in stub.reports] == [None] * 2
    assert not any(stub.in_flight.values())


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/there?x=1#part", "/there?x=1"),
        ("there", "/there"),
        ("./a/../there", "/there"),
        ("http://A.example.test:{port}/there", "/there"),
        ("//a.example.test:{port}/there", "/there"),
        (f"{URL}/there", "/there"),
    ],
)
def test_a_redirect_to_itself_stays_on_the_service(
    location: str, path: str, session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """Whichever endpoint the next request goes to, it brings the same credentials."""
    location = location.format(port=pair[0].port)
    pick = stub.pick

    def turn(name: str) -> Endpoint:
        endpoint = pick(name)
        stub.endpoints = stub.endpoints[::-1]
        return endpoint

    stub.pick = turn  # type: ignore[method-assign] # this one stub only
    answer = session.get(
        f"{URL}/redirect?{quote(location, safe='')}", auth=("user", "secret"), timeout=PATIENCE
    )

    assert answer.json() == {"port": pair[1].port, "path": path}
    assert answer.url.startswith(URL)
    assert "Authorization" in pair[1].seen[0][2]
    assert not any(stub.in_flight.values())


def test_a_redirect_after_digest_authentication_stays_on_the_service(
    session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """The second request goes to where the first one's challenge came from."""
    for web in pair:
        web.challenge = f'Digest realm="r", nonce="{web.port}", qop="auth"'

    answer = session.get(
        f"{URL}/redirect?/there", auth=HTTPDigestAuth("me", "secret"), timeout=PATIENCE
    )

    assert answer.json() == {"port": pair[0].port, "path": "/there"}
    assert answer.url == f"{URL}/there"
    assert not pair[1].seen
    assert not any(stub.in_flight.values())


def test_a_redirect_to_the_callers_host_stays_too(
    session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """The server knows itself by the Host header; a default port may be told or not."""
    location = quote("http://www.example.test:80/there", safe="")

    answer = session.get(
        f"{URL}/redirect?{location}", headers={"Host": "www.example.test"}, timeout=PATIENCE
    )

    assert answer.json() == {"port": pair[0].port, "path": "/there"}
    assert stub.names == [NAME, NAME]


def test_a_redirect_that_leads_away_is_followed(
    session: requests.Session, serve: Serve, pair: tuple[Web, Web], stub: Stub
) -> None:
    """To another host as plain HTTP, without the credentials; to another service by its name."""
    elsewhere = serve("127.0.0.3")
    away = quote(f"http://127.0.0.3:{elsewhere.port}/there", safe="")
    other = quote("http+dnssd://My%20Other._http._tcp.example.test/there", safe="")

    for location in away, away.replace("http%3A", ""), other:
        answer = session.get(
            f"{URL}/redirect?{location}", auth=("user", "secret"), timeout=PATIENCE
        )
        assert answer.json()["path"] == "/there"

    assert [seen[1] for seen in elsewhere.seen] == ["/there", "/there"]
    assert not any("Authorization" in seen[2] for seen in elsewhere.seen)
    assert "Authorization" not in pair[0].seen[-1][2]
    assert stub.names[-1] == "My Other._http._tcp.example.test"


@pytest.mark.parametrize("location", ["http://x:99999/", "http://x:y/"])
def test_a_location_that_is_no_url_is_handed_on(location: str, session: requests.Session) -> None:
    """Who follows no redirects gets the answer as it came."""
    answer = session.get(
        f"{URL}/redirect?{quote(location, safe='')}", allow_redirects=False, timeout=PATIENCE
    )

    assert answer.headers["Location"] == location


def test_cookies_are_the_services(
    session: requests.Session, pair: tuple[Web, Web], stub: Stub
) -> None:
    """One that an endpoint has set is sent to the others, and to no other service."""
    session.get(f"{URL}/cookie?color=blue", timeout=PATIENCE)
    stub.endpoints = stub.endpoints[::-1]
    session.get(URL, timeout=PATIENCE)
    session.get("http+dnssd://v2._http._tcp.example.test", timeout=PATIENCE)

    assert [seen[2].get("Cookie") for seen in pair[1].seen] == ["color=blue", None]


def test_secure_cookies_travel_over_tls_alone(
    serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """They are sent to a service under https+dnssd and not under http+dnssd."""
    ca, file = authority
    secured = serve("127.0.0.1", certified(ca, "a.example.test", []))
    web = serve("127.0.0.2")
    stub = Stub(endpoint_of(secured, "a.example.test."))
    with session_of(stub) as session:
        for cookie in "plain=1", "secure=2%3B Secure":
            session.get(f"{TLS_URL}/cookie?{cookie}", verify=file, timeout=PATIENCE)
        session.get(TLS_URL, verify=file, timeout=PATIENCE)
        session.get(TLS_URL, verify=file, headers={"Cookie": "mine=3"}, timeout=PATIENCE)
        session.get(TLS_URL.replace("v1", "v2"), verify=file, timeout=PATIENCE)
        stub.endpoints = (endpoint_of(web, "b.example.test."),)
        session.get(URL, timeout=PATIENCE)

    assert [seen[2].get("Cookie") for seen in secured.seen] == [
        None,
        "plain=1",
        "plain=1; secure=2",
        "mine=3",
        None,
    ]
    assert web.seen[0][2]["Cookie"] == "plain=1"


def test_proxies_of_the_environment_are_not_used_and_hear_no_secret(
    session: requests.Session, pair: tuple[Web, Web], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who has asked DNS knows where to connect; the proxy's password stays with it."""
    monkeypatch.setenv("ALL_PROXY", "http://user:secret@127.0.0.1:9")

    assert session.get(f"{URL}/redirect?/there", timeout=PATIENCE).status_code == 200
    assert [seen[1] for seen in pair[0].seen] == ["/redirect?/there", "/there"]
    assert not any("Proxy-Authorization" in seen[2] for seen in pair[0].seen)


def test_tls_is_spoken_in_the_targets_name(serve: Serve, authority: tuple[trustme.CA, str]) -> None:
    """SNI and the certificate are about the target, whatever the service is called."""
    ca, file = authority
    asked: list[str | None] = []
    web = serve("127.0.0.1", certified(ca, "a.example.test", asked))

    with session_of(Stub(endpoint_of(web, "A.example.test."))) as session:
        for _ in range(2):
            assert session.get(f"{TLS_URL}/x", verify=file, timeout=PATIENCE).json()["path"] == "/x"

    assert asked == ["a.example.test"]
    assert web.seen[0][2]["Host"] == f"a.example.test:{web.port}"


def test_a_certificate_for_another_name_is_refused(
    serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """Nothing is sent to such a server, so that even a POST can go to the next one."""
    ca, file = authority
    wrong = serve("127.0.0.1", certified(ca, "b.example.test", []))
    right = serve("127.0.0.2", certified(ca, "b.example.test", []))
    a, b = endpoint_of(wrong, "a.example.test."), endpoint_of(right, "b.example.test.")

    stub = Stub(a)
    with (
        session_of(stub) as session,
        pytest.raises(exceptions.SSLError, match=r"did not connect \(.*example\.test"),
    ):
        session.get(TLS_URL, verify=file, timeout=PATIENCE)
    stub.endpoints = a, b
    with session_of(stub) as session:
        assert session.post(TLS_URL, data=b"x", verify=file, timeout=PATIENCE).status_code == 200

    assert wrong.seen == []
    assert [ok for _, ok in stub.reports] == [False, False, True]


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_unverified_connections_are_not_reused_for_verified_requests(
    serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """One call with verify=False does not weaken the next."""
    ca, file = authority
    web = serve("127.0.0.1", certified(ca, "b.example.test", []))

    with session_of(Stub(endpoint_of(web, "a.example.test."))) as session:
        assert session.get(TLS_URL, verify=False, timeout=PATIENCE).status_code == 200
        with pytest.raises(exceptions.SSLError):
            session.get(TLS_URL, verify=file, timeout=PATIENCE)
        assert session.get(TLS_URL, verify=False, timeout=PATIENCE).status_code == 200
    assert len(web.seen) == 2


def test_a_handshake_that_never_ends_is_no_connection(
    serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """Nothing was sent to a server that accepts and is silent: a POST goes to the next one."""
    ca, file = authority
    right = serve("127.0.0.2", certified(ca, "b.example.test", []))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        a = Endpoint("a.example.test.", silent.getsockname()[1], 0, 1, ("127.0.0.1",))
        stub = Stub(a, endpoint_of(right, "b.example.test."))
        with session_of(stub) as session:
            timeout = turns(SOON, PATIENCE)
            answer = session.post(TLS_URL, data=b"x", verify=file, timeout=timeout)
            stub.endpoints = (a,)
            with pytest.raises(exceptions.ConnectTimeout):
                session.post(TLS_URL, data=b"x", verify=file, timeout=(SOON, PATIENCE))

    assert answer.status_code == 200
    assert [ok for _, ok in stub.reports] == [False, True, False]


def test_a_handshake_that_is_cut_is_no_connection(
    serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """As behind a balancer without a server: a POST goes to the next endpoint."""
    ca, file = authority
    right = serve("127.0.0.2", certified(ca, "b.example.test", []))
    with socket.create_server(("127.0.0.1", 0)) as cutting:

        def cut() -> None:
            accepted, _ = cutting.accept()
            accepted.recv(1)  # the greeting has come
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()  # with a reset

        thread = threading.Thread(target=cut)
        thread.start()
        a = Endpoint("a.example.test.", cutting.getsockname()[1], 0, 1, ("127.0.0.1",))
        stub = Stub(a, endpoint_of(right, "b.example.test."))
        with session_of(stub) as session:
            answer = session.post(TLS_URL, data=b"x", verify=file, timeout=PATIENCE)
        thread.join()

    assert answer.status_code == 200
    assert [ok for _, ok in stub.reports] == [False, True]


def test_a_host_that_is_gone_is_given_up_without_a_time_out(
    pair: tuple[Web, Web], stub: Stub
) -> None:
    """It does not even refuse; a call without a time-out would wait for minutes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as stack:
        for _ in range(2):  # fill its queue: further connections are left unanswered
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        gone = Endpoint("gone.example.test.", full.getsockname()[1], 0, 1, ("127.0.0.1",))
        stub.endpoints = (gone, *stub.endpoints)
        with session_of(stub, connect_timeout=SOON) as session:
            assert session.post(URL).status_code == 200

        stub.endpoints = (gone,)
        with (
            session_of(stub) as session,
            pytest.raises(exceptions.ConnectTimeout, match="did not connect in time"),
        ):
            session.post(URL, timeout=SOON)


def test_an_endpoint_without_an_address_is_passed_over(
    session: requests.Session, stub: Stub
) -> None:
    """Its target has no A or AAAA record yet."""
    stub.endpoints = (replace(stub.endpoints[0], addresses=()), stub.endpoints[1])

    assert session.get(URL, timeout=PATIENCE).status_code == 200
    assert [ok for _, ok in stub.reports] == [False, True]


def test_all_addresses_of_an_endpoint_are_tried(serve: Serve, refused: Endpoint) -> None:
    """It has failed only if none of them answers."""
    web = serve("127.0.0.2")
    stub = Stub(replace(endpoint_of(web, "a.example.test."), addresses=("127.0.0.1", "127.0.0.2")))

    with session_of(stub) as session:
        assert session.get(URL, timeout=PATIENCE).status_code == 200
    assert stub.reports == [("a.example.test.", True)]


def test_a_closed_session_lets_go_and_can_be_used_again(
    session: requests.Session, pair: tuple[Web, Web]
) -> None:
    """As with requests' own adapter."""
    session.get(URL, timeout=PATIENCE)
    session.close()
    session.get(URL, timeout=PATIENCE)

    assert len(pair[0].connections) == 2


def test_small_packets_are_not_held_back(session: requests.Session) -> None:
    """Connections have the socket options that urllib3 gives its own."""
    with session.get(URL, stream=True, timeout=PATIENCE) as answer:
        connection: Any = answer.raw.connection
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_only_so_many_endpoints_keep_connections(pair: tuple[Web, Web], stub: Stub) -> None:
    """Those of hosts long gone are let go."""
    one, other = stub.endpoints
    with session_of(stub, pool_connections=1) as session:
        for endpoint in one, one, other, one:
            stub.endpoints = (endpoint,)
            session.get(URL, timeout=PATIENCE)

    assert [len(web.connections) for web in pair] == [2, 1]


def test_a_session_survives_pickling() -> None:
    """As far as its resolver does."""
    session = requests.Session()
    session.mount(URL, Adapter(Resolverlike(), attempts=7))
    adapter = pickle.loads(pickle.dumps(session)).get_adapter(URL)  # noqa: S301 (just made)

    with requests.Session() as session:
        session.mount(URL, adapter)
        with pytest.raises(exceptions.ConnectionError, match="nobody"):
            session.get(URL, timeout=PATIENCE)


class Resolverlike:
    """A resolver that can be pickled and finds nothing."""

    def pick(self, name: str) -> Endpoint:
        """Find nothing."""
        raise NotFound(f"{name}: nobody; join")

    order: Any = pick

    def report(self, endpoint: Endpoint, ok: bool | None, *rest: Any, **options: Any) -> None:
        """Hear nothing."""


def test_threads_share_an_adapter(session: requests.Session, stub: Stub) -> None:
    """Each of their calls is answered and reported once."""

    def call() -> None:
        for _ in range(10):
            assert session.get(URL, timeout=PATIENCE).status_code == 200

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stub.reports == [("a.example.test.", True)] * 40
    assert not any(stub.in_flight.values())


def test_every_host_is_replaced_without_a_failed_call(serve: Serve) -> None:
    """Hosts end without notice, with connections open, and DNS tells of it a call too late."""
    webs = [serve(f"127.0.0.{n}") for n in (1, 2, 3)]
    stub = Stub(*(endpoint_of(web, f"{n}.example.test.") for n, web in enumerate(webs)))
    with session_of(stub) as session:
        for n in range(3):
            for _ in range(2):
                session.get(URL, timeout=PATIENCE)
            webs[n].kill()
            new = serve(f"127.0.0.{n + 1}")
            stub.endpoints = (stub.endpoints[-1], *stub.endpoints[:-1])
            session.get(URL, timeout=PATIENCE)
            old = webs[n].port
            stub.endpoints = (
                *(e for e in stub.endpoints if e.port != old),
                endpoint_of(new, f"{n}-new.example.test."),
            )
        session.get(URL, timeout=PATIENCE)

    assert not any(stub.in_flight.values())


class Reporting(Resolver):
    """A resolver that remembers what it hears."""

    reports: list[tuple[str, bool | None]]

    def report(self, endpoint: Endpoint, ok: bool | None, *rest: Any, **options: Any) -> None:
        """Note how a call went."""
        super().report(endpoint, ok, *rest, **options)
        self.reports.append((endpoint.target, ok))


def test_from_dns_to_an_answer(sandbox: Sandbox, serve: Serve, refused: Endpoint) -> None:
    """A real resolver finds the service; its first host is down, its second one answers."""
    web = serve("127.0.0.2")
    publish(sandbox, refused, web)
    with Reporting([sandbox.nameserver], timeout=PATIENCE, rng=Random(1).random) as resolver:
        resolver.reports = []
        with session_of(resolver) as session:
            answer = session.get(f"http+dnssd://My%20Web.{SERVICE}/x", timeout=PATIENCE)
            with pytest.raises(exceptions.ConnectionError, match="no such"):
                session.get("http+dnssd://_none._tcp.example.test/", timeout=PATIENCE)
            with pytest.raises(exceptions.InvalidURL, match="label"):
                session.get("http+dnssd://a..example.test/", timeout=PATIENCE)

    assert answer.json() == {"port": web.port, "path": "/x"}
    assert resolver.reports == [("gone.example.test.", False), ("b.example.test.", True)]


def test_what_was_not_picked_ends_no_pick(
    sandbox: Sandbox, serve: Serve, refused: Endpoint
) -> None:
    """Calls that were picked are in flight until they are reported, whoever else calls there."""
    web = serve("127.0.0.2")
    publish(sandbox, refused, web)
    name = f"My Web.{SERVICE}"
    with Resolver([sandbox.nameserver], policy="least_pending") as resolver:
        for _ in range(3):  # the first host is left out from then on
            resolver.report(resolver.pick(name), ok=False)
        mine = resolver.pick(name)
        assert mine.port == web.port
        before = dict(resolver._health.pending)

        resolver.connect(name, 5).close()
        with session_of(resolver) as session:
            session.get(f"http+dnssd://My%20Web.{SERVICE}/x", timeout=PATIENCE)

        assert dict(resolver._health.pending) == before
        resolver.report(mine, ok=True)
        assert not resolver._health.pending
