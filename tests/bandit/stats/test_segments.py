import math

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.stats.estimate import Estimate
from bandit.stats.joint import JointMoments
from bandit.stats.linear import mean_of
from bandit.stats.segments import (
    assignment_dependence,
    heterogeneity,
    heterogeneity_of,
    novelty,
)

RNG = np.random.default_rng(4)


def segment(effect: float, n: int = 400) -> Estimate:
    arms = RNG.normal(5.0, 1.0, n), RNG.normal(5.0 + effect, 1.0, n)
    return mean_of().estimate(*(JointMoments.of_columns(arm) for arm in arms))


def test_q_of_two_segments_is_the_squared_z_of_their_difference():
    a, b = segment(0.1), segment(0.4)
    got = heterogeneity({"a": a, "b": b})
    z = (a.effect - b.effect) / math.sqrt(a.variance + b.variance)
    assert got.q == pytest.approx(z**2)
    assert got.p_value == pytest.approx(math.erfc(abs(z) / math.sqrt(2)))


def test_equal_effects_are_shrunk_to_one():
    got = heterogeneity_of({"a": (1.0, 0.2), "b": (1.0, 0.4), "c": (1.0, 0.1)})
    assert (got.q, got.tau2, got.i2) == (pytest.approx(0.0), 0.0, 0.0)
    assert {round(s.shrunk, 12) for s in got.segments.values()} == {1.0}
    assert got.fixed_error == pytest.approx((25 + 6.25 + 100) ** -0.5)


def test_paule_mandel_meets_its_own_equation():
    effects = {str(j): (x, 0.3) for j, x in enumerate([0.1, 1.5, 2.0, -0.7])}
    got = heterogeneity_of(effects, between="paule_mandel")
    weighted = [(x - got.random) ** 2 / (s**2 + got.tau2) for x, s in effects.values()]
    assert sum(weighted) == pytest.approx(3.0)
    even = heterogeneity_of({"a": (1.0, 1.0), "b": (1.1, 1.0)}, between="paule_mandel")
    assert even.tau2 == 0.0


def test_shrinkage_is_nearer_the_truth_than_what_was_measured():
    truth = RNG.normal(1.0, 0.3, size=60)
    error = RNG.uniform(0.2, 0.8, size=60)
    seen = RNG.normal(truth, error)
    got = heterogeneity_of({str(j): pair for j, pair in enumerate(zip(seen, error, strict=True))})
    shrunk = np.array([s.shrunk for s in got.segments.values()])
    assert ((shrunk - truth) ** 2).mean() < 0.6 * ((seen - truth) ** 2).mean()
    inside = [
        s.shrunk_ci_low <= x <= s.shrunk_ci_high
        for s, x in zip(got.segments.values(), truth, strict=True)
    ]
    assert np.mean(inside) > 0.95 - 4.4 * math.sqrt(0.95 * 0.05 / 60)


def test_equal_effects_are_told_apart_in_five_of_a_hundred_only():
    runs = 800
    hits = sum(
        heterogeneity({k: segment(0.2, 60) for k in "abc"}, scale=scale).p_value < 0.05
        for scale in ("absolute", "relative")
        for _ in range(runs // 2)
    )
    assert abs(hits / runs - 0.05) <= 4.4 * math.sqrt(0.05 * 0.95 / runs)


def test_an_interaction_of_two_experiments_is_their_segments_difference():
    same = {"other/control": segment(0.3), "other/treatment": segment(0.3)}
    crossed = {"other/control": segment(0.3), "other/treatment": segment(-0.3)}
    assert heterogeneity(same).p_value > 0.001
    assert heterogeneity(crossed).p_value < 1e-6


def test_segments_that_say_nothing_are_named():
    empty = mean_of().estimate(JointMoments.none(1), JointMoments.none(1))
    got = heterogeneity({"a": segment(0.1), "b": segment(0.2), "gone": empty})
    assert (got.left_out, got.df) == (("gone",), 1)
    alone = heterogeneity({"a": segment(0.1), "gone": empty})
    assert (alone.reason, alone.p_value, alone.left_out) == ("few_segments", None, ("gone",))


@pytest.mark.parametrize("error", [0.0, -1.0, math.nan, math.inf])
def test_standard_errors_must_be_above_zero(error: float):
    with pytest.raises(RecordError, match="above 0"):
        heterogeneity_of({"a": (1.0, error), "b": (1.0, 1.0)})


def test_dependent_assignments_are_found():
    even = {"a": {"x": 500, "y": 510}, "b": {"x": 495, "y": 505}}
    uneven = {"a": {"x": 500, "y": 510}, "b": {"x": 600, "y": 400}}
    assert assignment_dependence(even).p_value > 0.5
    assert assignment_dependence(uneven).p_value < 1e-4


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({}, "one_variant"),
        ({"a": {"x": 3}}, "one_variant"),
        ({"a": {"x": 30, "y": 20}, "b": {}}, "one_variant"),
        ({"a": {"x": 3, "y": 2}, "b": {"x": 2, "y": 4}}, "few_units"),
    ],
)
def test_a_table_that_can_not_be_tested_has_a_reason(table: dict, reason: str):
    assert assignment_dependence(table).reason == reason


def test_a_trend_is_the_weighted_regression():
    # statsmodels' normal equations by hand: (X'WX)⁻¹X'Wd with W = 1/se².
    days = {float(j): (0.5 - 0.03 * j + RNG.normal(0, 0.05), 0.05 + 0.01 * j) for j in range(1, 9)}
    got = novelty(days)
    x = np.column_stack([np.ones(8), list(days)])
    w = np.array([1 / s**2 for _, s in days.values()])
    inverse = np.linalg.inv((x.T * w) @ x)
    beta = inverse @ (x.T * w) @ np.array([d for d, _ in days.values()])
    assert (got.intercept, got.slope) == pytest.approx(tuple(beta))
    assert got.slope_error == pytest.approx(math.sqrt(inverse[1, 1]))
    assert got.verdict == "novelty"


def test_a_log_curve_is_linear_in_the_log():
    days = {float(j): (1.0 - 0.2 * math.log(j), 0.01) for j in range(1, 10)}
    got = novelty(days, curve="log")
    assert (got.intercept, got.slope) == pytest.approx((1.0, -0.2))


def test_effects_that_move_away_from_zero_grow():
    assert novelty({j: (-0.1 * j, 0.02) for j in range(1, 6)}).verdict == "growth"
    assert novelty(dict.fromkeys(range(1, 6), (0.3, 0.02))).verdict == "steady"


@pytest.mark.parametrize("days", [{}, {1.0: (0.1, 0.1), 2.0: (0.2, 0.1), 3.0: (0.2, 0.0)}])
def test_two_days_have_no_trend(days: dict):
    assert novelty(days).reason == "few_days"
