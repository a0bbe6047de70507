"""Route 53, DNS and instance metadata on one machine, working together."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple, Self

from dnssd.errors import UsageError
from dnssd.names import Name
from dnssd.sandbox.api.exchange import Handler, Wrap
from dnssd.sandbox.api.hostedzones import MAX_LOG, NOTHING, HostedZone, HostedZones
from dnssd.sandbox.api.server import Api
from dnssd.sandbox.api.statefile import StateFile, saved
from dnssd.sandbox.dns.answers import respond
from dnssd.sandbox.dns.server import DnsServer
from dnssd.sandbox.metadata.instance import Instance, Metadata
from dnssd.sandbox.metadata.server import MetadataServer
from dnssd.sandbox.server import host_and_port, reachable
from dnssd.zones.route53.text import write_name

EXAMPLE = Name.parse("example.test")
_NO_IDS: Mapping[Name, str] = MappingProxyType({})


class Ports(NamedTuple):
    """Of the servers; 0 for any that is free."""

    api: int = 0
    dns: int = 0
    metadata: int = 0


ANY_PORTS = Ports()


class Sandbox:
    """Zones with a Route 53 API in front and a DNS server behind, and an instance's metadata.

    Args:
        serve: The origins of n >= 1 public zones; those that `state` does not hold are made.
        zone_ids: The identifiers that some of them have; the others get one.
        host: The IP address to listen on.
        ports: Where the servers listen.
        instance: Whom the metadata is about.
        wraps: What is laid around the API's operations, the outermost first.
        state: What keeps the zones when this ends, already entered.
        insync_after: Seconds for which the API calls a change PENDING.
        max_log: After how many batches the zone is remembered as it was.
        now: A monotonic clock, in seconds.
        rng: What DNS answers are shuffled with.

    Raises:
        UsageError: A zone that `state` holds has another identifier.
    """

    def __init__(
        self,
        serve: Sequence[Name] = (EXAMPLE,),
        *,
        zone_ids: Mapping[Name, str] = _NO_IDS,
        host: str = "127.0.0.1",
        ports: Ports = ANY_PORTS,
        instance: Instance | None = None,
        wraps: Sequence[Wrap] = (),
        state: StateFile | None = None,
        insync_after: float = 0.0,
        max_log: int = MAX_LOG,
        now: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        contents = state.contents if state else NOTHING
        self.zones = HostedZones(contents, now=now, insync_after=insync_after, max_log=max_log)
        served = [_public_zone(self.zones, origin, zone_ids.get(origin)) for origin in serve]
        self.zone_id, self.origin = served[0].id, served[0].origin
        self._named = self.origin in zone_ids
        self._rng = rng or random.Random()
        self._state = state
        wrap = _nested((*wraps, saved(state)) if state else wraps)
        self.api = Api(self.zones, host, ports.api, wrap=wrap)
        self.dns = DnsServer(self._respond, host, ports.dns)
        about = Metadata(instance or Instance(), now=now)
        self.metadata = MetadataServer(about, host, ports.metadata)
        self._running = ExitStack()
        self._host_state = ""

    def start(self) -> None:
        """Start all servers, or none.

        Raises:
            Unavailable: An address or a port cannot be had, or the state not be saved.
        """
        if self._state:
            self._state.keep(self.zones)
        with ExitStack() as started:
            for server in (self.api, self.dns, self.metadata):
                started.enter_context(server)
            self._host_state = started.enter_context(TemporaryDirectory(prefix="dnssd-sandbox-"))
            self._running = started.pop_all()

    def close(self) -> None:
        """Stop all servers, and remove what hosts kept; again does nothing."""
        self._running.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def host(self) -> str:
        """The IP address to reach the servers at, which all listen on one."""
        return reachable(self.dns.host)

    @property
    def dns_port(self) -> int:
        """The DNS server's port, UDP and TCP."""
        return self.dns.port

    @property
    def nameserver(self) -> str:
        """The DNS server as HOST:PORT."""
        return host_and_port(self.dns.host, self.dns.port)

    @property
    def api_url(self) -> str:
        """The API's endpoint."""
        return self.api.url

    @property
    def metadata_url(self) -> str:
        """The metadata service's endpoint."""
        return f"http://{host_and_port(self.metadata.host, self.metadata.port)}"

    def environment(self) -> dict[str, str]:
        """The variables that lead boto3 and dnssd here, once this has started.

        The zone is the first; what hosts keep of themselves has a folder of its own.
        """
        zone = _text(self.origin)
        return {
            "AWS_ENDPOINT_URL_ROUTE_53": self.api_url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata_url,
            "NO_PROXY": self.host,
            "DNSSD_ZONE": f"{zone},id={self.zone_id}" if self._named else zone,
            "DNSSD_DOMAIN": zone,
            "DNSSD_NAMESERVER": self.nameserver,
            "DNSSD_STATE": self._host_state,
        }

    def _respond(self, message: bytes, stream: bool) -> Sequence[bytes]:
        return respond(message, self.zones.zones(), self._rng, stream=stream)


def _public_zone(zones: HostedZones, origin: Name, zone_id: str | None) -> HostedZone:
    """The public zone of that name, made if there is none."""
    for zone in zones.zones():
        if zone.origin == origin and not zone.private:
            if zone_id not in (None, zone.id):
                raise UsageError(
                    f"zone {origin}: its ID is {zone.id}, not {zone_id}; leave ,id= out"
                )
            return zone
    reference = f"sandbox-{write_name(origin.lower())}"
    return zones.create_zone(origin, caller_reference=reference, zone_id=zone_id)


def _text(name: Name) -> str:
    return name.master().rstrip(".")


def _nested(wraps: Sequence[Wrap]) -> Wrap:
    """All of `wraps` as one, the first being the outermost."""

    def wrap(handler: Handler) -> Handler:
        for outer in reversed(wraps):
            handler = outer(handler)
        return handler

    return wrap


def lead_into(sandbox: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` as a program needs it that shall reach the sandbox and nothing else.

    Args:
        sandbox: What `Sandbox.environment` gives.
        environment: The caller's; its profiles, session tokens, endpoints and settings of
            dnssd would lead elsewhere and are left out.
    """
    led = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "DNSSD_", "BOTO_"))
    }
    led |= sandbox
    led["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "false"  # wins over the configuration file
    for name in ("NO_PROXY", "no_proxy"):  # Python prefers the latter
        if exempt := environment.get(name):
            led[name] = f"{exempt},{sandbox['NO_PROXY']}"
    return led
