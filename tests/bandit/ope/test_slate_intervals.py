"""Empirical likelihood for rankings."""

import numpy as np
import pytest

from bandit.errors import NotEnoughData, RecordError
from bandit.ope import LoggedBatch, SlateBatch, cressie_read, cressie_read_slates

BOUNDS = [4.0, 4.0]


def log_of(seed: int, n: int = 400) -> SlateBatch:
    """Two slots of four actions each, logged uniformly; the target has 0.85 on the first."""
    rng = np.random.default_rng(seed)
    first = rng.random((n, 2)) < 0.25
    reward = (rng.random((n, 2)) < np.where(first, 0.4, 0.1)).astype(float)
    return SlateBatch.of(
        propensity=np.full((n, 2), 0.25), target=np.where(first, 0.85, 0.05), reward=reward
    )


def test_intervals_hold_the_truth_of_the_ranking_and_of_each_slot():
    value = 0.85 * 0.4 + 0.15 * 0.1
    held = {None: 0, 0: 0, 1: 0}
    for seed in range(100):
        log = log_of(seed)
        for slot in held:
            found = cressie_read_slates(
                log, reward_range=(0.0, 1.0), weight_bounds=BOUNDS, slot=slot
            )
            held[slot] += found.low <= (2 * value if slot is None else value) <= found.high
    # 95 % of 100, less 4.4 of its standard errors of 2.2.
    assert min(held.values()) >= 86


def test_the_top_slot_is_judged_as_if_it_were_alone():
    log = log_of(1)
    alone = LoggedBatch.of(
        propensity=log.propensity[:, 0],
        target=log.target[:, 0],
        reward=log.reward[:, 0],
        weight_bound=4.0,
        reward_range=(0.0, 1.0),
    )
    found = cressie_read_slates(log, reward_range=(0.0, 1.0), weight_bounds=BOUNDS, slot=0)
    wanted = cressie_read(alone)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)
    unknown = cressie_read_slates(log, reward_range=(0.0, 1.0), slot=0)
    assert unknown.low <= found.low < found.high <= unknown.high


def test_units_that_come_again_widen_it():
    log = log_of(2)
    rows = np.repeat(np.arange(100), 4)
    again = SlateBatch.of(
        propensity=log.propensity[rows],
        target=log.target[rows],
        reward=log.reward[rows],
        unit=rows,
    )
    apart = SlateBatch.of(propensity=again.propensity, target=again.target, reward=again.reward)
    given = {"reward_range": (0.0, 1.0), "weight_bounds": BOUNDS}
    assert (
        cressie_read_slates(again, **given).width > 1.5 * cressie_read_slates(apart, **given).width
    )


def test_what_is_missing_is_named():
    log = log_of(3)
    with pytest.raises(RecordError, match="weight_bounds is missing"):
        cressie_read_slates(log, reward_range=(0.0, 1.0))
    with pytest.raises(RecordError, match=r"shape \(1,\), must be \(2,\)"):
        cressie_read_slates(log, reward_range=(0.0, 1.0), weight_bounds=[4.0])
    with pytest.raises(ValueError, match="slot is 2"):
        cressie_read_slates(log, reward_range=(0.0, 1.0), slot=2)
    empty = SlateBatch.of(
        propensity=np.zeros((0, 2)), target=np.zeros((0, 2)), reward=np.zeros((0, 2))
    )
    with pytest.raises(NotEnoughData):
        cressie_read_slates(empty, reward_range=(0.0, 1.0), weight_bounds=BOUNDS)
