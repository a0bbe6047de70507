"""What a question needs to know once something has gone wrong: whose turn it is, and why; pure."""

from collections.abc import Sequence
from typing import NamedTuple

from dnssd.wire.belief import Doubt, Evidence

INTERVAL = 0.03  # seconds between bursts, at first
SILENT, FAILED = 0.25, 0.1  # seconds after which TCP is tried: some take nothing else


class Attempt(NamedTuple):
    """A packet to be sent."""

    server: int  # which one, counted from 0
    by_tcp: bool


class Trouble:
    """What a question needs to know that is not answered at once.

    Attributes:
        failures: What was last wrong with each server, by its number.
        asked: The servers that were asked.
        turn: The one that was asked last.
        sent_at: When that was, in seconds.
        by_udp_since: Since when nothing but UDP was tried, in seconds.
        interval: Seconds until the next burst.
        bursts: How many there were.
        replaced: How many attempts were replaced since the last one.
        evidence: What was heard.
        other: Whether anything else came that is no answer.
    """

    __slots__ = (
        "asked",
        "bursts",
        "by_udp_since",
        "evidence",
        "failures",
        "interval",
        "other",
        "replaced",
        "sent_at",
        "turn",
    )

    def __init__(self, first: int, sent_at: float, doubt: Doubt) -> None:
        self.evidence = Evidence(doubt)
        self.failures: dict[int, str] = {}
        self.asked = {first}
        self.turn = first
        self.sent_at = self.by_udp_since = sent_at
        self.interval = INTERVAL
        self.bursts = self.replaced = 0
        self.other = False

    def is_for_tcp(self, now: float) -> bool:
        """Whether the next attempt goes by TCP: now and then, where nothing is heard by UDP."""
        patience = FAILED if self.other else SILENT
        if self.evidence.heard or self.evidence.unsigned or now - self.by_udp_since < patience:
            return False
        self.by_udp_since = now + max(SILENT, now - self.sent_at)
        return True

    def next(self, servers: Sequence[int], *, by_tcp: bool) -> Attempt:
        """An attempt with the server whose turn it is, of these."""
        self.turn = next((number for number in servers if number > self.turn), servers[0])
        self.asked.add(self.turn)
        return Attempt(self.turn, by_tcp)
