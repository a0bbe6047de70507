"""Configuration of other programs, one function for each; pure.

Each takes n >= 1 services that have servers, and gives the text of a file. The same services
give the same text.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dnssd.errors import UsageError
from dnssd.export import haproxy as proxy
from dnssd.export.services import Server, Service, weights

MOST_WEIGHT = 65_535  # of SRV records; nginx, Envoy and Traefik take any
ENVOY_TIERS = 128
_EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"

_Weighed = Iterator[tuple[Server, int]]
Format = Callable[[Sequence[Service]], str]


def haproxy(services: Sequence[Service]) -> str:
    """Backends, for a file beside the user's own: `haproxy -f haproxy.cfg -f FILE`."""
    return proxy.render(proxy.backends(services))


def nginx(services: Sequence[Service]) -> str:
    """Upstreams, to be included in `http` or `stream`; there is one tier of standbys."""
    return proxy.HEAD + "".join("\n".join(_upstream(service)) for service in services)


def _upstream(service: Service) -> Iterator[str]:
    yield f"\nupstream {service.label} {{"
    for number, tier in enumerate(service.tiers(2)):
        backup = " backup" if number else ""
        for server, weight in _weighed(tier):
            yield f"    server {server.authority} weight={weight}{backup};"
    yield "}\n"


def envoy_eds(services: Sequence[Service]) -> str:
    """A discovery response (EDS v3) for the cluster of the service's name.

    Raises:
        UsageError: Several services, which Envoy takes in files of their own alone.
    """
    if len(services) > 1:
        raise UsageError("envoy-eds: Envoy reads one service from a file; write one for each")
    (service,) = services
    assignment = {
        "@type": _EDS,
        "cluster_name": service.name,
        "endpoints": [
            {"priority": number, "lb_endpoints": [_envoy(*each) for each in _weighed(tier)]}
            for number, tier in enumerate(service.tiers(ENVOY_TIERS))
        ],
    }
    return _json({"resources": [assignment]})


def _envoy(server: Server, weight: int) -> dict[str, Any]:
    address = {"address": server.address, "port_value": server.port}
    endpoint = {"address": {"socket_address": address}}
    return {"endpoint": endpoint, "load_balancing_weight": weight}


def traefik(services: Sequence[Service]) -> str:
    """Services for Traefik's file provider (version 3), as JSON, which is YAML, too.

    They have the servers of the first tier alone: Traefik falls back from one service to
    another only with a health check of which the path is the user's to say.
    """
    kinds: dict[str, dict[str, Any]] = {}
    for service in services:
        kind, entries = "tcp", _traefik_tcp
        if service.is_web:
            kind, entries = "http", _traefik_http
        found = kinds.setdefault(kind, {"services": {}})["services"]
        found |= entries(service.label, _weighed(service.tiers(MOST_WEIGHT)[0]))
    return _json(kinds)


def _traefik_http(name: str, servers: _Weighed) -> dict[str, Any]:
    urls = [{"url": f"http://{each.authority}", "weight": weight} for each, weight in servers]
    return {name: {"loadBalancer": {"servers": urls}}}


def _traefik_tcp(name: str, servers: _Weighed) -> dict[str, Any]:
    """A service of services, since no server has a weight there."""
    alone = {
        f"{name}-{number}": ({"address": server.authority}, weight)
        for number, (server, weight) in enumerate(servers, 1)
    }
    parts = [{"name": part, "weight": weight} for part, (_, weight) in alone.items()]
    balancers = {part: {"loadBalancer": {"servers": [at]}} for part, (at, _) in alone.items()}
    return {name: {"weighted": {"services": parts}}, **balancers}


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _weighed(tier: Sequence[Server]) -> _Weighed:
    return zip(tier, weights(tier, MOST_WEIGHT), strict=True)


def prometheus(services: Sequence[Service]) -> str:
    """Targets for `file_sd_configs`; labels that begin with `__meta_` are for relabelling."""
    groups = [_group(service, server) for service in services for server in service.servers]
    return _json(groups)


def _group(service: Service, server: Server) -> dict[str, Any]:
    endpoint = server.endpoint
    labels = {
        "service": service.name,
        "__meta_dnssd_instance": endpoint.instance or "",
        "__meta_dnssd_target": endpoint.target.removesuffix("."),
        "__meta_dnssd_priority": str(endpoint.priority),
        "__meta_dnssd_weight": str(endpoint.weight),
    }
    return {"targets": [server.authority], "labels": labels}


FORMATS: Mapping[str, Format] = {
    "haproxy": haproxy,
    "nginx": nginx,
    "envoy-eds": envoy_eds,
    "traefik": traefik,
    "prometheus": prometheus,
}
