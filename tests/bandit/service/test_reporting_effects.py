"""Both judgements of a metric, against the engines by hand."""

import pytest

from bandit.service.reporting_effects import TUNED_FOR, metric_effect
from bandit.specs import Metric
from bandit.stats import Estimate, Moments, welch
from bandit.stats.moments import NONE
from bandit.stats.sequential import compare_anytime

METRIC = Metric(key="spend", source="outcome", name="spend", better="lower", description="euros")
CONTROL = Moments(n=3000, mean=10.0, m2=2999 * 60.0)
TREATMENT = Moments(n=2000, mean=10.8, m2=1999 * 40.0)


def judged(control: Moments, treatment: Moments, alpha: float = 0.05):
    return metric_effect(METRIC, ("c", control), ("t", treatment), alpha, is_primary=False)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_both_judgements_are_the_engines_of_the_same_moments(alpha: float):
    got = judged(CONTROL, TREATMENT, alpha)
    by_hand = Estimate(
        n=(3000, 2000),
        values=(10.0, 10.8),
        covariance=((60.0 / 3000, 0.0), (0.0, 40.0 / 2000)),
        dfs=(2999.0, 1999.0),
        kind="mean",
    )
    expected = compare_anytime(by_hand, alpha=alpha, tuned_for=5000.0)
    for name in (
        "effect",
        "effect_ci_low",
        "effect_ci_high",
        "relative_effect",
        "relative_ci_low",
        "relative_ci_high",
        "p_value",
    ):
        assert getattr(got.anytime, name) == pytest.approx(getattr(expected, name), rel=1e-12)
    assert got.anytime.sequential == expected.sequential
    assert got.effect == welch(CONTROL, TREATMENT, alpha)
    assert (got.effect.alpha, got.anytime.alpha) == (alpha, alpha)
    assert got.anytime.sequential.tuning == TUNED_FOR


def test_what_holds_at_any_look_is_wider_around_the_same_effect():
    got = judged(CONTROL, TREATMENT)
    assert got.anytime.effect == got.effect.effect
    assert got.anytime.effect_ci_low < got.effect.effect_ci_low
    assert got.anytime.effect_ci_high > got.effect.effect_ci_high
    assert (got.judged(planned=True), got.judged(planned=False)) == (got.effect, got.anytime)


def test_which_metric_and_variants_it_is_about():
    got = judged(CONTROL, TREATMENT)
    assert (got.metric, got.description, got.per, got.better) == ("spend", "euros", "unit", "lower")
    assert (got.control, got.treatment, got.is_primary) == ("c", "t", False)


@pytest.mark.parametrize(
    ("control", "treatment", "planned", "anytime"),
    [
        (NONE, TREATMENT, "empty_variant", "empty_variant"),
        (Moments.of([1.0]), TREATMENT, "one_unit", "one_unit"),
        (Moments.of([1.0] * 60), Moments.of([1.0] * 60), "no_variance", "no_variance"),
        (Moments.of([0.0, 2.0] * 20), Moments.of([0.0, 3.0] * 20), None, "few_units"),
        (CONTROL, TREATMENT, None, None),
    ],
)
def test_no_interval_without_its_reason(
    control: Moments, treatment: Moments, planned: str | None, anytime: str | None
):
    got = judged(control, treatment)
    assert (got.effect.reason, got.anytime.reason) == (planned, anytime)
    for effect in (got.effect, got.anytime):
        assert (effect.effect_ci_low is None) == (effect.reason is not None)
        assert (effect.relative_ci_low is None) == (effect.relative_reason is not None)
