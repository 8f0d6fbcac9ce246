"""Logs that leave a row far away from weight 1 no share: no interval may call that certainty."""

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.ope import (
    LikelihoodMoments,
    LoggedBatch,
    SlateBatch,
    clopper_pearson,
    cressie_read,
    cressie_read_slates,
    default_interval,
    gain_between,
    gain_over_logging,
)


def own(reward: np.ndarray, **more: object) -> LoggedBatch:
    """A log of the very policy that is judged."""
    half = np.full(len(reward), 0.5)
    fields = {"target": half, "weight_bound": 2.0, "reward_range": (0.0, 1.0)} | more
    return LoggedBatch.of(propensity=half, reward=reward, **fields)


@pytest.mark.parametrize("n", [1, 10, 200])
@pytest.mark.parametrize("reward", [0.0, 1.0])
def test_equal_rewards_of_the_policys_own_log_are_no_certainty(n: int, reward: float) -> None:
    # It was [0, 0]: two hundred decisions without a click proved that clicks do not exist.
    log = own(np.full(n, reward))
    got, exact = cressie_read(log), clopper_pearson(log, weight_bound=1.0)
    assert got.low <= reward <= got.high
    assert got.width == pytest.approx(exact.width, rel=0.2)
    merged = LikelihoodMoments.of(log).interval(weight_bound=2.0, reward_range=(0.0, 1.0))
    assert (merged.low, merged.high) == pytest.approx((got.low, got.high), abs=1e-12)


def test_a_rare_click_is_covered_on_the_policys_own_log() -> None:
    rng, chance, hits = np.random.default_rng(2), 0.003, 0
    for _ in range(200):
        got = cressie_read(own((rng.random(300) < chance).astype(float)))
        hits += got.low <= chance <= got.high
    assert hits >= 184  # 95 % and 1.9 standard errors; it was 41 %


def test_five_decisions_whose_weights_are_too_large_do_not_prove_a_zero() -> None:
    target = np.array([0.85, 0.83, 0.57, 0.84, 0.81])
    fields = {"propensity": [0.5] * 5, "target": target, "weight_bound": 2.0}
    log = LoggedBatch.of(reward=[0.0] * 5, reward_range=(0.0, 1.0), **fields)
    assert cressie_read(log).high > 0.1
    assert default_interval(log).low == 0.0


def test_a_model_makes_no_certainty_of_equal_rewards_either() -> None:
    pmf = np.full((200, 2), 0.5)
    log = own(
        np.zeros(200), target=None, action=np.arange(200) % 2, target_pmf=pmf, logged_pmf=pmf,
        predictions=np.zeros((200, 2)),
    )  # fmt: skip
    assert 0.005 < default_interval(log).high < 0.05


def test_candidates_that_no_row_tells_apart_may_differ_and_one_policy_may_not() -> None:
    reward = np.tile([0.0, 1.0], 100)
    unseen = gain_over_logging(own(reward)).interval
    assert unseen.low == pytest.approx(-unseen.high)
    assert 0.001 < unseen.high < 0.02
    moments = LikelihoodMoments.of(own(reward))
    merged = moments.gain_interval(weight_bound=2.0, reward_range=(0.0, 1.0))
    assert merged.high == pytest.approx(unseen.high)
    same = gain_over_logging(own(reward, weight_bound=1.0)).interval
    assert (str(same.low), str(same.high)) == ("0.0", "0.0")  # it was −2e-17, and −0.0

    logged = np.tile([0.5, 0.25, 0.25], (200, 1))
    given = {"propensity": [0.5] * 200, "action": [0] * 200, "logged_pmf": logged}
    first, second = (
        LoggedBatch.of(
            reward=reward, reward_range=(0, 1), weight_bound=4.0, target_pmf=[pmf] * 200, **given
        )
        for pmf in ([0.5, 0.5, 0.0], [0.5, 0.0, 0.5])
    )
    assert gain_between(first, second).interval.width > 0.01
    assert gain_between(first, first).interval.width == 0.0


def test_a_ranking_nobody_clicked_is_no_certainty() -> None:
    half = np.full((200, 2), 0.5)
    slates = SlateBatch.of(propensity=half, target=half, reward=np.zeros((200, 2)))
    got = cressie_read_slates(slates, reward_range=(0, 1), weight_bounds=[2, 2])
    assert 0.005 < got.high < 0.1


def test_given_bounds_are_the_only_rows_as_in_the_paper() -> None:
    # vw-estimators' convention: its Interval(0, 2) has 0 and 2 alone.
    assert cressie_read(own(np.full(50, 0.7)), weight_bounds=(0.0, 2.0)).width < 1e-12


def test_weights_that_can_not_have_mean_1_are_refused() -> None:
    log = own(np.zeros(9), weight_bound=None, target=[0.1] * 9)
    with pytest.raises(RecordError, match=r"greatest weight is 0\.2, must be at least 1"):
        cressie_read(log, weight_bounds=(0.0, 0.2))
