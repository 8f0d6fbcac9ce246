"""Against peers where the method is the same: every unit one decision."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from bandit.ope import Value, WeightMoments, ips, snips

# Inputs that obp and vw-estimators were run on; `uniforms` is their worlds' generator.
TINY_REWARD = [1, 0, 1, 1, 0, 0, 1, 0, 1, 0]
TINY_PROPENSITY = [0.5, 0.3, 0.2, 0.6, 0.25, 0.1, 0.5, 0.4, 0.3, 0.2]
TINY_TARGET = [0.7, 0.8, 0.6, 0.5, 1.0, 0.4, 1.0, 0.25, 0.1, 0.5]  # of the action shown


def uniforms(seed: int) -> Iterator[float]:
    x = seed
    for drawn in range(10**9):
        x = (1664525 * x + 1013904223) % 2**32
        if drawn >= 10:
            yield x / 2**32


def world_a(n: int, k: int, seed: int, beta_b: float, beta_e: float) -> WeightMoments:
    u, weights, rewards = uniforms(seed), [], []
    for _ in range(n):
        x, u_action, u_reward = next(u), next(u), next(u)
        s = np.array([math.sin(2 * x + j) for j in range(k)])
        q = np.array([0.15 + 0.35 * (1 + s[j]) / 2 + 0.05 * j / k for j in range(k)])
        logged = np.exp(beta_b * s) / np.exp(beta_b * s).sum()
        target = np.exp(4 * beta_e * q) / np.exp(4 * beta_e * q).sum()
        action = int(np.argmax(u_action < np.cumsum(logged)))
        weights.append(target[action] / logged[action])
        rewards.append(float(u_reward < q[action]))
    return WeightMoments.of([f"u{i}" for i in range(n)], weights, rewards)


def world_c(n: int, k: int, seed: int) -> WeightMoments:
    u, weights, rewards = uniforms(seed), [], []
    for _ in range(n):
        x, u_action, noise = next(u), next(u), next(u)
        q = np.array([0.6 * math.cos(4 * x - j) for j in range(k)])
        action = int(np.argmax(u_action < np.cumsum(np.full(k, 1 / k))))
        weights.append((0.8 * (action == int(np.argmax(q))) + 0.2 / k) * k)
        rewards.append(q[action] + 0.8 * (noise - 0.5))
    return WeightMoments.of([f"u{i}" for i in range(n)], weights, rewards)


A500 = world_a(500, 4, 11, 1.0, 3.0)
C300 = world_c(300, 5, 2024)
TINY = WeightMoments.of(
    [f"u{i}" for i in range(10)],
    [t / p for t, p in zip(TINY_TARGET, TINY_PROPENSITY, strict=True)],
    [float(r) for r in TINY_REWARD],
)


def ratio(moments: WeightMoments, per: int) -> float:
    return moments.means[2] / moments.means[per]


def test_ips_gives_the_peers_values_and_standard_error():
    # scope-rl 0.2.1 TrajectoryWiseImportanceSampling; obp 0.5.7 InverseProbabilityWeighting
    assert ips(A500, policy="p").value == pytest.approx(0.47921624152207354, rel=1e-9)
    got = ips(C300, policy="p")
    assert got.value == pytest.approx(0.3962010084877581, rel=1e-9)
    assert got.std_error == pytest.approx(0.9757754951411948 / math.sqrt(300), rel=1e-9)
    # vw-estimators 0.2.2 ips.Estimator, on 10 rows (too few for us to print a value)
    assert ratio(TINY, per=0) == pytest.approx(0.7566666666666666, rel=1e-9)


def test_ips_standard_error_gives_the_peers_normal_interval():
    # vw-estimators 0.2.2 gaussian.Interval.get(0.2): 80 %, z = 1.2815515655446004
    got = ips(A500, policy="p")
    reach = 1.2815515655446004 * got.std_error
    assert got.value - reach == pytest.approx(0.44656373777763464, rel=1e-8)
    assert got.value + reach == pytest.approx(0.5118687452665127, rel=1e-8)


def test_snips_gives_the_peers_values():
    # vw-estimators 0.2.2 snips.Estimator; obp 0.5.7 SelfNormalizedInverseProbabilityWeighting
    assert snips(A500, policy="p").value == pytest.approx(0.4802209636600053, rel=1e-9)
    assert ratio(TINY, per=1) == pytest.approx(0.35427233710495515, rel=1e-9)


def test_diagnostics_are_the_references():
    got = ips(A500, policy="p")
    assert got.ess == pytest.approx(442.42800452156854, rel=1e-9)
    assert got.mean_weight == pytest.approx(498.9538960041705 / 500, rel=1e-9)
    assert got.max_weight == pytest.approx(1.386277819991287, rel=1e-9)
    assert (got.verdict, got.reasons, got.n, got.units_n) == ("ok", (), 500, 500)


def test_snips_does_not_move_when_every_reward_does():
    rng = np.random.default_rng(3)
    units = [f"u{i % 50}" for i in range(500)]
    weights, rewards = rng.uniform(0.2, 1.8, 500), rng.uniform(0, 1, 500)
    low = snips(WeightMoments.of(units, weights, rewards), policy="p")
    high = snips(WeightMoments.of(units, weights, rewards + 10), policy="p")
    assert high.value == pytest.approx(low.value + 10, rel=1e-12)
    assert high.std_error == pytest.approx(low.std_error, rel=1e-6)


def test_interval_is_over_units_and_not_over_decisions():
    # One reward per unit, repeated 25 times: 40 facts, not 1,000.
    rng = np.random.default_rng(5)
    rewards = rng.uniform(0, 1, 40)
    alone = ips(WeightMoments.of([f"u{i}" for i in range(40)], [1.0] * 40, rewards), policy="p")
    often = ips(
        WeightMoments.of([f"u{i % 40}" for i in range(1000)], [1.0] * 1000, [*rewards] * 25),
        policy="p",
    )
    assert often.std_error == pytest.approx(alone.std_error, rel=1e-9)
    assert often.df == 39


@pytest.mark.slow
def test_interval_covers_the_truth_when_units_cluster():
    # 60 units of random size and taste; target and log differ; truth by the law of the world.
    rng, runs, hits = np.random.default_rng(11), 2000, 0
    logged, target, worth = np.array([0.7, 0.3]), np.array([0.4, 0.6]), np.array([0.2, 0.5])
    truth = float(target @ worth)
    for _ in range(runs):
        sizes = rng.integers(5, 15, 60)
        unit = np.repeat(np.arange(60), sizes)
        taste = rng.normal(0, 0.1, 60)[unit]
        action = (rng.random(unit.size) < logged[1]).astype(int)
        reward = worth[action] + taste + rng.normal(0, 0.3, unit.size)
        moments = WeightMoments.of(unit.astype(str), (target / logged)[action], reward)
        got = snips(moments, policy="p")
        hits += got.ci_low <= truth <= got.ci_high
    assert abs(hits / runs - 0.95) <= 4.4 * math.sqrt(0.95 * 0.05 / runs) + 0.005


def alike(n: int, weight: float, reward: float) -> WeightMoments:
    return WeightMoments.of([f"u{i}" for i in range(n)], [weight] * n, [reward] * n)


@pytest.mark.parametrize(
    ("moments", "reasons"),
    [
        (WeightMoments.of([], [], []), ("no_decisions",)),
        (alike(500, 0.0, 1.0), ("no_overlap",)),
        (TINY, ("low_ess",)),
        (WeightMoments.of(["u"] * 100, [1.0] * 100, [1.0, 0.0] * 50), ("one_unit",)),
    ],
)
@pytest.mark.parametrize("estimate", [ips, snips])
def test_a_log_that_can_not_tell_gives_no_number(estimate, moments, reasons: tuple[str, ...]):
    got: Value = estimate(moments, policy="p")
    assert (got.verdict, got.reasons) == ("refuse", reasons)
    assert (got.value, got.ci_low, got.ci_high, got.std_error) == (None,) * 4


def test_wrong_propensities_are_noticed_by_the_mean_weight():
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 2.5, 1000)  # mean 1.5
    moments = WeightMoments.of([f"u{i}" for i in range(1000)], weights, rng.random(1000))
    assert snips(moments, policy="p").reasons == ("weights_off_one",)


def test_few_units_and_one_heavy_decision_are_cautioned():
    weights = [1.0] * 300 + [50.0]
    units = [f"u{i % 5}" for i in range(301)]
    got = ips(WeightMoments.of(units, weights, [float(i % 2) for i in range(301)]), policy="p")
    assert got.verdict == "caution"
    assert got.value is not None
    assert {"thin_ess", "few_units", "heavy_weight"} <= set(got.reasons)


def test_rewards_that_never_vary_give_a_value_without_an_interval():
    got = ips(alike(300, 1.0, 0.1), policy="p")
    assert got.value == pytest.approx(0.1)
    assert (got.verdict, got.reasons, got.ci_low) == ("caution", ("no_variance",), None)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_alpha_outside_its_range_is_refused(alpha: float):
    with pytest.raises(ValueError, match=r"must be in \(0, 1\)"):
        ips(A500, policy="p", alpha=alpha)
