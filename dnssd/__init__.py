"""Register elastic services in authoritative DNS, and find them again (DNS-SD, RFC 6763).

Importing this loads nothing else: each name below loads its module when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnssd.registration.registrar import Outcome, join, joined, leave
    from dnssd.registration.request import Registration
    from dnssd.resolver.asyncio import AsyncResolver
    from dnssd.resolver.client import Resolver
    from dnssd.resolver.events import Event
    from dnssd.resolver.snapshot import Endpoint, Instance, Snapshot
    from dnssd.zones.factory import open_zone

__version__ = "0.1.0"

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
    "Outcome": "dnssd.registration.registrar",
    "Registration": "dnssd.registration.request",
    "Resolver": "dnssd.resolver.client",
    "Snapshot": "dnssd.resolver.snapshot",
    "join": "dnssd.registration.registrar",
    "joined": "dnssd.registration.registrar",
    "leave": "dnssd.registration.registrar",
    "open_zone": "dnssd.zones.factory",
}


_MODULES = ("errors", "http")  # that `import dnssd` is enough for


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
