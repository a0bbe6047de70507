"""The sandbox under load and under attack: it answers on, and its memory is bounded."""

import http.client
import random
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import dns.exception
import dns.message
import dns.query
import pytest

from dnssd.sandbox.api.exchange import Handler, Request, Response
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.server import Api
from dnssd.sandbox.sandbox import Sandbox
from kit.route53 import SIGNED, ZONES, ask, batch, rrset_path

PATIENCE = 60  # seconds until a test gives up; nothing waits that long
CLIENTS = 200  # at once
RRSETS = rrset_path("Z0000000000001")
SOA = dns.message.make_query("example.test.", "SOA").to_wire()


class Place(NamedTuple):
    """Where a sandbox listens."""

    api: tuple[str, int]
    dns: tuple[str, int]
    process: int = 0

    @classmethod
    def of(cls, sandbox: Sandbox) -> "Place":
        """That of a sandbox in this process."""
        return cls((sandbox.host, sandbox.api.port), (sandbox.host, sandbox.dns_port))

    @property
    def memory(self) -> float:
        """Megabytes that its process has."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024


@pytest.fixture
def separate() -> Iterator[Place]:
    """A sandbox in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "dnssd", "sandbox"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            lines = "".join(process.stdout.readline() for _ in range(3))
            api, _, dns_port = map(int, re.findall(r"127\.0\.0\.1:(\d+)", lines))
            yield Place(("127.0.0.1", api), ("127.0.0.1", dns_port), process.pid)
        finally:
            process.kill()


def _batch(hosts: Iterable[tuple[str, str]]) -> str:
    return batch(*(("CREATE", f"{label}.example.test", "A", address) for label, address in hosts))


def _address(number: int) -> str:
    return f"10.0.{number // 256}.{number % 256}"


def _framed(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message


def _asked_by_tcp(connection: socket.socket, message: bytes) -> dns.message.Message:
    connection.sendall(_framed(message))
    with connection.makefile("rb") as stream:
        return dns.message.from_wire(stream.read(*struct.unpack("!H", stream.read(2))))


def _asked_by_udp(place: Place, name: str) -> dns.message.Message:
    """As a client asks that knows that packets are lost."""
    query = dns.message.make_query(name, "A")
    for _ in range(PATIENCE):
        try:
            return dns.query.udp(query, place.dns[0], port=place.dns[1], timeout=1)
        except dns.exception.Timeout:
            continue
    raise AssertionError(f"no answer for {name}")


def _all_at_once(work: Callable[[int], object]) -> list[object]:
    """What `work` gives for each client, none of which begins before all are there."""
    start = threading.Barrier(CLIENTS)

    def run(number: int) -> object:
        start.wait(PATIENCE)
        return work(number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [future.result() for future in [pool.submit(run, n) for n in range(CLIENTS)]]


def _answers_on(place: Place) -> bool:
    """Whether API and DNS, by UDP and TCP, still do."""
    with socket.create_connection(place.dns, PATIENCE) as connection:
        by_tcp = _asked_by_tcp(connection, SOA).answer
    by_udp = _asked_by_udp(place, "example.test.").authority
    return bool(by_tcp and by_udp) and ask(place.api, "GET", ZONES)[0] == 200


def test_two_hundred_clients_change_a_zone_at_once(sandbox: Sandbox) -> None:
    """Each is answered, and its change is there."""
    place = Place.of(sandbox)

    def work(number: int) -> object:
        return ask(place.api, "POST", RRSETS, _batch([(f"h{number}", _address(number))]))[0]

    assert _all_at_once(work) == [200] * CLIENTS
    assert len(sandbox.zones.zone(sandbox.zone_id).rrsets) == CLIENTS + 2


def test_two_hundred_clients_ask_by_udp_at_once(sandbox: Sandbox) -> None:
    """Each gets the answer to its own question."""
    place = Place.of(sandbox)
    hosts = [(f"h{number}", _address(number)) for number in range(CLIENTS)]
    assert ask(place.api, "POST", RRSETS, _batch(hosts))[0] == 200

    def work(number: int) -> object:
        return [
            r.to_text() for a in _asked_by_udp(place, f"h{number}.example.test.").answer for r in a
        ]

    assert _all_at_once(work) == [[address] for _, address in hosts]


def test_two_hundred_clients_ask_by_tcp_at_once(sandbox: Sandbox) -> None:
    """All connected before the first asks, and asking twice."""
    place = Place.of(sandbox)
    with ExitStack() as connected:
        connections = [
            connected.enter_context(socket.create_connection(place.dns, PATIENCE))
            for _ in range(CLIENTS)
        ]
        for connection in (*connections, *connections):
            connection.sendall(_framed(SOA))
        for connection in connections:
            with connection.makefile("rb") as stream:
                for _ in range(2):
                    message = stream.read(*struct.unpack("!H", stream.read(2)))
                    assert dns.message.from_wire(message).answer


def test_ten_thousand_records_take_little_memory(separate: Place) -> None:
    """Less than 60 MB; they are listed, and served by DNS."""
    before = separate.memory
    numbers = list(range(9_990))
    random.Random(1).shuffle(numbers)
    for start in range(0, len(numbers), 999):
        hosts = [(f"h{number}", _address(number)) for number in numbers[start : start + 999]]
        assert ask(separate.api, "POST", RRSETS, _batch(hosts))[0] == 200

    (answer,) = _asked_by_udp(separate, "h9876.example.test.").answer
    assert answer[0].to_text() == _address(9876)
    assert ask(separate.api, "GET", ZONES)[1].count("<ResourceRecordSetCount>9992</") == 1
    assert len(set(_listed(separate))) == 9_992 - 1  # NS and SOA have one name
    assert separate.memory - before < 60


def _listed(place: Place) -> list[str]:
    """The names in all pages of a listing."""
    names, query = [], "?maxitems=300"
    while True:
        _, document = ask(place.api, "GET", RRSETS + query)
        names += re.findall("<Name>(.+?)</Name>", document)
        following = re.findall("<NextRecordName>(.+?)</NextRecordName>", document)
        if not following:
            return names
        query = f"?maxitems=300&name={following[0]}"


def test_a_hundred_thousand_packets_of_garbage_do_no_harm(separate: Place) -> None:
    """Nothing, noise, headers that promise too much, names in circles, answers."""
    rng = random.Random(1)
    loop = SOA[:12] + b"\xc0\x0c" + SOA[-4:]
    promising = SOA[:4] + b"\xff" * 8 + SOA[12:]
    answer = SOA[:2] + b"\x80" + SOA[3:]
    before = separate.memory
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(20_000):
            noise = rng.randbytes(rng.randrange(64))
            for packet in (noise, SOA[:2] + noise, loop, promising, answer):
                sender.sendto(packet, separate.dns)
        assert _answers_on(separate)
    assert separate.memory - before < 10


@contextmanager
def _half_open(address: tuple[str, int], said: bytes, count: int) -> Iterator[None]:
    """Connections whose clients say the beginning of something, and then nothing more."""
    with ExitStack() as connected:
        for _ in range(count):
            connection = connected.enter_context(socket.create_connection(address, PATIENCE))
            connection.sendall(said)
        yield


@pytest.mark.parametrize(
    "said", [b"", b"POST / HTT", b"POST / HTTP/1.1\r\nContent-Length: 900000\r\n\r\nx"]
)
def test_half_open_connections_keep_nobody_waiting(separate: Place, said: bytes) -> None:
    """More of them than the API and the DNS server hold, and memory is bounded."""
    before = separate.memory
    with _half_open(separate.api, said, 600), _half_open(separate.dns, said, 300):
        assert _answers_on(separate)
        assert separate.memory - before < 60
        assert len(list(Path(f"/proc/{separate.process}/task").iterdir())) < 600
    assert _answers_on(separate)


def _until_waiting(api: Api, *connections: socket.socket) -> None:
    """Return when exactly these wait for a request in the eyes of the server, in this order."""
    expected = [connection.getsockname() for connection in connections]
    for _ in range(PATIENCE * 1000):
        if [connection.getpeername() for connection in [*api._waiting]] == expected:
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"never waiting in this order: {expected}")


def test_the_connection_that_waited_longest_makes_room() -> None:
    """One that has just been answered is kept before one that never asked."""
    with Api(HostedZones(), max_connections=2) as api, ExitStack() as connected:
        address = (api.host, api.port)
        used = http.client.HTTPConnection(*address, timeout=PATIENCE)
        connected.callback(used.close)
        used.connect()
        _until_waiting(api, used.sock)
        silent = connected.enter_context(socket.create_connection(address, PATIENCE))
        _until_waiting(api, used.sock, silent)
        used.request("GET", "/")
        used.getresponse().read()
        _until_waiting(api, silent, used.sock)

        third = connected.enter_context(socket.create_connection(address, PATIENCE))

        assert silent.recv(1) == b""
        _until_waiting(api, used.sock, third)
        used.request("GET", "/")
        assert used.getresponse().read()


def test_requests_in_work_are_not_ended_for_others() -> None:
    """If all connections are at work, a newcomer is told to come again."""
    entered, release = threading.Semaphore(0), threading.Event()

    def wrap(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            entered.release()
            release.wait(PATIENCE)
            return handler(request)

        return handle

    with Api(HostedZones(), wrap=wrap, max_connections=2) as api, ExitStack() as connected:
        working = [http.client.HTTPConnection(api.host, api.port, timeout=PATIENCE) for _ in "ab"]
        for connection in working:
            connected.callback(connection.close)
            connection.request("GET", ZONES, headers=SIGNED)
            assert entered.acquire(timeout=PATIENCE)
        with socket.create_connection((api.host, api.port), PATIENCE) as newcomer:
            assert newcomer.recv(100).startswith(b"HTTP/1.1 503 ")
        release.set()
        assert [connection.getresponse().status for connection in working] == [200, 200]


BOMBS = {
    "entities": b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b"<ChangeResourceRecordSetsRequest>&b;</ChangeResourceRecordSetsRequest>",
    "depth": b"<a>" * 300_000,
    "elements": b"<ChangeResourceRecordSetsRequest>" + b"<a/>" * 240_000,
    "attributes": b"<ChangeResourceRecordSetsRequest "
    + b" ".join(b'a%d="x"' % number for number in range(70_000))
    + b"/>",
    "text": b"<ChangeResourceRecordSetsRequest>" + b"x" * 990_000,
}


def test_bombs_are_refused_by_the_dozen(separate: Place) -> None:
    """Ten at a time, each of up to a megabyte; what is larger is not even read to its end."""
    before = separate.memory
    with ThreadPoolExecutor(10) as pool:
        for name, bomb in BOMBS.items():
            asked = [pool.submit(ask, separate.api, "POST", RRSETS, bomb) for _ in range(10)]
            for future in asked:
                assert future.result()[0] == 400, name
        large = [
            pool.submit(ask, separate.api, "POST", RRSETS, b"x" * 1_500_000) for _ in range(10)
        ]
        assert [future.result()[0] for future in large] == [413] * 10
    assert _answers_on(separate)
    assert separate.memory - before < 100


@pytest.mark.parametrize(("length", "status"), [(256, 200), (257, 400)])
def test_comments_do_not_fill_the_memory(sandbox: Sandbox, length: int, status: int) -> None:
    """They are remembered with their changes, so they are as short as at Route 53."""
    batch = _batch([("a", "10.0.0.1")])
    commented = batch.replace("<Changes>", f"<Comment>{'x' * length}</Comment><Changes>")

    answered, document = ask(Place.of(sandbox).api, "POST", RRSETS, commented)

    assert (answered, "changeBatch.comment" in document) == (status, status == 400)


def test_headers_without_end_are_refused(sandbox: Sandbox) -> None:
    """Too many, too long, or made to be slow to search."""
    place = Place.of(sandbox)
    slow = "AWS4-HMAC-SHA256 " + "Credential=" * 5900
    for headers in (
        {f"h{n}": "x" for n in range(101)},
        {"a": "x" * 70_000},
        {"Authorization": slow},
    ):
        with closing(http.client.HTTPConnection(*place.api, timeout=PATIENCE)) as connection:
            connection.request("GET", ZONES, headers=headers)
            assert 400 <= connection.getresponse().status < 500
    assert _answers_on(place)
