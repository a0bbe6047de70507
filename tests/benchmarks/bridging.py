"""HAProxy behind `dnssd bridge`: how soon a change is there, reloads, and what idling costs."""

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tables import show

from dnssd.sandbox.sandbox import Sandbox
from kit.haproxies import Haproxy, haproxy
from kit.livezone import Zone
from kit.servers import process

SERVICES = [f"s{number}._http._tcp.example.test." for number in range(20)]
USUAL_TTL, SHORT_TTL = 60, 5  # seconds
ROUNDS = 20  # in which each service changes once


def bridge() -> None:
    """20 services of 3 hosts each: idle for a while, then all of them change at any moment."""
    with _bridged(USUAL_TTL) as (_, proxy, pid):
        time.sleep(20)
        before = _cpu_seconds(pid)
        time.sleep(2 * USUAL_TTL)
        share = (_cpu_seconds(pid) - before) / (2 * USUAL_TTL)
    with _bridged(SHORT_TTL) as (zone, proxy, pid):
        worker, rng = proxy.pid(), random.Random(1)
        delays = [_delay(zone, proxy, weight, rng) for weight in range(2, ROUNDS + 2)]
        was_reloaded = proxy.pid() != worker
        memory = _megabytes(pid)
    late = max(delays) - SHORT_TTL
    rows = [
        ("from a change to HAProxy", f"TTL {late:+.1f} s at most", "TTL + 1 s"),
        (f"reloads in {len(delays) * len(SERVICES)} changes", "some" if was_reloaded else 0, 0),
        ("memory", f"{memory:.0f} MB", "50 MB"),
        (f"of a core, idle, TTL {USUAL_TTL} s", f"{share:.2%}", "0.5 %"),
    ]
    title = f"dnssd bridge haproxy, {len(SERVICES)} services of 3 hosts"
    show(title, ("what", "measured", "goal"), rows)


@contextmanager
def _bridged(ttl: int) -> Iterator[tuple[Zone, Haproxy, int]]:
    """The zone, HAProxy, and the bridge's process."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(rng=random.Random(0)))
        zone = Zone(sandbox, ttl)
        stack.enter_context(zone.server)
        zone.put("a.example.test.", "A", "127.0.0.1")
        _change(zone, 1)
        proxy = stack.enter_context(haproxy())
        command = [sys.executable, "-m", "dnssd", "bridge", "haproxy", *SERVICES]
        files = ["-o", str(proxy.file), "--socket", str(proxy.master)]
        server = ["--nameserver", f"127.0.0.1:{zone.server.port}"]
        running = stack.enter_context(process([*command, *files, *server], proxy.folder))
        proxy.until(proxy.file.exists, "the bridge has written no file")
        stack.enter_context(proxy.running("haproxy"))
        yield zone, proxy, running.pid


def _change(zone: Zone, weight: int) -> None:
    for name in SERVICES:
        zone.put(name, "SRV", *(f"0 {weight} {port} a.example.test." for port in (80, 81, 82)))


def _delay(zone: Zone, proxy: Haproxy, weight: int, rng: random.Random) -> float:
    """Seconds from a change of all services until HAProxy has the last of them."""
    time.sleep(rng.random() * SHORT_TTL)
    _change(zone, weight)
    begin = time.monotonic()
    for name in SERVICES:
        proxy.until(lambda name=name: _has(proxy, name, weight), f"{name}: no change")  # type: ignore[misc] # mypy cannot infer it
    return time.monotonic() - begin


def _has(proxy: Haproxy, name: str, weight: int) -> bool:
    used = proxy.used(name.removesuffix(".")).values()
    return len(used) == 3 and all(f" {weight} ready" in each for each in used)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
