"""Charts of plans hold the payload's numbers."""

import pytest

from bandit.service.planning import PlanQuestion
from bandit.service.reporting_planning import typed_planning
from dashboard.charts_plan import (
    drawn,
    duration_chart,
    duration_points,
    mde_chart,
    mde_points,
    name_of,
    power_chart,
    power_points,
)
from dashboard.page_planner import number_asked, plan_rows

ASKED = PlanQuestion(mean=0.05, type="proportion", effect=0.1, units_per_day=5000.0)
FOUND = typed_planning(ASKED)
PLAN = FOUND.plan
assert PLAN is not None


def test_least_effects_are_those_of_the_curve():
    rows = mde_points(PLAN)
    assert [row["effect"] for row in rows] == [point.relative_effect for point in PLAN.curve]
    drawing = mde_chart(PLAN)
    assert drawing is not None
    assert "14 days: 9.4 %" in drawing.alt


def test_lines_are_those_of_the_designs_that_are_drawn():
    names = [name_of(one.cost) for one in drawn(PLAN.designs)]
    assert names == ["one look", "5 looks, O'Brien–Fleming", "5 looks, Pocock", "any time"]
    rows = power_points(PLAN)
    fixed = PLAN.designs[0].cost
    assert [r["power"] for r in rows if r["label"] == names[0]] == [p.power for p in fixed.curve]
    at_plan = [r for r in duration_points(PLAN) if r["effect"] == PLAN.relative_effect]
    for row, one in zip(at_plan, drawn(PLAN.designs), strict=True):
        assert row["days"] == pytest.approx(one.days_expected)
    for chart in (power_chart(PLAN), duration_chart(PLAN)):
        assert chart is not None
        assert "any time" in chart.alt


def test_without_arrivals_there_is_power_and_no_time():
    unpaced = typed_planning(PlanQuestion(mean=0.05, type="proportion")).plan
    assert unpaced is not None
    assert mde_chart(unpaced) is None
    assert duration_chart(unpaced) is None
    assert power_chart(unpaced) is not None


def test_a_spreadsheet_has_every_way_of_looking():
    rows = plan_rows(FOUND)
    assert [row["units_most"] for row in rows] == [one.cost.units_most for one in PLAN.designs]


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5.0), ("", None), ("x", None), ("-1", None), ("nan", None), ("101", None)],
)
def test_an_address_can_hold_rubbish(text: str, number: float | None):
    assert number_asked(text, 0.0, 100.0) == number
