import math
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from bandit.errors import NotEnoughData
from bandit.stats.adaptive import (
    Kind,
    action_weights,
    aipw_scores,
    effective_draws,
    policy_scores,
    policy_weights,
    predictable,
    running_means,
    running_regression,
    weighted_means,
)
from tests.bandit.stats.peers import FILE, cases, dataset, same

NAMES: dict[str, Kind] = {
    "uniform": "uniform",
    "propscore": "stable_variance",
    "twopoint": "two_point",
    "stablevar": "stable_variance",
    "minvar": "minimum_variance",
}


@cases("adaptive_inference")
def test_adaptive_means_are_the_peers(case: dict[str, Any]):
    log, params = dataset(case), case["params"]
    if "policy" in params:
        scores = aipw_scores(log["arms"], log["rewards"], log["probs"], log["muhat"])
        target = np.where((log["context"] > 0)[:, None], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
        weights = policy_weights(log["probs"], target, NAMES[params["weights"]])
        found = weighted_means(policy_scores(scores, target), weights)
        got = {"estimate": found.values[0], "se": found.std_errors[0]}
        same(got | {"variance": found.covariance[0][0]}, case, case["expected"])
        return
    if "scores" not in params:
        same(plain_means(log["arms"], log["rewards"]), case, case["expected"])
        return
    predictions = None if params["scores"] == "ipw" else log["muhat"]
    scores = aipw_scores(log["arms"], log["rewards"], log["probs"], predictions)
    found = weighted_means(scores, action_weights(log["probs"], NAMES[params["weights"]]))
    last = len(found.values) - 1
    contrasts = [found.contrast(last, k) for k in range(last)]
    radius = [found.interval(k)[1] - found.values[k] for k in range(last + 1)]
    got = {
        "estimate": found.values,
        "se": found.std_errors,
        "ci_radius": radius,
        "contrast_last_minus_others": [c.effect for c in contrasts],
        "contrast_se": [c.std_error for c in contrasts],
        "contrast_ci_radius": [c.effect_ci_high - c.effect for c in contrasts],
    }
    same(got, case, case["expected"])


def plain_means(arms: np.ndarray, rewards: np.ndarray) -> dict[str, Any]:
    """What a log without propensities allows, and what is wrong with it: see below."""
    by_arm = [rewards[arms == k] for k in range(int(arms.max()) + 1)]
    means = [float(rows.mean()) for rows in by_arm]
    errors = [float(rows.std() / math.sqrt(len(rows))) for rows in by_arm]
    return {
        "estimate": means,
        "se": errors,
        "contrast_last_minus_others": [means[-1] - mean for mean in means[:-1]],
        "contrast_se": [math.hypot(errors[-1], error) for error in errors[:-1]],
    }


def test_the_logs_predictions_are_running_means():
    log = {k: np.asarray(v) for k, v in FILE["datasets"]["bandit3"]["data"].items()}
    means = running_means(log["arms"], log["rewards"], 3)
    np.testing.assert_allclose(means, log["muhat"], atol=1e-4)


def test_a_running_line_is_the_least_squares_line_of_the_past():
    rng = np.random.default_rng(3)
    x = rng.standard_normal(40) + 1e6
    y = 2.0 * (x - 1e6) + rng.standard_normal(40)
    found = running_regression(y, x)
    for t in (5, 20, 39):
        slope, intercept = np.polyfit(x[:t] - 1e6, y[:t], 1)
        assert found[t] == pytest.approx(slope * (x[t] - 1e6) + intercept, rel=1e-6)
    # What comes later changes no prediction made before.
    assert running_regression(y[:20], x[:20]) == pytest.approx(found[:20])


def test_scores_have_the_actions_value_as_their_mean_whatever_is_predicted():
    # By enumeration over the drawn action: Σ_a e_a·score_w(a) = reward of w.
    e, value, m = np.array([0.7, 0.2, 0.1]), np.array([1.0, 5.0, -2.0]), [9.0, -4.0, 0.5]
    mean = sum(e[a] * aipw_scores([a], [value[a]], [e], [m])[0] for a in range(3))
    np.testing.assert_allclose(mean, value)


def test_two_point_weights_spend_the_whole_stick():
    e = np.random.default_rng(1).uniform(0.05, 0.9, (300, 2))
    weights = action_weights(e, "two_point")
    np.testing.assert_allclose((weights**2 / e).sum(axis=0), 1.0)


def test_two_point_weights_of_a_steady_policy_are_nearly_even():
    weights = action_weights(np.full((500, 1), 1.0), "two_point")
    np.testing.assert_allclose(weights, weights[0, 0])


def test_predictable_propensities_do_not_look_at_their_own_decision():
    e = np.random.default_rng(2).dirichlet([1, 1, 1], size=50)
    changed = e.copy()
    changed[30] = [0.98, 0.01, 0.01]
    np.testing.assert_array_equal(predictable(e)[:31], predictable(changed)[:31])
    assert not np.allclose(predictable(e)[31], predictable(changed)[31])
    np.testing.assert_allclose(predictable(e).sum(axis=1), 1.0)


def test_contextual_weights_of_the_decision_itself_would_bias_and_predictable_ones_do_not():
    # Context decides both the propensity and the reward: P(arm 0) = .9 where it earns 1.
    rng, n = np.random.default_rng(4), 40_000
    good = rng.random(n) < 0.5
    e = np.where(good[:, None], [0.9, 0.1], [0.1, 0.9])
    arms = (rng.random(n) >= e[:, 0]).astype(int)
    scores = aipw_scores(arms, good.astype(float), e)
    own = weighted_means(scores, action_weights(e, "stable_variance")).values[0]
    past = weighted_means(scores, action_weights(predictable(e), "stable_variance"))
    assert own > 0.6
    assert abs(past.values[0] - 0.5) <= 4.4 * past.std_errors[0]


@pytest.mark.parametrize("kind", ["uniform", "stable_variance", "minimum_variance"])
def test_an_action_the_target_never_takes_may_have_no_propensity(kind: Kind):
    weights = policy_weights([[1.0, 0.0]], [[1.0, 0.0]], kind)
    assert weights.tolist() == [[1.0]]


def test_what_is_no_log_is_refused():
    with pytest.raises(ValueError, match=r"must be in \(0, 1\]"):
        aipw_scores([0], [1.0], [[0.0, 1.0]])
    with pytest.raises(ValueError, match="must have shapes"):
        aipw_scores([0, 1], [1.0], [[0.5, 0.5]])
    with pytest.raises(NotEnoughData):
        weighted_means([[1.0]])
    with pytest.raises(ValueError, match="must sum to more than 0"):
        weighted_means([[1.0], [2.0]], [[0.0], [0.0]])
    with pytest.raises(ValueError, match="must be another kind"):
        policy_weights([[0.5, 0.5]], [[0, 1]], "two_point")


def test_scores_that_are_all_alike_have_a_reason():
    found = weighted_means(np.ones((10, 2))).contrast(0, 1)
    assert (found.reason, found.p_value, found.effect) == ("no_variance", None, 0.0)


def thompson(runs: int, steps: int, seed: int, floor: float = 0.01) -> tuple[np.ndarray, ...]:
    """Logs of Thompson sampling on two equal arms: arms, rewards `(steps, runs)`, P(arm 1)."""
    rng = np.random.default_rng(seed)
    sums, counts = np.zeros((2, runs)), np.zeros((2, runs))
    arms, rewards = np.zeros((steps, runs), dtype=int), np.zeros((steps, runs))
    chances = np.zeros((steps, runs))
    for t in range(steps):
        # Posteriors under a prior N(1, 1) and the true noise of variance ⅓.
        mean, sd = (sums + 1 / 3) / (counts + 1 / 3), np.sqrt(1 / 3 / (counts + 1 / 3))
        p = ndtr((mean[1] - mean[0]) / np.hypot(sd[0], sd[1]))
        chances[t] = p = floor + (1.0 - 2.0 * floor) * p
        arms[t] = rng.random(runs) < p
        rewards[t] = 1.0 + rng.uniform(-1.0, 1.0, runs)
        for a in (0, 1):
            sums[a] += np.where(arms[t] == a, rewards[t], 0.0)
            counts[a] += arms[t] == a
    return arms, rewards, chances


def coverage(runs: int, steps: int, seed: int) -> dict[str, float]:
    """Share of runs whose 95 % interval of the difference holds 0, and the plain means' bias."""
    arms, rewards, chances = thompson(runs, steps, seed)
    held = {"plain": 0, "uniform": 0, "two_point": 0}
    bias = {"plain": 0.0, "uniform": 0.0}
    for r in range(runs):
        e = np.column_stack([1.0 - chances[:, r], chances[:, r]])
        scores = aipw_scores(
            arms[:, r], rewards[:, r], e, running_means(arms[:, r], rewards[:, r], 2)
        )
        for kind in ("uniform", "two_point"):
            found = weighted_means(scores, action_weights(e, kind))
            contrast = found.contrast(1, 0)
            held[kind] += contrast.effect_ci_low <= 0.0 <= contrast.effect_ci_high
            if kind == "uniform":
                bias["uniform"] += (sum(found.values) / 2.0 - 1.0) / runs
        plain = plain_means(arms[:, r], rewards[:, r])
        gap, error = plain["contrast_last_minus_others"][0], plain["contrast_se"][0]
        held["plain"] += abs(gap) <= 1.96 * error
        bias["plain"] += (sum(plain["estimate"]) / 2.0 - 1.0) / runs
    found_shares = {name: count / runs for name, count in held.items()}
    return found_shares | {f"bias_{name}": value for name, value in bias.items()}


def test_after_thompson_sampling_weighted_scores_cover_where_plain_means_do_not():
    runs = 300
    found = coverage(runs, 600, seed=7)
    slack = 4.4 * math.sqrt(0.93 * 0.07 / runs)
    assert found["uniform"] >= 0.93 - slack
    assert found["two_point"] >= 0.93 - slack
    assert found["plain"] < found["uniform"]
    assert found["bias_plain"] < -0.01 < found["bias_uniform"]


@pytest.mark.slow
def test_after_thompson_sampling_in_the_long_run():
    found = coverage(2000, 1000, seed=8)
    assert found["uniform"] >= 0.93
    assert found["two_point"] >= 0.93
    assert found["plain"] <= 0.91
    assert abs(found["bias_uniform"]) < 0.006


def test_draws_that_weigh_alike_are_worth_themselves_and_unequal_ones_less() -> None:
    arms = [0, 0, 0, 0, 1]
    equal = effective_draws(arms, np.full((5, 2), 0.5))
    assert equal == (4.0, 1.0)
    # By hand: weights 2, 2, 2, 20: 26² ÷ (3·4 + 400) = 676 ÷ 412.
    uneven = effective_draws(arms, [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.05, 0.95], [0.5, 0.5]])
    assert uneven == (pytest.approx(676 / 412), 1.0)
    assert effective_draws([1, 1], np.full((2, 2), 0.5))[0] == 0.0


def test_effective_draws_are_the_degrees_of_freedom_where_given() -> None:
    means = weighted_means([[1.0, 2.0], [3.0, 1.0], [2.0, 0.0]])
    assert means.estimate(0, 1, [20, 30]).dfs == (19.0, 29.0)
    assert means.estimate(0, 1, [20, 30], [4.5, 0.5]).dfs == (3.5, 1.0)
