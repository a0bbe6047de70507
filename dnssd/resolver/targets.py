"""The addresses of SRV targets: which are there, which came along, which are to be asked for; pure.

At first a target with any address is complete; later its other family is asked for too, unless
it is known to have none.
"""

from collections.abc import Iterable, Sequence

from dnssd.names import Name
from dnssd.records import Address, Srv
from dnssd.resolver.known import (
    FAMILIES,
    MAX_TTL,
    MIN_TTL,
    CachedRRset,
    Key,
    Known,
    held,
    other_family,
    untold,
)
from dnssd.wire.message import Record

Question = tuple[Name, str]  # a name and a type


class Targets:
    """What a look-up knows of the addresses of its targets.

    Args:
        found: What it has found, of all types; addresses are put there.
        known: What was found before.
        now: Monotonic clock reading, in seconds; addresses in `known` hold until they expire.

    Attributes:
        usable: Whether some target has an address.
        incomplete: Whether one family of some target has not been asked for.
        doubted: What is asked for although it is known.
    """

    __slots__ = (
        "_additional",
        "_found",
        "_known",
        "_left_alone",
        "_now",
        "doubted",
        "incomplete",
        "usable",
    )

    def __init__(self, found: dict[Key, CachedRRset], known: Known, now: float) -> None:
        self._found = found
        self._known = known
        self._now = now
        self._additional: dict[Key, CachedRRset] = {}
        self._left_alone: dict[Key, Name] = {}
        self.doubted: set[Key] = set()
        self.usable = self.incomplete = False

    def add(self, records: Iterable[Record], now: float) -> None:
        """Take note of addresses that came along; one TTL for an RRset, the smallest."""
        more: dict[Key, list[Record]] = {}
        for record in records:
            name, rdtype, ttl, address = record
            key = name.key, rdtype
            if key in self._additional:
                more.setdefault(key, []).append(record)
            elif isinstance(address, Address):
                least = ttl if MIN_TTL <= ttl <= MAX_TTL else held(ttl)
                self._additional[key] = _new(
                    CachedRRset, ((address,), now + least, least, 0, 0.0, False)
                )
        for key, others in more.items():
            known = self._additional[key]
            least = held(min(known.ttl, *[record.ttl for record in others]))
            addresses = [one.data for one in others if isinstance(one.data, Address)]
            values = tuple(dict.fromkeys((*known.values, *addresses)))
            self._additional[key] = CachedRRset(values, now + least, least)

    def lacking(self, target: Name) -> Sequence[Question]:
        """The addresses of a target that are to be asked for.

        What came along, but lacks something that was known, is asked for like everything that
        is doubted.
        """
        unknown = []
        for family in FAMILIES:
            key = target.key, family
            came, known = self._additional.get(key), self._known.get(key)
            if came and (known is None or set(known.values) <= set(came.values)):
                self._found[key] = came
                self.usable = True
                continue
            unknown.append((target, family))
            if came:
                self.doubted.add(key)
        if not self._known:
            if len(unknown) < len(FAMILIES):
                self.incomplete = self.incomplete or bool(unknown)
                return ()
            return unknown
        return self._without_absent(target, unknown)

    def is_absent(self, name: Name) -> Sequence[Question]:
        """One family of a target is empty: then the other is not left alone any longer."""
        lost = [(name, family) for family in FAMILIES if (name.key, family) in self._left_alone]
        for _, family in lost:
            key = name.key, family
            del self._left_alone[key], self._found[key]
            self.doubted.add(key)
        return lost

    def do_without(self, key: Key, failed: Iterable[Key]) -> bool:
        """Nobody has answered about a family: whether there is nothing more to say of it.

        Some servers never answer for a family that they have no addresses of (RFC 4074). Where
        the other one is there, and was so before, that is not waited for at every refresh.
        """
        known, other = self._known.get(key), other_family(key)
        is_told = other in self._found and other not in failed
        is_there = other in self._known and is_told and self._found[other].values
        if not is_there or (known and known.values):
            return False
        self._found[key] = untold(known, self._now)
        return True

    def _without_absent(self, target: Name, questions: list[Question]) -> Sequence[Question]:
        """Without what the target is known not to have, for a while yet.

        Whatever has no address at all is asked about again: a lie may have taken it.
        """
        keys = [(target.key, family) for family in FAMILIES]
        before = {key: known for key in keys if (known := self._known.get(key))}
        if not any(known.values for known in before.values()):
            self.doubted.update(before)
            return questions
        for key, known in before.items():
            question = target, key[1]
            if not known.values and known.expires_at > self._now and question in questions:
                self._found[key] = known
                self._left_alone[key] = target
                questions.remove(question)
        return questions


def unasked(known: Known) -> Sequence[Question]:
    """The address families of targets that nobody has been asked for."""
    srvs = (value for one in known.values() for value in one.values)
    targets = {srv.target.key: srv.target for srv in srvs if isinstance(srv, Srv)}
    targets.pop(ROOT, None)
    return [
        (name, rdtype)
        for key, name in targets.items()
        for rdtype in FAMILIES
        if (key, rdtype) not in known
    ]


ROOT = Name(()).key  # of a target that says: not offered
_new = tuple.__new__  # a CachedRRset's own __new__ takes twice as long
