"""Who is a member, where no server lists the names below another. Pure.

    web._http._tcp.example.com           SRV, TXT
    _members.web._http._tcp.example.com  PTR  i-0abc-80.web._http._tcp.example.com, ...
    www._dnssd.example.com               PTR  i-0abc.www._dnssd.example.com, ...

Each update that writes or removes a member record writes or removes its value of the index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from dnssd.errors import MalformedRecord
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Ptr, Srv, Txt
from dnssd.rrsets import Change, RRset

if TYPE_CHECKING:  # that module waits, and this one only thinks
    from dnssd.zones.base import Question

INDEX_TTL = 60  # seconds
_INDEX = b"_members"
_ADDRESSES = b"_dnssd"


def index_of(parent: Name) -> Name:
    """The index of the members that stand below `parent`."""
    return parent if is_for_addresses(parent) else parent.child(_INDEX)


def is_for_addresses(name: Name) -> bool:
    """Whether the members of a plain address stand below a name."""
    return _ADDRESSES in _lower(name)[1:]


def is_index(name: Name) -> bool:
    """Whether a name is that of an index."""
    return _lower(name)[:1] == (_INDEX,) or is_for_addresses(name)


def is_protocol(name: Name) -> bool:
    """Whether services stand below a name: it begins with `_tcp` or `_udp`."""
    return _lower(name)[:1] in ((b"_tcp",), (b"_udp",))


def questions(nodes: Iterable[Name]) -> list[Question]:
    """What to ask at names, to find what stands below them."""
    asked: list[Question] = []
    for node in nodes:
        asked.append((node, "PTR"))
        if not is_index(node):
            asked += [(node, "SRV"), (node, "TXT"), (index_of(node), "PTR")]
    return asked


def pointed_at(rrsets: Iterable[RRset], origin: Name) -> list[Name]:
    """The services and instances of the zone that PTR records lead to."""
    targets = (
        value.target
        for rrset in rrsets
        if rrset.rdtype == "PTR" and not is_index(rrset.name)
        for value in rrset.values
        if isinstance(value, Ptr)
    )
    return list(dict.fromkeys(target for target in targets if target.is_below(origin)))


def index_changes(changes: Iterable[Change]) -> Iterator[Change]:
    """The values of the index that go with changes of member records."""
    for change in changes:
        if change.is_guard or not _is_member(change):
            continue
        value = RRset(index_of(change.name.parent), "PTR", INDEX_TTL, (Ptr(change.name),))
        there = change.after is not None
        yield Change(None if there else value, value if there else None, shared=True)


def indexed(rrsets: Iterable[RRset]) -> tuple[Name, ...]:
    """The member records that indexes tell of."""
    return tuple(
        value.target
        for rrset in rrsets
        if rrset.rdtype == "PTR" and is_index(rrset.name)
        for value in rrset.values
        if isinstance(value, Ptr) and index_of(value.target.parent) == rrset.name
    )


def unexplained(rrsets: Sequence[RRset], origin: Name, known: Iterable[Name]) -> tuple[Name, ...]:
    """Where the member records of SRV values stand that no index tells of, if they have one."""
    names = (
        _record_name(rrset.name, value, origin)
        for rrset in rrsets
        if rrset.rdtype == "SRV"
        for value in rrset.values
        if isinstance(value, Srv)
    )
    return tuple(dict.fromkeys(name for name in names if name and name not in set(known)))


def _lower(name: Name) -> tuple[bytes, ...]:
    return name.lower().labels


def _record_name(instance: Name, value: Srv, origin: Name) -> Name | None:
    if not value.target.labels or value.target.parent != origin:
        return None
    label = value.target.labels[0] + f"-{value.port}".encode()
    return instance.child(label.lower()) if len(label) < 64 else None


def _is_member(change: Change) -> bool:
    side = change.after or change.before
    if change.rdtype != "TXT" or side is None or len(side.values) != 1:
        return False
    (value,) = side.values
    if not isinstance(value, Txt):
        return False
    if is_for_addresses(change.name.parent):
        return True
    try:
        Member.from_txt(change.name.labels[0], value)
    except MalformedRecord:
        return False
    return True
