"""How long name servers let clients remember that a service was not there."""

from collections.abc import Sequence

from dnssd.cli.reporting import warn
from dnssd.errors import DnssdError
from dnssd.names import Name
from dnssd.wire.blocking import ask
from dnssd.wire.nameservers import NameServer, system_nameservers

LONG_ABSENCE = 60  # seconds: longer than this an absence should not be remembered


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
    if seconds > LONG_ABSENCE:
        warn(
            f"{origin}: clients that ask before a service is there remember its absence for "
            f"{seconds} s; set the TTL of the zone's SOA record to {LONG_ABSENCE}"
        )
