"""What requests does with cookies by the scheme of a URL, done for `https+dnssd`."""

from urllib.parse import urlsplit

from requests.cookies import get_cookie_header
from requests.models import PreparedRequest


def is_secure(request: PreparedRequest) -> bool:
    """Whether a request is to travel over TLS."""
    return (request.url or "")[:5].lower() == "https"


def add_secure_cookies(request: PreparedRequest) -> None:
    """Send `Secure` cookies too: cookie jars know no secure scheme but https and wss."""
    jar = getattr(request, "_cookies", None) or ()
    if not is_secure(request) or not any(cookie.secure for cookie in jar):
        return
    bare = request.copy()
    bare.headers.pop("Cookie", None)
    if request.headers.get("Cookie") != _cookies_for(bare, jar):
        return  # a header of the caller's own
    bare.url = urlsplit(bare.url or "")._replace(scheme="https").geturl()
    if cookies := _cookies_for(bare, jar):
        request.headers["Cookie"] = cookies


def _cookies_for(request: PreparedRequest, jar: object) -> str | None:
    header: str | None = get_cookie_header(jar, request)  # type: ignore[no-untyped-call] # requests
    return header
