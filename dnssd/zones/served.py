"""What name servers serve of a change: asked of them, since some providers cannot tell."""

from collections.abc import Sequence

from dnssd.deadline import Deadline
from dnssd.errors import Unavailable
from dnssd.names import Name
from dnssd.records import Rdata
from dnssd.wire.blocking import ask
from dnssd.wire.nameservers import NameServer

INTERVAL_SECONDS = 1.0  # between questions whether a change is served
HOPELESS_TRIES = 5  # without an answer, one after the other: it has none for this name
ANSWER_SECONDS = 2.0  # to wait for a name server's answer


def wait_seen(
    nameservers: Sequence[str],
    name: Name,
    wanted: frozenset[Rdata],
    gone: frozenset[Rdata],
    deadline: Deadline,
) -> None:
    """Return once each name server gives the wanted SRV values, and none of those that are gone.

    Args:
        nameservers: HOST[:PORT] each.
        name: The service instance name.
        wanted: SRV values that were joined.
        gone: SRV values that were left.
        deadline: When to give up.

    Raises:
        DeadlineExceeded: One of them does not yet.
        Unavailable: One of them refuses to answer, or is not there.
    """
    for nameserver in nameservers:
        servers, failed = NameServer.parse(nameserver), 0
        while True:
            try:
                seen = frozenset(ask(servers, name, "SRV", ANSWER_SECONDS).values)
            except Unavailable:
                failed += 1
                if failed >= HOPELESS_TRIES:
                    raise
            else:
                failed = 0
                if wanted <= seen and not gone & seen:
                    break
            why = f"{name}: not yet served as written by {nameserver}"
            deadline.pause(INTERVAL_SECONDS, f"{why}; a resolver shows old answers until their TTL")
