"""Every host of a service is replaced while clients call it: real HTTP, real DNS, no lost call.

The resolver's clock runs as fast as the real one, and skips what a test has no reason to wait
for: nothing happens in between but that answers grow old. It cannot simply run faster, since
a name server that answers within a real millisecond would then be late.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

import pytest
import requests
from requests.exceptions import RequestException

from dnssd import Registration, Resolver, join, leave, open_zone
from dnssd.http import Adapter
from dnssd.resolver.events import Event, Kind
from dnssd.resolver.snapshot import Endpoint
from dnssd.sandbox.dns.answers import respond
from dnssd.sandbox.dns.server import DnsServer
from dnssd.sandbox.sandbox import Sandbox
from dnssd.wire.timers import ROUNDS
from kit.web import Web

NAME = "web._http._tcp.example.test"
URL = f"http+dnssd://{NAME}"
TTL = 60.0  # seconds: what `join` writes
REFRESHED = 50.0  # seconds after an answer by which it is refreshed: 75 % of the TTL, and a tenth
MARGIN = 5.0  # seconds that a drained host goes on after the TTL
TIMEOUT = 60.0  # seconds that a look-up may take: a busy machine is no outage
THREADS = 4
PATIENCE = 60.0  # seconds that a test waits for what must come


class Clock:
    """The resolver's clock, in seconds."""

    def __init__(self) -> None:
        self._skipped = 0.0
        self._stopped_at: float | None = None

    def __call__(self) -> float:
        """Read it."""
        now = time.monotonic() if self._stopped_at is None else self._stopped_at
        return now + self._skipped

    def stop(self) -> None:
        """From now on it only skips."""
        self._stopped_at = time.monotonic()

    def skip(self, seconds: float) -> None:
        """Be later."""
        self._skipped += seconds


class Host(Web):
    """A host of the service."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label

    @property
    def target(self) -> str:
        """Its name in SRV records."""
        return f"{self.label}.example.test."

    @property
    def calls(self) -> list[str]:
        """What it was asked: `METHOD /path` each."""
        return [f"{method} {path}" for method, path, *_ in self.seen]

    def registration(self) -> Registration:
        """Its membership in the service."""
        return Registration(
            service="_http._tcp",
            instance="web",
            port=self.port,
            host=self.label,
            addresses=["127.0.0.1"],
        )


class Dns(DnsServer):
    """The sandbox's zone behind a server that may fall silent."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.down = False
        rng = Random(1)

        def reply(message: bytes, stream: bool) -> Sequence[bytes]:
            if self.down:
                return ()
            return respond(message, sandbox.zones.zones(), rng, stream=stream)

        super().__init__(reply)


class Reporting(Resolver):
    """A resolver that remembers which calls failed."""

    failed: Counter[str]

    def report(self, endpoint: Endpoint, ok: bool | None, *rest: Any, **options: Any) -> None:
        """Note how a call went."""
        super().report(endpoint, ok, *rest, **options)
        if not ok:
            self.failed[endpoint.target] += 1


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the service; times are real ones.

    Attributes:
        port: Who answered; None if nobody did.
    """

    method: str
    began: float
    ended: float
    port: int | None
    error: str = ""


class Callers:
    """Threads that call the service over and over; every fourth call is a POST."""

    def __init__(self, session: Callable[[], requests.Session]) -> None:
        self.calls: list[Call] = []
        self._session = session
        self._made = Counter[int]()
        self._resting = 0
        self._state = "calling"  # or "resting", or "ended"
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run, args=[n]) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """End the threads."""
        self._turn("ended")
        for thread in self._threads:
            thread.join()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """No call is under way for as long as this is entered."""
        self._turn("resting")
        with self._changed:
            assert self._changed.wait_for(lambda: self._resting == THREADS, PATIENCE)
        yield
        self._turn("calling")

    def await_more(self, number: int = 5) -> None:
        """Wait until each thread has begun and ended so many calls from now on."""
        with self._changed:
            goals = {n: self._made[n] + number + 1 for n in range(THREADS)}
            made = self._made
            assert self._changed.wait_for(lambda: all(made[n] >= goals[n] for n in goals), PATIENCE)

    @property
    def failed(self) -> list[Call]:
        """The calls that nobody answered."""
        return [call for call in self.calls if call.port is None]

    def _turn(self, state: str) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def _run(self, me: int) -> None:
        with self._session() as session:
            for n in count():
                with self._changed:  # a pause before each call leaves something to the servers
                    self._changed.wait_for(lambda: self._state != "calling", 0.001)
                    if self._state == "resting":
                        self._rest()
                    if self._state == "ended":
                        return
                call = _call(session, "GET" if n % 4 else "POST", f"/{me}-{n}")
                with self._changed:
                    self.calls.append(call)
                    self._made[me] += 1
                    self._changed.notify_all()

    def _rest(self) -> None:
        self._resting += 1
        self._changed.notify_all()
        self._changed.wait_for(lambda: self._state != "resting")
        self._resting -= 1


def _call(session: requests.Session, method: str, path: str) -> Call:
    began = time.monotonic()
    try:
        answer = session.request(method, URL + path, data=b"x" * 10, timeout=PATIENCE)
        answer.raise_for_status()
    except RequestException as error:
        return Call(method, began, time.monotonic(), None, str(error))
    return Call(method, began, time.monotonic(), int(answer.json()["port"]))


class Client:
    """A program with a resolver, a watch on the service, and calls to it."""

    def __init__(self, dns: Dns, stack: ExitStack) -> None:
        self.clock = Clock()
        self._events: list[Event] = []
        self._seen = threading.Condition()
        self._stack = stack
        self.resolver = Reporting(
            [f"127.0.0.1:{dns.port}"],
            timeout=TIMEOUT,
            rng=Random(1).random,
            monotonic=self.clock,
        )
        self.resolver.failed = Counter()
        watching = threading.Thread(target=self._watch)
        stack.callback(watching.join)
        stack.enter_context(self.resolver)  # its end is the end of the watch
        watching.start()
        self.adapter = Adapter(self.resolver, monotonic=self.clock)
        self.resolver.lookup(NAME)
        self.skip(2.0)  # by then it has begun to ask for the other address family

    def session(self) -> requests.Session:
        """A session that calls the service."""
        session = requests.Session()
        session.mount("http+dnssd://", self.adapter)
        return session

    def callers(self) -> Callers:
        """Calls that go on until the test ends."""
        callers = Callers(self.session)
        self._stack.callback(callers.end)
        callers.await_more()
        return callers

    def skip(self, seconds: float) -> None:
        """Skip so much time; returns once the resolver has begun, or given up, what is due.

        A question is given up some rounds of its loop after the time, and each watch waits for
        a round. One that were given up after the next skip only would be tried again late.
        """
        self.clock.skip(seconds)
        for _ in range(ROUNDS + 4):
            next(self.resolver.watch(NAME))

    def await_events(self, *wanted: tuple[Kind, str]) -> None:
        """Wait until all of these have happened, and forget them; of hosts, by target."""
        with self._seen:
            assert self._seen.wait_for(lambda: set(wanted) <= set(self.events), PATIENCE)
            self._events = [event for event in self._events if _told(event) not in wanted]

    @property
    def events(self) -> list[tuple[Kind, str]]:
        """What has happened and was not awaited yet."""
        return [_told(event) for event in self._events]

    def _watch(self) -> None:
        for event in self.resolver.watch(NAME):
            with self._seen:
                self._events.append(event)
                self._seen.notify_all()


def _told(event: Event) -> tuple[Kind, str]:
    return event.kind, event.endpoint.target if event.endpoint else ""


class Fleet:
    """The hosts of the service, which join and leave in Route 53."""

    def __init__(self, sandbox: Sandbox, dns: Dns, stack: ExitStack) -> None:
        self._zone = open_zone(f"example.test,id={sandbox.zone_id}")
        self._dns = dns
        self._stack = stack
        self._numbers = count()
        self.webs: list[Host] = []  # all that ever were

    def start(self, number: int) -> list[Host]:
        """Start hosts that are not in DNS yet."""
        webs = [Host(f"host-{next(self._numbers)}") for _ in range(number)]
        for web in webs:
            self._stack.callback(web.kill)
        self.webs += webs
        return webs

    def joined(self, number: int) -> list[Host]:
        """Start hosts, and have them join."""
        webs = self.start(number)
        for web in webs:
            self.join(web)
        return webs

    def join(self, web: Host) -> None:
        """Have a host join."""
        join(self._zone, web.registration())

    def leave(self, web: Host) -> None:
        """Have a host leave, or somebody do so for it."""
        leave(self._zone, web.registration())

    def client(self) -> Client:
        """A client of the hosts that have joined."""
        return Client(self._dns, self._stack)


@pytest.fixture
def dns(sandbox: Sandbox) -> Iterator[Dns]:
    """The name server that clients ask."""
    with Dns(sandbox) as dns:
        yield dns


@pytest.fixture
def fleet(sandbox: Sandbox, dns: Dns, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """Hosts, and clients that end before them."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:
        yield Fleet(sandbox, dns, stack)


def assert_lost_in_flight(call: Call, webs: Sequence[Host]) -> None:
    """A call may fail if the host was killed that had it; and none but those that may do harm."""
    assert call.method == "POST", call
    assert any(web.died and call.began <= web.died[1] and call.ended >= web.died[0] for web in webs)


def assert_nothing_done_twice(fleet: Fleet) -> None:
    """No POST has reached two hosts, or one host twice."""
    posts = Counter(call for web in fleet.webs for call in web.calls if call.startswith("POST"))
    assert posts
    assert max(posts.values()) == 1


def test_hosts_that_are_drained_cost_no_call(fleet: Fleet) -> None:
    """Each leaves DNS, serves on until its TTL and a margin have passed, and stops."""
    old = fleet.joined(4)
    client = fleet.client()
    client.await_events(*(("added", web.target) for web in old))
    callers = client.callers()

    for web in old:
        (new,) = fleet.joined(1)
        fleet.leave(web)
        left_at = client.clock()
        client.skip(REFRESHED)
        client.await_events(("added", new.target), ("removed", web.target))
        assert client.clock() - left_at < TTL
        callers.await_more()
        served = len(web.calls)
        client.skip(left_at + TTL + MARGIN - client.clock())
        callers.await_more()
        assert len(web.calls) == served
        web.kill()
        callers.await_more()

    callers.end()
    assert not callers.failed
    assert not client.resolver.failed  # nor was any call repeated
    assert not client.events
    assert {call.port for call in callers.calls[-THREADS:]} <= {web.port for web in fleet.webs[4:]}
    assert_nothing_done_twice(fleet)


def test_hosts_that_crash_cost_no_call_that_can_be_repeated(fleet: Fleet) -> None:
    """Each dies under its calls, and leaves DNS later: only what it had in hand can be lost."""
    old = fleet.joined(4)
    client = fleet.client()
    callers = client.callers()

    for web in old:
        web.kill()
        callers.await_more()
        fleet.leave(web)
        (new,) = fleet.joined(1)
        client.skip(REFRESHED)
        client.await_events(("added", new.target), ("removed", web.target))
        callers.await_more()

    callers.end()
    for call in callers.failed:
        assert_lost_in_flight(call, old)
    assert {call.port for call in callers.calls[-THREADS:]} <= {web.port for web in fleet.webs[4:]}
    assert_nothing_done_twice(fleet)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_call_in_a_dying_hosts_hands(fleet: Fleet, method: str) -> None:
    """It is repeated elsewhere if that does no harm; else it is lost, and never done twice."""
    webs = fleet.joined(3)
    for web in webs:
        web.gate.clear()
    with fleet.client().session() as session, ThreadPoolExecutor() as pool:
        calling = pool.submit(_call, session, method, "/")
        while not (called := [web for web in webs if web.calls]):
            assert not calling.done()
            time.sleep(0.001)
        (dying,) = called
        for web in webs:
            if web is not dying:
                web.gate.set()
        dying.kill()
        call = calling.result(PATIENCE)

    answered = [web.port for web in webs if web.calls and web is not dying]
    assert answered == ([call.port] if method == "GET" else [])
    assert (call.port is None) == (method == "POST")


def test_one_live_host_is_enough(fleet: Fleet) -> None:
    """All hosts but one die between two calls: whatever was not in their hands is saved."""
    webs = fleet.joined(6)
    client = fleet.client()
    callers = client.callers()

    with callers.resting():
        for web in webs[:5]:
            web.kill()
        killed = len(callers.calls)
    callers.await_more(20)

    callers.end()
    assert not callers.failed
    assert {call.port for call in callers.calls[killed:]} == {webs[5].port}
    assert_nothing_done_twice(fleet)

    webs[5].kill()
    with client.session() as session:
        last = _call(session, "GET", "/")
    assert last.error.startswith(f"'{NAME}': 2 endpoints and then host-")
    assert last.error.count("Connection refused") == 4


def test_half_of_the_hosts_are_replaced_while_dns_is_down(fleet: Fleet, dns: Dns) -> None:
    """Calls go on from what was known, for as long as it takes; then the new hosts are found."""
    webs = fleet.joined(4)
    client = fleet.client()
    client.await_events(*(("added", web.target) for web in webs))
    callers = client.callers()

    dns.down = True
    client.skip(TTL)  # a refresh begins
    callers.await_more()
    client.skip(TIMEOUT)  # and fails
    client.await_events(("stale", ""))
    for web in webs[:2]:
        web.kill()
        fleet.leave(web)
        callers.await_more()
    new = fleet.joined(2)
    for _ in range(6):
        client.skip(600)
        callers.await_more()
        client.skip(TIMEOUT)
    assert not client.events
    assert client.resolver.lookup(NAME).status == "stale"
    dns.down = False
    client.skip(TTL)  # retries come every half a minute
    client.await_events(
        ("recovered", ""),
        *(("removed", web.target) for web in webs[:2]),
        *(("added", web.target) for web in new),
    )
    callers.await_more()

    callers.end()
    for call in callers.failed:
        assert_lost_in_flight(call, webs[:2])
    assert (
        max(call.ended - call.began for call in callers.calls) < TIMEOUT / 2
    )  # none waits for DNS
    assert not client.events
    assert not {call.port for call in callers.calls[-THREADS:]} & {web.port for web in webs[:2]}
    assert_nothing_done_twice(fleet)


def test_a_broken_host_is_called_three_times_and_then_left_out(fleet: Fleet) -> None:
    """Then once whenever its time-out ends, which doubles; and as before once it is mended."""
    webs = fleet.joined(4)
    broken = webs[2]
    client = fleet.client()
    client.clock.stop()
    session = client.session()
    called: list[int] = []

    def call() -> None:
        for n in range(60):
            assert _call(session, "GET", f"/call-{n}").port
        called.append(len(broken.calls))

    broken.fault = "drop"
    with session:
        call()
        for seconds in (5.1, 5.0, 5.1, 15.0, 5.1):
            client.skip(seconds)
            call()
        assert called == [3, 4, 4, 5, 5, 6]
        assert client.resolver.failed == {broken.target: 6}

        broken.fault = ""
        client.skip(39.0)
        call()
        assert called[-1] == 6
        client.skip(1.1)
        call()
        assert called[-1] > 8
