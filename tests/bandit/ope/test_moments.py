import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import RecordError
from bandit.ope import WeightMoments

ROW = st.tuples(st.integers(0, 5), st.floats(0, 20), st.floats(-2, 2))
ROWS = st.lists(ROW, max_size=25)


def moments_of(rows: list[tuple[int, float, float]], prefix: str = "u") -> WeightMoments:
    units, weights, rewards = zip(*rows, strict=True) if rows else ((), (), ())
    return WeightMoments.of([f"{prefix}{unit}" for unit in units], weights, rewards)


@settings(deadline=None)
@given(ROWS, ROWS)
def test_adding_logs_without_a_common_unit_equals_one_log(first: list, second: list):
    added = moments_of(first, "a") + moments_of(second, "b")
    other = [(unit + 100, weight, reward) for unit, weight, reward in second]
    whole = moments_of([*first, *other])
    assert (added.units_n, added.n, added.matched_n) == (whole.units_n, whole.n, whole.matched_n)
    assert added.means == pytest.approx(whole.means, rel=1e-9, abs=1e-12)
    assert added.comoments == pytest.approx(whole.comoments, rel=1e-9, abs=1e-9)
    assert added.ess == pytest.approx(whole.ess, rel=1e-9)
    assert added.max_weight == whole.max_weight


def test_moments_are_those_of_the_units_sums():
    # By hand: a has 2 decisions, Σw = 3, Σwr = 1; b has 1, 4, 8; means 1.5, 3.5, 4.5.
    got = WeightMoments.of(["a", "b", "a"], [1.0, 4.0, 2.0], [1.0, 2.0, 0.0])
    assert got.means == (1.5, 3.5, 4.5)
    assert got.comoments == (0.5, -0.5, -3.5, 0.5, 3.5, 24.5)
    assert (got.units_n, got.n, got.max_weight) == (2, 3, 4.0)
    assert got.ess == pytest.approx(7.0**2 / 21.0)


@pytest.mark.parametrize(
    ("weights", "rewards"),
    [([-1.0], [0.0]), ([float("nan")], [0.0]), ([1.0], [float("inf")])],
)
def test_weights_and_rewards_that_can_not_be_are_refused(weights: list, rewards: list):
    with pytest.raises(RecordError, match="must be finite, weights at least 0"):
        WeightMoments.of(["u"], weights, rewards)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="2 units, 1 weights and 1 rewards"):
        WeightMoments.of(["u", "v"], [1.0], [1.0])
