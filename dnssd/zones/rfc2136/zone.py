"""A zone on a server that takes signed updates, read and written over one TCP connection.

A join takes three round trips: every question at once, one update, and every question again,
since NOERROR alone proves nothing.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence

import dns.flags
import dns.message
import dns.rcode

from dnssd.deadline import Deadline
from dnssd.errors import Conflict, DnssdError, NotShareable, RRsetFull, ZoneNotFound
from dnssd.names import Name
from dnssd.records import Ptr
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Question, Traits
from dnssd.zones.limits import CommitLimits
from dnssd.zones.rfc2136 import index, messages
from dnssd.zones.rfc2136.client import UpdateClient
from dnssd.zones.rfc2136.connection import Server
from dnssd.zones.rfc2136.keyfile import Key
from dnssd.zones.rfc2136.served import wait_everywhere

_log = logging.getLogger(__name__)

VALUES = 100  # of one RRset: a secondary by BIND refuses a zone that has more
NODE_TYPES = ("A", "AAAA", "PTR", "SRV", "TXT")  # what is of interest at a name


class Rfc2136Zone:
    """A `Zone` on a server that takes updates (RFC 2136)."""

    def __init__(
        self,
        origin: Name,
        servers: Sequence[Server],
        key: Key | None,
        *,
        address: str = "",
        values: int = VALUES,
        timeout: float = 10.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Use a zone; nothing is asked.

        Args:
            origin: The zone's apex.
            servers: Its primary server; of several, one that can be reached.
            key: Signs everything; None for servers that go by addresses.
            address: What the user calls the zone.
            values: The most that an RRset may hold.
            timeout: Seconds to wait for each answer.
            now: The time of day, in seconds.
        """
        self.address = address or str(origin)
        self.zone_id = ""
        self.actor = ""
        self.origin = origin
        self.limits = CommitLimits(values=values)
        self.traits = Traits(merges=True, lists=False)
        self.throttled = 0  # nobody counts
        self._client = UpdateClient(origin, servers, key, timeout=timeout, now=now)
        self._commits: dict[str, tuple[Change, ...]] = {}
        self._wild: dict[Name, bool] = {}  # whether a name that starts with * exists
        self._dangling: set[Name] = set()  # members that an index tells of, and are not there

    @property
    def requests(self) -> int:
        """Round trips so far: questions that were asked together count as one."""
        return self._client.round_trips

    def read(self, name: Name, rdtype: str, deadline: Deadline) -> RRset | None:
        """See `Zone.read`: one round trip."""
        found = self.read_many([(name, rdtype)], deadline)
        return next((rrset for rrset in found if rrset.rdtype == rdtype), None)

    def read_node(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_node`: the types that are written here, and an alias; one round trip."""
        return self.read_many([(name, rdtype) for rdtype in NODE_TYPES], deadline)

    def read_below(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_below`: follows PTR records and indexes; a round trip for each level."""
        found: list[RRset] = []
        asked: set[Name] = set()
        nodes, members, told = [name], list[Name](), list[Name]()
        if name == self.origin or (name.parent == self.origin and index.is_protocol(name)):
            nodes.append(self.origin.child(b"_services", b"_dns-sd", b"_udp"))
        while nodes or members:
            asked.update(nodes, members)
            rrsets = self.read_many(
                [*index.questions(nodes), *((m, "TXT") for m in members)], deadline
            )
            found += rrsets
            self._note_dangling(told, rrsets)
            told = [member for member in index.indexed(rrsets) if member not in asked]
            guessed = index.unexplained(rrsets, self.origin, told)
            members = [m for m in (*told, *guessed) if m not in asked]
            nodes = [node for node in index.pointed_at(rrsets, self.origin) if node not in asked]
        below = (rrset for rrset in found if rrset.name.is_below(name) and not _is_index(rrset))
        return tuple(sorted(below, key=lambda rrset: (rrset.name.reversed, rrset.rdtype)))

    def read_many(self, questions: Sequence[Question], deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_many`: one round trip, two where a wildcard may have answered."""
        asked = list(dict.fromkeys(questions))
        wild = [(name, "TXT") for name in self._unknown_wildcards(name for name, _ in asked)]
        answers = self._client.ask([messages.question(*one) for one in (*asked, *wild)], deadline)
        for (name, _), answer in zip(wild, answers[len(asked) :], strict=True):
            self._wild[name] = answer.rcode() != dns.rcode.NXDOMAIN
        found: dict[Question, RRset] = {}
        for (name, _), answer in zip(asked, answers, strict=False):
            self._check_authority(name, answer)
            found |= {(name, rrset.rdtype): rrset for rrset in messages.rrsets(answer, name)}
        for name, rdtype in self._synthesized(found, deadline):
            del found[name, rdtype]
        return tuple(found.values())

    def is_answered_by_wildcard(self, name: Name, deadline: Deadline) -> bool:
        """See `Zone.is_answered_by_wildcard`: one round trip.

        A wildcard answers for what is below a name only where that name does not exist, not
        even for the sake of other names below it.
        """
        (answer,) = self._client.ask([messages.question(name.child(b"_dnssd"), "TXT")], deadline)
        return bool(answer.answer) or answer.rcode() != dns.rcode.NXDOMAIN

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, *, absent: Collection[Question] = ()
    ) -> str:
        """See `Zone.commit`: one update, with the index that goes with it."""
        self._check_room(changes)
        self._clear_indexes(absent, deadline)
        indexes = [(index.index_of(name), "PTR") for name, rdtype in absent if rdtype == "SRV"]
        everything = (*changes, *index.index_changes(changes))
        names = tuple(dict.fromkeys(change.name for change in everything))
        message = messages.update(
            self.origin, everything, (*absent, *indexes), limit=self.limits.values
        )
        try:
            self._client.update(
                message,
                names,
                deadline,
                failed=lambda error: self._check_full(everything, deadline, error),
            )
        except Conflict:
            self._check_indexes(everything, deadline)
            raise
        self._commits = {str(self.requests): everything}  # the last one may be waited for
        return str(self.requests)

    def wait_served(self, commit: str, deadline: Deadline) -> None:
        """See `Zone.wait_served`: the values are seen at each of the zone's name servers."""
        changes = [one for one in self._commits.get(commit, ()) if one.added or one.removed]
        wait_everywhere(self.origin, changes, self.read_many, self._client.server.port, deadline)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _check_authority(self, name: Name, answer: dns.message.Message) -> None:
        """Refuse what another server, or another zone, has to say.

        Raises:
            ZoneNotFound: The server is not one of the zone's, or the name is not in the zone.
        """
        server = self._client.server
        if cut := messages.referral(answer):
            raise ZoneNotFound(
                f"{name}: {cut} is delegated to servers of its own, and clients ask those; "
                f"name the zone {cut}",
                name=str(name),
                server=str(server),
            )
        if not answer.flags & dns.flags.AA:
            raise ZoneNotFound(
                f"{self.origin}: {server} answers from what it has heard; "
                "name a primary server of the zone",
                name=str(self.origin),
                server=str(server),
            )
        zone = messages.soa_owner(answer)
        if zone is not None and zone != self.origin:
            raise ZoneNotFound(
                f"{self.origin}: {server} has no such zone, but {zone}; name that",
                name=str(self.origin),
                server=str(server),
            )

    def _unknown_wildcards(self, names: Iterable[Name]) -> Iterable[Name]:
        """The wildcards that may answer for `names`, as far as they have not been asked for."""
        wild: dict[Name, None] = {}
        for name in names:
            while name != self.origin and name.is_below(self.origin):
                name = name.parent
                wild[name.child(b"*")] = None
        return tuple(one for one in wild if one not in self._wild)

    def _synthesized(self, found: Iterable[Question], deadline: Deadline) -> list[Question]:
        """Which RRsets a wildcard has made: a question sees them, a prerequisite does not."""
        doubtful = [one for one in found if self._may_be_wild(one[0])]
        if not doubtful:
            return []
        requests = [messages.exists(self.origin, *one) for one in doubtful]
        answers = self._client.hold(requests, [name for name, _ in doubtful], deadline)
        return [one for one, there in zip(doubtful, answers, strict=True) if not there]

    def _may_be_wild(self, name: Name) -> bool:
        while name != self.origin:
            name = name.parent
            if self._wild.get(name.child(b"*")):
                return True
        return False

    def _note_dangling(self, members: Iterable[Name], found: Iterable[RRset]) -> None:
        there = {rrset.name for rrset in found if rrset.rdtype == "TXT"}
        for member in members:
            (self._dangling.discard if member in there else self._dangling.add)(member)

    def _clear_indexes(self, absent: Iterable[Question], deadline: Deadline) -> None:
        """Take out of an index that is to be empty what tells of no member."""
        parents = {name for name, rdtype in absent if rdtype == "SRV"}
        for member in [one for one in self._dangling if one.parent in parents]:
            value = RRset(index.index_of(member.parent), "PTR", index.INDEX_TTL, (Ptr(member),))
            message = messages.update(
                self.origin,
                [Change(value, None, shared=True)],
                [(member, "TXT")],
                limit=self.limits.values,
            )
            try:
                self._client.update(message, (value.name,), deadline)
            except Conflict:
                _log.info("%s: it is there again", member)
            self._dangling.discard(member)

    def _check_indexes(self, changes: Iterable[Change], deadline: Deadline) -> None:
        """Whether an alias is why an update was refused: nobody but this reads an index.

        Raises:
            NotShareable: It is.
        """
        asked = [(c.name, "CNAME") for c in changes if index.is_index(c.name)]
        for alias in self.read_many(asked, deadline) if asked else ():
            raise NotShareable.by_cname(alias.name)

    def _check_room(self, changes: Iterable[Change]) -> None:
        """Refuse to make an RRset larger than servers can hold.

        Raises:
            RRsetFull: An RRset would be too large.
        """
        for change in changes:
            size = len(change.after.values) if change.after else 0
            if size > self.limits.values and change.added:
                raise self._full(change, size)

    def _check_full(self, changes: Sequence[Change], deadline: Deadline, error: DnssdError) -> None:
        """Whether a SERVFAIL means that an RRset is full, which BIND does not say otherwise.

        Raises:
            RRsetFull: It is.
        """
        shared = [change for change in changes if change.shared and change.added]
        if not shared:
            return
        found = self.read_many([(change.name, change.rdtype) for change in shared], deadline)
        sizes = {(rrset.name, rrset.rdtype): len(rrset.values) for rrset in found}
        for change in shared:
            size = sizes.get((change.name, change.rdtype), 0)
            if size >= min(VALUES, self.limits.values):
                raise self._full(change, size + 1) from error

    def _full(self, change: Change, size: int) -> RRsetFull:
        return RRsetFull(
            f"{change.name}: RRset full: {size} {change.rdtype} values would be needed and "
            f"{self.limits.values} are allowed; use a second instance of the service: clients "
            "merge them; or append ,values=N to the zone, if every server of it holds more",
            name=str(change.name),
            server=str(self._client.server),
        )


def _is_index(rrset: RRset) -> bool:
    return rrset.rdtype == "PTR" and index.is_index(rrset.name)
