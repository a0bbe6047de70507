"""What a join says beside its result: what it replaced, and what its host should know. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from dnssd.members import Member
from dnssd.names import Name
from dnssd.records import Address
from dnssd.registration.operation import Outcome
from dnssd.registration.wish import Wish

CROWDED = 90  # values of one RRset: at 101 the name servers of BIND stop serving it
YOUNG = timedelta(minutes=15)  # an announcement that a live host may well have made


def replaced(wish: Wish, outcome: Outcome) -> Iterator[str]:
    """What was there and is no more, as `weight 100 -> 5`."""
    old = outcome.former
    if old is not None and outcome.changed:
        owner = wish.owner if not wish.owns(old.owner) else old.owner
        for what, before, after in (
            ("owner", old.owner, owner),
            ("priority", old.srv.priority, wish.srv.priority),
            ("weight", old.srv.weight, wish.srv.weight),
            ("target", old.srv.target, wish.srv.target),
            ("address", _listed(old.addresses), _listed(wish.addresses)),
        ):
            if before != after:
                yield f"{what} {before} -> {after}"
    for change in outcome.changes:
        if change.before and change.after and (change.name, change.rdtype) == (wish.name, "TXT"):
            if change.before.values != change.after.values:
                yield f"TXT {' '.join(change.before.texts())} -> {' '.join(change.after.texts())}"
            if change.before.ttl != change.after.ttl:
                yield f"TTL {change.before.ttl} -> {change.after.ttl}"


def warnings(wish: Wish, outcome: Outcome, now: datetime) -> Iterator[str]:
    """What may be wrong although the join has worked.

    Args:
        wish: What was asked for.
        outcome: What came of it.
        now: The time of day.
    """
    old = outcome.former
    if old is not None and outcome.changed and _may_be_another_host(wish, old, now):
        yield (
            f"member {wish.label}: had the address {_listed(old.addresses)} "
            f"{_age(now - old.since)} ago, and this host counts as the same one; if it is a "
            "clone of that host's image, give it a machine ID and a --host of its own"
        )
    for change in outcome.changes:
        if change.name in (wish.name, wish.service) and change.after:
            yield from crowd_warning(change.name, len(change.after.values))


def crowd_warning(name: Name, values: int) -> Iterator[str]:
    """Whether an instance, or a list of instances, has nearly as many values as BIND passes on."""
    if values >= CROWDED:
        is_list = name.labels[0].startswith(b"_")
        more = "fewer instances, of more hosts each" if is_list else "a second instance of it"
        yield (
            f"{name}: {values} values; name servers of BIND serve no RRset of more than 100: use "
            f"{more}; clients merge the instances of a service"
        )


def _may_be_another_host(wish: Wish, old: Member, now: datetime) -> bool:
    """Whether the member that was replaced may belong to a machine that lives on."""
    moved = bool(old.addresses) and set(old.addresses) != set(wish.addresses)
    return moved and old.state == "up" and wish.owns(old.owner) and abs(now - old.since) < YOUNG


def _listed(addresses: tuple[Address, ...]) -> str:
    return ", ".join(sorted(address.format() for address in addresses)) or "none"


def _age(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
