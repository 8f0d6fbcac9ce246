"""How often a verdict that is watched calls a difference that is not there."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bandit.service.reporting_effects import metric_effect
from bandit.service.reporting_payloads import GroupCounts
from bandit.service.reporting_verdicts import verdict_of
from bandit.specs import Experiment, Metric, Variant
from bandit.stats import JointMoments, Moments, srm
from bandit.store.reports import VariantUnits

pytestmark = pytest.mark.slow

EXPERIMENT = Experiment(
    key="e",
    surface="home",
    salt="s",
    status="running",
    control="c",
    variants=[
        Variant(key="c", policy="random", allocation=[(0, 5000)]),
        Variant(key="t", policy="vw", allocation=[(5000, 10_000)]),
    ],
)
METRIC = Metric(key="bought", source="reward")
UNITS = VariantUnits({"c": 100, "t": 100}, crossed_n=0, forced_n=0)
COUNTS = [
    GroupCounts(label=key, policy=key, units_n=100, decisions_n=100, counted_n=100) for key in "ct"
]
FINE = srm({"c": 100, "t": 100}, {"c": 1, "t": 1})
SAID = {"better", "worse"}
SAID_BY_ONE_LOOK = {*SAID, "not_yet"}


def state_of(control: Moments, treatment: Moments) -> str:
    found = metric_effect(METRIC, ("c", control), ("t", treatment), 0.05, is_primary=True)
    return verdict_of(EXPERIMENT, COUNTS, UNITS, FINE, [found], window_s=600.0).state


def chance_at_most(share: float, bound: float, runs_n: int) -> bool:
    return share <= bound + 4.4 * (bound * (1.0 - bound) / runs_n) ** 0.5


def test_a_watched_null_is_called_better_or_worse_no_more_often_than_alpha():
    # A/A experiments of 5 % conversions, 100 looks each, after every 100 units.
    rng = np.random.default_rng(20_261)
    runs_n, looks_n, units_n = 400, 100, 50
    called = by_one_look = 0
    for _ in range(runs_n):
        hits = rng.binomial(units_n, 0.05, size=(2, looks_n)).cumsum(axis=1)
        states = set()
        for look in range(looks_n):
            n = (look + 1) * units_n
            states.add(
                state_of(*(JointMoments.of_count(int(k), n).column(0) for k in hits[:, look]))
            )
        called += bool(states & SAID)
        by_one_look += bool(states & SAID_BY_ONE_LOOK)
    assert chance_at_most(called / runs_n, 0.05, runs_n)
    # What the one planned look says when it is watched: the reason for all this.
    assert by_one_look / runs_n > 0.25


@pytest.mark.parametrize(("per", "bound"), [("unit", 0.05), ("decision", 0.10)])
def test_units_that_come_back_at_every_look_cost_at_most_twice_alpha(per: str, bound: float):
    # 200 looks; at each every unit has one more decision, and 20 units more are in each variant.
    # Means per decision calm down after they counted, so looks are less alike than was foreseen.
    rng = np.random.default_rng(20_262)
    runs_n = 200
    called = by_one_look = 0
    for _ in range(runs_n):
        states = watched(rng, per, looks_n=200, first_n=100, more_n=20)
        called += bool(states & SAID)
        by_one_look += bool(states & SAID_BY_ONE_LOOK)
    assert chance_at_most(called / runs_n, bound, runs_n)
    assert by_one_look / runs_n > 0.25


def watched(
    rng: np.random.Generator, per: str, *, looks_n: int, first_n: int, more_n: int
) -> set[str]:
    """States that a null experiment of units who differ is in."""
    most_n = first_n + more_n * looks_n
    rates = rng.beta(2, 18, size=(2, most_n))
    totals, counts = np.zeros((2, most_n)), np.zeros(most_n)
    states = set()
    for look in range(looks_n):
        n = first_n + more_n * look
        totals[:, :n] += rng.random((2, n)) < rates[:, :n]
        counts[:n] += 1
        numbers = totals[:, :n] / counts[:n] if per == "decision" else totals[:, :n]
        states.add(state_of(*(moments_of(row) for row in numbers)))
    return states


def moments_of(numbers: NDArray[np.float64]) -> Moments:
    return Moments(
        n=numbers.size, mean=float(numbers.mean()), m2=float(numbers.var() * numbers.size)
    )
