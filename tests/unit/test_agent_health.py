"""The state machine of an agent's health: what it takes to come and to go."""

from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.agent.health import CALM, HOLD, MAX_HOLD, Health, Rules
from dnssd.checks import Verdict

VERDICTS = st.sampled_from(["pass", "fail", "maintenance"])
RULES = st.builds(
    Rules,
    rise=st.integers(1, 4),
    fall=st.integers(1, 4),
    start_period=st.sampled_from([0.0, 7.0, 30.0]),
)
HISTORIES = st.lists(st.tuples(st.floats(0.1, 200.0), VERDICTS), max_size=80)

History = list[tuple[float, Verdict]]


def lived(history: History, rules: Rules) -> list[tuple[float, Verdict, Health]]:
    """What it was after each result, with when and which."""
    now, health, told = 0.0, Health.start(0.0), []
    for seconds, verdict in history:
        now += seconds
        health = health.heard(verdict, now, rules)
        told.append((now, verdict, health))
    return told


@given(HISTORIES, RULES)
def test_a_change_takes_as_many_results_in_a_row_as_the_rules_say(
    history: History, rules: Rules
) -> None:
    """Nobody goes for fewer fails than `fall`, or comes for fewer passes than `rise`."""
    told = lived(history, rules)
    states = ["starting", *(health.state for _, _, health in told)]
    verdicts = [verdict for _, verdict, _ in told]
    for at, (former, state) in enumerate(pairwise(states)):
        if former != state and state == "passing":
            assert verdicts[max(0, at + 1 - rules.rise) : at + 1] == ["pass"] * rules.rise
        if former != state and state == "failing":
            assert verdicts[max(0, at + 1 - rules.fall) : at + 1] == ["fail"] * rules.fall


@given(HISTORIES, RULES)
def test_maintenance_acts_at_once_and_ends_with_the_first_other_result(
    history: History, rules: Rules
) -> None:
    """It is somebody's wish, which needs no proof."""
    for _, verdict, health in lived(history, rules):
        assert (verdict == "maintenance") == (health.state == "maintenance")


@given(HISTORIES, RULES)
def test_who_failed_stays_out_for_its_hold(history: History, rules: Rules) -> None:
    """The n-th failure without calm in between holds it for 10 s x 2^(n-1), 300 s at most."""
    failed_at, count = 0.0, 0
    former, passing_since = "starting", 0.0
    for now, _, health in lived(history, rules):
        if health.state == "failing" and former != "failing":
            calm = former == "passing" and now - passing_since >= CALM
            count = 1 if calm else count + 1
            failed_at = now
            assert health.failures == count
        if health.state == "passing" and former == "failing":
            assert now - failed_at >= min(MAX_HOLD, HOLD * 2.0 ** (count - 1))
        if health.state == "passing" and former != "passing":
            passing_since = now
        former = health.state


@given(HISTORIES, RULES, st.floats(0.5, 10.0))
def test_the_truth_is_reached_from_everywhere(
    history: History, rules: Rules, interval: float
) -> None:
    """A service that goes on passing is published, one that goes on failing is not."""
    told = lived(history, rules)
    now, health = (told[-1][0], told[-1][2]) if told else (0.0, Health.start(0.0))
    for verdict, state in (("pass", "passing"), ("fail", "failing")):
        ends, heard = now + MAX_HOLD + rules.start_period + 10 * interval, health
        at = now
        while at < ends:
            at += interval
            heard = heard.heard("pass" if verdict == "pass" else "fail", at, rules)
        assert heard.state == state


@given(st.integers(2, 200))
def test_a_flapping_service_changes_dns_ever_more_rarely(length: int) -> None:
    """One that comes and goes all day is written about a few times an hour, not each time."""
    rules, now, health, gone = Rules(rise=1, fall=1, start_period=0), 0.0, Health.start(0.0), 0
    while now < 3600.0:
        now += 2.0
        former, verdict = health, ("pass" if int(now / length) % 2 else "fail")
        health = health.heard("pass" if verdict == "pass" else "fail", now, rules)
        gone += health.state == "failing" != former.state
    assert gone <= 5 + 3600 / MAX_HOLD


def test_fails_do_not_count_while_a_service_starts() -> None:
    """In the start period it stays as it was; after it, `fall` fails in a row tell."""
    rules = Rules(fall=2, start_period=30)
    told = lived([(10.0, "fail")] * 4, rules)
    assert [health.state for _, _, health in told] == ["starting", "starting", "failing", "failing"]
    assert told[1][2].wanted is None


def test_calm_forgets() -> None:
    """After ten minutes of passing the next failure is the first again."""
    rules = Rules(rise=1, fall=1, start_period=0)
    history: History = [(1.0, "pass"), (1.0, "fail"), (20.0, "pass"), (1.0, "fail")]
    history += [(40.0, "pass"), (CALM, "fail")]
    assert [h.failures for _, v, h in lived(history, rules) if v == "fail"] == [1, 2, 1]


@pytest.mark.parametrize(("rise", "fall"), [(2, 3), (1, 1), (3, 2)])
def test_it_is_known_when_one_more_result_decides(rise: int, fall: int) -> None:
    """The process that writes is then started beforehand."""
    rules = Rules(rise=rise, fall=fall, start_period=0)
    health = lived([(1.0, "pass")] * rise, rules)[-1][2]
    for number in range(1, fall):
        health = health.heard("fail", 100.0, rules)
        assert health.is_about_to_change(rules) == (number == fall - 1)


def test_a_run_of_one_kind_is_one_change() -> None:
    """However long it fails, it begins to fail once."""
    history: History = [(5.0, "pass")] * 5
    history += [(5.0, "fail")] * 50
    told = lived(history, Rules())
    assert [state for state, _ in groupby(h.state for _, _, h in told)] == [
        "starting",
        "passing",
        "failing",
    ]
