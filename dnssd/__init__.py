"""Register elastic services in authoritative DNS, and find them again (DNS-SD, RFC 6763).

    Resolver, AsyncResolver    find endpoints: lookup, pick, order, connect, browse, watch
    join, leave, joined        publish a Registration in a zone, which open_zone opens
    dnssd.http.Adapter         services as URLs for requests
    dnssd.errors               every exception; DnssdError is the root

Importing this loads nothing else: each name loads its module when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnssd import errors as errors
    from dnssd import http as http
    from dnssd.registration.calls import join, joined, leave
    from dnssd.registration.operation import Outcome
    from dnssd.registration.request import Registration
    from dnssd.resolver.asyncio import AsyncResolver
    from dnssd.resolver.client import Resolver
    from dnssd.resolver.events import Event
    from dnssd.resolver.snapshot import Endpoint, Instance, Snapshot
    from dnssd.zones.factory import open_zone

from dnssd.version import __version__ as __version__

__all__ = [
    "AsyncResolver",
    "Endpoint",
    "Event",
    "Instance",
    "Outcome",
    "Registration",
    "Resolver",
    "Snapshot",
    "join",
    "joined",
    "leave",
    "open_zone",
]

_HOMES = {
    "AsyncResolver": "dnssd.resolver.asyncio",
    "Endpoint": "dnssd.resolver.snapshot",
    "Event": "dnssd.resolver.events",
    "Instance": "dnssd.resolver.snapshot",
    "Outcome": "dnssd.registration.operation",
    "Registration": "dnssd.registration.request",
    "Resolver": "dnssd.resolver.client",
    "Snapshot": "dnssd.resolver.snapshot",
    "join": "dnssd.registration.calls",
    "joined": "dnssd.registration.calls",
    "leave": "dnssd.registration.calls",
    "open_zone": "dnssd.zones.factory",
}


_MODULES = ("errors", "http")  # that `import dnssd` is enough for


if not TYPE_CHECKING:  # who checks types would take any name, however misspelt, for one of these

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"{__name__}.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
