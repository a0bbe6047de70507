"""What to write next where a zone merges: one commit, with nobody else's values in it. Pure.

    TXT of the instance      written if absent, else restated: whoever removes the definition
                             removes it too, and a join that relied on it conflicts
    PTR                      own value added, always by who writes the TXT
    SRV                      own value added or removed; a superseded one goes in the same commit
    member, host, addresses  exact swaps, as everywhere

A refused commit means that something of one's own has changed, or the TXT: read again. Nobody
folds for others here, so a member is published as soon as it is announced.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime

from dnssd.errors import NotShareable
from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Ptr, Rdata, Txt
from dnssd.registration import address, plan
from dnssd.registration.views import DefinitionView, HostView, InstanceView
from dnssd.registration.wish import Wish
from dnssd.rrsets import PROXIED, Change, RRset
from dnssd.zones.base import Question


@dataclass(frozen=True, slots=True)
class Merge:
    """One commit.

    Attributes:
        changes: Empty if there is nothing to do.
        absent: What must not be there.
    """

    changes: tuple[Change, ...]
    absent: tuple[Question, ...] = ()

    @property
    def needed(self) -> bool:
        """Whether it changes anything."""
        return any(not change.is_guard for change in self.changes)


def questions(wish: Wish, *, proxies: bool = False) -> tuple[Question, ...]:
    """Everything that a join relies on, in one round trip.

    Args:
        wish: What is wanted.
        proxies: Whether the provider may stand before a target.
    """
    host: Iterable[Question] = ()
    if wish.host is not None:
        host = ((wish.host, rdtype) for rdtype in ("TXT", "A", "AAAA"))
    elif proxies:
        host = ((wish.srv.target, rdtype) for rdtype in ("A", "AAAA"))
    return (
        (wish.name, "SRV"),
        (wish.name, "TXT"),
        (wish.record_name, "TXT"),
        (wish.service, "PTR"),
        (wish.enumeration, "PTR"),
        *host,
    )


@dataclass(frozen=True, slots=True)
class Read:
    """What one round trip of a join shows."""

    view: InstanceView
    host: HostView | None
    definition: DefinitionView

    @classmethod
    def of(cls, wish: Wish, rrsets: Sequence[RRset]) -> "Read":
        """Sort out the answers to `questions`.

        Raises:
            NotShareable: An alias stands where a PTR record is to be.
        """
        host = [rrset for rrset in rrsets if rrset.name == wish.host]
        return cls(
            view=InstanceView.of(wish.name, [r for r in rrsets if r.name.is_below(wish.name)]),
            host=None if wish.host is None else HostView.of(wish.host, host, wish.origin),
            definition=DefinitionView.of(rrsets, wish.service, wish.enumeration),
        )


def check(wish: Wish, rrsets: Iterable[RRset]) -> None:
    """Refuse a target that its provider stands before.

    Raises:
        NotShareable: It is one.
    """
    for rrset in rrsets:
        if rrset.kind == PROXIED and wish.host is None:
            raise NotShareable(
                f"{rrset.name}: its address is proxied, and nobody reaches another port there; "
                "give a target that is not, or the host's own address"
            )


def is_taken(wish: Wish, view: InstanceView) -> bool:
    """Whether the wanted value is there and no member that was read explains it."""
    return any(
        wish.srv.target == value.target and wish.srv.port == value.port
        for value in view.unexplained
        if isinstance(value, type(wish.srv))
    )


def join(
    wish: Wish, draft: Member, read: Read, now: datetime, *, keep_ttl: bool, most: int
) -> Merge:
    """Plan a join.

    Args:
        wish: What is wanted.
        draft: The member to announce.
        read: What there is.
        now: The time of day.
        keep_ttl: Leave the TTL of shared RRsets: the server has had its say already.
        most: Values that an RRset holds: a full list of services is left as it is.

    Raises:
        Refused: Another owner's records, or records of another kind, are in the way.
    """
    view = read.view
    view.check()
    entry = plan.own_change(wish, draft, view, now)
    assert entry.new is not None  # noqa: S101 (a join leaves a member)
    announces = entry.new != entry.old or bool(entry.new.was)
    new = replace(entry.new, was=())  # its superseded values go in this commit
    own = address.use(wish, read.host, announcing=announces, freed=plan.freed_owner(entry.old, now))
    record = plan.record_rrset(wish, new, entry.record)
    changes = (
        *_definition(wish, read, keep_ttl, most),
        *_srv(wish, entry.sides, view, keep_ttl),
        Change(entry.record, record if announces else entry.record),
        *own,
    )
    return Merge(changes)


def withdraw(labels: AbstractSet[str], view: InstanceView, host: HostView | None) -> Merge:
    """Plan the removal of one host's members: values, records, and the address with its last user.

    A value that another member claims, too, stays; that member's record is restated. A value
    that is not there is removed, too: its host may be putting it back, by the same record.
    """
    gone = [view.members[label] for label in sorted(labels)]
    left = [one for label, one in view.members.items() if label not in labels]
    seen = [v for v in view.values if any(member.claims(v) for member, _ in gone)]
    claimed = list(dict.fromkeys((*seen, *(member.srv for member, _ in gone))))
    sharers = [(m, r) for m, r in left if m.state == "up" and any(map(m.claims, claimed))]
    dropped = [v for v in claimed if not any(member.claims(v) for member, _ in sharers)]
    changes = (
        *_removal(view, dropped),
        *(Change(record, record) for _, record in sharers),
        *(Change(record, None) for _, record in gone),
        *address.release(host, [record.name for _, record in gone]),
    )
    unread = host is not None and host.record is None
    return Merge(changes, ((host.name, "TXT"),) if host and unread else ())


def _definition(wish: Wish, read: Read, keep_ttl: bool, most: int) -> tuple[Change, ...]:
    txt = read.view.txt
    if txt is None:
        text = Change(None, RRset(wish.name, "TXT", wish.new_ttl, (wish.txt or Txt(),)))
    else:
        values = txt.values if wish.txt is None else (wish.txt,)
        text = Change(txt, txt.with_values(values, None if keep_ttl else wish.ttl))
    pairs = (
        (read.definition.service, wish.service, wish.name),
        (read.definition.enumeration, wish.enumeration, wish.service),
    )
    pointers = (
        _addition(rrset, name, Ptr(target), wish.new_ttl)
        for rrset, name, target in pairs
        if txt is None or rrset is None or Ptr(target) not in rrset.values
        if name != wish.enumeration or rrset is None or len(rrset.values) < most
    )
    return text, *pointers


def _addition(rrset: RRset | None, name: Name, value: Rdata, ttl: int) -> Change:
    """Add one value, even where it was read: somebody may just be taking it away."""
    if rrset is None:
        return Change(None, RRset(name, value.rdtype, ttl, (value,)), shared=True)
    others = [other for other in rrset.values if other != value]
    return Change(rrset.with_values(others), rrset.with_values((*others, value)), shared=True)


def _srv(
    wish: Wish, sides: Iterable[Member], view: InstanceView, keep_ttl: bool
) -> tuple[Change, ...]:
    srv = view.srv
    shared = wish.host is not None  # of two with the same target, one has to see the other
    if srv is None:
        first = RRset(wish.name, "SRV", wish.new_ttl, (wish.srv,))
        return (Change(None, first, shared=shared),)
    ttl = srv.ttl if keep_ttl or wish.ttl is None else wish.ttl
    old = {v for v in srv.values if v != wish.srv and any(side.claims(v) for side in sides)}
    if wish.srv in srv.values and not old and ttl == srv.ttl:
        return ()
    after = srv.with_values((*(v for v in srv.values if v not in old), wish.srv), ttl)
    before: RRset | None = srv
    if shared and ttl != srv.ttl:  # its own value goes and comes again, and brings the TTL along
        before = srv.with_values(v for v in srv.values if v != wish.srv)
    return (Change(before, after, shared=shared),)


def _removal(view: InstanceView, dropped: Sequence[Rdata]) -> tuple[Change, ...]:
    if not dropped:
        return ()
    left = [value for value in view.values if value not in dropped]
    before = RRset(view.name, "SRV", view.srv.ttl if view.srv else 0, (*left, *dropped))
    return (Change(before, before.with_values(left), shared=True),)
