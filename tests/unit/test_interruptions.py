"""Ctrl-C and SIGTERM at any moment of a join or leave: it says what is true in the zone."""

from collections.abc import Collection, Sequence

import pytest

from dnssd import hosts
from dnssd.cli import identity, several
from dnssd.cli.failures import Terminated
from dnssd.deadline import Deadline
from dnssd.registration.joining import join
from dnssd.registration.leaving import leave
from dnssd.registration.request import Registration
from dnssd.rrsets import Change
from dnssd.zones.base import Question
from dnssd.zones.memory import Contents, MemoryZone
from kit.commands import Command, Ran, commands
from kit.interleaving import operation
from kit.invariants import ORIGIN, view_of

WEB = ("http", "--instance=web", "--port=80", "--host=a", f"--zone={ORIGIN}")
JOIN, LEAVE = ("join", *WEB, "--address=10.0.0.1"), ("leave", *WEB)


class Interrupted(MemoryZone):
    """A zone of which some request is interrupted, a change before it is made or after.

    Attributes:
        calls: How many there were.
        at: Which one, counted from 1.
        is_made: Whether that is carried out.
        kind: What interrupts it.
    """

    calls = at = 0
    is_made = False
    kind: type[BaseException] = KeyboardInterrupt

    def commit(
        self, changes: Sequence[Change], deadline: Deadline, *, absent: Collection[Question] = ()
    ) -> str:
        """See `Zone.commit`."""
        self.calls += 1
        if self.calls == self.at and not self.is_made:
            raise self.kind
        commit = super().commit(changes, deadline, absent=absent)
        if self.calls == self.at:
            raise self.kind
        return commit

    def _state(self) -> Contents:
        self.calls += 1
        if self.calls == self.at:
            raise self.kind
        return super()._state()


@pytest.fixture
def dnssd(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command."""
    return commands(capsys)


def registration() -> Registration:
    """What the command joins, as the same owner."""
    owner = hosts.this_host(Deadline(1.0), "a", budget=1.0).owner
    return Registration(
        service="http", instance="web", port=80, host="a", addresses=["10.0.0.1"], owner=owner
    )


def zone_before(command: str, merges: bool) -> Interrupted:
    """A zone in which there is something to be done."""
    zone = Interrupted(ORIGIN, merges=merges)
    if command == "leave":
        join(operation(zone), registration().wish_in(ORIGIN))
    return zone


def requests_of(command: str, merges: bool) -> int:
    """How many requests it takes."""
    zone = zone_before(command, merges)
    before = zone.calls
    if command == "join":
        join(operation(zone), registration().wish_in(ORIGIN))
    else:
        leave(operation(zone), registration().departure_in(ORIGIN))
    return zone.calls - before


def told_by(ran: Ran) -> str:
    """What an interrupted command says of the zone; the line of a terminal's ^C ends first."""
    begin, _, said = ran.err.strip().partition("; ")
    assert begin == "dnssd: interrupted"
    return said


@pytest.mark.parametrize("merges", [False, True], ids=["swaps", "merges"])
@pytest.mark.parametrize("command", ["join", "leave"])
@pytest.mark.parametrize(
    ("kind", "is_made"), [(KeyboardInterrupt, False), (KeyboardInterrupt, True), (Terminated, True)]
)
def test_an_interruption_at_any_request_tells_the_truth(
    command: str,
    kind: type[BaseException],
    is_made: bool,
    merges: bool,
    dnssd: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is called unwritten that was written, and nothing done that was not."""
    told = set()
    for at in range(1, requests_of(command, merges) + 1):
        zone = zone_before(command, merges)
        monkeypatch.setattr(several, "open_zone", lambda *_, **__: zone)  # noqa: B023 (run below)
        before, zone.at = zone.states[-1], zone.calls + at
        zone.is_made, zone.kind = is_made, kind
        ran = dnssd(*(JOIN if command == "join" else LEAVE))
        view = view_of(zone.states[-1])
        assert ran.code == 130
        said = told_by(ran)
        told.add(said)
        if zone.states[-1] != before:
            assert said != "nothing was written"
        elif is_made:
            assert "was sent" not in said
        assert ("it has joined" in said) <= bool(view.values)
        assert ("it has left" in said) <= (not view.values)
        assert ("is announced" in said) <= bool(view.members)
    assert len(told) > 1


def test_an_interruption_before_anything_was_asked_says_so(
    dnssd: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host's metadata may take minutes at boot."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(several, "open_zone", lambda *_, **__: MemoryZone(ORIGIN))
    for command, where in ((LEAVE, identity), (JOIN, hosts)):
        monkeypatch.setattr(where, "this_host", interrupt)
        ran = dnssd(*command)
        assert (ran.code, told_by(ran)) == (130, "nothing was written")
