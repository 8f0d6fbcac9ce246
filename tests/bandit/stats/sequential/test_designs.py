"""Ways of looking beside each other: against their own bounds, and against each other."""

import pytest

from bandit.errors import RecordError
from bandit.stats.sequential import DesignCost, Spending, compare_designs, spending_design


@pytest.fixture(scope="module")
def costs() -> dict[tuple, DesignCost]:
    found = compare_designs(20_000, power_wanted=0.8, looks=(5, 10))
    return {(cost.kind, cost.looks, cost.spending): cost for cost in found}


@pytest.mark.parametrize("looks", [5, 10])
@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_plans_cost_what_their_bounds_say(costs, looks: int, spending: str):
    fractions = [(k + 1) / looks for k in range(looks)]
    design = spending_design(fractions, spending=Spending(kind=spending))
    cost = costs["planned", looks, spending]
    # The design's power is that of the right side only; the other adds less than 1e-4.
    assert cost.units_most / 20_000 == pytest.approx(design.inflation(0.8), rel=1e-4)
    assert cost.units_expected / 20_000 == pytest.approx(design.expected_size(0.8), rel=1e-4)


def test_a_plan_costs_more_at_most_and_less_on_average(costs):
    fixed = costs["fixed", 1, None]
    assert fixed.units_most == fixed.units_expected == 20_000
    for (kind, *_), cost in costs.items():
        if kind == "planned":
            assert cost.units_expected < 20_000 < cost.units_expected_null <= cost.units_most
            assert cost.power < fixed.power == pytest.approx(0.8, abs=1e-4)
    watched = costs["anytime", None, None]
    assert watched.units_most > costs["planned", 10, "pocock"].units_most
    assert watched.units_expected < 1.2 * 20_000


def test_curves_err_at_most_as_often_as_alpha_says_and_rise(costs):
    for cost in costs.values():
        powers = [point.power for point in cost.curve]
        assert powers[0] <= 0.05 + 1e-9
        assert powers == sorted(powers)
        at_plan = next(point for point in cost.curve if point.multiple == 1.0)
        assert (at_plan.power, at_plan.units) == (cost.power, cost.units_expected)


def test_one_side_needs_its_own_bounds():
    fixed, plan, *_ = compare_designs(10_000, sides=1, looks=(4,))
    assert fixed.curve[0].power == pytest.approx(0.05)
    assert plan.curve[0].power == pytest.approx(0.05)


def test_a_sequence_says_nothing_before_its_first_look():
    *_, watched = compare_designs(20, looks=(2,))
    assert watched.units_most >= 100
    assert watched.power == 0.0


def test_a_power_that_is_none_is_refused():
    with pytest.raises(RecordError):
        compare_designs(100, power_wanted=1.0)
