import random
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.resolver.balance import order, pick, shares

_Key = TypeVar("_Key", bound=Hashable)

DRAWS = 20_000
# The value that chi-square passes by chance once in a thousand, by degrees of freedom.
CRITICAL = {1: 10.83, 2: 13.82, 5: 20.52, 100: 149.4}


@dataclass(frozen=True)
class Server:
    """What has a priority and a weight."""

    priority: int
    weight: int
    name: str = ""


def group(*weights: int) -> list[Server]:
    """Servers of one priority."""
    return [Server(0, weight, f"{at}") for at, weight in enumerate(weights)]


def chi_square(seen: Counter[_Key], expected: Mapping[_Key, float]) -> float:
    """How far the counts are from `expected` shares, which add up to 1."""
    assert set(seen) <= set(expected)
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


@pytest.mark.parametrize(("weights", "expected"), RULE)
def test_shares_follow_the_rule(weights: tuple[int, ...], expected: tuple[float, ...]) -> None:
    """Zero weights have 1/(S+1) together, one percent at most; alone they are equal."""
    found = shares(group(*weights))

    assert [share / sum(found) for share in found] == pytest.approx(expected)


@pytest.mark.parametrize("draw_first", [False, True])
@pytest.mark.parametrize(
    "weights", [(1, 1), (0, 1), (1, 2, 7), (0, 0, 0), (0,) * 100 + (1,), (65535, 1)]
)
def test_draws_come_in_proportion(weights: tuple[int, ...], draw_first: bool) -> None:
    """Both `pick` and the first of `order` are distributed as the rule demands."""
    servers = group(*weights)
    rng = random.Random(20260101)
    draws = 4 * DRAWS if len(servers) > 3 and not draw_first else DRAWS

    seen = Counter(
        order(servers, rng.random)[0] if draw_first else pick(servers, rng.random)
        for _ in range(draws)
    )

    expected = dict(zip(servers, dict(RULE)[weights], strict=True))
    assert chi_square(seen, expected) < CRITICAL[len(servers) - 1]


def test_a_whole_order_is_like_one_draw_after_another() -> None:
    """Each of the six orders of 1, 2 and 7 comes as often as sequential draws make it."""
    servers = group(1, 2, 7)
    rng = random.Random(7)

    seen = Counter(order(servers, rng.random) for _ in range(DRAWS))

    expected = {
        tried: tried[0].weight / 10 * tried[1].weight / (10 - tried[0].weight)
        for tried in permutations(servers)
    }
    assert sum(expected.values()) == pytest.approx(1)
    assert chi_square(seen, expected) < CRITICAL[5]


@pytest.mark.parametrize("number", [0.0, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("weights", [(5,), (0,), (1, 1, 1), (0, 65535), (65535, 0), (0, 0)])
def test_the_ends_of_the_random_range_are_safe(weights: tuple[int, ...], number: float) -> None:
    """Zero and the largest number below one draw some endpoint, never past the last."""
    servers = group(*weights)

    assert pick(servers, lambda: number) in servers
    assert sorted(order(servers, lambda: number), key=servers.index) == servers


@pytest.mark.parametrize(("number", "at"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 2)])
def test_a_number_on_the_border_belongs_to_the_next(number: float, at: int) -> None:
    """Each endpoint has a half-open interval, so that zero is not one number too many."""
    servers = group(1, 1, 2)

    assert pick(servers, lambda: number) == servers[at]


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=50))
def test_the_largest_number_draws_the_last(weights: list[int]) -> None:
    """The product never rounds up to the sum itself, whatever the weights."""
    servers = group(*weights)

    assert pick(servers, lambda: 1 - 2**-53) == servers[-1] or min(weights) == 0


SERVERS = st.lists(st.builds(Server, st.integers(0, 3), st.integers(0, 65535), st.text(max_size=2)))


@given(SERVERS, st.randoms(use_true_random=False))
def test_an_order_holds_each_endpoint_once_and_rising_priorities(
    servers: list[Server], rng: random.Random
) -> None:
    """Nothing is lost or doubled, and no worse priority stands before a better one."""
    tried = order(servers, rng.random)

    assert Counter(tried) == Counter(servers)
    assert [server.priority for server in tried] == sorted(s.priority for s in servers)


@given(SERVERS.filter(bool), st.randoms(use_true_random=False))
def test_a_pick_has_the_best_priority(servers: list[Server], rng: random.Random) -> None:
    """The weight of a worse priority does not count."""
    assert pick(servers, rng.random).priority == min(server.priority for server in servers)


def test_nothing_to_pick_from() -> None:
    """An empty order is empty; an empty pick is the caller's mistake."""
    assert order([], random.random) == ()
    with pytest.raises(ValueError, match="empty"):
        pick([], random.random)
