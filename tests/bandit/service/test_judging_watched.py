"""How often a verdict that is watched calls a difference that is not there."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pytest

from bandit.service.judging_estimates import Comparison
from bandit.service.judging_families import decided
from bandit.service.judging_tests import anytime, fixed
from bandit.stats import JointMoments
from bandit.store.numbers import MetricNumbers
from tests.bandit.service.making_numbers import metric_of

pytestmark = pytest.mark.slow

ALPHA = 0.05


class Called(NamedTuple):
    """What an experiment that was watched was called better or worse by."""

    at_any: bool
    """By what decides."""
    by_one: bool
    """By the one planned look, had it been taken at every one."""


def ever_called(looks: Iterable[tuple[JointMoments, JointMoments]]) -> Called:
    """Whether any look's verdict would be better or worse: what was called is not asked again."""
    at_any = by_one = False
    for control, treatment in looks:
        numbers = MetricNumbers(
            metric="bought", columns=("value",), by_variant={"c": control, "t": treatment}
        )
        found = Comparison(metric_of("bought", type="sum"), numbers, "c", "t")
        at_any = at_any or decided(anytime(found, ALPHA, level=ALPHA))
        by_one = by_one or decided(fixed(found, ALPHA))
    return Called(at_any, by_one)


def chance_at_most(share: float, bound: float, runs_n: int) -> bool:
    return share <= bound + 4.4 * (bound * (1.0 - bound) / runs_n) ** 0.5


def test_a_watched_null_is_called_better_or_worse_no_more_often_than_alpha():
    # A/A experiments of 5 % conversions, 100 looks each, after every 100 units.
    rng = np.random.default_rng(20_261)
    runs_n, looks_n, units_n = 400, 100, 50
    runs = []
    for _ in range(runs_n):
        hits = rng.binomial(units_n, 0.05, size=(2, looks_n)).cumsum(axis=1)
        looks = (
            (
                JointMoments.of_count(int(control_n), (look + 1) * units_n),
                JointMoments.of_count(int(treatment_n), (look + 1) * units_n),
            )
            for look, (control_n, treatment_n) in enumerate(hits.T)
        )
        runs.append(ever_called(looks))
    assert chance_at_most(sum(run.at_any for run in runs) / runs_n, ALPHA, runs_n)
    # What the one planned look says when it is watched: the reason for all this.
    assert sum(run.by_one for run in runs) / runs_n > 0.25


@pytest.mark.parametrize(("per", "bound"), [("unit", 0.05), ("decision", 0.10)])
def test_units_that_come_back_at_every_look_cost_at_most_twice_alpha(per: str, bound: float):
    # 200 looks; at each every unit has one more decision, and 20 units more are in each variant.
    # Means per decision calm down after they counted, so looks are less alike than was foreseen.
    rng = np.random.default_rng(20_262)
    runs_n = 100
    runs = [
        ever_called(watched(rng, per, looks_n=200, first_n=100, more_n=20)) for _ in range(runs_n)
    ]
    assert chance_at_most(sum(run.at_any for run in runs) / runs_n, bound, runs_n)
    assert sum(run.by_one for run in runs) / runs_n > 0.25


def watched(
    rng: np.random.Generator, per: str, *, looks_n: int, first_n: int, more_n: int
) -> Iterator[tuple[JointMoments, JointMoments]]:
    """Each look at a null experiment of units who differ; all looks are drawn at once."""
    sizes = first_n + more_n * np.arange(looks_n)
    rates = rng.beta(2, 18, size=(2, sizes[-1])).astype(np.float32)
    counts = (np.arange(sizes[-1]) < sizes[:, None]).cumsum(axis=0)
    hits = rng.random((looks_n, 2, sizes[-1]), dtype=np.float32) < rates
    hits &= counts[:, None] > 0
    numbers = hits.cumsum(axis=0, dtype=np.float64)
    if per == "decision":
        numbers /= np.maximum(counts, 1)[:, None]
    means = numbers.sum(axis=2) / sizes[:, None]
    crosses = np.einsum("lvu,lvu->lv", numbers, numbers) - sizes[:, None] * means**2
    for n, look_means, look_crosses in zip(sizes, means, crosses, strict=True):
        control, treatment = (
            JointMoments(n=int(n), means=(float(m),), cross=((float(c),),))
            for m, c in zip(look_means, look_crosses, strict=True)
        )
        yield control, treatment
