"""An experiment judged from sums: each number is the engine's own, called directly."""

import math

import msgspec
import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.service.judging import Judged, judge
from bandit.specs import Metric
from bandit.specs.metrics import Denominator
from bandit.stats import (
    Margin,
    Share,
    adjusted,
    compare,
    compare_shares,
    cuped,
    estimate_of,
    mean_of,
    non_inferiority,
    posterior_of,
    proportion_of,
    quantile_of,
    ratio_of,
    share_posterior,
)
from bandit.stats.sequential import compare_anytime
from bandit.store.numbers import ExperimentNumbers
from tests.bandit.service.making_numbers import (
    MEANS,
    arrivals,
    counts_of,
    exactly,
    experiment_of,
    judged,
    metric_of,
    moments_of,
    normal,
    numbers_of,
    slice_of,
)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_a_mean_is_judged_by_welch_and_by_a_confidence_sequence(alpha: float):
    [found] = judged(MEANS, alpha=alpha).effects
    estimate = mean_of().estimate(*MEANS.by_variant.values())
    fixed, anytime = compare(estimate, alpha=alpha), compare_anytime(estimate, alpha=alpha)
    for name in ("effect", "effect_ci_low", "relative_ci_high", "std_error", "df", "p_value"):
        assert getattr(found.effect, name) == getattr(fixed, name)
        assert getattr(found.anytime, name) == getattr(anytime, name)
    assert (found.role, found.is_primary, found.planned) == ("primary", True, None)
    assert found.by("fixed") == found.effect
    assert found.by("planned") == found.by("anytime") == found.anytime


def test_covariates_are_taken_out_and_the_effect_without_them_is_beside():
    x = {"c": normal(3, 300), "t": normal(4, 350)}
    y = {
        key: [
            v + e + 0.3 * (key == "t") for v, e in zip(x[key], normal(5, 400, 0, 0.5), strict=False)
        ]
        for key in x
    }
    z = {"c": normal(6, 300), "t": normal(7, 350)}
    numbers = moments_of(
        "reward",
        {key: [y[key], x[key], z[key]] for key in x},
        ("value", "covariate", "covariate:visits"),
    )
    [found] = judged(numbers).effects
    moments = list(numbers.by_variant.values())
    expected = compare(cuped(mean_of(0, covariates=[1, 2]), *moments))
    assert found.effect.effect == pytest.approx(expected.effect, rel=1e-12)
    assert found.effect.std_error == pytest.approx(expected.std_error, rel=1e-12)
    assert found.effect.variance_reduction > 0.8
    plain = compare(mean_of().estimate(*moments))
    assert found.effect.unadjusted.p_value == plain.p_value
    assert found.anytime.unadjusted.effect == plain.effect


def test_a_capped_metric_shows_the_uncapped_one_and_covariates_are_taken_away_first():
    x = {"c": normal(3, 300), "t": normal(4, 350)}
    y = {key: [v * v / 10 for v in rows] for key, rows in x.items()}
    capped = {key: [min(v, 15.0) for v in rows] for key, rows in y.items()}
    columns = {key: [capped[key], y[key], x[key]] for key in x}
    both = moments_of("reward", columns, ("value", "uncapped", "covariate"), cap=15.0)
    [found] = judged(both).effects
    effect = found.effect
    assert (effect.cap, effect.unadjusted.cap, effect.unadjusted.unadjusted.cap) == (15, 15, None)
    uncapped = compare(mean_of(1).estimate(*both.by_variant.values()))
    assert effect.unadjusted.unadjusted.effect == uncapped.effect
    assert effect.unadjusted.effect == compare(mean_of().estimate(*both.by_variant.values())).effect
    only = moments_of(
        "reward", {key: columns[key][:2] for key in x}, ("value", "uncapped"), cap=15.0
    )
    assert judged(only).effects[0].effect.unadjusted.effect == uncapped.effect


def test_large_shares_are_proportions_and_small_ones_exact():
    conversion = metric_of("reward", type="proportion")
    large = counts_of("reward", c=(200, 4000), t=(260, 4000))
    [found] = judged(large, conversion).effects
    expected = compare(proportion_of().estimate(*large.by_variant.values()))
    assert (found.effect.std_error, found.effect.method) == (expected.std_error, "welch")
    [found] = judged(counts_of("reward", c=(1, 80), t=(12, 80)), conversion).effects
    assert found.effect.method == "barnard"
    exact = compare_shares(Share(1, 80), Share(12, 80))
    assert (found.effect.effect_ci_low, found.effect.p_value) == (
        exact.effect_ci_low,
        exact.p_value,
    )
    assert found.anytime.method == "beta_binomial_sequence"
    assert found.bayes.method == "beta_binomial"
    assert found.bayes.chance_to_win == share_posterior(Share(1, 80), Share(12, 80)).chance_to_win


def test_retention_is_a_proportion():
    kept = metric_of("reward", type="retention", from_s=100.0, window_s=100.0)
    [found] = judged(counts_of("reward", c=(300, 1000), t=(350, 1000)), kept).effects
    assert (found.effect.kind, found.type) == ("proportion", "retention")


def test_a_ratio_is_judged_by_the_delta_method_with_its_own_ratio_before_as_covariate():
    rng = np.random.default_rng(8)
    rows = {}
    for key, n in (("c", 500), ("t", 600)):
        size, before = rng.poisson(5, n) + 1, rng.poisson(5, n) + 1
        rows[key] = [
            rng.binomial(size, 0.4), size, rng.binomial(before, 0.4), before
        ]  # fmt: skip
    names = ("value", "denominator", "covariate", "covariate_denominator")
    numbers = moments_of("reward", rows, names)
    metric = metric_of(type="ratio", denominator=Denominator(source="decision"))
    [found] = judged(numbers, metric).effects
    expected = cuped(ratio_of(0, 1, covariates=[(2, 3)]), *numbers.by_variant.values())
    assert found.effect.effect == pytest.approx(expected.effect, rel=1e-12)
    assert found.effect.std_error == pytest.approx(expected.std_error, rel=1e-12)


def test_a_ratio_of_which_nothing_came_before_goes_without_that_covariate():
    rows = {key: [[1.0, 0.0, 2.0], [2.0, 1.0, 3.0], [0.0] * 3, [0.0] * 3] for key in "ct"}
    names = ("value", "denominator", "covariate", "covariate_denominator")
    metric = metric_of(type="ratio", denominator=Denominator(source="decision"))
    [found] = judged(moments_of("reward", rows, names), metric).effects
    assert found.effect.p_value == pytest.approx(1.0)
    assert "covariates_do_not_vary" in found.effect.warnings


def test_a_quantile_is_judged_by_its_order_statistics():
    metric = metric_of(type="quantile", quantile=0.9)
    rows = {"c": [normal(9, 800)], "t": [normal(10, 800, 10.5)]}
    numbers = moments_of("reward", rows, quantile=0.9)
    [found] = judged(numbers, metric).effects
    expected = compare(estimate_of(*(quantile_of(numbers.orders[key]) for key in "ct")))
    assert (found.effect.effect, found.effect.p_value) == (expected.effect, expected.p_value)


def test_belief_is_of_the_good_direction():
    worse = moments_of("reward", {"c": [normal(1, 400)], "t": [normal(2, 400, 9.8)]})
    high = judged(worse).effects[0].bayes
    low = judged(worse, metric_of(better="lower")).effects[0].bayes
    normal_one = posterior_of(mean_of().estimate(*worse.by_variant.values()))
    assert high.chance_to_win == normal_one.chance_to_win
    assert low.chance_to_win == pytest.approx(1.0 - high.chance_to_win)
    assert (low.expected_loss, low.control_loss) == (high.control_loss, high.expected_loss)


# Guardrails.

LATENCY = metric_of("latency", better="lower", margin=0.02)


def guarded(
    treatment: float, *, sd: float = 5.0, n: int = 4000, metric: Metric = LATENCY
) -> Judged:
    numbers = numbers_of(
        moments_of("reward", {"c": [exactly(n, 10.0, 2.0)], "t": [exactly(n, 11.0, 2.0)]}),
        moments_of("latency", {"c": [exactly(n, 100.0, sd)], "t": [exactly(n, treatment, sd)]}),
    )
    experiment = experiment_of(guardrails=["latency"])
    return judge(numbers, experiment, [metric_of(), metric], alpha=0.05)


@pytest.mark.parametrize(
    ("treatment", "sd", "state"),
    [(100.5, 5.0, "ok"), (104.0, 5.0, "violated"), (101.0, 80.0, "unclear"), (90.0, 5.0, "ok")],
)
def test_a_guardrail_holds_is_violated_or_is_not_known(treatment, sd, state):
    found = next(e for e in guarded(treatment, sd=sd).effects if e.role == "guardrail")
    assert found.guardrail == state
    assert found.non_inferiority.hypothesis == "non_inferiority"
    assert found.non_inferiority.margin == 0.02
    assert (found.non_inferiority.p_value <= 0.05) == (state == "ok")


def test_at_one_look_a_guardrail_is_the_fixed_non_inferiority():
    numbers = moments_of("latency", {"c": [normal(1, 900, 100)], "t": [normal(2, 900, 101)]})
    experiment = experiment_of(metrics=[], guardrails=["latency"])
    found = judge(
        numbers_of(numbers), experiment, [LATENCY], alpha=0.1, sequential="fixed"
    ).effects[0]
    expected = non_inferiority(
        mean_of().estimate(*numbers.by_variant.values()),
        Margin(0.02, "relative"),
        better="lower",
        alpha=0.1,
    )
    assert found.non_inferiority.p_value == pytest.approx(expected.p_value)
    assert found.non_inferiority.relative_ci_high == expected.relative_ci_high


@pytest.mark.parametrize("mode", ["fixed", "anytime"])
@pytest.mark.parametrize(
    ("treatment", "state"), [((3, 4000), "ok"), ((160, 4000), "violated"), ((1, 40), "unclear")]
)
def test_a_guardrail_of_rare_events_is_judged_exactly(mode, treatment, state):
    crash = metric_of("crash", type="proportion", better="lower", margin=0.01)
    crash = msgspec.structs.replace(crash, margin_scale="absolute")
    numbers = counts_of("crash", c=(2, 4000), t=treatment)
    experiment = experiment_of(metrics=[], guardrails=["crash"])
    found = judge(numbers_of(numbers), experiment, [crash], alpha=0.05, sequential=mode).effects[0]
    assert found.guardrail == state
    assert (
        found.non_inferiority.method
        == {"fixed": "score", "anytime": "beta_binomial_sequence"}[mode]
    )


# Families.

THREE = {
    "c": [exactly(400, 10.0, 2.0)],
    "a": [exactly(400, 10.3, 2.0)],
    "b": [exactly(400, 10.5, 2.0)],
}


@pytest.mark.parametrize("correction", ["holm", "hochberg", "bh"])
@pytest.mark.parametrize("mode", ["fixed", "anytime"])
def test_treatments_share_the_primarys_alpha(correction: str, mode: str):
    experiment = experiment_of(("a", "b"), correction=correction)
    got = judge(
        numbers_of(moments_of("reward", THREE)), experiment, [metric_of()], alpha=0.05,
        sequential=mode,
    )  # fmt: skip
    effects = [found.by(mode) for found in got.effects]
    expected = adjusted([effect.p_value for effect in effects], correction)
    assert [e.p_value_adjusted for e in effects] == [one.p_value for one in expected]
    assert {e.correction for e in effects} == {correction}
    for effect in effects:
        assert effect.adjusted_ci_low <= effect.effect_ci_low
        # One mixture for all levels: the sequence at alpha/2 and its p-value agree.
        if correction != "bh":
            left_out = effect.adjusted_ci_low > 0.0
            assert left_out == (effect.p_value <= 0.025)


def test_a_single_treatment_has_the_whole_alpha_and_secondary_metrics_share_another():
    numbers = numbers_of(
        moments_of("reward", {key: THREE[key] for key in "ca"} | {}),
        moments_of("clicks", {key: THREE[key] for key in "ca"}),
        moments_of("visits", {key: THREE[key] for key in "ca"}),
    )
    experiment = experiment_of(("a",), metrics=["reward", "clicks", "visits"])
    metrics = [metric_of(), metric_of("clicks"), metric_of("visits")]
    first, *others = judge(numbers, experiment, metrics, alpha=0.05, sequential="fixed").effects
    assert first.effect.p_value_adjusted == first.effect.p_value
    assert first.effect.alpha_adjusted == 0.05
    for other in others:
        assert (other.role, other.effect.alpha_adjusted) == ("secondary", 0.025)
        assert other.effect.p_value_adjusted == pytest.approx(2 * other.effect.p_value)


def test_without_a_correction_nothing_is_adjusted():
    experiment = experiment_of(("a", "b"), correction="none")
    got = judge(numbers_of(moments_of("reward", THREE)), experiment, [metric_of()], alpha=0.05)
    assert [found.effect.p_value_adjusted for found in got.effects] == [None, None]
    assert "judged at this level by itself" in got.verdict.reason


def test_another_treatment_changes_no_comparison_but_by_the_correction():
    alone = judge(
        numbers_of(moments_of("reward", {key: THREE[key] for key in "ca"})),
        experiment_of(("a",), correction="none"), [metric_of()], alpha=0.05,
    )  # fmt: skip
    beside = judge(
        numbers_of(moments_of("reward", THREE)), experiment_of(("a", "b"), correction="none"),
        [metric_of()], alpha=0.05,
    )  # fmt: skip
    assert alone.effects[0] == beside.effects[0]


# The split.


def test_the_split_is_watched_by_the_sequence_and_judged_once_by_chi_square():
    # 5,200 and 4,800: chi-square p = 6e-5, the sequence has p = 0.006.
    rows = moments_of("reward", {"c": [exactly(5200, 10.0, 2.0)], "t": [exactly(4800, 10.0, 2.0)]})
    watched, once = judged(rows), judged(rows, sequential="fixed")
    assert watched.srm == once.srm
    assert (watched.srm.verdict, watched.srm_sequential.verdict) == ("mismatch", "mismatch")
    assert (watched.verdict.state, once.verdict.state) == ("broken", "broken")
    # 288 and 212: chi-square alone alarms, which watched it does too often.
    rows = moments_of("reward", {"c": [exactly(288, 10.0, 2.0)], "t": [exactly(212, 10.0, 2.0)]})
    watched, once = judged(rows), judged(rows, sequential="fixed")
    assert (watched.srm.verdict, watched.srm_sequential.verdict) == ("mismatch", "fine")
    assert (watched.verdict.state, once.verdict.state) == ("unclear", "broken")


def test_a_gross_mismatch_is_told_in_few_units():
    rows = {"c": [exactly(140, 10.0, 2.0)], "t": [exactly(60, 10.0, 2.0)]}
    assert judged(moments_of("reward", rows)).verdict.state == "broken"


@pytest.mark.parametrize(("n", "state"), [(8, "unclear"), (12, "broken")])
def test_an_empty_variant_is_told_as_soon_as_chance_can_not_explain_it(n: int, state: str):
    got = judged(moments_of("reward", {"c": [exactly(n, 10.0, 2.0)]}))
    assert got.verdict.state == state
    assert got.effects[0].effect.reason == "empty_variant"


def test_units_that_are_left_out_are_counted_and_told():
    numbers = numbers_of(MEANS, crossed_n=3, forced_n=2, bots_n={"c": 4, "t": 1})
    got = judge(numbers, experiment_of(), [metric_of()], alpha=0.05)
    assert (got.crossed_units_n, got.forced_units_n, got.bots_units_n) == (3, 2, 5)
    assert [group.bots_n for group in got.variants] == [4, 1]
    for text in ("3 units were seen in two variants", "2 units were set by hand", "5 units made"):
        assert text in got.verdict.reason


# Properties.


# What is asked.


def test_a_level_out_of_range_and_a_plan_that_is_not_there_are_refused():
    with pytest.raises(RecordError, match=r"alpha is 1\.0, must be in \(0, 1\)"):
        judged(MEANS, alpha=1.0)
    with pytest.raises(RecordError, match="declares no looks and planned_units"):
        judged(MEANS, sequential="planned")


def test_the_outlook_tells_units_and_days_until_the_margin_is_found():
    numbers = numbers_of(
        moments_of("reward", {"c": [exactly(400, 10.0, 8.0)], "t": [exactly(400, 10.1, 8.0)]}),
        periods=arrivals({"c": 50, "t": 50}, days=8),
    )
    ahead = judge(numbers, experiment_of(), [metric_of()], alpha=0.05).effects[0].outlook
    assert (ahead.effect, ahead.relative_effect) == (0.5, 0.05)
    assert ahead.units_per_day == pytest.approx(100.0)
    assert ahead.days_more == pytest.approx(ahead.units_more / 100.0, rel=1e-3)
    once = judge(
        numbers, experiment_of(), [metric_of()], alpha=0.05, sequential="fixed"
    ).effects[0].outlook  # fmt: skip
    assert 0 < once.units_more < ahead.units_more
    # By hand: (1.96 + 0.84)² · 2 · 64 / 0.25 = 4,019 per variant, of which 400 are in.
    assert once.units_more == pytest.approx(2 * (4019 - 400), rel=0.01)
    assert once.mde == pytest.approx(2.8 * 8.0 * math.sqrt(2 / 400), rel=0.01)


def test_a_metric_of_which_nothing_comes_is_told():
    silent = moments_of("reward", {"c": [[0.0] * 300], "t": [[0.0] * 300]})
    got = judged(silent)
    assert "no_events" in got.effects[0].warnings
    assert "come in at all" in got.verdict.next_step


def test_a_metric_that_fell_silent_is_told_and_a_rare_one_is_not():
    def days(share: float) -> ExperimentNumbers:
        hits = round(1000 * share)
        loud = counts_of("reward", c=(hits, 1000), t=(hits, 1000))
        quiet = counts_of("reward", c=(0, 200), t=(0, 200))
        cut = [slice_of("first_day", f"2026-11-0{i}", loud) for i in (1, 2)]
        cut += [slice_of("first_day", f"2026-11-0{i}", quiet) for i in (3, 4)]
        whole = counts_of("reward", c=(2 * hits, 2400), t=(2 * hits, 2400))
        return numbers_of(whole, slices=cut)

    metric = metric_of(type="proportion")
    for share, warned in ((0.1, True), (0.005, False)):
        [found] = judge(days(share), experiment_of(), [metric], alpha=0.05).effects
        assert ("silent_lately" in found.warnings) == warned
