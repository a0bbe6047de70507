"""What the factory asks of each provider: how its addresses are read, and its zones opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dnssd.deadline import Deadline
from dnssd.errors import MalformedName, UsageError
from dnssd.names import Name

if TYPE_CHECKING:  # a command may wait until an address is read
    from dnssd.zones.base import Zone

Opener = Callable[[str, Name | None, Mapping[str, str], Deadline, float], "Zone"]


@dataclass(frozen=True, slots=True)
class Provider:
    """One kind of zone.

    Attributes:
        keys: What may stand behind the name in an address.
        read: Given what stands before the first comma, and the values by key: checks and
            completes these, and returns the zone's name, or None where only an ID names it.
            Raises UsageError, whose message the factory completes.
        open: Given the address as text, name, values, deadline and the seconds to wait for
            each answer: opens the zone.
        address: Which of a host's addresses is meant where nobody says: `private` or `public`.
        proxies: Whether it can stand before addresses.
        by_iam: Whether it is AWS that lets hosts in, by IAM policies.
        key_file: The key of what lets them in otherwise: a file that only root may read.
        lacks: Given the address as text and its values: what hosts miss at their starts, as a
            remark; None for nothing.
    """

    keys: tuple[str, ...]
    read: Callable[[str, dict[str, str]], Name | None]
    open: Opener
    address: str = "private"
    proxies: bool = False
    by_iam: bool = False
    key_file: str | None = None
    lacks: Callable[[str, Mapping[str, str]], str | None] = lambda *_: None


def read_zone_name(text: str) -> Name:
    """The name of a zone.

    Raises:
        UsageError: Not one.
    """
    try:
        name = Name.parse(text)
    except MalformedName as error:
        raise UsageError(str(error)) from error
    if not name.labels:
        raise UsageError("the root is not yours; name your zone")
    return name
