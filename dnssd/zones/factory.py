"""Zone addresses, `PROVIDER:NAME[,key=value]...`, and the zones that they name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dnssd.deadline import Deadline
from dnssd.errors import MalformedName, UsageError
from dnssd.names import Name, shown
from dnssd.zones.base import Zone

_ZONE_ID = re.compile(r"Z[A-Z0-9]{7,31}")
_OPTIONS = {"route53": ("id", "private", "profile", "role", "address")}


@dataclass(frozen=True, slots=True)
class ZoneAddress:
    """A zone address, parsed.

    Attributes:
        text: As it was given.
        provider: `route53`.
        name: The zone's apex; None where only an ID names the zone.
        options: Values by key, such as `id`, `private`, `profile`, `role`, `address`.
    """

    text: str
    provider: str
    name: Name | None
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> "ZoneAddress":
        """Read a zone address.

        Raises:
            UsageError: Not a zone address; the message says what is wrong.
        """
        head, *pairs = text.split(",")
        provider, colon, rest = head.partition(":")
        if not colon:
            provider, rest = "route53", head
        if provider not in _OPTIONS:
            raise UsageError(
                f"zone {shown(text)}: no provider {shown(provider)}; there is "
                + ", ".join(sorted(_OPTIONS))
            )
        options = _options(text, provider, pairs)
        name = None
        if _ZONE_ID.fullmatch(rest):
            if options.setdefault("id", rest) != rest:
                raise UsageError(f"zone {shown(text)}: it names two IDs; leave one out")
        else:
            name = _name(text, rest)
        return cls(text, provider, name, MappingProxyType(options))


def open_zone(address: str, *, deadline: Deadline | None = None, timeout: float = 10.0) -> Zone:
    """Open the zone that an address names. Asks the provider where the address says too little.

    Args:
        address: Such as `example.com`, `Z0123456789ABC`, `route53:example.com,id=Z0123456789ABC`.
        deadline: The deadline for asking; half a minute by default.
        timeout: Seconds to wait for each answer of the provider, now and later.

    Raises:
        UsageError: Not a zone address.
        ZoneNotFound: No such zone.
        AmbiguousZone: Several zones of that name.
        AccessDenied: No credentials, or they do not allow to look it up.
    """
    parsed = ZoneAddress.parse(address)
    from dnssd.zones.route53.zone import open_route53  # boto3 is slow to import

    return open_route53(
        parsed.text, parsed.name, parsed.options, deadline or Deadline(30), timeout=timeout
    )


def _options(text: str, provider: str, pairs: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not value or key in options:
            raise UsageError(f"zone {shown(text)}: {shown(pair)} is not one KEY=VALUE")
        if key not in _OPTIONS[provider]:
            known = ", ".join(_OPTIONS[provider])
            raise UsageError(
                f"zone {shown(text)}: unknown key {shown(key)}; {provider} has {known}"
            )
        options[key] = value
    if options.get("private", "yes") not in ("yes", "no"):
        raise UsageError(f"zone {shown(text)}: private is yes or no")
    if "id" in options and not _ZONE_ID.fullmatch(options["id"]):
        raise UsageError(f"zone {shown(text)}: an ID looks like Z0123456789ABC")
    return options


def _name(text: str, name: str) -> Name:
    try:
        parsed = Name.parse(name)
    except MalformedName as error:
        raise UsageError(f"zone {shown(text)}: {error}") from error
    if not parsed.labels:
        raise UsageError(f"zone {shown(text)}: the root is not yours; name your zone")
    return parsed
