"""The name servers that this machine asks, as its configuration names them now."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from dnssd.names import Name
from dnssd.wire.belief import TRUSTING, Doubt
from dnssd.wire.budget import Counts
from dnssd.wire.client import DnsClient
from dnssd.wire.connections import Network
from dnssd.wire.loop import Loop
from dnssd.wire.nameservers import NameServer, literal
from dnssd.wire.query import Done

RESOLV_CONF = Path("/etc/resolv.conf")
LOCAL = (NameServer("127.0.0.1"),)  # asked where none is named, as by the system itself
CHECK = 5.0  # seconds between looks whether it has changed
FAREWELL = 60.0  # seconds at least, after which questions to former name servers are over


class ResolvConf:
    """The servers that this machine's resolver asks, as they are now.

    Args:
        path: The file that names them.
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
            # Where it names none any more, it is being written just now.
            if stamp != self._seen and (servers := _named(self._path)):
                self._servers = servers
                self._seen = stamp
        return self._servers

    def _stamp(self) -> tuple[int, ...]:
        try:
            status = os.stat(self._path)
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_size


def system_nameservers(path: Path = RESOLV_CONF) -> tuple[NameServer, ...]:
    """The servers that this machine's resolver asks; its own where the file names none."""
    return _named(path) or LOCAL


def _named(path: Path) -> tuple[NameServer, ...]:
    """The servers that a file names; its `search` and `options` do not count."""
    lines: Iterable[str] = ()
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    servers = []
    for words in map(str.split, lines):
        if len(words) >= 2 and words[0] == "nameserver":
            with contextlib.suppress(ValueError):
                servers.append(NameServer(literal(words[1])))
    return tuple(servers)


class SystemServers:
    """Asks the servers that this machine's configuration names now."""

    def __init__(
        self,
        loop: Loop,
        network: Network,
        resolv_conf: ResolvConf,
        counts: Counts | None = None,
    ) -> None:
        self._loop = loop
        self._network = network
        self._resolv_conf = resolv_conf
        self._counts = counts
        self._clients = [DnsClient(loop, resolv_conf.servers(loop.time()), network, counts=counts)]

    @property
    def disturbed(self) -> int:
        """Questions so far to which something else than an answer came."""
        return sum(client.disturbed for client in self._clients)

    def ask(
        self, name: Name, rdtype: str, deadline: float, done: Done, doubt: Doubt = TRUSTING
    ) -> None:
        """Ask for one RRset (see `DnsClient`)."""
        now = self._loop.time()
        servers = self._resolv_conf.servers(now)
        if servers != self._clients[-1].servers:
            client = DnsClient(self._loop, servers, self._network, counts=self._counts)
            self._clients.append(client)
            self._loop.call_at(max(deadline, now + FAREWELL), self._close_former)
        self._clients[-1].ask(name, rdtype, deadline, done, doubt)

    def close(self) -> None:
        """Close all sockets."""
        for client in self._clients:
            client.close()

    def _close_former(self) -> None:
        self._clients.pop(0).close()
