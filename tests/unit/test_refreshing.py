"""What a refresh asks for, and what it tells while something else is late."""

from itertools import pairwise

import pytest

from dnssd.resolver.known import LAST_RETRY
from kit.simnet import SERVICE, Fault, Records, honest, servfail, silent, where
from kit.simresolver import SimResolver, kinds

FIFTY = range(50)


def instances(numbers: range, net: int = 0) -> Records:
    """A service of so many instances on a host each."""
    names = {n: f"i{n}.{SERVICE}" for n in numbers}
    return {
        (SERVICE, "PTR"): list(names.values()),
        **{(name, "SRV"): [f"0 0 80 h{n}.example.com."] for n, name in names.items()},
        **{(name, "TXT"): ['"a=1"'] for name in names.values()},
        **{(f"h{n}.example.com.", "A"): [f"10.{net}.0.{n}"] for n in numbers},
    }


def moved(sim: SimResolver, net: int) -> int:
    """How many hosts are known by an address in that network."""
    endpoints = sim.lookup(SERVICE).endpoints
    return sum(e.addresses[:1] == (f"10.{net}.0.{e.target[1:].split('.')[0]}",) for e in endpoints)


def test_a_refresh_asks_what_is_near_its_end() -> None:
    """One address holds for two seconds, and all else for an hour: ten questions, not 1,564."""
    sim = SimResolver(instances(FIFTY), ttl=3600)
    sim.network.ttls["h7.example.com.", "A"] = 2
    sim.network.negative_ttl = 3600
    sim.watch(SERVICE)
    sim.advance(1)
    before = sim.network.asked.copy()

    sim.advance(15)

    asked = sim.network.asked - before
    assert set(asked) == {("h7.example.com.", "A")}
    assert 9 <= asked.total() <= 12
    sim.advance(0.65 * 3600)
    assert (sim.network.asked - before)[SERVICE, "PTR"] == 1  # it goes along with the others
    assert (sim.network.asked - before)[f"i1.{SERVICE}", "SRV"] == 1


@pytest.mark.parametrize("fault", [silent, servfail])
def test_one_dark_instance_keeps_no_news_of_the_others(fault: Fault) -> None:
    """However long it has been dark: all hosts move, and are known to within a TTL."""
    sim = SimResolver(instances(FIFTY), ttl=5)
    told = sim.watch(SERVICE)
    sim.advance(1)
    sim.network.fault = where(lambda query: query.key[0].startswith("i9."), fault)
    sim.advance(300)
    del told[:]

    sim.network.change(instances(FIFTY, 1))

    assert sim.until(lambda: moved(sim, 1) >= 49, limit=60) < 6
    assert sim.until(lambda: moved(sim, 1) == 50, limit=60) < 6  # its host's address, too
    assert kinds(told)[:3] != ["recovered"]
    before = sim.network.asked.copy()
    sim.advance(600)
    asked = sim.network.asked - before
    assert asked[f"i8.{SERVICE}", "SRV"] <= 1 + 600 / (0.6 * 5)
    sim.network.fault = honest
    sim.advance(1.1 * LAST_RETRY + 3)
    assert sim.lookup(SERVICE).status == "fresh"


def test_a_dark_instance_costs_a_few_questions() -> None:
    """It is asked for more and more rarely, while all others are refreshed in their time."""
    sim = SimResolver(instances(range(3)), ttl=5)
    sim.watch(SERVICE)
    sim.advance(1)
    sim.network.fault = where(lambda query: query.key[0].startswith("i1."), servfail)
    sim.advance(300)
    at = len(sim.network.queries)

    sim.advance(300)

    times = [q.at for q in sim.network.queries[at:] if q.key == (f"i1.{SERVICE}", "SRV")]
    bursts = 1 + sum(later - one > 5 for one, later in pairwise(times))
    assert bursts <= 1 + 300 / (0.8 * LAST_RETRY)


@pytest.mark.parametrize(("services", "size"), [(1, 300), (8, 40)])
def test_services_that_do_not_answer_hold_up_no_other(services: int, size: int) -> None:
    """Questions under way are shared out by look-up; a healthy one took two seconds before."""
    records = instances(FIFTY)
    for number in range(services):
        dark = f"_dark{number}._tcp.example.com."
        records[dark, "PTR"] = [f"i{n}.{dark}" for n in range(size)]
    sim = SimResolver(records, fault=where(lambda query: "._dark" in query.key[0], silent))
    for number in range(services):
        sim.want(f"_dark{number}._tcp.example.com.")
    sim.advance(0.01)
    began = sim.now

    assert len(sim.lookup(SERVICE).endpoints) == 50
    assert sim.now - began < 0.1
    assert sim.questions < 700
