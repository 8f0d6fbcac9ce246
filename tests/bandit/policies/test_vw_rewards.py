"""A reward model of Vowpal Wabbit's in `bandit.ope`."""

import numpy as np
import pytest

from bandit import ope
from bandit.errors import BadSpec, RecordError
from bandit.policies.vw_rewards import VwRewards
from bandit.records import Action

K, N = 4, 1500
ACTIONS = tuple(Action.of(f"a{i}", topic=f"t{i % 2}") for i in range(K))


def log_of(seed: int) -> tuple[ope.LoggedBatch, list[bytes], float]:
    rng = np.random.default_rng(seed)
    segment = rng.integers(3, size=N)
    chance = np.array([[0.1, 0.5, 0.2, 0.8], [0.7, 0.2, 0.1, 0.3], [0.3, 0.3, 0.9, 0.1]])[segment]
    action = rng.integers(K, size=N)
    target = np.full((N, K), 0.05)
    target[np.arange(N), chance.argmax(axis=1)] = 0.85
    batch = ope.LoggedBatch.of(
        action=action,
        propensity=np.full(N, 1 / K),
        reward=(rng.random(N) < chance[np.arange(N), action]).astype(float),
        target_pmf=target,
        logged_pmf=np.full((N, K), 1 / K),
        unit=[f"u{n // 3}" for n in range(N)],
        reward_range=(0, 1),
    )
    contexts = [b'{"segment":"s%d"}' % s for s in segment]
    return batch, contexts, float((target * chance).sum() / N)


def test_a_cross_fitted_model_of_context_and_action_tells_what_a_policy_would_earn():
    batch, contexts, truth = log_of(1)
    offered = [ACTIONS] * N
    log = ope.cross_fit(batch, VwRewards.rows(N), lambda: VwRewards(contexts, offered))
    found, plain = ope.evaluate(log), ope.evaluate(batch)
    assert found.headline == "calibrated_dr"
    assert found.best.interval.low <= truth <= found.best.interval.high
    assert found.best.interval.width < plain.best.interval.width
    assert found["dm"].value == pytest.approx(truth, abs=0.05)


def test_rows_of_no_weight_teach_nothing_and_heavier_ones_more():
    contexts, offered = [b"{}"] * 200, [ACTIONS] * 200
    drawn, rows = np.zeros(200, dtype=np.int64), VwRewards.rows(200)
    reward = (np.arange(200) % 2).astype(float)
    ones = VwRewards(contexts, offered).fit(rows, drawn, reward, reward)
    assert ones.predict(rows[:1])[0, 0] == pytest.approx(1.0, abs=0.05)
    even, tilted = (
        VwRewards(contexts, offered).fit(rows, drawn, reward, weight).predict(rows[:1])[0, 0]
        for weight in (np.ones(200), 1.0 + 3.0 * reward)
    )
    assert even < tilted
    nothing = VwRewards(contexts, offered).fit(rows, drawn, reward, np.zeros(200))
    assert nothing.predict(rows[:3]).tolist() == [[0.0] * K] * 3
    assert nothing.predict(rows[:0]).shape == (0, K)


def test_what_can_be_no_model_is_refused():
    with pytest.raises(RecordError, match="2 contexts and 1 offers"):
        VwRewards([b"{}"] * 2, [ACTIONS])
    with pytest.raises(RecordError, match="different numbers of actions"):
        VwRewards([b"{}"] * 2, [ACTIONS, ACTIONS[:2]])
    with pytest.raises(BadSpec):
        VwRewards([b"{}"], [ACTIONS], "--oaa 3")
