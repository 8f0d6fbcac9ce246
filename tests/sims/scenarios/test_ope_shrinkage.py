import numpy as np
import pytest

from bandit import ope
from sims.scenarios.ope_shrinkage import NEW, OURS, Doses, Popular, shrunk


@pytest.mark.parametrize("world", NEW, ids=lambda one: one.name)
def test_rewards_are_worth_what_the_world_says(world: Popular | Doses) -> None:
    rows = world.draw(np.random.default_rng(5), 20_000)
    off = rows.rewards - rows.worth
    assert np.abs(off.mean(axis=0) / off.std(axis=0)).max() * np.sqrt(20_000) < 4.4
    assert rows.logged.sum(axis=1) == pytest.approx(1.0)
    assert rows.target.sum(axis=1) == pytest.approx(1.0)


def batch(*, off: float) -> ope.LoggedBatch:
    """A log in which each action earns its half, and a model that is `off` by so much."""
    rng = np.random.default_rng(3)
    action = rng.integers(2, size=2000)
    pmf = np.tile([0.9, 0.1], (2000, 1))
    return ope.LoggedBatch.of(
        action=action,
        propensity=np.full(2000, 0.5),
        reward=(rng.random(2000) < action / 2.0).astype(float),
        target_pmf=pmf,
        predictions=np.tile([0.0, 0.5], (2000, 1)) + off,
        reward_range=(0, 1),
    )


def test_an_estimate_is_shrunk_to_a_model_that_is_right_and_kept_from_one_that_is_not() -> None:
    right, wrong = shrunk(batch(off=0.0)), shrunk(batch(off=0.4))
    assert list(right) == list(OURS)
    assert right[OURS[2]] == pytest.approx(0.05, abs=1e-9), "the model's own value"
    assert wrong[OURS[2]] == pytest.approx(wrong["default"], abs=0.003)
    assert wrong[OURS[2]] > wrong["default"], "it is a little nearer to the model"
