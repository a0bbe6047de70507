"""Hosts that are killed between any two requests, really: a process and SIGKILL.

The points are found by running each command until it gets through unharmed: killed at its
first request, at its second, and so on, before the request is carried out and after.
"""

import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dnssd import open_zone
from dnssd.records import Rdata
from dnssd.registration import joining
from dnssd.registration.operation import Operation
from dnssd.registration.request import Registration
from dnssd.rrsets import Change, RRset
from dnssd.sandbox.api.exchange import Handler, Request, Response
from dnssd.sandbox.api.hostedzones import HostedZones
from dnssd.sandbox.api.server import Api
from dnssd.zones.base import Zone
from dnssd.zones.cloudflare.records import read_record, rrsets
from kit import victim
from kit.cloudflare import Cloudflare
from kit.interleaving import patient
from kit.invariants import (
    INSTANCE,
    ORIGIN,
    State,
    check_projection,
    check_state,
    srv,
    state_of,
    view_of,
)

FOREIGN = srv("elsewhere", 8080)
VALUES = {srv("v"), srv("v", weight=7)}
OWNER = "somebody/else"
START = multiprocessing.get_context("forkserver")
START.set_forkserver_preload(["kit.victim"])
JOIN = ("join", "http", "--instance", "web", "--port", "80", "--host", "v")
LEAVE = ("leave", "http", "--instance", "web", "--host", "v")


class Command(Enum):
    """What the victim runs."""

    JOIN = (*JOIN, "--address", "10.0.0.1")
    CHANGE = (*JOIN, "--address", "10.0.0.2", "--weight", "7")
    TAKE_OVER = (*JOIN, "--address", "10.0.0.3", "--takeover")
    LEAVE = LEAVE


class Point(NamedTuple):
    """Where the victim dies."""

    request: int
    carried_out: bool


class Executioner:
    """Stands between the victim and the zone: kills it at one point, and crowds it on the way.

    Attributes:
        killed: Whether it has.
        process: The victim.
        crowd: What others do just before the victim's changes of the SRV RRset arrive.
    """

    def __init__(self, point: Point) -> None:
        self.killed = False
        self.process: BaseProcess | None = None
        self.crowd: Iterator[Callable[[], object]] = iter(())
        self._point = point
        self._requests = 0

    def wrap(self, handler: Handler) -> Handler:
        """Lay it around the API's operations."""

        def handle(request: Request) -> Response:
            if "app/victim" not in request.user_agent:
                return handler(request)
            self._requests += 1
            if b"<Type>SRV</Type>" in request.body:
                next(self.crowd, lambda: None)()  # somebody is faster
            if self._requests != self._point.request:
                return handler(request)
            if self._point.carried_out:
                handler(request)
            assert self.process is not None
            assert self.process.pid is not None
            self.killed = True  # before: its end may be looked at before this thread goes on
            os.kill(self.process.pid, signal.SIGKILL)
            return Response(200, b"")

        return handle


class Stage(NamedTuple):
    """A zone with a live host in it, and the API that leads to it."""

    store: HostedZones
    zone: Zone
    executioner: Executioner
    environment: dict[str, str]


def registration(host: str, owner: str = "") -> Registration:
    """A membership of a host."""
    return Registration(
        service="http", instance="web", port=80, host=host, addresses=["10.1.0.1"], owner=owner
    )


def join(zone: Zone, host: str, owner: str = "") -> None:
    """Join a host, without waiting."""
    joining.join(Operation(zone, patient()), registration(host, owner).wish_in(ORIGIN))


@contextmanager
def stage(
    monkeypatch: pytest.MonkeyPatch, state: Path, point: Point, crowd: int
) -> Iterator[Stage]:
    """A sandbox where one host has joined beside a foreign value, and `crowd` others will."""
    store = HostedZones()
    made = store.create_zone(ORIGIN, caller_reference="kills")
    executioner = Executioner(point)
    with Api(store, wrap=executioner.wrap) as api:
        environment = {
            "AWS_ENDPOINT_URL_ROUTE_53": api.url,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SDK_UA_APP_ID": "victim",
            "DNSSD_STATE": str(state),
            "DNSSD_ZONE": f"example.test,id={made.id}",
        }
        for key, value in environment.items():
            if key != "AWS_SDK_UA_APP_ID":
                monkeypatch.setenv(key, value)
        zone = open_zone(environment["DNSSD_ZONE"])
        zone.commit([Change(None, RRset(INSTANCE, "SRV", 60, (FOREIGN,)))], patient())
        join(zone, "live")
        hosts = [f"other{number}" for number in range(crowd)]
        executioner.crowd = iter([partial(join, zone, host) for host in hosts])
        yield Stage(store, zone, executioner, environment)


def run(killer: "Executioner | Deadly", command: Command, environment: Mapping[str, str]) -> int:
    """Run a command as a process of its own; its exit code, negative if it was killed."""
    process = START.Process(target=victim.main, args=(command.value, environment))
    killer.process = process
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def prepare(zone: Zone, command: Command) -> None:
    """What the command finds."""
    if command in (Command.CHANGE, Command.LEAVE):
        own = Registration.here("http", instance="web", port=80, host="v", addresses=["10.0.0.1"])
        joining.join(Operation(zone, patient()), own.wish_in(ORIGIN))
    if command is Command.TAKE_OVER:
        join(zone, "v", OWNER)


def states(store: HostedZones) -> list[State]:
    """Every state that the zone has been in."""
    return [state_of(zone) for zone in store.log()]


def check(stage: Stage, since: int) -> None:
    """The invariants on every state since then, and what others published is always there."""
    published: set[Rdata] = {FOREIGN, srv("live")}
    for state in states(stage.store)[since:]:
        check_state(state, {FOREIGN})
        values = set(view_of(state).values)
        assert published <= values, "somebody else's value was absent"
        published |= {srv(f"other{number}") for number in range(3)} & values


class Deadly(Cloudflare):
    """A zone that merges, and kills whoever uses the second token at one point."""

    def __init__(self, point: Point) -> None:
        super().__init__(serve=["example.test"])
        self.victims = self.add_token()
        self.killed = False
        self.process: BaseProcess | None = None
        self._point = point
        self._requests = 0

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Any:
        """Answer, or kill before or after."""
        self._requests += self.victims in headers["authorization"]
        if self._requests != self._point.request or self.killed:
            return super().answer(method, target, headers, body)
        if self._point.carried_out:
            super().answer(method, target, headers, body)
        assert self.process is not None
        assert self.process.pid is not None
        self.killed = True
        os.kill(self.process.pid, signal.SIGKILL)
        return super().answer("GET", "/zones", headers, b"")

    def history(self) -> list[State]:
        """Every state that the zone has been in."""
        listings = ([read_record(one.document()) for one in state] for state in self.states())
        return [{(r.name, r.rdtype): r for r in rrsets(listing)} for listing in listings]


@pytest.mark.parametrize("command", list(Command), ids=lambda command: command.name.lower())
def test_no_death_where_a_zone_merges_leaves_what_the_next_run_does_not_heal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command
) -> None:
    """All or nothing of a join is there, and whoever lives stays, in every state."""
    for step in itertools.count():
        with Deadly(Point(1 + step // 2, bool(step % 2))) as double:
            place = f"cloudflare:example.test,id={double.zone_id}"
            environment = {
                **double.environment(),
                "DNSSD_ZONE": place,
                "DNSSD_STATE": str(tmp_path),
            }
            for key, value in environment.items():
                monkeypatch.setenv(key, value)
            zone = open_zone(place)
            zone.commit([Change(None, RRset(INSTANCE, "SRV", 60, (FOREIGN,)))], patient())
            join(zone, "live")
            prepare(zone, command)
            since = len(double.states())

            environment |= {"AWS_EC2_METADATA_DISABLED": "true"}
            victims = environment | {"CLOUDFLARE_API_TOKEN": double.victims}
            code = run(double, command, victims)
            assert code == (-signal.SIGKILL if double.killed else 0)
            assert run(double, command, environment) == 0

            for state in double.history()[since:]:
                check_state(state, {FOREIGN})
                check_projection(state, {FOREIGN})
                assert srv("live") in view_of(state).values
            values = view_of(double.history()[-1]).values
            assert VALUES.isdisjoint(values) == (command is Command.LEAVE)
            if not double.killed:
                break
    assert step >= 4


@pytest.fixture(autouse=True)
def _preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fork server finds what it is to preload; without a word it goes on where it does not."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.mark.parametrize("crowd", [0, 3], ids=["alone", "while three others fold"])
@pytest.mark.parametrize("command", list(Command), ids=lambda command: command.name.lower())
def test_no_death_leaves_what_one_fold_does_not_heal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: Command, crowd: int
) -> None:
    """Every kill point; then one fold of a live host, and then the victim's own next run."""
    points = 0
    for number in itertools.count(1):
        killed = 0
        for carried_out in (False, True):
            point = Point(number, carried_out)
            state = tmp_path / f"{number}-{carried_out}"
            with stage(monkeypatch, state, point, crowd) as scene:
                prepare(scene.zone, command)
                since = len(scene.store.log())
                code = run(scene.executioner, command, scene.environment)
                assert code == (-signal.SIGKILL if scene.executioner.killed else 0)
                killed += scene.executioner.killed
                join(scene.zone, "live")
                check(scene, since)
                check_projection(states(scene.store)[-1], {FOREIGN})
                again = {**scene.environment, "AWS_SDK_UA_APP_ID": "x"}
                assert run(scene.executioner, command, again) == 0
                check(scene, since)
                values = view_of(states(scene.store)[-1]).values
                published = not VALUES.isdisjoint(values)
                assert published == (command is not Command.LEAVE)
        points += killed
        if not killed:
            break
    assert points >= 6
