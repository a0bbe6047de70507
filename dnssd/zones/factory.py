"""Zone addresses, `PROVIDER:NAME[,key=value]...`, and the zones that they name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from dnssd.deadline import Deadline
from dnssd.errors import UsageError
from dnssd.names import Name, shown
from dnssd.zones.cloudflare.provider import PROVIDER as CLOUDFLARE
from dnssd.zones.rfc2136.provider import PROVIDER as RFC2136
from dnssd.zones.route53.provider import PROVIDER as ROUTE53

if TYPE_CHECKING:  # a command may wait until an address is read
    from dnssd.zones.base import Zone

_PROVIDERS = {"cloudflare": CLOUDFLARE, "rfc2136": RFC2136, "route53": ROUTE53}
_DEFAULT = "route53"


@dataclass(frozen=True, slots=True)
class ZoneAddress:
    """A zone address, parsed.

    Attributes:
        text: As it was given.
        provider: `route53`, `rfc2136` or `cloudflare`.
        name: The zone's apex; None where only an ID names the zone.
        options: Values by key, such as `id`, `server`, `address`.
    """

    text: str
    provider: str
    name: Name | None
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> ZoneAddress:
        """Read a zone address.

        Raises:
            UsageError: Not a zone address; the message says what is wrong.
        """
        head, *pairs = text.split(",")
        provider, colon, rest = head.partition(":")
        if not colon:
            provider, rest = _DEFAULT, head
        try:
            if provider not in _PROVIDERS:
                known = ", ".join(sorted(_PROVIDERS))
                raise UsageError(f"no provider {shown(provider)}; there is {known}")
            options = _options(provider, pairs)
            name = _PROVIDERS[provider].read(rest, options)
        except UsageError as error:
            raise UsageError(f"zone {shown(text)}: {error}") from error
        return cls(text, provider, name, MappingProxyType(options))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Which of a host's addresses the zone is to have; none if it does not say."""
        return tuple(filter(None, self.options.get("address", "").split("+")))

    @property
    def default_address(self) -> str:
        """`private` or `public`: what it gets where neither it nor the caller says."""
        return _PROVIDERS[self.provider].address


def open_zone(
    address: str | None = None, *, deadline: Deadline | None = None, timeout: float = 10.0
) -> Zone:
    """Open the zone that an address names. Asks the provider where the address says too little.

    Args:
        address: Such as `example.com`, `Z0123456789ABC`, `route53:example.com,id=Z0123456789ABC`;
            by default what `DNSSD_ZONE` says.
        deadline: When to give up asking; half a minute by default.
        timeout: Seconds to wait for each answer of the provider, now and later.

    Raises:
        UsageError: Not a zone address.
        ZoneNotFound: No such zone.
        AmbiguousZone: Several zones of that name.
        AccessDenied: No credentials, or they do not allow to look it up.
    """
    parsed = _of_environment() if address is None else ZoneAddress.parse(address)
    provider = _PROVIDERS[parsed.provider]
    until = deadline or Deadline(30)
    return provider.open(parsed.text, parsed.name, parsed.options, until, timeout)


def _of_environment() -> ZoneAddress:
    """The one zone that `DNSSD_ZONE` names."""
    addresses = os.environ.get("DNSSD_ZONE", "").split()
    if len(addresses) != 1:
        raise UsageError(
            f"DNSSD_ZONE: it names {len(addresses) or 'no'} zone{'s' * (len(addresses) > 1)}; "
            "give open_zone the address of one"
        )
    try:
        return ZoneAddress.parse(addresses[0])
    except UsageError as error:
        raise UsageError(f"DNSSD_ZONE: {error}") from error


def _options(provider: str, pairs: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    keys = _PROVIDERS[provider].keys
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not value or key in options:
            raise UsageError(f"{shown(pair)} is not one KEY=VALUE")
        if key not in keys:
            raise UsageError(f"unknown key {shown(key)}; {provider} has {', '.join(keys)}")
        options[key] = value
    return options
