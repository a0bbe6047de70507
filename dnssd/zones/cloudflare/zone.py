"""A zone at Cloudflare: each value is a record with an ID, and one batch changes many.

A batch deletes by ID and then adds, all or nothing. An ID that is gone spoils it, so a record
that is deleted and written again is a guard. Nothing can ask for absence: where two wrote the
same own record at once, the older one stands and whoever wrote the other takes it back.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from dnssd.deadline import Deadline
from dnssd.errors import Conflict, MalformedName, OutcomeUnknown, ZoneNotFound
from dnssd.names import Name
from dnssd.records import Opaque, Rdata
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Question, Traits
from dnssd.zones.cloudflare import records
from dnssd.zones.cloudflare.client import Client, Stale
from dnssd.zones.cloudflare.records import Record, write_name
from dnssd.zones.limits import CommitLimits

_log = logging.getLogger(__name__)

DNS_PORT = 53
PAGE_SIZE = 5_000  # records: the most that is listed at once
OWN_TYPES = ("TXT", "A", "AAAA")  # of records that one hand writes
SETTLING_SECONDS = 10.0  # for which a listing may lack what was written
ATTEMPTS = 6  # to send a batch whose shared values others write at the same time


Wanted = Callable[[Name], bool]


class CloudflareZone:
    """A `Zone` at Cloudflare.

    Attributes:
        zone_id: Cloudflare's ID of it; empty until it was looked up.
    """

    def __init__(
        self,
        client: Client,
        zone_id: str,
        origin: Name,
        *,
        address: str = "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use a zone; nothing is asked.

        Args:
            client: With a token for it.
            zone_id: Its ID; empty to look it up.
            origin: Its name.
            address: What the user calls it.
            now: A clock, in seconds.
        """
        self.address = address or str(origin)
        self.origin = origin
        self.zone_id = zone_id
        self.actor = ""
        self.limits = CommitLimits()
        self.traits = Traits(merges=True, fresh=False, proxies=True)
        self._client = client
        self._found: dict[Question, list[Record]] = {}  # as last listed
        self._own: list[Record] = []  # what the last batch made, and may have to be taken back
        self._own_until = 0.0
        self._now = now
        self._nodes: set[Name] = set()  # what has been listed since the last commit: names,
        self._covered: list[Name] = []  # and names with all below them
        self._commits: dict[str, tuple[Change, ...]] = {}

    @property
    def requests(self) -> int:
        """See `Zone.requests`."""
        return self._client.retry.requests

    @property
    def throttled(self) -> int:
        """See `Zone.throttled`."""
        return self._client.retry.throttled

    def find_id(self, deadline: Deadline) -> None:
        """Look up the zone's ID by its name.

        Raises:
            ZoneNotFound: The token can see no zone of that name.
        """
        name = write_name(self.origin)
        answer = self._client.get("/zones", {"name": name}, deadline)
        found = [zone for zone in answer["result"] or () if zone.get("name") == name]
        if not found:
            raise ZoneNotFound(
                f"{self.origin}: the token can see no zone of this name at Cloudflare; check the "
                "name, give the token Zone Read, or append ,id=ID"
            )
        self.zone_id = str(found[0]["id"])

    def read(self, name: Name, rdtype: str, deadline: Deadline) -> RRset | None:
        """See `Zone.read`: one request."""
        found = self.read_node(name, deadline)
        return next((rrset for rrset in found if rrset.rdtype == rdtype), None)

    def read_node(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_node`: one request."""
        found = self._list({"name.exact": write_name(name)}, deadline, lambda found: found == name)
        self._nodes.add(name)
        return found

    def read_below(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_below`: one request for each page; the suffix matches more."""
        query = {"name.endswith": write_name(name)}
        found = self._list(query, deadline, lambda found: found.is_below(name))
        self._covered.append(name)
        return found

    def read_many(self, questions: Sequence[Question], deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_many`: one request, for the whole zone, if there are several names."""
        wanted = set(questions)
        names = {name for name, _ in wanted}
        query = {"name.exact": write_name(*names)} if len(names) == 1 else {}

        found = self._list(query, deadline, lambda found: found in names)
        self._nodes |= names
        return tuple(one for one in found if (one.name, one.rdtype) in wanted or _is_alias(one))

    def is_answered_by_wildcard(self, name: Name, deadline: Deadline) -> bool:
        """See `Zone.is_answered_by_wildcard`: one request."""
        return bool(self.read_node(name.parent.child(b"*"), deadline))

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, *, absent: Collection[Question] = ()
    ) -> str:
        """See `Zone.commit`: one batch, made anew where others wrote the same shared values."""
        records.check(changes, self.origin)
        names = {*(change.name for change in changes), *(name for name, _ in absent)}
        for _ in range(ATTEMPTS):
            if not all(map(self._covers, names)):
                self._list({}, deadline, lambda _: True)
                self._covered = [self.origin]
            self._check(changes, absent)
            batch = _batch(changes, self._found)
            self._covered, self._nodes, self._found = [], set(), {}  # once sent, it is old
            try:
                self._send(batch, deadline)
            except Stale as error:
                _log.info("%s: reading again: %s", self.origin, error)
            else:
                self._commits = {str(self.requests): tuple(changes)}
                return str(self.requests)
        raise Conflict(f"{self.origin}: others keep changing the same records", **self._asked)

    def wait_served(self, commit: str, deadline: Deadline) -> None:
        """See `Zone.wait_served`: asks each of Cloudflare's name servers for the zone.

        What is proxied cannot be seen there.
        """
        from dnssd.zones.rfc2136.served import wait_everywhere  # dnspython is slow to import

        changes = [
            change
            for change in self._commits.get(commit, ())
            if (change.added or change.removed) and not _is_proxied(change)
        ]
        servers = tuple(self._name_servers(deadline))
        found = (RRset(self.origin, "NS", 0, servers),) if servers else ()
        wait_everywhere(self.origin, changes, lambda *_: found, DNS_PORT, deadline)

    @property
    def _asked(self) -> dict[str, str]:
        """Who is asked about what, for errors."""
        return {"name": str(self.origin), "server": "Cloudflare"}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _name_servers(self, deadline: Deadline) -> Iterator[Rdata]:
        answer = self._client.get("/zones", {"name": write_name(self.origin)}, deadline)
        for zone in answer["result"]:
            yield from (Opaque("NS", str(name)) for name in zone.get("name_servers") or ())

    def _send(self, batch: dict[str, Any], deadline: Deadline) -> None:
        if not any(batch.values()):
            return
        path = f"/zones/{self.zone_id}/dns_records/batch"
        answer = self._client.post(path, batch, deadline)
        try:
            made = [records.read_record(one) for one in answer["result"].get("posts") or ()]
        except (KeyError, TypeError, ValueError, AttributeError, MalformedName) as error:
            what = f"{self.origin}: an answer that cannot be read"
            raise OutcomeUnknown(what, **self._asked) from error
        self._own = [one for one in made if one.rdtype in OWN_TYPES]
        self._own_until = self._now() + SETTLING_SECONDS

    def _list(self, query: dict[str, str], deadline: Deadline, wanted: Any) -> tuple[RRset, ...]:
        found = [record for record in self._pages(query, deadline) if wanted(record.name)]
        found = self._settled(self._with_own(found, wanted), deadline)
        kept = {key: old for key, old in self._found.items() if not wanted(key[0])}
        for record in found:
            kept.setdefault(record.key, []).append(record)
        self._found = kept
        return records.rrsets(found)

    def _covers(self, name: Name) -> bool:
        """Whether everything at a name has been listed since the last commit."""
        return name in self._nodes or any(name.is_below(above) for above in self._covered)

    def _pages(self, query: dict[str, str], deadline: Deadline) -> Iterator[Record]:
        path = f"/zones/{self.zone_id}/dns_records"
        page = 1
        while True:
            asked = {**query, "page": str(page), "per_page": str(PAGE_SIZE)}
            answer = self._client.get(path, asked, deadline)
            yield from map(records.read_record, answer["result"])
            if page >= int((answer.get("result_info") or {}).get("total_pages", 1)):
                return
            page += 1

    def _with_own(self, found: list[Record], wanted: Wanted) -> list[Record]:
        """What was listed, and what this zone has just written, should the listing lag behind."""
        listed = {record.id for record in found}
        recent = self._own if self._now() < self._own_until else []
        return [*found, *(one for one in recent if one.id not in listed and wanted(one.name))]

    def _settled(self, found: list[Record], deadline: Deadline) -> list[Record]:
        """Settle who stands where two have written one's own record at the same time."""
        own = {record.id for record in self._own}
        there: dict[Question, list[Record]] = {}
        for record in sorted(found, key=lambda record: record.age):
            there.setdefault(record.key, []).append(record)
        contested = {
            key: ours[0].id in own
            for key, ours in there.items()
            if key[1] == "TXT" and len(ours) > 1 and any(record.id in own for record in ours)
        }
        if all(contested.values()):
            return [one for one in found if one.key not in contested or one.id in own]
        self._own = []  # the other one came first: take back what was written with it
        self._send({"deletes": [{"id": one} for one in sorted(own)], "posts": []}, deadline)
        return [record for record in found if record.id not in own]

    def _check(self, changes: Iterable[Change], absent: Iterable[Question]) -> None:
        """Whether own RRsets are as the changes say.

        Raises:
            Conflict: One is not.
        """
        for key in absent:
            if key in self._found:
                raise Conflict(f"{key[1]} {key[0]} is there", name=str(key[0]))
        for change in changes:
            there = {record.value for record in self._found.get((change.name, change.rdtype), ())}
            if not change.shared and there != set(change.before.values if change.before else ()):
                what = f"{change.rdtype} {change.name} is not as it was when read"
                raise Conflict(what, name=str(change.name))


def _batch(
    changes: Iterable[Change], found: dict[Question, list[Record]]
) -> dict[str, list[dict[str, Any]]]:
    """Deletes by ID, and what is to be added."""
    deletes, posts = [], []
    for change in changes:
        there = found.get((change.name, change.rdtype), [])
        gone, new = _values(change)
        deletes += [{"id": record.id} for record in there if record.value in gone]
        if change.after is not None:
            known = {record.value for record in there if record.value not in gone}
            posts += [records.write_record(change.after, v) for v in new if v not in known]
    return {"deletes": deletes, "posts": posts}


def _values(change: Change) -> tuple[set[Any], tuple[Any, ...]]:
    """The values to delete and those to add: a guard is both, of TXT alone."""
    before, after = change.before, change.after
    if change.is_guard:
        renewed = change.rdtype == "TXT" and not change.shared and after is not None
        return (set(after.values), after.values) if renewed and after else (set(), ())
    if before and after and (before.ttl, before.kind) != (after.ttl, after.kind):
        added = change.added if change.shared else after.values
        return {*change.removed, *added}, added
    return set(change.removed), change.added


def _is_alias(rrset: RRset) -> bool:
    return rrset.rdtype == "CNAME"


def _is_proxied(change: Change) -> bool:
    return any(side is not None and side.kind for side in (change.before, change.after))
