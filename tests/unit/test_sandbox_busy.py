"""Zones that are busy with a change, on a clock that the tests turn."""

import math
from collections.abc import Callable

import pytest

from dnssd.errors import UsageError
from dnssd.sandbox.api.exchange import Handler, Request, Response, refusal
from dnssd.sandbox.api.rejections import Rejection
from dnssd.sandbox.faults.busy import BusyZones, keep_busy

ROOT = "/2013-04-01/hostedzone"


def _change(zone: str = "Z1") -> Request:
    return Request("1", "POST", f"{ROOT}/{zone}/rrset/", {}, {})


def _accept(request: Request) -> Response:
    return Response(200, b"")


def _busy(
    handler: Handler = _accept, seconds: float = 2
) -> tuple[Callable[[Request], str | None], list[float]]:
    """What a request is answered with, as an error code, and the clock."""
    clock = [10.0]
    wrapped = keep_busy(BusyZones(seconds, lambda: clock[0]))(handler)
    return lambda request: wrapped(request).error, clock


def test_a_zone_is_busy_for_a_while_after_a_change() -> None:
    """A second change has to wait, and being refused does not prolong it."""
    ask, clock = _busy()

    assert ask(_change()) is None
    for moment in (10.0, 11.9):
        clock[0] = moment
        assert ask(_change()) == "PriorRequestNotComplete"
    clock[0] = 12.0
    assert ask(_change()) is None


def test_the_answer_is_route_53s() -> None:
    """Status 400, and the words that the documentation gives."""
    wrapped = keep_busy(BusyZones(1, lambda: 0.0))(_accept)
    wrapped(_change())

    response = wrapped(_change())

    assert response.status == 400
    assert (
        b"The request was rejected because Route 53 was still processing a prior request."
        in response.body
    )


def test_a_busy_zone_is_read_and_others_are_changed() -> None:
    """Only changes of the same zone wait, however its identifier is written."""
    ask, _ = _busy()
    assert ask(_change()) is None

    assert ask(_change("Z2")) is None
    assert ask(Request("1", "GET", f"{ROOT}/Z1/rrset", {}, {})) is None
    assert ask(_change("%5A1")) == "PriorRequestNotComplete"


def test_a_refused_change_keeps_nobody_waiting() -> None:
    """Neither one that the zone refuses, nor one that breaks the handler."""

    def refuse(request: Request) -> Response:
        if request.id == "bug":
            raise RuntimeError("bug")
        return refusal(request.id, Rejection("InvalidChangeBatch", "[]"))

    ask, _ = _busy(refuse)
    for _ in range(2):
        assert ask(_change()) == "InvalidChangeBatch"
    with pytest.raises(RuntimeError):
        ask(Request("bug", "POST", f"{ROOT}/Z1/rrset/", {}, {}))
    assert ask(_change()) == "InvalidChangeBatch"


def test_a_change_that_comes_while_another_is_made_waits() -> None:
    """The first need not be done for the zone to be busy, even with no time of grace."""
    seen = []
    zones = BusyZones(0, lambda: 0.0)

    def handler(request: Request) -> Response:
        seen.append(wrapped(_change()).error)
        return Response(200, b"")

    wrapped = keep_busy(zones)(handler)

    assert wrapped(_change()).error is None
    assert seen == ["PriorRequestNotComplete"]
    assert zones.enter("Z1")


def test_zones_that_are_busy_no_more_are_forgotten() -> None:
    """Memory does not grow with the zones that were ever asked for."""
    clock = [0.0]
    zones = BusyZones(1, lambda: clock[0])
    for number in range(100):
        clock[0] += 2
        assert zones.enter(str(number))
        zones.leave(str(number), True)

    assert len(zones._until) == 1


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_a_time_that_makes_no_sense_is_refused(seconds: float) -> None:
    """Such as one without an end."""
    with pytest.raises(UsageError, match="a number of seconds is needed"):
        BusyZones(seconds, lambda: 0.0)
