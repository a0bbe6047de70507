"""Asking a metadata service over HTTP: what the clouds have in common.

Requests go straight to the service: past any proxy, which would answer for itself, and along
no redirection, which would carry a token elsewhere.
"""

import http.client
import io
import ipaddress
import socket
import urllib.parse
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from dnssd.deadline import Deadline
from dnssd.errors import DeadlineExceeded, Unavailable, UsageError
from dnssd.names import shown

MAX_BODY = 2**20  # octets of an answer; a virtual machine's user data may be among them
TRY = 2.0  # seconds that one request may take
ADDRESS = "http://169.254.169.254"  # where most clouds' service is
PLAIN = "or use --cloud plain for the host's own name and address"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: Its status.
        headers: By name in lower case.
        body: Its content.
    """

    status: int
    headers: Mapping[str, str]
    body: str


class Metadata:
    """One conversation with a metadata service, tried again until `deadline` ends.

    Args:
        endpoints: URLs of n >= 1 addresses of the service, without a slash at the end; the
            first that answers is kept.
        deadline: How long the whole conversation may take.
        timeout: Seconds that one try may take.
        attempts: How many tries a request has; None for as many as fit the time.
        silence: What to check where nobody answers.
        way_out: What else people may do.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        deadline: Deadline,
        *,
        timeout: float = TRY,
        attempts: int | None = None,
        silence: str = "check the network",
        way_out: str = PLAIN,
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._deadline = deadline
        self._timeout = timeout
        self._attempts = attempts
        self._silence = silence
        self._way_out = way_out

    @property
    def endpoint(self) -> str:
        """Where the service answers, or is expected to."""
        return self._endpoints[0]

    def read(
        self, path: str, headers: Mapping[str, str], *, again: Collection[int] = ()
    ) -> str | None:
        """One item; None if the instance has no such item.

        Raises:
            Unavailable: The service does not answer, or refuses.
        """
        return self.content(self.request("GET", path, headers, again=again))

    def content(self, answer: Answer) -> str | None:
        """The body of an answer, None of a 404.

        Raises:
            Unavailable: It is a refusal.
        """
        if answer.status == 404:
            return None
        if answer.status != 200:
            off = ", access is switched off" if answer.status == 403 else ""
            raise self.failure(f"HTTP {answer.status}{off}", "enable it for this instance")
        return answer.body

    def request(
        self, method: str, path: str, headers: Mapping[str, str], *, again: Collection[int] = ()
    ) -> Answer:
        """An answer that is neither a failure nor a plea to come again.

        Args:
            method: The HTTP method.
            path: The path, behind that of the endpoint.
            headers: What the service wants to see.
            again: Statuses that may pass, beside 429 and those from 500.

        Raises:
            Unavailable: There is none.
        """
        failure: str | Unavailable = self.failure("no time left", "allow more")
        attempt = 0
        while True:
            # A try without time could only hide why the earlier ones failed.
            if not self._deadline.remaining:
                raise DeadlineExceeded(str(failure), server=self.endpoint)
            outcome = self._round(method, path, headers, again)
            if isinstance(outcome, Answer):
                return outcome
            failure = outcome
            if self._attempts and attempt + 1 >= self._attempts:
                raise Unavailable(failure, server=self.endpoint)
            self._deadline.back_off(attempt, failure)
            attempt += 1

    def failure(self, why: str, advice: str) -> Unavailable:
        """An error about this service, for people."""
        return Unavailable(
            f"instance metadata at {self.endpoint}: {why}; {advice}, {self._way_out}",
            server=self.endpoint,
        )

    def _round(
        self, method: str, path: str, headers: Mapping[str, str], again: Collection[int]
    ) -> Answer | str:
        """An answer from the first endpoint that gives one, else why the first gave none."""
        complaint = ""
        for endpoint in self._endpoints:
            seconds = min(self._timeout, self._deadline.remaining)
            try:
                answer = exchange(
                    endpoint, method, path, headers, countdown(self._deadline, seconds)
                )
            except (OSError, http.client.HTTPException) as error:
                complaint = complaint or self._complaint(error, seconds)
                continue
            self._endpoints = (endpoint,)
            if answer.status not in again and answer.status != 429 and answer.status < 500:
                return answer
            return str(self.failure(f"HTTP {answer.status}", "try again"))
        return complaint

    def _complaint(self, error: Exception, seconds: float) -> str:
        if isinstance(error, TimeoutError):
            return str(self.failure(f"no answer within {seconds:.2g} s", self._silence))
        if isinstance(error, OSError):
            why = error.strerror or type(error).__name__
            return str(self.failure(why, "check the network"))
        return str(self.failure(f"a malformed answer ({type(error).__name__})", "try again"))


def exchange(
    endpoint: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    left: Callable[[], float],
) -> Answer:
    """Ask once.

    Args:
        endpoint: The service's URL.
        method: The HTTP method.
        path: The path, behind that of the endpoint.
        headers: What else to send.
        left: How many seconds are left; 0 or less if none.

    Raises:
        OSError: There is no way there, or (TimeoutError) no answer in time.
        http.client.HTTPException: The answer is malformed, cut short or too long.
    """
    url = urllib.parse.urlsplit(endpoint)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=max(left(), 0.001))
    try:
        connection.request(method, url.path + path, headers={**headers, "Connection": "close"})
        timed = _Timed(connection.sock, left)
        response = http.client.HTTPResponse(cast(socket.socket, timed), method=method)
        response.begin()
        body = response.read(MAX_BODY + 1)
        if response.length or len(body) > MAX_BODY:  # cut short, or endless
            raise http.client.IncompleteRead(b"")
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, body.decode("utf-8", "replace"))
    finally:
        connection.close()


def checked_url(variable: str, text: str) -> str:
    """A service's URL from the environment, without a slash at the end.

    Raises:
        UsageError: Not such a URL; the message names the variable.
    """
    try:
        url = urllib.parse.urlsplit(text)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError(text)
        if not (text.isascii() and text.isprintable() and " " not in text):
            raise ValueError(text)
        if ":" in url.hostname:
            ipaddress.IPv6Address(url.hostname)
        url.hostname.encode("idna")
        if url.port == 0:  # reading the port checks the others
            raise ValueError(text)
    except ValueError as error:
        raise UsageError(
            f"{variable}: {shown(text)} does not lead to http://HOST[:PORT]"
        ) from error
    return text.rstrip("/")


class _Timed(io.RawIOBase):
    """What a socket receives, until one moment: a trickle does not begin the time anew."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock = sock
        self._left = left

    def makefile(self, mode: str) -> io.BufferedReader:
        """What an HTTPResponse reads from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if (seconds := self._left()) <= 0:
            raise TimeoutError
        self._sock.settimeout(seconds)
        return self._sock.recv_into(buffer)


def countdown(deadline: Deadline, seconds: float) -> Callable[[], float]:
    """What is left of `seconds` from now on."""
    start = deadline.remaining
    return lambda: seconds - (start - deadline.remaining)
