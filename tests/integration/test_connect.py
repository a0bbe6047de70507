"""Connecting to endpoints over real sockets: the first that answers, by threads and by tasks."""

import asyncio
import gc
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import pytest
import trustme

from dnssd.errors import DeadlineExceeded, Unavailable, UsageError
from dnssd.resolver.asyncio import AsyncResolver
from dnssd.resolver.client import Resolver
from dnssd.resolver.connecting import connect
from dnssd.resolver.snapshot import Endpoint
from dnssd.resolver.streams import connect_async, open_connection
from kit.simnet import WEB, Records
from kit.simserver import SimServer

DELAY = 0.02  # seconds between attempts, where a test waits for them
ENOUGH = 60.0  # seconds, never used up

Reports = list[tuple[str, bool]]
Peer = Callable[..., str]


def port_of(sock: socket.socket) -> int:
    """Where a socket is bound."""
    return int(sock.getsockname()[1])


class Service:
    """Endpoints of every kind on one port of several loopback addresses.

    127.0.0.1 and ::1 answer, 127.0.0.2 refuses, 127.0.0.3 is silent: it drops what comes.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = port_of(self.listener)
        silent = stack.enter_context(socket.create_server(("127.0.0.3", self.port), backlog=0))
        for _ in range(2):  # fill its queue: further connections are left unanswered
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(silent.getsockname())

    def endpoint(self, target: str, *addresses: str) -> Endpoint:
        """An endpoint with these addresses."""
        return Endpoint(target, self.port, 0, 1, addresses)


@pytest.fixture
def service() -> Iterator[Service]:
    """A port that answers here, refuses there, and is silent elsewhere."""
    with ExitStack() as stack:
        yield Service(stack)


def reporting(reports: Reports) -> Any:
    """What notes reports in a list."""

    def report(endpoint: Endpoint, ok: bool, seconds: float | None = None) -> None:
        assert seconds is not None
        assert seconds >= 0
        reports.append((endpoint.target, ok))

    return report


def by_socket(
    endpoints: list[Endpoint],
    timeout: float | None,
    reports: Reports,
    delay: float = ENOUGH,
    further: list[Endpoint] | None = None,
) -> str:
    """Connect with sockets; the address that answered."""
    report = reporting(reports)

    def later(told: Callable[[list[Endpoint]], object]) -> None:
        threading.Timer(0, told, [further]).start()

    more = None if further is None else later
    with connect(endpoints, timeout, report=report, delay=delay, further=more) as sock:
        return str(sock.getpeername()[0])


async def told(further: list[Endpoint]) -> list[Endpoint]:
    """Tell it a little later."""
    await asyncio.sleep(0)
    return further


def by_stream(
    endpoints: list[Endpoint],
    timeout: float | None,
    reports: Reports,
    delay: float = ENOUGH,
    further: list[Endpoint] | None = None,
) -> str:
    """Connect with asyncio; the address that answered."""

    async def peer() -> str:
        report = reporting(reports)
        more = None if further is None else partial(told, further)
        _, writer = await open_connection(
            endpoints, timeout, report=report, delay=delay, further=more
        )
        address = str(writer.get_extra_info("peername")[0])
        await closed(writer)
        return address

    return asyncio.run(peer())


def by_async_socket(
    endpoints: list[Endpoint],
    timeout: float | None,
    reports: Reports,
    delay: float = ENOUGH,
    further: list[Endpoint] | None = None,
) -> str:
    """Connect with asyncio, to a socket; the address that answered."""

    async def peer() -> str:
        report = reporting(reports)
        more = None if further is None else partial(told, further)
        with await connect_async(
            endpoints, timeout, report=report, delay=delay, further=more
        ) as sock:
            assert sock.gettimeout() == 0
            return str(sock.getpeername()[0])

    return asyncio.run(peer())


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a stream and wait for it."""
    writer.close()
    await writer.wait_closed()


@pytest.fixture(params=[by_socket, by_stream, by_async_socket])
def peer(request: pytest.FixtureRequest) -> Peer:
    """Each way to connect; gives the address that answered."""
    function: Peer = request.param
    return function


def test_the_first_endpoint_is_connected_to(service: Service, peer: Peer) -> None:
    """As long as it answers, no other hears of it."""
    reports: Reports = []
    a, b = service.endpoint("a.", "127.0.0.1"), service.endpoint("b.", "127.0.0.2")

    assert peer([a, b], ENOUGH, reports) == "127.0.0.1"
    assert reports == [("a.", True)]


def test_a_refusal_leads_to_the_next_at_once(service: Service, peer: Peer) -> None:
    """An endpoint has failed when all of its addresses have."""
    reports: Reports = []
    a = service.endpoint("a.", "127.0.0.2", "127.0.0.4")
    b = service.endpoint("b.", "127.0.0.2", "127.0.0.1")

    assert peer([a, b], ENOUGH, reports) == "127.0.0.1"
    assert reports == [("a.", False), ("b.", True)]


def test_silence_does_not_hold_up_the_next(service: Service, peer: Peer) -> None:
    """The one that is silent is abandoned, which is no failure of its."""
    reports: Reports = []
    a, b = service.endpoint("a.", "127.0.0.3"), service.endpoint("b.", "127.0.0.1")

    assert peer([a, b], ENOUGH, reports, DELAY) == "127.0.0.1"
    assert reports == [("b.", True)]


def test_the_deadline_ends_silence(service: Service, peer: Peer) -> None:
    """Those that never answered have failed."""
    reports: Reports = []
    a, b = service.endpoint("a.", "127.0.0.2"), service.endpoint("b.", "127.0.0.3")

    with pytest.raises(DeadlineExceeded, match=r"a\. at 127\.0\.0\.2:\d+: Connection refused, b\."):
        peer([a, b], 0.3, reports)
    assert reports == [("a.", False), ("b.", False)]


def test_when_all_refuse(service: Service, peer: Peer) -> None:
    """The error says so, and comes from the last refusal."""
    reports: Reports = []

    with pytest.raises(Unavailable, match="refused") as caught:
        peer([service.endpoint("a.", "127.0.0.2")], None, reports)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert not isinstance(caught.value, DeadlineExceeded)
    assert reports == [("a.", False)]


@pytest.mark.parametrize("endpoints", [[], [Endpoint("a.", 80, 0, 1)]])
def test_without_an_address_there_is_no_connection(endpoints: list[Endpoint], peer: Peer) -> None:
    """Nothing can be tried, and nobody is to blame."""
    reports: Reports = []

    with pytest.raises(Unavailable, match="no endpoint has an address"):
        peer(endpoints, ENOUGH, reports)
    assert reports == []


def test_an_address_that_cannot_be_reached_is_one_that_fails(peer: Peer, service: Service) -> None:
    """The system refuses to send there at all: port 0, and the broadcast address."""
    reports: Reports = []
    nowhere = [
        Endpoint("a.", 0, 0, 1, ("127.0.0.1",)),
        service.endpoint("b.", "255.255.255.255"),
    ]

    assert peer([*nowhere, service.endpoint("c.", "127.0.0.1")], ENOUGH, reports) == "127.0.0.1"
    assert reports == [("a.", False), ("b.", False), ("c.", True)]


def test_ipv6_is_tried_first(peer: Peer) -> None:
    """Of an endpoint that has both."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        endpoint = Endpoint("a.", port_of(listener), 0, 1, ("127.0.0.1", "::1"))

        assert peer([endpoint], ENOUGH, []) == "::1"


@pytest.mark.parametrize("known", ["127.0.0.2", "127.0.0.3"])
def test_where_what_is_known_fails_further_addresses_are_tried(
    service: Service, peer: Peer, known: str
) -> None:
    """It refuses, or is silent; one that refuses has failed once nothing further comes."""
    reports: Reports = []
    a, both = service.endpoint("a.", known), service.endpoint("a.", known, "127.0.0.1")

    assert peer([a], ENOUGH, reports, DELAY, [both]) == "127.0.0.1"
    assert reports == [("a.", True)]
    if known == "127.0.0.2":
        with pytest.raises(Unavailable, match="refused"):
            peer([a], ENOUGH, reports, DELAY, [a])
        assert reports[1:] == [("a.", False)]


@pytest.mark.parametrize(("known", "left_out"), [("A", "AAAA"), ("AAAA", "A")])
def test_the_other_family_is_asked_for_within_a_connect(known: str, left_out: str) -> None:
    """An SRV answer brings addresses of one family alone, and there is no way to these."""
    with ExitStack() as stack:
        family = {"AAAA": socket.AF_INET6, "A": socket.AF_INET}[left_out]
        here = {"AAAA": "::1", "A": "127.0.0.1"}
        nowhere = {"A": "127.0.0.2", "AAAA": "::1"}
        listener = stack.enter_context(socket.create_server((here[left_out], 0), family=family))
        records: Records = {
            (WEB, "SRV"): [f"0 0 {port_of(listener)} h.example.com."],
            (WEB, "TXT"): ['"a=1"'],
            ("h.example.com.", known): [nowhere[known]],
            ("h.example.com.", left_out): [here[left_out]],
        }
        server = stack.enter_context(SimServer(records, additional=known))
        with Resolver([server.nameserver]) as resolver, resolver.connect(WEB) as sock:
            assert sock.getpeername()[0] == here[left_out]
            assert set(sock.endpoint.addresses) == {here[left_out], nowhere[known]}

        async def both() -> None:
            async with AsyncResolver([server.nameserver]) as resolver:
                with await resolver.connect(WEB) as sock:
                    assert sock.getpeername()[0] == here[left_out]
            async with AsyncResolver([server.nameserver]) as resolver:
                _, writer = await resolver.open_connection(WEB)
                await closed(writer)

        asyncio.run(both())


@pytest.mark.parametrize("timeout", [1e9, float("inf"), 10**400])
def test_a_time_out_of_years_is_none(service: Service, peer: Peer, timeout: float) -> None:
    """No system call takes it."""
    assert peer([service.endpoint("a.", "127.0.0.1")], timeout, []) == "127.0.0.1"


@pytest.mark.parametrize("timeout", ["3", float("nan"), b""])
def test_what_is_no_time_out(service: Service, peer: Peer, timeout: Any) -> None:
    """It is refused before anything is tried."""
    with pytest.raises(UsageError, match="not a number"):
        peer([service.endpoint("a.", "127.0.0.1")], timeout, [])


@pytest.mark.parametrize("timeout", [ENOUGH, None])
def test_the_socket_is_one_of_create_connection(service: Service, timeout: float | None) -> None:
    """It blocks, for as long as connecting might have taken."""
    endpoint = service.endpoint("a.", "127.0.0.1")
    with connect([endpoint], timeout, report=reporting([])) as sock:
        assert sock.gettimeout() == timeout
        accepted, _ = service.listener.accept()
        with accepted:
            accepted.sendall(b"hello")
            assert sock.recv(5) == b"hello"


def test_a_clock_of_the_callers_counts(service: Service) -> None:
    """Time is up when it says so."""
    readings = iter([0.0, 0.0, 10.0, 10.0])

    with pytest.raises(DeadlineExceeded, match="no answer"):
        connect(
            [service.endpoint("a.", "127.0.0.3")],
            1e-9 + 5,
            report=reporting([]),
            monotonic=lambda: next(readings),
            delay=0,
        ).close()


@pytest.fixture
def authority() -> trustme.CA:
    """Who certifies."""
    return trustme.CA()


class TlsServer:
    """Accepts and shakes hands, as often as it is connected to."""

    def __init__(self, ca: trustme.CA, name: str, host: str = "127.0.0.1") -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(name).configure_cert(self._context)
        self._context.sni_callback = lambda _, asked, __: self.asked.append(asked)
        self.asked: list[str | None] = []
        self.listener = socket.create_server((host, 0))
        self.port = port_of(self.listener)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:
                return
            with accepted:
                accepted.settimeout(ENOUGH)
                try:
                    with self._context.wrap_socket(accepted, server_side=True) as secured:
                        secured.sendall(b"hello")
                        secured.recv(1)
                except OSError:
                    continue

    def close(self) -> None:
        """End it."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.listener.close()


def trusting(ca: trustme.CA) -> ssl.SSLContext:
    """What a client that trusts `ca` needs."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


Say = Callable[..., bytes]  # connects to endpoints with TLS; what the server says


def by_tls_streams(
    endpoints: list[Endpoint], reports: Reports, context: ssl.SSLContext, **options: Any
) -> bytes:
    """With asyncio."""

    async def hello() -> bytes:
        report = reporting(reports)
        reader, writer = await open_connection(
            endpoints, ENOUGH, report=report, ssl=context, **options
        )
        greeting = await reader.readexactly(5)
        await closed(writer)
        return greeting

    return asyncio.run(hello())


def by_tls_socket(
    endpoints: list[Endpoint], reports: Reports, context: ssl.SSLContext, **options: Any
) -> bytes:
    """Without."""
    report = reporting(reports)
    with connect(endpoints, ENOUGH, report=report, ssl=context, **options) as sock:
        assert sock.gettimeout() == ENOUGH
        assert sock.endpoint is next(e for e in endpoints if e.target == reports[-1][0])
        assert isinstance(sock, ssl.SSLSocket)
        return sock.recv(5)


tls_both = pytest.mark.parametrize("say", [by_tls_streams, by_tls_socket])


@tls_both
def test_tls_is_about_the_target(say: Say, authority: trustme.CA) -> None:
    """The certificate must be for it; an endpoint with another's is passed over as failed."""
    reports: Reports = []
    wrong = TlsServer(authority, "b.example.test")
    right = TlsServer(authority, "b.example.test", "127.0.0.2")
    context = trusting(authority)

    with closing(wrong), closing(right):
        a = Endpoint("a.example.test.", wrong.port, 0, 1, ("127.0.0.1",))
        b = Endpoint("b.example.test.", right.port, 0, 1, ("127.0.0.2",))
        assert say([a, b], reports, context, delay=ENOUGH) == b"hello"
        assert reports == [("a.example.test.", False), ("b.example.test.", True)]
        assert right.asked == ["b.example.test"]
        with pytest.raises(Unavailable, match=r"a\.example\.test\. at .*: Hostname mismatch"):
            say([a], reports, context)


def test_streams_may_be_checked_against_another_name(authority: trustme.CA) -> None:
    """As with asyncio's own."""
    server = TlsServer(authority, "b.example.test")
    endpoint = Endpoint("a.example.test.", server.port, 0, 1, ("127.0.0.1",))
    with closing(server):
        name = "b.example.test"
        assert by_tls_streams([endpoint], [], trusting(authority), server_hostname=name) == b"hello"


@tls_both
@pytest.mark.parametrize("target", ["x" * 64 + ".test.", r"a\.b\000 ü."])
def test_a_target_that_is_no_host_name_has_no_certificate(
    say: Say, target: str, authority: trustme.CA
) -> None:
    """It fails like one with the wrong certificate, without a traceback in a log."""
    reports: Reports = []
    server = TlsServer(authority, "b.example.test")
    endpoint = Endpoint(target, server.port, 0, 1, ("127.0.0.1",))

    with closing(server), pytest.raises(Unavailable):
        say([endpoint], reports, trusting(authority))
    assert [ok for _, ok in reports] == [False]


@tls_both
def test_a_handshake_that_never_ends_is_abandoned(
    say: Say, service: Service, authority: trustme.CA
) -> None:
    """A port that accepts and is silent has not answered; its socket is closed."""
    reports: Reports = []
    server = TlsServer(authority, "b.example.test", "127.0.0.2")
    a = service.endpoint("a.example.test.", "127.0.0.1")
    b = Endpoint("b.example.test.", server.port, 0, 1, ("127.0.0.2",))

    with closing(server):
        assert say([a, b], reports, trusting(authority), delay=DELAY) == b"hello"
    assert reports == [("b.example.test.", True)]
    accepted, _ = service.listener.accept()
    with accepted:
        accepted.settimeout(ENOUGH)
        while accepted.recv(4096):
            pass  # the greeting; then the end


def test_a_handshake_that_is_cut_leads_on(authority: trustme.CA) -> None:
    """As behind a balancer without a server."""
    reports: Reports = []
    server = TlsServer(authority, "b.example.test", "127.0.0.2")
    with closing(server), socket.create_server(("127.0.0.1", 0)) as cutting:

        def cut() -> None:
            accepted, _ = cutting.accept()
            with accepted:
                accepted.recv(1)

        thread = threading.Thread(target=cut)
        thread.start()
        a = Endpoint("a.example.test.", port_of(cutting), 0, 1, ("127.0.0.1",))
        b = Endpoint("b.example.test.", server.port, 0, 1, ("127.0.0.2",))
        assert by_tls_socket([a, b], reports, trusting(authority), delay=ENOUGH) == b"hello"
        thread.join()
    assert reports == [("a.example.test.", False), ("b.example.test.", True)]


def test_no_handshake_ends_in_time(service: Service, authority: trustme.CA) -> None:
    """The time-out holds for it too."""
    endpoint = service.endpoint("a.example.test.", "127.0.0.1")
    with pytest.raises(DeadlineExceeded):
        connect([endpoint], DELAY, report=reporting([]), ssl=trusting(authority))


def test_a_socket_knows_its_endpoint(service: Service) -> None:
    """In both worlds, without TLS."""
    endpoint = service.endpoint("a.example.test.", "127.0.0.1")
    with connect([endpoint], ENOUGH, report=reporting([])) as sock:
        assert sock.endpoint is endpoint
    with asyncio.run(connect_async([endpoint], ENOUGH, report=reporting([]))) as sock:
        assert sock.endpoint is endpoint


def test_a_task_that_is_cancelled_leaves_nothing_behind(service: Service) -> None:
    """Every socket is closed; nobody is reported."""
    reports: Reports = []

    async def run() -> None:
        endpoints = [service.endpoint(f"{n}.", "127.0.0.3") for n in range(3)]
        task = asyncio.create_task(
            open_connection(endpoints, None, report=reporting(reports), delay=0)
        )
        while len(asyncio.all_tasks()) < 5:  # this one, that one, and an attempt at each
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    gc.collect()  # an unclosed socket would warn, and a warning is an error
    assert reports == []


@pytest.mark.parametrize("connecting", [open_connection, connect_async])
def test_a_task_that_is_cancelled_after_it_has_won_leaves_nothing_open(
    service: Service, connecting: Callable[..., Coroutine[Any, Any, object]]
) -> None:
    """While another attempt is being abandoned; nobody gets the connection then."""

    async def run() -> None:
        def cancel(endpoint: Endpoint, ok: bool, seconds: float | None = None) -> None:
            task.cancel()

        endpoints = [service.endpoint("a.", "127.0.0.3"), service.endpoint("b.", "127.0.0.1")]
        task = asyncio.create_task(connecting(endpoints, ENOUGH, report=cancel, delay=0))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    gc.collect()  # an unclosed socket would warn, and a warning is an error


def test_of_two_that_answer_together_one_is_closed(service: Service) -> None:
    """Only the winner is reported and stays open."""
    with socket.create_server(("127.0.0.4", service.port)) as other:
        reports: Reports = []
        endpoints = [service.endpoint("a.", "127.0.0.1"), service.endpoint("b.", "127.0.0.4")]

        async def run() -> None:
            _, writer = await open_connection(endpoints, ENOUGH, report=reporting(reports), delay=0)
            await closed(writer)

        asyncio.run(run())
        with connect(endpoints, ENOUGH, report=reporting(reports), delay=0):
            pass
        gc.collect()
        assert len(reports) == 2
        assert all(ok for _, ok in reports)
        assert other


def test_a_mistake_of_the_callers_is_not_an_endpoints(service: Service) -> None:
    """An option that asyncio does not know is an error at once."""
    reports: Reports = []

    with pytest.raises(TypeError):
        asyncio.run(
            open_connection(
                [service.endpoint("a.", "127.0.0.1")],
                ENOUGH,
                report=reporting(reports),
                no_such_option=1,
            )
        )
    assert reports == []
