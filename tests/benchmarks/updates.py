"""Joins into BIND by signed updates, beside nsupdate fed by a pipe."""

import multiprocessing
import subprocess
import time
from collections.abc import Iterator, Sequence
from multiprocessing.synchronize import Barrier

from tables import Rates, rates, show

from dnssd import Registration, join, open_zone
from dnssd.deadline import Deadline
from dnssd.members import Member, parse_time
from dnssd.names import Name
from dnssd.records import Address, Srv, Txt
from dnssd.rrsets import Change, RRset
from kit.primaries import ORIGIN, Primary, bind

ROUNDS = 5
SECONDS = 2.0  # for each work in a round
HOSTS = 90  # of one instance, which holds 100
PROCESSES = (1, 10, 100)


def updates() -> None:
    """One process: updates alone, and whole joins; then many processes at once."""
    with bind() as primary:
        rows = _one_process(primary)
        show("Joins into BIND, one process", ("what", "a second", "to nsupdate's"), rows)
        rows = [(number, *_at_once(primary, number)) for number in PROCESSES]
        heading = ("processes that join at once", "all joined after", "values lost")
        show("Joins into BIND at once", heading, rows)


def _one_process(primary: Primary) -> list[Sequence[object]]:
    zone = open_zone(primary.zone_address)
    nsupdate = _Nsupdate(primary)
    hosts = (f"h{number}" for number in range(10**9))

    def update(number: int) -> None:
        for host in _some(hosts, number):
            zone.commit(_changes(host), Deadline(60))

    def whole(number: int) -> None:
        for host in _some(hosts, number):
            at = int(host[1:])
            join(zone, _registration(host, f"i{at // HOSTS}"))

    timed = rates(
        ROUNDS, SECONDS, (lambda number: nsupdate.run(_some(hosts, number)), update, whole)
    )
    _, alone, joins = timed
    before = zone.requests
    join(zone, _registration("last", "trips"))
    trips = zone.requests - before
    nsupdate.close()

    def row(what: str, measured: Rates) -> tuple[object, ...]:
        return what, measured.text(), measured.over(timed[0]).text(2)

    return [
        row("nsupdate, one update for a join's records", timed[0]),
        row("dnssd, the same update", alone),
        row(f"dnssd.join, {trips} round trips", joins),
    ]


class _Nsupdate:
    """nsupdate with a pipe to it: one update for the records of a join."""

    def __init__(self, primary: Primary) -> None:
        self._process = subprocess.Popen(
            ["nsupdate", "-v", "-k", str(primary.key_file)],  # noqa: S607 (wherever it is)
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._tell(f"server {primary.host} {primary.port}", f"zone {ORIGIN}")

    def run(self, hosts: Iterator[str]) -> None:
        """Send an update for each host, and wait for the last answer."""
        for host in hosts:
            changes = _changes(host)
            added = [(change.after, change.shared) for change in changes if change.after]
            self._tell(
                *(
                    f"prereq nxrrset {r.name.master()} {r.rdtype}"
                    for r, other in added
                    if not other
                ),
                *(
                    f"update add {r.name.master()} {r.ttl} {r.rdtype} {value.format()}"
                    for r, _ in added
                    for value in r.values
                ),
                "send",
            )
        self._tell("show")  # answered once all is sent
        assert self._process.stdout is not None
        while self._process.stdout.readline().strip() != "Outgoing update query:":
            pass

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, *lines: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n".join((*lines, "")))
        self._process.stdin.flush()


def _at_once(primary: Primary, number: int) -> tuple[str, int]:
    instance = f"at-once-{number}"
    context = multiprocessing.get_context("fork")
    start = context.Barrier(number + 1)
    processes = [
        context.Process(target=_join_at, args=(start, primary.zone_address, f"p{n}", instance))
        for n in range(number)
    ]
    for process in processes:
        process.start()
    start.wait()
    begin = time.perf_counter()
    for process in processes:
        process.join()
    took = time.perf_counter() - begin
    name = Name.parse(ORIGIN).child(instance.encode(), b"_http", b"_tcp")
    found = open_zone(primary.zone_address).read(name, "SRV", Deadline(60))
    return f"{took:.2f} s", number - (len(found.values) if found else 0)


def _join_at(start: Barrier, address: str, host: str, instance: str) -> None:
    zone = open_zone(address)
    start.wait()
    join(zone, _registration(host, instance))


def _some(hosts: Iterator[str], number: int) -> Iterator[str]:
    return (next(hosts) for _ in range(number))


def _registration(host: str, instance: str) -> Registration:
    return Registration(
        service="http", instance=instance, port=80, host=host, addresses=["10.0.0.1"]
    )


def _changes(host: str) -> list[Change]:
    """What a join adds to an instance; one of its own, so that no RRset fills up."""
    origin = Name.parse(ORIGIN)
    name, target = origin.child(f"u{host}".encode(), b"_http", b"_tcp"), origin.child(host.encode())
    srv = Srv(0, 100, 80, target)
    since = parse_time("2026-11-21T01:00:00Z")
    label = f"{host}-80"
    member = Member(label, srv, (Address.parse("10.0.0.1"),), f"name/{host}", since, "k3f9")
    record = name.child(label.encode())
    used = Txt((b"dnssd=1", b"owner=name/" + host.encode(), b"used=" + label.encode()))
    return [
        Change(None, RRset(record, "TXT", 60, (member.to_txt(),))),
        Change(None, RRset(target, "TXT", 60, (used,))),
        Change(None, RRset(target, "A", 60, (Address.parse("10.0.0.1"),))),
        Change(None, RRset(name, "SRV", 60, (srv,)), shared=True),
    ]
