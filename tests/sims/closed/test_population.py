import numpy as np
import pytest

from sims.closed.plan import ACTIONS_N, Plan
from sims.closed.population import Population
from sims.worlds.synthetic import SyntheticWorld
from tests.sims.closed.making import POPULATION, round_of


def test_truth_is_a_sum_over_all_rounds() -> None:
    truth = POPULATION.truth
    assert truth.uniform == pytest.approx((0.5 + 1.0 + 0.5) / 3)
    assert truth.first == pytest.approx(2 / 3)
    assert truth.mixed == pytest.approx((truth.uniform + truth.first) / 2)
    assert truth.of("loop-first") == truth.first


def test_served_value_is_the_mean_over_the_draw() -> None:
    population = Population([round_of(1.0, 0.0, 0.5)])
    assert population.served_value(0, [0.2, 0.3, 0.5]) == pytest.approx(0.2 + 0.25)


def test_population_of_a_world_has_few_actions_and_the_liked_ones_first() -> None:
    population = Population.of(SyntheticWorld(), rounds_n=300, seed=5)
    assert {len(this.actions) for this in population.rounds} == {ACTIONS_N}
    by_place = np.mean([this.expected for this in population.rounds], axis=0)
    assert by_place[0] > by_place[-1] + 0.1
    truth = population.truth
    assert truth.first > truth.mixed > truth.uniform


def test_equal_seeds_give_equal_populations() -> None:
    first, again, other = (
        Population.of(SyntheticWorld(), rounds_n=20, seed=seed).rounds for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


def test_plan_makes_the_rate_that_it_names() -> None:
    plan = Plan(rate_per_s=200.0)
    mean = POPULATION.mean_reward(plan)
    rounds = plan.rounds_per_s(mean)
    rewards = rounds * mean * 0.95 * 1.05
    assert rounds * 1.02 + rewards == pytest.approx(200.0)
