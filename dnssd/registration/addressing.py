"""Plain addresses: join and leave as loops of read, plan and commit."""

from dataclasses import replace

from dnssd.errors import UsageError, ZoneError
from dnssd.registration import plainaddress
from dnssd.registration.operation import Operation, Outcome, Result
from dnssd.registration.plainaddress import AddressView, AddressWish
from dnssd.rrsets import Change

ENOUGH = 3  # commits that were made, until it is the server that does not keep them


def read_address(operation: Operation, wish: AddressWish) -> AddressView:
    """What stands at a name: two reads."""
    zone, deadline = operation.zone, operation.deadline
    node = zone.read_node(wish.name, deadline)
    below = zone.read_below(wish.parent, deadline)
    return AddressView.of(wish.name, wish.parent, node, below)


def join_address(operation: Operation, wish: AddressWish) -> Outcome:
    """Put the host's addresses at a name; changes nothing if they are there.

    Raises:
        Refused: Somebody else's records, or records of another kind, are in the way.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; the message says what is in the zone now.
    """
    _check(operation, wish)
    operation.zone.actor = f"join-address {wish.label}"
    operation.splay()
    made = 0
    with operation.telling(wish.name):
        while True:
            view = read_address(operation, wish)
            if made and operation.zone.traits.merges and wish.label in view.members:
                _give_way(operation, wish, view)
            changes = _plan(operation, wish, view, keep_ttl=made > 0)
            if not changes:
                break
            if made == ENOUGH:
                raise ZoneError(f"{wish.name}: the server takes the change and does not keep it")
            if operation.attempt(changes) is Result.MADE:
                made += 1
                if not operation.zone.traits.merges:
                    break  # it has made exactly this
            else:
                operation.back_off()
    operation.truth = "it has joined"
    return operation.outcome(wish.name, (wish.label,))


def leave_address(operation: Operation, wish: AddressWish) -> Outcome:
    """Take the host's addresses out of a name; changes nothing if there are none.

    Raises:
        OwnedByAnother: They are another owner's.
        ZoneError: The provider said no.
        DeadlineExceeded: It took too long; the message says what is in the zone now.
    """
    if not wish.force:  # then it is another host that acts
        operation.zone.actor = f"leave-address {wish.label}"
    with operation.telling(wish.name):
        while True:
            view = read_address(operation, wish)
            changes = plainaddress.leave(wish, view)
            result = operation.attempt(changes)
            if result is Result.MADE:
                break
            operation.back_off()
    operation.truth = "it has left"
    done = operation.outcome(wish.name, ())
    return replace(done, members=(wish.label,) if done.changed else ())


def plan_join_address(operation: Operation, wish: AddressWish) -> tuple[Change, ...]:
    """What `join_address` would change. Reads only.

    Raises:
        DnssdError: As it would.
    """
    _check(operation, wish)
    with operation.telling(wish.name):
        changes = _plan(operation, wish, read_address(operation, wish), keep_ttl=False)
    return tuple(change for change in changes if not change.is_guard)


def plan_leave_address(operation: Operation, wish: AddressWish) -> tuple[Change, ...]:
    """What `leave_address` would change. Reads only.

    Raises:
        DnssdError: As it would.
    """
    with operation.telling(wish.name):
        changes = plainaddress.leave(wish, read_address(operation, wish))
    return tuple(change for change in changes if not change.is_guard)


def _plan(
    operation: Operation, wish: AddressWish, view: AddressView, *, keep_ttl: bool
) -> tuple[Change, ...]:
    wish = replace(wish, ttl=None) if keep_ttl else wish
    merges = operation.zone.traits.merges
    return plainaddress.join(wish, view, operation.new_id(), operation.now(), merges=merges)


def _give_way(operation: Operation, wish: AddressWish, view: AddressView) -> None:
    """Take it back if a host with the same address was first.

    Raises:
        PlaceTaken: One was.
    """
    refusal = plainaddress.overtaken(wish, view)
    if refusal is not None:
        leave_address(operation, replace(wish, addresses=()))
        raise refusal


def _check(operation: Operation, wish: AddressWish) -> None:
    if wish.proxied and not operation.zone.traits.proxies:
        raise UsageError(f"{operation.zone.address}: nobody there proxies; leave out --proxied")
    if wish.proxied and wish.ttl is not None:
        raise UsageError("a proxied address has the TTL of its provider; leave out --ttl")
