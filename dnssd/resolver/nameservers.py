"""Name servers: where they are, and how several are asked until one answers."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dns.exception
import dns.message
import dns.name
import dns.query

from dnssd.errors import Unavailable, UsageError
from dnssd.names import Name, shown
from dnssd.records import RRset
from dnssd.resolver.answers import Answer, NoAnswer, read_answer

MAX_ALIASES = 8  # answers that are nothing but an alias, one after the other
PAYLOAD = 1232  # octets: what UDP carries everywhere without fragments
ROUNDS = 4  # how often every server is asked before giving up
RESOLV_CONF = Path("/etc/resolv.conf")

_ADVICE = "check the network, or give another --nameserver"


@dataclass(frozen=True, slots=True)
class NameServer:
    """Where a name server listens, by UDP and TCP."""

    address: str
    port: int = 53

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST`, `HOST:PORT`, `IPV6` or `[IPV6]:PORT`; a host name is looked up.

        Raises:
            UsageError: None of these.
            Unavailable: The system does not know the host.
        """
        with contextlib.suppress(ValueError):
            return cls(str(ipaddress.ip_address(text)))
        host, colon, port = text.rpartition(":")
        if not colon or text.endswith("]"):
            host, port = text, "53"
        try:
            if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536 and host):
                raise ValueError(port)
            if host.startswith("[") and host.endswith("]"):
                return cls(str(ipaddress.IPv6Address(host[1:-1])), int(port))
            if ":" in host:
                raise ValueError(host)
        except ValueError as error:
            raise UsageError(
                f"name server {shown(text)}: not understood; write HOST, HOST:PORT or [IPV6]:PORT"
            ) from error
        return cls(_address(host), int(port))

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else (f"{self.address}:{self.port}")
        )


Exchange = Callable[[dns.message.Message, NameServer, float, bool], dns.message.Message]


def exchange(
    query: dns.message.Message, server: NameServer, seconds: float, by_tcp: bool = False
) -> dns.message.Message:
    """Send a question, by UDP or TCP.

    Args:
        query: The question.
        server: Whom to ask.
        seconds: How long it may take.
        by_tcp: Whether to use TCP, as after an answer that was cut short.

    Raises:
        dns.message.Truncated: The answer was too long for UDP.
        dns.exception.DNSException, OSError, EOFError: No answer to this question came.
    """
    if by_tcp:
        return dns.query.tcp(query, server.address, seconds, server.port)
    return dns.query.udp(
        query,
        server.address,
        seconds,
        server.port,
        ignore_unexpected=True,  # an answer from elsewhere, or to something else,
        ignore_errors=True,  # is passed over, and the right one awaited (RFC 5452)
        raise_on_truncation=True,
    )


class NameServers:
    """Servers of the same data: asked in turn, the one that answered last first.

    Args:
        servers: n >= 1.
        patience: Seconds to wait for one answer before the next server is asked.
        monotonic: The clock that deadlines refer to, in seconds.
        exchange: Sends one question to one server.
    """

    def __init__(
        self,
        servers: Sequence[NameServer],
        *,
        patience: float,
        monotonic: Callable[[], float],
        exchange: Exchange = exchange,
    ) -> None:
        self._servers = tuple(servers)
        self._patience = patience
        self._monotonic = monotonic
        self._exchange = exchange
        self._first = 0

    def ask(self, name: Name, rdtype: str, deadline: float) -> tuple[RRset | None, Answer]:
        """Ask for one RRset, following aliases.

        Args:
            name: The owner; the RRset is returned under this name, whatever its alias.
            rdtype: PTR, SRV, TXT, A or AAAA.
            deadline: When to give up, on the monotonic clock.

        Returns:
            The RRset, None if there is none, and the last answer with all it carried.

        Raises:
            Unavailable: No server has answered.
        """
        asked, ttl = name, None
        for _ in range(MAX_ALIASES):
            answer = self._ask(asked, rdtype, deadline)
            ttl = answer.ttl if ttl is None else min(ttl, answer.ttl)
            if answer.alias is None:
                return (RRset(name, rdtype, ttl, answer.values) if answer.values else None), answer
            asked = answer.alias
        raise Unavailable(
            f"{name}: {MAX_ALIASES} aliases (CNAME) in a row, the last to {asked}; "
            "have its zone corrected"
        )

    def _ask(self, name: Name, rdtype: str, deadline: float) -> Answer:
        """Until a server answers, or every one has been asked `ROUNDS` times."""
        failures: dict[NameServer, str] = {}
        unsigned: Answer | None = None
        with_edns = True
        for server in self._turns():
            if self._monotonic() >= deadline:
                break
            try:
                answer = self._try(_query(name, rdtype, with_edns), server, deadline)
            except NoAnswer as error:
                if with_edns and str(error) in ("FORMERR", "NOTIMP", "BADVERS"):
                    with_edns = False  # that may be all it minds (RFC 6891 section 7)
                else:
                    failures[server] = str(error)
                continue
            self._first = self._servers.index(server)
            if answer.signed:
                return answer
            unsigned = answer
        if unsigned and not failures:
            return unsigned  # nobody says otherwise: some forwarders drop the SOA record
        why = ", ".join(f"{server} {failure}" for server, failure in failures.items())
        raise Unavailable(f"{name} {rdtype}: {why or 'no time left'}; {_ADVICE}")

    def _try(self, query: dns.message.Message, server: NameServer, deadline: float) -> Answer:
        """One question to one server, by TCP too if the answer was cut short."""
        try:
            try:
                message = self._exchange(query, server, self._seconds(deadline), False)
            except dns.message.Truncated:
                message = self._exchange(query, server, self._seconds(deadline), True)
        except dns.exception.Timeout as error:
            raise NoAnswer("no answer") from error
        except OSError as error:
            raise NoAnswer(error.strerror or type(error).__name__) from error
        except (dns.exception.DNSException, EOFError, ValueError) as error:
            raise NoAnswer(f"a malformed answer ({type(error).__name__})") from error
        return read_answer(message)

    def _seconds(self, deadline: float) -> float:
        """How long to wait for an answer: as patience allows, and never past the deadline."""
        return max(0.0, min(self._patience, deadline - self._monotonic()))

    def _turns(self) -> Iterator[NameServer]:
        first = self._first
        for _ in range(ROUNDS):
            yield from self._servers[first:]
            yield from self._servers[:first]


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
                servers.append(NameServer(str(ipaddress.ip_address(words[1]))))
    if not servers:
        raise UsageError(f"{path}: it names no name server; give --nameserver")
    return tuple(servers)


def _query(name: Name, rdtype: str, with_edns: bool) -> dns.message.Message:
    # The labels are handed over as bytes: dnspython would make IDNA of text.
    query = dns.message.make_query(dns.name.Name((*name.labels, b"")), rdtype)
    query.use_edns(0 if with_edns else False, payload=PAYLOAD)
    return query


def _address(host: str) -> str:
    """The first address of a name server given by name."""
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host))
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
    except (OSError, UnicodeError) as error:
        raise Unavailable(
            f"name server {shown(host)}: its address is not known ({error}); give an address"
        ) from error
