import math

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.stats.covariates import adjust
from bandit.stats.joint import JointMoments
from bandit.stats.linear import estimate_of
from bandit.stats.quantiles import OrderStatistics, pooled_cap, quantile_of, ranks, winsorised

RNG = np.random.default_rng(21)


@pytest.mark.parametrize("nu", [0.5, 0.9])
def test_quantile_error_is_the_samplings_own(nu: float):
    # Known: √(ν(1 − ν)/n)/f(q); of the unit exponential f(q) = 1 − ν.
    n, runs = 2000, 400
    known = math.sqrt(nu * (1 - nu) / n) / (1 - nu)
    draws = RNG.exponential(size=(runs, n))
    errors = [
        math.sqrt(quantile_of(OrderStatistics.of(row.tolist(), nu)).estimate_variance)
        for row in draws
    ]
    # One estimate is rough (about 10 %), their mean is not.
    assert np.mean(errors) == pytest.approx(known, rel=0.05)


def test_values_nested_in_units_are_as_sure_as_the_units_are_many():
    # Every unit repeats its value 4 times: 4 times the values, no more knowledge.
    values = RNG.normal(size=500)
    once = OrderStatistics.of(values.tolist(), 0.5)
    often = OrderStatistics.of(np.repeat(values, 4).tolist(), 0.5)
    below = JointMoments.of_columns(4.0 * (values <= often.value), np.full(500, 4.0))
    plain, nested = quantile_of(once), quantile_of(often, below=below)
    assert nested.n == 500
    assert nested.value == plain.value
    ratio = nested.estimate_variance / plain.estimate_variance
    assert ratio == pytest.approx(1.0, abs=0.5)
    naive = quantile_of(often).estimate_variance
    assert nested.estimate_variance / naive == pytest.approx(4.0, rel=0.01)


def test_covariates_make_a_quantile_surer():
    n = 4000
    x = RNG.normal(size=(2, n))
    y = x + 0.3 * RNG.normal(size=(2, n))
    linears = []
    for xs, ys in zip(x, y, strict=True):
        sample = OrderStatistics.of(ys.tolist(), 0.5)
        below = JointMoments.of_columns(ys <= sample.value, np.ones(n), xs)
        linears.append(quantile_of(sample, below=below, covariates=[2]))
    got = adjust(linears)
    # corr(1{y ≤ median}, x)² = (2/π)·corr(x, y)² = 0.584 for normal values.
    assert got.variance_reduction == pytest.approx(2 / math.pi / 1.09, abs=0.05)
    # A higher x goes with a higher quantile, so the slope is above 0.
    moved = got.effect - got.unadjusted.effect
    gap = x[1].mean() - x[0].mean()
    assert moved / -gap > 0.5


def test_order_statistics_are_of_the_inverted_distribution_function():
    rows = [float(x) for x in RNG.permutation(101)]
    got = OrderStatistics.of(rows, 0.3)
    assert got.value == np.quantile(rows, 0.3, method="inverted_cdf")
    low, high = ranks(101, 0.3)
    assert (got.lower, got.upper) == tuple(np.quantile(rows, [low, high], method="inverted_cdf"))


def test_ranks_stay_inside_the_sample():
    assert ranks(3, 0.01)[0] == 0.0
    assert ranks(3, 0.99)[1] == 1.0


def test_few_values_have_a_reason():
    one = quantile_of(OrderStatistics.of([3.0], 0.5))
    assert (one.reason, one.value) == ("one_unit", 3.0)
    assert estimate_of(one, one).reason == "one_unit"


def test_equal_values_have_no_variance():
    flat = quantile_of(OrderStatistics.of([3.0] * 9, 0.5))
    assert estimate_of(flat, flat).reason == "no_variance"


@pytest.mark.parametrize(
    "changes", [{"quantile": 0.0}, {"lower": 6.0}, {"n_near": 0}, {"n_near": 11}]
)
def test_order_statistics_refuse_what_no_sample_has(changes: dict):
    fields = {"n": 10, "quantile": 0.5, "value": 5.0, "lower": 4.0, "upper": 6.0, "n_near": 10}
    with pytest.raises(RecordError, match="must be in order"):
        OrderStatistics(**(fields | changes))


def test_no_values_are_refused():
    with pytest.raises(RecordError, match="at least one"):
        OrderStatistics.of([], 0.5)
    with pytest.raises(RecordError, match="of some"):
        pooled_cap([[], []], 0.5)
    with pytest.raises(RecordError, match="must be given"):
        quantile_of(OrderStatistics.of([1.0, 2.0], 0.5), covariates=[2])


def test_one_cap_is_for_all_variants():
    control, treatment = [1.0] * 8 + [500.0], [2.0] * 8 + [900.0]
    cap = pooled_cap([control, treatment], 0.9)
    assert cap == np.quantile([*control, *treatment], 0.9, method="inverted_cdf")
    assert max(winsorised(treatment, cap)) == cap
