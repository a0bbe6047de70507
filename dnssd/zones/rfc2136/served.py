"""Whether every name server of a zone serves a change: secondaries take seconds to copy it."""

import socket
from collections.abc import Callable, Iterator, Sequence

from dnssd.deadline import Deadline
from dnssd.names import Name
from dnssd.records import Address, Opaque
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Question
from dnssd.zones.rfc2136 import messages
from dnssd.zones.rfc2136.client import UpdateClient
from dnssd.zones.rfc2136.connection import Server

POLL_SECONDS = 0.5  # between questions whether a server has the change
ANSWER_SECONDS = 2.0  # to wait for an answer

Reader = Callable[[Sequence[Question], Deadline], tuple[RRset, ...]]


def wait_everywhere(
    origin: Name, changes: Sequence[Change], read: Reader, port: int, deadline: Deadline
) -> None:
    """Return once each name server of a zone gives what was added, and nothing that was removed.

    Args:
        origin: The zone's apex.
        changes: What was committed.
        read: Asks the primary server, for the zone's NS records and their addresses.
        port: Where the others listen, too.
        deadline: When to give up.

    Raises:
        DeadlineExceeded: One of them does not yet; the message names it.
        DnssdError: One of them does not serve the zone at all.
    """
    for name in _names(read([(origin, "NS")], deadline)):
        servers = [Server(host, port) for host in _addresses(name, origin, read, deadline)]
        client = UpdateClient(origin, servers, None, timeout=ANSWER_SECONDS)
        try:
            while not _serves(client, changes, deadline):
                deadline.pause(POLL_SECONDS, f"{origin}: the change is made; {name} lacks it yet")
        finally:
            client.close()


def _serves(client: UpdateClient, changes: Sequence[Change], deadline: Deadline) -> bool:
    questions = [messages.question(change.name, change.rdtype) for change in changes]
    answers = client.ask(questions, deadline)
    return all(
        set(change.added) <= values and not values & set(change.removed)
        for change, answer in zip(changes, answers, strict=True)
        for values in [{v for r in messages.rrsets(answer, change.name) for v in r.values}]
    )


def _names(rrsets: Sequence[RRset]) -> Iterator[Name]:
    for rrset in rrsets:
        if rrset.rdtype == "NS":
            yield from (Name.parse(v.text) for v in rrset.values if isinstance(v, Opaque))


def _addresses(name: Name, origin: Name, read: Reader, deadline: Deadline) -> list[str]:
    """The addresses of a name server; the system knows those outside the zone."""
    if name.is_below(origin):
        found = read([(name, "A"), (name, "AAAA")], deadline)
        values = [value for rrset in found for value in rrset.values]
        if addresses := [value.format() for value in values if isinstance(value, Address)]:
            return addresses
    try:
        found_by_system = socket.getaddrinfo(str(name), None, type=socket.SOCK_STREAM)
    except OSError:
        return [str(name)]  # the client says what is wrong with it
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found_by_system))
