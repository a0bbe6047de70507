import random
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from itertools import accumulate, permutations
from math import inf, log, prod
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.resolver.balance import Choice, choose, shares
from dnssd.resolver.ejection import Key
from dnssd.resolver.snapshot import Endpoint

_Key = TypeVar("_Key", bound=Hashable)
Random = Callable[[], float]

DRAWS = 20_000
# The value that chi-square passes by chance once in a thousand, by degrees of freedom.
CRITICAL = {1: 10.83, 2: 13.82, 5: 20.52, 23: 49.73, 100: 149.4}
LAST = 1 - 2**-53  # the largest number that random() gives
ADDRESS = ("192.0.2.1",)


def server(
    name: str, priority: int = 0, weight: int = 100, addresses: tuple[str, ...] = ADDRESS
) -> Endpoint:
    """An endpoint."""
    return Endpoint(name, 80, priority, weight, addresses)


def group(*weights: int) -> list[Endpoint]:
    """Endpoints of one priority."""
    return [server(f"{at}", weight=weight) for at, weight in enumerate(weights)]


def key(endpoint: Endpoint) -> Key:
    """What its health is known by."""
    return endpoint.target, endpoint.port


def names(endpoints: Sequence[Endpoint]) -> str:
    """Their names in one word."""
    return "".join(endpoint.target for endpoint in endpoints)


def chi_square(seen: Counter[_Key], expected: Mapping[_Key, float]) -> float:
    """How far the counts are from `expected` shares, which add up to 1."""
    assert set(seen) <= set(expected)
    assert sum(expected.values()) == pytest.approx(1)
    draws = seen.total()
    return sum(
        (seen[key] - draws * share) ** 2 / (draws * share) for key, share in expected.items()
    )


# Weights, and the share of each that the rule demands, worked out by hand.
RULE = [
    ((1, 1), (0.5, 0.5)),
    ((0, 1), (0.01, 0.99)),
    ((1, 0), (0.99, 0.01)),
    ((1, 2, 7), (0.1, 0.2, 0.7)),
    ((0, 0, 0), (1 / 3, 1 / 3, 1 / 3)),
    ((0,) * 100 + (1,), (0.0001,) * 100 + (0.99,)),
    ((0, 199), (1 / 200, 199 / 200)),
    ((0, 0, 199), (1 / 400, 1 / 400, 199 / 200)),
    ((65535, 1), (65535 / 65536, 1 / 65536)),
]


def pick(endpoints: Sequence[Endpoint], random: Random) -> Endpoint:
    """The rule with nothing prepared: one endpoint of the best priority, by weight."""
    lowest = min(endpoint.priority for endpoint in endpoints)
    best = [endpoint for endpoint in endpoints if endpoint.priority == lowest]
    sums = list(accumulate(shares(best)))
    return best[bisect_right(sums, random() * sums[-1])]


def order(endpoints: Sequence[Endpoint], random: Random) -> tuple[Endpoint, ...]:
    """The same for a whole order: each priority sorted by `-ln(U) / weight`."""
    tried: list[Endpoint] = []
    for priority in sorted({endpoint.priority for endpoint in endpoints}):
        group = [endpoint for endpoint in endpoints if endpoint.priority == priority]
        keys = [-log(1 - random()) / share for share in shares(group)]
        tried += [group[at] for at in sorted(range(len(group)), key=keys.__getitem__)]
    return tuple(tried)


# Ways to draw: each makes, of endpoints, what draws one.
WAYS: dict[str, Callable[[Sequence[Endpoint]], Callable[[Random], Endpoint]]] = {
    "pick": lambda servers: partial(pick, servers),
    "order": lambda servers: lambda random: order(servers, random)[0],
    "Choice.pick": lambda servers: choose(servers).pick,
    "Choice.order": lambda servers: partial(first_tried, choose(servers)),
    "Choice.pick_least_pending": lambda servers: partial(
        choose(servers).pick_least_pending, pending={}
    ),
}


def first_tried(choice: Choice, random: Random) -> Endpoint:
    """The first of an order."""
    return choice.order(random)[0]


@pytest.mark.parametrize(("weights", "expected"), RULE)
def test_shares_follow_the_rule(weights: tuple[int, ...], expected: tuple[float, ...]) -> None:
    """Zero weights have 1/(S+1) together, one percent at most; alone they are equal."""
    found = shares(group(*weights))

    assert [share / sum(found) for share in found] == pytest.approx(expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "weights", [(1, 1), (0, 1), (1, 2, 7), (0, 0, 0), (0,) * 100 + (1,), (65535, 1)]
)
def test_draws_come_in_proportion(weights: tuple[int, ...], way: str) -> None:
    """Every way to draw follows the rule, and so does the first of every order."""
    servers = group(*weights)
    draw, rng = WAYS[way](servers), random.Random(20260101)

    seen = Counter(draw(rng.random) for _ in range(DRAWS))

    expected = dict(zip(servers, dict(RULE)[weights], strict=True))
    assert chi_square(seen, expected) < CRITICAL[len(servers) - 1]


@pytest.mark.parametrize("weights", [(65535, 1), (0,) * 100 + (1,), (0, 199)])
def test_rare_draws_come_in_proportion(weights: tuple[int, ...]) -> None:
    """Draws enough for the rarest to be counted."""
    servers = group(*weights)
    choice, rng = choose(servers), random.Random(3)

    seen = Counter(choice.pick(rng.random).target for _ in range(30 * DRAWS))

    expected = dict(zip(map(names, zip(servers)), dict(RULE)[weights], strict=True))
    assert chi_square(seen, expected) < CRITICAL[len(servers) - 1]
    assert len(seen) == len(servers)


@pytest.mark.parametrize("weights", [(1, 2, 7), (0, 1, 3), (1, 2, 3, 10), (0, 1, 2, 3)])
def test_a_whole_order_is_like_one_draw_after_another(weights: tuple[int, ...]) -> None:
    """Every permutation comes as often as sequential draws make it."""
    servers = group(*weights)
    choice, rng = choose(servers), random.Random(7)

    seen = Counter(choice.order(rng.random) for _ in range(2 * DRAWS))

    share = dict(zip(servers, shares(servers), strict=True))
    expected = {
        tried: prod(
            share[tried[at]] / sum(share[e] for e in tried[at:]) for at in range(len(tried))
        )
        for tried in permutations(servers)
    }
    assert chi_square(seen, expected) < CRITICAL[len(expected) - 1]


@pytest.mark.parametrize("pending", [(0, 1, 2), (2, 1, 0), (1, 0, 1), (3, 3, 3), (0, 5, 5)])
@pytest.mark.parametrize("weights", [(1, 2, 7), (0, 1, 3), (5, 5, 5), (7, 2, 1)])
def test_of_two_draws_the_one_with_fewer_calls_is_taken(
    weights: tuple[int, ...], pending: tuple[int, ...]
) -> None:
    """Each pair comes as often as two sequential draws make it; a tie goes to the first."""
    servers = group(*weights)
    calls = {key(server): count for server, count in zip(servers, pending, strict=True) if count}
    choice, rng = choose(servers), random.Random(11)

    seen = Counter(choice.pick_least_pending(rng.random, calls) for _ in range(DRAWS))

    share = {
        e: each / sum(shares(servers)) for e, each in zip(servers, shares(servers), strict=True)
    }
    expected: dict[Endpoint, float] = defaultdict(float)
    for one, other in permutations(servers, 2):
        fewer = min(one, other, key=lambda server: calls.get(key(server), 0))
        expected[fewer] += share[one] * share[other] / (1 - share[one])
    assert chi_square(seen, expected) < CRITICAL[len(expected) - 1]


EDGES = [(5,), (0,), (1, 1, 1), (0, 1), (0, 65535), (65535, 0), (0, 0), (0, 0, 3), (3, 0, 0)]


@pytest.mark.parametrize("number", [0.0, 0.5, LAST])
@pytest.mark.parametrize("weights", [*EDGES, (65535,) * 4000, (0, *(65535,) * 3999)])
def test_the_ends_of_the_random_range_are_safe(weights: tuple[int, ...], number: float) -> None:
    """Zero and the largest number below one draw some endpoint, never past the last."""
    servers = group(*weights)
    choice = choose(servers)
    always = partial(float, number)

    first = choice.pick(always)

    assert first == pick(servers, always)
    assert first == choice.endpoints[{0.0: 0, LAST: -1}.get(number, choice.endpoints.index(first))]
    second = choice.pick_least_pending(always, {key(first): 1})
    assert (second != first) == (len(servers) > 1)
    for tried in (order(servers, always), choice.order(always)):
        assert Counter(tried) == Counter(servers)


@pytest.mark.parametrize(("number", "at"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 2)])
def test_a_number_on_the_border_belongs_to_the_next(number: float, at: int) -> None:
    """Each endpoint has a half-open interval, so that zero is not one number too many."""
    servers = group(1, 1, 2)

    assert pick(servers, lambda: number) == servers[at]
    assert choose(servers).pick(lambda: number) == servers[at]


WEIGHTS = st.lists(st.integers(0, 65535), min_size=1, max_size=50)
NUMBERS = st.floats(0, LAST) | st.sampled_from([0.0, LAST])


@given(WEIGHTS)
def test_the_largest_number_draws_the_last(weights: list[int]) -> None:
    """The product never rounds up to the sum itself, whatever the weights."""
    servers = group(*weights)

    assert pick(servers, lambda: LAST) == servers[-1]
    assert choose(servers).pick(lambda: LAST) == servers[-1]


@given(WEIGHTS.filter(lambda weights: len(weights) > 1), NUMBERS, NUMBERS)
def test_two_draws_are_never_the_same(weights: list[int], one: float, two: float) -> None:
    """Rounding does not lead the second draw back to the first, nor past the last."""
    choice = choose(group(*weights))
    first = choice.pick(lambda: one)

    other = choice.pick_least_pending(iter([one, two]).__next__, {key(first): 1})

    assert other != first


# Who is there, as NAME PRIORITY[x if it has no address]; until when who is ejected, at time 10;
# who may be drawn, and until when; the rest in the order of their groups.
CASES = [
    ("a0 b0 c1", {}, "ab", inf, "c"),
    ("a0 b0 c1", {"a": 15}, "b", 15, "ca"),
    ("a0 b0 c1", {"a": 15, "b": 12}, "c", 12, "ab"),
    ("a0 b0 c1", {"a": 15, "b": 10}, "b", 15, "ca"),
    ("a0 b0 c1", {"a": 15, "b": 12, "c": 11}, "ab", 11, "c"),
    ("a0 b1 c2", {"a": 15, "b": 20}, "c", 15, "ab"),
    ("a0 b1 c2", {"c": 20}, "a", 20, "bc"),
    ("a0", {"a": 15}, "a", 15, ""),
    ("a0 b0 c0 d0 e0", {"a": 15, "b": 14, "c": 13, "d": 12}, "cde", 12, "ab"),
    ("a0 b0 c0 d0", {"a": 15, "b": 15, "c": 15}, "ad", 15, "bc"),
    ("a0 b0 c0", {"a": 15}, "bc", 15, "a"),
    ("a0 b0 c0 d1", {"a": 15, "b": 15}, "c", 15, "dab"),  # a standby is healthy
    ("a0 b0 c0 d1", {"a": 15, "b": 14, "d": 12}, "bc", 12, "ad"),  # it is not
    ("a0x b0 c1", {}, "b", inf, "ca"),
    ("a0x b0 c1", {"b": 15}, "c", 15, "ba"),
    ("a0x b0 c1", {"b": 15, "c": 13}, "b", 13, "ca"),
    ("a0x b1x", {}, "a", inf, "b"),
    ("a0x b1x", {"a": 15}, "b", 15, "a"),
    ("a0x b1", {"a": 15, "z": 11}, "b", inf, "a"),
]


@pytest.mark.parametrize(("there", "ejected", "drawn", "until", "rest"), CASES)
def test_who_may_be_drawn(
    there: str, ejected: dict[str, float], drawn: str, until: float, rest: str
) -> None:
    """Failover, the way back, the half that stays, panic, and targets without an address."""
    servers = [server(n[0], int(n[1]), addresses=() if n[2:] else ADDRESS) for n in there.split()]

    choice = choose(servers, {(name, 80): end for name, end in ejected.items()}, now=10.0)

    assert names(choice.endpoints) == drawn
    assert choice.until == until
    assert "".join(names(group) for group, _ in choice.groups[1:]) == rest


@pytest.mark.parametrize(
    ("ejected", "drawn", "rest"),
    [
        ("", "ab", "dce"),
        ("a", "b", "dcea"),
        ("ab", "d", "ceab"),
        ("abd", "ce", "abd"),
        ("abdce", "ab", "dce"),
    ],
)
def test_preferred_instances_come_first_while_one_of_their_best_is_healthy(
    ejected: str, drawn: str, rest: str
) -> None:
    """The others stand by, by priority; a preferred one of worse priority stands among them."""
    where = {"a": (1, "near"), "b": (1, "Near"), "c": (2, "near"), "d": (0, "far"), "e": (2, None)}
    servers = [
        Endpoint(name, 80, priority, 100, ADDRESS, instance)
        for name, (priority, instance) in where.items()
    ]

    choice = choose(servers, dict.fromkeys([(n, 80) for n in ejected], 15.0), 10.0, {"near"})

    assert names(choice.endpoints) == drawn
    assert "".join(names(group) for group, _ in choice.groups[1:]) == rest
    assert choose(servers, prefer={"nowhere"}) == choose(servers)


def test_another_port_is_another_endpoint() -> None:
    """An ejection is of one port of a host."""
    servers = [Endpoint("a", port, 0, 1, ADDRESS) for port in (80, 81)]

    choice = choose(servers, {("a", 81): 5.0})

    assert choice.endpoints == (servers[0],)


ENDPOINTS = st.lists(
    st.builds(
        Endpoint,
        st.sampled_from("abcdefgh"),
        st.just(80),
        st.integers(0, 2),
        st.sampled_from([0, 1, 5, 65535]),
        st.sampled_from([ADDRESS, ADDRESS, ADDRESS, ()]),
    ),
    min_size=1,
    max_size=12,
).map(
    lambda made: [
        Endpoint(e.target, e.port, e.priority, e.weight, e.addresses, instance=str(at))
        for at, e in enumerate(made)
    ]
)
EJECTED = st.dictionaries(
    st.tuples(st.sampled_from("abcdefgh"), st.just(80)), st.integers(1, 6).map(float)
)
NOW = st.integers(0, 6).map(float)


@given(ENDPOINTS, EJECTED, NOW)
def test_the_rules_of_choice_hold_for_any_endpoints(
    servers: list[Endpoint], ejected: dict[Key, float], now: float
) -> None:
    """Who is drawn is of one priority, and no more is held back than may be."""
    choice = choose(servers, ejected, now)

    reachable = [e for e in servers if e.addresses] or servers
    healthy = [e for e in reachable if ejected.get(key(e), 0) <= now]
    used = min(e.priority for e in healthy or reachable)
    whole = [e for e in reachable if e.priority == used]
    held = [e for e in whole if e not in choice.endpoints]
    let_in = [e for e in choice.endpoints if e not in healthy]
    out = len(held) + len(let_in)
    assert {e.priority for e in choice.endpoints} == {used}
    assert set(choice.endpoints) <= set(reachable)
    assert not set(held) & set(healthy)
    most = len(whole) if {e.priority for e in healthy} - {used} else len(whole) // 2
    assert len(held) == (min(out, most) if healthy else 0)
    assert all(ejected[key(e)] <= ejected[key(h)] for e in let_in for h in held)


@given(ENDPOINTS, EJECTED, NOW, st.randoms(use_true_random=False))
def test_an_order_holds_each_endpoint_once_and_the_best_first(
    servers: list[Endpoint], ejected: dict[Key, float], now: float, rng: random.Random
) -> None:
    """Those in use, other healthy ones, those held back, those without an address."""
    choice = choose(servers, ejected, now)

    tried = choice.order(rng.random)

    reachable = [e for e in servers if e.addresses] or servers
    ranks = [
        (
            e not in reachable,
            e not in choice.endpoints and e in reachable and ejected.get(key(e), 0) > now,
            e.priority,
        )
        for e in tried
    ]
    assert Counter(tried) == Counter(servers)
    assert ranks == sorted(ranks)
    assert choice.groups[0][0] == choice.endpoints
    assert set(tried[: len(choice.endpoints)]) == set(choice.endpoints)


@given(ENDPOINTS, EJECTED, NOW)
def test_a_choice_holds_until_it_says(
    servers: list[Endpoint], ejected: dict[Key, float], now: float
) -> None:
    """Nothing changes before `until`, and then an ejection ends."""
    choice = choose(servers, ejected, now)

    assert choice.until > now
    assert choice.until == inf or choice.until in ejected.values()
    for later in (now + step / 2 for step in range(16)):
        anew = choose(servers, ejected, later)
        if later < choice.until:
            assert anew == choice
        else:
            assert anew.until > choice.until or anew.until == inf


@given(ENDPOINTS, EJECTED, NOW, NUMBERS)
def test_a_choice_without_ejections_is_a_plain_one(
    servers: list[Endpoint], ejected: dict[Key, float], now: float, number: float
) -> None:
    """Ended ejections and strangers do not count; `pick` and `Choice.pick` agree."""
    reachable = [e for e in servers if e.addresses] or servers
    strangers = {("z", 80): 99.0} | dict.fromkeys(ejected, now)

    assert choose(servers, strangers, now) == choose(servers)
    assert choose(servers).pick(lambda: number) == pick(reachable, lambda: number)


@given(ENDPOINTS, st.randoms(use_true_random=False))
def test_a_plain_order_holds_each_endpoint_once_and_rising_priorities(
    servers: list[Endpoint], rng: random.Random
) -> None:
    """Nothing is lost or doubled, and no worse priority stands before a better one."""
    tried = order(servers, rng.random)

    assert Counter(tried) == Counter(servers)
    assert [e.priority for e in tried] == sorted(e.priority for e in servers)


def test_nothing_to_pick_from() -> None:
    """An empty order is empty; an empty pick or choice is the caller's mistake."""
    assert order([], random.random) == ()
    with pytest.raises(ValueError, match="empty"):
        pick([], random.random)
    with pytest.raises(ValueError, match="empty"):
        choose([])
