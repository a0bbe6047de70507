"""What callers and subclasses give the adapter's pools holds for every endpoint, or is refused."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from requests import exceptions
from requests.models import PreparedRequest, Response
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.poolmanager import ProxyManager

from dnssd.errors import UsageError
from dnssd.http import Adapter
from kit.web import PATIENCE, TLS_URL, URL, Serve, Stub, Web, certified, endpoint_of, mounted

A, B = "a.example.test", "b.example.test"
Make = Callable[..., Adapter]


def by_keyword(stub: Stub, **options: Any) -> Adapter:
    """As the adapter's own keyword arguments."""
    return Adapter(stub, **options)


def by_init_poolmanager(stub: Stub, **options: Any) -> Adapter:
    """As most subclasses for requests do it."""

    class Mine(Adapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **{**more, **options})

    return Mine(stub)


def by_a_pool_manager(stub: Stub, **options: Any) -> Adapter:
    """As requests_toolbelt does it: a manager of its own in place of the adapter's."""

    class Mine(Adapter):
        def init_poolmanager(self, connections: int, maxsize: int, block: bool = False) -> None:  # type: ignore[override]
            self.poolmanager = PoolManager(connections, maxsize=maxsize, block=block, **options)

    return Mine(stub)


def by_pool_key(stub: Stub, **options: Any) -> Adapter:
    """As requests 2.32 recommends it."""

    class Mine(Adapter):
        def build_connection_pool_key_attributes(self, *args: Any, **more: Any) -> Any:
            host, pool = super().build_connection_pool_key_attributes(*args, **more)
            return host, {**pool, **options}

    return Mine(stub)


def by_late_change(stub: Stub, **options: Any) -> Adapter:
    """As HostHeaderSSLAdapter does it: each request changes what pools are given."""

    class Mine(Adapter):
        def send(self, request: PreparedRequest, *args: Any, **more: Any) -> Response:
            self.poolmanager.connection_pool_kw.update(options)
            return super().send(request, *args, **more)

    return Mine(stub)


@pytest.fixture(
    params=[by_keyword, by_init_poolmanager, by_a_pool_manager, by_pool_key, by_late_change],
    ids=lambda way: way.__name__,
)
def make(request: pytest.FixtureRequest) -> Make:
    """Every way to give options to pools."""
    return request.param  # type: ignore[no-any-return]


@contextmanager
def tls_web(
    serve: Serve, authority: tuple[trustme.CA, str], certificate_for: str = A, **settings: Any
) -> Iterator[tuple[Web, Stub, list[str | None]]]:
    """A server with such a certificate, found as a.example.test."""
    asked: list[str | None] = []
    context = certified(authority[0], certificate_for, asked)
    authority[0].configure_trust(context)
    for setting, value in settings.items():
        setattr(context, setting, value)
    web = serve("127.0.0.1", context)
    yield web, Stub(endpoint_of(web, f"{A}.")), asked


def private(authority: tuple[trustme.CA, str]) -> ssl.SSLContext:
    """A client's context that trusts nobody else."""
    return ssl.create_default_context(cafile=authority[1])


def test_a_context_with_an_authority_of_its_own(
    make: Make, serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """Nothing else is needed, and nobody else is trusted."""
    context = private(authority)
    with (
        tls_web(serve, authority) as (_, stub, _asked),
        mounted(make(stub, ssl_context=context)) as session,
    ):
        assert session.get(TLS_URL, timeout=PATIENCE).status_code == 200
    assert context.cert_store_stats()["x509_ca"] == 1


def test_a_context_that_wants_newer_tls(
    make: Make, serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """Nothing is sent to a server that speaks TLS 1.2 at most."""
    context = private(authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with (
        tls_web(serve, authority, maximum_version=ssl.TLSVersion.TLSv1_2) as (web, stub, _),
        mounted(make(stub, ssl_context=context)) as session,
        pytest.raises(exceptions.SSLError),
    ):
        session.get(TLS_URL, timeout=PATIENCE)
    assert not web.seen


def test_a_context_with_a_client_certificate(
    make: Make, serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """The server gets it."""
    context = private(authority)
    authority[0].issue_cert("client.example.test").configure_cert(context)
    with (
        tls_web(serve, authority, verify_mode=ssl.CERT_REQUIRED) as (web, stub, _),
        mounted(make(stub, ssl_context=context)) as session,
    ):
        assert session.get(TLS_URL, timeout=PATIENCE).status_code == 200
        assert isinstance(web.connections[0], ssl.SSLSocket)


def test_a_client_certificate_by_file(
    make: Make, serve: Serve, authority: tuple[trustme.CA, str], tmp_path: Path
) -> None:
    """Likewise."""
    issued = authority[0].issue_cert("client.example.test")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    with (
        tls_web(serve, authority, verify_mode=ssl.CERT_REQUIRED) as (_, stub, _asked),
        mounted(make(stub, cert_file=str(tmp_path / "client.pem"))) as session,
    ):
        got = session.get(TLS_URL, verify=authority[1], timeout=PATIENCE)
    assert got.status_code == 200


@pytest.mark.parametrize("option", ["ca_certs", "ca_cert_data"])
def test_an_authority_by_file_or_data(
    option: str, make: Make, serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """It is trusted without a word in the request; what a request says comes before."""
    ca, file = authority
    given = file if option == "ca_certs" else ca.cert_pem.bytes().decode()
    with (
        tls_web(serve, authority) as (_, stub, _asked),
        mounted(make(stub, **{option: given})) as session,
    ):
        assert session.get(TLS_URL, timeout=PATIENCE).status_code == 200
    others = trustme.CA().cert_pem.bytes().decode()
    with (
        tls_web(serve, authority) as (web, stub, _asked),
        mounted(make(stub, ca_cert_data=others)) as session,
        pytest.raises(exceptions.SSLError),
    ):
        session.get(TLS_URL, timeout=PATIENCE)
    assert not web.seen


def test_the_bundle_of_the_environment_is_for_who_says_nothing(
    make: Make,
    serve: Serve,
    authority: tuple[trustme.CA, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a program has written down comes before; without it, the bundle counts."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "bundle.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "bundle.pem"))
    options: list[dict[str, Any]] = [
        {"ca_certs": authority[1]},
        {"ssl_context": private(authority)},
    ]
    with tls_web(serve, authority) as (web, stub, _):
        for option in options:
            with mounted(make(stub, **option)) as session:
                assert session.get(TLS_URL, timeout=PATIENCE).status_code == 200
        with mounted(make(stub)) as session:
            with pytest.raises(exceptions.SSLError):
                session.get(TLS_URL, timeout=PATIENCE)
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority[1])
            assert session.get(TLS_URL, timeout=PATIENCE).status_code == 200
    assert len(web.seen) == 3


def test_a_pinned_certificate(make: Make, serve: Serve, authority: tuple[trustme.CA, str]) -> None:
    """Another one is refused, whoever has signed it."""
    with (
        tls_web(serve, authority) as (web, stub, _),
        mounted(make(stub, assert_fingerprint="00" * 32)) as session,
        pytest.raises(exceptions.SSLError, match="ingerprint"),
    ):
        session.get(TLS_URL, verify=authority[1], timeout=PATIENCE)
    assert not web.seen


def test_the_name_that_a_certificate_must_have(
    make: Make, serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """In place of the target's: that one is not enough then."""
    with (
        tls_web(serve, authority, B) as (_, stub, _asked),
        mounted(make(stub, assert_hostname=B)) as session,
    ):
        got = session.get(TLS_URL, verify=authority[1], timeout=PATIENCE)
        assert got.status_code == 200
    with (
        tls_web(serve, authority, A) as (web, stub, _),
        mounted(make(stub, assert_hostname=B)) as session,
        pytest.raises(exceptions.SSLError),
    ):
        session.get(TLS_URL, verify=authority[1], timeout=PATIENCE)
    assert not web.seen


def test_the_name_that_a_server_is_asked_for(
    make: Make, serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """The target is still what the request is addressed to."""
    with (
        tls_web(serve, authority, B) as (web, stub, asked),
        mounted(make(stub, server_hostname=B)) as session,
    ):
        session.get(TLS_URL, verify=authority[1], timeout=PATIENCE)
    assert asked == [B]
    assert web.seen[0][2]["Host"].startswith(A)


def test_options_of_sockets(make: Make, pair: tuple[Web, Web], stub: Stub) -> None:
    """They are set on each, and each comes from the given address."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    adapter = make(stub, socket_options=options, source_address=("127.0.0.9", 0), blocksize=999)
    with (
        mounted(adapter) as session,
        session.get(URL, stream=True, timeout=PATIENCE) as got,
    ):
        connection: Any = got.raw.connection
        assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.blocksize == 999
        assert pair[0].connections[0].getpeername()[0] == "127.0.0.9"


def test_an_address_that_a_socket_cannot_have(stub: Stub) -> None:
    """No connection is made from another one."""
    with (
        mounted(Adapter(stub, source_address=("192.0.2.1", 0))) as session,
        pytest.raises(exceptions.ConnectionError, match="annot assign"),
    ):
        session.get(URL, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ({"timeout": 1}, "timeout= to requests"),
        ({"retries": 1}, "max_retries= to the adapter"),
        ({"headers": {"X": "1"}}, "headers= to requests"),
        ({"_proxy": "http://127.0.0.1:9"}, "proxy"),
        ({"ssl_contxt": None}, "no option"),
    ],
)
def test_what_could_have_no_effect_is_refused(
    option: dict[str, object], advice: str, make: Make, stub: Stub, pair: tuple[Web, Web]
) -> None:
    """The error says where to put it; nothing is sent."""
    with pytest.raises(UsageError, match=advice), mounted(make(stub, **option)) as session:
        session.get(URL, timeout=PATIENCE)
    assert not pair[0].seen
    assert not any(stub.in_flight.values())


def test_a_request_outdoes_the_pools_verification(
    serve: Serve, authority: tuple[trustme.CA, str]
) -> None:
    """`verify=` of a request is its own word, before and after requests that say nothing."""
    with (
        tls_web(serve, authority) as (web, stub, _),
        mounted(Adapter(stub, ca_certs=authority[1])) as session,
    ):
        other = trustme.CA()
        file = Path(authority[1]).with_name("other.pem")
        other.cert_pem.write_to_path(str(file))
        for verify in str(file), file:
            with pytest.raises(exceptions.SSLError):
                session.get(TLS_URL, verify=verify, timeout=PATIENCE)  # type: ignore[arg-type] # a Path works too
            assert session.get(TLS_URL, timeout=PATIENCE).status_code == 200
    assert len(web.seen) == 2


class Counting(HTTPConnection):
    """A connection that counts requests."""

    sent = 0

    def request(self, *args: Any, **options: Any) -> None:
        """Send one."""
        Counting.sent += 1
        super().request(*args, **options)


class Elsewhere(HTTPConnection):
    """A connection that leads where it likes."""

    def _new_conn(self) -> socket.socket:
        raise NotImplementedError


def pool_of(connection: type[HTTPConnection]) -> type[HTTPConnectionPool]:
    """A pool of such connections."""
    return type("Pool", (HTTPConnectionPool,), {"ConnectionCls": connection})


def managed(stub: Stub, manager: PoolManager) -> Adapter:
    """An adapter with a pool manager of the caller's own."""
    adapter = Adapter(stub)
    adapter.poolmanager = manager
    return adapter


def with_connections(connection: type[HTTPConnection]) -> PoolManager:
    """A manager whose pools have connections of that class."""
    manager = PoolManager()
    manager.pool_classes_by_scheme = {
        **manager.pool_classes_by_scheme,
        "http": pool_of(connection),
    }
    return manager


def test_connections_of_a_class_of_ones_own(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """They lead to the endpoint, and do what they add."""
    monkeypatch.setattr(Counting, "sent", 0)
    with mounted(managed(stub, with_connections(Counting))) as session:
        assert session.get(URL, timeout=PATIENCE).status_code == 200
    assert Counting.sent == 1


def test_connections_that_lead_elsewhere_are_refused(stub: Stub) -> None:
    """They would not lead to the endpoint that was picked, nor may theirs be left out silently."""
    with (
        mounted(managed(stub, with_connections(Elsewhere))) as session,
        pytest.raises(UsageError, match="Elsewhere"),
    ):
        session.get(URL, timeout=PATIENCE)


def test_a_manager_for_a_proxy_is_refused(stub: Stub) -> None:
    """Requests would not go through it."""
    with (
        mounted(managed(stub, ProxyManager("http://127.0.0.1:9"))) as session,
        pytest.raises(UsageError, match="proxy"),
    ):
        session.get(URL, timeout=PATIENCE)


@pytest.mark.parametrize("key", ["http+dnssd", "all"])
def test_a_proxy_that_is_asked_for_is_refused(
    key: str, session: requests.Session, pair: tuple[Web, Web]
) -> None:
    """It may be there to guard something; the environment's is for other hosts."""
    with pytest.raises(exceptions.InvalidProxyURL, match="leave out the proxy"):
        session.get(URL, proxies={key: "http://user:secret@127.0.0.1:9"}, timeout=PATIENCE)
    assert not pair[0].seen


def test_another_host_in_the_pools_key_is_refused(stub: Stub) -> None:
    """DNS has said where the endpoint is."""

    class Mine(Adapter):
        def build_connection_pool_key_attributes(self, *args: Any, **more: Any) -> Any:
            host, pool = super().build_connection_pool_key_attributes(*args, **more)
            return {**host, "host": "www.example.test"}, pool

    with mounted(Mine(stub)) as session, pytest.raises(UsageError, match="pool key"):
        session.get(URL, timeout=PATIENCE)


def test_what_subclasses_override_is_called(stub: Stub, pair: tuple[Web, Web]) -> None:
    """Headers, path, certificates and answers pass through them, as with requests' own."""
    called: list[str] = []

    class Mine(Adapter):
        def add_headers(self, request: PreparedRequest, **options: Any) -> None:
            request.headers["X-Mine"] = "1"

        def request_url(self, request: PreparedRequest, proxies: Any) -> str:
            return super().request_url(request, proxies) + "?mine"

        def cert_verify(self, *args: Any) -> None:
            called.append("cert_verify")
            super().cert_verify(*args)

        def build_response(self, req: PreparedRequest, resp: Any) -> Response:
            called.append("build_response")
            return super().build_response(req, resp)

    with mounted(Mine(stub)) as session:
        assert session.get(f"{URL}/x", timeout=PATIENCE).json()["path"] == "/x?mine"
    assert pair[0].seen[0][2]["X-Mine"] == "1"
    assert called == ["cert_verify", "build_response"]
