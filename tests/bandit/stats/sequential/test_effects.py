import msgspec
import numpy as np
import pytest

from bandit.stats import Effect, Estimate, JointMoments, cuped, mean_of, ratio_of
from bandit.stats.adaptive import aipw_scores, running_means, weighted_means
from bandit.stats.bayes import posterior_of
from bandit.stats.sequential.effects import compare_anytime, compare_planned

RNG = np.random.default_rng(31)
X = RNG.standard_normal((2, 3000))
Y = 10.0 + 2.0 * X + RNG.standard_normal((2, 3000)) + np.array([[0.0], [0.4]])
CONTROL, TREATMENT = (JointMoments.of_columns(y, x + 20.0) for y, x in zip(Y, X, strict=True))

ESTIMATES = {
    "mean": mean_of().estimate(CONTROL, TREATMENT),
    "ratio": ratio_of(0, 1).estimate(CONTROL, TREATMENT),
    "cuped": cuped(mean_of(0, covariates=[1]), CONTROL, TREATMENT),
}


@pytest.mark.parametrize("name", ESTIMATES)
def test_every_estimator_goes_with_every_sequential_test(name: str):
    estimate = ESTIMATES[name]
    for found in (compare_anytime(estimate), compare_planned(estimate, (0.5, 1.0), looks=2)):
        assert found.reason is found.relative_reason is None
        assert found.effect_ci_low < found.effect < found.effect_ci_high
        assert found.relative_ci_low < found.relative_effect < found.relative_ci_high
        assert (found.kind, found.sequential is None) == (estimate.kind, False)
        assert (found.unadjusted is None) == (estimate.unadjusted is None)
        assert msgspec.json.decode(msgspec.json.encode(found), type=Effect) == found


def test_covariates_narrow_a_sequence_as_they_narrow_a_fixed_test():
    found = compare_anytime(ESTIMATES["cuped"])
    width = found.effect_ci_high - found.effect_ci_low
    plain = found.unadjusted.effect_ci_high - found.unadjusted.effect_ci_low
    assert (width / plain) ** 2 == pytest.approx(1.0 - found.variance_reduction, rel=1e-9)


def test_an_estimate_without_a_covariance_keeps_its_reason():
    nobody = Estimate(
        n=(5, 0),
        values=(1.0, None),
        covariance=None,
        dfs=(4.0, 0.0),
        kind="mean",
        reason="empty_variant",
    )
    for found in (compare_anytime(nobody), compare_planned(nobody, (0.5,)), posterior_of(nobody)):
        assert (found.reason, found.relative_reason) == ("empty_variant", "empty_variant")
        assert found.effect is found.effect_ci_low is None


def test_looks_that_can_not_be_given_say_why():
    few = Estimate(
        n=(20, 20),
        values=(1.0, 2.0),
        covariance=((0.1, 0.0), (0.0, 0.1)),
        dfs=(19.0, 19.0),
        kind="mean",
    )
    assert compare_anytime(few).reason == "few_units"
    assert compare_planned(few, (0.0005,)).reason == "nothing_to_spend"


def test_an_adaptive_log_goes_with_them_too():
    rng = np.random.default_rng(5)
    arms = rng.integers(0, 2, 2000)
    rewards = rng.normal(1.0 + 0.5 * arms)
    scores = aipw_scores(arms, rewards, np.full((2000, 2), 0.5), running_means(arms, rewards, 2))
    means = weighted_means(scores)
    estimate = means.estimate(0, 1, np.bincount(arms).tolist())
    assert estimate.std_error == pytest.approx(means.contrast(1, 0).std_error)
    assert compare_planned(estimate, (1.0,)).p_value == pytest.approx(
        means.contrast(1, 0).p_value, rel=1e-6
    )
    assert posterior_of(estimate).chance_to_win > 0.999
