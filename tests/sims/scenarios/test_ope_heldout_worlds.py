import numpy as np
import pytest

from sims.scenarios.ope_heldout_worlds import WORLDS, Classes, Learning, Purchases, Tempered
from sims.scenarios.ope_worlds import World


@pytest.mark.parametrize("world", [Classes(), Tempered(), Purchases()], ids=lambda one: one.name)
def test_rewards_are_worth_what_the_world_says(world: Classes | Tempered | Purchases) -> None:
    rows = world.draw(np.random.default_rng(5), 40_000)
    off = rows.rewards - rows.worth
    assert np.abs(off.mean(axis=0) / off.std(axis=0)).max() * 200.0 < 4.4
    assert rows.rewards.min() >= 0.0
    assert rows.rewards.max() <= world.most


@pytest.mark.parametrize("world", WORLDS, ids=lambda one: one.name)
def test_log_has_the_probabilities_that_it_was_drawn_with(world: World) -> None:
    log = world.log(np.random.default_rng(6), 4000).log
    assert log.logged_pmf is not None
    assert log.target_pmf is not None
    assert log.action is not None
    for pmf in (log.logged_pmf, log.target_pmf):
        assert pmf.sum(axis=1) == pytest.approx(1.0)
    drawn = np.eye(world.k)[log.action] - log.logged_pmf
    noise = np.sqrt((log.logged_pmf * (1.0 - log.logged_pmf)).sum(axis=0))
    assert np.abs(drawn.sum(axis=0) / noise).max() < 4.4


def test_thompson_sampling_learns_and_keeps_its_floor() -> None:
    log = Learning().log(np.random.default_rng(7), 4000).log
    assert log.logged_pmf is not None
    assert log.logged_pmf.min() == pytest.approx(0.02, abs=1e-3)
    assert log.logged_pmf[:100].max() < 0.3, "nothing is known yet"
    assert log.logged_pmf[-100:].max() > 0.7
    assert log.reward[-1000:].mean() > log.reward[:500].mean()
