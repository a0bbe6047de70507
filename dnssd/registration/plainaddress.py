"""A plain address: a host among the A and AAAA values of a name such as www.example.com. Pure.

    www.example.com              A, AAAA   shared: values of several hosts, and of other hands
    HOST.www._dnssd.example.com  TXT       the member record: which values are that host's

The record stands beside NAME, never below it: an empty name there would hide a wildcard's answer
for it. For the zone's own name the label is `_apex`. A join or a leave is one commit of both; on
a zone that does not merge it swaps the values as they were read, and is refused if somebody was
faster. So nobody folds for others, and nothing is marked before it goes.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Self

from dnssd.errors import (
    MalformedRecord,
    NotShareable,
    OwnedByAnother,
    PlaceTaken,
    Refused,
    UsageError,
)
from dnssd.members import FORMAT
from dnssd.names import Name
from dnssd.records import Address, Rdata, Txt
from dnssd.registration.addressmembers import AddressMember
from dnssd.registration.wish import DEFAULT_TTL
from dnssd.rrsets import PROXIED, Change, RRset

TYPES = ("A", "AAAA")
_APEX, _BESIDE = b"_apex", b"_dnssd"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressWish:
    """What a host wants of a name.

    Attributes:
        origin: The zone's apex.
        name: The name.
        label: The host's label.
        addresses: What it adds; none to leave.
        owner: Whose member it is.
        former_owners: What the same owner was called by earlier versions.
        ttl: Seconds; None to keep what is there.
        proxied: Whether its provider is to stand before it.
        force: Whether another owner's records may be replaced or removed.

    Raises:
        UsageError: The name is not in the zone, or is none that browsers go to.
    """

    origin: Name
    name: Name
    label: str
    addresses: tuple[Address, ...] = ()
    owner: str
    former_owners: tuple[str, ...] = ()
    ttl: int | None = None
    proxied: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label.lower())
        check_name(self.name)
        if not self.name.is_below(self.origin):
            raise UsageError(f"{self.name}: not in the zone {self.origin}; give it in full")

    @property
    def parent(self) -> Name:
        """What the member records stand below."""
        return members_of(self.name, self.origin)

    @property
    def record_name(self) -> Name:
        """Where the own member record stands."""
        return self.parent.child(self.label.encode())

    def owns(self, owner: str) -> bool:
        """Whether records of that owner may be changed."""
        return self.force or owner == self.owner or owner in self.former_owners


def check_name(name: Name) -> None:
    """Check that browsers go to a name.

    Raises:
        UsageError: It is none of theirs.
    """
    if not name.labels or any(label[:1] in (b"_", b"*") for label in name.labels):
        raise UsageError(f"{name}: not a name of hosts; give one such as www.example.com")


def members_of(name: Name, origin: Name) -> Name:
    """What the member records of a name stand below."""
    return origin.child(*(name.relative_to(origin) or (_APEX,)), _BESIDE)


@dataclass(frozen=True, slots=True)
class AddressView:
    """What stands at a name, and who says that it is his.

    Attributes:
        name: The name.
        values: Its A and AAAA RRsets, by type.
        members: Each member by its label, with the RRset of its record.
        others: Aliases, and routed records, at the name.
    """

    name: Name
    values: Mapping[str, RRset]
    members: Mapping[str, tuple[AddressMember, RRset]]
    others: tuple[RRset, ...]

    @classmethod
    def of(cls, name: Name, parent: Name, node: Iterable[RRset], below: Iterable[RRset]) -> Self:
        """Sort out what two reads show: of the name, and of the member records."""
        values, others = {}, []
        for rrset in node:
            if rrset.rdtype in TYPES and rrset.kind in (None, PROXIED):
                values[rrset.rdtype] = rrset
            elif rrset.rdtype in (*TYPES, "CNAME"):
                others.append(rrset)
        members = {}
        for rrset in below:
            if (member := _member(parent, rrset)) is not None:
                members[member.label] = member, rrset
        return cls(name, MappingProxyType(values), MappingProxyType(members), tuple(others))

    @property
    def all_values(self) -> tuple[Rdata, ...]:
        """The values of both types."""
        return tuple(value for rrset in self.values.values() for value in rrset.values)

    @property
    def unexplained(self) -> tuple[Rdata, ...]:
        """Values of other hands, never touched."""
        claimed = {a for member, _ in self.members.values() for a in member.addresses}
        return tuple(value for value in self.all_values if value not in claimed)

    def claimed_beside(self, label: str) -> frozenset[Rdata]:
        """The values of every member but one."""
        others = (m for key, (m, _) in self.members.items() if key != label)
        return frozenset(a for member in others for a in member.addresses)


def join(
    wish: AddressWish, view: AddressView, draft_id: str, now: datetime, *, merges: bool
) -> tuple[Change, ...]:
    """The commit that makes a name hold the wished addresses; all guards if it does.

    Raises:
        Refused: Somebody else's records, or records of another kind, are in the way.
    """
    _check(wish, view)
    taken = view.claimed_beside(wish.label) & set(wish.addresses)
    if taken:
        raise _taken(wish, view, next(iter(taken)))
    found, record = view.members.get(wish.label, (None, None))
    draft = AddressMember(
        label=wish.label,
        addresses=wish.addresses,
        owner=wish.owner,
        since=now.replace(microsecond=0),
        id=draft_id,
        proxied=wish.proxied,
        unknown=found.unknown if found else (),
    )
    same = found is not None and _says(found) == _says(draft)
    changes = _values(wish, view, found.addresses if found else (), merges=merges)
    if same and all(change.is_guard for change in changes):
        return ()
    ttl = wish.ttl or (record.ttl if record else DEFAULT_TTL)
    after = RRset(wish.record_name, "TXT", ttl, (draft.to_txt(),))
    return *changes, Change(record, record if same and record else after)


def leave(wish: AddressWish, view: AddressView) -> tuple[Change, ...]:
    """The commit that takes the host's values out, and its record with them.

    Raises:
        OwnedByAnother: They are another owner's.
    """
    found, record = view.members.get(wish.label, (None, None))
    if found is None:
        return ()
    if not wish.owns(found.owner):
        raise _owned(wish, found)
    without = replace(wish, addresses=())
    return *_values(without, view, found.addresses), Change(record, None)


def overtaken(wish: AddressWish, view: AddressView) -> Refused | None:
    """After a commit: whether a host with the same address has joined at the same time, first."""
    own, _ = view.members[wish.label]
    for label, (member, _) in view.members.items():
        shared = set(member.addresses) & set(own.addresses)
        if label != own.label and shared and (member.since, label) < (own.since, own.label):
            return _taken(wish, view, next(iter(shared)))
    return None


def _values(
    wish: AddressWish, view: AddressView, former: Sequence[Address], *, merges: bool = False
) -> tuple[Change, ...]:
    """The changes of the A and AAAA RRsets, or their guards."""
    kept = view.claimed_beside(wish.label)
    changes = []
    for rdtype in TYPES:
        wanted = [address for address in wish.addresses if address.rdtype == rdtype]
        gone = {a for a in former if a not in wanted and a not in kept}
        rrset = view.values.get(rdtype)
        if rrset is not None:
            changes.append(_change(wish, rrset, wanted, gone, merges=merges))
        elif wanted:
            kind = PROXIED if wish.proxied else None
            first = RRset(view.name, rdtype, wish.ttl or DEFAULT_TTL, tuple(wanted), kind=kind)
            changes.append(Change(None, first, shared=True))
    return tuple(changes)


def _change(
    wish: AddressWish,
    rrset: RRset,
    wanted: Sequence[Address],
    gone: AbstractSet[Address],
    *,
    merges: bool,
) -> Change:
    """The change of one RRset. Where a zone merges, new values bring TTL and kind along."""
    ttl = rrset.ttl if wish.ttl is None or not wanted else wish.ttl
    kind = rrset.kind if not wanted else PROXIED if wish.proxied else None
    beside = [value for value in rrset.values if value not in gone and value not in wanted]
    after = rrset.with_values((*beside, *wanted), ttl)
    after = after and replace(after, kind=kind)
    if not merges or (ttl, kind) == (rrset.ttl, rrset.kind):
        return Change(rrset, after, shared=True)
    if not beside:
        return Change(rrset, after)
    return Change(rrset.with_values(v for v in rrset.values if v not in wanted), after, shared=True)


def _check(wish: AddressWish, view: AddressView) -> None:
    for rrset in view.others:
        raise NotShareable(
            f"{view.name}: a {rrset.kind or rrset.rdtype} record stands at this name, which no "
            "address can share; remove it, or use another name",
        )
    found, _ = view.members.get(wish.label, (None, None))
    own = found.addresses if found else ()
    for rrset in view.values.values():
        beside = [value for value in rrset.values if value not in own]
        if beside and (rrset.kind == PROXIED) != wish.proxied:
            how = "proxied: give --proxied" if rrset.kind else "not proxied: leave out --proxied"
            raise NotShareable(f"{view.name}: the addresses there are {how}, or use another name")
    if found is not None and not wish.owns(found.owner):
        raise _owned(wish, found)
    if found is not None and found.version > FORMAT and not wish.force:
        what = f"{wish.record_name}: of a newer format; upgrade dnssd, or give --takeover"
        raise Refused(what, owner=found.owner)


def _taken(wish: AddressWish, view: AddressView, value: Rdata) -> PlaceTaken:
    holders = (m for k, (m, _) in view.members.items() if k != wish.label)
    holder = next(member for member in holders if value in member.addresses)
    return PlaceTaken(
        f"{wish.name}: {value.format()} is there already, by {holder.owner}; two hosts behind one "
        "address are one to clients: give this one an --address of its own",
        owner=holder.owner,
    )


def _owned(wish: AddressWish, found: AddressMember) -> OwnedByAnother:
    return OwnedByAnother(
        f"{wish.record_name}: belongs to {found.owner}, this is {wish.owner}; give another --host, "
        "or, if that owner is gone, join with --takeover or leave with --force",
        owner=found.owner,
    )


def _says(member: AddressMember) -> tuple[object, ...]:
    return set(member.addresses), member.owner, member.proxied


def _member(parent: Name, rrset: RRset) -> AddressMember | None:
    (value, *more) = rrset.values or (None,)
    if rrset.rdtype != "TXT" or more or not isinstance(value, Txt) or not rrset.name.labels:
        return None
    if rrset.name == parent or rrset.name.parent != parent:
        return None
    try:
        return AddressMember.from_txt(rrset.name.labels[0], value)
    except MalformedRecord:
        return None
