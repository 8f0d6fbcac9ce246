"""The default estimator: between SNIPS and DR, and never worse than the worse of them."""

import numpy as np
import pytest

from bandit.errors import NotEnoughData
from bandit.ope import CalibratedDr, Dm, Dr, LoggedBatch, Sndr, Snips
from bandit.ope.doubly import calibration
from tests.bandit.ope.worlds import batch_of, world_a, world_b

GOOD = batch_of(world_a(2000, 4, 5, 1.0, 3.0), reward_range=(0.0, 1.0))


def test_a_model_that_knows_nothing_makes_it_snips():
    # All weights are below √n here; with Σw above n both divide by Σw.
    heavy = GOOD.take(np.argsort(-GOOD.weights)[:1500])
    assert heavy.weights.max() < np.sqrt(heavy.n)
    assert heavy.weights.mean() > 1.0
    flat = heavy.with_predictions(np.full((heavy.n, 4), 0.3))
    assert CalibratedDr().terms(flat).value == pytest.approx(Snips().terms(flat).value, rel=1e-12)


def test_a_model_that_is_right_on_average_makes_it_sndr():
    truth = GOOD.predictions
    k = np.eye(4)[GOOD.action]
    exact = truth + k * (GOOD.reward - (truth * k).sum(axis=1))[:, None]
    batch = GOOD.with_predictions(exact)  # it knows even the noise: nothing is left to correct
    assert CalibratedDr().terms(batch).value == pytest.approx(Dm().terms(batch).value, rel=1e-12)
    assert CalibratedDr().terms(batch).value == pytest.approx(Dr().terms(batch).value, rel=1e-12)


def test_a_model_of_the_wrong_sign_is_not_used():
    assert calibration(np.array([1.0, 0.0]), np.array([0.25, 0.75]), np.ones(2)) == (0.5, 0.0)
    assert calibration(np.array([0.4, 0.6]), np.array([0.0, 1.0]), np.ones(2)) == (0.0, 1.0)
    assert calibration(np.full(3, 0.1), np.array([0.0, 1.0, 1.0]), np.ones(3)) == (2 / 3, 0.0)


def test_it_is_steadier_than_self_normalised_ones_where_few_decisions_carry_the_weight():
    errors = {}
    for seed in range(60):
        world = world_b(400, 10, 1000 + seed, 0.2)
        batch, truth = batch_of(world, reward_range=(0.0, 1.0)), world["truth"].mean()
        if not batch.weights.any():
            continue
        for estimator in (CalibratedDr(), Sndr(), Snips()):
            error = estimator.terms(batch).value - truth
            errors.setdefault(estimator.name, []).append(error**2)
    mean = {name: np.mean(each) for name, each in errors.items()}
    assert mean["calibrated_dr"] < 0.95 * min(mean["snips"], mean["sndr"])


def test_sampled_rows_count_as_many_times_as_they_stand_for():
    few = GOOD.take(slice(0, 300))
    twice = few.take(np.repeat(np.arange(300), 2))
    weighted = LoggedBatch.of(
        action=few.action,
        propensity=few.propensity,
        reward=few.reward,
        target_pmf=few.target_pmf,
        predictions=few.predictions,
        sampling=np.full(300, 2.0),
    )
    got = CalibratedDr().terms(weighted)
    assert got.value == pytest.approx(CalibratedDr().terms(twice).value, rel=1e-12)
    assert got.contributions.mean() == pytest.approx(got.value)


def test_without_overlap_there_is_no_value():
    batch = LoggedBatch.of(
        propensity=[0.5] * 4, reward=[1, 0, 1, 0], action=[0] * 4, target_pmf=[[0.0, 1.0]] * 4
    ).with_predictions(np.full((4, 2), 0.5))
    with pytest.raises(NotEnoughData):
        CalibratedDr().terms(batch)
