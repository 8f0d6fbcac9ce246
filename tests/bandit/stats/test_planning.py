import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bandit.errors import RecordError
from bandit.stats.covariates import optimal_reduction
from bandit.stats.fixed import Margin, compare, equivalence, non_inferiority
from bandit.stats.joint import JointMoments
from bandit.stats.linear import clustered_of, mean_of, proportion_of, ratio_of
from bandit.stats.planning import (
    Baseline,
    Design,
    days_needed,
    equivalence_power,
    mde,
    power,
    sample_size,
)
from bandit.stats.quantiles import OrderStatistics, quantile_of

PLAIN = Baseline(mean=10.0, variance=9.0)
RNG = np.random.default_rng(6)


@settings(deadline=None)
@given(
    st.sampled_from([PLAIN, Baseline.proportion(0.07), Baseline(mean=3, variance=8)]),
    st.sampled_from(["constant", "proportional"]),
    st.floats(50, 1e6),
    st.floats(0.2, 5.0),
    st.floats(0.3, 0.95),
    st.sampled_from(["two-sided", "greater", "less"]),
    st.sampled_from(["t", "z"]),
)
def test_mde_size_and_power_agree(baseline, spread, n, ratio, wanted, alternative, distribution):
    if baseline.spread != "binomial":
        baseline = Baseline(mean=baseline.mean, variance=baseline.variance, spread=spread)
    design = Design(alternative=alternative, ratio=ratio, distribution=distribution)
    found = mde(baseline, control_n=n, power_wanted=wanted, design=design)
    if found.reason is not None:
        # Bounded, or a spread that grows with the effect: no effect is large enough then.
        assert baseline.spread != "constant"
        return
    assert (found.effect < 0) == (alternative == "less")
    got = power(baseline, found.effect, control_n=n, design=design)
    assert got == pytest.approx(wanted, abs=1e-6)
    need = sample_size(baseline, found.effect, power_wanted=wanted, design=design)
    assert need.control == pytest.approx(n, rel=1e-6)
    assert need.treatment == pytest.approx(n * ratio, rel=1e-6)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_power_of_the_t_test_equals_scipys_noncentral_t(alternative: str):
    n, d = 40, 1.5
    design = Design(alternative=alternative)
    df, nc = 2 * n - 2, d / math.sqrt(9 / n * 2)
    q = stats.t.ppf(0.975 if alternative == "two-sided" else 0.95, df)
    known = stats.nct.sf(q, df, nc)
    known += stats.nct.cdf(-q, df, nc) if alternative == "two-sided" else 0.0
    assert power(PLAIN, d, control_n=n, design=design) == pytest.approx(known, rel=1e-9)


def test_power_is_the_share_of_experiments_that_find_it():
    baseline, effect, n, runs = Baseline.proportion(0.1), 0.05, 600, 4000
    known = power(baseline, effect, control_n=n)
    c, t = RNG.binomial(n, 0.1, runs), RNG.binomial(n, 0.15, runs)
    hits = sum(
        compare(
            proportion_of().estimate(
                JointMoments.of_count(int(a), n), JointMoments.of_count(int(b), n)
            )
        ).p_value
        < 0.05
        for a, b in zip(c, t, strict=True)
    )
    assert abs(hits / runs - known) <= 4.4 * math.sqrt(known * (1 - known) / runs) + 0.01


def test_non_inferiority_and_equivalence_have_their_own_power():
    n, runs = 300, 3000
    design = Design(alternative="greater", null_value=-0.6)
    known = power(PLAIN, 0.0, control_n=n, design=design)
    both = equivalence_power(PLAIN, 0.8, control_n=n)
    means = RNG.normal(10.0, 3.0 / math.sqrt(n), size=(runs, 2))
    m2 = 9.0 * RNG.chisquare(n - 1, size=(runs, 2))
    hits = np.zeros(2)
    for mean, square in zip(means, m2, strict=True):
        e = mean_of().estimate(
            *(
                JointMoments(n=n, means=(m,), cross=((s,),))
                for m, s in zip(mean, square, strict=True)
            )
        )
        hits += [
            non_inferiority(e, Margin(0.6)).p_value < 0.05,
            equivalence(e, Margin(0.8)).p_value < 0.05,
        ]
    for hit, share in zip(hits / runs, (known, both), strict=True):
        assert abs(hit - share) <= 4.4 * math.sqrt(share * (1 - share) / runs) + 0.002


def test_every_kind_of_metric_has_a_baseline():
    rows = JointMoments.of_columns(RNG.normal(5, 1, 300), 1 + RNG.poisson(3, 300))
    sample = OrderStatistics.of(RNG.exponential(size=300).tolist(), 0.9)
    for linear in (
        mean_of().linear(rows),
        ratio_of().linear(rows),
        clustered_of().linear(rows),
        quantile_of(sample),
    ):
        baseline = Baseline.of(linear)
        found = mde(baseline, control_n=linear.n)
        error = math.sqrt(2 * linear.estimate_variance)
        # By hand: (q.975 + q.80)·se, and t's little more.
        assert found.effect / error == pytest.approx(1.959964 + 0.841621, rel=0.01)
        assert baseline.mean == linear.value
    share = proportion_of().linear(JointMoments.of_count(20, 100))
    assert Baseline.of(share).spread == "binomial"
    assert Baseline.of(share).variance == pytest.approx(Baseline.proportion(0.2).variance)


def test_covariates_save_units():
    x = RNG.normal(size=400)
    rows = JointMoments.of_columns(x + RNG.normal(size=400), x)
    metric = mean_of(0, covariates=[1])
    share = optimal_reduction(rows, metric)
    z = Design(distribution="z")
    raw = sample_size(Baseline.of(metric.linear(rows)), 0.2, design=z)
    less = sample_size(Baseline.of(metric.linear(rows), variance_reduction=share), 0.2, design=z)
    assert less.control == pytest.approx(raw.control * (1 - share))


def test_a_relative_lift_brings_its_own_variance():
    # By hand: 0.05·0.95/n + 0.1·0.9/n for a doubled conversion.
    error = math.sqrt((0.05 * 0.95 + 0.1 * 0.9) / 500)
    known = stats.norm.sf(stats.norm.isf(0.025) - 0.05 / error)
    z = Design(distribution="z")
    got = power(Baseline.proportion(0.05), 0.05, control_n=500, design=z)
    assert got == pytest.approx(known, abs=1e-6)
    assert Baseline(mean=2, variance=9, spread="proportional").treated(2.0) == 36.0


def test_what_can_not_be_found_has_a_reason():
    assert sample_size(PLAIN, 0.0).reason == "no_effect"
    assert sample_size(PLAIN, 1.0, design=Design(alternative="less")).reason == "no_effect"
    assert mde(Baseline.proportion(0.6), control_n=3).reason == "too_few_units"
    assert mde(Baseline(mean=0.0, variance=1.0), control_n=99).relative_effect is None
    assert power(PLAIN, 1.0, control_n=0) == 0.0
    assert power(PLAIN, 1.0, control_n=0.5) == 0.0
    assert equivalence_power(PLAIN, 0.0, control_n=99) == 0.0


def test_an_effect_without_noise_is_found():
    assert power(Baseline(mean=1, variance=0), 0.1, control_n=5) == 1.0
    assert power(Baseline(mean=1, variance=0), 0.0, control_n=5) == 0.0
    assert equivalence_power(Baseline(mean=1, variance=0), 0.1, control_n=5) == 1.0


@pytest.mark.parametrize("effect", [0.5, 5.0, 50.0, 500.0, 5e6])
@pytest.mark.parametrize("n", [2, 30, 1e4, 1e9, 1e15])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_power_is_a_probability_however_far_out(effect: float, n: float, alternative: str):
    got = power(PLAIN, effect, control_n=n, design=Design(alternative=alternative))
    assert 0.0 <= got <= 1.0


@pytest.mark.parametrize(
    ("units", "arrivals", "days"),
    [
        (1000, 100, 10),
        (1001, 100, 11),
        (0, 100, 0),
        (10, [4, 3, 2], 4),
        (9, [4, 3, 2], 3),
        (4, [4, 3, 2], 1),
        (10, [4, 0], None),
        (10, [], None),
        (10, 0, None),
    ],
)
def test_days_are_counted_until_enough_have_come(units, arrivals, days):
    assert days_needed(units, arrivals) == days


@pytest.mark.parametrize(
    "build",
    [
        lambda: Baseline.proportion(1.2),
        lambda: Baseline(mean=math.nan, variance=1.0),
        lambda: Baseline(mean=1.0, variance=-1.0),
        lambda: Design(alpha=0.0),
        lambda: Design(ratio=0.0),
        lambda: sample_size(PLAIN, 1.0, power_wanted=1.0),
        lambda: days_needed(10, 10, share=0.0),
        lambda: Baseline.of(mean_of().linear(JointMoments.none(1))),
    ],
)
def test_impossible_plans_are_refused(build):
    with pytest.raises(RecordError, match="must"):
        build()
