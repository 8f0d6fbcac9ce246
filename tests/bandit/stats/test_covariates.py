import math

import numpy as np
import pytest

from bandit.stats.covariates import Cuped, adjust, cuped, optimal_reduction, solve
from bandit.stats.joint import JointMoments
from bandit.stats.linear import mean_of, proportion_of, ratio_of

RNG = np.random.default_rng(3)
N_C, N_T, K = 300, 250, 4
X = RNG.normal(size=(N_C + N_T, K)) @ RNG.normal(size=(K, K)) + 5.0
W = np.r_[np.zeros(N_C), np.ones(N_T)]
Y = 2.0 + X @ np.array([0.5, -1.0, 0.25, 0.0]) + 0.3 * W * (1 + X[:, 0]) + RNG.normal(size=W.size)
IN = [W == 0, W == 1]
ARMS = [JointMoments.of_columns(Y[IN[w]], *X[IN[w]].T) for w in (0, 1)]
METRIC = mean_of(0, covariates=range(1, K + 1))


def ols(design: np.ndarray) -> tuple[float, float, int]:
    """Coefficient of column 1, its classical standard error, df; from unit rows."""
    beta, *_ = np.linalg.lstsq(design, Y, rcond=None)
    df = Y.size - design.shape[1]
    variance = ((Y - design @ beta) ** 2).sum() / df * np.linalg.inv(design.T @ design)
    return float(beta[1]), math.sqrt(variance[1, 1]), df


def test_adjustment_from_moments_is_ols_on_unit_rows():
    centred = X - X.mean(axis=0)
    got = cuped(METRIC, *ARMS, how=Cuped(slopes="within", variance="common"))
    effect, std_error, df = ols(np.column_stack([np.ones_like(W), W, centred]))
    assert got.effect == pytest.approx(effect, rel=1e-9)
    assert got.std_error == pytest.approx(std_error, rel=1e-9)
    assert got.df == df


def test_adjustment_per_arm_is_lins_interacted_ols_on_unit_rows():
    centred = X - X.mean(axis=0)
    got = cuped(METRIC, *ARMS, how=Cuped(slopes="per_arm", variance="common"))
    design = np.column_stack([np.ones_like(W), W, centred, centred * W[:, None]])
    effect, std_error, df = ols(design)
    assert got.effect == pytest.approx(effect, rel=1e-9)
    assert got.std_error == pytest.approx(std_error, rel=1e-9)
    assert got.df == df


@pytest.mark.parametrize("slopes", ["pooled", "within", "summed", "per_arm"])
@pytest.mark.parametrize("target", ["sample", "population"])
def test_every_kind_of_slopes_takes_most_of_what_covariates_know(slopes: str, target: str):
    got = cuped(METRIC, *ARMS, how=Cuped(slopes=slopes, target=target))
    r2 = min(optimal_reduction(arm, METRIC) for arm in ARMS)
    assert r2 - 0.1 < got.variance_reduction < 1.0
    assert got.unadjusted == mean_of().estimate(*ARMS)
    assert got.warnings == ()


def test_both_anchors_give_the_same_effect_and_error():
    adjusted = cuped(METRIC, *ARMS)
    raw = cuped(METRIC, *ARMS, how=Cuped(relative_to="unadjusted"))
    assert raw.effect == pytest.approx(adjusted.effect, rel=1e-12)
    assert raw.variance == pytest.approx(adjusted.variance, rel=1e-9)
    assert raw.values[0] == pytest.approx(ARMS[0].means[0])
    assert adjusted.values[0] != pytest.approx(raw.values[0], rel=1e-6)


def test_the_overall_covariate_mean_counts_only_off_the_difference():
    sample = cuped(METRIC, *ARMS)
    population = cuped(METRIC, *ARMS, how=Cuped(target="population"))
    assert population.variance == pytest.approx(sample.variance, rel=1e-9)
    assert population.covariance[0][0] > sample.covariance[0][0]
    assert population.covariance[0][1] > 0.0


@pytest.mark.parametrize("slopes", ["pooled", "within", "summed", "per_arm"])
def test_adjustment_keeps_its_digits_when_means_are_huge(slopes: str):
    how = Cuped(slopes=slopes)
    moved = [
        JointMoments(n=arm.n, means=tuple(m + 1e9 for m in arm.means), cross=arm.cross)
        for arm in ARMS
    ]
    near, far = cuped(METRIC, *ARMS, how=how), cuped(METRIC, *moved, how=how)
    assert far.effect == pytest.approx(near.effect, abs=4e-6)
    assert far.std_error == pytest.approx(near.std_error, rel=1e-6)


@pytest.mark.parametrize("slopes", ["pooled", "within", "summed", "per_arm"])
def test_copies_of_a_covariate_get_a_ridge_and_change_nothing(slopes: str):
    x = X[:, 1]
    one = [JointMoments.of_columns(Y[IN[w]], x[IN[w]]) for w in (0, 1)]
    three = [JointMoments.of_columns(Y[IN[w]], *[x[IN[w]]] * 3) for w in (0, 1)]
    how = Cuped(slopes=slopes)
    alone = cuped(mean_of(0, covariates=[1]), *one, how=how)
    copies = cuped(mean_of(0, covariates=[1, 2, 3]), *three, how=how)
    assert copies.warnings == ("ridge",)
    assert copies.effect == pytest.approx(alone.effect, rel=1e-6)
    # Per arm, each slope costs its degree of freedom although the copies explain nothing new.
    lost = {"per_arm": (N_C - 2) / (N_C - 4)}.get(slopes, 1.0)
    assert copies.std_error == pytest.approx(alone.std_error * math.sqrt(lost), rel=1e-3)


@pytest.mark.parametrize("slopes", ["pooled", "within", "summed", "per_arm"])
def test_a_constant_covariate_is_left_out(slopes: str):
    arms = [JointMoments.of_columns(Y[IN[w]], X[IN[w], 0], 0 * W[IN[w]] + 7) for w in (0, 1)]
    how = Cuped(slopes=slopes)
    with_it = cuped(mean_of(0, covariates=[1, 2]), *arms, how=how)
    without = cuped(mean_of(0, covariates=[1]), *arms, how=how)
    assert with_it.warnings == ("covariate_is_constant",)
    assert with_it.effect == pytest.approx(without.effect)


@pytest.mark.parametrize("slopes", ["pooled", "within", "summed", "per_arm"])
def test_a_covariate_that_is_equal_everywhere_leaves_the_plain_estimate(slopes: str):
    arms = [JointMoments.of_columns(Y[IN[w]], 0 * W[IN[w]] + 7) for w in (0, 1)]
    got = cuped(mean_of(0, covariates=[1]), *arms, how=Cuped(slopes=slopes))
    assert got.warnings == ("covariates_do_not_vary",)
    assert got.covariance == mean_of().estimate(*arms).covariance


def test_an_adjustment_that_makes_it_worse_is_not_made():
    # By hand: the covariate's only use is between the arms, so its slope adds to both variances.
    rows = [1.0, 2.0, 3.0, 4.0]
    noise = [1.0, -1.0, -1.0, 1.0]
    control = JointMoments.of_columns(rows, noise)
    treatment = JointMoments.of_columns([10 + r for r in rows], [5 + x for x in noise])
    metric = mean_of(0, covariates=[1])
    assert cuped(metric, control, treatment).warnings == ("covariates_did_not_help",)
    worse = cuped(metric, control, treatment, how=Cuped(keep_worse=True))
    assert worse.variance_reduction < 0.0


def test_too_few_units_for_the_covariates_leave_the_plain_estimate():
    arms = [JointMoments.of_columns(Y[:4], *X[:4].T), ARMS[1]]
    got = cuped(METRIC, *arms, how=Cuped(slopes="per_arm"))
    assert got.warnings == ("too_few_units_for_covariates",)


def test_a_covariate_that_is_the_metric_itself_leaves_the_plain_estimate():
    arms = [JointMoments.of_columns(Y[IN[w]], Y[IN[w]]) for w in (0, 1)]
    got = cuped(mean_of(0, covariates=[1]), *arms, how=Cuped(slopes="within"))
    assert got.warnings == ("covariates_explain_everything",)


@pytest.mark.parametrize("n", [0, 1])
def test_a_variant_without_spread_has_a_reason(n: int):
    few = JointMoments.of_columns(Y[:n], *X[:n].T) if n else JointMoments.none(K + 1)
    got = cuped(METRIC, few, ARMS[1])
    assert got.reason == ("one_unit" if n else "empty_variant")


def test_ratio_metrics_take_mixed_covariates():
    size = 1.0 + RNG.poisson(2.0, W.size)
    arms = [
        JointMoments.of_columns((Y * size)[IN[w]], size[IN[w]], X[IN[w], 0], X[IN[w], 1])
        for w in (0, 1)
    ]
    got = cuped(ratio_of(0, 1, covariates=[2, (3, 1)]), *arms)
    assert got.variance_reduction > 0.3


def test_several_treatments_are_adjusted_to_one_center():
    got = cuped(proportion_of(0, covariates=[1]), *ARMS, ARMS[0])
    assert got.values[2] == pytest.approx(got.values[0])
    assert got.pair(0, 1).variance_reduction == pytest.approx(got.variance_reduction)


def test_slopes_from_linears_alone_are_those_of_the_moments():
    whole = cuped(METRIC, *ARMS)
    alone = adjust([METRIC.linear(arm) for arm in ARMS])
    assert alone.effect == pytest.approx(whole.effect, rel=1e-12)
    assert alone.std_error == pytest.approx(whole.std_error, rel=1e-12)


def test_solving_without_any_covariate_that_varies_gives_no_slopes():
    slopes, warnings = solve(np.zeros((2, 2)), np.zeros(2))
    assert slopes.tolist() == [0.0, 0.0]
    assert warnings == ("covariate_is_constant",)


def test_nothing_is_reduced_where_nothing_is_known():
    assert optimal_reduction(JointMoments.none(2), mean_of(0, covariates=[1])) is None


def test_classical_error_is_that_of_least_squares_whatever_units_covariates_have():
    # Symptom: beside a covariate 1e9 times as large, a small one was taken for rounding, and the
    # standard error was wrong by 0.2 %.
    rng = np.random.default_rng(4)
    n = 200
    x = rng.normal(size=(n, 2)) * [1e5, 1e-4]
    treated = np.repeat([0.0, 1.0], n // 2)
    x[:, 1] += 5e-5 * treated
    y = 3.0 * x[:, 1] / 1e-4 + treated + rng.normal(size=n)
    moments = [
        JointMoments.of_columns(y[part], *x[part].T) for part in (treated == 0, treated == 1)
    ]
    how = Cuped(slopes="within", variance="common")
    found = cuped(mean_of(0, covariates=[1, 2]), *moments, how=how)
    design = np.column_stack([np.ones(n), treated, x / [1e5, 1e-4]])
    beta, left, *_ = np.linalg.lstsq(design, y, rcond=None)
    error = math.sqrt(left[0] / (n - 4) * np.linalg.inv(design.T @ design)[1, 1])
    assert found.effect == pytest.approx(beta[1], rel=1e-9)
    assert found.std_error == pytest.approx(error, rel=1e-9)
