"""Answers that the name server says it has validated by DNSSEC, and no others (RFC 6840, AD)."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.wire.answers import Answer
from dnssd.wire.belief import TRUSTING, Doubt

Done = Callable[[Answer | Unavailable], object]


class Asks(Protocol):
    """Asks name servers (see `DnsClient`)."""

    @property
    def disturbed(self) -> int:
        """Questions so far to which something else than an answer came."""

    def ask(
        self, name: Name, rdtype: str, deadline: float, done: Done, doubt: Doubt = TRUSTING
    ) -> None:
        """Ask for one RRset."""

    def close(self) -> None:
        """Close all sockets."""


class ValidatedOnly:
    """Takes every other answer for none.

    Addresses that came along are left out: AD says nothing of them (RFC 4035 section 3.2.3).

    Args:
        client: Asks name servers.
    """

    def __init__(self, client: Asks) -> None:
        self._client = client
        self.close = client.close

    @property
    def disturbed(self) -> int:
        """Questions so far to which something else than an answer came."""
        return self._client.disturbed

    def ask(
        self, name: Name, rdtype: str, deadline: float, done: Done, doubt: Doubt = TRUSTING
    ) -> None:
        """Ask for one RRset."""
        self._client.ask(name, rdtype, deadline, partial(_checked, name, rdtype, done), doubt)


def _checked(name: Name, rdtype: str, done: Done, answer: Answer | Unavailable) -> None:
    if isinstance(answer, Answer):
        if not answer.validated:
            why = "the answer is not validated (AD); ask a server that validates, and sign the zone"
            done(Unavailable(f"{name} {rdtype}: {why}", name=str(name)))
            return
        answer = answer._replace(additional=())
    done(answer)
