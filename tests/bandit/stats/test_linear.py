import math

import numpy as np
import pytest

from bandit.stats.joint import JointMoments
from bandit.stats.linear import (
    clustered_of,
    mean_of,
    pooled_proportion,
    proportion_of,
    ratio_of,
)

RNG = np.random.default_rng(11)


def test_mean_has_the_variance_of_a_mean():
    rows = RNG.normal(3.0, 2.0, size=(2, 50))
    got = mean_of().estimate(*(JointMoments.of_columns(row) for row in rows))
    assert got.values == pytest.approx([row.mean() for row in rows])
    assert np.diag(got.covariance) == pytest.approx([row.var(ddof=1) / 50 for row in rows])
    assert (got.kind, got.dfs, got.n) == ("mean", (49.0, 49.0), (50, 50))


def test_proportion_has_the_binomial_variance():
    got = proportion_of().estimate(JointMoments.of_count(3, 10), JointMoments.of_count(6, 20))
    assert np.diag(got.covariance) == pytest.approx([0.3 * 0.7 / 10, 0.3 * 0.7 / 20])


def test_ratio_has_the_variance_of_its_residuals():
    # By hand: the delta method is the mean of (m - r·d)/d̄, whose variance is of the residuals.
    m, d = RNG.poisson(2.0, 80).astype(float), 1.0 + RNG.poisson(3.0, 80)
    arm = JointMoments.of_columns(m, d)
    got = ratio_of().estimate(arm, arm)
    r = m.sum() / d.sum()
    assert got.values[0] == pytest.approx(r)
    residual = (m - r * d) / d.mean()
    assert got.covariance[0][0] == pytest.approx(residual.var(ddof=1) / 80)


def test_ratio_variance_agrees_with_the_bootstrap():
    m, d = RNG.poisson(2.0, 400).astype(float), 1.0 + RNG.poisson(3.0, 400)
    arm = JointMoments.of_columns(m, d)
    got = math.sqrt(ratio_of().estimate(arm, arm).covariance[0][0])
    draws = RNG.integers(0, 400, size=(4000, 400))
    spread = np.std(m[draws].sum(axis=1) / d[draws].sum(axis=1))
    # The relative error of a deviation from 4,000 draws is 1/√8000; 4.4 of them, and the delta
    # method's own 1/n.
    assert got == pytest.approx(spread, rel=4.4 / math.sqrt(8000) + 0.01)


def test_clustered_mean_is_the_cluster_robust_sandwich():
    sizes = RNG.integers(1, 9, size=30)
    levels = RNG.normal(size=30)
    rows = [RNG.normal(level, 1.0, size) for level, size in zip(levels, sizes, strict=True)]
    arm = JointMoments.of_columns([row.sum() for row in rows], [row.size for row in rows])
    got = clustered_of(corrected=False).estimate(arm, arm)
    mean = np.concatenate(rows).mean()
    # Liang & Zeger: Σ over clusters of (Σ residuals)², over N².
    sandwich = sum((row - mean).sum() ** 2 for row in rows) / sizes.sum() ** 2
    assert got.covariance[0][0] == pytest.approx(sandwich)
    corrected = clustered_of().estimate(arm, arm).covariance[0][0]
    assert corrected == pytest.approx(sandwich * 30 / 29)


NOBODY, ONE = JointMoments.none(2), JointMoments.of_columns([2.0], [1.0])
FLAT = JointMoments.of_columns([1.0, 1.0], [1.0, 1.0])
SPREAD = JointMoments.of_columns([1.0, 3.0, 2.0], [1.0, 2.0, 4.0])
NO_DENOMINATOR = JointMoments.of_columns([1.0, 3.0], [0.0, 0.0])


@pytest.mark.parametrize("estimator", [mean_of(), proportion_of(), ratio_of(), clustered_of()])
@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        (NOBODY, SPREAD, "empty_variant"),
        (SPREAD, NOBODY, "empty_variant"),
        (ONE, SPREAD, "one_unit"),
        (FLAT, FLAT, "no_variance"),
    ],
)
def test_what_can_not_be_estimated_has_a_reason(estimator, control, treatment, reason):
    got = estimator.estimate(control, treatment)
    assert (got.reason, got.covariance) == (reason, None)
    assert all(value is None or math.isfinite(value) for value in got.values)


def test_a_ratio_over_nothing_has_a_reason():
    got = ratio_of().estimate(NO_DENOMINATOR, SPREAD)
    assert (got.reason, got.values[0]) == ("denominator_is_zero", None)


def test_many_variants_make_one_estimate():
    got = mean_of().estimate(SPREAD, SPREAD, FLAT)
    assert len(got.values) == 3
    assert got.covariance[2][2] == 0.0
    assert got.pair(0, 2).effect == pytest.approx(-1.0)


def test_pooled_proportions_of_one_outcome_only_have_no_variance():
    none = JointMoments.of_count(0, 9)
    assert pooled_proportion(none, none).reason == "no_variance"
    assert pooled_proportion(JointMoments.none(1), none).reason == "empty_variant"
