import csv
import io

import msgspec

from bandit.ope import WeightMoments, ips, snips
from bandit.service.reporting_payloads import GroupCounts, MetricEffect, PolicyValue
from bandit.service.reporting_tables import as_csv, effect_rows, group_rows, value_rows
from bandit.stats import Moments, welch


def found(control: list[float], treatment: list[float]) -> MetricEffect:
    return MetricEffect(
        metric="reward",
        description="",
        per="unit",
        better="higher",
        is_primary=True,
        control="c",
        treatment="t",
        effect=welch(Moments.of(control), Moments.of(treatment)),
    )


def test_csv_of_effects_has_every_field_of_every_comparison():
    effects = [found([1.0, 2.0], [2.0, 4.0]), found([], [2.0])]
    rows = list(csv.DictReader(io.StringIO(as_csv(effect_rows(effects)))))
    assert [row["treatment_variant"] for row in rows] == ["t", "t"]
    assert float(rows[0]["effect_ci_low"]) == effects[0].effect.effect_ci_low
    assert (rows[1]["effect"], rows[1]["reason"]) == ("", "empty_variant")
    assert set(effects[0].effect.__struct_fields__) <= set(rows[0])


def test_a_record_inside_a_record_becomes_columns():
    plain = found([1.0, 2.0], [2.0, 4.0])
    nested = msgspec.structs.replace(
        plain, effect=msgspec.structs.replace(plain.effect, unadjusted=plain.effect)
    )
    first, second = csv.DictReader(io.StringIO(as_csv(effect_rows([plain, nested]))))
    assert (first["unadjusted"], first["unadjusted_effect"]) == ("", "")
    assert float(second["unadjusted_effect"]) == plain.effect.effect


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
