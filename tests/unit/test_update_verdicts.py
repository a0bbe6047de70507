"""What answers of updatable servers mean that say something about the server, not about data."""

import dns.message
import dns.rcode
import dns.update
import pytest

from dnssd import errors
from dnssd.names import Name
from dnssd.zones.rfc2136.keyfile import Key
from dnssd.zones.rfc2136.verdict import Fate, Request, judge

ORIGIN = Name.parse("example.com")
KEY = Key(Name.parse("host-key"), "hmac-sha256", b"the secret")
UPDATE = Request(ORIGIN, "10.0.0.2:53", KEY, (ORIGIN.child(b"h"),))
QUESTION = Request(ORIGIN, "10.0.0.2:53", KEY)


def answer(code: dns.rcode.Rcode) -> dns.message.Message:
    """An answer with a code, to an update."""
    message = dns.message.make_response(dns.update.UpdateMessage("example.com"))
    message.set_rcode(code)
    return message


@pytest.mark.parametrize(
    ("code", "fate", "error", "said"),
    [
        (dns.rcode.NXRRSET, Fate.STALE, errors.Conflict, "not as it was when read"),
        (dns.rcode.YXDOMAIN, Fate.STALE, errors.Conflict, "not as it was when read"),
        (dns.rcode.SERVFAIL, Fate.NOT_DONE, errors.Unavailable, "its log says why"),
        (dns.rcode.REFUSED, Fate.FINAL, errors.AccessDenied, "no change of h.example.com."),
        (dns.rcode.NOTIMP, Fate.FINAL, errors.ZoneError, "takes no updates"),
        (dns.rcode.NOTZONE, Fate.FINAL, errors.ChangeRejected, "h.example.com. is not in this"),
        (dns.rcode.NOTAUTH, Fate.FINAL, errors.ZoneNotFound, "not the zone's primary server"),
        (dns.rcode.FORMERR, Fate.FINAL, errors.ChangeRejected, "does not understand"),
        (dns.rcode.BADVERS, Fate.FINAL, errors.ZoneError, "its log may say why"),
    ],
    ids=lambda value: dns.rcode.to_text(value) if isinstance(value, dns.rcode.Rcode) else "",
)
def test_each_code_of_an_update_is_told_apart(
    code: dns.rcode.Rcode, fate: Fate, error: type[errors.DnssdError], said: str
) -> None:
    """One line that names server and code, and no secret."""
    verdict = judge(answer(code), UPDATE, 0)
    assert verdict is not None
    assert verdict.fate is fate
    assert type(verdict.error) is error
    assert (verdict.error.name, verdict.error.server) == ("example.com.", "10.0.0.2:53")
    text = str(verdict.error)
    assert text.startswith(f"example.com.: 10.0.0.2:53 says {dns.rcode.to_text(code)}")
    assert said in text
    assert "secret" not in text.replace("its secret", "")


def test_a_question_may_be_about_what_is_not_there() -> None:
    """That is an answer; a server that does not have the zone is none of its servers."""
    assert judge(answer(dns.rcode.NXDOMAIN), QUESTION, 0) is None
    verdict = judge(answer(dns.rcode.REFUSED), QUESTION, 0)
    assert verdict is not None
    assert isinstance(verdict.error, errors.ZoneNotFound)
