"""What a registry costs: record sets, requests, minutes, DNS questions and dollars.

A join, a leave and a look-up are measured against the sandbox; the rest is arithmetic with
Route 53's public limits and prices.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from tables import show

from dnssd import Registration, Resolver, join, leave, open_zone
from dnssd.deadline import Deadline
from dnssd.sandbox.sandbox import Sandbox

HOSTS = 20  # of each service
SERVICES = (1, 30, 300)
CLIENTS = 20  # programs that look each service up
TTL = 60  # seconds
REFRESH = 0.75 * TTL  # seconds between a client's refreshes
ZONE_LIMIT = 10_000  # record sets in a hosted zone
RATE = 10  # requests a second, for all tools of an account
MONTH = 30 * 24 * 3600  # seconds
ZONE_PRICE = 0.50  # dollars a month for a hosted zone
QUESTION_PRICE = 0.40 / 1e6  # dollars a question


def capacity() -> None:
    """Measure one service of 20 hosts, and tell what 1, 30 and 300 of them need."""
    with Sandbox() as sandbox, _environment(sandbox):
        measured = _Measured()
    rows = []
    for services in SERVICES:
        sets = measured.fixed + services * measured.sets
        requests = services * HOSTS * (measured.join_requests + measured.leave_requests)
        changes = services * HOSTS * (measured.join_changes + measured.leave_changes)
        questions = services * CLIENTS * measured.questions * MONTH / REFRESH
        shared = services * measured.questions * MONTH / TTL
        agents = services * HOSTS * MONTH / TTL
        zones = -(-sets // ZONE_LIMIT)
        rows.append(
            (
                f"{services:,}",
                f"{sets:,} ({sets / ZONE_LIMIT:.0%})",
                f"{requests:,}",
                f"{changes:,}",
                f"{requests / RATE / 60:.1f} min",
                f"{_month(questions, zones)}",
                f"{_month(shared, zones)}",
                f"{_month(shared + agents, zones)}",
            )
        )
    show(
        f"Services of {HOSTS} hosts, each looked up by {CLIENTS} programs",
        (
            "services",
            f"record sets (of {ZONE_LIMIT:,})",
            "requests of a rolling deployment",
            "record changes",
            f"at {RATE}/s",
            "a month, each program asks Route 53",
            "a month, behind a caching resolver",
            "the same, with agents",
        ),
        rows,
    )
    most = (ZONE_LIMIT - measured.fixed) // measured.sets
    print(
        f"A join takes {measured.join_requests} requests and {measured.join_changes} record "
        f"changes, a leave {measured.leave_requests} and {measured.leave_changes}, a look-up "
        f"{measured.questions} questions. A zone holds {most} such services.\n"
    )


def _month(questions: float, zones: int) -> str:
    """The questions and dollars of a month."""
    dollars = zones * ZONE_PRICE + questions * QUESTION_PRICE
    return f"{questions / 1e6:,.0f} million, ${dollars:,.2f}"


class _Measured:
    """One service of 20 hosts, as the sandbox sees it."""

    def __init__(self) -> None:
        zone = open_zone("example.test")
        sent = [0, 0]  # requests, and changes in them
        commit = zone.commit

        def counting(changes, *arguments, **options):  # type: ignore[no-untyped-def] # as commit
            sent[1] += sum((c.before is not None) + (c.after is not None) for c in changes)
            return commit(changes, *arguments, **options)

        zone.commit = counting  # type: ignore[method-assign] # counts, and does the same
        before = _sets(zone)
        for number in range(HOSTS):
            sent[1] = 0
            outcome = join(zone, _host(number))
            self.join_requests, self.join_changes = outcome.requests, sent[1]
        self.fixed = before + 1  # the list of services
        self.sets = _sets(zone) - self.fixed
        with _counted(os.environ["DNSSD_NAMESERVER"]) as (nameserver, questions):
            with Resolver([nameserver]) as resolver:
                resolver.lookup("web._http._tcp.example.test")
            self.questions = questions[0]
        sent[1] = 0
        outcome = leave(zone, _host(0))
        self.leave_requests, self.leave_changes = outcome.requests, sent[1]


def _host(number: int) -> Registration:
    return Registration(
        service="http",
        instance="web",
        port=8080,
        host=f"i-{number:017x}",
        addresses=[f"10.0.0.{number + 1}"],
        owner=f"ec2/123456789012/us-west-2/i-{number:017x}",
    )


def _sets(zone) -> int:  # type: ignore[no-untyped-def] # whatever open_zone gives
    return len(zone.read_below(zone.origin, Deadline(60)))


@contextmanager
def _environment(sandbox: Sandbox) -> Iterator[None]:
    """The environment of the sandbox's clients, as long as the block runs."""
    before = os.environ.copy()
    os.environ.update(sandbox.environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _counted(nameserver: str) -> Iterator[tuple[str, list[int]]]:
    """A relay to a name server, and how many questions have passed it."""
    host, port = nameserver.rsplit(":", 1)
    count = [0]
    with (
        socket.socket(type=socket.SOCK_DGRAM) as front,
        socket.socket(type=socket.SOCK_DGRAM) as back,
    ):
        front.bind(("127.0.0.1", 0))
        back.connect((host, int(port)))

        def relay() -> None:
            while True:
                question, client = front.recvfrom(65535)
                if not question:
                    return
                count[0] += 1
                back.send(question)
                front.sendto(back.recv(65535), client)

        thread = Thread(target=relay, daemon=True)
        thread.start()
        try:
            yield "{}:{}".format(*front.getsockname()), count
        finally:
            front.sendto(b"", front.getsockname())
            thread.join()
