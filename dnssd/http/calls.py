"""A request of requests on its way: what urllib3's `Retry` allows beyond walking the endpoints.

`attempts` is how many endpoints are tried without a pause, where one fails. What `Retry` allows
comes on top: when those have failed, or an answer has a status that it names, it says whether
to go on and how long to wait before. What it forbids is not done for the first reason either.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

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
from urllib3.exceptions import ClosedPoolError, ConnectTimeoutError, HTTPError, MaxRetryError
from urllib3.util import Retry

from dnssd.errors import DnssdError, UsageError
from dnssd.http.pools import Handshake
from dnssd.http.walk import Chooser, Verdict, Walk, root_of
from dnssd.resolver.race import why
from dnssd.resolver.snapshot import Endpoint


@dataclass(slots=True)
class Call:
    """A request on its way.

    Args:
        request: What is sent.
        name: The service.
        chooser: Knows its endpoints.
        attempts: How many of them are tried without a pause.
        retries: What is allowed beyond that.
        send: Sends the request to an endpoint, once.
        monotonic: The clock, in seconds.
    """

    request: PreparedRequest
    name: str
    chooser: Chooser
    attempts: int
    retries: Retry
    send: Callable[[Endpoint], Response]
    monotonic: Callable[[], float]
    _walk: Walk = field(init=False)

    def answer(self) -> Response:
        """Send the request until it is answered.

        Raises:
            RequestException: It was not, or by no other status than those to be retried.
        """
        self._walk = Walk(
            self.chooser,
            self.name,
            judge=self._judge,
            translate=self._translate,
            attempts=self.attempts,
            monotonic=self.monotonic,
        )
        while True:
            tried = self._try()
            if tried is None:
                self._wait_after_failure()
                continue
            endpoint, response = tried
            if not self._is_retried(response):
                response.raw.retries = self.retries
                return response
            self._walk.note(endpoint, f"answered {response.status_code}")
            if not self._wait_after(response):
                return response

    def _try(self) -> tuple[Endpoint, Response] | None:
        """The first answer; None if nobody has given one."""
        for attempt in self._walk:
            with attempt as endpoint:
                return endpoint, self.send(endpoint)
        return None

    def _judge(self, error: Exception) -> Verdict | None:
        if not isinstance(error, ConnectionError | Timeout | ChunkedEncodingError):
            return None
        return Verdict(_why(error), refused=_was_refused(error), repeat=self._may_repeat(error))

    def _translate(self, error: DnssdError) -> Exception:
        kind = InvalidURL if isinstance(error, UsageError) else ConnectionError
        return kind(str(error), request=self.request)

    def _may_repeat(self, error: RequestException) -> bool:
        """Whether a request that has failed may be sent to another endpoint."""
        retries = self.retries
        if _never_sent(error):
            return retries.total is not False and retries.connect is not False
        if retries.total is False or retries.read is False:
            return False
        method = self.request.method or ""
        return retries._is_method_retryable(method) and _is_rewound(self.request)

    def _wait_after_failure(self) -> None:
        """Wait for the next round.

        Raises:
            RequestException: There is none.
        """
        error = self._walk.error
        assert isinstance(error, RequestException)  # noqa: S101 (no round ends without)
        try:
            if not self._may_repeat(error):
                raise error
            met = _reason(error)
            self.retries = self.retries.increment(
                self.request.method,
                self.request.path_url,
                error=met if isinstance(met, Exception) else error,
            )
        except (HTTPError, RequestException):
            raise type(error)(self._walk.told, request=self.request) from error
        self.retries.sleep()

    def _is_retried(self, response: Response) -> bool:
        """Whether an answer is one to try again after, and that can be done."""
        has_retry_after = bool(response.headers.get("Retry-After"))
        method = self.request.method or ""
        retried = self.retries.is_retry(method, response.status_code, has_retry_after)
        return retried and _is_rewound(self.request)

    def _wait_after(self, response: Response) -> bool:
        """Wait for the next try, if there is one; else it is the caller's what came.

        Raises:
            RetryError: There is none, and that is an error.
        """
        try:
            self.retries = self.retries.increment(
                self.request.method, self.request.path_url, response=response.raw
            )
        except MaxRetryError as error:
            if not self.retries.raise_on_status:
                return False
            response.close()
            raise RetryError(self._walk.told, request=self.request) from error
        response.raw.drain_conn()
        self.retries.sleep(response.raw)
        return True


def _never_sent(error: RequestException) -> bool:
    # A pool is closed when its endpoint leaves DNS, perhaps just before its turn.
    return isinstance(_reason(error), ConnectTimeoutError | Handshake | ClosedPoolError)


def _was_refused(error: RequestException) -> bool:
    return _never_sent(error) and isinstance(root_of(_reason(error)), ConnectionRefusedError)


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
    return f"did not connect ({why(root_of(_reason(error)))})"
