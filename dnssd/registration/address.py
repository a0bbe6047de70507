"""A host's address, which all its services share, and the host record that counts them. Pure.

host record   addresses          a join                         the last leave
none          none               writes both                    removes both
none          equal              uses them: they are foreign    removes nothing
none          different          is refused
own           any                swaps what differs             removes both
another's     any                is refused, unless it takes over
"""

from collections.abc import Iterable
from dataclasses import replace

from dnssd.errors import AddressConflict, OwnedByAnother, Refused
from dnssd.members import FORMAT, HostRecord
from dnssd.names import Name
from dnssd.records import Address
from dnssd.registration.views import HostView
from dnssd.registration.wish import Wish
from dnssd.rrsets import Change, RRset


def claim(wish: Wish) -> tuple[Change, ...]:
    """Write the host record and the addresses where there is nothing yet."""
    if wish.host is None:
        return ()
    record = HostRecord(wish.owner, (wish.record_name,))
    return (
        Change(None, RRset(wish.host, "TXT", wish.new_ttl, (record.to_txt(wish.origin),))),
        *(
            Change(None, RRset(wish.host, rdtype, wish.new_ttl, values))
            for rdtype, values in _by_type(wish.addresses).items()
        ),
    )


def use(
    wish: Wish, view: HostView | None, *, announcing: bool, freed: str | None = None
) -> tuple[Change, ...]:
    """Make the host's name hold the wished addresses, and the host record this user.

    Args:
        wish: What is wanted.
        view: What stands at the host's name; None if the wish has a target of its own.
        announcing: Whether the same batch writes the member record, which then relies on
            the host record even where that stays as it is.
        freed: An owner whose lease of the member has ended: its host record may be taken.

    Raises:
        Refused: The name or its address is somebody else's.
    """
    if view is None:
        return ()
    _check_kinds(view)
    if view.record is None:
        if not view.addresses:
            return claim(wish)
        _check_foreign(wish, view)
        return ()
    record, rrset = view.record
    _check_owner(wish, view, record, freed)
    used = dict.fromkeys((*record.used, wish.record_name))
    after = replace(record, owner=wish.owner, used=tuple(used), version=FORMAT)
    swapped = _swaps(wish, view, sole=len(used) == 1)
    if after == record and all(change.is_guard for change in swapped) and not announcing:
        return ()
    return Change(rrset, rrset.with_values((after.to_txt(wish.origin),), wish.ttl)), *swapped


def release(view: HostView | None, gone: Iterable[Name]) -> tuple[Change, ...]:
    """Take users out of the host record; the addresses go with the last."""
    if view is None or view.record is None:
        return ()
    record, rrset = view.record
    leaving = set(gone) & set(record.used)
    if not leaving:
        return ()
    left = record.without(leaving)
    if left:
        return (Change(rrset, rrset.with_values((left.to_txt(view.origin),))),)
    return Change(rrset, None), *(Change(address, None) for address in view.addresses.values())


def _check_kinds(view: HostView) -> None:
    for rrset in view.others:
        if rrset.rdtype in ("A", "AAAA", "CNAME", "TXT"):
            kind = f"{rrset.kind} {rrset.rdtype}" if rrset.kind else rrset.rdtype
            raise AddressConflict(
                f"{view.name}: a foreign {kind} record stands at this host's name; "
                "give another --host, or use the name as it is with --target",
                name=str(view.name),
            )


def _check_foreign(wish: Wish, view: HostView) -> None:
    for rdtype, values in _by_type(wish.addresses).items():
        found = view.addresses.get(rdtype)
        if found is None or set(found.values) != set(values):
            there = ", ".join(v.format() for r in view.addresses.values() for v in r.values)
            wanted = ", ".join(value.format() for value in values)
            raise AddressConflict(
                f"{view.name}: has the address {there} by another hand, not {wanted}; "
                "give another --host, or use the name as it is with --target",
                name=str(view.name),
            )


def _check_owner(wish: Wish, view: HostView, record: HostRecord, freed: str | None) -> None:
    if wish.takeover:
        return
    if record.is_newer:
        raise Refused(
            f"{view.name}: its host record is of a newer format; "
            "upgrade dnssd, or replace it with --takeover",
            name=str(view.name),
            owner=record.owner,
        )
    if record.owner != freed and not wish.owns(record.owner):
        raise OwnedByAnother(
            f"host {view.name}: its address belongs to {record.owner}, this is {wish.owner}; "
            "give another --host, or --takeover if that owner is gone",
            name=str(view.name),
            owner=record.owner,
        )


def _swaps(wish: Wish, view: HostView, *, sole: bool) -> tuple[Change, ...]:
    """Changes of the addresses, or their guards; what only other services asked for stays."""
    wanted = _by_type(wish.addresses)
    changes = []
    for rdtype in ("A", "AAAA"):
        found, values = view.addresses.get(rdtype), wanted.get(rdtype)
        if values and found:
            changes.append(Change(found, found.with_values(values, wish.ttl)))
        elif values:
            changes.append(Change(None, RRset(view.name, rdtype, wish.new_ttl, values)))
        elif found and sole:
            changes.append(Change(found, None))
    return tuple(changes)


def _by_type(addresses: Iterable[Address]) -> dict[str, tuple[Address, ...]]:
    sorted_out: dict[str, tuple[Address, ...]] = {}
    for address in addresses:
        sorted_out[address.rdtype] = (*sorted_out.get(address.rdtype, ()), address)
    return sorted_out
