"""Worlds that are made of logs."""

from pathlib import Path

import numpy as np
import pytest

from bandit.dsjson import Line, LoggedSlot, written
from bandit.errors import NotEnoughData, RecordError
from bandit.specs import PolicySpec
from sims.learners import SURFACE, Declared
from sims.obd import SMALL
from sims.replay import LoggedRound, replay
from sims.running.playing import Game, Timing, play
from sims.worlds import open_world
from sims.worlds.base import Batch, Following
from sims.worlds.logged import LoggedWorld
from sims.worlds.obd import ObdWorld

UNIFORM = Declared(PolicySpec(key="uniform", type="uniform"))
WORTH = {("go", "a"): 0.9, ("go", "b"): 0.2, ("chess", "a"): 0.1, ("chess", "b"): 0.6}


def log(n: int, seed: int = 1, **changed: object) -> list[Line]:
    """Two kinds of users, two items, each shown half of the time, paid as in `WORTH`."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(n):
        likes, item = ("go", "chess")[int(rng.integers(2))], int(rng.integers(2))
        worth = WORTH[likes, "ab"[item]]
        reward = float(rng.random() < worth)
        slot = LoggedSlot(
            order=(item, 1 - item), probabilities=(0.5, 0.5), propensity=0.5, reward=reward
        )
        lines.append(
            Line(
                event_id=f"e{number}",
                ts_ms=number,
                context={"likes": likes},
                actions=(("a", {"kind": 1.0}), ("b", {})),
                slots=(slot,),
                **changed,
            )
        )
    return lines


def test_model_of_a_log_finds_what_each_user_likes() -> None:
    world = LoggedWorld(log(2_000))
    following = Following(world, np.random.default_rng(1))
    for _ in range(50):
        this = following.next_round()
        likes = "go" if b"go" in this.context else "chess"
        for action, expected in zip(this.actions, this.expected, strict=True):
            assert abs(expected - WORTH[likes, action.id]) < 4.4 * 0.5 / 500**0.5
    assert world.fit.lines_n == 2_000
    assert abs(world.fit.predicted - world.fit.reward) < 0.02
    # Of a reward's variance, that between the four kinds: 0.1025 of 0.2475.
    assert abs(world.fit.explained - 0.1025 / 0.2475) < 0.15


def test_log_of_noise_says_that_its_model_explains_nothing() -> None:
    rng = np.random.default_rng(2)
    noise = [
        Line(
            event_id=line.event_id,
            ts_ms=0,
            context=line.context,
            actions=line.actions,
            slots=(
                LoggedSlot(
                    order=(0, 1), probabilities=(0.5, 0.5), propensity=0.5, reward=float(reward)
                ),
            ),
        )
        for line, reward in zip(log(500), rng.integers(2, size=500), strict=True)
    ]
    assert LoggedWorld(noise).fit.explained < 0.1


def test_rewards_of_a_log_world_are_drawn_with_the_models_chance() -> None:
    following = Following(LoggedWorld(log(300)), np.random.default_rng(1))
    rounds = [following.next_round() for _ in range(3_000)]
    errors = [np.mean(np.subtract(this.rewards, this.expected)) for this in rounds]
    assert abs(np.mean(errors)) < 4.4 * 0.5 / 6_000**0.5


def test_exported_file_is_a_world_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "home.dsjson"
    path.write_bytes(b"\n".join(written(line) for line in log(60)) + b"\n\n")
    world = open_world(f"log={path}+lost:0.5", Path())
    assert world.name == f"log={path}+lost:0.5"
    assert play(Game(world, UNIFORM, 1, Timing()), 30)[-1, 1] > 0.0
    path.write_bytes(path.read_bytes() + b"{}\n")
    with pytest.raises(RecordError, match=f"at line 62 of {path}"):
        open_world(f"log={path}", Path())
    with pytest.raises(RecordError, match="can not be read: No such file"):
        open_world(f"log={tmp_path}/none", Path())


def test_log_that_says_too_little_is_refused() -> None:
    with pytest.raises(RecordError, match="log has 49 decisions with a reward"):
        LoggedWorld(log(49))
    with pytest.raises(RecordError, match="log has 0 decisions"):
        LoggedWorld(log(100, skip_learn=True))


@pytest.fixture(scope="module")
def obd() -> ObdWorld:
    return ObdWorld(SMALL / "random_men.csv.gz")


def test_click_rates_of_the_log_are_the_truth_of_its_world(obd: ObdWorld) -> None:
    n = 60_000
    batch: Batch = next(obd.batches(np.random.default_rng(1), n))
    # Uniform over items: the log's own click rate, up to how often each item was shown.
    assert abs(float(batch.expected.mean()) - 46 / 10_000) < 0.002
    errors = (batch.rewards - batch.expected).mean(axis=0)
    assert np.abs(errors).max() < 4.4 * (0.03 / n) ** 0.5
    assert batch.offered.any(axis=1).all()
    assert (batch.expected[~batch.offered] == 0.0).all()


def test_uniform_policy_replayed_on_a_uniform_log_earns_what_the_log_did(obd: ObdWorld) -> None:
    found = replay(obd.log(), UNIFORM, obd)
    assert found.rows_n == 10_000
    k = len(obd.actions)
    assert abs(found.matched_n - 10_000 / k) < 4.4 * (10_000 / k) ** 0.5
    assert found.low <= 0.0046 <= found.high


def test_replay_learns_from_what_matched_and_from_nothing_else() -> None:
    rounds = LoggedWorld(log(400)).rounds(np.random.default_rng(1))
    rows = [LoggedRound(next(rounds), n % 2, 0.5, float(n % 2)) for n in range(400)]
    popular = Declared(PolicySpec(key="p", type="popularity", surface=SURFACE, floor=0.1))
    found = replay(rows, popular, ObdWorld(SMALL / "random_men.csv.gz"))
    # The second action always pays and the first never: soon it is nearly always drawn.
    assert found.reward > 0.8


def test_log_that_replay_can_not_judge_is_refused(obd: ObdWorld) -> None:
    row = next(obd.log())
    with pytest.raises(RecordError, match="row 1 has propensity 0"):
        replay([row._replace(propensity=0.5)], UNIFORM, obd)
    with pytest.raises(RecordError, match="row 1 has reward 3"):
        replay([row._replace(reward=3.0)], UNIFORM, obd)
    with pytest.raises(NotEnoughData, match="rows that were drawn alike"):
        replay([], UNIFORM, obd)
    with pytest.raises(RecordError, match="must all be near 1/"):
        ObdWorld(SMALL / "bts_men.csv.gz")
    with pytest.raises(RecordError, match="is not there"):
        ObdWorld(SMALL / "none.csv.gz")
