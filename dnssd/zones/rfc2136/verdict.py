"""What an answer means that is none: try again, somebody was faster, or final. Pure.

NOTAUTH alone means seven things; the error in its TSIG record tells most of them apart, and
that every question was signed tells the rest: a key that has asked is known to the server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import dns.message
import dns.opcode
import dns.rcode

from dnssd import errors
from dnssd.names import Name
from dnssd.zones.rfc2136.keyfile import Key

_STALE = (dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXRRSET, dns.rcode.NXDOMAIN)

_SPOKEN: Mapping[int, str] = {
    dns.rcode.BADSIG: "BADSIG",
    dns.rcode.BADKEY: "BADKEY",
    dns.rcode.BADTIME: "BADTIME",
}


class Fate(Enum):
    """What became of a request."""

    NOT_DONE = "it was not carried out: try again"
    STALE = "the zone is not as the request says"
    FINAL = "it was refused: trying again will not help"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a request, and the error that says so."""

    fate: Fate
    error: errors.DnssdError

    @property
    def why(self) -> str:
        """The error's words without the zone's name."""
        return str(self.error).partition(": ")[2]


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked whom for what, for messages.

    Attributes:
        origin: The zone's apex.
        server: `HOST:PORT`.
        key: What signed it.
        names: What it would have changed; none for a question.
    """

    origin: Name
    server: str
    key: Key | None
    names: Sequence[Name] = ()

    @property
    def signed(self) -> str:
        """By whom."""
        if self.key is None:
            return "without a key"
        return f"with key {self.key.name} ({self.key.algorithm})"

    @property
    def changed(self) -> str:
        """The names, for a person who writes access rules."""
        return ", ".join(map(str, self.names))


def judge(answer: dns.message.Message, request: Request, now: float) -> Verdict | None:
    """Tell what a server's answer means; None if it did what was asked.

    Args:
        answer: A question's answer may say that a name does not exist; that is no error.
        request: What was asked.
        now: This host's time of day, in seconds.
    """
    verdict = _judged(answer, request, now)
    if verdict:
        verdict.error.about(name=str(request.origin), server=request.server)
    return verdict


def _judged(answer: dns.message.Message, request: Request, now: float) -> Verdict | None:
    code = answer.rcode()
    is_update = bool(request.names)
    if code == dns.rcode.NOERROR or (code == dns.rcode.NXDOMAIN and not is_update):
        return None
    what = f"{request.origin}: {request.server} says {dns.rcode.to_text(code)}"
    if code in _STALE:
        return Verdict(Fate.STALE, errors.Conflict(f"{what}: the zone is not as it was when read"))
    if code == dns.rcode.SERVFAIL:
        why = "its log says why, and its journal's folder must be writable"
        return Verdict(Fate.NOT_DONE, errors.Unavailable(f"{what}: {why}"))
    if code == dns.rcode.NOTAUTH:
        return Verdict(Fate.FINAL, _not_authorized(answer, request, what, now))
    return Verdict(Fate.FINAL, _refusal(code, request, what))


def _not_authorized(
    answer: dns.message.Message, request: Request, what: str, now: float
) -> errors.DnssdError:
    error = answer.tsig_error or 0
    if error == dns.rcode.BADSIG:
        why = "its secret is not the server's; copy the key file from there again"
    elif error == dns.rcode.BADTIME:
        why = f"{_clocks(answer, now)}; set the clock of this host"
    elif error == dns.rcode.BADKEY and request.names:
        why = f"the key may not change one of these names: {request.changed}; allow it to"
    elif error == dns.rcode.BADKEY:
        why = "the server knows no such key, or it by another algorithm; add it there"
    elif request.names and request.key is None:
        why = "it is not the zone's server, or demands a key; name a primary server and a keyring"
    elif request.names:
        why = "it is not the zone's primary server; name that one"
    else:
        why = "key, algorithm, secret or clock is not as the server has it; compare them"
    spoken = f" ({_SPOKEN[error]})" if error in _SPOKEN else ""
    if error == 0 and request.names:
        return errors.ZoneNotFound(f"{what}: {why}")
    return errors.AccessDenied(f"{what}{spoken} {request.signed}: {why}")


def _clocks(answer: dns.message.Message, now: float) -> str:
    """How far apart the clocks are: a BADTIME answer ends with the server's (RFC 8945)."""
    other = answer.tsig[0].other if answer.tsig else b""
    if len(other) != 6:
        return "the clocks differ"
    apart = round(now - int.from_bytes(other))
    return f"this host's clock is {abs(apart)} s {'ahead' if apart > 0 else 'behind'}"


def _refusal(code: int, request: Request, what: str) -> errors.DnssdError:
    if code == dns.rcode.REFUSED and request.names:
        return errors.AccessDenied(
            f"{what} {request.signed}: it takes no change of {request.changed}; allow the key to "
            "make it, on the primary server"
        )
    if code == dns.rcode.REFUSED:
        return errors.ZoneNotFound(f"{what}: it does not answer for this zone; name a server of it")
    if code == dns.rcode.NOTIMP:
        return errors.ZoneError(f"{what}: it takes no updates; name a server that does (RFC 2136)")
    if code == dns.rcode.NOTZONE:
        return errors.ChangeRejected(f"{what}: {request.changed} is not in this zone")
    if code == dns.rcode.FORMERR:
        return errors.ChangeRejected(f"{what}: it does not understand the request")
    return errors.ZoneError(f"{what}: its log may say why")
