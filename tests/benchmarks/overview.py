"""README's picture: hosts join, leave and die, and a client goes on; always the same file.

.venv/bin/python tests/benchmarks/overview.py
"""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from svg import label, save

TITLE = (
    "Three hosts join a service and are found by DNS. One is killed and one leaves; "
    "the client goes on with the next."
)
WIDTH, HEIGHT = 840, 372
LEFT, RIGHT = 128, 826  # of the time that is shown
DIES, LEAVES = 402, 618
ZONE, CLIENT = 178, 300  # where their lanes begin
CALLS = 12  # units from one call to the next


@dataclass(frozen=True, slots=True)
class Host:
    """A host's lane: when it is there, and what it publishes."""

    name: str
    color: str
    y: int
    joins: int
    ends: int
    srv: str


WEB_1 = Host("web-1", "#3b82f6", 28, 150, DIES, "SRV 0 75 web-1")
WEB_2 = Host("web-2", "#10a37f", 72, 176, LEAVES, "SRV 0 25 web-2")
WEB_3 = Host("web-3", "#d97706", 116, 202, RIGHT, "SRV 10 100 web-3")
HOSTS = (WEB_1, WEB_2, WEB_3)


def main() -> None:
    """Draw it into the file that the command line names."""
    parts = [*lanes(), *hosts(), *zone(), *client()]
    save(Path(sys.argv[1]), WIDTH, HEIGHT, TITLE, parts)


def lanes() -> Iterator[str]:
    """The titles on the left, and lines between hosts, zone and client."""
    for host, role in zip(HOSTS, ("weight 75", "weight 25", "standby"), strict=True):
        yield label(12, host.y + 13, host.name, 'font-size="15" font-weight="bold"')
        yield label(12, host.y + 29, role, 'class="quiet"')
    for y, name, what in ((ZONE, "DNS", "your zone"), (CLIENT, "a client", "each dot: a call")):
        yield f'<path class="grid" d="M12 {y - 12}H{RIGHT}"/>'
        yield label(12, y + 19, name, 'font-size="15" font-weight="bold"')
        yield label(12, y + 35, what, 'class="quiet"')


def hosts() -> Iterator[str]:
    """When each host is there, and how it comes and goes."""
    for host in HOSTS:
        length = host.ends - host.joins
        yield (
            f'<rect x="{host.joins}" y="{host.y}" width="{length}" height="20" rx="4" '
            f'fill="{host.color}"/>'
        )
        yield label(host.joins + 8, host.y + 15, "boots and joins", 'style="fill: #ffffff"')
        yield arrow(host.joins + 3, host.y + 20, ZONE + 4, host.color)
    yield cross(DIES, WEB_1.y + 10)
    yield label(DIES + 16, WEB_1.y + 15, "is killed: it cannot leave")
    yield label(LEAVES + 12, WEB_2.y + 15, "stops: it leaves first")
    yield arrow(LEAVES - 3, WEB_2.y + 20, ZONE + 4, WEB_2.color)


def zone() -> Iterator[str]:
    """What the zone holds: each host's value, while it is there."""
    for row, (host, ends) in enumerate(zip(HOSTS, (RIGHT, LEAVES, RIGHT), strict=True)):
        y = ZONE + 8 + 32 * row
        lives = min(host.ends, ends)  # from then on nobody looks after the record
        box = f'fill="none" stroke="{host.color}" stroke-width="1.5"'
        yield f'<path d="M{lives} {y}H{host.joins}v22H{lives}" {box}/>'
        if ends == lives:
            yield f'<path d="M{ends} {y}v22" {box}/>'
        else:
            yield f'<path d="M{lives} {y}H{ends}v22H{lives}" {box} stroke-dasharray="4 3"/>'
        yield label(host.joins + 8, y + 16, host.srv, 'font-family="monospace" font-size="13"')
    yield label(DIES + 16, ZONE + 24, "its record stays until somebody removes it", 'class="quiet"')


def client() -> Iterator[str]:
    """Who answers the client's calls."""
    rng = random.Random(11)
    y = CLIENT + 14
    for x in range(WEB_3.joins + 40, RIGHT, CALLS):
        if x < DIES:
            (host,) = rng.choices((WEB_1, WEB_2), (75, 25))
        else:
            host = WEB_2 if x < LEAVES else WEB_3
        yield f'<circle cx="{x}" cy="{y}" r="4.5" fill="{host.color}"/>'
    for x, words in (
        (WEB_3.joins + 36, "75 to 25, by weight"),
        (DIES + 2, "goes on with web-2 at once"),
        (LEAVES + 2, "goes on with the standby"),
    ):
        yield label(x, y + 26, words)
    yield f'<path class="grid" d="M{DIES} 16V{HEIGHT - 12}M{LEAVES} 16V{HEIGHT - 12}"/>'


def arrow(x: float, begin: float, end: float, color: str) -> str:
    """From a host down to the zone."""
    return (
        f'<path d="M{x} {begin}V{end - 6}" stroke="{color}" stroke-width="1.5"/>'
        f'<path d="M{x - 4} {end - 7}L{x} {end}L{x + 4} {end - 7}Z" fill="{color}"/>'
    )


def cross(x: float, y: float) -> str:
    """A death."""
    return (
        f'<path d="M{x - 8} {y - 8}L{x + 8} {y + 8}M{x - 8} {y + 8}L{x + 8} {y - 8}" '
        'stroke="#dc2626" stroke-width="4" stroke-linecap="round"/>'
    )


if __name__ == "__main__":
    main()
