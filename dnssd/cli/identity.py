"""Who leaves: who this host is now, or who it was when it joined."""

from collections.abc import Iterable

from dnssd.deadline import Deadline
from dnssd.errors import DnssdError
from dnssd.hosts import (
    METADATA_AT_LEAVE_SECONDS,
    METADATA_IF_KEPT_SECONDS,
    HostFacts,
    this_host,
)
from dnssd.hosts.kept import Kept


def identities(
    joins: Iterable[Kept], host: str | None, cloud: str | None, deadline: Deadline
) -> list[HostFacts]:
    """Who this host is, and who it was; n >= 1.

    Its name may have changed since it joined, and its metadata be gone already.

    Args:
        joins: What was kept of them.
        host: The label that the caller gives.
        cloud: The cloud to ask.
        deadline: When to give up.

    Raises:
        DnssdError: Nobody knows.
    """
    kept = [one.facts for one in joins]
    kept = [facts for facts in kept if host is None or facts.label.lower() == host.lower()]
    budget = METADATA_IF_KEPT_SECONDS if kept else METADATA_AT_LEAVE_SECONDS
    try:
        now = this_host(deadline, host, budget=budget, cloud=cloud)
    except DnssdError:
        if not kept:
            raise
        return kept
    return [now, *(was for was in kept if (was.label, was.owner) != (now.label, now.owner))]
