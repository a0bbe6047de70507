"""Join and leave storms: hosts that all start within seconds, at Route 53's request rates.

The clock is virtual (simulation.py); the sandbox, boto3 and the sockets between are real.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from simulation import World

from dnssd.deadline import Deadline
from dnssd.errors import Conflict, DnssdError
from dnssd.names import Name
from dnssd.records import Address, Srv
from dnssd.registration import addressing, joining, leaving
from dnssd.registration.operation import Operation
from dnssd.registration.plainaddress import AddressWish
from dnssd.registration.request import Registration
from dnssd.registration.views import InstanceView
from dnssd.rrsets import Change, RRset
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.rrsets import Action, Edit, HostedRRset
from dnssd.sandbox.api.server import Api
from dnssd.sandbox.faults.rate import Bucket, limit
from dnssd.zones.route53.client import Session
from dnssd.zones.route53.text import texts, write_name
from dnssd.zones.route53.zone import Route53Zone
from kit.invariants import rrset_of

ORIGIN = Name.parse("example.test")
INSTANCE = ORIGIN.child(b"web", b"_http", b"_tcp")
FOREIGN = Srv(0, 1, 8080, ORIGIN.child(b"elsewhere"))
ROUND_TRIP = 0.05  # seconds to Route 53 and back
START_WITHIN = 5.0  # seconds
PATIENCE = 600.0  # seconds: a boot's deadline
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Setting:
    """A storm: how many hosts, and the account's request rate."""

    hosts: int = 200
    rate: float = 5.0  # requests a second
    burst: float = 5.0  # requests saved up at first
    seed: int = 1

    @property
    def floor(self) -> float:
        """Seconds until the last would be done if each sent one request and none was wasted."""
        return max(START_WITHIN, (self.hosts - self.burst) / self.rate)


@dataclass(frozen=True)
class Outcome:
    """What came of a storm.

    Attributes:
        times: When each run that succeeded returned, in seconds, sorted.
        failed: How many runs failed.
        requests: Sent, throttled ones included.
        admitted: Those that were not throttled.
        view: The instance at the end.
        entries: RRsets in the zone at the end, but for its apex.
    """

    times: tuple[float, ...]
    failed: int
    requests: int
    admitted: int
    view: InstanceView
    entries: int

    @property
    def values(self) -> int:
        """SRV values of hosts at the end."""
        return len(set(self.view.values) - {FOREIGN})


Work = Callable[[Route53Zone, Deadline, int], object]


class Stage:
    """A hosted zone with one foreign value, at an account whose rate has a virtual clock."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._world = World(round_trip=ROUND_TRIP)
        self._random = random.Random(setting.seed)
        self._store = HostedZones(now=self._world.monotonic)
        self._zone_id = self._store.create_zone(ORIGIN, caller_reference="storm").id
        foreign = HostedRRset(INSTANCE, "SRV", 60, (FOREIGN.format(),))
        self._store.change(self._zone_id, [Edit(Action.CREATE, foreign)])

    def blow(
        self,
        work: Work,
        *,
        deadline: float = PATIENCE,
        limited: bool = True,
        only: Sequence[int] | None = None,
    ) -> Outcome:
        """Have every host do its work, starting within five seconds; wait for all.

        Args:
            work: Given the zone, a deadline and the host's number.
            deadline: Seconds that each has.
            limited: Whether the rate holds.
            only: The numbers of the hosts, in place of all.
        """
        setting, world = self._setting, self._world
        bucket = Bucket(setting.rate, setting.burst, world.monotonic)
        times: list[float] = []
        failed: list[str] = []
        begin = world.now

        def host(number: int) -> None:
            until = Deadline(
                deadline,
                monotonic=world.monotonic,
                sleep=world.sleep,
                draw=self._random.random,
            )
            try:
                work(Route53Zone(Opened(client), self._zone_id, ORIGIN), until, number)
                times.append(world.now - begin)
            except DnssdError as error:
                failed.append(str(error))

        wrap = limit(bucket) if limited else lambda handler: handler
        with Api(self._store, wrap=wrap, timeout=600) as api:
            client = world.client(_client(api.url))
            for number in range(setting.hosts) if only is None else only:
                start = begin + self._random.random() * START_WITHIN
                world.start(start, lambda number=number: host(number))  # type: ignore[misc] # bound now
            world.run()
            report = api.counts.report()
        zone = self._store.zone(self._zone_id)
        entries = [rrset_of(found) for found in zone.rrsets if found.name != ORIGIN]
        return Outcome(
            times=tuple(sorted(times)),
            failed=len(failed),
            requests=report["requests"],
            admitted=report["admitted"],
            view=InstanceView.of(INSTANCE, [r for r in entries if r.name.is_below(INSTANCE)]),
            entries=len(entries),
        )

    def now(self) -> datetime:
        """The time of day on the virtual clock."""
        return EPOCH + timedelta(seconds=self._world.now)


def announce_then_fold(stage: Stage) -> Work:
    """What `dnssd join` does."""

    def work(zone: Route53Zone, deadline: Deadline, number: int) -> None:
        operation = Operation(zone, deadline, now=stage.now)
        joining.join(operation, _registration(number).wish_in(ORIGIN))

    return work


def rejoin(stage: Stage) -> Work:
    """What `dnssd rejoin` does, a day later."""

    def work(zone: Route53Zone, deadline: Deadline, number: int) -> None:
        operation = Operation(zone, deadline, now=lambda: stage.now() + timedelta(days=1))
        wish = replace(_registration(number).wish_in(ORIGIN), confirm=True)
        joining.join(operation, wish)

    return work


def leave(stage: Stage) -> Work:
    """What `dnssd leave` does."""

    def work(zone: Route53Zone, deadline: Deadline, number: int) -> None:
        operation = Operation(zone, deadline, now=stage.now)
        leaving.leave(operation, _registration(number).departure_in(ORIGIN))

    return work


def plain_address(stage: Stage, *, leaves: bool = False) -> Work:
    """What `dnssd join-address www.example.test` does, or its reverse."""

    def work(zone: Route53Zone, deadline: Deadline, number: int) -> None:
        asked = _registration(number)
        wish = AddressWish(
            origin=ORIGIN,
            name=ORIGIN.child(b"www"),
            label=asked.host or "",
            addresses=() if leaves else tuple(map(Address.parse, asked.addresses)),
            owner=asked.owner,
        )
        act = addressing.leave_address if leaves else addressing.join_address
        act(Operation(zone, deadline, now=stage.now), wish)

    return work


def compare_and_swap(zone: Route53Zone, deadline: Deadline, number: int) -> None:
    """Read, add, commit if nothing changed; wait with full jitter and try again."""
    for attempt in range(10**6):
        before = zone.read(INSTANCE, "SRV", deadline)
        try:
            zone.commit([Change(before, _with(before, number))], deadline)
            return
        except Conflict:
            deadline.back_off(attempt, "others were faster")


def read_merge_upsert(zone: Route53Zone, deadline: Deadline, number: int) -> None:
    """The usual script: read, add, overwrite."""
    after = _with(zone.read(INSTANCE, "SRV", deadline), number)
    wire = {
        "Name": write_name(INSTANCE),
        "Type": "SRV",
        "TTL": 60,
        "ResourceRecords": [{"Value": text} for text in texts(after)],
    }
    batch = {"Changes": [{"Action": "UPSERT", "ResourceRecordSet": wire}]}
    for attempt in range(10**6):
        try:
            client: Any = zone._session.client()
            client.change_resource_record_sets(HostedZoneId=zone.zone_id, ChangeBatch=batch)
            return
        except ClientError as error:
            if error.response["Error"]["Code"] != "Throttling":
                raise
            deadline.back_off(attempt, "throttled")


def _registration(number: int) -> Registration:
    return Registration(
        service="http",
        instance="web",
        port=80,
        host=f"i-{number:017x}",
        addresses=[f"10.{number // 62500 % 250}.{number // 250 % 250}.{number % 250 + 1}"],
        owner=f"ec2/123456789012/us-east-1/i-{number:017x}",
    )


def _with(before: RRset | None, number: int) -> RRset:
    value = Srv(0, 100, 80, ORIGIN.child(f"i-{number:017x}".encode()))
    if before is None:
        return RRset(INSTANCE, "SRV", 60, (value,))
    after = before.with_values((*before.values, value))
    assert after is not None
    return after


class Opened(Session):
    """A session whose client all hosts share."""

    def __init__(self, client: Any) -> None:
        super().__init__({}, 10)
        self._client = client


def _client(url: str) -> Any:
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=4)
    return boto3.client(
        "route53",
        endpoint_url=url,
        config=config,
        region_name="us-east-1",
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )
