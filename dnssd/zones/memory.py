"""A zone in this process's memory: for tests, and for trying a plan out."""

import threading
from collections.abc import Iterable, Sequence

from dnssd.deadline import Deadline
from dnssd.errors import Conflict
from dnssd.names import Name
from dnssd.records import Change, RRset
from dnssd.zones.limits import CommitLimits

Key = tuple[Name, str]


class MemoryZone:
    """A `Zone` whose commits are atomic compare-and-swaps, as Route 53's are.

    Attributes:
        states: Every state that the zone has been in, the newest last; each maps
            (name, type) to an RRset.
    """

    def __init__(
        self,
        origin: Name,
        rrsets: Iterable[RRset] = (),
        *,
        limits: CommitLimits = CommitLimits(),  # noqa: B008 (frozen)
    ) -> None:
        self.address = f"memory:{origin}"
        self.origin = origin
        self.limits = limits
        self.requests = 0
        self.throttled = 0
        self.states: list[dict[Key, RRset]] = [{(r.name, r.rdtype): r for r in rrsets}]
        self._lock = threading.Lock()

    def read(self, name: Name, rdtype: str, deadline: Deadline) -> RRset | None:
        """See `Zone.read`."""
        return self._state().get((name, rdtype))

    def read_node(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_node`."""
        return _sorted(rrset for rrset in self._state().values() if rrset.name == name)

    def read_below(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_below`."""
        return _sorted(rrset for rrset in self._state().values() if rrset.name.is_below(name))

    def commit(self, changes: Sequence[Change], deadline: Deadline) -> str:
        """See `Zone.commit`."""
        self.limits.check(changes)
        with self._lock:
            self.requests += 1
            rrsets = dict(self.states[-1])
            for change in changes:
                key = change.name, change.rdtype
                if not change.name.is_below(self.origin):
                    raise Conflict(f"{change.name} is not in zone {self.origin}")
                if rrsets.pop(key, None) != change.before:
                    raise Conflict(f"{change.rdtype} {change.name} is not as it was when read")
                if change.after is not None:
                    rrsets[key] = change.after
            self.states.append(rrsets)
            return str(len(self.states) - 1)

    def wait_served(self, commit: str, deadline: Deadline) -> None:
        """See `Zone.wait_served`: what is committed is served."""

    def _state(self) -> dict[Key, RRset]:
        with self._lock:
            self.requests += 1
            return self.states[-1]


def _sorted(rrsets: Iterable[RRset]) -> tuple[RRset, ...]:
    return tuple(sorted(rrsets, key=lambda rrset: (rrset.name.reversed, rrset.rdtype)))
