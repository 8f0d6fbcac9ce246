"""Plans from baselines made by hand."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.errors import RecordError
from bandit.service.planning import (
    MetricBaseline,
    PlanQuestion,
    baseline_of,
    plan_of,
    units_per_day_of,
)
from bandit.service.reporting_planning import typed_planning
from bandit.specs import Denominator
from bandit.stats.planning import Baseline, Design, mde, power, sample_size
from tests.bandit.service.making_numbers import counts_of, exactly, metric_of, moments_of

SHARE = PlanQuestion(mean=0.05, type="proportion", effect=0.1, units_per_day=5000)


def test_a_share_is_planned_as_the_statistics_say():
    plan = typed_planning(SHARE).plan
    need = sample_size(Baseline.proportion(0.05), 0.005)
    assert plan is not None
    assert (plan.units, plan.days) == (need.total, 13)
    assert plan.effect == pytest.approx(0.005)
    assert {p.days: p.effect for p in plan.curve}[14.0] == pytest.approx(
        mde(Baseline.proportion(0.05), control_n=35_000).effect
    )


def test_lower_is_better_looks_down_and_a_margin_looks_for_no_harm():
    latency = MetricBaseline(metric="latency", better="lower", mean=100.0, sd=30.0, margin=0.02)
    better = plan_of(latency, PlanQuestion(shows="better"), 1000.0)
    assert better.effect == pytest.approx(-2.0)
    design = Design(alternative="less")
    assert better.units_each is not None
    for n, enough in ((better.units_each, True), (better.units_each - 1, False)):
        found = power(Baseline(mean=100, variance=900), -2.0, control_n=n, design=design)
        assert (found >= 0.8) == enough
    harm = plan_of(latency, PlanQuestion(shows="not_worse"), 1000.0)
    assert harm.effect == pytest.approx(2.0)
    assert harm.units_each == better.units_each
    assert harm.curve[-1].effect > 0.0


def test_more_treatments_and_less_traffic_take_longer():
    one, three = (plan_of(MetricBaseline(mean=10.0, sd=5.0), PlanQuestion(treatments=n), 500.0)
                  for n in (1, 3))  # fmt: skip
    assert three.alpha == pytest.approx(0.05 / 3)
    assert three.units_each > one.units_each
    assert three.units == 4 * three.units_each
    half = plan_of(MetricBaseline(mean=10.0, sd=5.0), PlanQuestion(share=0.5), 500.0)
    assert half.days == pytest.approx(2 * one.days, abs=1)


def test_covariates_save_units_as_far_as_they_are_counted_on():
    known = MetricBaseline(mean=10.0, sd=5.0, variance_reduction=0.5)
    with_them = plan_of(known, PlanQuestion(), 500.0)
    without = plan_of(known, PlanQuestion(covariates=False), 500.0)
    assert with_them.units_each == pytest.approx(without.units_each / 2, rel=0.01)


@pytest.mark.parametrize(
    ("baseline", "question", "reason"),
    [
        (MetricBaseline(), PlanQuestion(), "no_baseline"),
        (MetricBaseline(mean=3.0), PlanQuestion(), "no_baseline"),
        (MetricBaseline(mean=3.0, sd=0.0), PlanQuestion(), "no_spread"),
        (MetricBaseline(mean=0.0, sd=1.0), PlanQuestion(), "no_effect"),
        (MetricBaseline(type="proportion", mean=0.9), PlanQuestion(effect=0.5), "no_such_share"),
        (MetricBaseline(mean=1.0, sd=1e15), PlanQuestion(), "no_effect"),
        (MetricBaseline(mean=1.0, sd=1.0), PlanQuestion(), "no_arrivals"),
    ],
)
def test_what_can_not_be_planned_has_a_reason(
    baseline: MetricBaseline, question: PlanQuestion, reason: str
):
    plan = plan_of(baseline, question, None)
    assert plan.reason == reason
    assert plan.days is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"power": 1.0}, {"alpha": 0.0}, {"share": 0.0}, {"treatments": 0}, {"effect": 0.0},
        {"effect": float("inf")}, {"mean": float("nan")}, {"sd": -1.0}, {"units_per_day": 0.0},
    ],
)  # fmt: skip
def test_a_question_out_of_range_is_refused(wrong: dict[str, float]):
    with pytest.raises(RecordError, match=next(iter(wrong))):
        PlanQuestion(**wrong)


def test_every_kind_of_metric_has_a_baseline():
    rows = {"c": [exactly(400, 10.0, 2.0), exactly(400, 5.0, 1.0)]}
    total = baseline_of(metric_of(), moments_of("m", rows, ("value", "covariate")), "c", "e", 5)
    assert (total.mean, total.sd) == (pytest.approx(10.0), pytest.approx(2.0))
    assert total.variance_reduction == pytest.approx(1.0)
    ratio = metric_of(type="ratio", denominator=Denominator())
    found = baseline_of(ratio, moments_of("m", rows, ("value", "denominator")), "c", "e", 5)
    assert (found.mean, found.sd) == (pytest.approx(2.0), pytest.approx(0.0, abs=1e-9))
    kept = metric_of(type="retention", window_s=60.0)
    share = baseline_of(kept, counts_of("m", c=(50, 200)), "c", "e", 5)
    assert (share.mean, share.sd) == (0.25, pytest.approx(0.1875**0.5))
    median = metric_of(type="quantile", quantile=0.5)
    uniform = [float(i) for i in range(1, 1001)]
    found = baseline_of(median, moments_of("m", {"c": [uniform]}, quantile=0.5), "c", "e", 5)
    assert found.sd == pytest.approx(500.0, rel=0.1)  # √(¼) ÷ the density, 1/1000
    none = baseline_of(metric_of(), moments_of("m", rows), "t", "e", 5)
    assert (none.mean, none.sd, none.reason) == (None, None, "empty_variant")


def test_new_units_are_those_of_the_last_week_over_all_traffic():
    day_ms = 86_400_000
    arrivals = [(day * day_ms, 100 if day >= 3 else 10_000) for day in range(10)]
    assert units_per_day_of(arrivals, 10 * day_ms, 0.5) == pytest.approx(200.0)
    assert units_per_day_of([], 5, 1.0) is None
    assert units_per_day_of([(5, 1)], 5, 1.0) is None


@settings(max_examples=8, deadline=None)
@given(
    mean=st.floats(-1e15, 1e15), sd=st.floats(0, 1e15), effect=st.floats(1e-15, 1e15),
    power=st.floats(0.4, 0.999), alpha=st.floats(1e-4, 0.3), treatments=st.integers(1, 49),
    shows=st.sampled_from(["different", "better", "not_worse"]),
)  # fmt: skip
def test_any_numbers_give_a_plan_or_a_reason(**asked):
    plan = typed_planning(PlanQuestion(units_per_day=100.0, **asked)).plan
    assert plan is not None
    assert (plan.units is None) == (plan.reason not in (None, "no_arrivals"))
    assert "null" in msgspec.json.encode(plan).decode()
