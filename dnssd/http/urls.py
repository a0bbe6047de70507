"""What requests does by the scheme of a URL, done for `http+dnssd` and `https+dnssd`."""

from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from requests.cookies import get_cookie_header
from requests.exceptions import InvalidURL
from requests.models import PreparedRequest, Response

from dnssd.names import shown
from dnssd.resolver.connecting import host_name
from dnssd.resolver.snapshot import Endpoint

_PORTS = {"http": 80, "https": 443}


def is_secure(request: PreparedRequest) -> bool:
    """Whether a request is to travel over TLS."""
    return (request.url or "")[:5].lower() == "https"


def service_name(request: PreparedRequest) -> str:
    """The name that stands as host in a request's URL.

    Raises:
        InvalidURL: It is not UTF-8, or has a port.
    """
    try:
        host = urlsplit(request.url or "").netloc.rpartition("@")[2]
        name = unquote(host, errors="strict")
    except ValueError as error:
        raise InvalidURL("URL: its host is not UTF-8, percent-encoded", request=request) from error
    if ":" in host:
        raise InvalidURL(
            f"{shown(name)}: DNS gives the port; leave it out of the URL", request=request
        )
    return name


def add_secure_cookies(request: PreparedRequest) -> None:
    """Send `Secure` cookies too: cookie jars know no secure scheme but https and wss."""
    jar = getattr(request, "_cookies", None) or ()
    if not any(cookie.secure for cookie in jar):
        return
    bare = request.copy()
    bare.headers.pop("Cookie", None)
    if request.headers.get("Cookie") != _cookies_for(bare, jar):
        return  # a header of the caller's own
    bare.url = urlsplit(bare.url or "")._replace(scheme="https").geturl()
    if cookies := _cookies_for(bare, jar):
        request.headers["Cookie"] = cookies


def stay_on_service(response: Response, request: PreparedRequest, endpoint: Endpoint) -> None:
    """Make the Location of a redirect absolute: the service's, if it means this very server.

    It is relative to the URL as the server knows it (RFC 9110 section 10.2.2).
    """
    asked = urlsplit(request.url or "")
    host = request.headers.get("Host") or f"{host_name(endpoint.target)}:{endpoint.port}"
    here = asked._replace(scheme=asked.scheme.removesuffix("+dnssd"), netloc=host)
    try:
        there = urlsplit(urljoin(here.geturl(), response.headers["location"]))
        if _origin(there) == _origin(here):
            there = there._replace(scheme=asked.scheme, netloc=asked.netloc)
    except ValueError:
        return  # no URL: requests says so where it is followed
    response.headers["location"] = there.geturl()


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)


def _cookies_for(request: PreparedRequest, jar: object) -> str | None:
    header: str | None = get_cookie_header(jar, request)  # type: ignore[no-untyped-call] # requests
    return header
