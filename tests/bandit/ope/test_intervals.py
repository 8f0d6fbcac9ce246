import numpy as np
import pytest

from bandit.errors import NotEnoughData, RecordError
from bandit.ope import (
    CressieRead,
    Dr,
    Ips,
    Kernel,
    LoggedBatch,
    RewardDistribution,
    RidgePerAction,
    Snips,
    SwitchDr,
    anytime_betting,
    anytime_ips,
    bootstrap,
    clopper_pearson,
    contribution_span,
    empirical_bernstein,
    hoeffding,
    student_t,
    tune,
)
from tests.bandit.ope.worlds import batch_of, world_a

LOG = world_a(1500, 4, 9, 1.0, 3.0)
BATCH = batch_of(LOG, reward_range=(0.0, 1.0))


def test_bounds_that_always_hold_are_wider_than_those_that_mostly_do():
    span = contribution_span(BATCH)
    earned = BATCH.weights * BATCH.reward
    t = student_t(Ips().terms(BATCH))
    for bound in (hoeffding(earned, span), empirical_bernstein(earned, span)):
        assert bound.low < t.low < t.high < bound.high


def test_a_span_that_the_values_leave_is_no_bound():
    with pytest.raises(ValueError, match="span"):
        hoeffding(np.array([0.0, 2.0]), (0.0, 1.0))
    unbounded = LoggedBatch.of(propensity=[0.5], reward=[1.0], target=[0.5])
    with pytest.raises(NotEnoughData, match="weight_bound"):
        contribution_span(unbounded)


def test_looks_outside_the_log_and_settings_that_are_none_are_named():
    with pytest.raises(ValueError, match="after 1501 decisions, must be after 1 … 1500"):
        anytime_ips(BATCH, looks=[1501])
    with pytest.raises(ValueError, match="after 0 values"):
        anytime_betting(np.ones(3), (0.0, 2.0), looks=[0])
    for wrong in (lambda: Ips(-1.0), lambda: Dr(float("nan")), lambda: SwitchDr(-0.1)):
        with pytest.raises(RecordError, match="must be at least 0"):
            wrong()
    with pytest.raises(RecordError, match="strength is 0"):
        RidgePerAction(k=2, strength=0.0)
    with pytest.raises(ValueError, match=r"level is 1\.5"):
        RewardDistribution(BATCH).quantile(1.5)
    for span in ((1.0, 1.0), (1.0, 0.0)):
        for bound in (hoeffding, anytime_betting):
            with pytest.raises(ValueError, match="the lower first"):
                bound(np.ones(3), span)
    with pytest.raises(ValueError, match="resamples_n is 0"):
        bootstrap(Ips().terms(BATCH), np.random.default_rng(1), resamples_n=0)
    with pytest.raises(ValueError, match="method is 'foo' with 1 candidates"):
        tune([Ips()], BATCH, unbiased=Ips(), method="foo")
    with pytest.raises(RecordError, match="form is 'wis', must be one of ips, snips, dr"):
        Kernel(1.0, form="wis").terms(action=[0], density=[1], target=[0], reward=[1])


def test_a_bootstrap_knows_no_unit_of_reward():
    # 10¹⁵⁰ raised to the third power was an OverflowError.
    large = BATCH.take(slice(0, 100))
    scaled = LoggedBatch.of(
        propensity=large.propensity, target=large.target, reward=large.reward * 1e150
    )
    plain = bootstrap(Ips().terms(large), np.random.default_rng(1), resamples_n=200)
    huge = bootstrap(Ips().terms(scaled), np.random.default_rng(1), resamples_n=200)
    assert huge.high == pytest.approx(plain.high * 1e150)


def test_clopper_pearson_stays_in_the_range_where_the_peer_gives_nan():
    batch = LoggedBatch.of(
        propensity=[0.1] * 20, reward=[1.0] * 20, target=[0.9] * 20, reward_range=(0.0, 1.0)
    )
    found = clopper_pearson(batch)
    assert 0.0 <= found.low < found.high == 1.0
    shifted = LoggedBatch.of(
        propensity=BATCH.propensity, reward=BATCH.reward * 2 - 1, target=BATCH.target,
        reward_range=(-1.0, 1.0),
    )  # fmt: skip
    plain = clopper_pearson(BATCH, weight_bound=2.0)
    assert clopper_pearson(shifted, weight_bound=2.0).low == pytest.approx(2 * plain.low - 1)


def test_bootstrap_resamples_units_and_not_rows():
    rows = np.repeat(np.arange(150), 10)
    often = BATCH.take(np.arange(150)).take(rows)
    clustered = LoggedBatch.of(
        propensity=often.propensity, reward=often.reward, target=often.target, unit=rows
    )
    wide = bootstrap(Snips().terms(clustered), np.random.default_rng(1))
    narrow = bootstrap(Snips().terms(often), np.random.default_rng(1))
    assert wide.width == pytest.approx(np.sqrt(10) * narrow.width, rel=0.1)


def test_bca_leans_to_the_long_tail():
    rng = np.random.default_rng(3)
    reward = rng.exponential(size=60) ** 2
    terms = Ips().terms(LoggedBatch.of(propensity=[0.5] * 60, target=[0.5] * 60, reward=reward))
    bca = bootstrap(terms, np.random.default_rng(2))
    percentile = bootstrap(terms, np.random.default_rng(2), method="percentile")
    assert bca.high > percentile.high
    assert bca.low > percentile.low


def test_what_has_no_spread_or_no_sums_has_no_bootstrap():
    equal = LoggedBatch.of(propensity=[0.5] * 9, target=[0.5] * 9, reward=[1.0] * 9)
    with pytest.raises(NotEnoughData):
        bootstrap(Ips().terms(equal), np.random.default_rng(1))
    with pytest.raises(NotEnoughData):
        student_t(Ips().terms(equal))
    with pytest.raises(ValueError, match="solves"):
        bootstrap(CressieRead().terms(BATCH), np.random.default_rng(1))
    with pytest.raises(ValueError, match="alpha"):
        student_t(Ips().terms(BATCH), alpha=0.0)
