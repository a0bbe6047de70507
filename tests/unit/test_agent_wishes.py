"""What an agent wants to be in DNS, and how long it waits after a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.agent.health import Health, State
from dnssd.agent.wishes import DRAINED, LONGEST_PAUSE, OUT, Gate, Wish, pause_after, wish_for


@pytest.mark.parametrize(
    ("state", "gate", "wish"),
    [
        ("starting", "in", None),
        ("starting", "out", OUT),
        ("passing", "in", Wish(True, 100)),
        ("passing", "drained", DRAINED),
        ("passing", "out", OUT),
        ("failing", "in", OUT),
        ("failing", "drained", OUT),
        ("maintenance", "in", OUT),
    ],
)
def test_health_and_the_hosts_gate_decide(state: State, gate: Gate, wish: Wish | None) -> None:
    """Who passes is in DNS as far as the host takes part; who starts stays as it was."""
    assert wish_for(Health(state, 0.0), gate, 100) == wish


@given(st.integers(1, 1000), st.booleans(), st.floats(0, 1, exclude_max=True))
def test_a_write_is_tried_again_soon_and_not_too_often(
    failures: int, refused: bool, draw: float
) -> None:
    """An API that is down for an hour is asked about once a minute, and never given up on."""
    pause = pause_after(failures, refused, draw)
    assert 1.0 <= pause <= 2 * LONGEST_PAUSE
    if refused or failures > 6:
        assert pause >= LONGEST_PAUSE / 2
