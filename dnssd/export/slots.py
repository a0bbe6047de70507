"""Who is in which slot of HAProxy: from servers, and slots as they are, to slots as they shall be.

    a server is       its slot (same address and port)  becomes
    there             in use                            ready, with its weight
    there             none                              ready: a free slot, its own old one first
    on the way out    in use                            drain
    gone              in use                            drain, and maint once that is over

A group of slots is what one tier of servers shares: the servers of a backend, or its backups.
There are as many as the user wants, and twice as many as often as that is too few. Pure.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from dnssd.export.haproxy import MOST_WEIGHT, NAME, TIERS, At, Backend, Slot, Slots, State, place
from dnssd.export.services import Service, weights
from dnssd.records import LAST_PRIORITY, Address

_OUT, _DRAINING = 0b110_0011, 0b1_1000  # bits of srv_admin_state
_PORT = 18  # the column of srv_port


def plan(
    service: Service, held: Mapping[str, Slots], room: int, over: Collection[At] = ()
) -> list[Backend]:
    """The backends of a service as they shall be.

    Args:
        service: As it is now. One that was never found has no servers: its slots stay.
        held: Slots as they are, by backend; other services' do not matter.
        room: How many slots a group has at least.
        over: Whose drain has lasted long enough.
    """
    leaving = _leaving(service)
    tiers = dict(_tiers(service, leaving))
    suffixes = {suffix for suffix, _ in tiers} | {""}
    suffixes |= {suffix for n in range(2, TIERS) if service.label + (suffix := place(n)[0]) in held}
    found = []
    for suffix in sorted(suffixes):
        name = service.label + suffix
        slots: list[Slot] = []
        for backup in (False,) if suffix else (False, True):
            group = tuple(slot for slot in held.get(name, ()) if slot.backup == backup)
            wanted = tiers.get((suffix, backup), {})
            if service.servers:
                group = _fitted(group, wanted, leaving, over)
            group = _grown(group, wanted, leaving, room, backup)
            slots += _filled(group, wanted, leaving)
        found.append(Backend(name, service.is_web, tuple(slots)))
    return found


def _leaving(service: Service) -> frozenset[At]:
    """Who is on the way out; nobody where that is everybody."""
    last = [server.at for server in service.servers if server.priority == LAST_PRIORITY]
    return frozenset(last if len(last) < len(service.servers) else ())


def _tiers(
    service: Service, leaving: Collection[At]
) -> Iterator[tuple[tuple[str, bool], dict[At, int]]]:
    """What each tier is in HAProxy, and its servers' weights."""
    staying = [server for server in service.servers if server.at not in leaving]
    for number, tier in enumerate(replace(service, servers=tuple(staying)).tiers(TIERS)):
        yield (
            place(number),
            dict(zip((server.at for server in tier), weights(tier, MOST_WEIGHT), strict=True)),
        )


def _fitted(
    slots: Slots, wanted: Mapping[At, int], leaving: Collection[At], over: Collection[At]
) -> Slots:
    """A group in which servers keep their slots, and leave them."""
    fitted: list[Slot] = []
    ready: set[At] = set()
    for slot in slots:
        at, state = slot.at, slot.state
        if state != "maint":
            is_over = at in over and at not in leaving
            state = "ready" if at in wanted and at not in ready else "maint" if is_over else "drain"
        if state == "ready":
            ready.add(at)
        weight = wanted.get(at, slot.weight)
        is_same = weight == slot.weight and state == slot.state  # as most are, most of the time
        fitted.append(slot if is_same else replace(slot, weight=weight, state=state))
    return tuple(fitted)


def _filled(slots: Slots, wanted: Mapping[At, int], leaving: Collection[At]) -> Slots:
    """A group in which newcomers have slots, their own old ones if these are free.

    Who is gone gives up a slot for them, however long the drain has lasted.
    """
    ready = {slot.at for slot in slots if slot.state == "ready"}
    free = {slot.name: slot for slot in slots if slot.state == "maint"}
    own = {slot.at: name for name, slot in free.items()}
    free |= {s.name: s for s in slots if s.state == "drain" and s.at not in leaving}
    filled = {slot.name: slot for slot in slots}
    newcomers = [at for at in wanted if at not in ready]
    for at in sorted(newcomers, key=lambda at: at not in own):
        name = own[at] if at in own else next(iter(free))
        address, port = at
        filled[name] = replace(
            free.pop(name), address=address, port=port, weight=wanted[at], state="ready"
        )
    return tuple(filled.values())


def _grown(
    slots: Slots, wanted: Mapping[At, int], leaving: Collection[At], room: int, backup: bool
) -> Slots:
    """A group with so many slots that everybody has one."""
    held = [slot for slot in slots if slot.state != "maint" and slot.at in leaving]
    needed = len(wanted) + len(held)
    count = max(room, len(slots))
    while count < needed:
        count *= 2
    more = range(len(slots) + 1, count + 1)
    return slots + tuple(Slot(f"dnssd-{'b' if backup else ''}{n}", backup) for n in more)


def commands(backend: str, before: Slot, after: Slot) -> list[str]:
    """What HAProxy is to be told so that a slot becomes what it shall be.

    A slot changes its server while it takes no traffic: maint, address, weight, ready.
    """
    name = f"{backend}/{before.name}"
    moves = before.at != after.at
    comes = after.state == "ready" and (moves or before.state != "ready")
    told = [
        (moves and before.state != "maint", "state maint"),
        (moves, f"addr {after.address} port {after.port}"),
        (
            comes or (after.state == "ready" and after.weight != before.weight),
            f"weight {after.weight}",
        ),
        (comes, "state ready"),
        (after.state != "ready" and after.state != before.state, f"state {after.state}"),
    ]
    return [f"set server {name} {words}" for is_due, words in told if is_due]


def changes(before: Mapping[str, Slots], after: Iterable[Backend]) -> list[str]:
    """All of that: who comes is there before anybody goes. Slots not there yet are left out."""
    coming: list[str] = []
    going: list[str] = []
    for backend in after:
        old = {slot.name: slot for slot in before.get(backend.name, ())}
        for slot in backend.slots:
            if (was := old.get(slot.name, slot)) != slot:
                told = commands(backend.name, was, slot)
                (coming if slot.state == "ready" else going).extend(told)
    return coming + going


def lacking_in(before: Mapping[str, Slots], after: Iterable[Backend]) -> list[str]:
    """Backends of which HAProxy has no such slots: they come with a reload."""
    held = {name: {slot.name for slot in slots} for name, slots in before.items()}
    return [b.name for b in after if not {s.name for s in b.slots} <= held.get(b.name, set())]


def parse_state(text: str) -> dict[str, Slots]:
    """Slots as `show servers state` tells them, by backend (format 1); others are left out."""
    found: dict[str, list[Slot]] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > _PORT and (match := NAME.fullmatch(fields[3])):
            slot = _told(fields, is_backup=bool(match["backup"]))
            found.setdefault(fields[1], []).append(slot)
    return {name: tuple(slots) for name, slots in found.items()}


def _told(fields: Sequence[str], *, is_backup: bool) -> Slot:
    admin, weight = int(fields[6]), int(fields[7])
    state: State = "ready"
    if admin & _OUT:
        state = "maint"
    elif admin & _DRAINING or not weight:
        state = "drain"
    # HAProxy writes some IPv6 addresses otherwise than Python does.
    address = Address.parse(fields[4]).format() if ":" in fields[4] else fields[4]
    return Slot(fields[3], is_backup, address, int(fields[_PORT]), weight or 1, state)
