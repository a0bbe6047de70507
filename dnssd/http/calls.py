"""One request to a service: which endpoints it is sent to, in which order and how often.

Two things decide. `attempts` is how many endpoints are tried without a pause, where one fails.
What urllib3's `Retry` allows comes on top: when those have failed, or an answer has a status
that it names, it says whether to go on and how long to wait before. What it forbids is not
done for the first reason either.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from requests.exceptions import (
    ChunkedEncodingError,
    ConnectionError,
    ConnectTimeout,
    InvalidURL,
    RequestException,
    RetryError,
    Timeout,
    UnrewindableBodyError,
)
from requests.models import PreparedRequest, Response
from requests.utils import rewind_body
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError
from urllib3.util import Retry

from dnssd.errors import DnssdError, UsageError
from dnssd.http.pools import Handshake
from dnssd.names import shown
from dnssd.resolver.connecting import host_name
from dnssd.resolver.race import SHOWN, why
from dnssd.resolver.snapshot import Endpoint

FAILURES = (ConnectionError, Timeout, ChunkedEncodingError)  # the endpoint's doing


class Chooser(Protocol):
    """What the adapter asks of a resolver; `dnssd.Resolver` is one."""

    def pick(self, name: str) -> Endpoint:
        """Whom to ask first."""

    def order(self, name: str) -> tuple[Endpoint, ...]:
        """Everybody, in the order in which to try them."""

    def report(
        self,
        endpoint: Endpoint,
        ok: bool | None,
        seconds: float | None = None,
        *,
        picked: bool = True,
    ) -> None:
        """How a call to an endpoint went (see `Resolver.report`)."""


@dataclass(slots=True)
class Call:
    """A request on its way.

    Args:
        request: What is sent.
        name: The service.
        chooser: Knows its endpoints.
        attempts: How many of them are tried without a pause.
        retries: What is allowed beyond that.
        send: Sends the request to an endpoint, once; told whether it was picked.
    """

    request: PreparedRequest
    name: str
    chooser: Chooser
    attempts: int
    retries: Retry
    send: Callable[[Endpoint, bool], Response]
    _left: int = field(init=False)
    _failed: list[str] = field(default_factory=list, init=False)
    _others: Iterator[Endpoint] = field(default=iter(()), init=False)

    def answer(self) -> Response:
        """Send the request until it is answered.

        Raises:
            RequestException: It was not, or by no other status than those to be retried.
        """
        endpoint, picked = self._pick()
        while True:
            try:
                response = self.send(endpoint, picked)
            except FAILURES as error:
                self._note(endpoint, _why(error))
                self._left -= not _was_refused(error)
                endpoint, picked = self._after(error)
            else:
                if not self._is_retried(response):
                    response.raw.retries = self.retries
                    return response
                self._note(endpoint, f"answered {response.status_code}")
                if not self._allows_another(response):
                    return response
                endpoint, picked = self._again()

    def _after(self, error: RequestException) -> tuple[Endpoint, bool]:
        """The endpoint to turn to after a failure."""
        may_repeat = self._may_repeat(error)
        other = next(self._others, None) if self._left and may_repeat else None
        if other:
            return other, False
        try:
            if not may_repeat:
                raise error
            met = _reason(error)
            self.retries = self.retries.increment(
                self.request.method,
                self.request.path_url,
                error=met if isinstance(met, Exception) else error,
            )
        except (HTTPError, RequestException):
            raise type(error)(self._all_failed(), request=self.request) from error
        self.retries.sleep()
        return self._again()

    def _again(self) -> tuple[Endpoint, bool]:
        """The next endpoint of those that have not been tried, or of all."""
        self._left = self.attempts
        if other := next(self._others, None):
            return other, False
        return self._pick()

    def _pick(self) -> tuple[Endpoint, bool]:
        """The endpoint to ask first; others are known from then on."""
        try:
            first = self.chooser.pick(self.name)
        except UsageError as error:
            raise InvalidURL(str(error), request=self.request) from error
        except DnssdError as error:
            raise ConnectionError(str(error), request=self.request) from error
        self._left = self.attempts
        self._others = self._turned_to(first)
        return first, True

    def _turned_to(self, first: Endpoint) -> Iterator[Endpoint]:
        """The endpoints to turn to after the first one."""
        tried = {(first.target, first.port)}
        try:
            others = self.chooser.order(self.name)
        except DnssdError:
            return  # it has gone meanwhile; what the first try met says more
        for endpoint in others:
            if (endpoint.target, endpoint.port) not in tried:
                tried.add((endpoint.target, endpoint.port))
                yield endpoint

    def _may_repeat(self, error: RequestException) -> bool:
        """Whether a request that has failed may be sent to another endpoint."""
        retries = self.retries
        if _never_sent(error):
            return retries.total is not False and retries.connect is not False
        if retries.total is False or retries.read is False:
            return False
        method = self.request.method or ""
        return retries._is_method_retryable(method) and _is_rewound(self.request)

    def _is_retried(self, response: Response) -> bool:
        """Whether an answer is one to try again after, and that can be done."""
        has_retry_after = bool(response.headers.get("Retry-After"))
        method = self.request.method or ""
        retried = self.retries.is_retry(method, response.status_code, has_retry_after)
        return retried and _is_rewound(self.request)

    def _allows_another(self, response: Response) -> bool:
        """Wait for the next try, if there is one; else it is the caller's what came."""
        try:
            self.retries = self.retries.increment(
                self.request.method, self.request.path_url, response=response.raw
            )
        except MaxRetryError as error:
            if not self.retries.raise_on_status:
                return False
            response.close()
            raise RetryError(self._all_failed(), request=self.request) from error
        response.raw.drain_conn()
        self.retries.sleep(response.raw)
        return True

    def _note(self, endpoint: Endpoint, what: str) -> None:
        self._failed.append(f"{host_name(endpoint.target)}:{endpoint.port} {what}")

    def _all_failed(self) -> str:
        """The error of a request: who failed last, and how."""
        return _told(self.name, self._failed)


def _never_sent(error: RequestException) -> bool:
    return isinstance(_reason(error), ConnectTimeoutError | Handshake)


def _was_refused(error: RequestException) -> bool:
    return _never_sent(error) and isinstance(_root(error), ConnectionRefusedError)


def _root(error: RequestException) -> object:
    """What the system met."""
    root = _reason(error)
    while cause := getattr(root, "__cause__", None):
        root = cause
    return root


def _reason(error: RequestException) -> object:
    """What urllib3 met."""
    met = error.args[0] if error.args else None
    return met.reason if isinstance(met, MaxRetryError) else met


def _is_rewound(request: PreparedRequest) -> bool:
    """Whether the body can be sent again; a file is set back to where it began."""
    if request.body is None or isinstance(request.body, bytes | str):
        return True
    if not isinstance(getattr(request, "_body_position", None), int):
        return False
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True


def _why(error: RequestException) -> str:
    """What has failed, in a few words."""
    if isinstance(error, ConnectTimeout):
        return "did not connect in time"
    if isinstance(error, Timeout):
        return "did not answer in time"
    if not _never_sent(error):
        return "broke off"
    return f"did not connect ({why(_root(error))})"


def _told(name: str, failed: Sequence[str]) -> str:
    told = ", ".join(failed[-SHOWN:])
    if len(failed) > SHOWN:
        told = f"{len(failed) - SHOWN} endpoints and then {told}"
    return f"{shown(name)}: {told}; check that the service runs"
