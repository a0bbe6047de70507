"""Register elastic services in authoritative DNS, and find them again (DNS-SD, RFC 6763).

To register a host:

    Registration               what the host publishes; Registration.here finds out who it is
    open_zone                  the zone to publish it in
    join, leave, joined        publish it, take it out, or both around a block
    Outcome                    what they did
    lambda_handler             takes out the dead, as a function in AWS Lambda

To find a service:

    Resolver, AsyncResolver    pick, order, lookup, connect, watch, browse
    Snapshot, Instance, Endpoint    what they give
    Event                      what a watch tells
    dnssd.http                 services as URLs, for requests, httpx and aiohttp

    dnssd.errors               every exception; DnssdError is the root

All other modules are internal. Importing this package loads nothing else: each name loads its
module when it is first used.

Example:
    >>> from dnssd import Registration, Resolver, joined, open_zone
    >>> api = Registration(service="http", instance="api", port=8080, host="api-1",
    ...                    addresses=["10.0.0.9"])
    >>> with joined(open_zone("example.test"), api), Resolver() as resolver:
    ...     resolver.pick("api._http._tcp.example.test").url("http")
    'http://10.0.0.9:8080'

The examples here run in `dnssd sandbox -- python3`. Those that look something up expect that
web-1 is there: `dnssd join http --instance web --port 8080 --host web-1 --address 10.0.0.5`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnssd import errors as errors
    from dnssd import http as http
    from dnssd.registration.awslambda import lambda_handler
    from dnssd.registration.calls import join, joined, leave
    from dnssd.registration.operation import Outcome
    from dnssd.registration.request import Registration
    from dnssd.resolver.asyncio import AsyncResolver
    from dnssd.resolver.client import Resolver
    from dnssd.resolver.events import Event
    from dnssd.resolver.snapshot import Endpoint, Instance, Snapshot
    from dnssd.resolver.stats import Stats
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
    "Stats",
    "join",
    "joined",
    "lambda_handler",
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
    "Stats": "dnssd.resolver.stats",
    "join": "dnssd.registration.calls",
    "joined": "dnssd.registration.calls",
    "lambda_handler": "dnssd.registration.awslambda",
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
