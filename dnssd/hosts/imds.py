"""The instance metadata service of EC2, version 2: a token first, then items."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from dnssd.deadline import Deadline
from dnssd.errors import UsageError
from dnssd.hosts.clouds import is_ec2_disabled
from dnssd.hosts.metadata import ADDRESS, TRY, Answer, Metadata, checked_url
from dnssd.names import shown

IPV4 = ADDRESS
IPV6 = "http://[fd00:ec2::254]"
TOKEN_TTL = 300  # seconds

_Number = TypeVar("_Number", int, float)

_HOP_LIMIT = "check the hop limit if this is a container (it needs 2)"
_WAY_OUT = "or set AWS_EC2_METADATA_DISABLED=true to use the host's own name and address"


@dataclass(frozen=True, slots=True)
class Settings:
    """How to reach the service.

    Attributes:
        endpoints: Its URLs, without a slash at the end, in the order to try them.
        timeout: Seconds that one try may take.
        attempts: How many tries a request has; None for as many as fit the time.
    """

    endpoints: tuple[str, ...] = (IPV4, IPV6)
    timeout: float = TRY
    attempts: int | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables that the AWS SDKs read.

        Raises:
            UsageError: One of them is malformed, or rules the service out; the message
                names it.
        """
        if is_ec2_disabled(environ):
            raise UsageError("AWS_EC2_METADATA_DISABLED: it is true; unset it to ask EC2")
        return cls(
            endpoints=_endpoints(environ),
            timeout=_number(environ, "AWS_METADATA_SERVICE_TIMEOUT", float) or TRY,
            attempts=_number(environ, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", int),
        )


class Imds:
    """One conversation with the service, on one token as long as it is good.

    Args:
        settings: How to reach it.
        deadline: How long the whole conversation may take.
    """

    def __init__(self, settings: Settings, deadline: Deadline) -> None:
        self._metadata = Metadata(
            settings.endpoints,
            deadline,
            timeout=settings.timeout,
            attempts=settings.attempts,
            silence=_HOP_LIMIT,
            way_out=_WAY_OUT,
        )
        self._token: str | None = None

    @property
    def endpoint(self) -> str:
        """Where the service answers."""
        return self._metadata.endpoint

    def get(self, path: str) -> str | None:
        """One item; None if the instance has no such item.

        Raises:
            Unavailable: The service does not answer, or refuses.
        """
        answer = self._ask(path)
        if answer.status == 401:  # the token has ended
            self._token = None
            answer = self._ask(path)
        return self._metadata.content(answer)

    def _ask(self, path: str) -> Answer:
        self._token = self._token or self._new_token()
        return self._metadata.request("GET", path, {"X-aws-ec2-metadata-token": self._token})

    def _new_token(self) -> str:
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL)}
        answer = self._metadata.request("PUT", "/latest/api/token", headers)
        token = self._metadata.content(answer)
        if not (token and token.isascii() and token.isprintable()):
            why = "malformed token" if answer.status == 200 else f"HTTP {answer.status}"
            raise self._metadata.failure(why, "enable it for this instance")
        return token


def _endpoints(environ: Mapping[str, str]) -> tuple[str, ...]:
    variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    if given := environ.get(variable):
        return (checked_url(variable, given),)
    mode = environ.get(f"{variable}_MODE", "").lower()
    modes = {"": (IPV4, IPV6), "ipv4": (IPV4,), "ipv6": (IPV6,)}
    if mode not in modes:
        raise UsageError(f"{variable}_MODE: {shown(mode)} is neither ipv4 nor ipv6")
    return modes[mode]


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
