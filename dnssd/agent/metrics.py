"""What an agent shows: metrics for Prometheus and /healthz on a port of loopback, or a file."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dnssd.agent.agent import Agent
from dnssd.agent.loop import ServiceAgent
from dnssd.agent.writing import Writer
from dnssd.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

LOOPBACK = "127.0.0.1"
EACH = 15.0  # seconds from one file to the next
PATIENCE = 5.0  # seconds that a client has for its request
_log = logging.getLogger("dnssd.agent")

STATES = ("starting", "passing", "failing", "maintenance")


def check_installed() -> None:
    """See that metrics can be had.

    Raises:
        UsageError: They cannot.
    """
    from importlib.util import find_spec

    if find_spec("prometheus_client") is None:
        raise UsageError("metrics: they need prometheus-client; install dnssd[metrics]")


async def serve(port: int, agent: Agent, writer: Writer) -> asyncio.Server:
    """Answer `/metrics` and `/healthz`.

    Args:
        port: On loopback; 0 for any that is free.
        agent: Whom it is about.
        writer: Who writes for it.

    Raises:
        Unavailable: The port cannot be had.
    """
    from prometheus_client import generate_latest

    registry = _registry(agent, writer)
    return await serve_pages(
        port,
        {
            "/metrics": lambda: ("text/plain; version=0.0.4", generate_latest(registry)),
            "/healthz": lambda: ("application/json", json.dumps(health_of(agent)).encode()),
        },
    )


async def keep_file(path: str, agent: Agent, writer: Writer) -> None:
    """Write the metrics into a file again and again, until cancelled; then it goes.

    Args:
        path: Where a textfile collector looks.
        agent: Whom it is about.
        writer: Who writes for it.
    """
    from prometheus_client import write_to_textfile

    registry, trouble = _registry(agent, writer), ""
    try:
        while True:
            try:
                write_to_textfile(path, registry)
                trouble = ""
            except OSError as error:
                if (why := str(error.strerror)) != trouble:  # once, however often it is tried
                    _log.warning("metrics: %s: %s; it is tried again", path, why)
                trouble = why
            await asyncio.sleep(EACH)
    finally:
        with suppress(OSError):
            os.unlink(path)


Page = Callable[[], tuple[str, bytes]]


async def serve_pages(port: int, pages: dict[str, Page]) -> asyncio.Server:
    """Serve pages over HTTP on loopback.

    Raises:
        Unavailable: The port cannot be had.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                path = head.split()[1].decode("ascii", "replace").partition("?")[0]
                page = pages.get(path) if head.startswith((b"GET ", b"HEAD ")) else None
                kind, body = page() if page else ("text/plain", b"not found\n")
                writer.write(
                    f"HTTP/1.1 {'200 OK' if page else '404 Not Found'}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                )
                writer.write(b"" if head.startswith(b"HEAD ") else body)
                await writer.drain()
        writer.close()

    return await listen(port, answer)


async def listen(
    port: int, answer: Callable[..., Any], host: str | None = LOOPBACK
) -> asyncio.Server:
    """Listen on a port.

    Raises:
        Unavailable: It cannot be had.
    """
    try:
        return await asyncio.start_server(answer, host, port)
    except OSError as error:
        raise Unavailable(f"port {port}: {error.strerror}; give another") from error


def health_of(agent: Agent) -> dict[str, Any]:
    """Every service, and what its checks said last."""
    return {"services": [_service(each) for each in agent.services]}


def _service(agent: ServiceAgent) -> dict[str, Any]:
    return {
        **agent.service.about(),
        "state": agent.health.state,
        "checks": [
            {"check": url, "verdict": result.verdict, "said": result.said}
            for url, result in agent.results.items()
        ],
        "zones": [
            {
                "zone": publication.zone,
                "published": publication.done.published if publication.done else None,
                "held": publication.held,
                "trouble": publication.trouble or None,
            }
            for publication in agent.publications
        ],
    }


class _Collector:
    """Reads an agent whenever somebody asks for metrics.

    Args:
        agent: Which.
        writer: Who writes for it.
    """

    def __init__(self, agent: Agent, writer: Writer) -> None:
        self._agent = agent
        self._writer = writer

    def collect(self) -> Iterator["Metric"]:
        """The metrics as they are now."""
        agents = self._agent.services
        yield from _of_checks(agents)
        yield from _of_zones(agents)
        for what, told in (
            ("requests", "Requests to the zone's provider."),
            ("throttled", "Requests that it refused because there were too many."),
            ("conflicts", "Changes that it refused because the zone was not as it had been."),
        ):
            spent = self._writer.spent.items()
            counts = [((zone,), float(count)) for (kind, zone), count in spent if kind == what]
            yield _counter(what, told, counts, "zone")
        yield _counter("writers", "Starts of the process that writes.", [((), self._writer.starts)])


def _registry(agent: Agent, writer: Writer) -> "CollectorRegistry":
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    registry.register(_Collector(agent, writer))
    return registry


def _of_checks(agents: Iterable[ServiceAgent]) -> Iterator["Metric"]:
    states, passed, seconds = [], [], []
    for agent in agents:
        name = agent.service.name
        states += [((name, state), float(agent.health.state == state)) for state in STATES]
        for url, result in agent.results.items():
            passed.append(((name, url), float(result.verdict == "pass")))
            seconds.append(((name, url), result.seconds))
    yield _gauge("state", "Whether a service is in this state.", states, "service", "state")
    yield _gauge("check_passed", "Whether a check passed.", passed, "service", "check")
    yield _gauge("check_duration_seconds", "How long it took.", seconds, "service", "check")


def _of_zones(agents: Iterable[ServiceAgent]) -> Iterator["Metric"]:
    places = [(agent.service.name, p) for agent in agents for p in agent.publications]
    published = [((name, p.zone), float(bool(p.done and p.done.published))) for name, p in places]
    held = [((name, p.zone), float(p.held)) for name, p in places]
    yield _gauge("published", "Whether it is in DNS.", published, "service", "zone")
    yield _gauge("held", "Whether somebody keeps it out.", held, "service", "zone")
    for what, told in (
        ("joins", "Joins that changed something."),
        ("leaves", "Leaves that changed something."),
        ("failures", "Writes that failed."),
        ("lost", "Records that were gone and were written again."),
    ):
        counts = [((name, p.zone), float(p.counts[what])) for name, p in places]
        yield _counter(what, told, counts, "service", "zone")


_Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, told: str, samples: _Samples, *labels: str) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    metric = GaugeMetricFamily(f"dnssd_agent_{name}", told, labels=labels)
    for values, value in samples:
        metric.add_metric(values, value)
    return metric


def _counter(name: str, told: str, samples: _Samples, *labels: str) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    metric = CounterMetricFamily(f"dnssd_agent_{name}", told, labels=labels)
    for values, value in samples:
        metric.add_metric(values, value)
    return metric
