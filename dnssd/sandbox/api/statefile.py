"""A file that keeps the hosted zones: nothing that was answered is lost.

JSON with an RRset to a line, written beside the file and renamed over it, so that the file is
whole whatever happens. A request that changes something is answered once the file on disk
holds the change; requests that come meanwhile share the next saving.
"""

import fcntl
import json
import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from dnssd.errors import DnssdError, Unavailable, UsageError
from dnssd.names import shown
from dnssd.records import MAX_TTL
from dnssd.sandbox.api.batch import apply_edits
from dnssd.sandbox.api.exchange import Handler, Request, Response, Wrap, around, refusal
from dnssd.sandbox.api.hostedzones import Contents, HostedZone, HostedZones, Vpc
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset, Routing
from dnssd.sandbox.api.validation import TYPES, read_name
from dnssd.zones.route53.text import write_name

FORMAT = "dnssd sandbox state"
VERSION = 2

_ABSENT = -1  # the number of contents that nobody has
T = TypeVar("T")


class StateFile:
    """The file of one sandbox at a time; used as a context manager.

    Args:
        path: Where it is, or will be. Beside it stands a lock file, `PATH.lock`, which
            stays there.

    Attributes:
        contents: What the file held on entering; no zones if there was none.
    """

    def __init__(self, path: Path) -> None:
        self.contents = Contents()
        self._shown = f"state file {_printable(str(path))}"
        self._path = Path(os.path.realpath(path))  # a link is to stay one
        self._saved = _ABSENT
        self._saving = threading.Lock()
        self._zones: HostedZones | None = None
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Take the file, and read it if it is there.

        Raises:
            UsageError: It is no file, or what it holds is no state that this program knows.
            Unavailable: Another sandbox has it, or it cannot be read.
        """
        if self._path.exists() and not self._path.is_file():
            raise UsageError(f"{self._shown}: not a regular file; name another")
        with ExitStack() as held:
            held.callback(os.close, self._locked())
            self._read()
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Save what has not been saved yet, and let the file go.

        Raises:
            Unavailable: It cannot be written.
        """
        with self._held:
            self.save()

    def keep(self, zones: HostedZones) -> None:
        """Let the file hold what `zones` hold, from now on.

        Raises:
            Unavailable: It cannot be written.
        """
        self._zones = zones
        self.save()

    def save(self) -> None:
        """Return once the file holds what was done until now.

        Raises:
            Unavailable: It cannot be written.
        """
        if self._zones is None:
            return
        wanted = self._zones.contents().number
        with self._saving:
            if self._saved < wanted:  # else somebody has just saved it too
                contents = self._zones.contents()
                self._write(format_state(contents))
                self._saved = contents.number

    def _locked(self) -> int:
        """A file descriptor that keeps others out as long as it is open."""
        lock = None
        try:
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if lock is not None:
                os.close(lock)
            if isinstance(error, BlockingIOError):
                raise Unavailable(
                    f"{self._shown}: another sandbox uses it; stop that one, or name another file"
                ) from error
            raise self._failed("lock", error) from error
        return lock

    def _read(self) -> None:
        try:
            self.contents = parse_state(self._path.read_bytes())
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed("read", error) from error
        except UsageError as error:
            raise UsageError(
                f"{self._shown}: {error}; it was left as it is: restore or remove it, or name "
                "another file"
            ) from error
        self._saved = self.contents.number

    def _write(self, data: bytes) -> None:
        beside = self._path.with_name(f".{self._path.name}.new")
        try:
            beside.unlink(missing_ok=True)  # of a run that was killed
            with beside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
            _sync(self._path.parent)
        except OSError as error:
            raise self._failed("write", error) from error

    def _failed(self, verb: str, error: OSError) -> Unavailable:
        return Unavailable(
            f"{self._shown}: cannot {verb} it: {error.strerror}; "
            "name a file that can be read and written"
        )


def saved(file: StateFile) -> Wrap:
    """Answer a request that changed something only when `file` holds the change."""

    def step(handler: Handler, request: Request) -> Response:
        response = handler(request)
        if request.method != "GET" and response.error is None:
            try:
                file.save()
            except DnssdError as error:
                return refusal(request.id, Rejection("InternalFailure", str(error), 500))
        return response

    return around(step)


def format_state(contents: Contents) -> bytes:
    """The text of `contents`; `parse_state` is the inverse."""
    zones = ",\n".join(map(_format_zone, contents.zones))
    head = json.dumps({"format": FORMAT, "version": VERSION, "number": contents.number})
    return f'{head[:-1]}, "zones": [\n{zones}\n]}}\n'.encode()


def parse_state(data: bytes) -> Contents:
    """The contents that `data` is the text of.

    Raises:
        UsageError: It is damaged, something else, or of another version.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not JSON, so it is damaged or something else ({error})") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UsageError("JSON, but not the state of a sandbox")
    if document.get("version") != VERSION:
        raise UsageError(
            f"written in version {shown(str(document.get('version')))} of the format, of which "
            f"this program knows only {VERSION}"
        )
    try:
        zones = tuple(_parse_zone(zone) for zone in _get(document, "zones", list))
        for what in ("id", "caller_reference"):
            if len({getattr(zone, what) for zone in zones}) < len(zones):
                raise ValueError(f"two zones have one {what}")
        return Contents(zones, _get(document, "number", int))
    except (ValueError, KeyError, TypeError, DnssdError) as error:
        raise UsageError(f"damaged ({type(error).__name__}: {shown(str(error))})") from error


def _format_zone(zone: HostedZone) -> str:
    head = json.dumps(
        {
            "id": zone.id,
            "name": write_name(zone.origin),
            "caller_reference": zone.caller_reference,
            "comment": zone.comment,
            "vpc": [zone.vpc.id, zone.vpc.region] if zone.vpc else [],
        }
    )
    rrsets = (
        json.dumps([write_name(rrset.name), rrset.rdtype, rrset.ttl, rrset.texts, rrset.routing])
        for rrset in zone.rrsets
    )
    return f'{head[:-1]}, "rrsets": [\n' + ",\n".join(rrsets) + "\n]}"


def _parse_zone(fields: Any) -> HostedZone:
    origin, vpc = read_name(_get(fields, "name", str)).lower(), _get(fields, "vpc", list)
    edits = [Edit(Action.CREATE, _parse_rrset(*rrset)) for rrset in _get(fields, "rrsets", list)]
    return HostedZone(
        id=_get(fields, "id", str),
        origin=origin,
        vpc=Vpc(*(_checked(text, str) for text in vpc)) if vpc else None,
        caller_reference=_get(fields, "caller_reference", str),
        comment=_get(fields, "comment", str),
        rrsets=apply_edits(origin, (), edits, len(edits)),
    )


def _parse_rrset(name: Any, rdtype: Any, ttl: Any, texts: Any, routing: Any) -> HostedRRset:
    if rdtype not in TYPES or not 0 <= _checked(ttl, int) <= MAX_TTL:
        raise ValueError(f"type {rdtype}, TTL {ttl}")
    values = tuple(_checked(text, str) for text in _checked(texts, list))
    rrset = HostedRRset(
        read_name(_checked(name, str)), rdtype, ttl, values, _parse_routing(routing)
    )
    if bool(values) == rrset.is_alias:
        raise ValueError("an alias has no values, and everything else has some")
    return rrset


def _parse_routing(parts: Any) -> Routing:
    return tuple(
        (_checked(tag, str), content if isinstance(content, str) else _parse_routing(content))
        for tag, content in _checked(parts, list)
    )


def _get(fields: Mapping[str, Any], key: str, kind: type[T]) -> T:
    try:
        return _checked(fields[key], kind)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _checked(value: object, kind: type[T]) -> T:
    if type(value) is not kind:  # not isinstance(): True is no number here
        raise ValueError(f"{shown(str(value))} is no {kind.__name__}")
    return value


def _printable(text: str) -> str:
    return repr(text) if text.isprintable() else ascii(text)


def _sync(directory: Path) -> None:
    """Have the names in `directory` on disk, too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
