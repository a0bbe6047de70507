"""Name servers: where they are, and which ones this machine asks."""

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dnssd.errors import Unavailable, UsageError
from dnssd.names import shown

RESOLV_CONF = Path("/etc/resolv.conf")
CHECK = 5.0  # seconds between looks whether it has changed


@dataclass(frozen=True, slots=True)
class NameServer:
    """Where a name server listens, by UDP and TCP."""

    address: str
    port: int = 53

    @classmethod
    def parse(cls, text: str) -> tuple[Self, ...]:
        """Read `HOST`, `HOST:PORT`, `IPV6` or `[IPV6]:PORT`; a host name is looked up.

        Returns:
            One for each address: `localhost` has two, and a server may listen on either.

        Raises:
            UsageError: None of these.
            Unavailable: The system does not know the host.
        """
        with contextlib.suppress(ValueError):
            return (cls(_literal(text)),)
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, "53"
        try:
            if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536 and host):
                raise ValueError(port)
            if host.startswith("[") and host.endswith("]"):
                if ":" not in host:
                    raise ValueError(host)
                return (cls(_literal(host[1:-1]), int(port)),)
            if ":" in host:
                raise ValueError(host)
        except ValueError as error:
            raise UsageError(
                f"name server {shown(text)}: not understood; write HOST, HOST:PORT or [IPV6]:PORT"
            ) from error
        return tuple(cls(address, int(port)) for address in _addresses(host))

    @classmethod
    def parse_all(cls, texts: Iterable[str]) -> tuple[Self, ...]:
        """Read several, in their order; raises as `parse` does."""
        return tuple(server for text in texts for server in cls.parse(text))

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else (f"{self.address}:{self.port}")
        )


class ResolvConf:
    """The servers that this machine's resolver asks, as they are now.

    Args:
        path: The file that names them.

    Raises:
        UsageError: It names none.
    """

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._seen = self._stamp()
        self._servers = system_nameservers(path)
        self._checked = float("-inf")

    def servers(self, now: float) -> tuple[NameServer, ...]:
        """The servers; a changed file is noticed within seconds, a broken one ignored.

        Args:
            now: Monotonic clock reading, in seconds.
        """
        if now - self._checked >= CHECK:
            self._checked = now
            stamp = self._stamp()
            if stamp != self._seen:
                with contextlib.suppress(UsageError):  # being written just now
                    self._servers = system_nameservers(self._path)
                    self._seen = stamp
        return self._servers

    def _stamp(self) -> tuple[int, ...]:
        try:
            status = os.stat(self._path)
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_size


def system_nameservers(path: Path = RESOLV_CONF) -> tuple[NameServer, ...]:
    """The servers that this machine's resolver asks; `search` and `options` do not count.

    Raises:
        UsageError: It names none.
    """
    lines: Iterable[str] = ()
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    servers = []
    for words in map(str.split, lines):
        if len(words) >= 2 and words[0] == "nameserver":
            with contextlib.suppress(ValueError):
                servers.append(NameServer(_literal(words[1])))
    if not servers:
        raise UsageError(f"{path}: it names no name server; give --nameserver")
    return tuple(servers)


def _literal(text: str) -> str:
    """An IP address; sockets take only ASCII in the scope of IPv6.

    Raises:
        ValueError: It is none.
    """
    if not (text.isascii() and text.isprintable()):
        raise ValueError(text)
    return str(ipaddress.ip_address(text))


def _addresses(host: str) -> tuple[str, ...]:
    """The addresses of a name server given by name, once each, in the system's order."""
    with contextlib.suppress(ValueError):
        return (_literal(host),)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        return tuple(dict.fromkeys(str(one[4][0]) for one in found))
    except (OSError, UnicodeError) as error:
        raise Unavailable(
            f"name server {shown(host)}: its address is not known ({error}); give an address"
        ) from error
