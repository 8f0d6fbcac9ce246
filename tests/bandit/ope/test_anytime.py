from itertools import pairwise

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.ope import LoggedBatch, anytime_dr, anytime_gain, anytime_ips, diagnose
from tests.bandit.ope.test_likelihood import epsilon_greedy
from tests.bandit.ope.worlds import batch_of, taken, world_a

LOOKS = [int(n) for n in np.geomspace(50, 2000, 60)]


def missed(intervals, truth: float) -> bool:
    return any(not i.low <= truth <= i.high for i in intervals)


@pytest.mark.slow
def test_sixty_looks_miss_less_often_than_promised():
    # A normal interval looked at so often is missed 79 to 87 % of the time.
    rng, runs = np.random.default_rng(31), 120
    misses = {"ips": 0, "dr": 0}
    for _ in range(runs):
        batch, truth = epsilon_greedy(2000, rng)
        misses["ips"] += missed(anytime_ips(batch, looks=LOOKS), truth)
        misses["dr"] += missed(anytime_dr(batch, looks=LOOKS), truth)
    # 5 % and 4.4 standard errors of 120 runs
    assert max(misses.values()) <= runs * 0.05 + 4.4 * np.sqrt(runs * 0.05 * 0.95)


def test_doubly_robust_sequence_is_the_narrower():
    batch, _ = epsilon_greedy(10_000, np.random.default_rng(2))
    assert anytime_dr(batch)[0].width < 0.6 * anytime_ips(batch)[0].width


def test_a_sequence_only_narrows():
    batch, _ = epsilon_greedy(2000, np.random.default_rng(6))
    found = anytime_dr(batch, looks=LOOKS)
    assert all(a.low <= b.low and b.high <= a.high for a, b in pairwise(found))
    assert all(i.anytime for i in found)


def test_predictions_are_used_with_and_without_the_logged_pmf():
    world = world_a(3000, 4, 5, 1.0, 3.0)
    exact = (world["predictions"] - 0.05) / 0.8
    reward = taken(exact, world["action"])  # no noise: all the variance is the model's to take
    both = batch_of(world, reward=reward, predictions=exact, reward_range=(0.0, 1.0))
    bounded = batch_of(
        world, reward=reward, predictions=exact, logged_pmf=None, weight_bound=2.0,
        reward_range=(0.0, 1.0),
    )  # fmt: skip
    alone = anytime_ips(both)[0].width
    assert anytime_dr(both)[0].width < 0.5 * alone
    assert anytime_dr(bounded)[0].width < 0.5 * alone


def test_gain_is_paired_and_knows_its_sign():
    world = world_a(4000, 4, 5, 1.0, 3.0)
    better = batch_of(world, reward_range=(0.0, 1.0))
    k = world["target_pmf"].shape[1]
    worst = better.with_target(np.eye(k)[world["predictions"].argmin(axis=1)])
    same = better.with_target(world["logged_pmf"])
    (over_log,) = anytime_gain(better)
    (no_gain,) = anytime_gain(same)
    (over_worst,) = anytime_gain(better, worst)
    (mirrored,) = anytime_gain(worst, better)
    value = anytime_dr(better)[0]
    assert over_log.low <= world["truth"].mean() - world["reward"].mean() <= over_log.high
    assert over_log.width < value.width
    assert no_gain.low <= 0.0 <= no_gain.high
    assert over_worst.low > 0.0
    assert mirrored.low == pytest.approx(-over_worst.high)


def test_without_a_declared_range_there_is_no_sequence():
    batch = batch_of(world_a(50, 4, 5, 1.0, 3.0))
    for sequence in (anytime_ips, anytime_dr, anytime_gain):
        with pytest.raises(RecordError, match="reward_range"):
            sequence(batch)


def test_a_model_known_by_its_predictions_alone_tells_as_much_as_one_with_all_of_them() -> None:
    world = world_a(800, 4, 3, 1.0, 1.5)
    whole = batch_of(world, reward_range=(0.0, 1.0))
    narrow = LoggedBatch.of(
        propensity=whole.propensity,
        reward=whole.reward,
        target=whole.target,
        predicted=whole.predicted,
        direct=whole.direct,
        weight_bound=whole.greatest_weight,
        reward_range=(0.0, 1.0),
        support=(0.0, 0.9),
    )
    [wide] = anytime_dr(whole)
    [found] = anytime_dr(narrow)
    assert (found.low, found.high) == pytest.approx((wide.low, wide.high), abs=1e-12)
    diagnostics = diagnose(narrow)
    assert (diagnostics.support_deficit, diagnostics.overlap) == (0.0, 0.9)
