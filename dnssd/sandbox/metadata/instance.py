"""What the metadata service of a made-up EC2 instance answers: version 2, tokens and all."""

import ipaddress
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dnssd.errors import UsageError
from dnssd.names import shown

MAX_TTL = 21600  # seconds that a token may live
MAX_TOKENS = 1000  # at a time; one more ends the oldest

_TOKEN_PATH = "/latest/api/token"  # noqa: S105 (a path)
_TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
_TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105 (a header's name)


@dataclass(frozen=True, slots=True)
class Instance:
    """The instance that the metadata is about; without a `private_ip` it has IPv6 alone.

    Raises:
        UsageError: An address that is none.
    """

    instance_id: str = "i-0123456789abcdef0"
    private_ip: str | None = "10.0.0.5"
    public_ip: str | None = None
    ipv6: str | None = None
    region: str = "us-east-1"
    availability_zone: str = "us-east-1a"
    account_id: str = "123456789012"

    def __post_init__(self) -> None:
        for text, version in ((self.private_ip, 4), (self.public_ip, 4), (self.ipv6, 6)):
            if text is not None and not _is_address(text, version):
                raise UsageError(f"address {shown(text)}: an IPv{version} address is needed")

    @property
    def hostname(self) -> str:
        """The private host name, made from the private address, or else from the ID."""
        domain = "ec2" if self.region == "us-east-1" else f"{self.region}.compute"
        if self.private_ip is None:
            return f"{self.instance_id}.{domain}.internal"
        return f"ip-{self.private_ip.replace('.', '-')}.{domain}.internal"

    @property
    def mac(self) -> str:
        """The hardware address of its only interface, made from the private address."""
        return "02:00:" + ipaddress.IPv4Address(self.private_ip or 0).packed.hex(":")


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP status, and what comes with it."""

    status: int
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Metadata:
    """Answers what `instance` asks about itself, on any number of threads.

    Args:
        instance: Whom it is about.
        now: A monotonic clock, in seconds: tokens expire by it.
        make_token: Gives a new unguessable token.
    """

    def __init__(
        self,
        instance: Instance,
        *,
        now: Callable[[], float],
        make_token: Callable[[], str] = secrets.token_urlsafe,
    ) -> None:
        self.instance = instance
        self._now = now
        self._make_token = make_token
        self._lock = threading.Lock()
        self._expiry: dict[str, float] = {}  # by token, the oldest first
        self._items = _items(instance)

    def tell(self, item: str, text: str | None) -> None:
        """Let an item below /latest/meta-data/ say this from now on; None for no such item."""
        path = f"/latest/meta-data/{item}"
        with self._lock:
            items = {key: said for key, said in self._items.items() if key != path}
            self._items = items | ({} if text is None else {path: text})

    def reply(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        """Answer one request.

        Args:
            method: The HTTP method.
            path: The path, without a query.
            headers: By name in lower case.
        """
        if "x-forwarded-for" in headers:
            return Reply(403)  # it came through a proxy, which must not speak for the instance
        if path == _TOKEN_PATH:
            return self._issue(headers) if method == "PUT" else Reply(405)
        if method not in ("GET", "HEAD"):
            return Reply(405)
        if not self._is_valid(headers.get(_TOKEN_HEADER, "")):
            return Reply(401)
        return self._read(path)

    def _issue(self, headers: Mapping[str, str]) -> Reply:
        text = headers.get(_TTL_HEADER, "")
        if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= MAX_TTL):
            return Reply(400)
        token = self._make_token()
        with self._lock:
            if len(self._expiry) >= MAX_TOKENS:
                del self._expiry[next(iter(self._expiry))]
            self._expiry[token] = self._now() + int(text)
        return Reply(200, token, ((_TTL_HEADER, text),))

    def _is_valid(self, token: str) -> bool:
        return self._now() < self._expiry.get(token, float("-inf"))

    def _read(self, path: str) -> Reply:
        """An item, or what a directory holds, directories with a slash at their end."""
        item, items = path.rstrip("/"), self._items
        if item in items:
            return Reply(200, items[item])
        below = [key[len(item) + 1 :] for key in items if key.startswith(item + "/")]
        entries = {name + slash for name, slash, _ in (rest.partition("/") for rest in below)}
        return Reply(200, "\n".join(sorted(entries))) if entries else Reply(404)


def _items(instance: Instance) -> dict[str, str]:
    """Every item by its path; what the instance does not have is absent."""
    interface = f"network/interfaces/macs/{instance.mac}/"
    metadata = {
        "ami-id": "ami-0123456789abcdef0",
        "hostname": instance.hostname,
        "instance-id": instance.instance_id,
        "instance-type": "t3.micro",
        "ipv6": instance.ipv6,
        "local-hostname": instance.hostname,
        "local-ipv4": instance.private_ip,
        "mac": instance.mac,
        "placement/availability-zone": instance.availability_zone,
        "placement/region": instance.region,
        "public-ipv4": instance.public_ip,
        "security-groups": "default",
        interface + "device-number": "0",
        interface + "ipv6s": instance.ipv6,
        interface + "local-hostname": instance.hostname,
        interface + "local-ipv4s": instance.private_ip,
        interface + "mac": instance.mac,
        interface + "owner-id": instance.account_id,
        interface + "public-ipv4s": instance.public_ip,
    }
    items = {f"/latest/meta-data/{path}": text for path, text in metadata.items() if text}
    document = "/latest/dynamic/instance-identity/document"
    return items | {document: json.dumps(_document(instance, metadata), indent=2)}


def _document(instance: Instance, metadata: Mapping[str, str | None]) -> dict[str, str | None]:
    return {
        "accountId": instance.account_id,
        "architecture": "x86_64",
        "availabilityZone": instance.availability_zone,
        "imageId": metadata["ami-id"],
        "instanceId": instance.instance_id,
        "instanceType": metadata["instance-type"],
        "kernelId": None,
        "pendingTime": "2026-01-01T00:00:00Z",
        "privateIp": instance.private_ip,
        "ramdiskId": None,
        "region": instance.region,
        "version": "2017-09-30",
    }


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
