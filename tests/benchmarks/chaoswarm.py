"""Services that a resolver knows already, and keeps fresh while answers are broken or lie.

The zone gives them a TTL of a second. They are looked at much more often, and what a refresh
gets wrong lasts until the next one, so that all of it is seen.
"""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

from chaosclients import found_in
from chaoszone import ORIGIN, Endpoint, Service, difference

from dnssd import Resolver
from dnssd.errors import DnssdError
from kit.faultproxy import Counts, FaultProxy
from kit.faultproxy.faults import Plan
from kit.servers import Server

_LOOK = 0.05  # seconds between two looks at the same service
_PATIENCE = 30.0  # seconds until a removal counts as never seen
_HEALTHY = Plan(share=0)


class Kept(NamedTuple):
    """What came of keeping services fresh.

    Attributes:
        refreshes: How many answers came in place of earlier ones.
        wrong: What was wrong with those that were.
        looks: How often services were looked at.
        stale: How many of these looks saw something stale.
        counts: Of the proxy.
    """

    refreshes: int
    wrong: list[str]
    looks: int
    stale: int
    counts: Counts


def keep(server: str, plan: Plan, services: Sequence[Service], refreshes: int) -> Kept:
    """Look services up while all is well, then see how their refreshes come out.

    Args:
        server: `IPV4:PORT` of the real server.
        plan: What a proxy before it does from then on.
        services: What to look up; right until the end.
        refreshes: After how many to stop, of all services together.
    """
    with FaultProxy(server, _HEALTHY, zone=ORIGIN) as proxy, Resolver([proxy.nameserver]) as asking:
        expiry = {service: asking.lookup(service.name).expires_at for service in services}
        proxy.follow(plan)
        seen = looks = stale = 0
        wrong: list[str] = []
        while seen < refreshes:
            time.sleep(_LOOK)
            for service in services:
                looks += 1
                expires_at, status, amiss = _look(asking, service)
                stale += status == "stale"
                if expires_at != expiry[service]:
                    expiry[service] = expires_at
                    seen += 1
                    wrong += [f"{service.name}: {amiss}"] if amiss else []
        return Kept(seen, wrong, looks, stale, proxy.counts())


def remove(server: Server, plan: Plan, services: Sequence[Service]) -> list[float]:
    """Take one host out of each service at once; how long it took until that was seen.

    Args:
        server: The real server; it lacks them from then on.
        plan: What a proxy before it does from then on.
        services: What is known by then, to one resolver.

    Returns:
        Seconds for each service, `math.inf` if it was not seen at all.
    """
    gone = {service: min(service.truth.endpoints) for service in services}
    with (
        FaultProxy(server.address, _HEALTHY, zone=ORIGIN) as proxy,
        Resolver([proxy.nameserver]) as asking,
    ):
        for service in services:
            asking.lookup(service.name)
        proxy.follow(plan)
        begin = time.monotonic()
        records = (service.srv(endpoint) for service, endpoint in gone.items())
        server.publish(server.zone.changed(without=records))
        return _await(asking, gone, begin)


def _look(asking: Resolver, service: Service) -> tuple[float, str, str]:
    """When what is known of a service expires, whether it has, and what is wrong with it."""
    try:
        snapshot = asking.lookup(service.name)
    except DnssdError as error:
        return math.inf, "lost", str(error)
    return snapshot.expires_at, snapshot.status, difference(found_in(snapshot), service.truth)


def _lacks(asking: Resolver, service: Service, endpoint: Endpoint) -> bool:
    try:
        found = found_in(asking.lookup(service.name))
    except DnssdError:  # the service is not gone, only one of its hosts
        return False
    return endpoint not in found.endpoints


def _await(asking: Resolver, gone: dict[Service, Endpoint], begin: float) -> list[float]:
    """Seconds until each service lacked its endpoint."""
    took = []
    while gone and time.monotonic() < begin + _PATIENCE:
        time.sleep(_LOOK / 5)
        for service, endpoint in list(gone.items()):
            if _lacks(asking, service, endpoint):
                took.append(time.monotonic() - begin)
                del gone[service]
    return took + [math.inf] * len(gone)
