"""What asks whether a service answers: a check, as a URL. Pure; `probes` asks.

    tcp://HOST:PORT         connects
    tls://HOST:PORT         and shakes hands
    http(s)://HOST/PATH     answers 2xx; redirections are not followed
    grpc://HOST:PORT        says SERVING (grpc.health.v1; needs dnssd[grpc])
    exec:COMMAND            ends with 0; split as a shell splits words, run without one
    systemd:UNIT            is active
    unless-file:PATH        is absent; where it is there, the service is in maintenance

HOST left out is the member's own address, and with HOST left out too PORT is its own. Options
follow a comma at the end: `expect=TEXT` is to be in an HTTP answer; `name=NAME` is who a
certificate must be for. Without a name no certificate is verified: a check asks whether
something answers, not who.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self
from urllib.parse import urlsplit

from dnssd.errors import UsageError
from dnssd.names import shown

KEPT = 200  # characters of what a check said

_PORTS = {"http": 80, "https": 443}
_OPTION = re.compile(r",(expect|name)=([^,]+)$")
_ALLOWED = {"http": {"expect"}, "https": {"expect", "name"}, "tls": {"name"}}
_ASKED = ("tcp", "tls", "http", "https", "grpc")  # over the network
_KINDS = (*_ASKED, "exec", "systemd", "unless-file")
_FORMS = "tcp://, tls://, http://, https://, grpc://, exec:, systemd: or unless-file:"

Verdict = Literal["pass", "fail", "maintenance"]


@dataclass(frozen=True, slots=True)
class Result:
    """What one probe found.

    Attributes:
        verdict: `pass`, `fail` or `maintenance`.
        said: Its last word: one line of printable text, `KEPT` characters at most.
        seconds: How long it took.
    """

    verdict: Verdict
    said: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """What to probe.

    Attributes:
        url: As it was given.
        kind: What stands before the colon.
        host: Whom to ask; empty for the member's own address.
        port: Where; 0 for the member's own port.
        rest: Path, gRPC service, unit or file.
        words: The command of `exec`.
        options: Behind the comma.
    """

    url: str
    kind: str
    host: str = ""
    port: int = 0
    rest: str = ""
    words: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a check's URL.

        Raises:
            UsageError: It is none.
        """
        kind, colon, rest = url.partition(":")
        if not colon or kind not in _KINDS or not rest or not url.isprintable():
            raise _wrong(url, f"a check begins with {_FORMS}")
        if kind == "grpc":
            _check_grpc(url)
        if rest.startswith("//") and kind in _ASKED:
            return cls(url, kind, *_asked(url, kind))
        if kind in _ASKED:
            raise _wrong(url, f"it begins with {kind}://")
        if kind == "exec":
            return cls(url, kind, words=_words(url, rest))
        return cls(url, kind, rest=rest)

    @property
    def needs_port(self) -> bool:
        """Whether it asks a port that it does not name."""
        return self.kind in _ASKED and not self.port

    def at(self, address: str, port: int) -> Self:
        """This check with nothing left out.

        Args:
            address: The member's own.
            port: The port that the member offers.
        """
        if self.kind not in _ASKED or self.host:
            return self
        return replace(self, host=address, port=self.port or port)


def address_to_check(chosen: Sequence[str], own: Sequence[str]) -> str:
    """The member's own address: the first that was given as such, else the host's first.

    Args:
        chosen: Which of the host's addresses the member has: `private`, `public` or one in full.
        own: The host's private addresses.
    """
    given = [address for address in chosen if address not in ("private", "public")]
    return next(iter((*given, *own)), "127.0.0.1")


def escaped(text: str) -> str:
    """The first `KEPT` characters, on one line, with nothing that moves a cursor."""
    line = " ".join(text.split())
    kept = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line[:KEPT])
    return kept[:KEPT]


def _asked(url: str, kind: str) -> tuple[str, int, str, tuple[str, ...], dict[str, str]]:
    """Host, port, path, no words, options."""
    rest = url
    options: dict[str, str] = {}
    while match := _OPTION.search(rest):
        if match[1] not in _ALLOWED.get(kind, ()) or match[1] in options:
            raise _wrong(url, f"{kind}:// takes no such {match[1]}=")
        options[match[1]] = match[2]
        rest = rest[: match.start()]
    try:
        parts = urlsplit(rest)
        port = parts.port or (_PORTS.get(kind, 0) if parts.hostname else 0)
    except ValueError as error:
        raise _wrong(url, str(error)) from error
    if parts.username is not None or parts.fragment:
        raise _wrong(url, "neither a user nor a fragment belongs there")
    if kind == "grpc" and len(parts.path) > 100:
        raise _wrong(url, "the service's name is too long")
    if parts.hostname and not port:
        raise _wrong(url, "a port is needed behind the host")
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or " " in path or (path and kind in ("tcp", "tls")):
        raise _wrong(url, "that path cannot be asked for")
    return parts.hostname or "", port, path, (), options


def _check_grpc(url: str) -> None:
    from importlib.util import find_spec

    if find_spec("grpc") is None:
        raise _wrong(url, "it needs grpcio; install dnssd[grpc]")


def _words(url: str, rest: str) -> tuple[str, ...]:
    import shlex  # most checks are no commands

    try:
        words = tuple(shlex.split(rest))
    except ValueError as error:
        raise _wrong(url, str(error)) from error
    if not words:
        raise _wrong(url, "no command in it")
    return words


def _wrong(url: str, why: str) -> UsageError:
    return UsageError(f"check {shown(url)}: {why[:1].lower()}{why[1:].rstrip('.')}")
