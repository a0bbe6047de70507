"""The state folder: who this host was when it joined, for the leave that undoes it.

A host's name may change while it runs, and at its end its metadata service may not answer. So
each join, before its first change, keeps a file with the identity that it uses. The folder is
`$DNSSD_STATE`, else /run/dnssd, else $XDG_RUNTIME_DIR/dnssd; where none of them can be written,
nothing is kept.
"""

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from dnssd.hosts import HostFacts

FORMAT = 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One join of this host.

    Attributes:
        name: The service instance name, in the zone where it joined.
        port: The member's port.
        label: The host's label.
        owner: The member's owner.
        cloud: Which cloud said so.
        options: How it joined, as `dnssd join` was told.
        held: Whether its agent has seen that somebody wants it out.
    """

    name: str
    port: int
    label: str
    owner: str
    cloud: str
    options: Mapping[str, Any]
    held: bool = False

    @classmethod
    def of(cls, facts: HostFacts, name: str, port: int, options: Mapping[str, Any]) -> Self:
        """What to keep of a host that has joined."""
        return cls(
            name=name.lower(),
            port=port,
            label=facts.label,
            owner=facts.owner,
            cloud=facts.cloud,
            options=options,
        )

    @property
    def facts(self) -> HostFacts:
        """The host as it was: enough to leave, without its addresses."""
        return HostFacts(self.label, (), (), self.owner, "state folder", self.cloud)

    @property
    def file(self) -> str:
        """The file's name: one for each zone, service, instance and port."""
        zone = self.options.get("zone_address", "")  # two zones may have one name
        key = f"{self.name} {self.port} {zone}"
        return hashlib.sha256(key.encode()).hexdigest()[:32] + ".json"


class StateFolder:
    """Where joins are kept.

    Args:
        path: The folder; None to keep nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @classmethod
    def find(cls, environ: Mapping[str, str], run: Path = Path("/run")) -> Self:
        """The folder of this process.

        Args:
            environ: Its environment.
            run: Where root's programs keep what a reboot may lose.
        """
        if chosen := environ.get("DNSSD_STATE"):
            return cls(Path(chosen))
        folders = [run / "dnssd"]
        if own := environ.get("XDG_RUNTIME_DIR"):
            folders.append(Path(own) / "dnssd")
        return cls(next(filter(_can_be_ours, folders), None))

    @classmethod
    def of_addresses(cls, environ: Mapping[str, str]) -> Self:
        """The folder of plain addresses: `leave` looks for services alone."""
        found = cls.find(environ).path
        return cls(found and found / "addresses")

    def keep(self, kept: Kept) -> None:
        """Write one join, in place of what was kept of it; that it fails is logged."""
        if self.path is None:
            return
        file = self.path / kept.file
        new = file.with_suffix(f".{os.getpid()}.new")
        try:
            self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
            new.write_text(json.dumps({"format": FORMAT, **asdict(kept)}) + "\n", encoding="utf-8")
            new.replace(file)
        except OSError as error:
            _log.info("%s: not kept: %s", self.path, error.strerror)
            with contextlib.suppress(OSError):
                new.unlink()

    def forget(self, name: str, port: int | None = None) -> None:
        """Remove what is kept of an instance, or of one port of it."""
        for file, _ in self._files(name, port):
            with contextlib.suppress(OSError):
                file.unlink()

    def hold(self, name: str, port: int) -> None:
        """Remember that a member is to stay out, until it is kept anew."""
        for _, kept in tuple(self._files(name, port)):
            self.keep(replace(kept, held=True))

    def kept(self, name: str | None = None, port: int | None = None) -> tuple[Kept, ...]:
        """The joins of this host, of one instance or of all of them.

        Args:
            name: The service instance name; None for all.
            port: The member's port; None for all.
        """
        return tuple(kept for _, kept in self._files(name, port))

    def _files(self, name: str | None, port: int | None) -> Iterator[tuple[Path, Kept]]:
        try:
            files = sorted(self.path.glob("*.json")) if self.path else []
        except OSError:
            return
        for file in files:
            kept = _read(file)
            is_meant = kept and (name is None or name.lower() == kept.name)
            if kept and is_meant and port in (None, kept.port):
                yield file, kept


def _can_be_ours(folder: Path) -> bool:
    there = folder if folder.exists() else folder.parent
    return os.access(there, os.W_OK | os.X_OK)


def _read(file: Path) -> Kept | None:
    """What a file holds; None for what another program, or a later version, has put there."""
    try:
        if file.stat().st_uid not in (os.geteuid(), 0):  # anyone could have written it
            return None
        fields = json.loads(file.read_text(encoding="utf-8"))
        if fields.pop("format") != FORMAT:
            return None
        return Kept(**fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
