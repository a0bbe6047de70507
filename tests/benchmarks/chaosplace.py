"""Where agents' stories take place: a zone at the sandbox or at BIND, watched at each change."""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.query

from dnssd.names import Name
from dnssd.sandbox.api.hostedzones import HostedZone
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.faults.injected import Dice, inject
from dnssd.sandbox.sandbox import Sandbox, lead_into
from kit.primaries import Primary, bind

NAME = "web._http._tcp.example.test."
FOREIGN = "0 1 8080 elsewhere.example.test."
LOG = 100_000  # states of the zone
POLL = 0.03  # seconds

Values = frozenset[str]


@dataclass
class Place:
    """A zone that is watched until the end.

    Attributes:
        kind: Which server has it.
        environ: For the processes that take part.
        new_states: The SRV values after each change since the last call, or as they are now.
        remake: Deletes the zone and makes it anew.
        seen: When which ports were in DNS, the newest last.
        wrong: What no state may be.
    """

    kind: str
    environ: Mapping[str, str]
    new_states: Callable[[], list[Values]]
    remake: Callable[[], None]
    seen: list[tuple[float, frozenset[int]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    has_foreign: bool = True

    @property
    def ports(self) -> frozenset[int]:
        """Those in DNS."""
        return self.seen[-1][1] if self.seen else frozenset()

    def look(self) -> None:
        """Take note of what has changed."""
        for values in self.new_states():
            ports = frozenset(int(v.split()[2]) for v in values if v != FOREIGN)
            if FOREIGN not in values and self.has_foreign:
                self.wrong.append(f"{self.kind}: the foreign value is gone")
                self.has_foreign = False
            if not self.seen or self.seen[-1][1] != ports:
                self.seen.append((time.monotonic(), ports))

    def gaps(self, port: int, since: float, until: float) -> int:
        """In how many states of a time a port was not in DNS."""
        times = [at for at, _ in self.seen[1:]] + [float("inf")]
        spans = zip(self.seen, times, strict=True)
        return sum(port not in ports for (at, ports), end in spans if at < until and end > since)


@contextmanager
def at_sandbox(dice: Dice | None = None) -> Iterator[Place]:
    """At Route 53, as the sandbox plays it; its answers are broken as dice say."""
    wraps = [inject(dice, time.sleep)] if dice else []
    with Sandbox(wraps=wraps, max_log=LOG) as sandbox:
        told = [0]

        def foreign() -> None:
            rrset = HostedRRset(Name.parse(NAME), "SRV", 60, (FOREIGN,))
            sandbox.zones.change(sandbox.zones.zones()[0].id, [Edit(Action.CREATE, rrset)])

        def new_states() -> list[Values]:
            log = sandbox.zones.log()[told[0] :]
            told[0] += len(log)
            return [_values(zone) for zone in log]

        def remake() -> None:
            (zone,) = sandbox.zones.zones()
            edits = [Edit(Action.DELETE, r) for r in zone.rrsets if r.rdtype not in ("SOA", "NS")]
            sandbox.zones.change(zone.id, edits)
            sandbox.zones.delete_zone(zone.id)
            sandbox.zones.create_zone(zone.origin, caller_reference="again")

        foreign()
        environ = lead_into(sandbox.environment(), os.environ)
        yield from _watched(Place("sandbox", environ, new_states, remake))


@contextmanager
def at_bind() -> Iterator[Place]:
    """At BIND, by signed updates."""
    srv = f"{NAME} SRV {FOREIGN}"
    with bind(records=[srv]) as primary, tempfile.TemporaryDirectory() as state:
        environ = {
            **os.environ,
            "DNSSD_ZONE": primary.zone_address,
            "DNSSD_NAMESERVER": f"{primary.host}:{primary.port}",
            "DNSSD_STATE": state,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        place = Place("BIND", environ, lambda: _asked(primary), primary.clear)
        yield from _watched(place)


def _watched(place: Place) -> Iterator[Place]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL):
            place.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield place
    finally:
        ended.set()
        thread.join()


def _values(zone: HostedZone) -> Values:
    found = (r.texts for r in zone.rrsets if r.rdtype == "SRV" and str(r.name) == NAME)
    return frozenset(next(found, ()))


def _asked(primary: Primary) -> list[Values]:
    query = dns.message.make_query(NAME, "SRV")
    try:
        answer = dns.query.tcp(query, primary.host, port=primary.port, timeout=5).answer
    except (OSError, EOFError, dns.exception.DNSException):
        return []
    return [frozenset(rdata.to_text() for rrset in answer for rdata in rrset)]
