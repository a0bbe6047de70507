"""Which endpoint comes next: priorities and weights of RFC 2782, and who is held back.

Endpoints of the lowest priority come first. Within one priority an endpoint is drawn with a
chance in proportion to its weight. Those of weight zero share a chance of `1 / (S + 1)`, S
being the sum of the weights, and of one percent at most, however many they are; where all
weights are zero, each has the same chance.

`choose` decides once who may be drawn, as long as nothing changes; its `Choice` then draws
at the cost of a bisection. `pick` and `order` do both at once, for endpoints of any health.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import inf, log1p
from typing import Protocol, TypeVar

from dnssd.resolver.ejection import Key
from dnssd.resolver.snapshot import Endpoint

ZERO_SHARE = 0.01  # of all draws, at most, for the endpoints of weight zero together

_NOBODY: Mapping[Key, float] = {}


class Weighted(Protocol):
    """What has a priority and a weight, such as an endpoint or SRV rdata."""

    @property
    def priority(self) -> int:
        """Lower is tried first."""

    @property
    def weight(self) -> int:
        """Share of traffic within one priority."""


_Weighted = TypeVar("_Weighted", bound=Weighted)
_Groups = list[list[Endpoint]]


@dataclass(frozen=True, slots=True)
class Choice:
    """Who may be drawn now, prepared for many draws.

    Attributes:
        endpoints: The group that is in use, n >= 1, without those that are held back.
        sums: Running sums of their shares: `endpoints[bisect_right(sums, random() * total)]`.
        total: The last of them.
        until: When to choose anew, on the monotonic clock: the next ejection ends. `inf`
            if none will.
        groups: Every endpoint, in groups in the order in which to try them; the first is the
            one in use. Beside each group, what `order` multiplies by.
    """

    endpoints: tuple[Endpoint, ...]
    sums: tuple[float, ...]
    total: float
    until: float
    groups: tuple[tuple[tuple[Endpoint, ...], tuple[float, ...]], ...]

    def pick(self, random: Callable[[], float]) -> Endpoint:
        """Draw one endpoint by weight.

        Args:
            random: Gives a number in [0, 1).
        """
        return self.endpoints[bisect_right(self.sums, random() * self.total)]

    def pick_least_pending(
        self, random: Callable[[], float], pending: Mapping[Key, int]
    ) -> Endpoint:
        """Draw two endpoints by weight; of them, the one with fewer calls in flight.

        Args:
            random: Gives a number in [0, 1).
            pending: Calls in flight by target and port.

        Source: the power of two choices (Mitzenmacher, 2001).
        """
        first = bisect_right(self.sums, random() * self.total)
        one = self.endpoints[first]
        if len(self.endpoints) == 1:
            return one
        other = self.endpoints[self._another(first, random)]
        calls = pending.get((other.target, other.port), 0)
        return other if calls < pending.get((one.target, one.port), 0) else one

    def order(self, random: Callable[[], float]) -> tuple[Endpoint, ...]:
        """Every endpoint in the order in which to try them.

        First those that may be drawn, then those held back, then those without an address;
        each by priority, and by weighted draws within one. The first has the distribution
        of `pick`.

        Args:
            random: Gives a number in [0, 1).
        """
        tried: list[Endpoint] = []
        for group, scales in self.groups:
            tried += _permuted(group, scales, random)
        return tuple(tried)

    def led_by(self, first: Endpoint) -> "Choice":
        """The same for one call that goes to one of them; what it tries else is as before."""
        rest = []
        for group, scales in self.groups:
            kept = [pair for pair in zip(group, scales, strict=True) if pair[0] is not first]
            if kept:
                others, theirs = zip(*kept, strict=True)
                rest.append((others, theirs))
        return replace(
            self, endpoints=(first,), sums=(1.0,), total=1.0, groups=(((first,), (-1.0,)), *rest)
        )

    def _another(self, first: int, random: Callable[[], float]) -> int:
        """Where the next draw leads if the one at `first`, of n >= 2, is taken away."""
        sums, last = self.sums, len(self.sums) - 1
        start = sums[first - 1] if first else 0.0
        share = sums[first] - start
        point = random() * (self.total - share)
        # Rounding may lead back to the first, or past the last: the bounds do not let it.
        if first == last or point < start:
            return bisect_right(sums, point, 0, first - 1)
        return bisect_right(sums, point + share, first + 1, last)


def choose(
    endpoints: Sequence[Endpoint],
    ejected: Mapping[Key, float] = _NOBODY,
    now: float = 0.0,
    prefer: Collection[str] = (),
) -> Choice:
    """Decide who may be drawn, and prepare the draws.

    Endpoints without an address are passed over while another has one. The best group is used
    that has anybody who is not ejected: that of the best priority of preferred instances, if
    there are any, then all others by priority. Where no other group has anybody to fall back
    on, half of it are held back at most, rounded down: of more, those are let in again whose
    ejection ends first. If everybody is ejected, that says more about the caller than about
    them: the best group is used whole.

    Args:
        endpoints: n >= 1, in any order.
        ejected: Until when, on the monotonic clock, by target and port.
        now: Monotonic clock reading, in seconds.
        prefer: Instances, in lower case.

    Raises:
        ValueError: There is no endpoint.
    """
    if not endpoints:
        raise ValueError("the list of endpoints to choose from is empty")
    reachable = [endpoint for endpoint in endpoints if endpoint.addresses] or endpoints
    tiers, until = _tiers(reachable, prefer), inf
    if ejected:
        tiers, until = _hold_back(tiers, ejected, now)
    if len(reachable) < len(endpoints):
        tiers += _tiers(endpoint for endpoint in endpoints if not endpoint.addresses)
    weighed = [(tuple(group), shares(group)) for group in tiers]
    best, best_shares = weighed[0]
    sums = tuple(accumulate(best_shares))
    groups = tuple((group, _scales(weights)) for group, weights in weighed)
    return Choice(best, sums, sums[-1], until, groups)


def choose_trial(
    endpoints: Sequence[Endpoint],
    held: Mapping[Key, float],
    due: Collection[Key],
    now: float,
    prefer: Collection[str] = (),
) -> tuple[Endpoint | None, Choice]:
    """Decide who may be drawn while ejections have ended; and whom one call is to try.

    Of those that are due, only one call finds out whether they are back. Where there is nobody
    else to go to, they may be drawn like any other.

    Args:
        endpoints: As for `choose`.
        held: Who is ejected or on trial, as for `choose`.
        due: Who is to be tried.
        now: Monotonic clock reading, in seconds.
        prefer: As for `choose`.

    Returns:
        Whom the next call goes to, if it is a trial; and the choice of all others.
    """
    choice = choose(endpoints, held, now, prefer)
    tried = [e for e in choice.endpoints if (e.target, e.port) in due] if due else ()
    if not tried:
        return None, choice
    out = {**held, **dict.fromkeys([(e.target, e.port) for e in tried], inf)}
    others = choose(endpoints, out, now, prefer)
    if all((e.target, e.port) in out or (e.target, e.port) in due for e in others.endpoints):
        return None, choice
    return tried[0], others


def shares(group: Sequence[Weighted]) -> list[float]:
    """How likely each endpoint of one priority is to be drawn, up to a common factor."""
    total = sum(endpoint.weight for endpoint in group)
    if total == 0:
        return [1.0] * len(group)
    zeros = sum(endpoint.weight == 0 for endpoint in group)
    chance = min(1 / (total + 1), ZERO_SHARE)
    zero = total * chance / (1 - chance) / zeros if zeros else 0.0
    return [float(endpoint.weight or zero) for endpoint in group]


def _hold_back(groups: _Groups, ejected: Mapping[Key, float], now: float) -> tuple[_Groups, float]:
    """The groups without those held back, then those; and when the next ejection ends."""
    ends = [_ends(group, ejected, now) for group in groups]
    until = min((some[0][0] for some in ends if some), default=inf)
    alive = [at for at, some in enumerate(ends) if len(some) < len(groups[at])]
    if len(alive) == 1:
        used = alive[0]
        surplus = len(ends[used]) - len(groups[used]) // 2
        ends[used] = ends[used][max(0, surplus) :]
    drawn, held = [], []
    for group, some in zip(groups, ends, strict=True):
        out = {at for _, at in some}
        drawn.append([endpoint for at, endpoint in enumerate(group) if at not in out])
        held.append([endpoint for at, endpoint in enumerate(group) if at in out])
    # If everybody is held back, the best group of them is the first: it is used whole.
    return [group for group in drawn + held if group], until


def _ends(
    group: list[Endpoint], ejected: Mapping[Key, float], now: float
) -> list[tuple[float, int]]:
    """When each ejection in `group` ends, and of which of its places; soonest first."""
    ends = [ejected.get((endpoint.target, endpoint.port), now) for endpoint in group]
    return sorted((end, at) for at, end in enumerate(ends) if end > now)


def _tiers(endpoints: Iterable[Endpoint], prefer: Collection[str] = ()) -> _Groups:
    """By priority; those first that are preferred and of the best priority among these."""
    endpoints = list(endpoints)
    preferred = {id(e) for e in endpoints if prefer and (e.instance or "").lower() in prefer}
    best = min((e.priority for e in endpoints if id(e) in preferred), default=None)
    groups: dict[int, list[Endpoint]] = {}
    for endpoint in endpoints:
        is_first = endpoint.priority == best and id(endpoint) in preferred
        groups.setdefault(-1 if is_first else endpoint.priority, []).append(endpoint)
    return [groups[rank] for rank in sorted(groups)]


def _scales(weights: Sequence[float]) -> tuple[float, ...]:
    return tuple([-1 / weight for weight in weights])


def _permuted(
    group: Sequence[_Weighted], scales: Sequence[float], random: Callable[[], float]
) -> Iterable[_Weighted]:
    """`group` in the order of one weighted draw after another, at the cost of one sort.

    Sorting by `-ln(U) / weight` has that distribution (Efraimidis and Spirakis, 2006);
    1 - U is never zero.
    """
    if len(group) == 1:
        return group
    keys = [log1p(-random()) * scale for scale in scales]
    return [group[at] for at in sorted(range(len(keys)), key=keys.__getitem__)]
