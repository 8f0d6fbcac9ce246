import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.stats import norm

from bandit.stats.bayes import (
    FLAT,
    NormalPrior,
    bayes_comparison,
    normal_best,
    normal_posterior,
)
from bandit.stats.fieller import relative_interval
from tests.bandit.stats.peers import cases, dataset, same


@cases("bayesian_normal")
def test_normal_posteriors_are_the_peers(case: dict[str, Any]):
    rows = dataset(case)
    values = [rows["control"]["y"], rows["treatment"]["y"]]
    chances, losses = normal_best(
        [float(y.mean()) for y in values],
        [float(y.std(ddof=1) / math.sqrt(len(y))) for y in values],
    )
    for k, row in enumerate(case["expected"]["rows"]):
        got = {
            "totals": len(values[k]),
            "sum_values": values[k].sum(),
            "avg_values": values[k].mean(),
            "posterior_mean": values[k].mean(),
            "prob_being_best": chances[k],
            "expected_loss": losses[k],
        }
        same(got, case, {key: row[key] for key in got})


@cases("bandit_thompson")
def test_best_variant_chances_are_the_peers(case: dict[str, Any]):
    params, means, sds, ends = case["params"], [], [], []
    for arm in case["inputs"]["arms"]:
        mean = arm["sum"] / arm["n"]
        variance = (arm["sumsq"] - arm["n"] * mean**2) / (arm["n"] - 1)
        prior = NormalPrior(mean=params["prior_mean"], sd=math.sqrt(params["prior_variance"]))
        found = normal_posterior(mean, math.sqrt(variance / arm["n"]), prior)
        means.append(found.mean)
        sds.append(found.sd)
        ends.append([found.ci_low, found.ci_high])
    chances, _ = normal_best(means, sds)
    floor, k = params["min_variation_weight"], len(means)
    got = {
        "posterior_mean": means,
        "posterior_variance": np.square(sds),
        "ci": ends,
        "best_arm_probabilities": chances,
        "weights": [floor + (1.0 - k * floor) * chance for chance in chances],
    }
    # The peer puts its interval of posterior width around the raw mean; ours is the posterior's.
    expected = {key: value for key, value in case["expected"].items() if key != "ci"}
    same(got, case, expected)
    widths = np.diff(case["expected"]["ci"], axis=1)
    assert np.diff(ends, axis=1) == pytest.approx(widths, rel=1e-8)


def test_a_flat_prior_leaves_the_fixed_horizons_intervals_on_both_scales():
    found = bayes_comparison(10.0, 10.6, 0.04, 0.05, prior=FLAT)
    reach = 1.959963984540054 * math.sqrt(0.09)
    assert (found.effect_ci_low, found.effect_ci_high) == pytest.approx((0.6 - reach, 0.6 + reach))
    fieller = relative_interval(10.0, 10.6, 0.04, 0.05, 1.959963984540054)
    assert (found.relative_ci_low, found.relative_ci_high) == pytest.approx(fieller)


def test_a_prior_says_the_same_on_whichever_scale_it_is_declared():
    relative = bayes_comparison(20.0, 21.0, 0.1, 0.1, prior=NormalPrior(mean=0.01, sd=0.03))
    absolute = bayes_comparison(
        20.0, 21.0, 0.1, 0.1, prior=NormalPrior(mean=0.2, sd=0.6, scale="absolute")
    )
    for name in ("effect", "effect_ci_low", "relative_ci_high", "chance_to_win", "treatment_loss"):
        assert getattr(relative, name) == pytest.approx(getattr(absolute, name), rel=1e-9)
    # gbstats ignores an absolute prior on a relative difference: there both posteriors are equal.
    ignored = bayes_comparison(20.0, 21.0, 0.1, 0.1, prior=NormalPrior(mean=0.2, sd=0.6))
    assert ignored.effect != pytest.approx(absolute.effect, rel=1e-2)


def test_the_relative_posterior_is_the_double_integral():
    # Second implementation: over the control's mean and δ, with scipy's adaptive quadrature.
    c, t, v_c, v_t, sd = 5.0, 5.8, 0.2, 0.3, 0.1

    def density(mu: float, delta: float) -> float:
        likelihood = norm.pdf(c, mu, math.sqrt(v_c)) * norm.pdf(t, (1 + delta) * mu, math.sqrt(v_t))
        return float(likelihood * norm.pdf(delta, 0.0, sd))

    found = bayes_comparison(c, t, v_c, v_t, prior=NormalPrior(sd=sd))
    whole = dblquad(density, -0.6, 0.6, 2.0, 8.0, epsabs=1e-7)[0]
    below = dblquad(density, -0.6, found.relative_ci_low, 2.0, 8.0, epsabs=1e-7)[0]
    assert below / whole == pytest.approx(0.025, abs=2e-4)


@pytest.mark.parametrize("z", [-30.0, -3.0, 0.0, 0.5, 4.0, 30.0])
def test_losses_differ_by_the_effect_and_are_never_negative(z: float):
    found = normal_posterior(z * 0.3, 0.3)
    assert found.control_loss - found.treatment_loss == pytest.approx(found.mean, abs=1e-12)
    assert min(found.control_loss, found.treatment_loss) >= 0.0


@pytest.mark.parametrize(
    ("arguments", "prior", "reason", "relative_reason"),
    [
        ((1.0, 2.0, 0.0, 0.0), FLAT, "no_variance", "no_variance"),
        ((0.0, 2.0, 0.1, 0.1), FLAT, None, "control_is_zero"),
        ((0.0, 2.0, 0.1, 0.1), NormalPrior(sd=0.1), "control_is_zero", "control_is_zero"),
        ((0.1, 2.0, 0.1, 0.1), FLAT, None, "control_near_zero"),
    ],
)
def test_what_can_not_be_given_has_a_reason(
    arguments: tuple, prior: NormalPrior, reason: Any, relative_reason: str
):
    found = bayes_comparison(*arguments, prior=prior)
    assert (found.reason, found.relative_reason) == (reason, relative_reason)
    assert (found.effect is None) == (reason is not None)
    assert found.relative_ci_low is None


def test_a_control_below_0_keeps_the_priors_sign():
    # A relative rise of a negative control is a fall: −20 × 0.1 = −2.
    found = bayes_comparison(-20.0, -22.0, 1.0, 1.0, prior=NormalPrior(mean=0.1, sd=0.01))
    assert found.effect == pytest.approx(-2.0, abs=1e-6)
    assert found.relative_effect == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize("bad", [{"sd": 0.0}, {"sd": -1.0}, {"mean": math.nan}])
def test_priors_that_are_no_normal_are_refused(bad: dict):
    with pytest.raises(ValueError, match="must be"):
        NormalPrior(**bad)
