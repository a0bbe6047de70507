"""From endpoints to a connection: the loop that carries out what `Race` decides."""

import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from errno import EINPROGRESS
from functools import lru_cache
from math import inf
from types import ModuleType
from typing import TYPE_CHECKING, Union, cast
from urllib.parse import quote

from dnssd.errors import UsageError
from dnssd.names import shown
from dnssd.resolver.race import DELAY, Attempt, Race, Report, attempts, limited
from dnssd.resolver.snapshot import Endpoint
from dnssd.wire.loop import sockets_at_hand

if TYPE_CHECKING:
    from ssl import SSLContext

    from dnssd.resolver.handshakes import EndpointTlsSocket

POLL = 0.02  # seconds from one look for further addresses to the next


class EndpointSocket(socket.socket):
    """A connection to an endpoint.

    Attributes:
        endpoint: Which one it leads to.
    """

    endpoint: Endpoint


Connected = Union[EndpointSocket, "EndpointTlsSocket"]
Further = Callable[[Callable[[Iterable[Endpoint]], object]], object]


def connect(
    endpoints: Iterable[Endpoint],
    timeout: float | None,
    *,
    report: Report,
    ssl: "SSLContext | None" = None,
    monotonic: Callable[[], float] = time.monotonic,
    delay: float = DELAY,
    prepare: Callable[[socket.socket], object] = bool,
    further: Further | None = None,
) -> Connected:
    """Connect to the first endpoint that answers, in the order given.

    With TLS an endpoint has answered when the handshake is done.

    Args:
        endpoints: Whom to try.
        timeout: Seconds for all attempts together; None for no limit. As with
            `socket.create_connection` the socket keeps it for what it does later.
        report: As for `Race`.
        ssl: Speak TLS, and check the certificate against the endpoint's target.
        monotonic: The clock, in seconds.
        delay: Seconds from one attempt to the next.
        prepare: Gets each socket before it connects, to set its options.
        further: Has further addresses asked for, without waiting; calls what it gets, in
            whatever thread, with endpoints that have them. Called when all else was tried.

    Raises:
        Unavailable: Nobody has answered (`DeadlineExceeded`: in time).
        UsageError: No time-out, or no context for TLS.
    """
    if ssl is not None and not hasattr(ssl, "wrap_bio"):
        raise UsageError(f"ssl {shown(repr(ssl))}: no TLS context; give an ssl.SSLContext")
    timeout = limited(timeout)
    can_grow = further is not None
    race = Race(attempts(endpoints), monotonic(), timeout, report, delay, can_grow=can_grow)
    with sockets_at_hand(), selectors.DefaultSelector() as selector:
        try:
            sock = _Connecting(race, selector, ssl, prepare, further).run(monotonic)
        finally:
            for key in selector.get_map().values():
                _socket_of(key).close()
    sock.settimeout(timeout)
    return sock


@lru_cache(maxsize=1024)
def host_name(target: str) -> str:
    """The host name of a target in URLs, in the Host header and in certificates.

    That is the target without its last dot. It may hold any byte, and none may end a host
    name or a header: what belongs into neither is percent-encoded.
    """
    return quote(target.removesuffix("."), safe="")


def family_of(attempt: Attempt) -> socket.AddressFamily:
    """The family of its address."""
    return socket.AF_INET6 if ":" in attempt.address else socket.AF_INET


@dataclass(frozen=True, slots=True)
class _Connecting:
    """Attempts under way; those still in `selector` have not ended."""

    race: Race
    selector: selectors.BaseSelector
    context: "SSLContext | None"
    prepare: Callable[[socket.socket], object]
    further: Further | None
    _told: list[Iterable[Endpoint]] = field(default_factory=list)

    def run(self, monotonic: Callable[[], float]) -> Connected:
        """The first socket that has connected."""
        race = self.race
        while not race.is_over(now := monotonic()):
            if attempt := race.start(now):
                try:
                    self._begin(attempt)
                except OSError as error:
                    race.fail(attempt, error, now)
                continue
            for key, _ in self.selector.select(self._patience(now)):
                try:
                    sock = self._advance(_socket_of(key), key.data)
                except (OSError, UnicodeError) as error:
                    race.fail(key.data, error, monotonic())
                    continue
                if sock:
                    race.succeed(key.data, monotonic())
                    return sock
        raise race.expire(monotonic())

    def _patience(self, now: float) -> float | None:
        """Seconds to wait for the sockets; None for ever.

        While further addresses are asked for, it is looked for them now and then: that is rare,
        and what could wake a selector would cost two more sockets.
        """
        if self.further and self.race.lacks(now):
            self.further(self._told.append)
        if self._told:
            self.race.extend(self._told.pop())
            return 0
        wait = self.race.wait(now)
        return min(POLL, inf if wait is None else wait) if self.race.is_growing(now) else wait

    def _begin(self, attempt: Attempt) -> None:
        """Have another socket connect."""
        sock = EndpointSocket(family_of(attempt), socket.SOCK_STREAM)
        try:
            sock.endpoint = attempt.endpoint
            sock.setblocking(False)
            self.prepare(sock)
            code = sock.connect_ex((attempt.address, attempt.port))
            if code not in (0, EINPROGRESS):
                raise system_error(code)
            self.selector.register(sock, selectors.EVENT_WRITE, attempt)
        except BaseException:
            sock.close()
            raise

    def _advance(self, sock: Connected, attempt: Attempt) -> Connected | None:
        """Take the next step of a connection; the socket when it was the last.

        Raises:
            OSError, UnicodeError: It has failed, and is closed.
        """
        self.selector.unregister(sock)
        try:
            if isinstance(sock, EndpointSocket):
                if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raise system_error(code)
                if self.context is None:
                    return sock
                sock = _handshakes().begin(self.context, sock)
            if awaited := _handshakes().advance(sock):
                self.selector.register(sock, awaited, attempt)
                return None
        except BaseException:
            sock.close()
            raise
        return sock


def _handshakes() -> ModuleType:
    """The module that loads `ssl`, which few programs need."""
    from dnssd.resolver import handshakes

    return handshakes


def _socket_of(key: selectors.SelectorKey) -> Connected:
    return cast("Connected", key.fileobj)  # nothing else is registered


def system_error(code: int) -> OSError:
    """What the system says of an error number."""
    return OSError(code, os.strerror(code))
