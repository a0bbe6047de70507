"""A zone in this process's memory: for tests, and for trying a plan out."""

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from dnssd.deadline import Deadline
from dnssd.errors import Conflict
from dnssd.names import Name
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Question, Traits
from dnssd.zones.limits import CommitLimits

Contents = dict[Question, RRset]


class MemoryZone:
    """A `Zone` whose commits are atomic, in either of two modes.

    A shared RRset is swapped as a whole, as at Route 53, or single values of it are added and
    deleted, as servers do that take updates.

    Attributes:
        states: Every state that the zone has been in, the newest last; each maps
            (name, type) to an RRset.
    """

    def __init__(
        self,
        origin: Name,
        rrsets: Iterable[RRset] = (),
        *,
        merges: bool = False,
        limits: CommitLimits = CommitLimits(),  # noqa: B008 (frozen)
    ) -> None:
        self.address = f"memory:{origin}"
        self.zone_id = ""
        self.actor = ""
        self.origin = origin
        self.limits = limits
        self.traits = Traits(merges=merges)
        self.requests = 0
        self.throttled = 0
        self.states: list[Contents] = [{(r.name, r.rdtype): r for r in rrsets}]
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

    def read_many(self, questions: Sequence[Question], deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_many`: a request for each where it does not merge, as at Route 53."""
        state = self._state()
        self.requests += 0 if self.traits.merges else len(questions) - 1
        names = {name for name, _ in questions}
        aliases = (rrset for rrset in state.values() if rrset.rdtype == "CNAME")
        found = {rrset.name: rrset for rrset in aliases if rrset.name in names}
        return *found.values(), *(state[one] for one in dict.fromkeys(questions) if one in state)

    def is_answered_by_wildcard(self, name: Name, deadline: Deadline) -> bool:
        """See `Zone.is_answered_by_wildcard`."""
        return bool(self.read_node(name.parent.child(b"*"), deadline))

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, *, absent: Collection[Question] = ()
    ) -> str:
        """See `Zone.commit`."""
        self.limits.check(changes)
        with self._lock:
            self.requests += 1
            rrsets = dict(self.states[-1])
            for name, rdtype in absent:
                if (name, rdtype) in rrsets:
                    raise Conflict(f"{rdtype} {name} is there", name=str(name))
            for change in changes:
                self._apply(change, rrsets)
            self.states.append(rrsets)
            return str(len(self.states) - 1)

    def wait_served(self, commit: str, deadline: Deadline) -> None:
        """See `Zone.wait_served`: what is committed is served."""

    def _apply(self, change: Change, rrsets: Contents) -> None:
        key = change.name, change.rdtype
        if not change.name.is_below(self.origin):
            raise Conflict(f"{change.name} is not in zone {self.origin}", name=str(change.name))
        found = rrsets.pop(key, None)
        if change.shared and self.traits.merges:
            after = merged(found, change)
        elif found == change.before:
            after = change.after
        else:
            what = f"{change.rdtype} {change.name} is not as it was when read"
            raise Conflict(what, name=str(change.name))
        if after is not None:
            if any(name == change.name and "CNAME" in (rdtype, key[1]) for name, rdtype in rrsets):
                raise Conflict(f"{change.name}: an alias stands alone", name=str(change.name))
            rrsets[key] = after

    def _state(self) -> Contents:
        with self._lock:
            self.requests += 1
            return self.states[-1]


def merged(found: RRset | None, change: Change) -> RRset | None:
    """An RRset once single values were added and deleted."""
    after = change.after
    values = [v for v in (found.values if found else ()) if v not in change.removed]
    rrset = found or after
    if rrset is None:
        return None
    if after is not None and change.before is not None and after.ttl != change.before.ttl:
        rrset = replace(rrset, ttl=after.ttl)
    return rrset.with_values((*values, *change.added))


def _sorted(rrsets: Iterable[RRset]) -> tuple[RRset, ...]:
    return tuple(sorted(rrsets, key=lambda rrset: (rrset.name.reversed, rrset.rdtype)))
