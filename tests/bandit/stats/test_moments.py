import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import NotEnoughData, RecordError
from bandit.stats import Moments

NUMBERS = st.lists(st.floats(-1e6, 1e6), max_size=30)


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_adding_moments_equals_the_moments_of_all_rows(first: list[float], second: list[float]):
    added, whole = Moments.of(first) + Moments.of(second), Moments.of(first + second)
    assert added.n == whole.n
    assert added.mean == pytest.approx(whole.mean, rel=1e-12, abs=1e-6)
    assert added.m2 == pytest.approx(whole.m2, rel=1e-9, abs=1e-3)


def test_variance_keeps_its_digits_when_the_mean_is_huge():
    # By hand: 1, 2, 3, 4 have variance 5/3; sums of squares at 1e9 lose it altogether.
    rows = [1e9 + x for x in (1.0, 2.0, 3.0, 4.0)]
    assert Moments.of(rows).variance == pytest.approx(5 / 3, rel=1e-12)
    halves = Moments.of(rows[:1]) + Moments.of(rows[1:])
    assert halves.variance == pytest.approx(5 / 3, rel=1e-12)


@pytest.mark.parametrize("rows", [[], [3.0]])
def test_variance_of_fewer_than_two_rows_is_an_error(rows: list[float]):
    with pytest.raises(NotEnoughData, match=f"n = {len(rows)}, must be at least 2"):
        _ = Moments.of(rows).variance


@pytest.mark.parametrize(
    ("n", "mean", "m2"), [(-1, 0.0, 0.0), (2, 0.0, -1.0), (2, math.nan, 1.0), (2, 0.0, math.inf)]
)
def test_moments_refuse_what_no_sample_has(n: int, mean: float, m2: float):
    with pytest.raises(RecordError, match="must be finite"):
        Moments(n=n, mean=mean, m2=m2)
