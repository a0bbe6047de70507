"""A file that keeps a sandbox's zones: nothing that was answered is lost.

A request that changes something is answered once the file on disk holds the change. Saving
means writing all of it beside the file and renaming that over it, so that whatever happens
the file is whole; requests that come meanwhile share the next saving.
"""

import fcntl
import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from dnssd.errors import DnssdError, Unavailable, UsageError
from dnssd.sandbox.api.hostedzones import Contents, Store
from dnssd.sandbox.api.operations import Handler, Request, Response, Wrap, refusal
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.api.state import Writer, read

_ABSENT = -1  # the number of contents that no store has


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
        self._writer = Writer()
        self._store: Store | None = None
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
            data = self._read()
            if data is not None:
                self.contents = self._understood(data)
                self._saved = self.contents.number
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Save what has not been saved yet, and let the file go.

        Raises:
            Unavailable: It cannot be written.
        """
        with self._held:
            self.save()

    def keep(self, store: Store) -> None:
        """Let the file hold what `store` holds, from now on.

        Raises:
            Unavailable: It cannot be written.
        """
        self._store = store
        self.save()

    def save(self) -> None:
        """Return once the file holds what was done until now.

        Raises:
            Unavailable: It cannot be written.
        """
        if self._store is None:
            return
        wanted = self._store.contents().number
        with self._saving:
            if self._saved < wanted:  # else somebody has just saved it too
                contents = self._store.contents()
                self._write(self._writer.write(contents))
                self._saved = contents.number

    def _locked(self) -> int:
        """A file descriptor that keeps others out as long as it is open."""
        try:
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise self._failed("lock", error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                raise self._failed("lock", error) from error
            raise Unavailable(
                f"{self._shown}: another sandbox uses it; stop that one, or name another file"
            ) from error
        return lock

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", error) from error

    def _understood(self, data: bytes) -> Contents:
        try:
            return read(data)
        except UsageError as error:
            raise UsageError(
                f"{self._shown}: {error}; it was left as it is: restore or remove it, or name "
                "another file"
            ) from error

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

    def wrap(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            response = handler(request)
            if request.method != "GET" and response.error is None:
                try:
                    file.save()
                except DnssdError as error:
                    return refusal(request.id, Rejection("InternalFailure", str(error), 500))
            return response

        return handle

    return wrap


def _printable(text: str) -> str:
    return repr(text) if text.isprintable() else ascii(text)


def _sync(directory: Path) -> None:
    """Have the names in `directory` on disk, too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
