"""What a host asks for by what it knows about itself: no caller need know its cloud."""

from collections.abc import Mapping, Sequence
from typing import Any

from dnssd.deadline import Deadline
from dnssd.errors import UsageError
from dnssd.hosts import HostFacts, this_host
from dnssd.names import Name
from dnssd.records import Address
from dnssd.registration.plainaddress import AddressWish
from dnssd.registration.request import Registration, parse_address
from dnssd.registration.wish import Departure


def registration_of(
    facts: HostFacts,
    service: str,
    *,
    addresses: Sequence[str] = (),
    target: str | None = None,
    **others: Any,
) -> Registration:
    """The registration of this host.

    Args:
        facts: Who it is.
        service: `_http._tcp`, or `http` for the same.
        addresses: `private`, `public` and IP addresses; private by default.
        target: An existing host name to use; no address is written then.
        others: As `Registration` has them.

    Raises:
        UsageError: One of them is not legal, or the host has no such address.
    """
    if target is None:
        addresses = chosen_addresses(facts, addresses or ("private",))
    return Registration(
        service=service,
        host=facts.label,
        owner=facts.owner,
        former_owners=facts.former_owners,
        addresses=addresses,
        target=target,
        **others,
    )


def facts_within(seconds: float, label: str | None, cloud: str | None) -> HostFacts:
    """Who this host is.

    Args:
        seconds: How long instance metadata may take.
        label: The caller's own host label, if it has one.
        cloud: The cloud to ask; None to find out.

    Raises:
        DnssdError: As `dnssd.hosts.detect` does.
    """
    return this_host(Deadline(seconds), label, budget=seconds, cloud=cloud)


def departure_of(
    facts: HostFacts, origin: Name, service: str, *, instance: str, port: int | None = None
) -> Departure:
    """The departure of this host from an instance.

    Args:
        facts: Who it is.
        origin: The zone's apex.
        service: `_http._tcp`, or `http` for the same.
        instance: The service instance.
        port: One member only; None for every port of the host.

    Raises:
        UsageError: One of them is not legal.
    """
    return Departure.of(
        origin,
        service,
        instance=instance,
        host=facts.label,
        port=port,
        owner=facts.owner,
        former_owners=facts.former_owners,
    )


def address_wish_of(
    facts: HostFacts, origin: Name, name: Name, addresses: Sequence[str], **others: Any
) -> AddressWish:
    """What this host wants of a plain name.

    Args:
        facts: Who it is.
        origin: The zone's apex.
        name: The name.
        addresses: IP addresses; none to leave.
        others: As `AddressWish` has them.

    Raises:
        UsageError: One of them is not legal, or the name is not in the zone.
    """
    return AddressWish(
        origin=origin,
        name=name,
        label=facts.label,
        addresses=tuple(Address.parse(parse_address(text)) for text in addresses),
        owner=facts.owner,
        former_owners=facts.former_owners,
        **others,
    )


def chosen_addresses(facts: HostFacts, choices: Sequence[str]) -> list[str]:
    """The addresses that `private`, `public` or an IP address stand for.

    Raises:
        UsageError: The host has no such address.
    """
    known: Mapping[str, Sequence[str]] = {"private": facts.private, "public": facts.public}
    addresses: list[str] = []
    for choice in choices:
        meant = known.get(choice, (choice,))
        if not meant:
            raise UsageError(
                f"address {choice}: {facts.source} knows none of this host; give --address IP"
            )
        addresses += meant
    return list(dict.fromkeys(addresses))
