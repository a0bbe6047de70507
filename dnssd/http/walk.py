"""Which endpoints of a service one call is tried at, in turn; every try is reported once.

    for attempt in walk:
        with attempt as endpoint:
            return call(endpoint)
    raise Failed(walk.told) from walk.error

An exception that is the endpoint's doing leads to the next one; any other passes. With a
resolver for asyncio it is `async for`. Iterating again goes on with those not tried yet, and
with a new pick after the last.
"""

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from dnssd.errors import DnssdError
from dnssd.names import shown
from dnssd.resolver.connecting import host_name
from dnssd.resolver.race import SHOWN
from dnssd.resolver.snapshot import Endpoint

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})  # RFC 9110 9.2.2
ATTEMPTS = 3  # endpoints that one call may be sent to, where nobody says how many


class Report(Protocol):
    """Hears how a call to an endpoint went (see `Resolver.report`)."""

    def __call__(
        self,
        endpoint: Endpoint,
        ok: bool | None,
        seconds: float | None = None,
        *,
        picked: bool = True,
    ) -> None:
        """Note it."""


class Chooser(Protocol):
    """What is asked of a resolver; `dnssd.Resolver` is one."""

    def pick(self, name: str) -> Endpoint:
        """Whom to ask first."""

    def order(self, name: str) -> tuple[Endpoint, ...]:
        """Everybody, in the order in which to try them."""

    @property
    def report(self) -> Report:
        """Hears how a call to an endpoint went."""


class AsyncChooser(Protocol):
    """The same for asyncio; `dnssd.AsyncResolver` is one."""

    async def pick(self, name: str) -> Endpoint:
        """Whom to ask first."""

    async def order(self, name: str) -> tuple[Endpoint, ...]:
        """Everybody, in the order in which to try them."""

    @property
    def report(self) -> Report:
        """Hears how a call to an endpoint went."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an exception says about an endpoint.

    Attributes:
        why: What has failed, in a few words.
        refused: It refused the connection. That costs no time, and does not count: of a
            service whose hosts are all being replaced the last one may be the only one alive.
        repeat: Whether the call may be sent to another endpoint.
    """

    why: str
    refused: bool = False
    repeat: bool = True


def root_of(error: object) -> object:
    """What the system met, at the end of a chain of causes."""
    while cause := getattr(error, "__cause__", None):
        error = cause
    return error


Judge = Callable[[Exception], Verdict | None]  # None: it is not the endpoint's doing
_Asks = Callable[[str], Any]


class Walk:
    """The endpoints that one call is tried at.

    Attributes:
        error: What the last try met.

    Args:
        chooser: Knows the endpoints and hears of each try.
        name: The service.
        judge: Says what an exception means.
        translate: Makes of what the resolver raises what the caller's library would.
        attempts: How many endpoints are tried without a pause; one that refuses the
            connection does not count.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        chooser: Chooser | AsyncChooser,
        name: str,
        *,
        judge: Judge,
        translate: Callable[[DnssdError], Exception],
        attempts: int,
        monotonic: Callable[[], float],
    ) -> None:
        self.error: Exception | None = None
        self._chooser = chooser
        self._name = name
        self._judge = judge
        self._translate = translate
        self._attempts = attempts
        self._monotonic = monotonic
        self._failed: list[str] = []
        self._candidates = self._all()
        self._left = 0
        self._tried_any = False

    def __iter__(self) -> Iterator["Try"]:
        self._left, self._tried_any = self._attempts, False
        return self

    def __next__(self) -> "Try":
        said = None
        while (step := self._step(said)) and not isinstance(step, Try):
            try:
                said = step(self._name)
            except DnssdError as error:
                said = error
        if step is None:
            raise StopIteration
        return step

    # No asynchronous generator: a loop would have to be woken to close each that is left early.
    def __aiter__(self) -> AsyncIterator["Try"]:
        self._left, self._tried_any = self._attempts, False
        return self

    async def __anext__(self) -> "Try":
        said = None
        while (step := self._step(said)) and not isinstance(step, Try):
            try:
                said = await step(self._name)
            except DnssdError as error:
                said = error
        if step is None:
            raise StopAsyncIteration
        return step

    @property
    def told(self) -> str:
        """Who failed last, and how, as the text of an error."""
        told = ", ".join(self._failed[-SHOWN:])
        if len(self._failed) > SHOWN:
            told = f"{len(self._failed) - SHOWN} endpoints and then {told}"
        return f"{shown(self._name)}: {told}; check that the service runs"

    def note(self, endpoint: Endpoint, why: str) -> None:
        """Remember why a try was not enough."""
        self._failed.append(f"{host_name(endpoint.target)}:{endpoint.port} {why}")

    def ended(self, attempt: "Try", error: BaseException | None) -> bool:
        """Report a try; whether its exception is the endpoint's doing."""
        verdict = self._judge(error) if isinstance(error, Exception) else None
        ok = True if error is None else False if verdict else None  # None: nobody can tell
        seconds = self._monotonic() - attempt.began
        self._chooser.report(attempt.endpoint, ok, seconds, picked=attempt.picked)
        if verdict is None or not isinstance(error, Exception):
            return False
        self.error = error
        self.note(attempt.endpoint, verdict.why)
        self._left = self._left - (not verdict.refused) if verdict.repeat else 0
        return True

    def started(self) -> float:
        """The time at which a try begins, in seconds."""
        return self._monotonic()

    def _step(self, said: object) -> "Try | _Asks | None":
        """The next try, or what to ask the resolver; None where it ends."""
        if self._left <= 0:
            return None
        step = self._candidates.send(said)
        if step is None and not self._tried_any:
            step = self._candidates.send(None)
        self._tried_any = self._tried_any or isinstance(step, Try)
        return step

    def _all(self) -> Generator["Try | _Asks | None", Any, None]:
        """Every endpoint, the picked one first; None after the last, and so on."""
        while True:
            first = yield self._chooser.pick
            if isinstance(first, DnssdError):
                raise self._translate(first) from first
            yield Try(self, first, picked=True)
            found = yield self._chooser.order
            # If it has gone meanwhile, what the first try met says more.
            others = () if isinstance(found, DnssdError) else found
            tried = {(first.target, first.port)}
            for endpoint in others:
                if (endpoint.target, endpoint.port) not in tried:
                    tried.add((endpoint.target, endpoint.port))
                    yield Try(self, endpoint, picked=False)
            yield None


class Try:
    """One try, reported once however it ends.

    Attributes:
        endpoint: What is called.
        picked: Whether the resolver counts it as a call in flight.
        began: When it began, in seconds.
    """

    __slots__ = ("_walk", "began", "endpoint", "picked")

    def __init__(self, walk: Walk, endpoint: Endpoint, *, picked: bool) -> None:
        self._walk = walk
        self.endpoint = endpoint
        self.picked = picked
        self.began = 0.0

    def __enter__(self) -> Endpoint:
        self.began = self._walk.started()
        return self.endpoint

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return self._walk.ended(self, error)
