"""Many times, one timer."""

import pytest

from dnssd.wire.timers import ROUNDS, Timers
from kit.simnet import SimLoop


class Thing:
    """Something to come back to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.finished = False


class Bench:
    """An agenda, and what it has called back with."""

    def __init__(self) -> None:
        self.loop = SimLoop()
        self.came: list[tuple[str, float]] = []
        self.timers: Timers[Thing] = Timers(self.loop, self.due)

    def due(self, thing: Thing, at: float) -> None:
        """Take note of it."""
        self.came.append((thing.name, at - 1000.0))

    def add(self, name: str, seconds: float) -> Thing:
        """Something that is due in so many seconds from the start."""
        thing = Thing(name)
        self.timers.add(1000.0 + seconds, thing)
        return thing


def test_each_has_its_time() -> None:
    """In whatever order they come, with one timer for all."""
    bench = Bench()
    for seconds in (3.0, 1.0, 2.0, 1.0):
        bench.add(str(seconds), seconds)
        assert bench.loop.pending() == 1
    bench.loop.run(2.5)
    assert bench.came == [("1.0", 1.0), ("1.0", 1.0), ("2.0", 2.0)]
    bench.loop.run(1.0)
    assert bench.came[3:] == [("3.0", 3.0)]
    assert bench.loop.pending() == 0


def test_what_is_finished_is_left_out() -> None:
    """Also what is finished by what comes just before it, or while sockets are read."""
    bench = Bench()
    things = [bench.add(str(at), 1.0) for at in range(4)]
    things[0].finished = True
    bench.loop.call_at(1001.0, setattr, things[1], "finished", True)
    bench.timers._due = lambda thing, _: setattr(things[3], "finished", thing is things[2])
    bench.loop.run(1.5)
    assert things[3].finished

    bench = Bench()
    bench.add("a", 1.0).finished = True
    bench.add("b", 2.0)
    bench.loop.run(1.5)
    assert bench.came == []
    bench.loop.run(1.0)
    assert bench.came == [("b", 2.0)]


def test_the_loop_goes_its_rounds_before() -> None:
    """What it finds meanwhile may finish what would be called late; the time stays that before."""
    bench = Bench()
    thing = bench.add("a", 1.0)
    bench.add("b", 1.0)

    def arrive(left: int) -> None:
        if left:
            bench.loop.call_at(bench.loop.now, arrive, left - 1)
        else:
            thing.finished = True

    bench.loop.call_at(1001.0, arrive, ROUNDS - 1)
    bench.loop.run(2.0)

    assert bench.came == [("b", 1.0)]


def test_what_is_added_meanwhile_delays_nothing() -> None:
    """However early it is due: a stream of new questions puts off no other."""
    bench = Bench()
    bench.add("a", 1.0)

    def busy(left: int) -> None:
        bench.add("late", left / 200)
        if left and not bench.came:
            bench.loop.call_at(bench.loop.now, busy, left - 1)

    bench.loop.call_at(1001.0, busy, 100)
    bench.loop.run(0.999)
    bench.loop.run(lambda: bool(bench.came))

    assert len([one for one in bench.came if one[0] == "late"]) <= ROUNDS + 1


def test_one_that_fails_stops_no_other() -> None:
    """The loop is told; those after it come all the same."""
    bench = Bench()
    for name in ("a", "b", "c"):
        bench.add(name, 1.0)

    def due(thing: Thing, at: float) -> None:
        if thing.name == "b":
            raise ZeroDivisionError
        bench.due(thing, at)

    bench.timers._due = due
    with pytest.raises(ZeroDivisionError):
        bench.loop.run(1.5)
    bench.loop.run(0.1)

    assert [name for name, _ in bench.came] == ["a", "c"]


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_what_is_cleared_does_not_come(seconds: float) -> None:
    """Also from within, and while the loop goes its rounds; what is added later does."""
    bench = Bench()
    bench.add("a", 1.0)
    bench.loop.call_at(1000.0 + seconds, bench.timers.clear)
    bench.loop.run(2.0)
    assert bench.came == []
    assert bench.loop.pending() == 0

    bench.timers._due = lambda _thing, _at: bench.timers.clear()
    bench.add("b", 3.0)
    bench.add("c", 3.0)
    bench.loop.run(2.0)
    assert bench.loop.pending() == 0
    bench.timers._due = bench.due
    bench.add("d", 5.0)
    bench.loop.run(2.0)
    assert bench.came == [("d", 5.0)]
