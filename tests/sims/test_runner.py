from collections.abc import Iterator

import msgspec
import numpy as np
import pytest

from bandit.records import Action
from bandit.specs import PolicySpec
from sims.runner import SURFACE, run
from sims.worlds.base import Round
from sims.worlds.synthetic import SyntheticWorld

VW = PolicySpec(key="vw", type="vw", surface=SURFACE, floor=0.002)
UNIFORM = PolicySpec(key="uniform", type="uniform")
FIXED = PolicySpec(key="fixed", type="fixed")


class TwoActions:
    """The second action always earns 1, the first 0.25."""

    name = "two actions"
    about = "by hand"

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        while True:
            yield Round(
                unit_id="u",
                context=b"{}",
                actions=(Action.of("bad"), Action.of("good")),
                rewards=(0.25, 1.0),
                expected=(0.25, 1.0),
            )


@pytest.mark.parametrize("spec", [VW, UNIFORM], ids=lambda spec: spec.key)
def test_one_seed_gives_identical_bytes_and_another_seed_does_not(spec: PolicySpec) -> None:
    first, again, other = (
        msgspec.json.encode(run(SyntheticWorld(), spec, rounds_n=200, seed=seed))
        for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_reward_and_regret_are_sums_over_the_rounds() -> None:
    result = run(TwoActions(), FIXED, rounds_n=8, seed=1)  # by hand: always the first action
    assert (result.reward, result.regret, result.mean_reward) == (2.0, 6.0, 0.25)
    assert [point.rounds_n for point in result.checkpoints] == list(range(1, 9))


def test_checkpoints_are_a_hundred_and_the_last_is_the_end() -> None:
    result = run(TwoActions(), UNIFORM, rounds_n=950, seed=1)
    assert len(result.checkpoints) == 100
    assert result.checkpoints[-1].rounds_n == 950
    assert result.checkpoints[-1].regret == result.regret


def test_watch_is_told_of_every_checkpoint() -> None:
    told: list[tuple[int, float]] = []
    run(TwoActions(), FIXED, rounds_n=3, seed=1, watch=lambda *point: told.append(point))
    assert told == [(1, 0.25), (2, 0.5), (3, 0.75)]


def test_late_quarter_leaves_the_learning_out() -> None:
    result = run(TwoActions(), VW, rounds_n=400, seed=1)
    assert result.mean_reward < result.mean_reward_late <= 1.0


def test_policy_learns_nothing_while_every_reward_is_still_under_way() -> None:
    untrained = run(TwoActions(), VW, rounds_n=50, seed=1, delay_n=50)
    nearly = run(TwoActions(), VW, rounds_n=50, seed=1, delay_n=49)
    assert untrained.digest != nearly.digest
    assert untrained.digest == run(TwoActions(), VW, rounds_n=20, seed=2, delay_n=20).digest


def test_default_policy_beats_uniform_where_users_differ() -> None:
    learned, random = (run(SyntheticWorld(), spec, rounds_n=1500, seed=5) for spec in (VW, UNIFORM))
    # Rewards are in [0, 1], so the standard error of a difference of means is below 0.02.
    assert learned.mean_reward - random.mean_reward > 4.4 * 0.02
    assert learned.regret < random.regret
