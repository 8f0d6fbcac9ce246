"""Planned looks: which numbers are looked at, and that they are not looked at again."""

import msgspec
import pytest

from bandit.service.judging import Judged, judge
from bandit.service.judging_looks import looks_of
from bandit.stats import mean_of
from bandit.stats.sequential import compare_planned, repeated_p_value, spending_design
from bandit.store.numbers import ExperimentNumbers
from tests.bandit.service.making_numbers import (
    NOW_MS,
    exactly,
    experiment_of,
    metric_of,
    moments_of,
    numbers_of,
)

PLAN = experiment_of(sequential="planned", looks=4, planned_units=4000)


def at(units: int, gain: float = 0.0, *, day: int | None = None) -> ExperimentNumbers:
    """Numbers with so many units of both variants, kept on some day."""
    half = units // 2
    rows = {"c": [exactly(half, 10.0, 2.0)], "t": [exactly(half, 10.0 + gain, 2.0)]}
    found = numbers_of(moments_of("reward", rows))
    return msgspec.structs.replace(found, closed_ms=NOW_MS + (day or units))


def judged(*history: ExperimentNumbers) -> Judged:
    *before, now = history
    return judge(now, PLAN, [metric_of()], alpha=0.05, history=before)


def test_looks_are_the_first_kept_numbers_behind_each_part_of_the_plan():
    kept = [at(n) for n in (400, 1100, 1300, 1900, 2600, 2700, 3400)]
    looks = looks_of(PLAN, "reward", kept[::-1])
    assert [look.fraction for look in looks.made] == [0.275, 0.65, 0.85]
    assert looks.planned == 4
    assert looks_of(experiment_of(), "reward", kept) is None


def test_numbers_that_pass_several_parts_at_once_are_one_look():
    looks = looks_of(PLAN, "reward", [at(400), at(3200), at(4400), at(5000)])
    assert [look.fraction for look in looks.made] == [0.8, 1.1]


def test_a_look_is_judged_by_its_own_numbers_however_many_units_came_later():
    first = judged(at(1000, 0.2))
    later = judged(at(1000, 0.2), at(1900, 3.0))
    assert later.effects[0].planned == first.effects[0].planned
    assert later.plan.looks_done == 1
    assert (later.plan.next_look_units_n, later.plan.finished) == (2000, False)


def test_a_look_has_the_bound_of_the_looks_before_it():
    got = judged(at(1000, 0.1), at(2200, 0.1), at(3100, 0.1)).effects[0].planned
    estimate = mean_of().estimate(*at(3100, 0.1).metrics[0].by_variant.values())
    expected = compare_planned(estimate, (0.25, 0.55, 0.775), looks=4)
    assert (got.effect_ci_low, got.statistic) == (expected.effect_ci_low, expected.statistic)
    assert got.p_value == repeated_p_value(expected.statistic, (0.25, 0.55, 0.775))
    assert got.sequential == expected.sequential


@pytest.mark.parametrize("gain", [0.1, 0.3, 0.5, 0.8])
def test_p_is_at_most_alpha_exactly_where_a_look_stops(gain: float):
    early = judged(at(1000, gain)).effects[0].planned
    late = (
        judged(at(1000, 0.0), at(2000, 0.0), at(3000, 0.0), at(4000, gain / 3)).effects[0].planned
    )
    for found in (early, late):
        assert (found.p_value <= 0.05) == (found.effect_ci_low > 0.0)


def test_what_was_decided_at_a_look_stays_decided():
    got = judged(at(1000, 1.5), at(2000, 0.0))
    assert got.effects[0].planned.sequential.look == 1
    assert got.verdict.state == "better"
    assert got.verdict.headline.endswith("valid at the planned looks (look 1 of 4).")


def test_before_the_first_look_there_is_no_number_to_be_led_by():
    got = judged(at(900, 3.0))
    planned = got.effects[0].planned
    assert (planned.effect, planned.p_value, planned.reason) == (None, None, "no_look_yet")
    assert got.verdict.state == "not_yet"
    assert "look 1 of 4 is due at 1,000 units, and 900 are in" in got.verdict.next_step


def test_after_the_last_look_the_plan_is_over():
    got = judged(at(1000), at(2000), at(3000), at(4000, 0.01))
    assert (got.plan.finished, got.plan.next_look_units_n) == (True, None)
    assert "The plan is over" in got.verdict.next_step
    assert got.effects[0].planned.sequential.alpha_spent == pytest.approx(0.05)


def test_several_treatments_are_designs_of_their_own_at_the_level_they_share():
    experiment = experiment_of(("a", "b"), sequential="planned", looks=2, planned_units=3000)
    rows = {
        key: [exactly(500, 10.0 + gain, 2.0)] for key, gain in (("c", 0), ("a", 0.4), ("b", 0.46))
    }
    got = judge(numbers_of(moments_of("reward", rows)), experiment, [metric_of()], alpha=0.05)
    bound = spending_design((0.5,), alpha=0.025).bounds[0]
    for found in got.effects:
        planned = found.planned
        assert planned.correction == "bonferroni"
        assert (planned.p_value_adjusted <= 0.05) == (planned.statistic >= bound)
        assert (planned.adjusted_ci_low > 0.0) == (planned.statistic >= bound)
    assert [found.planned.p_value_adjusted <= 0.05 for found in got.effects] == [False, True]


@pytest.mark.parametrize(
    ("treatment", "state"), [(100.2, "ok"), (104.5, "violated"), (102.0, "unclear")]
)
def test_guardrails_are_judged_at_the_planned_looks_too(treatment: float, state: str):
    plan = msgspec.structs.replace(PLAN, guardrails=["latency"])
    rows = {"c": [exactly(1000, 100.0, 8.0)], "t": [exactly(1000, treatment, 8.0)]}
    reward = {"c": [exactly(1000, 10.0, 2.0)], "t": [exactly(1000, 10.0, 2.0)]}
    numbers = numbers_of(moments_of("reward", reward), moments_of("latency", rows))
    latency = metric_of("latency", better="lower", margin=0.02)
    got = judge(numbers, plan, [metric_of(), latency], alpha=0.05)
    guard = got.effects[1]
    assert guard.guardrail == state
    assert (guard.non_inferiority.p_value <= 0.05) == (state == "ok")
    assert guard.non_inferiority.sequential.look == 1
