"""What a join says beside its result: what it replaced, and what its host should know. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from dnssd.members import Member
from dnssd.records import Rdata, RRset
from dnssd.registration.wish import Wish

CROWDED = 90  # values of one RRset: at 101 the name servers of BIND stop serving it
YOUNG = timedelta(minutes=15)  # an announcement that a live host may well have made


def replaced(wish: Wish, old: Member | None, new: Member, txt: RRset | None) -> Iterator[str]:
    """What was there and is no more, as `weight 100 -> 5`.

    Args:
        wish: What was asked for.
        old: The member as found; None if there was none.
        new: The member that takes its place.
        txt: The instance's TXT RRset as found.
    """
    if old is not None:
        for what, before, after in (
            ("owner", old.owner, new.owner),
            ("priority", old.srv.priority, new.srv.priority),
            ("weight", old.srv.weight, new.srv.weight),
            ("target", old.srv.target, new.srv.target),
            ("address", _addresses(old), _addresses(new)),
        ):
            if before != after:
                yield f"{what} {before} -> {after}"
    if txt is not None:
        if wish.txt is not None and txt.values != (wish.txt,):
            yield f"TXT {_values(txt.values)} -> {wish.txt.format()}"
        if wish.ttl is not None and txt.ttl != wish.ttl:
            yield f"TTL {txt.ttl} -> {wish.ttl}"


def warnings(
    old: Member | None, new: Member, values: tuple[Rdata, ...], now: datetime
) -> Iterator[str]:
    """What may be wrong although it has worked.

    Args:
        old: The member as found; None if there was none.
        new: The member that takes its place.
        values: The SRV RRset's values now.
        now: The time of day.
    """
    if old is not None and old.state == "up" and old.owner == new.owner:
        age = now - old.since
        if old.addresses and _addresses(old) != _addresses(new) and abs(age) < YOUNG:
            yield (
                f"member {new.label}: had the address {_addresses(old)} {_age(age)} ago, and this "
                "host counts as the same one: if it is a clone of that host's image, give it a "
                "machine ID and a --host of its own; otherwise all is well"
            )
    if len(values) >= CROWDED:
        yield (
            f"{len(values)} hosts in one instance: name servers of BIND stop serving an RRset at "
            "101 values; use a second instance of the service: clients merge them"
        )


def _addresses(member: Member) -> str:
    return ", ".join(sorted(address.format() for address in member.addresses)) or "none"


def _values(values: tuple[Rdata, ...]) -> str:
    return ", ".join(value.format() for value in values)


def _age(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
