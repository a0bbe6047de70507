"""Snapshots on disk, so that a restart during an outage of DNS still finds its services."""

import base64
import contextlib
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dnssd.errors import DnssdError
from dnssd.names import Name
from dnssd.records import Address, Srv, Txt
from dnssd.resolver.cache import CachePolicy
from dnssd.resolver.known import MAX_TTL
from dnssd.resolver.snapshot import Endpoint, Instance, Snapshot
from dnssd.services import ServiceName, instance_text, parse_service_name

VERSION = 1  # of the files; others are passed over
AGAIN = 600.0  # seconds after which an unchanged snapshot is written again, with a new time
LARGEST = 4 << 20  # octets of a file that is read

# What a file that somebody has spoilt may lead to.
_UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    DnssdError,
)
_OURS = re.compile(r"[0-9a-f]{32}\.json|tmp\w+\.new")
_log = logging.getLogger(__name__)


class SnapshotFiles:
    """One file for each name, replaced as a whole.

    What cannot be written is told in the log, what cannot be read counts as not there.

    Args:
        folder: Where; made if it is missing, for this user alone.
        limits: How old a snapshot may be.
        wall: Seconds since the epoch.
        validated: Whether only snapshots count that are validated.
    """

    def __init__(
        self,
        folder: Path,
        limits: CachePolicy,
        wall: Callable[[], float] = time.time,
        *,
        validated: bool = False,
    ) -> None:
        self._folder = folder
        self._limits = limits
        self._wall = wall
        self._validated = validated
        self._written: dict[ServiceName, tuple[tuple[Instance, ...], float]] = {}

    def load(self, asked: ServiceName, now: float) -> Snapshot | None:
        """What was saved, if it is not too old.

        Args:
            asked: The service or instance.
            now: Monotonic clock reading, in seconds.
        """
        try:
            with self._path(asked).open("rb") as file:
                content = json.loads(file.read(LARGEST))
            if content["version"] != VERSION or Name.parse(content["name"]) != asked.name:
                return None
            age = self._wall() - float(content["expires"])
            instances = tuple(map(_instance, content["instances"]))
            validated = content.get("validated") is True
        except _UNREADABLE:
            return None
        endpoints = tuple(endpoint for one in instances for endpoint in one.endpoints)
        if age > self._limits.max_stale or not endpoints or validated < self._validated:
            return None
        endpoints = tuple(sorted(endpoints, key=lambda e: (e.priority, e.instance or "")))
        expires_at = now - max(0.0, age)  # a clock that was put back makes nothing fresh
        name = str(asked.name)
        return Snapshot(name, instances, endpoints, expires_at, "stale", validated=validated)

    def save(self, asked: ServiceName, snapshot: Snapshot | None, now: float) -> None:
        """Keep a snapshot; None to forget the one that is kept.

        Args:
            asked: The service or instance.
            snapshot: What is known of it.
            now: Monotonic clock reading, in seconds.
        """
        instances = snapshot.instances if snapshot else ()
        written, at = self._written.get(asked, (None, 0.0))
        if written == instances and now - at < AGAIN:
            return
        try:
            if snapshot is None:
                self._path(asked).unlink(missing_ok=True)
            else:
                self._write(asked, snapshot, self._wall() + snapshot.ttl(now))
        except OSError as error:
            _log.warning("%s: %s; what is known of %s is not kept", self._folder, error, asked.name)
        self._written.pop(asked, None)
        if len(self._written) >= self._limits.max_names:  # of those, forget the oldest
            del self._written[next(iter(self._written))]
        self._written[asked] = (instances, now)

    def _write(self, asked: ServiceName, snapshot: Snapshot, expires: float) -> None:
        """In full or not at all: another file first, which then takes the place."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._written:
            self._sweep()
        content = {
            "version": VERSION,
            "name": str(asked.name),
            "expires": expires,
            "validated": snapshot.validated,
            "instances": [_instance_json(instance) for instance in snapshot.instances],
        }
        import tempfile

        descriptor, path = tempfile.mkstemp(dir=self._folder, suffix=".new")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file)
            Path(path).replace(self._path(asked))
        except BaseException:
            with contextlib.suppress(OSError):
                Path(path).unlink()
            raise

    def _sweep(self) -> None:
        """Once: remove what is too old to be read, and what was left by a run that was killed."""
        oldest = self._wall() - self._limits.max_stale - MAX_TTL
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if _OURS.fullmatch(path.name) and path.stat().st_mtime < oldest:
                    path.unlink()

    def _path(self, asked: ServiceName) -> Path:
        # Names from DNS may hold any byte, "/" too: a digest of them never leads elsewhere.
        digest = hashlib.sha256(b"\0".join(asked.name.reversed[::-1])).hexdigest()
        return self._folder / f"{digest[:32]}.json"


def _instance_json(instance: Instance) -> dict[str, Any]:
    return {
        "name": instance.name,
        "instance": instance.instance,
        "txt": [base64.b64encode(string).decode() for string in instance.data.strings],
        "endpoints": [
            [e.target, e.port, e.priority, e.weight, e.addresses, e.service]
            for e in instance.endpoints
        ],
    }


def _instance(value: dict[str, Any]) -> Instance:
    name = Name.parse(value["name"])
    instance = None if value["instance"] is None else instance_text(name.labels[0])
    endpoints = tuple(_endpoint(instance, *endpoint) for endpoint in value["endpoints"])
    strings = tuple(base64.b64decode(string) for string in value["txt"])
    return Instance(str(name), instance, Txt(strings), endpoints)


def _endpoint(
    instance: str | None,
    target: str,
    port: int,
    priority: int,
    weight: int,
    addresses: list[str],
    service: str,
) -> Endpoint:
    srv = Srv(int(priority), int(weight), int(port), Name.parse(target))
    found = tuple(Address.parse(address).format() for address in addresses)
    of = str(parse_service_name(f"{service}.").service)
    return Endpoint(str(srv.target), srv.port, srv.priority, srv.weight, found, instance, of)
