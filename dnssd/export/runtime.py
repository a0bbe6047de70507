"""HAProxy's runtime API: commands through its socket, the stats socket's or the master's."""

import socket
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shutil import which
from subprocess import run

from dnssd.errors import Unavailable
from dnssd.export.haproxy import Slots
from dnssd.export.slots import parse_state

TIMEOUT = 5.0  # seconds that HAProxy may take to answer
LONGEST = 4000  # octets of commands in one line; HAProxy takes a buffer's length, 16,384
_MASTER = "#<PID>"  # how the answer of a master process to `show proc` begins
_LISTENER = "listen dnssd-check\n    bind 127.0.0.1:1\n"  # HAProxy accepts no file without one


class Runtime:
    """One HAProxy.

    Args:
        path: Its socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._prefix: str | None = None  # of commands for the worker behind a master

    def read(self, backends: Iterable[str]) -> dict[str, Slots]:
        """The slots of these backends; of those that it has not, none.

        Raises:
            Unavailable: It does not answer.
        """
        return parse_state(self.tell([f"show servers state {name}" for name in backends]))

    def tell(self, commands: Sequence[str]) -> str:
        """Have it carry out commands; what it says.

        Raises:
            Unavailable: It does not answer.
        """
        prefix = "@1 " if self._is_master() else ""
        return "".join(self._ask(line) for line in _lines([prefix + each for each in commands]))

    def reload(self) -> bool:
        """Have it read its files again; it can be told so through the master's socket alone.

        Raises:
            Unavailable: It does not answer.
        """
        if not self._is_master():
            return False
        self._ask("reload")
        return True

    def _is_master(self) -> bool:
        if self._prefix is None:
            self._prefix = "@1 " if self._ask("show proc").startswith(_MASTER) else ""
        return bool(self._prefix)

    def _ask(self, line: str) -> str:
        answer = bytearray()
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT)
                connection.connect(str(self._path))
                connection.sendall(line.encode() + b"\n")
                connection.shutdown(socket.SHUT_WR)  # else a master waits for more
                while part := connection.recv(65_536):
                    answer += part
        except OSError as error:
            self._prefix = None  # whoever answers next may be another
            why = error.strerror or "no answer"
            raise Unavailable(
                f"{self._path}: {why}; is HAProxy running, and may this user write to its socket?"
            ) from error
        return answer.decode(errors="backslashreplace")


def _lines(commands: Iterable[str]) -> Iterator[str]:
    """Commands in lines that are not too long."""
    line = ""
    for command in commands:
        if line and len(line) + len(command) > LONGEST:
            yield line
            line = ""
        line += f"; {command}" if line else command
    if line:
        yield line


def check(text: str) -> str:
    """What HAProxy finds wrong with a file of backends; nothing where it is not installed."""
    if (program := which("haproxy") or which("haproxy", path="/usr/sbin:/sbin")) is None:
        return ""
    with tempfile.TemporaryDirectory(prefix="dnssd-") as folder:
        ours, listener = Path(folder, "new.cfg"), Path(folder, "listener.cfg")
        ours.write_text(text, encoding="utf-8")
        listener.write_text(_LISTENER, encoding="utf-8")
        command = [program, "-c", "-q", "-f", str(ours), "-f", str(listener)]
        done = run(command, capture_output=True, check=False)  # noqa: S603 (files of our own)
    said = done.stderr.decode(errors="backslashreplace").splitlines()
    alerts = [line for line in said if "[ALERT]" in line]
    return " ".join((alerts or said or ["no reason given"])[0].split()) if done.returncode else ""
