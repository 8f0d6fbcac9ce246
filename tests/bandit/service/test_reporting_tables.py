import csv
import io

import msgspec

from bandit.ope import WeightMoments, ips, snips
from bandit.service.judging import judge
from bandit.service.reporting_effects import metric_effect
from bandit.service.reporting_payloads import GroupCounts, MetricEffect, PolicyValue
from bandit.service.reporting_tables import (
    as_csv,
    effect_rows,
    group_rows,
    segment_rows,
    value_rows,
)
from bandit.specs import Metric
from bandit.stats import Moments
from tests.bandit.service.making_numbers import (
    experiment_of,
    metric_of,
    moments_of,
    numbers_of,
    slice_of,
)


def found(control: list[float], treatment: list[float]) -> MetricEffect:
    return metric_effect(
        Metric(key="reward", source="reward"),
        ("c", Moments.of(control)),
        ("t", Moments.of(treatment)),
        0.05,
        is_primary=True,
    )


def test_csv_of_effects_has_every_field_of_every_comparison():
    effects = [found([1.0, 2.0] * 30, [2.0, 4.0] * 30), found([], [2.0])]
    rows = list(csv.DictReader(io.StringIO(as_csv(effect_rows(effects)))))
    assert [row["treatment_variant"] for row in rows] == ["t", "t"]
    assert float(rows[0]["effect_ci_low"]) == effects[0].effect.effect_ci_low
    assert float(rows[0]["anytime_effect_ci_low"]) == effects[0].anytime.effect_ci_low
    assert float(rows[0]["anytime_sequential_tuning"]) == 5000.0
    for judged in ("", "anytime_"):
        assert rows[1][f"{judged}effect"] == ""
        assert rows[1][f"{judged}reason"] == "empty_variant"
    assert set(effects[0].effect.__struct_fields__) <= set(rows[0])


def test_a_record_inside_a_record_becomes_columns():
    plain = found([1.0, 2.0], [2.0, 4.0])
    nested = msgspec.structs.replace(
        plain, effect=msgspec.structs.replace(plain.effect, unadjusted=plain.effect)
    )
    first, second = csv.DictReader(io.StringIO(as_csv(effect_rows([plain, nested]))))
    assert (first["unadjusted"], first["unadjusted_effect"]) == ("", "")
    assert float(second["unadjusted_effect"]) == plain.effect.effect


def test_every_judgement_guardrail_and_segment_is_in_the_tables():
    rows = {"c": [[0.0, 1.0] * 300, [0.0, 1.0] * 300], "t": [[0.1, 1.0] * 300, [0.0, 1.1] * 300]}
    numbers = moments_of("reward", rows, ("value", "covariate"))
    experiment = experiment_of(
        guardrails=["guard"], segments=["country"], sequential="planned", looks=2,
        planned_units=2000,
    )  # fmt: skip
    cut = [slice_of("country", value, numbers) for value in ('"DE"', '"FR"')]
    got = judge(
        numbers_of(numbers, msgspec.structs.replace(numbers, metric="guard"), slices=cut),
        experiment,
        [metric_of(), metric_of("guard")],
        alpha=0.05,
    )
    table = list(csv.DictReader(io.StringIO(as_csv(effect_rows(got.effects)))))
    assert [(row["role"], row["guardrail"]) for row in table] == [
        ("primary", ""),
        ("guardrail", got.effects[1].guardrail),
    ]
    first, guard = got.effects
    for name, value in (
        ("p_value_adjusted", first.effect.p_value_adjusted),
        ("variance_reduction", first.effect.variance_reduction),
        ("unadjusted_p_value", first.effect.unadjusted.p_value),
        ("planned_sequential_looks", first.planned.sequential.looks),
        ("bayes_chance_to_win", first.bayes.chance_to_win),
        ("outlook_mde", first.outlook.mde),
    ):
        assert float(table[0][name]) == value
    assert float(table[1]["non_inferiority_p_value"]) == guard.non_inferiority.p_value
    segments = list(csv.DictReader(io.StringIO(as_csv(segment_rows(got.segments)))))
    assert {row["value"] for row in segments} == {'"DE"', '"FR"'}
    assert float(segments[0]["effect"]) == got.segments[0].rows[0].effect.effect


def test_values_have_a_row_per_estimator():
    moments = WeightMoments.of([f"u{i}" for i in range(50)], [1.0] * 50, [0.0, 1.0] * 25)
    value = PolicyValue(
        policy="p",
        log="all",
        own_n=50,
        barred_n=1,
        absent_n=2,
        snips=snips(moments, policy="p"),
        ips=ips(moments, policy="p"),
    )
    rows = value_rows([value])
    assert [row["estimator"] for row in rows] == ["snips", "ips"]
    assert rows[0]["reasons"] == "thin_ess"
    assert rows[0]["barred_n"] == 1


def test_csv_of_nothing_is_empty():
    assert as_csv(group_rows([])) == ""
    assert as_csv(group_rows([GroupCounts(label="c", policy="p")])).startswith("label,policy,")
