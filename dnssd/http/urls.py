"""Services in URLs: the name that stands as host, and where a Location leads."""

from functools import lru_cache
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from dnssd.errors import UsageError
from dnssd.names import shown

SCHEMES = {"http+dnssd": "http", "https+dnssd": "https"}
_PORTS = {"http": 80, "https": 443}


def service_name(url: str) -> str:
    """The name that stands as host in a URL.

    Raises:
        UsageError: It is not UTF-8, or has a port.
    """
    try:
        return _name_at(urlsplit(url).netloc.rpartition("@")[2])
    except ValueError as error:
        raise UsageError("URL: its host is not UTF-8, percent-encoded") from error


@lru_cache
def _name_at(host: str) -> str:
    name = unquote(host, errors="strict")
    if ":" in host:
        raise UsageError(f"{shown(name)}: DNS gives the port; leave it out of the URL")
    return name


def on_service(location: str, url: str, host: str) -> str:
    """The Location of a redirect, absolute: the service's, if it means this very server.

    It is relative to the URL as the server knows it (RFC 9110 section 10.2.2).

    Args:
        location: As the server gave it.
        url: What was asked for, `http+dnssd://…`.
        host: The Host header that it was asked with.
    """
    asked = urlsplit(url)
    here = asked._replace(scheme=asked.scheme.removesuffix("+dnssd"), netloc=host)
    try:
        there = urlsplit(urljoin(here.geturl(), location))
        if _origin(there) == _origin(here):
            there = there._replace(scheme=asked.scheme, netloc=asked.netloc)
    except ValueError:
        return location  # no URL: whoever follows it says so
    return there.geturl()


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme)
