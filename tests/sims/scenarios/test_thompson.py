import numpy as np
import pytest
from scipy.special import ndtr

from sims.scenarios.thompson import Design, best_probabilities, run


def test_chance_to_be_best_of_two_is_the_normal_distribution_of_their_difference() -> None:
    means, sds = np.array([[0.2, 0.0], [0.0, 1.0]]), np.array([[0.3, 0.4], [0.1, 0.2]])
    wanted = ndtr((means[:, 0] - means[:, 1]) / np.hypot(sds[:, 0], sds[:, 1]))
    assert best_probabilities(means, sds)[:, 0] == pytest.approx(wanted, abs=1e-4)


def test_actions_are_drawn_as_often_as_their_propensities_say() -> None:
    logs = run(Design("three", (0.9, 1.0, 1.1)), np.random.default_rng(4), 200, 100)
    assert logs.propensities.sum(axis=2) == pytest.approx(1.0)
    for action in range(3):
        p = logs.propensities[:, :, action]
        z = ((logs.arms == action) - p).sum() / np.sqrt((p * (1.0 - p)).sum())
        assert abs(z) < 4.4


def test_floor_holds_as_declared() -> None:
    fixed = Design("fixed", (0.0, 5.0), 0.05)
    logs = run(fixed, np.random.default_rng(4), 20, 60)
    assert logs.propensities.min() == pytest.approx(0.05, abs=1e-6)
    assert Design("falling", (0.0, 1.0)).floor_at(100) == pytest.approx(100**-0.7 / 2)
