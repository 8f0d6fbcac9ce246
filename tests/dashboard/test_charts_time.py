"""Charts over time hold the payload's numbers, and what was changed while they came about."""

from bandit.service.reporting_payloads import ExperimentHistory, HistoryPoint
from bandit.service.reporting_timeline import ArrivalPoint, Arrivals, TimeMark
from dashboard.charts_time import (
    arrival_points,
    arrivals_chart,
    history_chart,
    history_points,
    mark_points,
    mark_rows,
)

HOUR_MS = 3_600_000


def point(hour: int, effect: float | None, treatment: str = "t", metric: str = "m") -> HistoryPoint:
    half = None if effect is None else 1.0 / (hour + 1)
    low, high = (None, None) if half is None else (effect - half, effect + half)
    return HistoryPoint(
        at_ms=hour * HOUR_MS, metric=metric, control="c", treatment=treatment, units_n=hour * 10,
        effect=effect, effect_ci_low=low, effect_ci_high=high,
        relative_effect=None if effect is None else effect / 10, relative_ci_low=None,
        relative_ci_high=None, reason=None if effect is not None else "few_units",
    )  # fmt: skip


MARKS = (
    TimeMark(at_ms=0, kind="declared", text="declared", author="ana", version=1),
    TimeMark(at_ms=2 * HOUR_MS, kind="note", text="sale"),
    TimeMark(at_ms=999 * HOUR_MS, kind="status", text="stopped", author="bo", version=2),
)
HISTORY = ExperimentHistory(
    key="e", alpha=0.05, as_of_ms=4 * HOUR_MS, generation="g", marks=MARKS,
    points=(point(0, None), point(1, 0.5), point(2, 0.4), point(2, 0.1, "u"),
            point(3, 9.0, metric="n")),
)  # fmt: skip


def test_history_has_a_row_for_each_time_with_an_effect():
    rows = history_points(HISTORY, "m", relative=False)
    assert [(row["at"], row["label"], row["effect"]) for row in rows] == [
        (HOUR_MS, "t", 0.5),
        (2 * HOUR_MS, "t", 0.4),
        (2 * HOUR_MS, "u", 0.1),
    ]
    assert history_points(HISTORY, "m", relative=True)[0]["effect"] == 0.05
    drawing = history_chart(HISTORY, "m", relative=False)
    assert drawing is not None
    assert "t: +0.4, from +0.06667 to +0.7333; u: +0.1" in drawing.alt
    assert history_chart(HISTORY, "gone", relative=False) is None


def test_marks_are_drawn_where_the_chart_is_and_listed_whole():
    rows = history_points(HISTORY, "m", relative=False)
    assert [mark["text"] for mark in mark_points(MARKS, rows)] == ["sale"]
    assert mark_points(MARKS, []) == []
    listed = mark_rows(MARKS)
    assert [row["what"] for row in listed] == ["stopped", "sale", "declared"]
    assert [row["by"] for row in listed] == ["bo", "–", "ana"]


def test_units_add_up_and_are_told():
    arrivals = Arrivals(
        period_ms=HOUR_MS,
        from_ms=0,
        points=(
            ArrivalPoint(at_ms=HOUR_MS, variant="c", units_n=3, total_n=3, decisions_n=9),
            ArrivalPoint(at_ms=2 * HOUR_MS, variant="c", units_n=4, total_n=7, decisions_n=9),
        ),
    )
    assert [row["total"] for row in arrival_points(arrivals)] == [0, 3, 7]
    drawing = arrivals_chart(arrivals, MARKS)
    assert drawing is not None
    assert drawing.alt == "Units exposed over time by variant; now c 7."
    assert arrivals_chart(None, ()) is None
    assert arrivals_chart(Arrivals(period_ms=HOUR_MS), ()) is None
