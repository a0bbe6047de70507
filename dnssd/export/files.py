"""Files that other programs read: whole or as they were, and written only if they change."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dnssd.errors import Unavailable


def update(path: Path, text: str, accept: Callable[[], None]) -> bool:
    """Bring a file to a text, unless it has it.

    Args:
        path: The file, or a symbolic link to it.
        text: What it shall hold.
        accept: Called once it does; where that fails, the file becomes what it was.

    Returns:
        Whether it was written.

    Raises:
        Unavailable: It can be neither read nor written.
    """
    path = path.resolve()  # a link shall stay one
    before = read(path)
    if before == text:
        return False
    write(path, text)
    try:
        accept()
    except BaseException:
        if before is not None:
            write(path, before)
        else:
            path.unlink(missing_ok=True)
        raise
    return True


def read(path: Path) -> str | None:
    """What a file holds; None if there is none.

    Raises:
        Unavailable: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unavailable(path, "read", error) from error


def write(path: Path, text: str) -> None:
    """Replace a file at once, so that nobody reads half of it; its owner and mode stay.

    Raises:
        Unavailable: It cannot be written; it is what it was.
    """
    try:
        _replace(path, text)
    except OSError as error:
        raise _unavailable(path, "written", error) from error


def _replace(path: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            _take_after(path, file.fileno())
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _take_after(path: Path, descriptor: int) -> None:
    """Give a file the owner and the mode of that in whose place it comes.

    A new one may be read by others: proxies run as users of their own.
    """
    try:
        was = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644)
        return
    with suppress(PermissionError):
        os.fchown(descriptor, was.st_uid, was.st_gid)
    os.fchmod(descriptor, was.st_mode & 0o777)


def _unavailable(path: Path, what: str, error: OSError) -> Unavailable:
    why = error.strerror or error
    return Unavailable(f"{path}: not {what}: {why}; check the file, its folder and their rights")
