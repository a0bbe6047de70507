"""Backends of HAProxy and their servers, as they stand in a file; pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dnssd.export.services import Server, Service, authority, weights

HEAD = "# Written by dnssd: what is changed here is lost.\n"
MOST_WEIGHT = 256
TIERS = 8  # priorities that are told apart; all further ones are the last tier
FREE = ("127.0.0.1", 1)  # where a server leads that stands for nobody; nobody listens there

State = Literal["ready", "drain", "maint"]
At = tuple[str, int]  # address and port
NAME = re.compile(r"dnssd-(?P<backup>b?)[0-9]+")  # of a slot that can be filled at run time
_SERVER = re.compile(
    r"    server (?P<name>dnssd-b?[0-9]+) \[?(?P<address>[0-9a-f.:]+?)\]?:(?P<port>\d+)"
    r" weight (?P<weight>\d+) check(?P<backup> backup)?(?P<disabled> disabled)?"
)


@dataclass(frozen=True, slots=True)
class Slot:
    """A server of a backend.

    Attributes:
        name: Its name there.
        backup: Whether it is used only while no other works.
        address: An IP address.
        port: 0 to 65535.
        weight: 1 to 256.
        state: `drain` takes no new connections, `maint` is out of use.
    """

    name: str
    backup: bool = False
    address: str = FREE[0]
    port: int = FREE[1]
    weight: int = 1
    state: State = "maint"

    @property
    def at(self) -> At:
        """Its address and port."""
        return self.address, self.port

    @property
    def line(self) -> str:
        """It as a file says it; there, a weight of 0 is what a drain looks like."""
        words = [
            f"    server {self.name} {authority(self.address, self.port)}",
            f"weight {0 if self.state == 'drain' else self.weight} check",
            *["backup"] * self.backup,
            *["disabled"] * (self.state == "maint"),
        ]
        return " ".join(words)


Slots = tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend.

    Attributes:
        name: Its name.
        is_web: Whether it speaks HTTP; else it passes on what comes.
        slots: n >= 0.
    """

    name: str
    is_web: bool
    slots: Slots


def place(number: int) -> tuple[str, bool]:
    """Where the tier of a number, from 0, belongs.

    HAProxy has one tier of standbys in a backend; each further tier is a backend of its own.

    Returns:
        What follows the name of the service in the backend's, and whether it is a backup there.
    """
    return (f"-{number + 1}", False) if number > 1 else ("", number == 1)


def backends(services: Iterable[Service]) -> Iterator[Backend]:
    """What services are now, with no room for more."""
    for service in services:
        slots: dict[str, list[Slot]] = {"": []}
        for number, tier in enumerate(service.tiers(TIERS)):
            suffix, backup = place(number)
            slots.setdefault(suffix, []).extend(_slots(tier, backup))
        for suffix, each in slots.items():
            yield Backend(service.label + suffix, service.is_web, tuple(each))


def _slots(tier: tuple[Server, ...], backup: bool) -> Iterator[Slot]:
    for server, weight in zip(tier, weights(tier, MOST_WEIGHT), strict=True):
        name = f"{server.address}:{server.port}"  # brackets may not stand in it
        yield Slot(name, backup, server.address, server.port, weight, "ready")


def render(backends: Iterable[Backend]) -> str:
    """A file for `haproxy -f`; all but modes and checks are as the last `defaults` says."""
    sections = [_section(backend) for backend in backends]
    return HEAD + "".join(sections)


def _section(backend: Backend) -> str:
    lines = [
        f"backend {backend.name}",
        f"    mode {'http' if backend.is_web else 'tcp'}",
        *["    option allbackups"] * any(slot.backup for slot in backend.slots),
        *(slot.line for slot in backend.slots),
    ]
    return "\n".join(["", *lines, ""])


def parse(text: str) -> dict[str, Slots]:
    """The slots of each backend in a file that `render` made; what else it holds is ignored."""
    found: dict[str, list[Slot]] = {}
    slots: list[Slot] = []
    for line in text.splitlines():
        if line.startswith("backend "):
            slots = found.setdefault(line.removeprefix("backend "), [])
        elif match := _SERVER.fullmatch(line):
            slots.append(_parsed(match))
    return {name: tuple(slots) for name, slots in found.items()}


def _parsed(match: re.Match[str]) -> Slot:
    weight = int(match["weight"])
    state: State = "maint" if match["disabled"] else "ready" if weight else "drain"
    is_backup = match["backup"] is not None
    address, port = match["address"], int(match["port"])
    return Slot(match["name"], is_backup, address, port, weight or 1, state)
