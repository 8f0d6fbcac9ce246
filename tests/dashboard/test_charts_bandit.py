"""Charts of a surface: what is drawn is what the payload says."""

from bandit.service.evaluation_artefact import artefact_of, headline_of
from bandit.service.reporting_actions import ActionEstimate, ActionValue
from bandit.service.reporting_surface_payloads import (
    AllocationBucket,
    DelayBucket,
    FeatureWeight,
    PolicyAllocation,
)
from bandit.stats import PropensityCheck, check_propensities
from bandit.stats.allocation import Propensities
from dashboard.charts_bandit import (
    OTHERS,
    action_rows,
    allocation_chart,
    allocation_rows,
    delays_chart,
    weights_chart,
)
from dashboard.page_simulations import curve_rows, curves_chart
from dashboard.policies_forest import Line, forest_chart, forest_rows, line_row
from tests.bandit.service.making_evaluations import REFUSED, RUN
from tests.dashboard.test_surface_pages import saved_run

SHOWN = PolicyAllocation(
    policy="vw",
    decisions_n=30,
    drawn_n=30,
    explored_share=0.2,
    chosen_mean=0.5,
    floor_share=0.1,
    floor_drawn_share=0.05,
    actions=("a", "b"),
    shown={"a": 16, "b": 4},
    shares={"a": 16 / 30, "b": 4 / 30},
    buckets=(
        AllocationBucket(at_ms=0, decisions_n=10, shown={"a": 6, "b": 4}, explored_share=0.3),
        AllocationBucket(at_ms=1000, decisions_n=20, shown={"a": 10}, explored_share=None),
    ),
)


def test_shares_of_a_bucket_lie_upon_one_another_and_fill_it():
    rows = allocation_rows(SHOWN)
    second = [row for row in rows if row["at"] == 1000]
    assert [(row["action"], row["from"], row["to"]) for row in second] == [
        ("a", 0.0, 0.5),
        ("b", 0.5, 0.5),
        (OTHERS, 0.5, 1.0),
    ]
    drawing = allocation_chart(SHOWN, 1000, ())
    assert "a 53.3 %, b 13.3 %" in drawing.alt
    assert allocation_chart(SHOWN.__class__(**{
        name: () if name in ("buckets", "actions") else getattr(SHOWN, name)
        for name in SHOWN.__struct_fields__
    }), 1000, ()) is None  # fmt: skip


def rows_of(drawing):
    """Rows inside the specification."""
    [rows] = drawing.chart.to_dict()["datasets"].values()
    return rows


def audit() -> PropensityCheck:
    return check_propensities(Propensities(n=0, drawn=0, expected=0.0, variance=0.0))


def test_an_action_that_can_not_be_valued_is_not_drawn():
    known = ActionEstimate(
        value=0.5, ci_low=0.4, ci_high=0.6, anytime_ci_low=0.3, anytime_ci_high=0.7
    )
    nothing = ActionEstimate(reason="never_drawn", anytime_reason="never_drawn")
    actions = [
        ActionValue(
            action=name, shown_n=3, rewarded_n=1, mean=0.3, value=value, hajek=value,
            two_point=value, audit=audit(),
        )
        for name, value in (("a", known), ("b", nothing))
    ]  # fmt: skip
    [row] = action_rows(actions, anytime=True)
    assert (row["action"], row["low"], row["high"]) == ("a", 0.3, 0.7)
    assert action_rows(actions, anytime=False)[0]["low"] == 0.4


def test_delays_after_the_window_have_another_colour():
    delays = [DelayBucket(from_ms=n, to_ms=3 * n, rewards_n=n) for n in (10, 100, 1000)]
    drawing = delays_chart(delays, 1000)
    rows = rows_of(drawing)
    assert [row["side"] == "in the join window" for row in rows] == [True, True, False]
    assert delays_chart([], 1000) is None


def test_weights_point_to_where_they_move_the_prediction():
    weights = [
        FeatureWeight(context=c, action="x", weight=w, seen_n=5, spread=abs(w) / 2)
        for c, w in (("", 0.4), ("country=US", -0.2))
    ]
    rows = rows_of(weights_chart(weights))
    assert [(row["feature"], row["moves"]) for row in rows] == [
        ("x", 0.2),
        ("country=US × x", -0.1),
    ]


def test_a_refused_policy_is_in_the_table_without_a_number_and_not_in_the_forest():
    lines = [
        Line("live", "live", 0.5, 0.4, 0.6, "ok", "", 100, 90.0),
        Line("bold", "challenger", None, None, None, "refuse", "no overlap", 100, 0.0),
        Line("odd", "challenger", 0.9, 0.1, 0.95, "refuse", "low", 100, 3.0),
    ]
    assert [row["policy"] for row in forest_rows(lines)] == ["live"]
    assert "bold" not in forest_chart(lines).alt
    for line in lines[1:]:
        row = line_row(line)
        assert (row["value"], row["interval"], row["trust"]) == ("–", "–", "refuse")
    assert forest_chart(lines[1:]) is None


def test_a_saved_candidate_that_was_refused_has_no_anytime_ends():
    saved = headline_of(artefact_of(RUN, author="ana", code_version="1", evaluation_id="e"))
    refused = next(c for c in saved.candidates if c.name == REFUSED)
    assert (refused.anytime_low, refused.anytime_high) == (None, None)


def test_curves_have_a_row_for_each_checkpoint_with_its_band():
    rows = curve_rows(saved_run().curves, "regret")
    assert rows[1] == {"policy": "vw", "rounds": 100, "value": 10.0, "low": 8.0, "high": 12.0}
    assert curves_chart(saved_run().curves, "regret").alt.endswith("at the end vw 10, uniform 10.")
    assert curves_chart([], "regret") is None
