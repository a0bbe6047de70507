"""Look-ups through a proxy that breaks 70 % of all answers; `scripts/chaos` calls it.

A real server holds the zone. Every worker is a process with a resolver of its own that looks
up one service after the other with an empty cache; the workers share the proxy. Ends with 1
if dnssd missed anything or found what is not there, unless answers lied to a cold look-up.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import latencypicture
import tables
from chaosarena import HEADINGS, SERVERS, WORKERS, Arena, arena
from chaosclients import CLIENTS
from chaoszone import HOSTS, Kind

from kit.faultproxy.faults import HONEST, LIES, TCP_ONLY, Fault, Plan

COUNT = 2000
SHARE = 0.7  # of all answers are broken
SHOWN = 5  # lines that tell what was wrong, of each measurement


def main() -> int:
    """Measure, print, and tell by the exit code whether every answer of dnssd was right."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=COUNT, help="cold look-ups")
    parser.add_argument("--peers", type=int, default=48, help="look-ups of each other client")
    parser.add_argument("--seed", type=int, default=1, help="another one, other faults")
    parser.add_argument("--server", choices=list(SERVERS), default="bind")
    parser.add_argument("--picture", type=Path, help="where to draw, as SVG")
    options = parser.parse_args()
    if options.count < 1:
        parser.error(f"{options.count} look-ups: at least 1 is needed")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"Measured on {machine}, {options.server}, {WORKERS} look-ups at a time.\n")
    try:
        with arena(options.server) as running:
            wrong = list(_all(running, options))
    except FileNotFoundError as error:
        parser.error(f"{error.filename}: not found; scripts/install --servers installs servers")
    for line in wrong:
        print(f"scripts/chaos: wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _all(arena: Arena, options: argparse.Namespace) -> Iterator[str]:
    """Every measurement; what was wrong."""
    count: int = options.count
    base = Plan(share=SHARE, seed=options.seed)
    yield from _healthy(arena, base, _part(count, 20))
    yield from _cold(arena, base, count, options.peers, options.picture)
    yield from _classes(arena, base, min(100, _part(count, 20)))
    yield from _warm(arena, base, _part(count, 3))


def _healthy(arena: Arena, base: Plan, count: int) -> Iterator[str]:
    """Nothing is broken: what a question costs then."""
    rows = []
    for additional in (True, False):
        plan = replace(base, share=0.0, additional=additional)
        cold = arena.cold("dnssd", plan, count)
        rows.append((_addresses(plan), *cold.figures()))
        yield from _complaints(f"nothing broken, addresses {_addresses(plan)}", cold.wrong)
    tables.show("Cold, nothing broken", ("addresses", *HEADINGS), rows)


def _cold(arena: Arena, base: Plan, count: int, peers: int, picture: Path | None) -> Iterator[str]:
    """All classes but lies, drawn evenly: dnssd, and the others where addresses come along."""
    without = replace(base, additional=False)
    runs: list[tuple[str, Plan, Kind, int]] = [
        ("dnssd", base, "dual", count),
        ("dnssd", without, "dual", count),
        ("dnssd", without, "ipv4", _part(count, 20)),
        *((peer, base, "dual", peers) for peer in CLIENTS if peer != "dnssd" and peers),
    ]
    rows, curves = [], {}
    for client, plan, kind, times in runs:
        cold = arena.cold(client, plan, times, kind)
        title = f"{_addresses(plan)}{', IPv4 only' if kind == 'ipv4' else ''}"
        rows.append((client, title, *cold.figures()))
        if kind == "dual":
            curves[f"dnssd, addresses {title}" if client == "dnssd" else client] = cold.times
        if client == "dnssd":
            yield from _complaints(f"{SHARE:.0%} broken, addresses {title}", cold.wrong)
    title = f"{SHARE:.0%} of all answers broken"
    tables.show(f"Cold, {title}", ("client", "addresses", *HEADINGS), rows)
    if picture:
        latencypicture.draw(picture, f"Cold look-ups of {HOSTS} hosts, {title}", curves)


def _classes(arena: Arena, base: Plan, count: int) -> Iterator[str]:
    """Every class alone; and the lies, which a cold look-up cannot always see through."""
    rows = []
    for fault in Fault:
        plan = replace(base, faults=(fault,), udp=fault not in TCP_ONLY)
        cold = arena.cold("dnssd", plan, count)
        met = cold.counts.udp.get(fault, 0) + cold.counts.tcp.get(fault, 0)
        rows.append((f"{fault}, a lie" if fault in LIES else fault, f"{met:,}", *cold.figures()))
        if fault not in LIES:
            yield from _complaints(f"{SHARE:.0%} {fault}", cold.wrong)
    title = f"Cold, {SHARE:.0%} of all answers broken in one way"
    tables.show(
        f"{title}; TCP's ways where UDP is always truncated", ("way", "met", *HEADINGS), rows
    )


def _warm(arena: Arena, base: Plan, refreshes: int) -> Iterator[str]:
    """Services that are known already: nothing broken, all but lies, and lies among them."""
    rows = []
    kinds: dict[str, tuple[tuple[Fault, ...], int]] = {
        "none": ((), refreshes // 10),
        "all but lies": (HONEST, refreshes // 10),
        "all, lies among them": (tuple(Fault), refreshes),
    }
    for title, (faults, times) in kinds.items():
        warm = arena.warm(replace(base, faults=faults), times)
        rows.append((title, *warm.figures()))
        yield from _complaints(f"warm, faults: {title}", warm.wrong)
    headings = ("faults", "refreshes", "wrong", "stale looks", "packets a question")
    removals = ("removal seen, p50", "at most")
    tables.show(f"Warm, TTL 1 s, {SHARE:.0%} of all answers broken", (*headings, *removals), rows)


def _complaints(title: str, wrong: Sequence[str]) -> list[str]:
    more = [f"{title}: and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
    return [f"{title}: {text}" for text in wrong[:SHOWN]] + more


def _addresses(plan: Plan) -> str:
    return "come along" if plan.additional else "asked for"


def _part(count: int, divisor: int) -> int:
    return max(WORKERS, count // divisor)


if __name__ == "__main__":
    sys.exit(main())
