"""Services as URLs, for requests, httpx and aiohttp.

    session = requests.Session()
    session.mount("http+dnssd://", Adapter(resolver))
    session.mount("https+dnssd://", Adapter(resolver))
    session.get("http+dnssd://v1._theService._tcp.example.com/path", timeout=3)

    httpx.Client(mounts={"http+dnssd://": Transport(resolver)})
    httpx.AsyncClient(mounts={"http+dnssd://": AsyncTransport(async_resolver)})
    aiohttp.ClientSession(connector=AiohttpConnector(async_resolver))  # http://v1._theService…

The host of the URL is a name as everywhere in dnssd, percent-encoded where it holds more than
letters, digits, dots, hyphens and underscores: `quote(name, safe="")`. It has no port, since
DNS gives that. A server is called by its own name: the target of its SRV record stands in the
Host header, and the certificate must be for it, because servers and those who certify them
know the names of hosts, not of services. Connections are made to the target's addresses as the
resolver has them; proxies are not used, and one that is asked for is refused.

Each name loads its library when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnssd.http.adapter import Adapter
    from dnssd.http.connector import AiohttpConnector, AiohttpResolver
    from dnssd.http.transport import AsyncTransport, Transport
    from dnssd.http.walk import AsyncChooser, Chooser

__all__ = [
    "Adapter",
    "AiohttpConnector",
    "AiohttpResolver",
    "AsyncChooser",
    "AsyncTransport",
    "Chooser",
    "Transport",
]

_HOMES = {
    "Adapter": "adapter",
    "AiohttpConnector": "connector",
    "AiohttpResolver": "connector",
    "AsyncChooser": "walk",
    "AsyncTransport": "transport",
    "Chooser": "walk",
    "Transport": "transport",
}
_EXTRAS = {"connector": "aiohttp", "transport": "httpx"}

if not TYPE_CHECKING:  # as in the package above

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = _HOMES[name]
        try:
            value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
        except ModuleNotFoundError as error:
            if home not in _EXTRAS or (error.name or "").startswith("dnssd"):
                raise
            extra = _EXTRAS[home]
            raise ModuleNotFoundError(
                f"dnssd.http.{name}: {error.name} is missing; pip install 'dnssd[{extra}]'",
                name=error.name,
            ) from error
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
