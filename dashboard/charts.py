"""Charts of reports: rows for each, and the specification that draws them; pure.

No number is computed here; every one is a field of the payload. Colours have a contrast of at
least 3.7 to 1 against Streamlit's light and dark backgrounds, and lines differ by their dashes too.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt

from bandit.service.reporting_payloads import MetricEffect, PolicyValue, SequentialMode, Series
from bandit.service.reporting_words import HOLDS

Row = dict[str, Any]

PALETTE = (
    "#2E7FD1",
    "#C8641A",
    "#2F9160",
    "#A35BC8",
    "#D04F86",
    "#1D8F9E",
    "#8A7A1F",
    "#7F7F7F",
)
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
ROW_PX = 42
AXIS_PX = 66
LEGEND_PX, LINE_PX = 24, 20
"""What the axis and a legend and each of its lines take of a chart's height."""
NARROW = 15
"""Labels of so many letters stand in two columns, also on a phone; longer ones below each other."""
TICK_PX = 9
NEUTRAL = "#7F7F7F"
DAY_MS = 86_400_000


AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart


class Drawing(NamedTuple):
    """A chart and what it says, for those who can not see it."""

    chart: AnyChart
    alt: str


def effect_points(
    effects: Sequence[MetricEffect], *, relative: bool, mode: SequentialMode
) -> list[Row]:
    """A row per comparison that has an estimate on that scale; of one metric."""
    rows = []
    for found in effects:
        effect = found.by(mode)
        point, low, high = (
            (effect.relative_effect, effect.relative_ci_low, effect.relative_ci_high)
            if relative
            else (effect.effect, effect.effect_ci_low, effect.effect_ci_high)
        )
        if point is not None:
            rows.append({"label": found.treatment, "point": point, "low": low, "high": high})
    return rows


def value_points(values: Sequence[PolicyValue]) -> list[Row]:
    """A row per policy and log that was not refused."""
    return [
        {
            "label": found.policy,
            "log": LOGS[found.log],
            "point": found.snips.value,
            "low": found.snips.ci_low,
            "high": found.snips.ci_high,
        }
        for found in values
        if found.snips.value is not None
    ]


LOGS = {"all": "all decisions", "others": "other policies' decisions"}


def running_points(series: Series) -> list[Row]:
    """A row per label and bucket."""
    return [
        {"label": p.label, "at": p.at_ms, "mean": p.running_mean, "decisions": p.total_n}
        for p in series.running
    ]


def rate_points(series: Series) -> list[Row]:
    """A row per bucket."""
    return [{"at": point.at_ms, "per_s": point.per_s} for point in series.rate]


def snapshot_marks(series: Series) -> list[Row]:
    """A row per snapshot that falls into the time shown."""
    times = [point.at_ms for point in series.rate]
    if not times:
        return []
    return [
        {"at": mark.at_ms, "snapshot": f"{mark.policy}@{mark.number}", "trained": mark.trained}
        for mark in series.snapshots
        if min(times) - series.bucket_ms <= mark.at_ms <= max(times)
    ]


def effects_charts(
    effects: Sequence[MetricEffect], *, relative: bool, mode: SequentialMode
) -> list[Drawing]:
    """A forest plot per metric: a line over each interval, a dot at the effect, a rule at 0.

    One each, because metrics share no scale: clicks and milliseconds on one axis hide the clicks.

    Args:
        effects: Of all metrics.
        relative: Relative to the control.
        mode: With the intervals that hold for that.
    """
    form = "+.1%" if relative else "+.4~g"
    drawings = []
    for metric in dict.fromkeys(found.metric for found in effects):
        rows = effect_points(
            [f for f in effects if f.metric == metric], relative=relative, mode=mode
        )
        if rows:
            what = f"{metric}: treatment − control" + (", relative to control" if relative else "")
            said = _said(f"Effect on {what}, with intervals for {HOLDS[mode]}", rows, form)
            drawings.append(Drawing(_forest(rows, what, form, zero=True), said))
    return drawings


def values_chart(values: Sequence[PolicyValue]) -> Drawing | None:
    """Forest plot of policies' values; one colour and dot shape per log."""
    rows = value_points(values)
    if not rows:
        return None
    chart = _forest(rows, "reward per decision", ".4~g", zero=False, by="log")
    return Drawing(chart, _said("Values of policies with their intervals", rows, ".4~g"))


def running_chart(series: Series) -> Drawing | None:
    """Running mean of the reward per label; ticks above it where snapshots were published."""
    rows = running_points(series)
    if not rows:
        return None
    labels = sorted({row["label"] for row in rows})
    lines = (
        alt.Chart(data(rows))
        .mark_line(strokeWidth=2.5, point=len(rows) <= 2 * len(labels))
        .encode(
            x=_time(series),
            y=alt.Y("mean:Q", title="reward per decision so far", scale=alt.Scale(zero=False)),
            color=colour("label", labels),
            strokeDash=dashes("label", labels),
            tooltip=[
                alt.Tooltip("label:N", title="of"),
                alt.Tooltip("mean:Q", title="mean", format=".4~g"),
                alt.Tooltip("decisions:Q", title="decisions", format=",d"),
            ],
        )
    )
    last = {row["label"]: row["mean"] for row in rows}
    said = ", ".join(f"{label} {last[label]:.4g}" for label in labels)
    layers = [_marks(series), lines] if snapshot_marks(series) else [lines]
    chart = alt.layer(*layers)
    height = 250 + legend_px(labels)
    return Drawing(chart.properties(height=height), f"Reward per decision over time; now {said}.")


def rate_chart(series: Series) -> Drawing | None:
    """Decisions per second."""
    rows = rate_points(series)
    if not rows:
        return None
    chart = (
        alt.Chart(data(rows))
        .mark_area(
            color=PALETTE[0], opacity=0.35, line={"color": PALETTE[0]}, interpolate="step-before"
        )
        .encode(
            x=_time(series),
            y=alt.Y("per_s:Q", title="decisions per second"),
            tooltip=[alt.Tooltip("per_s:Q", title="per second", format=".4~g")],
        )
        .properties(height=220)
    )
    peak = max(row["per_s"] for row in rows)
    return Drawing(chart, f"Decisions per second over time, at most {peak:.4g}.")


def _forest(
    rows: list[Row], title: str, form: str, *, zero: bool, by: str | None = None
) -> AnyChart:
    groups = sorted({row[by] for row in rows}) if by else []
    labels = list(dict.fromkeys(row["label"] for row in rows))
    base = alt.Chart(data(rows)).encode(
        y=alt.Y(
            "label:N",
            title=None,
            sort=labels,
            axis=alt.Axis(labelLimit=140, labelOverlap=False, ticks=False, domain=False),
        ),
        tooltip=[
            alt.Tooltip("label:N", title="of"),
            alt.Tooltip("point:Q", title="estimate", format=form),
            alt.Tooltip("low:Q", title="low", format=form),
            alt.Tooltip("high:Q", title="high", format=form),
        ],
    )
    if by:
        base = base.encode(
            yOffset=alt.YOffset(f"{by}:N", sort=groups), color=colour(by, groups, lines=False)
        )
    axis = alt.Axis(format=form.removeprefix("+"), tickCount=6, labelOverlap=True)
    x = alt.X("low:Q", title=title, axis=axis, scale=alt.Scale(zero=zero))
    plain: Row = {} if by else {"color": PALETTE[0]}
    interval = base.transform_filter("datum.low != null").mark_rule(strokeWidth=3, **plain)
    dot = base.mark_point(filled=True, size=90, opacity=1, **plain)
    shaped = dot.encode(x="point:Q")
    if by:
        shape = alt.Shape(
            f"{by}:N", title=None, scale=alt.Scale(domain=groups), legend=legend(groups)
        )
        shaped = shaped.encode(shape=shape)
    layers = [interval.encode(x=x, x2="high:Q"), shaped]
    if zero:
        origin = alt.Chart(data([{"zero": 0}]))
        layers.insert(0, origin.mark_rule(strokeDash=[4, 4], color=NEUTRAL).encode(x="zero:Q"))
    height = AXIS_PX + ROW_PX * len(rows) + (legend_px(groups) if by else 0)
    return alt.layer(*layers).properties(height=height)


def data(rows: list[Row]) -> dict[str, Any]:
    """Rows inside the specification itself."""
    return {"values": rows}


def _marks(series: Series) -> AnyChart:
    ticks = alt.Chart(data(snapshot_marks(series))).mark_rule(color=NEUTRAL, strokeWidth=1.5)
    marks: alt.Chart = ticks.encode(
        x=_time(series),
        y=alt.value(-TICK_PX),
        y2=alt.value(0),
        tooltip=[
            alt.Tooltip("snapshot:N"),
            alt.Tooltip("trained:Q", title="decisions learned from", format=",d"),
        ],
    )
    return marks


def _time(series: Series) -> alt.X:
    """The time axis, in UTC, as fine as the time shown is long."""
    times = [point.at_ms for point in series.rate]
    span_ms = max(times, default=0) - min(times, default=0)
    form = "%H:%M:%S" if span_ms < 180_000 else "%H:%M" if span_ms < DAY_MS else "%b %d %H:%M"
    return alt.X(
        "at:T",
        title="time (UTC)",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format=form, tickCount=6, labelOverlap=True),
    )


def colour(field: str, domain: Sequence[str], *, lines: bool = True) -> alt.Color:
    """The same colour for the same place in a list, whatever the chart."""
    return alt.Color(
        f"{field}:N",
        title=None,
        scale=alt.Scale(domain=list(domain), range=_cycle(PALETTE, len(domain))),
        legend=legend(domain, lines=lines),
    )


def dashes(field: str, domain: Sequence[str]) -> alt.StrokeDash:
    """A dash for each place in a list, beside its colour."""
    return alt.StrokeDash(
        f"{field}:N",
        title=None,
        scale=alt.Scale(domain=list(domain), range=_cycle(DASHES, len(domain))),
        legend=legend(domain, lines=True),
    )


def legend(labels: Sequence[str], *, lines: bool = False, columns: int | None = None) -> alt.Legend:
    """The same for colour, dash and shape, or Vega draws one for each; as solid as the lines.

    Args:
        labels: What it explains.
        lines: Shown as lines, for their dashes; else as what the chart draws.
        columns: None: two, where the labels are short.
    """
    more: Row = {"symbolType": "stroke", "symbolStrokeWidth": 3} if lines else {}
    return alt.Legend(
        orient="top",
        columns=columns or _columns(labels),
        labelLimit=250,
        symbolOpacity=1,
        symbolSize=120 if lines else 80,
        **more,
    )


def legend_px(labels: Sequence[str]) -> int:
    """What it takes of a chart's height."""
    return LEGEND_PX + LINE_PX * math.ceil(len(labels) / _columns(labels))


def _columns(labels: Sequence[str]) -> int:
    return 2 if all(len(label) <= NARROW for label in labels) else 1


def _cycle(values: Sequence[Any], n: int) -> list[Any]:
    return [values[place % len(values)] for place in range(n)]


def _said(what: str, rows: Sequence[Row], form: str) -> str:
    """A chart in a sentence per row."""
    shares = form.endswith("%")

    def text(value: float) -> str:
        return f"{value:.1%}" if shares else f"{value:.4g}"

    parts = []
    for row in rows:
        log = f" from {row['log']}" if "log" in row else ""
        interval = "" if row["low"] is None else f", from {text(row['low'])} to {text(row['high'])}"
        parts.append(f"{row['label']}{log}: {text(row['point'])}{interval}")
    return f"{what}. {'; '.join(parts)}."
