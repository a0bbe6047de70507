"""Which endpoint comes next: priorities and weights of RFC 2782.

Endpoints of the lowest priority come first. Within one priority an endpoint is drawn with a
chance in proportion to its weight. Those of weight zero share a chance of `1 / (S + 1)`, S
being the sum of the weights, and of one percent at most, however many they are; where all
weights are zero, each has the same chance.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from math import log
from typing import Protocol, TypeVar

ZERO_SHARE = 0.01  # of all draws, at most, for the endpoints of weight zero together


class Weighted(Protocol):
    """What has a priority and a weight, such as an endpoint or SRV rdata."""

    @property
    def priority(self) -> int:
        """Lower is tried first."""

    @property
    def weight(self) -> int:
        """Share of traffic within one priority."""


_Weighted = TypeVar("_Weighted", bound=Weighted)


def pick(endpoints: Iterable[_Weighted], random: Callable[[], float]) -> _Weighted:
    """Draw one endpoint of the best priority.

    Args:
        endpoints: n >= 1, in any order.
        random: Gives a number in [0, 1).

    Raises:
        ValueError: There is no endpoint.
    """
    groups = _by_priority(endpoints)
    best = groups[min(groups)]
    sums = list(accumulate(shares(best)))
    return best[bisect_right(sums, random() * sums[-1])]


def order(endpoints: Iterable[_Weighted], random: Callable[[], float]) -> tuple[_Weighted, ...]:
    """Every endpoint in the order in which to try them.

    Sorting by `-ln(U) / weight` gives the distribution of one weighted draw after another,
    at the cost of one sort (Efraimidis and Spirakis, 2006).

    Args:
        endpoints: n >= 0, in any order.
        random: Gives a number in [0, 1).
    """
    tried: list[_Weighted] = []
    for _, group in sorted(_by_priority(endpoints).items()):
        keys = [-log(1 - random()) / share for share in shares(group)]
        tried += [group[at] for at in sorted(range(len(group)), key=keys.__getitem__)]
    return tuple(tried)


def shares(group: Sequence[Weighted]) -> list[float]:
    """How likely each endpoint of one priority is to be drawn, up to a common factor."""
    total = sum(endpoint.weight for endpoint in group)
    if total == 0:
        return [1.0] * len(group)
    zeros = sum(endpoint.weight == 0 for endpoint in group)
    chance = min(1 / (total + 1), ZERO_SHARE)
    zero = total * chance / (1 - chance) / zeros if zeros else 0.0
    return [endpoint.weight or zero for endpoint in group]


def _by_priority(endpoints: Iterable[_Weighted]) -> dict[int, list[_Weighted]]:
    groups: dict[int, list[_Weighted]] = {}
    for endpoint in endpoints:
        groups.setdefault(endpoint.priority, []).append(endpoint)
    return groups
