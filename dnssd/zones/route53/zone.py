"""A zone at Amazon Route 53: reads by listing, commits by compare-and-swap.

Each changed RRset is a DELETE of what was listed, to the letter, and a CREATE of what is to
be, in one batch that Route 53 makes whole or not at all. Nothing uses UPSERT, which would
overwrite what others have written meanwhile.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError

from dnssd.deadline import LONGEST_WAIT_SECONDS, Deadline
from dnssd.errors import AmbiguousZone, OutcomeUnknown, UsageError, ZoneNotFound
from dnssd.names import Name
from dnssd.records import Change, RRset
from dnssd.zones.route53.client import route53_client
from dnssd.zones.route53.errors import FAILURES, MALFORMED, Fate, judge, without_secrets
from dnssd.zones.route53.text import LIMITS, read_name, read_rrset, write_change, write_name

if TYPE_CHECKING:
    from mypy_boto3_route53 import Route53Client

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

EAGER = 2.0  # seconds: the longest wait of a throttled swap, since what it was read from ages
POLL = 2.0  # seconds between questions whether a change is in sync
PAGE = 300  # RRsets: the most that Route 53 lists at once
NODE_PAGE = 20  # RRsets: rarely does one name have more


class Route53Zone:
    """A `Zone` at Route 53.

    Attributes:
        zone_id: The hosted zone, such as `Z0123456789ABC`.
    """

    def __init__(
        self, client: "Route53Client", zone_id: str, origin: Name, *, address: str = ""
    ) -> None:
        """Use a hosted zone; nothing is asked.

        Args:
            client: Its own retries should be off: this class retries.
            zone_id: The hosted zone.
            origin: Its name.
            address: What the user calls it.
        """
        self.address = address or str(origin)
        self.origin = origin
        self.zone_id = zone_id
        self.limits = LIMITS
        self.requests = 0
        self._client = client
        self._pressure = 0  # throttled requests of late: the account's rate is shared by many

    def read(self, name: Name, rdtype: str, deadline: Deadline) -> RRset | None:
        """See `Zone.read`: one request."""
        start = {"StartRecordName": write_name(name), "StartRecordType": rdtype, "MaxItems": "1"}
        found, _ = self._list(start, deadline)
        return next((r for r in found if (r.name, r.rdtype) == (name, rdtype)), None)

    def read_node(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_node`: one request, unless very much stands at the name."""
        return tuple(self._walk(name, lambda found: found == name, NODE_PAGE, deadline))

    def read_below(self, name: Name, deadline: Deadline) -> tuple[RRset, ...]:
        """See `Zone.read_below`: a name's descendants follow it; one request for each 300."""
        return tuple(self._walk(name, lambda found: found.is_below(name), PAGE, deadline))

    def commit(self, changes: Sequence[Change], deadline: Deadline) -> str:
        """See `Zone.commit`: one batch, never split."""
        self.limits.check(changes)
        batch: Any = {"Changes": [item for change in changes for item in write_change(change)]}
        return self._ask(
            "ChangeResourceRecordSets",
            partial(
                self._client.change_resource_record_sets,
                HostedZoneId=self.zone_id,
                ChangeBatch=batch,
            ),
            lambda answer: str(answer["ChangeInfo"]["Id"]),
            deadline,
            cap=EAGER if any(change.before for change in changes) else LONGEST_WAIT_SECONDS,
        )

    def wait_served(self, commit: str, deadline: Deadline) -> None:
        """See `Zone.wait_served`: until Route 53 says INSYNC."""
        ask = partial(self._client.get_change, Id=commit)
        while (
            self._ask("GetChange", ask, lambda a: a["ChangeInfo"]["Status"], deadline) != "INSYNC"
        ):
            deadline.pause(
                POLL, f"{self.origin}: the change is made, and not served everywhere yet"
            )

    def find_id(self, private: bool | None, deadline: Deadline) -> None:
        """Look up the hosted zone's ID by its name.

        Args:
            private: Whether it is a private zone; None if that does not matter.
            deadline: When to give up.

        Raises:
            ZoneNotFound: None of that name, or none of that kind.
            AmbiguousZone: Several.
        """
        ask = partial(self._client.list_hosted_zones_by_name, DNSName=write_name(self.origin))
        zones = self._ask("ListHostedZonesByName", ask, _read_zones, deadline)
        named = [zone for zone in zones if zone.name == self.origin]
        found = [zone for zone in named if private in (None, zone.private)]
        listing = "; ".join(f"{zone.id} is {_kind(zone.private)}" for zone in named)
        if not found:
            kind = "" if private is None else _kind(private) + " "
            raise ZoneNotFound(
                f"{self.origin}: no {kind}hosted zone of this name in this account; "
                + (listing or "create it, or choose other credentials")
            )
        if len(found) > 1:
            raise AmbiguousZone(
                f"{self.origin}: several hosted zones of this name: {listing}; append "
                ",id=ID or ,private=yes or ,private=no to the name"
            )
        self.zone_id = found[0].id

    def find_name(self, deadline: Deadline) -> None:
        """Look up the hosted zone's name by its ID.

        Raises:
            ZoneNotFound: No such ID.
        """
        ask = partial(self._client.get_hosted_zone, Id=self.zone_id)
        (zone,) = self._ask("GetHostedZone", ask, lambda a: [_read_zone(a["HostedZone"])], deadline)
        self.origin = zone.name

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
        list_rrsets: Any = self._client.list_resource_record_sets
        ask = partial(list_rrsets, HostedZoneId=self.zone_id, **start)
        return self._ask("ListResourceRecordSets", ask, _read_page, deadline)

    def _ask(
        self,
        action: str,
        send: Callable[[], Any],
        read: Callable[[Any], _Answer],
        deadline: Deadline,
        *,
        cap: float = LONGEST_WAIT_SECONDS,
    ) -> _Answer:
        """Send until there is an answer, or an error that is one.

        How long to wait is remembered from one request to the next: a host that was
        throttled just now would only be throttled again.
        """
        while True:
            self.requests += 1
            try:
                answer = read(send())
            except (*FAILURES, *MALFORMED) as error:
                verdict = judge(error, f"{self.origin}: {action}")
                if verdict.fate is Fate.FINAL:
                    self._relax()
                    raise verdict.error from verdict.cause(error)
                if verdict.fate is Fate.UNKNOWN and action == "ChangeResourceRecordSets":
                    raise OutcomeUnknown(str(verdict.error)) from verdict.cause(error)
                _log.info("trying again: %s", verdict.error)
                deadline.back_off(self._pressure, str(verdict.error), cap=cap)
                self._pressure += 1
            else:
                self._relax()
                return answer

    def _relax(self) -> None:
        self._pressure = max(0, self._pressure - 1)


def open_route53(
    address: str,
    name: Name | None,
    options: Mapping[str, str],
    deadline: Deadline,
    *,
    timeout: float,
) -> Route53Zone:
    """Open a hosted zone; look up what the address leaves out.

    Args:
        address: What the user calls it.
        name: Its name; None to look it up.
        options: `id`, `private`, `profile`, `role`.
        deadline: The deadline for looking up.
        timeout: Seconds to wait for each answer, now and later.

    Raises:
        UsageError: The AWS configuration is wrong.
        ZoneError: No such zone, several, or no access.
    """
    try:
        client = route53_client(options, timeout)
    except BotoCoreError as error:
        verdict = judge(error, f"zone {address}")
        raise verdict.error from verdict.cause(error)
    except ValueError as error:  # a malformed endpoint, region or configuration file
        said = without_secrets(str(error))
        raise UsageError(f"zone {address}: {said}; check the AWS configuration") from None
    zone_id = options.get("id", "")
    zone = Route53Zone(client, zone_id, name or Name((zone_id.encode(),)), address=address)
    if name is None:
        zone.find_name(deadline)
    elif not zone_id:
        private = options.get("private")
        zone.find_id(None if private is None else private == "yes", deadline)
    return zone


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
