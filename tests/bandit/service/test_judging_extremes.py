"""What makes judging sound: missing numbers have reasons, extremes hold, symmetries are kept."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from bandit.service.judging import judge
from bandit.service.reporting_words import REASONS
from bandit.stats import (
    compare,
    mean_of,
)
from tests.bandit.service.making_numbers import (
    MEANS,
    counts_of,
    exactly,
    experiment_of,
    judged,
    metric_of,
    moments_of,
    normal,
    numbers_of,
    slice_of,
)


def floats_of(value: Any) -> Iterator[float]:
    """Every number of a payload."""
    if isinstance(value, dict):
        for part in value.values():
            yield from floats_of(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from floats_of(part)
    elif isinstance(value, float):
        yield value


def missing_without_a_reason(value: Any) -> list[str]:
    """Effects in a payload that have no interval and no reason either."""
    found = []
    if isinstance(value, dict):
        if {"effect_ci_low", "reason", "alternative"} <= set(value):
            both = value["effect_ci_low"] is None and value["effect_ci_high"] is None
            if both and value["reason"] is None:
                found.append(str(value["method"]))
        for part in value.values():
            found += missing_without_a_reason(part)
    elif isinstance(value, list):
        for part in value:
            found += missing_without_a_reason(part)
    return found


SHAPES = {
    "empty variant": {"c": [exactly(50, 1.0, 1.0)], "t": [[]]},
    "nothing at all": {"c": [[]], "t": [[]]},
    "one unit": {"c": [[1.0]], "t": [[2.0]]},
    "one against many": {"c": [exactly(400, 1.0, 1.0)], "t": [[2.0]]},
    "zero variance": {"c": [[1.0] * 300], "t": [[1.0] * 300]},
    "zero variance apart": {"c": [[1.0] * 300], "t": [[2.0] * 300]},
    "all zero": {"c": [[0.0] * 300], "t": [[0.0] * 300]},
    "control zero": {"c": [[0.0] * 300], "t": [exactly(300, 1.0, 1.0)]},
    "negative": {"c": [exactly(300, -5.0, 1.0)], "t": [exactly(300, -5.5, 1.0)]},
    "huge": {"c": [exactly(300, 1e60, 1e57)], "t": [exactly(300, 1.01e60, 1e57)]},
    "tiny": {"c": [exactly(300, 1e-60, 1e-63)], "t": [exactly(300, 1.01e-60, 1e-63)]},
}


@pytest.mark.parametrize("mode", ["anytime", "fixed", "planned"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_can_not_be_given_is_missing_with_a_reason_in_words(shape: str, mode: str):
    experiment = experiment_of(
        metrics=["reward"], guardrails=["guard"], segments=["country"], looks=2, planned_units=400,
        sequential="planned",
    )  # fmt: skip
    columns = SHAPES[shape]
    numbers = moments_of("reward", columns)
    day = [slice_of("first_day", f"2026-11-0{i}", numbers) for i in (1, 2, 3, 4)]
    cut = [slice_of("country", value, numbers) for value in ("1", "2", "")]
    both = numbers_of(numbers, moments_of("guard", columns), slices=[*day, *cut])
    got = judge(both, experiment, [metric_of(), metric_of("guard")], alpha=0.05, sequential=mode)
    plain = msgspec.json.decode(msgspec.json.encode(got))
    assert all(math.isfinite(value) for value in floats_of(msgspec.to_builtins(got)))
    assert missing_without_a_reason(plain) == []
    for found in got.effects:
        codes = {found.effect.reason, found.anytime.reason, found.bayes.reason}
        codes |= {found.effect.relative_reason, found.outlook.reason, found.trend.reason}
        codes |= set(found.warnings) | set(found.effect.warnings)
        assert codes - {None} <= set(REASONS)
    assert got.verdict.headline
    assert got.verdict.next_step


def test_zero_counts_and_full_ones_are_given_exactly():
    metric = metric_of(type="proportion")
    for counts in ({"c": (0, 300), "t": (0, 300)}, {"c": (0, 40), "t": (40, 40)}):
        got = judged(counts_of("reward", **counts), metric)
        [found] = got.effects
        assert found.effect.p_value is not None
        assert found.anytime.p_value is not None
        assert all(math.isfinite(value) for value in floats_of(msgspec.to_builtins(got)))
    assert found.effect.p_value < 1e-15


def test_a_mean_of_a_billion_keeps_its_variance():
    rows = {"c": [exactly(4000, 1e9, 1.0)], "t": [exactly(4000, 1e9 + 0.2, 1.0)]}
    [found] = judged(moments_of("reward", rows)).effects
    assert found.effect.effect == pytest.approx(0.2, rel=1e-6)
    assert found.effect.std_error == pytest.approx(math.sqrt(2 / 4000), rel=1e-6)


def test_p_values_reach_down_to_1e_300():
    rows = {"c": [exactly(20_000, 10.0, 1.0)], "t": [exactly(20_000, 10.371, 1.0)]}
    [found] = judged(moments_of("reward", rows)).effects
    assert 1e-300 < found.effect.p_value < 1e-280
    assert 0.0 < found.anytime.p_value < 1e-280


def test_an_all_equal_covariate_is_left_out_with_a_warning():
    rows = {key: [normal(i, 200), [3.0] * 200] for i, key in enumerate("ct")}
    numbers = moments_of("reward", rows, ("value", "covariate"))
    [found] = judged(numbers).effects
    assert found.effect.effect == compare(mean_of().estimate(*numbers.by_variant.values())).effect
    assert "covariates_do_not_vary" in found.effect.warnings
    assert found.effect.variance_reduction is None


def test_swapping_the_variants_turns_the_effect_round():
    swapped = msgspec.structs.replace(
        MEANS, by_variant={"c": MEANS.by_variant["t"], "t": MEANS.by_variant["c"]}
    )
    [one], [other] = judged(MEANS).effects, judged(swapped).effects
    for name in ("effect", "anytime"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.effect == -b.effect
        assert a.effect_ci_low == pytest.approx(-b.effect_ci_high, rel=1e-12)
        assert a.p_value == pytest.approx(b.p_value, rel=1e-12)
    assert one.bayes.chance_to_win == pytest.approx(1.0 - other.bayes.chance_to_win)


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_another_unit_of_measure_changes_no_p_value_and_no_relative_number(factor: float):
    scaled = moments_of(
        "reward",
        {
            "c": [[factor * x for x in normal(1, 400)]],
            "t": [[factor * x for x in normal(2, 500, 10.4)]],
        },
    )
    [one], [other] = judged(MEANS).effects, judged(scaled).effects
    for name in ("effect", "anytime"):
        a, b = getattr(one, name), getattr(other, name)
        assert b.effect == pytest.approx(factor * a.effect, rel=1e-9)
        assert b.p_value == pytest.approx(a.p_value, rel=1e-9)
        assert b.relative_ci_low == pytest.approx(a.relative_ci_low, rel=1e-9)


def test_a_constant_added_to_all_units_changes_no_absolute_number():
    moved = moments_of(
        "reward",
        {"c": [[x + 1e4 for x in normal(1, 400)]], "t": [[x + 1e4 for x in normal(2, 500, 10.4)]]},
    )
    [one], [other] = judged(MEANS).effects, judged(moved).effects
    assert other.effect.effect == pytest.approx(one.effect.effect, rel=1e-9)
    assert other.anytime.effect_ci_low == pytest.approx(one.anytime.effect_ci_low, rel=1e-9)
    assert other.effect.p_value == pytest.approx(one.effect.p_value, rel=1e-9)


@pytest.mark.parametrize("gain", np.linspace(-0.6, 0.6, 13))
def test_both_scales_decide_alike(gain: float):
    rows = {"c": [exactly(400, 10.0, 2.0)], "t": [exactly(400, 10.0 + float(gain), 2.0)]}
    [found] = judged(moments_of("reward", rows)).effects
    for effect in (found.effect, found.anytime):
        absolute = effect.effect_ci_low > 0.0 or effect.effect_ci_high < 0.0
        assert absolute == (effect.relative_ci_low > 0.0 or effect.relative_ci_high < 0.0)
        assert absolute == (effect.p_value <= 0.05)


def test_a_metric_without_numbers_is_empty_and_not_forgotten():
    experiment = experiment_of(metrics=["reward", "other"])
    got = judge(numbers_of(MEANS), experiment, [metric_of(), metric_of("other")], alpha=0.05)
    assert [found.metric for found in got.effects] == ["reward", "other"]
    assert got.effects[1].effect.reason == "empty_variant"


def test_an_estimate_of_nothing_is_the_same_from_no_rows_as_from_no_variant():
    none = moments_of("reward", {"c": [normal(1, 50)], "t": [[]]})
    gone = moments_of("reward", {"c": [normal(1, 50)]})
    assert judged(none).effects == judged(gone).effects
