"""A name server on loopback that says what the made-up network says, and counts questions."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import dns.message
import dns.query

from dnssd.sandbox.dns.server import DnsServer
from dnssd.wire.nameservers import NameServer
from kit.simnet import Query, Records, SimLoop, SimNetwork


class SimServer:
    """Answers by UDP and TCP.

    Args:
        records: Values by (name, type).
        additional: Whether SRV answers carry the addresses of their targets.
        ttl: Of all records, in seconds.

    Attributes:
        network: What it answers from, with its fault.
        asked: How often each (name, type) was asked.
        silent: Whether it says nothing at all.
    """

    def __init__(self, records: Records, *, additional: bool | str = False, ttl: int = 60) -> None:
        self.network = SimNetwork(SimLoop(), records, additional=additional, ttl=ttl)
        self.asked: Counter[tuple[str, str]] = Counter()
        self.silent = False
        self._server = DnsServer(self._respond)
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        self._server.start()
        # Its thread opens what it needs a little later: once it answers, all is open.
        dns.query.udp(dns.message.make_query(".", "A"), "127.0.0.1", 30, self._server.port)
        self.asked.clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()

    @property
    def nameserver(self) -> str:
        """Where it listens, as HOST:PORT."""
        return f"127.0.0.1:{self._server.port}"

    def wait_for(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until questions have made something true."""
        with self._changed:
            assert self._changed.wait_for(condition, seconds), "it was never asked that"

    def _respond(self, message: bytes, stream: bool) -> Sequence[bytes]:
        query = Query(message, NameServer("127.0.0.1", self._server.port), stream, 0, 0.0)
        with self._changed:
            self.asked[query.key] += 1
            self._changed.notify_all()
        query.answer = self.network.respond(query)
        packets = () if self.silent else self.network.fault(query)
        return [packet for _, packet in packets if isinstance(packet, bytes)]  # at once


class Clock:
    """The monotonic clock, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """What it reads, in seconds."""
        return time.monotonic() + self.ahead


class SlowClock:
    """A clock that goes so slowly that a busy machine makes nothing late."""

    def __call__(self) -> float:
        """What it reads, in seconds."""
        return time.monotonic() / 50
