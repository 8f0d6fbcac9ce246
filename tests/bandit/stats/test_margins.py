"""Non-inferiority by any test, against the fixed one and against hand-made nulls."""

from functools import partial

import numpy as np
import pytest

from bandit.stats import (
    Effect,
    Estimate,
    Margin,
    compare,
    non_inferiority,
    not_worse,
    shifted,
)
from bandit.stats.sequential import compare_anytime, compare_planned


def estimate(control: float, treatment: float, *, shared: float = 0.0) -> Estimate:
    return Estimate(
        n=(900, 1100),
        values=(control, treatment),
        covariance=((0.004, shared), (shared, 0.005)),
        dfs=(899.0, 1099.0),
        kind="mean",
    )


def fixed(found: Estimate, side: str) -> Effect:
    return compare(found, alternative=side)


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize("scale", ["absolute", "relative"])
@pytest.mark.parametrize("values", [(10.0, 9.9), (-10.0, -10.1), (10.0, 10.2)])
def test_with_the_fixed_test_it_is_the_fixed_non_inferiority(better, scale, values):
    margin = Margin(0.2 if scale == "absolute" else 0.03, scale)
    found = not_worse(fixed, estimate(*values, shared=0.001), margin, better)
    expected = non_inferiority(estimate(*values, shared=0.001), margin, better=better)
    assert found.p_value == pytest.approx(expected.p_value, rel=1e-9)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert found.null_value == pytest.approx(expected.null_value)
    assert (found.effect_ci_low, found.effect_ci_high) == (
        expected.effect_ci_low,
        expected.effect_ci_high,
    )


@pytest.mark.parametrize(
    "test",
    [
        lambda e, side: compare_anytime(e, alternative=side),
        lambda e, side: compare_planned(e, (0.4, 0.8), alternative=side),
    ],
)
@pytest.mark.parametrize("margin", [Margin(0.45), Margin(0.045, "relative")])
def test_p_is_at_most_alpha_exactly_where_the_bad_end_is_inside_the_margin(test, margin: Margin):
    answers = set()
    for treatment in np.linspace(9.5, 10.2, 15):
        found = not_worse(test, estimate(10.0, float(treatment)), margin)
        low = found.effect_ci_low if margin.scale == "absolute" else found.relative_ci_low
        inside = low > -margin.value
        assert (found.p_value <= 0.05) == inside
        answers.add(inside)
    assert answers == {True, False}


def test_what_has_no_value_stays_as_it_is():
    empty = Estimate(
        n=(0, 5), values=(None, 1.0), covariance=None, dfs=(0.0, 4.0), kind="mean",
        reason="empty_variant",
    )  # fmt: skip
    assert shifted(empty, Margin(0.1)) == empty
    found = not_worse(partial(fixed), empty, Margin(0.1))
    assert (found.p_value, found.reason) == (None, "empty_variant")
