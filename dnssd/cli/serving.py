"""What name servers serve of a change, and how long they let clients remember an absence."""

from collections.abc import Sequence

from dnssd.cli.options import warn
from dnssd.errors import DnssdError, Unavailable
from dnssd.names import Name
from dnssd.records import Rdata
from dnssd.wire.blocking import ask
from dnssd.wire.nameservers import NameServer, system_nameservers
from dnssd.zones.pace import Pace

INTERVAL = 1.0  # seconds between questions whether a change is served
PATIENCE = 2.0  # seconds to wait for a name server's answer
LONG = 60  # seconds: longer than this an absence should not be remembered


def wait_seen(
    nameservers: Sequence[str],
    name: Name,
    wanted: frozenset[Rdata],
    gone: frozenset[Rdata],
    pace: Pace,
) -> None:
    """Return once each name server gives the wanted SRV values, and none of those that are gone.

    Args:
        nameservers: HOST[:PORT] each.
        name: The service instance name.
        wanted: SRV values that were joined.
        gone: SRV values that were left.
        pace: The deadline.

    Raises:
        DeadlineExceeded: One of them does not yet.
    """
    for nameserver in nameservers:
        servers = NameServer.parse(nameserver)
        while True:
            seen = _values(servers, name)
            if seen is not None and wanted <= seen and not gone & seen:
                break
            pace.pause(INTERVAL, f"{name}: not yet served as written by {nameserver}")


def hint_negative_ttl(origin: Name, nameservers: Sequence[str]) -> None:
    """Warn if clients remember an absence for long, as far as DNS tells within a second.

    A client that asks before the first join does not ask again for that long.
    """
    try:
        servers = NameServer.parse_all(nameservers) or system_nameservers()
        answer = ask(servers, origin, "SOA", 1.0)
    except DnssdError:
        return  # a hint is not worth an error
    for minimum in answer.values:
        warn_negative_ttl(origin, answer.ttl, str(minimum))


def warn_negative_ttl(origin: Name, ttl: int, soa: str) -> None:
    """Warn if min(TTL of the SOA record, its minimum) is long (RFC 2308 section 5).

    Args:
        origin: The zone.
        ttl: Seconds.
        soa: The record's data as text; its last field is the minimum, in seconds.
    """
    minimum = soa.split()[-1]
    seconds = min(ttl, int(minimum)) if minimum.isdigit() else ttl
    if seconds > LONG:
        warn(
            f"{origin}: clients that ask before a service is there remember its absence for "
            f"{seconds} s; set the TTL of the zone's SOA record to {LONG}"
        )


def _values(servers: Sequence[NameServer], name: Name) -> frozenset[Rdata] | None:
    try:
        return frozenset(ask(servers, name, "SRV", PATIENCE).values)
    except Unavailable:
        return None
