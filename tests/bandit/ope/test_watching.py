"""The gate's sequence: the whole log's, from slices."""

import math

import numpy as np
import pytest

from bandit.errors import NotEnoughData, RecordError
from bandit.ope import GainWatch, LoggedBatch, anytime_gain


def world(n: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    propensity = np.where(rng.random(n) < 0.8, 0.85, 0.05)
    target = np.where(propensity > 0.5, 0.25, 0.25) * rng.uniform(0.2, 1.0, n)
    return propensity, target, (rng.random(n) < 0.3).astype(float) * 2.0 - 0.5


@pytest.mark.parametrize("bound", [20.0, math.inf])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_slices_give_the_interval_of_the_whole_log(bound: float, size: int) -> None:
    propensity, target, reward = world(600)
    batch = LoggedBatch.of(
        propensity=propensity,
        target=target,
        reward=reward,
        reward_range=(-1.0, 2.0),
        weight_bound=None if math.isinf(bound) else bound,
    )
    watch = GainWatch((-1.0, 2.0), weight_bound=bound)
    for start in range(0, 600, size):
        part = slice(start, start + size)
        watch.add(batch.weights[part], batch.reward[part])
    [whole] = anytime_gain(batch)
    found = watch.interval()
    assert found.low == pytest.approx(whole.low, abs=1e-9)
    assert found.high == pytest.approx(whole.high, abs=1e-9)
    assert watch.mean_weight == pytest.approx(float(batch.weights.mean()))


def test_weight_above_its_bound_is_refused() -> None:
    watch = GainWatch((0.0, 1.0), weight_bound=4.0)
    with pytest.raises(RecordError, match=r"a weight is 5.0, must be at most 4.0"):
        watch.add(np.array([5.0]), np.array([1.0]))


def test_nothing_is_said_before_the_first_decision() -> None:
    watch = GainWatch((0.0, 1.0))
    assert watch.mean_weight is None
    with pytest.raises(NotEnoughData):
        watch.interval()
    with pytest.raises(NotEnoughData):
        _ = watch.gain


@pytest.mark.parametrize("given", [((1.0, 1.0), 2.0), ((0.0, 1.0), 0.5)])
def test_impossible_ranges_and_bounds_are_refused(given: tuple) -> None:
    with pytest.raises(RecordError, match="must be"):
        GainWatch(given[0], weight_bound=given[1])
