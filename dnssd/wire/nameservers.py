"""Name servers: where they are, and which ones this machine asks."""

import contextlib
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from dnssd.errors import Unavailable, UsageError
from dnssd.names import shown


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
        if not isinstance(text, str):
            raise UsageError(f"name server {shown(repr(text))}: not a text; write HOST[:PORT]")
        with contextlib.suppress(ValueError):
            return (cls(literal(text)),)
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, "53"
        try:
            if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536 and host):
                raise ValueError(port)
            if host.startswith("[") and host.endswith("]"):
                if ":" not in host:
                    raise ValueError(host)
                return (cls(literal(host[1:-1]), int(port)),)
            if ":" in host or " " in host or not host.isprintable():
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


def literal(text: str) -> str:
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
        return (literal(host),)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        return tuple(dict.fromkeys(_address(one[4]) for one in found))
    except (OSError, UnicodeError) as error:
        raise Unavailable(
            f"name server {shown(host)}: its address is not known ({error}); give an address",
            server=host,
        ) from error


def _address(found: Sequence[object]) -> str:
    """The address in a socket address; of IPv6, one of a link alone with its link."""
    address, scope = str(found[0]), found[3] if len(found) > 3 else 0
    return f"{address}%{scope}" if scope and "%" not in address else address
