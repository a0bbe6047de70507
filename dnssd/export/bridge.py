"""Keeps HAProxy's servers equal to services: a step at a time, from what is to what shall be.

    services, slots in HAProxy (in the file, while it does not run)
        -> slots as they shall be -> the file, if they differ from it
                                  -> commands, or a reload where slots are lacking

Nothing is remembered but how long drains last: each step begins with what HAProxy says. So a
step that fails is made good by the next one, and whoever starts anew goes on where it was.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from dnssd.errors import Unavailable
from dnssd.export import files
from dnssd.export.haproxy import At, Backend, Slots, parse, render
from dnssd.export.runtime import Runtime, check
from dnssd.export.services import Service
from dnssd.export.slots import changes, lacking_in, plan

DRAIN_SECONDS = 60.0  # that who is gone may still be asked by whoever sticks to it
RELOAD_SECONDS = 30.0  # between reloads: one that failed is tried again

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Bridge:
    """A HAProxy that is kept up to date.

    Args:
        runtime: Speaks to it.
        path: The file of backends, which it reads when it starts.
        room: How many slots a group has at least.
        warn: Tells people.
        execute: Reloads it; returns what went wrong. None: through the master's socket.
        monotonic: The clock, in seconds.

    Attributes:
        reloads: How often it was reloaded.
    """

    def __init__(
        self,
        runtime: Runtime,
        path: Path,
        room: int,
        warn: Callable[[str], object],
        *,
        execute: Callable[[], str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runtime = runtime
        self._path = path
        self._room = room
        self._warn = warn
        self._execute = execute
        self._monotonic = monotonic
        self._drains: dict[tuple[str, str, At], float] = {}  # since when, in seconds
        self._problems: list[str] = []
        self._told: set[str] = set()
        self._reload_at = float("-inf")
        self._was_empty = False  # whether HAProxy had none of the backends
        self._backends: list[Backend] = []  # as the file has them
        self._in_file = parse(files.read(path) or "")
        self.reloads = 0

    def begin(self, services: Sequence[Service]) -> None:
        """The first step, in which what will not mend by itself is an error.

        Raises:
            Unavailable: The file cannot be written, or the socket not be used by this user.
        """
        live: Mapping[str, Slots] = {}
        try:
            live = self._read(services)
        except Unavailable as error:
            if isinstance(error.__cause__, PermissionError):
                raise
        self._write(self._planned(services, live))
        self.step(services)

    def step(self, services: Sequence[Service]) -> None:
        """Bring file and HAProxy to what the services are; tell people once what goes wrong."""
        self._problems = []
        live = self._tried(self._read, services)
        backends = self._planned(services, live or {})
        is_written = self._tried(self._write, backends)
        if live is not None:
            self._tried(self._apply, live, backends)
            # HAProxy without any of them may be about to start: the next step tells.
            if is_written and (live or self._was_empty):
                self._tried(self._reload, lacking_in(live, backends))
        self._was_empty = live == {}
        for problem in self._problems:
            if problem not in self._told:
                self._warn(problem)
        self._told = set(self._problems)

    def _tried(self, function: Callable[..., _Result], *arguments: object) -> _Result | None:
        try:
            return function(*arguments)
        except Unavailable as error:
            self._problems.append(f"{error}; trying again")
            return None

    def _read(self, services: Sequence[Service]) -> dict[str, Slots]:
        return self._runtime.read({*self._in_file, *(service.label for service in services)})

    def _planned(self, services: Sequence[Service], live: Mapping[str, Slots]) -> list[Backend]:
        """The backends as they shall be, with the slots of a file that is not loaded yet."""
        now = self._monotonic()
        held = dict(live)
        for name, slots in self._in_file.items():
            known = {slot.name for slot in live.get(name, ())}
            held[name] = live.get(name, ()) + tuple(s for s in slots if s.name not in known)
        over = {at for (_, _, at), since in self._drains.items() if now - since >= DRAIN_SECONDS}
        backends = [each for service in services for each in plan(service, held, self._room, over)]
        self._drains = {
            key: self._drains.get(key, now)
            for backend in backends
            for slot in backend.slots
            if slot.state == "drain" and (key := (backend.name, slot.name, slot.at))
        }
        return backends

    def _write(self, backends: list[Backend]) -> bool:
        """Bring the file up to date; whether it is.

        Raises:
            Unavailable: It cannot be written.
        """
        if backends == self._backends:
            return True
        text = render(backends)
        if lacking_in(self._in_file, backends) and (why := check(text)):
            self._problems.append(f"{self._path}: not written: HAProxy would refuse it: {why}")
            return False
        if files.read(self._path) != text:
            files.write(self._path, text)
        self._hint(backends)
        self._backends = backends
        self._in_file = {backend.name: backend.slots for backend in backends}
        return True

    def _hint(self, backends: Iterable[Backend]) -> None:
        """Tell of backends that are new, and that frontends do not know yet."""
        names = {backend.name for backend in backends}
        for name in sorted(names - self._in_file.keys()):
            first = name.rpartition("-")[0]
            if first in names:
                self._warn(
                    f"{self._path}: {name} is for when {first} has no server left; add to your "
                    f"frontends: use_backend {name} if {{ nbsrv({first}) eq 0 }}"
                )

    def _apply(self, live: Mapping[str, Slots], backends: Sequence[Backend]) -> None:
        """Have HAProxy change its slots, and look whether it has.

        Raises:
            Unavailable: It does not answer.
        """
        if not (told := changes(live, backends)):
            return
        said = self._runtime.tell(told)
        left = changes(self._runtime.read(backend.name for backend in backends), backends)
        if left:
            lines = [line for line in said.splitlines() if line and "changed from" not in line]
            why = lines[0] if lines else "it does not say why"
            self._problems.append(f"{left[0]}: HAProxy has not done it: {why}; trying again")

    def _reload(self, lacking: Sequence[str]) -> None:
        """Have HAProxy load the file, if that has slots that it lacks.

        Raises:
            Unavailable: It does not answer.
        """
        if not lacking:
            return
        now = self._monotonic()
        what = f"HAProxy lacks servers of {lacking[0]} that {self._path} has"
        if now < self._reload_at:
            self._problems.append(f"{what}: does it load this file?")
            return
        self._reload_at = now + RELOAD_SECONDS
        self.reloads += 1
        _log.info("%s: reload %d, for more slots", self._path, self.reloads)
        if self._execute is not None:
            if why := self._execute():
                self._problems.append(f"{what}: {why}; trying again in {RELOAD_SECONDS:g} s")
        elif not self._runtime.reload():
            self._problems.append(
                f"{what}, and this is not the socket of a master process, which could reload it; "
                "give that (haproxy -W -S SOCKET), or --exec 'systemctl reload haproxy'"
            )
