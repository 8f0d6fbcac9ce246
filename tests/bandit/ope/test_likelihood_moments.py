from dataclasses import replace

import pytest

from bandit.errors import NotEnoughData
from bandit.ope import (
    CressieRead,
    LikelihoodMoments,
    LoggedBatch,
    cressie_read,
    gain_over_logging,
)
from tests.bandit.ope.worlds import batch_of, world_a, world_b

INF = float("inf")
LOGS = {
    "mean weight below 1": batch_of(world_a(500, 4, 11, 1.0, 3.0), reward_range=(0, 1)),
    "mean weight above 1": batch_of(world_b(2000, 10, 7, 0.1), reward_range=(0, 1)),
}


@pytest.mark.parametrize("log", LOGS.values(), ids=list(LOGS))
@pytest.mark.parametrize("bound", [150.0, INF])
def test_merged_days_give_the_value_and_interval_of_the_rows(log: LoggedBatch, bound: float):
    first, *rest = [LikelihoodMoments.of(part) for part in log.parts(130)]
    for part in rest:
        first = first + part
    rows = CressieRead((0.0, bound)).terms(log).value
    assert first.value(weight_bound=bound) == pytest.approx(rows, rel=1e-10)
    wanted = cressie_read(log, weight_bounds=(0.0, bound))
    got = first.interval(weight_bound=bound, reward_range=(0.0, 1.0))
    assert (got.low, got.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)


def test_an_empty_day_is_an_error():
    with pytest.raises(NotEnoughData):
        LikelihoodMoments.of(LOGS["mean weight below 1"].take(slice(0, 0)))


def test_gain_of_merged_days_is_that_of_the_rows():
    log = batch_of(world_a(900, 4, 21, 1.0, 3.0), reward_range=(0.0, 1.0))
    first, second, third = (LikelihoodMoments.of(day) for day in log.parts(300))
    found = (first + second + third).gain_interval(
        weight_bound=log.greatest_weight, reward_range=(0.0, 1.0)
    )
    wanted = gain_over_logging(log).interval
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-9)


def test_an_offset_of_a_million_moves_the_interval_and_hardly_its_width():
    log = batch_of(world_a(900, 4, 21, 1.0, 3.0), reward_range=(0.0, 1.0))
    far = replace(log, reward=log.reward + 1e6, reward_range=(1e6, 1e6 + 1.0))
    given = {"weight_bound": log.greatest_weight}
    near_by = LikelihoodMoments.of(log).interval(reward_range=(0.0, 1.0), **given)
    far_off = LikelihoodMoments.of(far).interval(reward_range=(1e6, 1e6 + 1.0), **given)
    assert far_off.low - 1e6 == pytest.approx(near_by.low, abs=1e-4)
    assert far_off.high - 1e6 == pytest.approx(near_by.high, abs=1e-4)
