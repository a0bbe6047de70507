"""What the answers of servers mean that take updates: each refusal is told apart."""

import dns.message
import dns.rcode
import dns.tsig
import dns.update
import pytest

from dnssd.errors import (
    AccessDenied,
    ChangeRejected,
    Conflict,
    DnssdError,
    Unavailable,
    ZoneError,
    ZoneNotFound,
)
from dnssd.names import Name
from dnssd.zones.rfc2136.keyfile import Key
from dnssd.zones.rfc2136.verdict import Fate, Request, judge

ORIGIN = Name.parse("example.test")
KEY = Key(Name.parse("k"), "hmac-sha256", b"secret-secret")
NAMES = (ORIGIN.child(b"h"),)


def judged(code: str, *, names: tuple[Name, ...] = NAMES, key: Key | None = KEY) -> DnssdError:
    """What a server's refusal means."""
    answer = dns.message.make_response(dns.update.UpdateMessage("example.test"))
    answer.set_rcode(dns.rcode.from_text(code))
    verdict = judge(answer, Request(ORIGIN, "10.0.0.2:53", key, names), 0.0)
    assert verdict is not None
    assert verdict.fate is {"SERVFAIL": Fate.NOT_DONE, "YXRRSET": Fate.STALE}.get(code, Fate.FINAL)
    return verdict.error


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        ("REFUSED", AccessDenied, "it takes no change of h.example.test.; allow the key to"),
        ("NOTAUTH", ZoneNotFound, "it is not the zone's primary server; name that one"),
        ("NOTZONE", ChangeRejected, "h.example.test. is not in this zone"),
        ("NOTIMP", ZoneError, "it takes no updates; name a server that does"),
        ("FORMERR", ChangeRejected, "it does not understand the request"),
        ("SERVFAIL", Unavailable, "its journal's folder must be writable"),
        ("YXRRSET", Conflict, "the zone is not as it was when read"),
        ("NOTIMP", ZoneError, "10.0.0.2:53 says NOTIMP"),
        ("BADTRUNC", ZoneError, "its log may say why"),
    ],
)
def test_each_refusal_of_an_update_has_its_own_words(
    code: str, error: type[DnssdError], said: str
) -> None:
    """And never the key's secret."""
    found = judged(code)

    assert type(found) is error
    assert said in str(found)
    assert "secret-secret" not in str(found)
    assert (found.name, found.server) == ("example.test.", "10.0.0.2:53")


def test_what_depends_on_the_request_is_told_apart() -> None:
    """A question is refused for the zone, and an update without a key for the key."""
    assert isinstance(judged("REFUSED", names=()), ZoneNotFound)
    assert "demands a key" in str(judged("NOTAUTH", key=None))
    assert "compare them" in str(judged("NOTAUTH", names=()))
