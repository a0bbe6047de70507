"""The instance metadata service of EC2, version 2: a token first, then items."""

import http.client
import ipaddress
import itertools
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from dnssd.errors import DeadlineExceeded, Unavailable, UsageError
from dnssd.names import shown
from dnssd.zones.pace import Pace

IPV4 = "http://169.254.169.254"
IPV6 = "http://[fd00:ec2::254]"
MAX_BODY = 65536  # octets of an item; an identity document has about 500
TOKEN_TTL = 300  # seconds
TRY = 2.0  # seconds that one request may take, unless the environment says otherwise

_Number = TypeVar("_Number", int, float)

_OWN_NAME = "or set AWS_EC2_METADATA_DISABLED=true to use the host's own name and address"
_ADVICE = f"enable it for this instance, {_OWN_NAME}"
_HOP_LIMIT = "check the hop limit if this is a container (it needs 2)"


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach the service.

    Attributes:
        endpoint: Its URL, without a slash at the end.
        timeout: Seconds that one try may take.
        attempts: How many tries a request has; None for as many as fit the time.
    """

    endpoint: str = IPV4
    timeout: float = TRY
    attempts: int | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables that the AWS SDKs read.

        Raises:
            UsageError: One of them is malformed; the message names it.
        """
        return cls(
            endpoint=_endpoint(environ),
            timeout=_number(environ, "AWS_METADATA_SERVICE_TIMEOUT", float) or TRY,
            attempts=_number(environ, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", int),
        )


class Metadata:
    """One conversation with the service.

    Every request goes straight there, past any proxy, and is tried again until `pace` ends.
    """

    def __init__(self, settings: Settings, pace: Pace) -> None:
        self.endpoint = settings.endpoint
        self._settings = settings
        self._pace = pace
        self._token: str | None = None

    def get(self, path: str) -> str | None:
        """One item; None if the instance has no such item.

        Raises:
            Unavailable: The service does not answer, or refuses.
        """
        for fresh in (False, True):
            if fresh or self._token is None:
                self._token = self._new_token()
            status, body = self._request("GET", path, {"X-aws-ec2-metadata-token": self._token})
            if status != 401:
                break
        if status == 404:
            return None
        if status != 200:
            raise self._refused(status)
        return body

    def _new_token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL)}
        status, body = self._request("PUT", "/latest/api/token", headers)
        if status != 200:
            raise self._refused(status)
        if not (body and body.isascii() and body.isprintable()):
            raise Unavailable(f"instance metadata at {self.endpoint}: malformed token; {_ADVICE}")
        return body

    def _request(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        """Status and body of an answer that is neither a failure nor a plea to come again."""
        failure = f"instance metadata at {self.endpoint}: no time left; allow more, {_OWN_NAME}"
        for attempt in itertools.count():
            # A try without time could only hide why the earlier ones failed.
            if not (seconds := min(self._settings.timeout, self._pace.remaining)):
                raise DeadlineExceeded(failure)
            try:
                status, body = self._try(method, path, headers, seconds)
                if status != 429 and status < 500:
                    break
                why, advice = f"HTTP {status}", "try again"
            except TimeoutError:
                why, advice = f"no answer within {seconds:.2g} s", _HOP_LIMIT
            except OSError as error:
                why, advice = error.strerror or type(error).__name__, "check the network"
            except http.client.HTTPException as error:
                why, advice = f"a malformed answer ({type(error).__name__})", "try again"
            failure = f"instance metadata at {self.endpoint}: {why}; {advice}, {_OWN_NAME}"
            if self._settings.attempts and attempt + 1 >= self._settings.attempts:
                raise Unavailable(failure)
            self._pace.back_off(attempt, failure)
        return status, body

    def _try(
        self, method: str, path: str, headers: Mapping[str, str], seconds: float
    ) -> tuple[int, str]:
        url = urllib.parse.urlsplit(self.endpoint)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=seconds)
        try:
            connection.request(method, url.path + path, headers=dict(headers))
            response = connection.getresponse()
            body = response.read(MAX_BODY)
            if response.length:  # cut short, or endless
                raise http.client.IncompleteRead(b"")
            return response.status, body.decode("utf-8", "replace")
        finally:
            connection.close()

    def _refused(self, status: int) -> Unavailable:
        why = "HTTP 403, access is switched off" if status == 403 else f"HTTP {status}"
        return Unavailable(f"instance metadata at {self.endpoint}: {why}; {_ADVICE}")


def _endpoint(environ: Mapping[str, str]) -> str:
    given = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT")
    if given:
        return _checked_url(given)
    mode = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower()
    if mode not in ("", "ipv4", "ipv6"):
        raise UsageError(
            f"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE: {shown(mode)} is neither ipv4 nor ipv6"
        )
    return IPV6 if mode == "ipv6" else IPV4


def _checked_url(text: str) -> str:
    try:
        url = urllib.parse.urlsplit(text)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError(text)
        if ":" in url.hostname:
            ipaddress.IPv6Address(url.hostname)
        url.hostname.encode("idna")
        if url.port == 0:  # reading the port checks the others
            raise ValueError(text)
    except ValueError as error:
        raise UsageError(
            f"AWS_EC2_METADATA_SERVICE_ENDPOINT: {shown(text)} is not http://HOST[:PORT]"
        ) from error
    return text.rstrip("/")


def _number(
    environ: Mapping[str, str], variable: str, kind: Callable[[str], _Number]
) -> _Number | None:
    text = environ.get(variable)
    if not text:
        return None
    try:
        number = kind(text)
        if not 0 < number < 3600:
            raise ValueError(text)
    except ValueError as error:
        raise UsageError(
            f"{variable}: {shown(text)} is out of range or no number; remove it or correct it"
        ) from error
    return number
