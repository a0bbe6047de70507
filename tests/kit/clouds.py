"""Made-up clouds: their metadata services over real sockets, as strict as documented."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest

from dnssd.deadline import Deadline
from dnssd.hosts import HostFacts, azure, ecs, gce, openstack


class Clock:
    """A time that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.slept.append(seconds)

    def deadline(self, seconds: float = 30.0) -> Deadline:
        """A deadline on this clock; every wait is the longest that jitter allows."""
        return Deadline(seconds, monotonic=lambda: self.now, sleep=self.sleep, draw=lambda: 1.0)


class Reply(NamedTuple):
    """What a service answers."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}


def as_json(value: object) -> Reply:
    """An answer in JSON."""
    return Reply(200, json.dumps(value), {"Content-Type": "application/json"})


@dataclass
class Fake:
    """A metadata service: what it has been asked, and statuses to fail with first."""

    url: str = ""
    seen: list[str] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)

    def reply(self, method: str, target: str, headers: Mapping[str, str]) -> Reply:
        """Answer a request, or fail as told."""
        self.seen.append(target)
        if self.failures:
            return Reply(self.failures.pop(0), "no")
        if method != "GET":
            return Reply(405)
        return self.answer(target, headers)

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """What this cloud's service says."""
        return Reply(404)


@dataclass
class Google(Fake):
    """Compute Engine: 403 without its header or through a proxy, and signs what it says."""

    host: str = "1234567890123456789"
    zone: str = "projects/987654321/zones/europe-west1-b"
    nic: Any = field(
        default_factory=lambda: {
            "accessConfigs": [{"externalIp": "203.0.113.9", "type": "ONE_TO_ONE_NAT"}],
            "ip": "10.132.0.2",
            "ipv6s": ["2600:1900:4010::7"],
            "mac": "42:01:0a:84:00:02",
        }
    )

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """Items as text, directories as JSON if asked to recurse."""
        signed = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
        if headers.get("metadata-flavor") != "Google" or "x-forwarded-for" in headers:
            return Reply(403, "Missing Metadata-Flavor:Google header.", signed)
        items = {
            "project/project-id": "my-project",
            "instance/id": self.host,
            "instance/zone": self.zone,
            "instance/network-interfaces/0/?recursive=true": json.dumps(self.nic),
        }
        text = items.get(target.removeprefix("/computeMetadata/v1/"))
        return Reply(404, "", signed) if text is None else Reply(200, text, signed)


@dataclass
class Azure(Fake):
    """Azure: 400 without its header, without a version, or through a proxy."""

    compute: Any = field(
        default_factory=lambda: {
            "vmId": "02aab8a4-74ef-476e-8182-f6d2ba4166a6",
            "name": "web_vm_1",
            "location": "westeurope",
            "zone": "2",
            "subscriptionId": "8d10da13-8125-4ba9-a717-bf7490507b3d",
        }
    )
    public: str = "203.0.113.10"
    ipv6: str = ""
    frontends: list[dict[str, str]] = field(default_factory=list)

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """One of the two documents."""
        url = urlsplit(target)
        if headers.get("metadata") != "true" or "x-forwarded-for" in headers:
            return Reply(400, '{"error": "Bad request. Required metadata header not specified"}')
        if "api-version" not in parse_qs(url.query):
            return Reply(400, '{"error": "Bad request. api-version was not specified"}')
        if url.path == "/metadata/instance":
            return as_json({"compute": self.compute, "network": self._network()})
        if url.path == "/metadata/loadbalancer" and self.frontends:
            return as_json({"loadbalancer": {"publicIpAddresses": self.frontends}})
        return Reply(404, '{"error": "Not found"}')

    def _network(self) -> object:
        ipv4 = [{"privateIpAddress": "10.144.133.132", "publicIpAddress": self.public}]
        ipv6 = [{"privateIpAddress": self.ipv6}] if self.ipv6 else []
        return {"interface": [{"ipv4": {"ipAddress": ipv4}, "ipv6": {"ipAddress": ipv6}}]}


@dataclass
class OpenStack(Fake):
    """Nova: two files of its own, and items in EC2's form."""

    instance: Any = field(
        default_factory=lambda: {
            "uuid": "d8e02d56-2648-49a3-bf97-6be8f1204f38",
            "availability_zone": "nova",
            "hostname": "test.novalocal",
            "project_id": "f7ac731cc11f40efbc03a9f9e1d1d21f",
        }
    )
    networks: list[dict[str, str]] = field(
        default_factory=lambda: [
            {"id": "network0", "type": "ipv4", "ip_address": "192.168.7.3"},
            {"id": "network1", "type": "ipv6", "ip_address": "2600:1f00::3"},
        ]
    )
    floating: str | None = ""  # an empty item where there is none

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """A file or an item."""
        if target == "/openstack/latest/meta_data.json":
            return as_json(self.instance)
        if target == "/openstack/latest/network_data.json":
            return as_json({"links": [], "networks": self.networks, "services": []})
        if target == "/latest/meta-data/public-ipv4" and self.floating is not None:
            return Reply(200, self.floating)
        return Reply(200, "2018-08-27\nlatest") if target == "/openstack" else Reply(404)


ARN = "arn:aws:ecs:us-west-2:111122223333:task/default/158d1c8083dd49d6b527399fd6414f5c"


@dataclass
class Ecs(Fake):
    """The endpoint of one container, under a path of its own."""

    arn: Any = ARN
    networks: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "NetworkMode": "awsvpc",
                "IPv4Addresses": ["10.0.2.106"],
                "IPv6Addresses": ["2600:1f13:10b:1a00::6"],
                "MACAddress": "0e:9e:32:c7:48:85",
            }
        ]
    )
    path: str = "/v4/cd189a933e5849daa93386466019ab50-2495160603"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a process in the container."""
        return {"ECS_CONTAINER_METADATA_URI_V4": self.url + self.path}

    def answer(self, target: str, headers: Mapping[str, str]) -> Reply:
        """The task's document."""
        if target != self.path + "/task":
            return Reply(404, "404 page not found")
        containers = [{"Name": "web", "Type": "NORMAL", "Networks": self.networks}]
        return as_json(
            {"TaskARN": self.arn, "AvailabilityZone": "us-west-2d", "Containers": containers}
        )


FakeT = TypeVar("FakeT", bound=Fake)


@contextmanager
def serving(fake: FakeT) -> Iterator[FakeT]:
    """Run a fake on loopback; its `url` leads there."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = fake.reply(self.command, self.path, headers)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body.encode())))
            self.end_headers()
            self.wfile.write(reply.body.encode())

        do_GET = do_PUT = answer  # noqa: N815 (the names that http.server looks for)

        def version_string(self) -> str:
            return "fake"

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False  # its end waits for them
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        fake.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()


NICS = [
    {"interface": "net0", "nic_tag": "sdc_overlay", "ips": ["192.168.128.9/22", "addrconf"]},
    {
        "interface": "net1",
        "nic_tag": "external",
        "ips": ["165.225.138.76/24", "2600:1c00::76/64"],
        "primary": True,
    },
]


def mdata_get(folder: Path, nics: object = NICS, **values: str) -> dict[str, str]:
    """Write a program `mdata-get` of that metadata; the environment that finds it."""
    known = {
        "sdc:uuid": "8D10DA13-8125-4ba9-a717-bf7490507b3d",
        "sdc:datacenter_name": "us-east-1",
        "sdc:nics": json.dumps(nics),
        **{f"sdc:{key}": text for key, text in values.items()},
    }
    cases = "".join(f"{key}) printf '%s\\n' '{text}';;\n" for key, text in known.items())
    script = f'#!/bin/sh\ncase "$1" in\n{cases}*) echo "No metadata for $1" >&2; exit 1;;\nesac\n'
    program(folder, script)
    return {"PATH": str(folder)}


def program(folder: Path, script: str) -> None:
    """Write a program `mdata-get` that is this script."""
    path = folder / "mdata-get"
    path.write_text(script)
    path.chmod(0o755)


def route(ipv4: str | None = None, ipv6: str | None = None) -> Callable[..., str | None]:
    """Default routes that leave from these addresses."""
    return {socket.AF_INET: ipv4, socket.AF_INET6: ipv6}.get


def ask(fake: Fake, deadline: Deadline | None = None, **options: Any) -> HostFacts:
    """What a host makes of a fake of its cloud; without options it has no default route."""
    deadline = deadline or Clock().deadline()
    if isinstance(fake, Google):
        return gce.facts({"GCE_METADATA_HOST": fake.url.removeprefix("http://")}, deadline)
    if isinstance(fake, Azure):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(azure, "ENDPOINTS", (fake.url,))
            return azure.facts({}, deadline)
    options = {"route_address": route()} | options
    if isinstance(fake, Ecs):
        return ecs.facts(fake.environ, deadline, **options)
    return openstack.facts({}, deadline, at=(fake.url,), **options)
