"""For how long what is known counts, when it is asked about again, and what is forgotten."""

import gc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.errors import NotFound, Unavailable
from dnssd.records import Txt
from dnssd.resolver.cache import (
    FAILED,
    IDLE,
    MAX_NEGATIVE,
    MAX_SPELLINGS,
    Cache,
    CacheEntry,
    CachePolicy,
)
from dnssd.resolver.gather import UNSIGNED_HELD
from dnssd.resolver.known import (
    AHEAD,
    FIRST_RETRY,
    JITTER,
    LAST_RETRY,
    MAX_TTL,
    MIN_TTL,
    NOTHING,
    CachedRRset,
    unanswered,
)
from dnssd.resolver.snapshot import Endpoint, Instance, Snapshot
from dnssd.services import parse_service_name
from dnssd.wire.dark import LAST_LOOK
from dnssd.wire.resolution import BURST
from kit.simnet import SERVICE, WEB, Records, honest, silent, unsigned
from kit.simresolver import SimResolver, hosts_of

ASKED = parse_service_name(WEB)
NOW = 1000.0
LIMITS = CachePolicy(max_stale=3600.0)
LOST = Unavailable("no answer")


def snapshot(expires_at: float) -> Snapshot:
    """What is known until then."""
    endpoint = Endpoint("a.example.com.", 80, 0, 0, ("10.0.0.1",), "web")
    return Snapshot(WEB, (Instance(WEB, "web", Txt(), (endpoint,)),), (endpoint,), expires_at)


def learned(ttl: float) -> CacheEntry:
    """An entry that has just been learned, and is kept fresh."""
    entry = CacheEntry(ASKED, NOW)
    entry.learn(snapshot(NOW + ttl), NOTHING, NOW)
    entry.warm = True
    return entry


@pytest.mark.parametrize(
    ("ttl", "held"), [(60, 60), (0, MIN_TTL), (-5, MIN_TTL), (2**31 - 1, MAX_TTL)]
)
def test_a_ttl_is_held_within_bounds(ttl: float, held: float) -> None:
    """Zero would mean a question for each pick, a year that a change is never seen."""
    entry = learned(ttl)

    assert entry.latest().expires_at == NOW + held
    assert entry.current(NOW + held - 0.1, LIMITS) == entry.latest()


@given(st.floats(MIN_TTL, MAX_TTL), st.floats(0, 1, exclude_max=True))
def test_an_answer_is_refreshed_at_about_three_quarters_of_its_ttl(
    ttl: float, drawn: float
) -> None:
    """Ten percent more or less, so that clients do not ask all at once."""
    wait = learned(ttl).next_look(NOW, lambda: drawn) - NOW

    assert AHEAD * (1 - JITTER) * ttl - 0.001 <= wait <= AHEAD * (1 + JITTER) * ttl + 0.001
    assert (AHEAD, JITTER) == (0.75, 0.1)


def test_an_old_answer_goes_on_being_said() -> None:
    """Only as long as it is kept fresh; else somebody must be asked."""
    entry = learned(60)

    assert entry.current(NOW + 61, LIMITS) == replace(entry.latest(), status="stale")
    entry.warm = False
    assert entry.current(NOW + 59, LIMITS) == entry.latest()
    assert entry.current(NOW + 61, LIMITS) is None


def test_a_failed_refresh_makes_nothing_stale_before_its_time() -> None:
    """The TTL has been promised."""
    entry = learned(60)

    entry.learn_failure(LOST, NOW + 45, LIMITS)
    assert entry.latest().status == "fresh"
    entry.expire(NOW + 60)
    assert entry.latest().status == "stale"
    assert entry.latest().expires_at == NOW + 60
    assert entry.current(NOW + 61, LIMITS) is entry.latest()


def test_a_failure_is_tried_again_more_and_more_seldom() -> None:
    """From a second to half a minute (RFC 8767 section 5), and when it becomes stale."""
    entry = learned(1000)
    waits = []
    for _ in range(8):
        entry.learn_failure(LOST, NOW + 800, LIMITS)
        waits.append(entry.next_look(NOW + 800, lambda: 0.5) - NOW - 800)

    assert waits == [FIRST_RETRY, 2, 4, 8, 16, LAST_RETRY, LAST_RETRY, LAST_RETRY]
    assert entry.next_look(NOW + 999, lambda: 0.5) == NOW + 1000
    assert entry.next_look(NOW + 1001, lambda: 0.0) == NOW + 1001 + LAST_RETRY * (1 - JITTER)
    assert entry.next_look(NOW + 1001, lambda: 1.0) <= NOW + 1001 + LAST_RETRY * (1 + JITTER)


def test_an_answer_that_is_too_old_is_forgotten() -> None:
    """After `max_stale` a failure is a failure."""
    entry = learned(60)

    entry.learn_failure(LOST, NOW + 60 + 3599, LIMITS)
    assert entry.latest().status == "stale"
    entry.learn_failure(LOST, NOW + 60 + 3600, LIMITS)
    with pytest.raises(Unavailable, match="no answer"):
        entry.latest()


def test_an_answer_in_part_is_as_old_as_its_oldest_part() -> None:
    """What had to stand in may have expired; the whole is asked about again soon."""
    entry = learned(60)

    known = CachedRRset((Txt(),), NOW + 60, 60.0)
    failed = unanswered(known, NOW + 50)
    entry.learn(snapshot(NOW + 60), {(b"", "TXT"): failed}, NOW + 50, in_part=True)
    assert entry.latest().status == "fresh"
    assert entry.next_look(NOW + 50, lambda: 0.5) == NOW + 50 + FIRST_RETRY
    failed = unanswered(failed, NOW + 62)
    entry.learn(snapshot(NOW + 60), {(b"", "TXT"): failed}, NOW + 62, in_part=True)
    assert (entry.latest().status, entry.latest().expires_at) == ("stale", NOW + 60)
    assert entry.next_look(NOW + 62, lambda: 0.5) == NOW + 62 + 2 * FIRST_RETRY
    entry.learn(snapshot(NOW + 130), NOTHING, NOW + 70)
    assert entry.latest().status == "fresh"
    assert entry.next_look(NOW + 70, lambda: 0.5) == NOW + 70 + 45


def test_what_is_said_last_counts() -> None:
    """An absence is no longer said once nobody could confirm it, nor a failure after that."""
    entry = CacheEntry(ASKED, NOW)

    entry.learn_missing(NotFound("no such service"), {}, NOW)
    with pytest.raises(NotFound):
        entry.latest()
    entry.learn_failure(LOST, NOW + 61, LIMITS)
    with pytest.raises(Unavailable):
        entry.latest()
    entry.learn_missing(NotFound("no such service"), {}, NOW + 62)
    with pytest.raises(NotFound):
        entry.latest()


def test_each_caller_gets_an_error_of_its_own() -> None:
    """Tracebacks and contexts of one thread must not grow into those of another."""
    entry = CacheEntry(ASKED, NOW)
    entry.learn_failure(LOST, NOW, LIMITS)

    with pytest.raises(Unavailable) as first:
        entry.current(NOW, LIMITS)
    with pytest.raises(Unavailable) as second:
        entry.current(NOW, LIMITS)
    assert first.value is not second.value
    assert LOST.__traceback__ is None


def test_an_entry_is_idle_when_nobody_has_asked_for_long() -> None:
    """For ten minutes, or for three TTLs if those are longer."""
    short, long = learned(60), learned(1000)
    for entry in (short, long):
        assert not entry.is_idle(NOW)
        assert not entry.is_idle(NOW + IDLE)
    assert short.is_idle(NOW + IDLE + 1)
    assert not long.is_idle(NOW + IDLE + 1)
    assert long.is_idle(NOW + 3001)
    short.used = True
    assert not short.is_idle(NOW + 5000)


def test_spellings_of_a_name_share_an_entry() -> None:
    """Case, the last dot, escapes; of very many, the first is told apart no more."""
    cache = Cache(CachePolicy())
    texts = [WEB, WEB[:-1], WEB.upper(), r"\119eb._http._tcp.example.com"]

    entries = {cache.entry(text, parse_service_name(text), NOW) for text in texts}

    (entry,) = entries
    assert all(cache.by_text[text] is entry for text in texts)
    assert len(list(cache)) == 1
    for number in range(MAX_SPELLINGS):
        cache.entry(f"{number}", ASKED, NOW)
    assert len(cache.by_text) == MAX_SPELLINGS
    assert WEB not in cache.by_text
    cache.remove(entry)
    assert not cache.by_text
    assert not list(cache)


def names(count: int) -> Records:
    """So many instances."""
    merged: Records = {}
    for number in range(count):
        merged |= hosts_of(range(1, 2), f"v{number}")
    return merged


def test_the_cache_is_bounded() -> None:
    """Names that are used stay, those that are not go; nothing runs for them any more."""
    sim = SimResolver(names(64), limits=CachePolicy(max_names=32))
    for number in range(32):
        sim.lookup(f"v{number}.{SERVICE}")
    sim.advance(50)  # all are refreshed once: nobody has used them since
    for number in range(16):
        assert sim.known(f"v{number}.{SERVICE}")

    sim.lookup(f"v40.{SERVICE}")

    assert len(list(sim.cache)) == 31  # a few at a time
    assert sim.entry(f"v40.{SERVICE}")
    assert all(sim.entry(f"v{number}.{SERVICE}") for number in range(16))
    for number in range(32, 64):
        sim.lookup(f"v{number}.{SERVICE}")
    assert len(list(sim.cache)) <= 32
    assert len(sim.cache.by_text) == len(list(sim.cache))
    assert sim.loop.pending() <= 2 * 32


def test_what_is_watched_is_never_evicted() -> None:
    """However many other names are looked up."""
    sim = SimResolver(names(8), limits=CachePolicy(max_names=4))
    told = sim.watch(f"v0.{SERVICE}")

    for number in range(1, 8):
        sim.lookup(f"v{number}.{SERVICE}")

    entry = sim.entry(f"v0.{SERVICE}")
    assert entry
    assert entry.snapshot
    assert len(told) == 1
    assert len(list(sim.cache)) <= 5


def test_names_that_do_not_exist_go_first() -> None:
    """Somebody who makes up names must not displace those that are in use."""
    sim = SimResolver(hosts_of(range(1, 3)), limits=CachePolicy(max_names=4))
    sim.lookup(WEB)

    for number in range(20):
        with pytest.raises(NotFound):
            sim.lookup(f"made-up-{number}.{SERVICE}")

    assert sim.entry(WEB)
    assert len(list(sim.cache)) <= 4


def test_a_name_in_use_is_refreshed_before_it_expires() -> None:
    """One look-up a refresh, at 67.5 % to 82.5 % of the TTL; never stale, never waited for."""
    sim = SimResolver(hosts_of(range(1, 4)), ttl=100)
    sim.lookup(WEB)
    looks = []
    for _ in range(20):
        assert sim.known(WEB)
        looks.append(sim.until_asked())
        sim.until_learned(WEB)
        assert sim.lookup(WEB).status == "fresh"

    assert min(looks) >= 67
    assert max(looks) <= 83
    assert len({round(look, 1) for look in looks}) > 10
    assert set(sim.network.asked.values()) == {21}


def test_a_name_that_nobody_uses_is_left_alone() -> None:
    """After a while no packet is sent for it; once it is asked for again, it is looked up."""
    sim = SimResolver(hosts_of(range(1, 4)))
    sim.lookup(WEB)
    sim.advance(2 * IDLE)
    before = sim.questions

    sim.advance(10 * IDLE)
    assert sim.questions == before
    assert sim.loop.pending() == 0
    assert sim.known(WEB) is None
    assert sim.lookup(WEB).status == "fresh"
    assert sim.questions > before
    sim.advance(50)
    assert sim.lookup(WEB).expires_at > sim.now + 40  # it is kept fresh again


def test_a_name_in_use_is_never_left_alone() -> None:
    """Once every ten minutes is use enough."""
    sim = SimResolver(hosts_of(range(1, 4)))
    sim.lookup(WEB)
    for _ in range(20):
        sim.advance(IDLE - 1)
        snapshot = sim.known(WEB)
        assert snapshot
        assert snapshot.status == "fresh"


def test_one_flight_for_a_name() -> None:
    """However many ask at the same moment, under whatever spelling."""
    sim = SimResolver(hosts_of(range(1, 4)))

    came = [sim.want(text) for text in (WEB, WEB, WEB[:-1], WEB.upper())]
    sim.until(lambda: all(came))

    assert len({one[0] for one in came}) == 1
    assert set(sim.network.asked.values()) == {1}


def test_a_new_spelling_of_a_known_name_does_not_wait() -> None:
    """Not even while a refresh of it goes nowhere."""
    sim = SimResolver(hosts_of(range(1, 4)))
    sim.lookup(WEB)
    sim.network.fault = silent
    sim.until_asked()

    assert sim.want(WEB.upper()) == [sim.entry(WEB)]


def test_the_last_good_answer_is_used_until_it_is_too_old() -> None:
    """While no name server answers; then the failure is said."""
    sim = SimResolver(hosts_of(range(1, 4)), limits=CachePolicy(max_stale=300))
    sim.lookup(WEB)
    sim.network.fault = silent
    while sim.now < 1000 + 60 + 299:
        assert sim.known(WEB)  # at no moment does anybody wait
        sim.advance(1)
    assert sim.lookup(WEB).status == "stale"
    sim.advance(2 * LAST_RETRY)

    with pytest.raises(Unavailable):
        sim.lookup(WEB)
    sim.network.fault = honest
    sim.advance(LAST_LOOK)
    assert sim.lookup(WEB).status == "fresh"


@pytest.mark.parametrize(("ttl", "held"), [(5, 5), (3600, MAX_NEGATIVE)])
def test_an_absence_is_remembered_for_as_long_as_the_soa_record_says(ttl: int, held: int) -> None:
    """The smaller of its TTL and its minimum (RFC 2308), a minute at most."""
    sim = SimResolver({}, ttl=ttl)
    sim.network.negative_ttl = ttl

    with pytest.raises(NotFound, match="no such instance"):
        sim.lookup(WEB)
    asked = sim.questions
    sim.advance(held - 0.5)
    with pytest.raises(NotFound):
        sim.lookup(WEB)
    assert sim.questions == asked
    sim.advance(1)
    with pytest.raises(NotFound):
        sim.lookup(WEB)
    assert sim.questions == 2 * asked


def test_an_absence_is_not_asked_about_unless_somebody_wants_to_know() -> None:
    """It is forgotten without a packet."""
    sim = SimResolver({})
    with pytest.raises(NotFound):
        sim.lookup(WEB)
    asked = sim.questions

    sim.advance(1000)

    assert sim.questions == asked


def test_an_absence_without_soa_record_is_remembered_for_seconds() -> None:
    """RFC 2308 section 5: it is not to be cached; but some servers never send one.

    Once that is known, three packets are believed.
    """
    sim = SimResolver({}, fault=unsigned)

    with pytest.raises(NotFound):
        sim.lookup(WEB)
    asked = sim.questions
    with pytest.raises(NotFound):
        sim.lookup(WEB)
    assert sim.questions == asked
    sim.advance(UNSIGNED_HELD)
    with pytest.raises(NotFound):
        sim.lookup(WEB)
    assert asked < sim.questions < asked + 4 * (3 + BURST)


def test_a_failure_is_remembered_for_a_second() -> None:
    """RFC 9520: a client in a loop does not hammer on servers that do not answer."""
    sim = SimResolver({}, fault=silent)
    with pytest.raises(Unavailable):
        sim.lookup(WEB)
    asked, now = sim.questions, sim.now

    sim.advance(FAILED - 0.1)
    with pytest.raises(Unavailable):
        sim.lookup(WEB)
    assert (sim.questions, sim.now) == (asked, now + FAILED - 0.1)
    sim.advance(0.2)
    with pytest.raises(Unavailable):
        sim.lookup(WEB)
    assert sim.questions > asked
    sim.advance(IDLE)
    assert sim.loop.pending() == 0


def test_clearing_forgets_all() -> None:
    """The next look-up asks, and no refresh of what was forgotten comes."""
    sim = SimResolver(hosts_of(range(1, 4)))
    sim.lookup(WEB)
    sim.engine.clear()

    assert not list(sim.cache)
    assert sim.known(WEB) is None
    sim.advance(1000)
    assert set(sim.network.asked.values()) == {1}
    sim.lookup(WEB)
    assert set(sim.network.asked.values()) == {2}


def test_clearing_during_a_look_up_keeps_nobody_waiting() -> None:
    """Who has asked before gets an answer; it is not remembered."""
    sim = SimResolver(hosts_of(range(1, 4)))
    came = sim.want(WEB)
    sim.engine.clear()
    again = sim.want(WEB)

    sim.until(lambda: bool(came and again))

    assert came[0].latest() == again[0].latest()
    assert sim.entry(WEB) is again[0]
    sim.advance(50)
    assert sim.network.asked[WEB, "SRV"] == 3  # what was forgotten is not refreshed


def test_a_cache_that_changes_can_be_gone_through() -> None:
    """Any thread may, and in it the garbage collector may run anything, at any allocation."""
    cache = Cache(CachePolicy())
    asked = [parse_service_name(f"w{number}.{SERVICE}") for number in range(1000)]
    for one in asked[:100]:
        cache.entry(str(one.name), one, 0.0)
    waiting = iter(asked[100:])

    def changed(phase: str, info: dict[str, int]) -> None:
        """What the resolver's thread does when a finalizer lets it in."""
        one = next(waiting)
        cache.entry(str(one.name), one, 0.0)

    threshold = gc.get_threshold()
    gc.callbacks.append(changed)
    gc.set_threshold(1)
    try:
        found = [iter(cache) for _ in range(10)]
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(changed)
    assert len(found) == 10
