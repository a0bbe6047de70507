"""The definition of a service instance: its two PTR records and its TXT data. Pure."""

from collections.abc import Iterable, Iterator

from dnssd.errors import NotShareable
from dnssd.names import Name
from dnssd.records import Ptr, Txt
from dnssd.registration.views import DefinitionView, InstanceView, holds_pointer
from dnssd.registration.wish import Wish
from dnssd.rrsets import Change, RRset
from dnssd.zones.limits import CommitLimits


def is_needed(wish: Wish, view: InstanceView) -> bool:
    """Whether nothing seen so far proves that the definition is there.

    A value that another member has published does: whoever put it there saw to it.
    """
    others = (member for label, (member, _) in view.members.items() if label != wish.label)
    return view.srv is None or view.txt is None or not any(map(view.publishes, others))


def complete(
    wish: Wish, view: InstanceView, definition: DefinitionView | None, limits: CommitLimits
) -> Iterator[tuple[Change, ...]]:
    """What the definition lacks; what it has is restated where SRV is created on it.

    Yields:
        All of it; then all but the list of services, which may be full and is optional
        (RFC 6763 section 9), for where the first is too much.
    """
    txt, wanted = _txt_change(wish, view), []
    if definition is not None:
        wanted = [_pointer_change(definition.service, wish.service, wish.name, wish)]
        listed = _pointer_change(definition.enumeration, wish.enumeration, wish.service, wish)
        if limits.fits([listed]):
            yield _beside_srv(view, [txt, listed, *wanted])
    yield _beside_srv(view, [txt, *wanted])


def full_list(
    wish: Wish, definition: DefinitionView | None, changes: Iterable[Change]
) -> str | None:
    """What to tell where the list of services does not take this one; None where it does."""
    rrset = definition.enumeration if definition else None
    if rrset is None or holds_pointer(rrset, wish.service):
        return None
    if any(change.name == wish.enumeration for change in changes):
        return None
    return not_listed(wish.enumeration, wish.service, len(rrset.values))


def not_listed(enumeration: Name, service: Name, values: int) -> str:
    """What it means that a service is not in the list of services."""
    return (
        f"{service}: not in the list of services at {enumeration}, which has {values} values: "
        "look-ups find it, `dnssd browse` without a service does not; take out of the list "
        "what is no more, and join again"
    )


def _beside_srv(view: InstanceView, changes: Iterable[Change]) -> tuple[Change, ...]:
    return tuple(change for change in changes if view.srv is None or not change.is_guard)


def _txt_change(wish: Wish, view: InstanceView) -> Change:
    if view.txt is None:
        return Change(None, RRset(view.name, "TXT", wish.new_ttl, (wish.txt or Txt(),)))
    values = view.txt.values if wish.txt is None else (wish.txt,)
    return Change(view.txt, view.txt.with_values(values, wish.ttl))


def _pointer_change(rrset: RRset | None, name: Name, target: Name, wish: Wish) -> Change:
    if rrset is None:
        return Change(None, RRset(name, "PTR", wish.new_ttl, (Ptr(target),)))
    if rrset.kind:
        raise NotShareable(
            f"{name}: its PTR records are {rrset.kind} ones, which cannot be shared; "
            "replace them by a simple record"
        )
    if holds_pointer(rrset, target):
        return Change(rrset, rrset)
    return Change(rrset, rrset.with_values((*rrset.values, Ptr(target))))
