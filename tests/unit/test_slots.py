"""Who gets which slot of HAProxy, for every history that services may have."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.export.bridge import Bridge
from dnssd.export.haproxy import Backend, Slot, Slots, render
from dnssd.export.haproxy import parse as parse_file
from dnssd.export.runtime import Runtime
from dnssd.export.services import Service
from dnssd.export.slots import changes, lacking_in, parse_state, plan
from dnssd.records import Address
from dnssd.resolver.snapshot import Endpoint
from dnssd.services import parse_service_name

ASKED = parse_service_name("web._http._tcp.example.test")
LABEL = "web._http._tcp.example.test"
LAST = 65_535
ROOM = 2

Host = tuple[int, int, int]  # number, priority, weight
_HOST = st.tuples(st.integers(1, 9), st.sampled_from([0, 1, 2, 3, LAST]), st.integers(0, 999))
_HISTORY = st.lists(st.lists(_HOST, min_size=1, max_size=9, unique_by=lambda h: h[0]), max_size=8)


def service(*hosts: Host) -> Service:
    """What a look-up has found."""
    endpoints = [Endpoint("h.", 80, p, w, (f"10.0.0.{n}",)) for n, p, w in hosts]
    return Service.of(ASKED, endpoints)


def held(backends: Sequence[Backend]) -> dict[str, Slots]:
    """Slots by backend."""
    return {backend.name: backend.slots for backend in backends}


def told(slots: dict[str, Slots], commands: Sequence[str]) -> dict[str, Slots]:
    """What HAProxy's slots are once it has carried out commands; it refuses some."""
    found = {(b, slot.name): slot for b, each in slots.items() for slot in each}
    for command in commands:
        _, _, name, kind, value, *more = command.split()
        backend, _, slot_name = name.partition("/")
        slot = found[backend, slot_name]
        if kind == "addr":
            assert slot.state == "maint", "the address of a server in use is changed"
            slot = replace(slot, address=value, port=int(more[1]))
        elif kind == "weight":
            assert 1 <= int(value) <= 256
            slot = replace(slot, weight=int(value))
        else:
            assert kind == "state"
            slot = replace(slot, state=value)  # type: ignore[arg-type] # as HAProxy has them
        found[backend, slot_name] = slot
    return {b: tuple(found[b, slot.name] for slot in each) for b, each in slots.items()}


@given(_HISTORY)
def test_every_history(history: list[list[Host]]) -> None:
    """Whoever is there has one slot of its tier, and keeps it; commands lead there."""
    before = held(plan(service(), {}, ROOM))
    for hosts in history:
        now = service(*hosts)
        backends = plan(now, before, ROOM)
        after = held(backends)
        _is_right(hosts, after)
        _is_stable(before, after)
        assert parse_file(render(backends)) == _as_in_file(after)
        if not lacking_in(before, backends):
            assert _weighty(told(before, changes(before, backends))) == _weighty(after)
        assert plan(now, after, ROOM) == backends  # nothing is left to do
        before = after


def _is_right(hosts: list[Host], after: dict[str, Slots]) -> None:
    staying = [host for host in hosts if host[1] != LAST] or hosts
    priorities = sorted({priority for _, priority, _ in staying})
    ready = [(b, slot) for b, slots in after.items() for slot in slots if slot.state == "ready"]
    assert len(ready) == len(staying)
    for number, priority, _ in staying:
        ((backend, slot),) = [each for each in ready if each[1].address == f"10.0.0.{number}"]
        tier = priorities.index(priority)
        assert slot.backup == (tier == 1)
        assert backend == (LABEL if tier < 2 else f"{LABEL}-{tier + 1}")


def _is_stable(before: dict[str, Slots], after: dict[str, Slots]) -> None:
    """A server that is ready before and after in one group is so in one slot; none is lost."""
    for backend, slots in before.items():
        assert {slot.name for slot in slots} <= {slot.name for slot in after[backend]}
        was = {(slot.backup, slot.at): slot.name for slot in slots if slot.state == "ready"}
        for slot in after[backend]:
            if slot.state == "ready" and (name := was.get((slot.backup, slot.at))):
                assert slot.name == name


def _as_in_file(slots: dict[str, Slots]) -> dict[str, Slots]:
    """A drain is a weight of 0 there, so that its own is forgotten."""
    return {b: tuple(_blank(s, "drain") for s in each) for b, each in slots.items()}


def _weighty(slots: dict[str, Slots]) -> dict[str, Slots]:
    """Without weights that do not count."""
    return {b: tuple(_blank(s, "drain", "maint") for s in each) for b, each in slots.items()}


def _blank(slot: Slot, *states: str) -> Slot:
    return replace(slot, weight=1) if slot.state in states else slot


def test_slots_double_and_those_of_the_gone_are_taken_first() -> None:
    """More servers than slots make twice as many; who drains gives way before that."""
    many = service(*[(n, 0, 1) for n in range(1, 6)])
    before = held(plan(many, {}, ROOM))
    assert [len([s for s in before[LABEL] if s.backup == b]) for b in (False, True)] == [8, 2]

    full = held(plan(service((1, 0, 1), (2, 0, 1)), {}, ROOM))
    (backend,) = plan(service((1, 0, 1), (3, 0, 7)), full, ROOM)
    assert changes(full, [backend]) == [
        f"set server {LABEL}/dnssd-2 {words}"
        for words in ("state maint", "addr 10.0.0.3 port 80", "weight 7", "state ready")
    ]


def test_a_drain_that_is_over() -> None:
    """Who is gone is then out of use, and has its slot again on its return."""
    both = service((1, 0, 1), (2, 0, 1))
    before = held(plan(both, {}, 4))
    gone = held(plan(service((2, 0, 1)), before, 4))
    over = held(plan(service((2, 0, 1)), gone, 4, [("10.0.0.1", 80)]))
    back = held(plan(service((2, 0, 1), (3, 0, 1), (1, 0, 1)), over, 4))

    assert [each[LABEL][0].state for each in (before, gone, over, back)] == [
        *("ready", "drain", "maint", "ready")
    ]
    assert back[LABEL][0].address == "10.0.0.1"


@pytest.mark.parametrize(
    ("line", "slot"),
    [
        ("3 b 1 dnssd-1 10.0.0.1 2 4 55 1 0 1 0 2 6 0 0 0 - 8080 - 0 0 - - 0", "ready"),
        ("3 b 1 dnssd-1 10.0.0.1 2 12 55 1 0 1 0 2 6 0 0 0 - 8080 - 0 0 - - 0", "drain"),
        ("3 b 1 dnssd-1 10.0.0.1 0 5 55 1 0 1 0 2 6 0 0 0 - 8080 - 0 0 - - 0", "maint"),
        ("3 b 1 own 10.0.0.1 0 5 55 1 0 1 0 2 6 0 0 0 - 8080 - 0 0 - - 0", None),
        ("Can't find backend.", None),
    ],
)
def test_what_haproxy_says(line: str, slot: str | None) -> None:
    """Slots alone: servers of the user's own are none of ours."""
    found = parse_state(f"1\n# be_id be_name\n{line}\n\n")
    expected = Slot("dnssd-1", False, "10.0.0.1", 8080, 55)
    assert found == ({"b": (replace(expected, state=slot),)} if slot else {})  # type: ignore[arg-type] # one of the states


def test_addresses_that_haproxy_writes_otherwise() -> None:
    """They are the same address: no server is moved from it to itself for ever."""
    line = "3 b 1 dnssd-b1 ::ffff:1.2.3.4 2 4 5 1 0 1 0 2 6 0 0 0 - 80 - 0 0 - - 0"
    endpoint = Endpoint("h.", 80, 0, 5, (Address.parse("::ffff:1.2.3.4").format(),))
    (server,) = Service.of(ASKED, [endpoint]).servers

    assert parse_state(line)["b"][0].at == server.at


class Silent(Runtime):
    """An HAProxy that has no backend yet, and counts reloads."""

    reloads = 0

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent/socket"))

    def read(self, backends: Iterable[str]) -> dict[str, Slots]:
        """What it has."""
        return {}

    def reload(self) -> bool:
        """Count it."""
        self.reloads += 1
        return True


def test_an_haproxy_that_is_about_to_start_is_not_reloaded(tmp_path: Path) -> None:
    """One that has none of the backends for longer is, and not again and again."""
    said: list[str] = []
    runtime = Silent()
    bridge = Bridge(runtime, tmp_path / "file", 2, said.append, monotonic=lambda: 0.0)
    counts = []
    for _ in range(4):
        bridge.step([service((1, 0, 1))])
        counts.append(runtime.reloads)

    assert counts == [0, 1, 1, 1]
    assert said == [
        f"HAProxy lacks servers of {LABEL} that {tmp_path}/file has: does it load this file?"
    ]
