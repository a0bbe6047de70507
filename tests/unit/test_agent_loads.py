"""How a weight follows a load."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnssd.agent.load import Load
from dnssd.agent.loads import STEPS, STICKY, Weight, pause_for, step_for, weight_for
from dnssd.errors import UsageError
from kit import virtualtime


@given(st.floats(-1, 2), st.integers(1, STEPS))
def test_a_step_is_near_the_load_and_stays_where_the_difference_is_small(
    load: float, former: int
) -> None:
    """Ten steps, none of them 0; a load that wavers writes nothing."""
    step = step_for(load, former)
    wanted = STEPS * (1 - min(1.0, max(0.0, load)))
    assert 1 <= step <= STEPS
    assert step == former or abs(wanted - former) >= STICKY
    assert abs(wanted - step) <= 1


@given(st.integers(0, 65_535), st.integers(1, STEPS))
def test_a_weight_is_its_share_and_0_stays_0(base: int, step: int) -> None:
    """Who is busy still gets a little; who is to get nothing gets nothing."""
    weight = weight_for(base, step)
    assert weight <= base
    assert (weight == 0) == (base == 0)


@given(st.integers(1, 1000))
def test_all_members_together_write_every_other_second_at_most(members: int) -> None:
    """However many they are, whatever their loads do."""
    weights = [Weight(100) for _ in range(members)]
    writes = 0
    for now in range(0, 600, 60):
        for weight in weights:
            former = weight.step
            weight.heard(now // 60 % 2, float(now), members)
            writes += weight.step != former
    assert writes <= members * (1 + 600 / pause_for(members))


def test_the_processors_share_is_averaged(tmp_path: Path) -> None:
    """The first reading tells nothing yet; a second that is all busy counts for a tenth."""
    load = Load("cpu", tmp_path)
    readings = []
    for busy, idle in ((0, 100), (100, 100), (100, 200)):
        (tmp_path / "stat").write_text(f"cpu {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1\n")
        readings.append(virtualtime.run(lambda loop: load.read()))
    assert readings == pytest.approx([0.0, 0.1, 0.09])


def test_pressure_is_what_the_kernel_says(tmp_path: Path) -> None:
    """The share of a minute in which somebody waited; where it is not told, as it was."""
    load = Load("psi", tmp_path)
    assert virtualtime.run(lambda loop: load.read()) == 0
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure/cpu").write_text("some avg10=1.00 avg60=25.50 avg300=3.00 total=1\n")
    assert virtualtime.run(lambda loop: load.read()) == pytest.approx(0.255)


def test_another_kind_is_refused() -> None:
    """With the kinds that there are."""
    with pytest.raises(UsageError, match="cpu, psi or exec:COMMAND"):
        Load("memory")
