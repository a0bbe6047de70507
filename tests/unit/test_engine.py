"""Looking up again and again: what watchers are told, and what goes wrong for nobody else."""

import logging
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from dnssd.errors import NotFound, Unavailable
from dnssd.names import Name
from dnssd.resolver.cache import CachePolicy
from dnssd.resolver.disk import SnapshotFiles
from dnssd.resolver.events import Event
from dnssd.resolver.known import LAST_RETRY, LEFT_ALONE
from dnssd.resolver.learning import COMPLETE, VERIFY
from dnssd.resolver.lookup import GRACE
from dnssd.resolver.snapshot import Endpoint, Snapshot
from dnssd.services import ServiceName, parse_service_name
from dnssd.wire.answers import Answer
from dnssd.wire.nameservers import NameServer
from dnssd.wire.system_servers import CHECK, FAREWELL, ResolvConf, SystemServers
from kit.simnet import (
    SERVICE,
    WEB,
    Fault,
    Records,
    SimLoop,
    SimNetwork,
    honest,
    lie,
    servfail,
    silent,
    unsigned,
    where,
)
from kit.simresolver import SERVER, SimResolver, hosts_of, kinds

THREE = hosts_of(range(1, 4))
BOTH = THREE | {(f"h{n}.example.com.", "AAAA"): [f"2001:db8::{n}"] for n in (1, 2, 3)}
ADDED = ["added h1", "added h2", "added h3"]


def hosts(snapshot: Snapshot) -> list[str]:
    """The first labels of its targets."""
    return [endpoint.target.partition(".")[0] for endpoint in snapshot.endpoints]


def test_watching_begins_with_all_that_is_there() -> None:
    """And then nothing is told as long as nothing happens."""
    sim = SimResolver(THREE)

    told = sim.watch(WEB)
    sim.advance(1000)

    assert kinds(told) == ADDED
    assert sim.network.asked[WEB, "SRV"] > 10


def test_watching_what_is_known_already_tells_it_at_once() -> None:
    """Without a question."""
    sim = SimResolver(THREE)
    sim.lookup(WEB)
    asked = sim.questions

    told = sim.watch(WEB)

    assert kinds(told) == ADDED
    assert sim.questions == asked


def test_watching_during_a_refresh_leaves_one_refresh() -> None:
    """A second timer would ask twice as often for ever, or fail."""
    sim = SimResolver(THREE)
    sim.lookup(WEB)
    sim.until_asked()

    told = sim.watch(WEB)
    sim.advance(1000)

    assert kinds(told) == ADDED
    assert sim.network.asked[WEB, "SRV"] <= 2 + 1000 / (60 * 0.675)
    # The next refresh, the asker's clock, and sockets that are not closed yet.
    assert sim.loop.pending() <= 2 + sim.network.open_channels


def test_what_comes_goes_and_changes_is_told() -> None:
    """At the next refresh."""
    sim = SimResolver(THREE)
    told = sim.watch(WEB)
    sim.advance(1)
    told.clear()

    sim.network.change(hosts_of(range(2, 5)))
    sim.advance(60)
    assert kinds(told) == ["removed h1", "added h4"]
    told.clear()
    sim.network.change(hosts_of(range(2, 5)) | {("h2.example.com.", "A"): ["10.9.9.9"]})
    sim.advance(60)
    assert kinds(told) == ["changed h2"]
    assert told[0]
    assert told[0].endpoint
    assert told[0].endpoint.addresses == ("10.9.9.9",)


def test_an_outage_is_told_once_and_so_is_its_end() -> None:
    """Nothing is ever removed because name servers do not answer."""
    sim = SimResolver(THREE)
    told = sim.watch(WEB)
    sim.advance(50)
    sim.network.fault = silent
    sim.advance(3600)
    assert kinds(told) == [*ADDED, "stale"]

    sim.network.fault = servfail
    sim.advance(3600)
    assert kinds(told) == [*ADDED, "stale"]

    sim.network.fault = honest
    recovery = sim.until(lambda: len(told) > 4)
    assert kinds(told)[4:] == ["recovered"]
    assert recovery <= 1.1 * LAST_RETRY + 0.1


def test_old_age_is_told_when_it_begins() -> None:
    """Not when the next look-up has failed too."""
    sim = SimResolver(THREE, limits=CachePolicy(timeout=0.1))
    told = sim.watch(WEB)
    sim.advance(1)
    sim.network.fault = silent
    entry = sim.entry(WEB)
    assert entry
    expires_at = entry.latest().expires_at

    sim.advance(expires_at - sim.now - 0.01)
    assert kinds(told) == ADDED
    sim.advance(0.02)
    assert kinds(told) == [*ADDED, "stale"]


def test_what_has_changed_during_an_outage_is_told_after_it() -> None:
    """First that name servers answer again."""
    sim = SimResolver(THREE)
    told = sim.watch(WEB)
    sim.advance(50)
    sim.network.fault = silent
    sim.advance(600)
    sim.network.change(hosts_of(range(3, 5)))
    sim.network.fault = honest
    sim.advance(60)

    assert kinds(told) == [*ADDED, "stale", "recovered", "removed h1", "removed h2", "added h4"]


def test_an_absence_that_servers_vouch_for_is_believed() -> None:
    """A service that is gone is gone, and told when it comes back."""
    sim = SimResolver(THREE)
    told = sim.watch(WEB)
    sim.advance(1)
    sim.network.change({})
    sim.advance(60)
    assert kinds(told) == [*ADDED, "removed h1", "removed h2", "removed h3"]

    with pytest.raises(NotFound):
        sim.lookup(WEB)
    sim.network.change(THREE)
    sim.advance(61)
    assert kinds(told)[6:] == ADDED


def test_a_service_that_is_not_there_yet_may_be_watched() -> None:
    """It is asked for again when its absence expires."""
    sim = SimResolver({})
    told = sim.watch(WEB)
    sim.advance(100)
    assert told == []
    sim.network.change(THREE)
    sim.advance(61)
    assert kinds(told) == ADDED


def test_watching_in_an_outage_begins_when_it_ends() -> None:
    """And asks with more and more patience until then."""
    sim = SimResolver(THREE, fault=silent)
    told = sim.watch(WEB)
    sim.advance(1200)

    assert told == []
    times = [query.at for query in sim.network.queries]
    pauses = [later - earlier for earlier, later in pairwise(times) if later - earlier > 1.05]
    assert pauses[:6] == sorted(pauses[:6])
    assert min(pauses[5:]) >= 0.9 * LAST_RETRY
    sim.network.fault = honest
    sim.advance(1.1 * LAST_RETRY + 0.1)
    assert kinds(told) == ADDED


def test_who_stops_watching_hears_no_more() -> None:
    """Others do; and when nobody is left, it becomes idle in time."""
    sim = SimResolver(THREE)
    one, other = sim.watch(WEB), sim.watch(WEB)
    sim.advance(1)
    sim.engine.unlisten(parse_service_name(WEB), one.append)
    sim.network.change(hosts_of(range(1, 3)))
    sim.advance(60)
    assert kinds(one) == ADDED
    assert kinds(other) == [*ADDED, "removed h3"]

    sim.engine.unlisten(parse_service_name(WEB), other.append)
    sim.engine.unlisten(parse_service_name(WEB), other.append)
    sim.advance(2000)
    assert sim.loop.pending() == 0


def test_who_stops_watching_may_have_spelt_the_name_in_another_case() -> None:
    """Names are compared without case; all events of a watch call the service the same."""
    sim = SimResolver(THREE)
    sim.lookup(WEB.upper())
    told = sim.watch(WEB)
    assert {event.name for event in told if event} == {"WEB._HTTP._tcp.EXAMPLE.COM."}

    sim.engine.unlisten(parse_service_name(WEB), told.append)
    sim.network.change(hosts_of(range(1, 3)))
    sim.advance(2000)
    assert kinds(told) == ADDED
    assert sim.loop.pending() == 0


def test_clearing_makes_no_events() -> None:
    """What is watched is looked up anew; only true changes are told."""
    sim = SimResolver(THREE)
    told = sim.watch(WEB)
    sim.advance(1)
    asked = sim.network.asked[WEB, "SRV"]

    sim.engine.clear()
    sim.advance(1)
    assert kinds(told) == ADDED
    assert sim.network.asked[WEB, "SRV"] == asked + 1
    sim.network.change(hosts_of(range(1, 3)))
    sim.engine.clear()
    sim.advance(1)
    assert kinds(told) == [*ADDED, "removed h3"]


def test_clearing_waits_for_both_families() -> None:
    """An address that comes late is not told to have gone and come."""
    late = where(lambda query: query.key[1] == "A", lambda query: [(GRACE + 0.1, query.answer)])
    sim = SimResolver(BOTH)
    told = sim.watch(WEB)
    sim.advance(30)

    sim.network.fault = late
    sim.engine.clear()
    sim.advance(30)

    assert kinds(told) == ADDED


def test_closing_while_the_other_family_is_waited_for_leaves_nothing() -> None:
    """No timer either."""
    sim = SimResolver(THREE, fault=where(lambda query: query.key[1] == "AAAA", silent))
    came = sim.want(WEB)
    sim.advance(GRACE / 2)
    assert not came

    sim.engine.close()

    assert len(came) == 1
    assert sim.loop.pending() == 0


def test_what_is_watched_is_asked_for_anew_after_clearing() -> None:
    """Nobody is told what was to be forgotten, though watchers know it."""
    sim = SimResolver(THREE)
    sim.watch(WEB)
    sim.advance(1)
    sim.network.change(hosts_of(range(5, 6)))

    sim.engine.clear()

    assert hosts(sim.lookup(WEB)) == ["h5"]


def test_clearing_in_an_outage_takes_nothing_from_watchers() -> None:
    """An empty cache is no empty service."""
    sim = SimResolver(THREE)
    told = sim.watch(WEB)
    sim.advance(1)
    sim.network.fault = silent
    sim.engine.clear()
    sim.advance(600)

    assert kinds(told) == [*ADDED, "stale"]


def test_closing_ends_all() -> None:
    """Watchers hear the end, who waits gets an error, and nothing is left to come."""
    sim = SimResolver(THREE)
    told = sim.watch(WEB)
    sim.advance(1)
    sim.network.fault = silent
    came = sim.want(SERVICE)
    pointers: list[Answer | Unavailable] = []
    sim.engine.pointers(Name.parse(SERVICE), pointers.append)
    assert not came

    sim.engine.close()

    assert kinds(told) == [*ADDED, "end"]
    with pytest.raises(Unavailable, match="closed"):
        came[0].latest()
    assert [str(one) for one in pointers] == [str(came[0].unavailable)]
    assert sim.network.open_channels == 0
    assert sim.loop.pending() == 0
    asked = sim.questions
    sim.advance(1000)
    assert (sim.questions, len(told), len(pointers)) == (asked, 4, 1)


def test_answers_that_come_after_the_end_change_nothing() -> None:
    """They were under way."""
    sim = SimResolver(THREE)
    came = sim.want(WEB)
    sim.loop.run(0.0005)

    sim.engine.close()
    sim.advance(10)

    assert len(came) == 1
    assert came[0].snapshot is None


def fail(_: object) -> None:
    """A callback that does not work."""
    raise RuntimeError("a callback's own trouble")


def test_a_callback_that_fails_hurts_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    """Neither those behind it, nor the refreshes to come, nor the end; it is told in the log."""
    sim = SimResolver(THREE)
    sim.listen(WEB, fail)
    told = sim.watch(WEB)
    sim.engine.want(WEB, parse_service_name(WEB), fail)
    came = sim.want(WEB)

    with caplog.at_level(logging.ERROR, "dnssd"):
        sim.advance(1)
        sim.listen(WEB, fail)
        sim.network.change(hosts_of(range(1, 3)))
        sim.advance(60)
        sim.engine.close()

    assert kinds(told) == [*ADDED, "removed h3", "end"]
    assert came[0].snapshot
    assert "a callback's own trouble" in caplog.text


def test_trouble_at_the_first_look_up_is_looked_into_soon() -> None:
    """What a lie has hidden then is there a moment later, not a refresh later."""
    first = iter([True])
    sim = SimResolver(THREE, fault=where(lambda query: next(first, False), servfail))

    sim.lookup(WEB)
    asked = sim.network.asked[WEB, "SRV"]
    sim.advance(VERIFY + 0.1)

    assert sim.network.asked[WEB, "SRV"] == asked + 1
    sim.advance(30)
    assert sim.network.asked[WEB, "SRV"] == asked + 1


def test_one_denial_after_trouble_is_not_believed() -> None:
    """Of a service that is not known yet, several have to agree; calm, one is enough."""
    faults = iter([servfail, lie, lie])
    sim = SimResolver(THREE, fault=lambda query: next(faults, honest)(query))

    assert hosts(sim.lookup(SERVICE)) == ["h1", "h2", "h3"]


def test_a_first_look_up_without_trouble_is_left_alone() -> None:
    """A healthy server sees one packet a question."""
    sim = SimResolver(THREE)

    sim.lookup(WEB)
    sim.advance(30)

    assert set(sim.network.asked.values()) == {1}


def test_the_other_address_family_comes_soon_after() -> None:
    """Where a server adds IPv4 addresses only to what it says; nothing else is asked again."""
    sim = SimResolver(THREE, additional=True)
    assert [e.addresses for e in sim.lookup(WEB).endpoints] == [
        ("10.0.0.1",),
        ("10.0.0.2",),
        ("10.0.0.3",),
    ]
    sim.network.change({**THREE, ("h2.example.com.", "AAAA"): ["2001:db8::2"]})
    sim.network.additional = False
    told = sim.watch(WEB)

    sim.advance(1.5 * COMPLETE + 0.1)

    assert kinds(told) == [*ADDED, "changed h2"]
    assert set(sim.network.asked) == {
        (WEB, "SRV"),
        (WEB, "TXT"),
        *((f"h{number}.example.com.", "AAAA") for number in (1, 2, 3)),
    }
    assert set(sim.network.asked.values()) == {1}
    assert sim.lookup(WEB).endpoints[1].addresses == ("10.0.0.2", "2001:db8::2")


def test_the_other_address_family_comes_at_once_where_it_is_needed() -> None:
    """It alone is asked for; a second time, or from servers that are silent, nothing changes."""
    sim = SimResolver({**THREE, ("h2.example.com.", "AAAA"): ["::2"]}, additional="A")
    sim.lookup(WEB)
    came: list[Sequence[Endpoint]] = []
    before = sim.now

    for _ in range(2):
        sim.engine.complete(WEB, parse_service_name(WEB), came.append)
        sim.until(lambda: bool(came))
    assert sim.now < before + 0.01
    assert [e.addresses for e in came[0]] == [("10.0.0.1",), ("10.0.0.2", "::2"), ("10.0.0.3",)]
    assert sim.network.asked.total() == 2 + 3
    sim.engine.complete("x.example.com", parse_service_name("_x._tcp.example.com"), came.append)
    assert came[1:] == [came[0], ()]

    sim = SimResolver(THREE, additional="A", fault=where(lambda q: q.key[1] == "AAAA", silent))
    sim.lookup(WEB)
    sim.network.fault = silent
    sim.loop.now += 100
    sim.engine.complete(WEB, parse_service_name(WEB), came.append)
    sim.until(lambda: len(came) == 4)
    assert len(came[3]) == 3
    assert sim.lookup(WEB).status == "stale"


def test_a_short_ttl_leaves_the_other_address_family_to_the_refresh() -> None:
    """What is kept fresh in time is never stale while servers answer."""
    for seed in range(10):
        sim = SimResolver(THREE, additional=True, ttl=1, seed=seed)
        told = sim.watch(WEB)
        for _ in range(100):
            sim.advance(0.05)
            assert sim.lookup(WEB).status == "fresh"
        assert kinds(told) == ADDED
        assert sim.network.asked["h1.example.com.", "AAAA"] >= 1


def test_the_other_family_that_cannot_be_had_is_no_trouble() -> None:
    """What is known stays, and is refreshed in its time."""
    broken = where(lambda query: query.key[1] == "AAAA", servfail)
    sim = SimResolver(THREE, additional=True, fault=broken)
    told = sim.watch(WEB)

    sim.advance(1000)

    assert kinds(told) == ADDED
    assert sim.network.asked[WEB, "SRV"] <= 1 + 1000 / (60 * 0.675)


@pytest.mark.parametrize("fault", [unsigned, servfail, silent])
def test_a_server_that_never_tells_of_a_family_is_not_pressed_for_ever(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """Some leave out the SOA record or do not answer at all (RFC 4074); hosts have IPv4 alone."""
    sim = SimResolver(THREE, fault=where(lambda query: query.key[1] == "AAAA", fault))
    assert len(sim.lookup(WEB).reachable) == 3
    told = sim.watch(WEB)
    sim.advance(100)
    before = sim.network.asked.copy()
    caplog.clear()

    sim.advance(3600)

    asked = sim.network.asked - before
    looks = asked[WEB, "SRV"]
    assert looks >= 3600 / 60
    assert asked["h1.example.com.", "A"] == looks
    rounds = 1 + 3600 / LEFT_ALONE
    assert asked["h1.example.com.", "AAAA"] <= 120 * rounds
    assert len(caplog.records) <= 3 * rounds
    assert kinds(told) == ADDED


@pytest.mark.parametrize("fault", [unsigned, servfail, silent])
@pytest.mark.parametrize("family", ["A", "AAAA"])
def test_a_first_look_up_does_not_wait_long_for_a_family_of_which_nobody_tells(
    fault: Fault, family: str
) -> None:
    """Each host has an address of the other one; the rest comes later, if ever."""
    other = {"A": "AAAA", "AAAA": "A"}[family]
    both = {"A": "10.0.0.1", "AAAA": "2001:db8::1"}
    address, missing = both[other], both[family]
    records = {key: values for key, values in THREE.items() if key[1] not in ("A", "AAAA")}
    records |= {(f"h{n}.example.com.", other): [address] for n in (1, 2, 3)}
    sim = SimResolver(records, fault=where(lambda query: query.key[1] == family, fault))

    began = sim.loop.time()
    found = sim.lookup(WEB)

    assert sim.loop.time() - began < GRACE + 0.1
    assert {endpoint.addresses for endpoint in found.endpoints} == {(address,)}
    told = sim.watch(WEB)
    sim.network.change(records | {("h2.example.com.", family): [missing]})
    sim.network.fault = honest
    sim.advance(2 * LEFT_ALONE)
    assert kinds(told) == [*ADDED, "changed h2"]


@pytest.mark.parametrize("fault", [unsigned, servfail, silent])
@pytest.mark.parametrize("family", ["A", "AAAA"])
def test_a_family_is_not_left_alone_for_a_short_trouble_at_first(fault: Fault, family: str) -> None:
    """A client may have no way to the other one."""
    sim = SimResolver(BOTH, fault=where(lambda query: query.key[1] == family, fault))
    sim.lookup(WEB)
    sim.advance(4)
    assert {len(endpoint.addresses) for endpoint in sim.lookup(WEB).endpoints} == {1}

    sim.network.fault = honest
    sim.advance(60)

    assert {len(endpoint.addresses) for endpoint in sim.lookup(WEB).endpoints} == {2}


def test_a_family_that_was_missing_at_first_is_found_soon_however_long_the_ttl() -> None:
    """The next refresh may be a day away."""
    both = THREE | {(f"h{n}.example.com.", "AAAA"): [f"2001:db8::{n}"] for n in (1, 2, 3)}
    sim = SimResolver(both, ttl=86_400, fault=where(lambda query: query.key[1] == "A", silent))
    assert {len(endpoint.addresses) for endpoint in sim.lookup(WEB).endpoints} == {1}
    sim.advance(4)
    sim.network.fault = honest

    sim.advance(LEFT_ALONE)

    assert {len(endpoint.addresses) for endpoint in sim.lookup(WEB).endpoints} == {2}


def test_a_host_without_any_address_is_not_waited_for_long() -> None:
    """Others have one; it is found a little later."""
    slow = where(
        lambda query: query.key == ("h2.example.com.", "A"), lambda query: [(1.0, query.answer)]
    )
    sim = SimResolver(THREE, fault=slow)

    begin = sim.now
    snapshot = sim.lookup(WEB)
    assert len(snapshot.reachable) == 2
    assert sim.now - begin == pytest.approx(GRACE, abs=0.1)
    assert snapshot.missing == ("h2.example.com. A",)
    sim.advance(3)
    assert len(sim.lookup(WEB).reachable) == 3


def test_a_family_that_was_left_alone_is_found_in_the_end() -> None:
    """Once servers tell of it."""
    sim = SimResolver(THREE, fault=where(lambda query: query.key[1] == "AAAA", unsigned))
    told = sim.watch(WEB)
    sim.advance(100)
    sim.network.change({**THREE, ("h2.example.com.", "AAAA"): ["2001:db8::2"]})
    sim.network.fault = honest

    sim.advance(LEFT_ALONE)

    assert kinds(told) == [*ADDED, "changed h2"]


def test_a_lie_about_an_address_lasts_until_the_next_refresh_at_most() -> None:
    """Not for as long as an absence is cached, refresh after refresh."""
    lying = where(lambda query: query.key[0] == "h2.example.com.", lie)
    sim = SimResolver(THREE, fault=lying, ttl=10)
    sim.network.negative_ttl = 86400
    assert sim.lookup(WEB).endpoints[1].addresses == ()
    sim.network.fault = honest

    sim.advance(10)

    assert sim.lookup(WEB).endpoints[1].addresses == ("10.0.0.2",)


def test_aliases_of_targets_are_followed(caplog: pytest.LogCaptureFixture) -> None:
    """RFC 2782 forbids them, and they exist; that is told once."""
    records: Records = {
        **hosts_of(range(1, 2)),
        ("h1.example.com.", "CNAME"): ["real.example.com."],
        ("real.example.com.", "A"): ["10.0.0.9"],
    }
    del records["h1.example.com.", "A"]
    sim = SimResolver(records)

    with caplog.at_level(logging.WARNING, "dnssd"):
        (endpoint,) = sim.lookup(WEB).endpoints
        assert "real.example.com." in caplog.text
        caplog.clear()
        sim.advance(300)
        assert caplog.text == ""

    assert (endpoint.target, endpoint.addresses) == ("h1.example.com.", ("10.0.0.9",))
    records["real.example.com.", "A"] = ["10.0.0.10"]
    sim.network.change(records)
    sim.advance(60)
    assert sim.lookup(WEB).endpoints[0].addresses == ("10.0.0.10",)


def test_one_part_that_fails_makes_the_whole_old_but_not_outdated() -> None:
    """What is answered is learned; what is not stays; and the whole says that it is stale."""
    records = hosts_of(range(1, 4)) | hosts_of(range(4, 6), "v2")
    records[SERVICE, "PTR"] = [WEB, f"v2.{SERVICE}"]
    sim = SimResolver(records)
    told = sim.watch(SERVICE)
    sim.advance(1)
    told.clear()
    sim.network.fault = where(lambda query: query.key[0].startswith("v2."), servfail)
    sim.network.change({**records, (WEB, "SRV"): ["0 0 80 h1.example.com."]})

    sim.advance(600)

    snapshot = sim.lookup(SERVICE)
    assert (hosts(snapshot), snapshot.status) == (["h4", "h5", "h1"], "stale")
    assert sorted(kinds(told)) == ["changed h1", "removed h2", "removed h3", "stale"]
    sim.network.fault = honest
    sim.advance(1.1 * LAST_RETRY + 0.1)
    assert sim.lookup(SERVICE).status == "fresh"
    assert kinds(told)[4:] == ["recovered"]


def test_a_change_whose_new_records_cannot_be_had_empties_nothing() -> None:
    """The pointers lead elsewhere now, and nobody can say what is there."""
    sim = SimResolver(THREE)
    told = sim.watch(SERVICE)
    sim.advance(1)
    sim.network.change(hosts_of(range(7, 8), "v2"))
    sim.network.fault = where(lambda query: query.key[0].startswith("v2."), servfail)

    sim.advance(600)

    assert kinds(told) == [*ADDED, "stale"]
    assert hosts(sim.lookup(SERVICE)) == ["h1", "h2", "h3"]
    sim.network.fault = honest
    sim.advance(1.1 * LAST_RETRY + 0.1)
    assert hosts(sim.lookup(SERVICE)) == ["h7"]


def test_one_part_that_always_fails_does_not_cost_ever_more() -> None:
    """It is asked about with more and more patience, like a whole that fails."""
    sim = SimResolver(THREE)
    sim.watch(WEB)
    sim.advance(1)
    sim.network.fault = where(lambda query: query.key == ("h1.example.com.", "A"), servfail)
    sim.advance(600)
    asked = sim.network.asked[WEB, "SRV"]

    sim.advance(600)

    assert sim.network.asked[WEB, "SRV"] - asked <= 600 / (0.9 * LAST_RETRY) + 1


class Saved(SnapshotFiles):
    """Keeps one snapshot in memory."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        super().__init__(Path(), CachePolicy())
        self.snapshot = snapshot
        self.saves = 0

    def load(self, asked: ServiceName, now: float) -> Snapshot | None:
        """What is kept."""
        return self.snapshot

    def save(self, asked: ServiceName, snapshot: Snapshot | None, now: float) -> None:
        """Keep it."""
        self.snapshot = snapshot
        self.saves += 1


def test_what_was_saved_is_used_only_when_nobody_answers() -> None:
    """It is stale, and watchers are told so; name servers' word replaces it."""
    saved = Saved()
    SimResolver(THREE, saved=saved).lookup(WEB)
    assert saved.snapshot

    sim = SimResolver(hosts_of(range(5, 7)), saved=saved, fault=silent)
    told = sim.watch(WEB)
    snapshot = sim.lookup(WEB)
    assert (hosts(snapshot), snapshot.status) == (["h1", "h2", "h3"], "stale")
    assert kinds(told) == [*ADDED, "stale"]
    assert saved.snapshot.status == "fresh"

    sim.network.fault = honest
    sim.advance(4)
    assert hosts(sim.lookup(WEB)) == ["h5", "h6"]
    assert kinds(told)[4] == "recovered"
    assert hosts(saved.snapshot) == ["h5", "h6"]


def test_what_is_gone_is_not_kept() -> None:
    """A restart must not bring back what name servers have said does not exist."""
    saved = Saved()
    sim = SimResolver(THREE, saved=saved)
    sim.watch(WEB)
    sim.advance(1)
    sim.network.change({})
    sim.advance(60)

    assert saved.snapshot is None


def test_a_callback_may_stop_watching_while_it_is_told() -> None:
    """The others are told nevertheless."""
    sim = SimResolver(THREE)
    heard: list[Event | None] = []

    def once(event: Event | None) -> None:
        heard.append(event)
        sim.engine.unlisten(parse_service_name(WEB), once)

    sim.listen(WEB, once)
    told = sim.watch(WEB)
    sim.advance(100)

    assert kinds(told) == ADDED
    assert heard


def test_a_service_and_the_same_name_as_an_instance_are_two() -> None:
    """What is browsed is not what is looked up."""
    sim = SimResolver(THREE)

    sim.lookup(SERVICE)
    sim.lookup(WEB)

    assert len(list(sim.cache)) == 2


def write(path: Path, *servers: str) -> None:
    """Make a resolv.conf of them, as programs do that replace it."""
    new = path.with_suffix(".new")
    new.write_text("".join(f"nameserver {server}\n" for server in servers))
    os.replace(new, path)


def test_other_name_servers_are_asked_once_the_system_names_them(tmp_path: Path) -> None:
    """Within seconds; what is under way is still answered, and then all is closed."""
    path = tmp_path / "resolv.conf"
    write(path, "10.0.0.53")
    loop = SimLoop()
    network = SimNetwork(loop, THREE)
    servers = SystemServers(loop, network, ResolvConf(path))
    answers: list[Answer | Unavailable] = []

    def ask() -> NameServer:
        servers.ask(Name.parse(WEB), "SRV", loop.now + 2, answers.append)
        return network.queries[-1].server

    assert ask() == SERVER
    write(path, "10.0.0.54")
    loop.now += CHECK
    assert ask() == NameServer("10.0.0.54")
    loop.run(lambda: len(answers) == 2)
    assert all(isinstance(answer, Answer) for answer in answers)
    assert network.open_channels == 2
    loop.run(FAREWELL)
    assert network.open_channels == 0
    path.write_text("# being written just now\n")
    loop.now += CHECK
    assert ask() == NameServer("10.0.0.54")
    servers.close()
    assert network.open_channels == 0


def test_closing_after_the_name_servers_have_changed_leaves_nothing_open(tmp_path: Path) -> None:
    """Neither those of now nor those of before, and none is opened for it."""
    path = tmp_path / "resolv.conf"
    write(path, "10.0.0.53")
    loop = SimLoop()
    network = SimNetwork(loop, THREE)
    servers = SystemServers(loop, network, ResolvConf(path))
    servers.ask(Name.parse(WEB), "SRV", loop.now + 2, lambda _: None)
    write(path, "10.0.0.54")
    loop.now += CHECK
    servers.ask(Name.parse(WEB), "SRV", loop.now + 2, lambda _: None)
    write(path, "10.0.0.55")
    loop.now += CHECK

    servers.close()

    assert network.open_channels == 0
    loop.run(2 * FAREWELL)
    assert network.open_channels == 0
