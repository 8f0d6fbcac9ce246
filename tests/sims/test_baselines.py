from pathlib import Path

import numpy as np
import pytest

from bandit.errors import BadSpec
from sims.baselines import KINDS, Baseline, Kind
from sims.peers.ridge import Ridge
from sims.policies import contender_named
from sims.running.batched import seated
from sims.running.playing import Game, Timing, play
from sims.running.together import play_together
from sims.worlds import open_world
from sims.worlds.base import BatchWorld
from sims.worlds.synthetic import SyntheticWorld


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_in_a_block_do_what_each_does_alone(kind: Kind) -> None:
    world, contender = open_world("linear+growing:20+late:3", Path()), Baseline(kind=kind)
    assert isinstance(world, BatchWorld)
    seeds = (5, 2)
    one = [play(Game(world, contender, seed, Timing()), 150) for seed in seeds]
    many = play_together(world, seated(contender, world, seeds), seeds, 150, Timing())
    np.testing.assert_allclose(many, one, rtol=1e-12)


def test_bound_and_sample_are_those_of_the_peers_thirty_lines() -> None:
    world = open_world("linear", Path())
    ours = Baseline(kind="linucb", scale=0.5).learner(world, 1)
    theirs = Ridge("linucb").learner(world, 1)
    theirs._numbers._scaled = lambda name, value: value  # type: ignore[method-assign]
    rounds = world.rounds(np.random.default_rng(1))
    for _ in range(100):
        this = next(rounds)
        ours_pmf, theirs_pmf = ours.pmf(this), theirs.pmf(this)
        np.testing.assert_array_equal(ours_pmf > 0.0, theirs_pmf > 0.0)
        drawn = int(np.argmax(ours_pmf))
        ours.learn(this, drawn, 1.0, this.reward(drawn))
        theirs.learn(this, drawn, 1.0, this.reward(drawn))


def test_world_without_numbers_and_unknown_parameters_are_refused() -> None:
    with pytest.raises(BadSpec, match="linucb needs a world of batches, which synthetic is not"):
        Baseline(kind="linucb").learner(SyntheticWorld(), 1)
    with pytest.raises(BadSpec, match="parameters of lints: "):
        contender_named('lints {"width": 1}', 1)
    with pytest.raises(BadSpec, match=r"> 0\.0"):
        contender_named('epsilon {"scale": 0}', 1)
