"""What a resolver costs once it knows a service, beside its peers."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import dns.resolver
import dns.rrset
from tables import Rates, rates, show

from dnssd import Endpoint, Resolver
from kit.servers import Host, Server, Zone, knot, service

ROUNDS = 7
DOMAIN = "example.test"
SIZES = (3, 200)
NAMES = 1000  # of the measurement of memory, with ten endpoints each


def picks() -> None:
    """Cached `pick` and `order`, with 3 and 200 endpoints."""
    rows: list[tuple[object, ...]] = []
    with served(_sized_zone()) as server, Resolver([_address(server)]) as resolver:
        peer = dns.resolver.Resolver(configure=False)
        peer.nameservers, peer.port = ["127.0.0.1"], server.port
        peer.cache = dns.resolver.LRUCache()
        for size in SIZES:
            rows += _picks(resolver, peer, size)
    show("Warm", ("work", "a second", "peer", "a second", "ratio"), rows)


def _picks(
    resolver: Resolver, peer: dns.resolver.Resolver, size: int
) -> Iterator[tuple[object, ...]]:
    name = f"s{size}._http._tcp.{DOMAIN}"
    endpoints = resolver.lookup(name).endpoints
    works = [*_ours(resolver, name), *_theirs(peer, name, endpoints)]
    picked, arranged, chosen, resolved, processed = rates(ROUNDS, 0.3, works)
    peers = {
        f"pick, {size} endpoints": [
            (picked, "random.choices(weights)", chosen),
            (picked, "dnspython, cached resolve and processing_order", resolved),
        ],
        f"order, {size} endpoints": [(arranged, "dnspython, processing_order alone", processed)],
    }
    for work, pairs in peers.items():
        for ours, text, theirs in pairs:
            ratio = ours.over(theirs).text(1)
            yield work, ours.text(), text, theirs.text(), ratio


def _ours(resolver: Resolver, name: str) -> Iterator[Callable[[int], None]]:
    """To pick and to order, so many times."""

    def pick(number: int) -> None:
        for _ in repeat(None, number):
            resolver.pick(name)

    def order(number: int) -> None:
        for _ in repeat(None, number):
            resolver.order(name)

    yield from (pick, order)


def _theirs(
    peer: dns.resolver.Resolver, name: str, endpoints: Sequence[Endpoint]
) -> Iterator[Callable[[int], None]]:
    """What comes closest elsewhere: to choose, to resolve and order, to order alone."""
    ordered: Callable[[Any], Any] = dns.rrset.RRset.processing_order
    weights = [endpoint.weight for endpoint in endpoints]
    rrset = peer.resolve(name, "SRV").rrset

    def choices(number: int) -> None:
        for _ in repeat(None, number):
            random.choices(endpoints, weights)

    def cached(number: int) -> None:
        for _ in repeat(None, number):
            ordered(peer.resolve(name, "SRV").rrset)[0]

    def processing_order(number: int) -> None:
        for _ in repeat(None, number):
            ordered(rrset)

    yield from (choices, cached, processing_order)


def threads() -> None:
    """Eight threads that pick while refreshes run, and one."""
    totals: dict[int, list[float]] = {1: [], 8: []}
    zone = _zone([(f"r{at}", 3) for at in range(50)], ttl=1)
    with served(zone) as server, Resolver([_address(server)]) as resolver:
        names = [f"r{at}._http._tcp.{DOMAIN}" for at in range(50)]
        for name in names:
            resolver.pick(name)
        for _ in range(ROUNDS):
            for number in totals:
                totals[number].append(_picked_by(number, resolver, names))
    one, eight = Rates(tuple(totals[1])), Rates(tuple(totals[8]))
    rows = [(eight.text(), one.text(), eight.over(one).text(2))]
    title = "Picks of 50 names a second, each refreshed every 0.75 s"
    show(title, ("8 threads together", "1 thread", "ratio"), rows)


def _picked_by(number: int, resolver: Resolver, names: list[str], seconds: float = 1.0) -> float:
    """Picks a second of so many threads together."""
    counts = [0] * number
    end = time.perf_counter() + seconds

    def work(at: int) -> None:
        done = 0
        while time.perf_counter() < end:
            for name in names:
                resolver.pick(name)
            done += len(names)
        counts[at] = done

    running = [threading.Thread(target=work, args=(at,)) for at in range(number)]
    begin = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(counts) / (time.perf_counter() - begin)


_MEASURE = """
import sys
from dnssd import Resolver
from dnssd.errors import NotFound

def resident():
    import gc
    gc.collect()
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

address, number = sys.argv[1], int(sys.argv[2])
with Resolver([address]) as resolver:
    try:
        resolver.lookup("nothing._http._tcp.example.test")
    except NotFound:
        pass
    empty = resident()
    for at in range(number):
        resolver.pick(f"m{at}._http._tcp.example.test")
    print(resident() - empty)
"""


def memory() -> None:
    """What 1,000 names with ten endpoints each take."""
    zone = _zone([(f"m{at}", 10) for at in range(NAMES)])
    measured = []
    with served(zone) as server:
        for _ in range(3):
            command = [sys.executable, "-c", _MEASURE, _address(server), str(NAMES)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            measured.append(float(out))
    rows = [(f"{NAMES:,} names with 10 endpoints", Rates(tuple(measured)).text(1, " MB"))]
    show("Memory over that of an empty resolver", ("what", "measured"), rows)


def _sized_zone() -> Zone:
    return _zone([(f"s{size}", size) for size in SIZES])


def _zone(services: list[tuple[str, int]], ttl: int = 60) -> Zone:
    hosts = [Host(f"h{at}", (f"10.0.0.{at + 1}",), weight=at + 1) for at in range(200)]
    used = hosts[: max(size for _, size in services)]
    records = [record for host in used for record in host.records]
    for name, size in services:
        records += service(name, "_http._tcp", used[:size], '"version=1"')
    return Zone(tuple(records), ttl=ttl)


@contextmanager
def served(zone: Zone) -> Iterator[Server]:
    """Knot, with a zone."""
    with knot(zone) as server:
        yield server


def _address(server: Server) -> str:
    return f"127.0.0.1:{server.port}"
