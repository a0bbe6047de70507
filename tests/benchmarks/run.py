"""Measures what its README shows, and prints it as tables; `scripts/bench` calls it.

Storms run on a virtual clock, so their figures are the same on every machine; the others
are ratios or medians of several runs on this one, with their spread.
"""

import argparse
import importlib
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import picture
from storm import (
    FOREIGN,
    Outcome,
    Setting,
    Stage,
    announce_then_fold,
    compare_and_swap,
    leave,
    plain_address,
    read_merge_upsert,
    rejoin,
)
from tables import show

from dnssd import Registration, join, open_zone
from dnssd.deadline import Deadline
from dnssd.records import Address
from dnssd.rrsets import Change, RRset

HERE = Path(__file__).parent
RATES = {"5/s, burst 5": Setting(), "10/s, burst 50": Setting(rate=10, burst=50)}
RECORDS = 9_990  # with the apex about what a zone may hold


def main() -> None:
    """Measure what was asked for, everything by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", choices=[[], *MEASUREMENTS], help="default: all")
    wanted = parser.parse_args().what or list(MEASUREMENTS)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"Measured on {machine}.\n")
    for name in wanted:
        MEASUREMENTS[name]()


def join_storm() -> None:
    """200 hosts join one instance: three strategies, two request rates."""
    rows = []
    for rate, setting in RATES.items():
        outcomes = {
            "announce, then fold (dnssd)": _storm(setting, announce_then_fold),
            "compare-and-swap with retry": _storm(setting, lambda _: compare_and_swap),
            "read, merge, UPSERT": _storm(setting, lambda _: read_merge_upsert),
        }
        for strategy, outcome in outcomes.items():
            rows.append((rate, strategy, *_figures(setting, outcome)))
        if rate == "5/s, burst 5":
            curves = {name: outcome.times for name, outcome in outcomes.items()}
            lost = {name: setting.hosts - o.values for name, o in outcomes.items()}
            picture.draw(HERE / "join-storm.svg", curves, lost, setting.floor)
    heading = ("rate", "strategy", "last joined", "times the floor", "admitted a join")
    show("Join storm, 200 hosts within 5 s", (*heading, "attempts a join", "lost"), rows)


def leave_storm() -> None:
    """The same 200 leave at once, with time enough and with the default deadline."""
    rows = []
    for deadline in (600.0, 25.0):
        stage = Stage(Setting())
        stage.blow(announce_then_fold(stage), limited=False)
        outcome = stage.blow(leave(stage), deadline=deadline)
        members = [member for member, _ in outcome.view.members.values()]
        marked = sum(member.state == "leaving" for member in members)
        alone = stage.blow(announce_then_fold(stage), limited=False, only=[10**6])
        left = {m.srv for m, _ in alone.view.members.values() if m.state == "leaving"}
        rows.append(
            (
                f"{deadline:g} s",
                f"{outcome.times[-1]:.0f} s" if outcome.times else "-",
                len(outcome.times),
                marked,
                len(members) - marked,
                len(left & set(alone.view.values)),
                "yes" if FOREIGN in alone.view.values else "NO",
            )
        )
    heading = ("deadline", "last left", "left", "marked as leaving", "not reached")
    tail = ("marked values after one later fold", "foreign value there")
    show("Leave storm, 200 hosts within 5 s, 5/s, burst 5", (*heading, *tail), rows)


def restored() -> None:
    """100 hosts join again in a zone that was made anew, restored from yesterday, or is whole."""
    rows = []
    setting = Setting(hosts=100)
    for what, there in (("made anew", 0), ("restored, half of them in it", 50), ("whole", 100)):
        stage = Stage(setting)
        if there:
            stage.blow(announce_then_fold(stage), limited=False, only=range(there))
        outcome = stage.blow(rejoin(stage))
        last, requests = outcome.times[-1], outcome.admitted / setting.hosts
        rows.append((what, f"{last:.0f} s", f"{requests:.2f}", setting.hosts - outcome.values))
    heading = ("the zone", "last joined", "admitted a join", "lost")
    show("100 hosts join again within 5 s, 5/s, burst 5", heading, rows)


def addresses() -> None:
    """Hosts join one plain name at once, and leave it."""
    rows = []
    for hosts in (2, 10, 30):
        for rate, burst in ((5.0, 5.0), (10.0, 50.0)):
            stage = Stage(Setting(hosts=hosts, rate=rate, burst=burst))
            joined = stage.blow(plain_address(stage))
            left = stage.blow(plain_address(stage, leaves=True))
            figures = [
                text
                for one in (joined, left)
                for text in (f"{one.times[-1]:.0f} s", f"{one.admitted / hosts:.1f}")
            ]
            rows.append((hosts, f"{rate:g}/s, burst {burst:g}", *figures, joined.failed))
    heading = ("hosts", "rate", "last joined", "admitted a join", "last left", "admitted a leave")
    show("Hosts at one plain name within 5 s", (*heading, "failed"), rows)


def sandbox() -> None:
    """The sandbox with 10,000 records, and joins without a rate limit."""
    with _sandbox("example.test", "full.test") as process:
        full, zone = open_zone("full.test"), open_zone("example.test")
        names = (full.origin.child(f"host{n}".encode()) for n in range(RECORDS))
        address = (Address.parse("10.0.0.1"),)
        changes = [Change(None, RRset(name, "A", 60, address)) for name in names]
        for start in range(0, RECORDS, 999):
            full.commit(changes[start : start + 999], Deadline(60))
        memory = _resident(process.pid)
        rates = []
        for instance in range(5):
            begin = time.perf_counter()
            for host in range(20):
                join(zone, _registration(f"i{instance}", f"h{instance}-{host}"))
            rates.append(20 / (time.perf_counter() - begin))
    spread = f"{min(rates):.0f} to {max(rates):.0f}"
    rows = [
        (f"memory of the sandbox with {RECORDS:,} records", f"{memory:.0f} MB"),
        ("joins a second, one client, no rate limit", f"{statistics.median(rates):.0f} ({spread})"),
    ]
    show("Sandbox", ("what", "measured"), rows)


def _lookups(module: str, *names: str) -> Callable[[], None]:
    """Measurements of another module, whose peers are not needed for the others."""

    def measure() -> None:
        loaded = importlib.import_module(module)
        for name in names:
            getattr(loaded, name)()

    return measure


MEASUREMENTS = {
    "bridge": _lookups("bridging", "bridge"),
    "capacity": _lookups("capacity", "capacity"),
    "join-storm": join_storm,
    "leave-storm": leave_storm,
    "restored": restored,
    "addresses": addresses,
    "sandbox": sandbox,
    "agent": _lookups("agents", "idle", "starts", "day"),
    "updates": _lookups("updates", "updates"),
    "warm": _lookups("warm", "picks", "threads", "memory"),
    "clients": _lookups("clients", "clients"),
    "cold": _lookups("cold", "one_at_a_time", "many_at_a_time", "large", "reading"),
}


def _storm(setting: Setting, strategy: object) -> Outcome:
    stage = Stage(setting)
    return stage.blow(strategy(stage))  # type: ignore[operator] # one of the three above


def _figures(setting: Setting, outcome: Outcome) -> tuple[object, ...]:
    last = outcome.times[-1]
    return (
        f"{last:.0f} s",
        f"{last / setting.floor:.1f}",
        f"{outcome.admitted / setting.hosts:.2f}",
        f"{outcome.requests / setting.hosts:.1f}",
        setting.hosts - outcome.values,
    )


def _registration(instance: str, host: str) -> Registration:
    return Registration(
        service="http", instance=instance, port=80, host=host, addresses=["10.0.0.1"]
    )


@contextmanager
def _sandbox(*zones: str) -> Iterator[subprocess.Popen[str]]:
    """A sandbox process, and this process's environment set for it."""
    serve = [word for zone in zones for word in ("--serve", zone)]
    command = [sys.executable, "-m", "dnssd", "sandbox", *serve]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            for word in process.stdout.readline().split()[1:]:
                key, _, value = word.partition("=")
                os.environ[key] = value
        try:
            yield process
        finally:
            process.terminate()


def _resident(pid: int) -> float:
    """Resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no memory figure for process {pid}")


if __name__ == "__main__":
    main()
