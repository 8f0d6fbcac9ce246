"""Charts of an experiment over time: effects with their band, units, and what was changed; pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

import altair as alt

from bandit.service.reporting_payloads import Arrivals, ExperimentHistory, TimeMark
from bandit.service.reporting_words import number, percent
from dashboard.charts import (
    DAY_MS,
    NEUTRAL,
    PALETTE,
    AnyChart,
    Drawing,
    Row,
    colour,
    dashes,
    data,
    legend_px,
)

MARK_ICONS = {
    "declared": "declared",
    "status": "status",
    "ramp": "ramp",
    "change": "definition",
    "surface": "surface",
    "metric": "metric",
    "note": "note",
}
"""What a mark is about, in a word."""


def history_points(history: ExperimentHistory, metric: str, *, relative: bool) -> list[Row]:
    """A row per time and treatment of one metric that has an effect on that scale."""
    rows: list[Row] = []
    for point in history.points:
        if point.metric != metric:
            continue
        effect, low, high = (
            (point.relative_effect, point.relative_ci_low, point.relative_ci_high)
            if relative
            else (point.effect, point.effect_ci_low, point.effect_ci_high)
        )
        if effect is not None:
            rows.append(
                {
                    "at": point.at_ms,
                    "label": point.treatment,
                    "effect": effect,
                    "low": low,
                    "high": high,
                    "units": point.units_n,
                }
            )
    return rows


def arrival_points(arrivals: Arrivals | None) -> list[Row]:
    """A row per time and variant, from 0 on."""
    if arrivals is None or arrivals.from_ms is None:
        return []
    start: list[Row] = [
        {"at": arrivals.from_ms, "label": variant, "units": 0, "total": 0}
        for variant in dict.fromkeys(point.variant for point in arrivals.points)
    ]
    return start + [
        {"at": p.at_ms, "label": p.variant, "units": p.units_n, "total": p.total_n}
        for p in arrivals.points
    ]


def mark_points(marks: Sequence[TimeMark], rows: Sequence[Row]) -> list[Row]:
    """A row per mark that falls into the time of the rows; a day more on either side at most."""
    times = [row["at"] for row in rows]
    if not times:
        return []
    slack = min(DAY_MS, max(max(times) - min(times), 60_000) // 10)
    low, high = min(times) - slack, max(times) + slack
    return [
        {"at": mark.at_ms, "what": MARK_ICONS[mark.kind], "text": mark.text}
        for mark in marks
        if low <= mark.at_ms <= high
    ]


def mark_rows(marks: Sequence[TimeMark]) -> list[dict[str, str]]:
    """A line per mark for a table, the newest first."""
    return [
        {
            "time (UTC)": f"{datetime.fromtimestamp(mark.at_ms / 1000, UTC):%Y-%m-%d %H:%M}",
            "about": MARK_ICONS[mark.kind],
            "what": mark.text,
            "by": mark.author or "–",
        }
        for mark in reversed(marks)
    ]


def history_chart(history: ExperimentHistory, metric: str, *, relative: bool) -> Drawing | None:
    """One metric's effect over time, in the band that holds at all looks together."""
    rows = history_points(history, metric, relative=relative)
    if not rows:
        return None
    form = "+.1%" if relative else "+.4~g"
    labels = list(dict.fromkeys(row["label"] for row in rows))
    what = f"{metric}: treatment − control" + (", relative" if relative else "")
    base = alt.Chart(data(rows)).encode(
        x=time_axis([row["at"] for row in rows]),
        color=colour("label", labels),
        tooltip=[
            alt.Tooltip("label:N", title="of"),
            alt.Tooltip(
                "at:T",
                title="time (UTC)",
                format="%b %d %H:%M",
                timeUnit="utcyearmonthdatehoursminutes",
            ),
            alt.Tooltip("effect:Q", title="effect", format=form),
            alt.Tooltip("low:Q", title="low", format=form),
            alt.Tooltip("high:Q", title="high", format=form),
            alt.Tooltip("units:Q", title="units", format=",d"),
        ],
    )
    y = alt.Y("effect:Q", title=what, axis=alt.Axis(format=form.removeprefix("+"), tickCount=6))
    known = base.transform_filter("datum.low != null")
    band = known.mark_area(opacity=0.18) if len(rows) > len(labels) else known.mark_rule()
    zero = alt.Chart(data([{"zero": 0}])).mark_rule(strokeDash=[4, 4], color=NEUTRAL)
    layers = [
        zero.encode(y="zero:Q"),
        *_marks(history.marks, rows),
        band.encode(y=alt.Y("low:Q", title=what), y2="high:Q"),
        base.mark_line(strokeWidth=2.5, point=len(rows) <= 24).encode(
            y=y, strokeDash=dashes("label", labels)
        ),
    ]
    chart = alt.layer(*layers).properties(height=250 + legend_px(labels))
    return Drawing(chart, _history_said(what, rows, relative=relative))


def arrivals_chart(arrivals: Arrivals | None, marks: Sequence[TimeMark]) -> Drawing | None:
    """Units exposed so far, by variant."""
    rows = arrival_points(arrivals)
    if not rows or arrivals is None:
        return None
    labels = list(dict.fromkeys(row["label"] for row in rows))
    lines = (
        alt.Chart(data(rows))
        .mark_line(strokeWidth=2.5, point=len(rows) <= 24 * len(labels))
        .encode(
            x=time_axis([row["at"] for row in rows]),
            y=alt.Y("total:Q", title="units exposed so far"),
            color=colour("label", labels),
            strokeDash=dashes("label", labels),
            tooltip=[
                alt.Tooltip("label:N", title="of"),
                alt.Tooltip("total:Q", title="units so far", format=",d"),
                alt.Tooltip("units:Q", title="in this period", format=",d"),
            ],
        )
    )
    chart = alt.layer(*_marks(marks, rows), lines)
    chart = chart.properties(height=190 + legend_px(labels))
    last = {row["label"]: row["total"] for row in rows}
    said = ", ".join(f"{label} {last[label]:,}" for label in labels)
    return Drawing(chart, f"Units exposed over time by variant; now {said}.")


def time_axis(times_ms: Sequence[int]) -> alt.X:
    """The time axis, in UTC, as fine as the time shown is long."""
    span_ms = max(times_ms, default=0) - min(times_ms, default=0)
    form = "%H:%M:%S" if span_ms < 180_000 else "%H:%M" if span_ms < DAY_MS else "%b %d"
    return alt.X(
        "at:T",
        title="time (UTC)",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format=form, tickCount=6, labelOverlap=True),
    )


def _marks(marks: Sequence[TimeMark], rows: Sequence[Row]) -> list[AnyChart]:
    """Thin upright lines with what happened; notes stand out."""
    shown = mark_points(marks, rows)
    if not shown:
        return []
    rules = (
        alt.Chart(data(shown))
        .mark_rule(strokeWidth=2, strokeDash=[2, 3])
        .encode(
            x=time_axis([row["at"] for row in rows]),
            color=alt.condition("datum.what == 'note'", alt.value(PALETTE[3]), alt.value(NEUTRAL)),
            tooltip=[alt.Tooltip("what:N", title="about"), alt.Tooltip("text:N", title="what")],
        )
    )
    return [rules]


def _history_said(what: str, rows: Sequence[Row], *, relative: bool) -> str:
    last = {row["label"]: row for row in rows}

    def text(value: float | None) -> str:
        return percent(value, sign="+") if relative else number(value, sign="+")

    parts = [
        f"{label}: {text(row['effect'])}, from {text(row['low'])} to {text(row['high'])}"
        for label, row in last.items()
    ]
    return f"Effect over time on {what}, with the band for any time. Now {'; '.join(parts)}."
