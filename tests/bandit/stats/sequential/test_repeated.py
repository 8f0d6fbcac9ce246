"""Repeated p-values: the answer of a look's bound at every alpha at once."""

import pytest
from scipy.special import ndtr

from bandit.stats.sequential import Spending, repeated_p_value, spending_design

FRACTIONS = (0.3, 0.55, 0.8)


@pytest.mark.parametrize("kind", ["obrien_fleming", "pocock"])
@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_it_is_alpha_on_the_bound_of_that_alpha(kind: str, sides: int, alpha: float):
    spending = Spending(kind=kind)
    for k in range(1, len(FRACTIONS) + 1):
        design = spending_design(FRACTIONS[:k], alpha=alpha, sides=sides, spending=spending)
        p_value = repeated_p_value(design.bounds[-1], FRACTIONS[:k], sides=sides, spending=spending)
        assert p_value == pytest.approx(alpha, rel=1e-6)


def test_of_one_look_at_the_end_it_is_the_plain_p_value():
    assert repeated_p_value(-2.3, (1.0,)) == pytest.approx(2 * ndtr(-2.3), rel=1e-6)
    assert repeated_p_value(2.3, (1.0,), sides=1) == pytest.approx(ndtr(-2.3), rel=1e-6)


def test_it_falls_as_the_statistic_grows_and_ends_at_one():
    values = [repeated_p_value(z, FRACTIONS) for z in (0.0, 1.0, 2.0, 3.0, 30.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1.0
    assert 0.0 < values[-1] < 1e-9
    assert repeated_p_value(-1.0, FRACTIONS, sides=1) > 0.5
