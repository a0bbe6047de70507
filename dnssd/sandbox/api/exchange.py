"""Requests and answers as the operations see them, without the network."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from dnssd.sandbox.api import shapes
from dnssd.sandbox.api.rejections import Rejection

MAX_USER_AGENT = 1000  # characters that are looked at

_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 .*\bCredential=[^/,\s]{1,128}/[0-9]{8}/[^/]*/([^/]*)/")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came.

    Attributes:
        id: Given to it by the server.
        path: Percent-encoded.
        headers: By name in lower case.
    """

    id: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def user_agent(self) -> str:
        """What the client calls itself."""
        return self.headers.get("user-agent", "")[:MAX_USER_AGENT]


class Delivery(Enum):
    """How much of an answer reaches the client; less than all ends the connection."""

    WHOLE = auto()
    HALF = auto()
    NONE = auto()


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    Attributes:
        error: The code of the error that it reports, None if it reports none.
        fault: The name of the fault that was injected into it, None if none was.
    """

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    error: str | None = None
    content_type: str = "text/xml"
    delivery: Delivery = Delivery.WHOLE
    fault: str | None = None


Handler = Callable[[Request], Response]
Wrap = Callable[[Handler], Handler]


def around(step: Callable[[Handler, Request], Response]) -> Wrap:
    """What lays `step` around a handler, which it may ask or not."""
    return lambda handler: lambda request: step(handler, request)


def refusal(request_id: str, rejection: Rejection) -> Response:
    """The answer to a request that is refused."""
    body = shapes.error_document(rejection, request_id)
    return Response(rejection.status, body, error=rejection.code)


def check_signature(request: Request) -> None:
    """Look at the scope of the signature; the signature itself proves nothing here.

    Any region will do: a client may sign with its own where the endpoint is not AWS's.

    Raises:
        Rejection: There is none, or it is for another service.
    """
    authorization = request.headers.get("authorization")
    if not authorization:
        raise Rejection("MissingAuthenticationToken", "Missing Authentication Token", 403)
    match = _CREDENTIAL.match(authorization)
    if not match:
        raise Rejection("IncompleteSignature", "Authorization header has no credential scope", 403)
    if match[1] != "route53":
        raise Rejection(
            "SignatureDoesNotMatch",
            "Credential should be scoped to correct service: 'route53'. ",
            403,
        )
