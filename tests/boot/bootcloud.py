"""What is around a host that boots: Route 53, DNS, and the instance's metadata.

Each is a `dnssd sandbox` with addresses of its own in this process's network, and can be stopped
and started, or hang, by itself. Route 53 enforces the policy that `dnssd iam-policy` prints.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnssd.errors import NotFound
from dnssd.names import Name
from dnssd.resolver.client import Resolver
from dnssd.sandbox.api.statefile import StateFile
from dnssd.sandbox.sandbox import Sandbox

GATEWAY, HOST = "10.213.0.1", "10.213.0.2"
METADATA = "169.254.169.254"  # where it is on EC2: any address can be had in a network of one's own
API_PORT = 8000
ZONE = "example.test"
NAME = f"web._http._tcp.{ZONE}"
PATIENCE = 60.0  # seconds until a story gives up
INSTANCE = "i-0123456789abcdef0"


class Wrong(Exception):
    """Something is not as the story tells it."""


def expect(holds: bool, otherwise: str) -> None:
    """End the story where something does not hold."""
    if not holds:
        raise Wrong(otherwise)


def until(holds: Callable[[], bool], otherwise: str, within: float = PATIENCE) -> float:
    """Wait until something holds; how many seconds that took."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > within:
            raise Wrong(f"{otherwise} (within {within:g} s)")
        time.sleep(0.05)
    return time.monotonic() - started


def dnssd(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command beside the host, led to the sandbox."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "DNSSD_"))}
    return subprocess.run(
        (sys.executable, "-m", "dnssd", *arguments),
        env=clean | environment() | {"AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def environment() -> dict[str, str]:
    """What leads the AWS SDKs and dnssd to the sandbox."""
    return {
        "AWS_ENDPOINT_URL_ROUTE_53": f"http://{GATEWAY}:{API_PORT}",
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


class Service:
    """A `dnssd sandbox` that can go and come back."""

    def __init__(self, *options: str) -> None:
        self._command = (sys.executable, "-m", "dnssd", "sandbox", *options)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it warns of addresses that are no loopback
        )
        assert self._process.stdout
        expect(self._process.stdout.readline().startswith(b"export "), "no sandbox has started")

    def stop(self) -> None:
        """End it: connections are refused."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def hang(self) -> None:
        """Let it take connections, and answer nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End `hang`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where a host boots.

    Attributes:
        zone_id: Of the zone that it registers in.
        registry: Route 53 and its name servers.
        metadata: The instance's metadata service.
    """

    zone_id: str
    registry: Service
    metadata: Service

    def endpoints(self) -> set[str]:
        """Where clients find the service: `ADDRESS:PORT` each."""
        with Resolver([f"{GATEWAY}:53"]) as resolver:
            try:
                snapshot = resolver.lookup(NAME)
            except NotFound:
                return set()
        return {authority for one in snapshot.endpoints for authority in one.authorities}

    def status(self) -> dict[str, Any]:
        """What `dnssd status` tells, without what differs from run to run."""
        ran = dnssd("status", "http", "--instance", "web", "--json", "--zone", self.zone)
        expect(ran.returncode == 0, f"dnssd status failed: {ran.stderr}")
        told: dict[str, Any] = json.loads(ran.stdout)
        return told

    def members(self) -> list[tuple[str, str, bool]]:
        """Label, state, and whether it is published, of each member."""
        return [(m["member"], m["state"], m["published"]) for m in self.status()["members"]]

    def requests(self) -> dict[str, Any]:
        """What became of the requests to Route 53."""
        with urllib.request.urlopen(f"http://{GATEWAY}:{API_PORT}/sandbox/counts") as answer:
            counts: dict[str, Any] = json.load(answer)
            return counts

    @property
    def zone(self) -> str:
        """The zone's address."""
        return f"{ZONE},id={self.zone_id}"


def metadata_service(public_ip: str) -> Service:
    """The metadata of one instance, with a public address."""
    place = ("--bind", METADATA, "--metadata-port", "80")
    who = ("--instance-id", INSTANCE, "--private-ip", HOST, "--public-ip", public_ip)
    return Service(*place, *who)


@contextlib.contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """Everything around a host, running.

    Args:
        folder: Where the zone and the policy are kept.
    """
    state, policy = folder / "zones.json", folder / "policy.json"
    with StateFile(state) as file, Sandbox([Name.parse(ZONE)], state=file) as sandbox:
        zone_id = sandbox.zone_id
    granted = dnssd(*("iam-policy", "http", "--zone", f"{ZONE},id={zone_id}", "--instance", "web"))
    expect(granted.returncode == 0, f"dnssd iam-policy failed: {granted.stderr}")
    policy.write_text(granted.stdout)
    place = ("--bind", GATEWAY, "--api-port", str(API_PORT), "--dns-port", "53")
    kept = ("--serve", ZONE, "--state", str(state), "--policy", str(policy))
    made = Cloud(zone_id, Service(*place, *kept), metadata_service("192.0.2.7"))
    try:
        made.registry.start()
        made.metadata.start()
        yield made
    finally:
        made.registry.stop()
        made.metadata.stop()
