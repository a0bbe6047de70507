"""A zone at Amazon Route 53: reads by listing, commits by compare-and-swap.

Each changed RRset is a DELETE of what was listed, to the letter, and a CREATE of what is to
be, in one batch that Route 53 makes whole or not at all. Nothing uses UPSERT, which would
overwrite what others have written meanwhile.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from dnssd.deadline import LONGEST_WAIT_SECONDS, Deadline
from dnssd.errors import AmbiguousZone, ZoneNotFound
from dnssd.names import Name
from dnssd.rrsets import Change, RRset
from dnssd.zones.base import Question, Traits
from dnssd.zones.retry import Fate, Retry, Verdict
from dnssd.zones.route53.errors import judge, rights_to_change
from dnssd.zones.route53.text import (
    LIMITS,
    comment,
    read_name,
    read_rrset,
    write_change,
    write_name,
)

if TYPE_CHECKING:
    from dnssd.zones.route53.client import Session

_Answer = TypeVar("_Answer")

SWAP_WAIT_SECONDS = 2.0  # at most, of a throttled swap: what it was read from ages
POLL_SECONDS = 2.0  # between questions whether a change is in sync
PAGE_SIZE = 300  # RRsets: the most that Route 53 lists at once
NODE_PAGE_SIZE = 20  # RRsets: rarely does one name have more

_METHODS = {
    "ChangeResourceRecordSets": "change_resource_record_sets",
    "GetChange": "get_change",
    "GetHostedZone": "get_hosted_zone",
    "ListHostedZonesByName": "list_hosted_zones_by_name",
    "ListResourceRecordSets": "list_resource_record_sets",
}
_IN_ZONE = ("ChangeResourceRecordSets", "ListResourceRecordSets")  # their zone may be made anew
_RIGHTS = {
    "GetChange": "allow route53:GetChange on arn:aws:route53:::change/*, or do not wait",
    "GetHostedZone": "allow route53:GetHostedZone, or without it write NAME,id={zone_id}",
    "ListHostedZonesByName": "allow route53:ListHostedZonesByName, or without it add ,id=ID",
    "ListResourceRecordSets": "allow route53:ListResourceRecordSets on hostedzone/{zone_id}",
}


class Route53Zone:
    """A `Zone` at Route 53; its ID is one such as `Z0123456789ABC`."""

    def __init__(
        self, session: "Session", zone_id: str, origin: Name, *, address: str = ""
    ) -> None:
        """Use a hosted zone; nothing is asked.

        Args:
            session: Its client's own retries should be off: this class retries.
            zone_id: The hosted zone.
            origin: Its name.
            address: What the user calls it.
        """
        self.address = address or str(origin)
        self.origin = origin
        self.zone_id = zone_id
        self.limits = LIMITS
        self.traits = Traits()
        self._session = session
        self._actor = ""
        self._retry = Retry()
        self._private: bool | None = None
        self._found_by_name = False

    @property
    def actor(self) -> str:
        """See `Zone.actor`: in the comment of each batch, and its host in a role's session."""
        return self._actor

    @actor.setter
    def actor(self, actor: str) -> None:
        self._actor = actor
        self._session.act_as(actor.rpartition(" ")[2])

    @property
    def requests(self) -> int:
        """See `Zone.requests`."""
        return self._retry.requests

    @property
    def throttled(self) -> int:
        """See `Zone.throttled`."""
        return self._retry.throttled

    def read(self, name: Name, rdtype: str, deadline: Deadline) -> RRset | None:
        """See `Zone.read`: one request."""
        start = {"StartRecordName": write_name(name), "StartRecordType": rdtype, "MaxItems": "1"}
        found, _ = self._list(start, deadline)
        return next((r for r in found if (r.name, r.rdtype) == (name, rdtype)), None)

    def read_node(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_node`: one request, unless very much stands at the name."""
        return tuple(self._walk(name, lambda found: found == name, NODE_PAGE_SIZE, deadline))

    def read_below(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_below`: a name's descendants follow it; one request for each 300."""
        return tuple(self._walk(name, lambda found: found.is_below(name), PAGE_SIZE, deadline))

    def read_many(self, questions: Sequence[Question], deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_many`: a request for each."""
        found = (self.read(name, rdtype, deadline) for name, rdtype in dict.fromkeys(questions))
        return tuple(rrset for rrset in found if rrset is not None)

    def is_answered_by_wildcard(self, name: Name, deadline: Deadline) -> bool:
        """See `Zone.is_answered_by_wildcard`."""
        return bool(self.read_node(name.parent.child(b"*"), deadline))

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, *, absent: Collection[Question] = ()
    ) -> str:
        """See `Zone.commit`: one batch, never split."""
        self.limits.check(changes)
        batch = {
            "Comment": comment(self._actor, changes),
            "Changes": [item for change in changes for item in write_change(change)],
        }
        return self._ask(
            "ChangeResourceRecordSets",
            {"ChangeBatch": batch},
            lambda answer: str(answer["ChangeInfo"]["Id"]),
            deadline,
            rights=rights_to_change(changes),
            longest=SWAP_WAIT_SECONDS if any(c.before for c in changes) else LONGEST_WAIT_SECONDS,
        )

    def wait_served(self, commit: str, deadline: Deadline) -> None:
        """See `Zone.wait_served`: until Route 53 says INSYNC."""
        why = f"{self.origin}: the change is made, and not served everywhere yet"
        while self._ask("GetChange", {"Id": commit}, _read_status, deadline) != "INSYNC":
            deadline.pause(POLL_SECONDS, why)

    def find_id(self, private: bool | None, deadline: Deadline) -> None:
        """Look up the hosted zone's ID by its name.

        Args:
            private: Whether it is a private zone; None if that does not matter.
            deadline: When to give up.

        Raises:
            ZoneNotFound: None of that name, or none of that kind.
            AmbiguousZone: Several.
        """
        keys = {"DNSName": write_name(self.origin)}
        zones = self._ask("ListHostedZonesByName", keys, _read_zones, deadline)
        named = [zone for zone in zones if zone.name == self.origin]
        found = [zone for zone in named if private in (None, zone.private)]
        listing = "; ".join(f"{zone.id} is {_kind(zone.private)}" for zone in named)
        if not found:
            kind = "" if private is None else _kind(private) + " "
            raise ZoneNotFound(
                f"{self.origin}: no {kind}hosted zone of this name in this account; "
                + (listing or "create it, or choose other credentials"),
                **self._asked,
            )
        if len(found) > 1:
            raise AmbiguousZone(
                f"{self.origin}: several hosted zones of this name: {listing}; append "
                ",id=ID or ,private=yes or ,private=no to the name",
                **self._asked,
            )
        self.zone_id = found[0].id
        self._private, self._found_by_name = private, True

    def find_name(self, deadline: Deadline) -> None:
        """Look up the hosted zone's name by its ID.

        Raises:
            ZoneNotFound: No such ID.
        """
        keys = {"Id": self.zone_id}
        self.origin = self._ask("GetHostedZone", keys, _read_hosted, deadline)

    def _walk(
        self, start: Name, wanted: Callable[[Name], bool], page: int, deadline: Deadline
    ) -> Iterator[RRset]:
        """The RRsets from `start` on as long as their names are wanted, page by page."""
        at: dict[str, str] | None = {"StartRecordName": write_name(start)}
        while at is not None:
            found, at = self._list({**at, "MaxItems": str(page)}, deadline)
            for rrset in found:
                if not wanted(rrset.name):
                    return
                yield rrset
            if at and not wanted(read_name(at["StartRecordName"])):
                return

    def _list(
        self, start: Mapping[str, str], deadline: Deadline
    ) -> tuple[list[RRset], dict[str, str] | None]:
        """One page, and where the next one starts."""
        return self._ask("ListResourceRecordSets", dict(start), _read_page, deadline)

    def _ask(
        self,
        action: str,
        keys: Mapping[str, Any],
        read: Callable[[Any], _Answer],
        deadline: Deadline,
        *,
        rights: str = "",
        longest: float = LONGEST_WAIT_SECONDS,
    ) -> _Answer:
        """Send one request until there is an answer, or an error that is one."""
        allow = rights or _RIGHTS[action].format(zone_id=self.zone_id)

        def send() -> _Answer:
            operation: Any = getattr(self._session.client(), _METHODS[action])
            in_zone = {"HostedZoneId": self.zone_id} if action in _IN_ZONE else {}
            return read(operation(**in_zone, **keys))

        changes = action == "ChangeResourceRecordSets"
        judge_it = partial(self._judge, action, allow)
        try:
            return self._retry.ask(send, judge_it, deadline, changes=changes, longest=longest)
        except ZoneNotFound:
            if action not in _IN_ZONE or not self._is_made_anew(deadline):
                raise
        return self._ask(action, keys, read, deadline, rights=rights, longest=longest)

    def _judge(self, action: str, rights: str, error: Exception) -> Verdict:
        verdict = judge(error, f"{self.origin}: {action}", rights, self._session.region_from)
        verdict.error.about(**self._asked)
        hopeful = verdict.renew or verdict.fate is Fate.DENIED
        if hopeful and not self._session.may_change(error):
            return replace(verdict, fate=Fate.FINAL)
        if verdict.renew:
            self._session.renew()
        return verdict

    @property
    def _asked(self) -> dict[str, str]:
        """Who is asked about what, for errors."""
        return {"name": str(self.origin), "server": "Route 53"}

    def _is_made_anew(self, deadline: Deadline) -> bool:
        """Whether the zone that was found by its name is gone, and another one there."""
        before = self.zone_id
        if self._found_by_name:
            self.find_id(self._private, deadline)
        return self.zone_id != before


class _HostedZone(NamedTuple):
    id: str
    name: Name
    private: bool


def _read_zone(listed: Mapping[str, Any]) -> _HostedZone:
    return _HostedZone(
        id=str(listed["Id"]).rpartition("/")[2],
        name=read_name(listed["Name"]),
        private=bool(listed.get("Config", {}).get("PrivateZone", False)),
    )


def _read_hosted(answer: Mapping[str, Any]) -> Name:
    return _read_zone(answer["HostedZone"]).name


def _read_zones(answer: Mapping[str, Any]) -> list[_HostedZone]:
    return [_read_zone(listed) for listed in answer["HostedZones"]]


def _read_page(answer: Mapping[str, Any]) -> tuple[list[RRset], dict[str, str] | None]:
    found = [read_rrset(listed) for listed in answer["ResourceRecordSets"]]
    if not answer["IsTruncated"]:
        return found, None
    keys = ("RecordName", "RecordType", "RecordIdentifier")
    return found, {f"Start{key}": answer[f"Next{key}"] for key in keys if f"Next{key}" in answer}


def _read_status(answer: Mapping[str, Any]) -> str:
    return str(answer["ChangeInfo"]["Status"])


def _kind(private: bool) -> str:
    return "private" if private else "public"
