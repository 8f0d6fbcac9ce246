"""Charts hold the payload's numbers, and say them to those who can not see."""

import pytest

from bandit.ope import WeightMoments, ips, snips
from bandit.service.reporting_effects import metric_effect
from bandit.service.reporting_payloads import (
    MetricEffect,
    PolicyValue,
    RatePoint,
    RunningPoint,
    Series,
    SnapshotMark,
)
from bandit.specs import Metric
from bandit.stats import Moments
from dashboard import charts

WHITE, DARK = "#ffffff", "#171614"  # Streamlit's backgrounds


def effect(metric: str, treatment: str, control: list[float], treated: list[float]) -> MetricEffect:
    return metric_effect(
        Metric(key=metric, source="reward"),
        ("c", Moments.of(control)),
        (treatment, Moments.of(treated)),
        0.05,
        is_primary=True,
    )


EFFECTS = [
    effect("click", "t1", [1.0, 2.0, 1.5], [2.0, 3.0, 2.5]),
    effect("click", "t2", [1.0, 2.0, 1.5], [1.0, 1.0, 1.5]),
    effect("revenue", "t1", [0.0, 0.0, 0.0], [5.0, 0.0, 0.0]),
    effect("visits", "t1", [], [1.0]),
]


def point(label: str, at_ms: int, n: int, reward: float) -> RunningPoint:
    """The first bucket of a label."""
    return RunningPoint(
        label=label,
        at_ms=at_ms,
        decisions_n=n,
        reward_sum=reward,
        total_n=n,
        total_reward=reward,
        running_mean=reward / n,
    )


SERIES = Series(
    bucket_ms=1000,
    running=(point("a", 1000, 2, 1.0), point("b", 2000, 4, 1.0)),
    rate=(RatePoint(at_ms=1000, per_s=2.0), RatePoint(at_ms=2000, per_s=4.0)),
    snapshots=(
        SnapshotMark(policy="vw", number=1, at_ms=1500, trained=2, defaulted=0),
        SnapshotMark(policy="vw", number=2, at_ms=99_000, trained=6, defaulted=0),
    ),
)
EMPTY = Series(bucket_ms=1000, running=(), rate=(), snapshots=())


def rows_of(drawing: charts.Drawing) -> list[dict]:
    """Every inline row of a chart's specification."""
    return [row for rows in drawing.chart.to_dict()["datasets"].values() for row in rows]


def test_effects_are_drawn_per_metric_with_the_payloads_numbers():
    click, revenue = charts.effects_charts(EFFECTS, relative=False, mode="fixed")
    found = EFFECTS[0].effect
    expected = {
        "label": "t1",
        "point": found.effect,
        "low": found.effect_ci_low,
        "high": found.effect_ci_high,
    }
    assert expected in rows_of(click)
    assert {row["label"] for row in rows_of(click) if "label" in row} == {"t1", "t2"}
    assert "click" in click.alt
    assert "revenue" in revenue.alt


@pytest.mark.parametrize(("mode", "said"), [("anytime", "any time"), ("fixed", "one planned look")])
def test_effects_have_the_intervals_of_the_chosen_looks(mode: str, said: str):
    found = effect("click", "t1", [1.0, 2.0, 1.5] * 20, [2.0, 3.0, 2.5] * 20)
    [click] = charts.effects_charts([found], relative=False, mode=mode)
    shown = found.by(mode)
    assert {
        "label": "t1",
        "point": shown.effect,
        "low": shown.effect_ci_low,
        "high": shown.effect_ci_high,
    } in rows_of(click)
    assert f"with intervals for {said}." in click.alt


def test_effects_follow_the_chosen_scale():
    [click] = charts.effects_charts(EFFECTS, relative=True, mode="fixed")  # revenue's control is 0
    found = EFFECTS[0].effect
    assert {
        "label": "t1",
        "point": found.relative_effect,
        "low": found.relative_ci_low,
        "high": found.relative_ci_high,
    } in rows_of(click)
    assert f"{found.relative_effect:.1%}" in click.alt


def test_a_metric_without_an_estimate_has_no_chart():
    assert charts.effects_charts(EFFECTS[3:], relative=False, mode="fixed") == []


def test_refused_values_are_not_drawn():
    rng_rewards = [float(i % 3 == 0) for i in range(300)]
    many = WeightMoments.of([f"u{i}" for i in range(300)], [1.0] * 300, rng_rewards)
    few = WeightMoments.of(["u1", "u2"], [1.0, 1.0], [1.0, 0.0])
    values = [
        PolicyValue(
            policy=policy,
            log="all",
            own_n=0,
            barred_n=0,
            absent_n=0,
            snips=snips(moments, policy=policy),
            ips=ips(moments, policy=policy),
        )
        for policy, moments in (("vw", many), ("new", few))
    ]
    drawing = charts.values_chart(values)
    assert [row["label"] for row in rows_of(drawing)] == ["vw"]
    assert "new" not in drawing.alt
    assert charts.values_chart(values[1:]) is None


def test_running_chart_has_a_line_per_label_and_marks_within_its_time():
    drawing = charts.running_chart(SERIES)
    rows = rows_of(drawing)
    assert {"label": "a", "at": 1000, "mean": 0.5, "decisions": 2} in rows
    assert [row["snapshot"] for row in rows if "snapshot" in row] == ["vw@1"]
    assert drawing.alt == "Reward per decision over time; now a 0.5, b 0.25."


def test_rate_chart_has_the_payloads_rates():
    drawing = charts.rate_chart(SERIES)
    assert rows_of(drawing) == [{"at": 1000, "per_s": 2.0}, {"at": 2000, "per_s": 4.0}]
    assert drawing.alt.endswith("at most 4.")


def test_nothing_gives_no_chart():
    assert charts.running_chart(EMPTY) is None
    assert charts.rate_chart(EMPTY) is None
    assert charts.effects_charts([], relative=False, mode="fixed") == []
    assert charts.values_chart([]) is None


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("background", [WHITE, DARK])
@pytest.mark.parametrize("colour", charts.PALETTE)
def test_colours_are_readable_in_both_themes(colour: str, background: str):
    # WCAG 2.2, 1.4.11: graphics need a contrast of 3 to 1.
    low, high = sorted((luminance(colour), luminance(background)))
    assert (high + 0.05) / (low + 0.05) >= 3.0
