"""After an ejection one call finds out whether an endpoint is back; the others go elsewhere."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest

from dnssd.resolver.core import Core
from dnssd.resolver.ejection import Ejection
from dnssd.resolver.snapshot import Endpoint, Snapshot
from dnssd.services import parse_service_name

RULES = Ejection()
CALLS = 1000


class Client(Core):
    """A resolver that knows one service, on a clock of the test's.

    Args:
        priorities: Those of its hosts, which are called a, b, c and so on.
    """

    def __init__(self, *priorities: int) -> None:
        self.now = 0.0
        super().__init__(["127.0.0.1:53"], monotonic=lambda: self.now)
        self.endpoints = tuple(
            Endpoint(name, 80, priority, 100, ("192.0.2.1",))
            for name, priority in zip("abcdef", priorities, strict=False)
        )
        name = "web._http._tcp.example.com"
        self.entry = self._cache.entry(name, parse_service_name(name), 0.0)
        self.entry.snapshot = Snapshot("web", (), self.endpoints, expires_at=1e9)

    def call(self, times: int = CALLS) -> Counter[str]:
        """Begin so many calls; who gets them."""
        assert self.entry.snapshot
        return Counter(self._pick(self.entry, self.entry.snapshot).target for _ in range(times))

    def tell(self, targets: Iterable[str], ok: bool | None, times: int = 1) -> None:
        """Report calls that have just been made."""
        for endpoint in self.endpoints:
            for _ in range(times if endpoint.target in targets else 0):
                self.report(endpoint, ok)


def test_a_report_is_about_a_host_whatever_its_case() -> None:
    """Programs may have the name from somewhere else, as from a certificate or a log."""
    client = Client(0, 0, 0)
    shouted = replace(client.endpoints[0], target="A")
    for _ in range(RULES.failures):
        client.report(shouted, False)
    assert client.call()["a"] == 0

    client.now += RULES.first
    client.call()
    client.report(shouted, True)
    assert client.call()["a"] > 0


@pytest.mark.parametrize("priorities", [(0, 0, 0), (0, 0, 1), (0, 1, 1)])
def test_one_of_a_thousand_calls_finds_out_whether_a_host_is_back(
    priorities: tuple[int, ...],
) -> None:
    """It fails: out for longer. It succeeds: in service. Hundreds met it before."""
    client = Client(*priorities)
    client.tell("a", False, times=RULES.failures)
    for length in (RULES.first, 2 * RULES.first):
        assert client.call()["a"] == 0
        client.now += length
        assert client.call()["a"] == 1
        client.tell("a", False)

    assert client.stats().ejections == 3
    client.now += 4 * RULES.first
    order = client._choice(client.entry, client.entry.latest()).order(lambda: 0.5)
    assert order[0].target == "a"  # for one call, which may go on to the others
    assert sorted(e.target for e in order) == ["a", "b", "c"]
    assert client.call()["a"] == 0
    client.tell("a", True)
    assert client.call()["a"] > CALLS / 5


def test_every_host_that_is_due_gets_a_call_of_its_own() -> None:
    """The first calls after an outage of three hosts, one each."""
    client = Client(0, 0, 0, 0, 0, 0)
    client.tell("abc", False, times=RULES.failures)
    client.now += RULES.first

    calls = client.call()
    assert (calls["a"], calls["b"], calls["c"], calls.total()) == (1, 1, 1, CALLS)


@pytest.mark.parametrize("told", ["nothing", "nobody can tell"])
def test_a_trial_without_a_word_is_over_in_time(told: str) -> None:
    """Who never reports a success gets the host back; who cannot tell, another trial."""
    client = Client(0, 0)
    client.tell("a", False, times=RULES.failures)
    client.now += RULES.first
    assert client.call()["a"] == 1

    if told == "nobody can tell":
        client.tell("a", None)
        assert client.call()["a"] == 1
    client.now += RULES.trial - 0.1
    assert client.call()["a"] == 0
    client.now += 0.2
    assert client.call()["a"] > CALLS / 3


@pytest.mark.parametrize("priorities", [(0,), (0, 0), (0, 1)])
def test_where_there_is_nobody_else_there_is_no_trial(priorities: tuple[int, ...]) -> None:
    """All calls go to those whose time is over."""
    client = Client(*priorities)
    client.tell("ab", False, times=RULES.failures)
    client.now += RULES.first

    assert client.call()["a"] > CALLS / 3


def test_a_standby_is_not_tried_while_it_is_not_needed() -> None:
    """When its time is over, calls go on to where they should."""
    client = Client(0, 1)
    client.tell("b", False, times=RULES.failures)
    client.now += RULES.first

    assert client.call() == {"a": CALLS}
