"""Zone addresses, `PROVIDER:NAME[,key=value]...`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from dnssd.errors import UsageError
from dnssd.names import Name, shown
from dnssd.zones.cloudflare.provider import PROVIDER as CLOUDFLARE
from dnssd.zones.rfc2136.provider import PROVIDER as RFC2136
from dnssd.zones.route53.provider import PROVIDER as ROUTE53

PROVIDERS = {"cloudflare": CLOUDFLARE, "rfc2136": RFC2136, "route53": ROUTE53}
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
    def parse(cls, text: str) -> Self:
        """Read a zone address.

        Raises:
            UsageError: Not a zone address; the message says what is wrong.
        """
        head, *pairs = text.split(",")
        provider, colon, rest = head.partition(":")
        if not colon:
            provider, rest = _DEFAULT, head
        try:
            if provider not in PROVIDERS:
                known = ", ".join(sorted(PROVIDERS))
                raise UsageError(f"no provider {shown(provider)}; there is {known}")
            options = _options(provider, pairs)
            name = PROVIDERS[provider].read(rest, options)
        except UsageError as error:
            raise UsageError(f"zone {shown(text)}: {error}") from error
        return cls(text, provider, name, MappingProxyType(options))

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for two addresses that certainly mean the same zone."""
        known = {key: value for key, value in self.options.items() if key != "address"}
        zone_id = known.get("id")
        return (self.provider, zone_id or self.name, *(() if zone_id else sorted(known.items())))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Which of a host's addresses the zone is to have; none if it does not say."""
        return tuple(filter(None, self.options.get("address", "").split("+")))

    @property
    def default_address(self) -> str:
        """`private` or `public`: what it gets where neither it nor the caller says."""
        return PROVIDERS[self.provider].address

    @property
    def proxies(self) -> bool:
        """Whether its provider can stand before addresses."""
        return PROVIDERS[self.provider].proxies

    @property
    def by_iam(self) -> bool:
        """Whether IAM policies let hosts in."""
        return PROVIDERS[self.provider].by_iam

    @property
    def key_file(self) -> str | None:
        """The path of the file that lets hosts in; None where none is named."""
        return self.options.get(PROVIDERS[self.provider].key_file or "")

    @property
    def lacks(self) -> str | None:
        """What hosts miss at their starts, as a remark; None for nothing."""
        return PROVIDERS[self.provider].lacks(self.text, self.options)


def zones_with(
    name: str, zone_addresses: Sequence[str], *, proxied: bool = False
) -> tuple[str, ...]:
    """Those of several zones that a name is in, as far as their addresses tell.

    Raises:
        UsageError: It is in none, or in one whose provider proxies nothing.
    """
    parsed = Name.parse(name)
    zones = [ZoneAddress.parse(text) for text in zone_addresses]
    found = [zone for zone in zones if zone.name is None or parsed.is_below(zone.name)]
    if not found:
        raise UsageError(f"{name}: in none of the zones; give it in full, and the zone that has it")
    for zone in found:
        if proxied and not zone.proxies:
            raise UsageError(f"{zone.text}: nobody there proxies; leave out --proxied")
    return tuple(zone.text for zone in found)


def _options(provider: str, pairs: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    keys = PROVIDERS[provider].keys
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not value or key in options:
            raise UsageError(f"{shown(pair)} is not one KEY=VALUE")
        if key not in keys:
            raise UsageError(f"unknown key {shown(key)}; {provider} has {', '.join(keys)}")
        options[key] = value
    return options
