"""How often a verdict that is watched calls a difference that is not there."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bandit.service.judging_estimates import Comparison
from bandit.service.judging_families import decided
from bandit.service.judging_tests import anytime, fixed
from bandit.stats import JointMoments
from bandit.store.numbers import MetricNumbers
from tests.bandit.service.making_numbers import metric_of

pytestmark = pytest.mark.slow

ALPHA = 0.05


def called(control: JointMoments, treatment: JointMoments, kind: str = "sum") -> tuple[bool, bool]:
    """Whether a verdict would be better or worse: as what decides says, and as one look would."""
    numbers = MetricNumbers(
        metric="bought", columns=("value",), by_variant={"c": control, "t": treatment}
    )
    found = Comparison(metric_of("bought", type=kind), numbers, "c", "t")
    return decided(anytime(found, ALPHA, level=ALPHA)), decided(fixed(found, ALPHA))


def chance_at_most(share: float, bound: float, runs_n: int) -> bool:
    return share <= bound + 4.4 * (bound * (1.0 - bound) / runs_n) ** 0.5


def test_a_watched_null_is_called_better_or_worse_no_more_often_than_alpha():
    # A/A experiments of 5 % conversions, 100 looks each, after every 100 units.
    rng = np.random.default_rng(20_261)
    runs_n, looks_n, units_n = 400, 100, 50
    ever, ever_by_one = 0, 0
    for _ in range(runs_n):
        hits = rng.binomial(units_n, 0.05, size=(2, looks_n)).cumsum(axis=1)
        looks = [
            called(*(JointMoments.of_count(int(k), (look + 1) * units_n) for k in hits[:, look]))
            for look in range(looks_n)
        ]
        ever += any(at_any for at_any, _ in looks)
        ever_by_one += any(by_one for _, by_one in looks)
    assert chance_at_most(ever / runs_n, ALPHA, runs_n)
    # What the one planned look says when it is watched: the reason for all this.
    assert ever_by_one / runs_n > 0.25


@pytest.mark.parametrize(("per", "bound"), [("unit", 0.05), ("decision", 0.10)])
def test_units_that_come_back_at_every_look_cost_at_most_twice_alpha(per: str, bound: float):
    # 200 looks; at each every unit has one more decision, and 20 units more are in each variant.
    # Means per decision calm down after they counted, so looks are less alike than was foreseen.
    rng = np.random.default_rng(20_262)
    runs_n = 100
    ever, ever_by_one = 0, 0
    for _ in range(runs_n):
        looks = watched(rng, per, looks_n=200, first_n=100, more_n=20)
        ever += any(at_any for at_any, _ in looks)
        ever_by_one += any(by_one for _, by_one in looks)
    assert chance_at_most(ever / runs_n, bound, runs_n)
    assert ever_by_one / runs_n > 0.25


def watched(
    rng: np.random.Generator, per: str, *, looks_n: int, first_n: int, more_n: int
) -> list[tuple[bool, bool]]:
    """What is called at each look of a null experiment of units who differ."""
    most_n = first_n + more_n * looks_n
    rates = rng.beta(2, 18, size=(2, most_n))
    totals, counts = np.zeros((2, most_n)), np.zeros(most_n)
    found = []
    for look in range(looks_n):
        n = first_n + more_n * look
        totals[:, :n] += rng.random((2, n)) < rates[:, :n]
        counts[:n] += 1
        numbers = totals[:, :n] / counts[:n] if per == "decision" else totals[:, :n]
        found.append(called(*(moments_of(row) for row in numbers)))
    return found


def moments_of(numbers: NDArray[np.float64]) -> JointMoments:
    return JointMoments(
        n=numbers.size,
        means=(float(numbers.mean()),),
        cross=((float(numbers.var() * numbers.size),),),
    )
