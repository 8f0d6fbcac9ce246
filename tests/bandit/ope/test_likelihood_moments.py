import pytest

from bandit.errors import NotEnoughData
from bandit.ope import CressieRead, LikelihoodMoments, LoggedBatch, cressie_read
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
