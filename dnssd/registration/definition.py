"""The definition of a service instance: its two PTR records and its TXT data. Pure."""

from dnssd.errors import NotShareable
from dnssd.names import Name
from dnssd.records import Ptr, Txt
from dnssd.registration.views import DefinitionView, InstanceView, holds_pointer
from dnssd.registration.wish import Wish
from dnssd.rrsets import Change, RRset


def is_needed(wish: Wish, view: InstanceView) -> bool:
    """Whether nothing seen so far proves that the definition is there.

    A value that another member has published does: whoever put it there saw to it.
    """
    others = (member for label, (member, _) in view.members.items() if label != wish.label)
    return view.srv is None or view.txt is None or not any(map(view.publishes, others))


def complete(
    wish: Wish, view: InstanceView, definition: DefinitionView | None
) -> tuple[Change, ...]:
    """What the definition lacks; what it has is restated where SRV is created on it."""
    wanted = [_txt_change(wish, view)]
    if definition is not None:
        wanted.append(_pointer_change(definition.enumeration, wish.enumeration, wish.service, wish))
        wanted.append(_pointer_change(definition.service, wish.service, wish.name, wish))
    return tuple(change for change in wanted if view.srv is None or not change.is_guard)


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
