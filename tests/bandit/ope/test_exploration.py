"""What a floor buys: as many decisions as the gate really needs."""

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.ope import GainWatch
from bandit.ope.exploration import LogVariance, decisions_needed, floor_needed, weight_square

K, FLOOR, REWARDS = 4, 0.1, (0.3, 0.5, 0.3, 0.3)


def opens(n: int, seed: int) -> bool:
    """Whether the gate is open after n decisions for a challenger that always takes action 1."""
    rng = np.random.default_rng(seed)
    pmf = np.full(K, FLOOR)
    pmf[0] = 1 - (K - 1) * FLOOR
    action = rng.choice(K, size=n, p=pmf)
    reward = (rng.random(n) < np.asarray(REWARDS)[action]).astype(float)
    watch = GainWatch((0.0, 1.0), weight_bound=1 / FLOOR)
    watch.add(np.where(action == 1, 1 / FLOOR, 0.0), reward)
    return watch.interval().low > 0.0


def test_gate_opens_after_about_as_many_decisions_as_planned() -> None:
    pmf = np.array([1 - (K - 1) * FLOOR, *[FLOOR] * (K - 1)])
    mean = float(pmf @ np.asarray(REWARDS))
    log = LogVariance(actions_n=K, reward_variance=mean * (1 - mean), reward_range=(0.0, 1.0))
    needed = decisions_needed(log, FLOOR, REWARDS[1] - mean)
    assert needed is not None
    shares = [
        np.mean([opens(round(needed * factor), seed) for seed in range(60)])
        for factor in (0.4, 1.0, 2.0)
    ]
    # By a normal approximation, so 80 % is about right; Monte Carlo error is 5 %.
    assert shares[0] < 0.4
    assert 0.55 <= shares[1] <= 0.97
    assert shares[2] >= 0.95


def test_floor_that_is_recommended_is_the_least_that_is_enough() -> None:
    log = LogVariance(actions_n=10, reward_variance=0.2, reward_range=(-1.0, 1.0))
    floor = floor_needed(log, 2_000_000, 0.02, changes=0.3)
    assert floor is not None
    at, below = (decisions_needed(log, f, 0.02, changes=0.3) for f in (floor, floor * 0.9))
    assert at == pytest.approx(2_000_000, rel=1e-3)
    assert below is not None
    assert below > 2_000_000


def test_more_floor_a_larger_difference_and_fewer_changes_need_fewer_decisions() -> None:
    log = LogVariance(actions_n=5, reward_variance=0.1, reward_range=(0.0, 1.0))
    base = decisions_needed(log, 0.02, 0.01, changes=0.5)
    assert base is not None
    for given in ((0.05, 0.01, 0.5), (0.02, 0.02, 0.5), (0.02, 0.01, 0.1)):
        fewer = decisions_needed(log, given[0], given[1], changes=given[2])
        assert fewer is not None
        assert fewer < base


def test_what_can_not_be_planned_is_refused_or_none() -> None:
    log = LogVariance(actions_n=5, reward_variance=0.1, reward_range=(0.0, 1.0))
    assert decisions_needed(log, 1e-12, 1e-9) is None
    assert floor_needed(log, 10, 0.001) is None
    with pytest.raises(RecordError, match="difference is 0, must be above 0"):
        decisions_needed(log, 0.1, 0)
    with pytest.raises(RecordError, match=r"floor is 0.5, must be in \(0, 0.2\]"):
        weight_square(0.5, 5, 1.0)
