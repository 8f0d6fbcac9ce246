"""Every policy that the log can tell of, beside each other: rows and chart; pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt

from bandit.ope import Value
from bandit.service.evaluation_artefact import EvaluationHeadline
from bandit.service.reporting import SurfaceReport
from bandit.service.reporting_words import DASH, in_words, number
from bandit.specs import KILL_SWITCH, UNIFORM_SLICE
from dashboard.charts import AXIS_PX, PALETTE, Drawing, Row, legend, legend_px
from dashboard.parts import plain

KINDS = ("live", "challenger", "baseline", "searched")
SHAPES = ("circle", "square", "triangle-up", "cross")
BASELINES = {
    "uniform": "chance alone",
    "first": "offered order",
    "greedy": "without exploring",
}
"""Policies made of the log itself."""


class Line(NamedTuple):
    """One policy in the forest.

    Attributes:
        kind: `live`, `challenger` (its shadow is in the log), `baseline`, or `searched` (of the
            newest saved evaluation).
        point, low, high: Its value and interval; None where refused, or where there is none.
        verdict: `ok`, `caution` or `refuse`.
        why: Reasons of the verdict, in words; or why there is no interval.
        ess: What the log is worth; None of a saved evaluation.
    """

    label: str
    kind: str
    point: float | None
    low: float | None
    high: float | None
    verdict: str
    why: str
    n: int
    ess: float | None


def forest_lines(
    report: SurfaceReport, saved: Sequence[EvaluationHeadline], *, anytime: bool
) -> list[Line]:
    """A line for each policy, the live one first.

    Args:
        report: Of the surface.
        saved: Its saved evaluations, the newest first.
        anytime: With intervals that hold at every look; else for one planned look.
    """
    lines = [
        _line(found.snips, found.policy, _kind(found.policy, report.policy), anytime=anytime)
        for found in report.values
        if found.log == "all" and found.policy != KILL_SWITCH
    ]
    exploration = report.exploration
    for name, label in BASELINES.items():
        value = getattr(exploration, name) if exploration is not None else None
        if value is not None and value.n:
            lines.append(_line(value, label, "baseline", anytime=anytime))
    for one in saved[:1]:
        for found in one.candidates:
            low, high = (
                (found.anytime_low, found.anytime_high)
                if anytime
                else (found.value_low, found.value_high)
            )
            lines.append(
                Line(
                    found.name,
                    "searched",
                    found.value,
                    low,
                    high,
                    found.verdict,
                    in_words(found.reasons),
                    one.n,
                    None,
                )
            )
    return sorted(lines, key=lambda line: KINDS.index(line.kind))


def forest_rows(lines: Sequence[Line]) -> list[Row]:
    """What is drawn: nothing of what is refused."""
    return [
        {
            "policy": line.label if line.kind != "searched" else f"{line.label} (searched)",
            "kind": line.kind,
            "value": line.point,
            "low": line.low,
            "high": line.high,
            "trust": line.verdict,
        }
        for line in lines
        if line.point is not None and line.verdict != "refuse"
    ]


def forest_chart(lines: Sequence[Line]) -> Drawing | None:
    """A dot and its interval for each policy that is not refused; a rule at the live one."""
    rows = forest_rows(lines)
    if not rows:
        return None
    labels = [row["policy"] for row in rows]
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y(
            "policy:N", title=None, sort=labels,
            axis=alt.Axis(labelLimit=150, labelOverlap=False, ticks=False, domain=False),
        ),
        color=alt.Color(
            "kind:N", title=None, legend=legend(kinds),
            scale=alt.Scale(domain=kinds, range=[PALETTE[KINDS.index(kind)] for kind in kinds]),
        ),
        tooltip=[
            alt.Tooltip("policy:N"),
            *(alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("value", "low", "high")),
            alt.Tooltip("trust:N"),
        ],
    )  # fmt: skip
    shape = alt.Shape(
        "kind:N", title=None, legend=legend(kinds),
        scale=alt.Scale(domain=kinds, range=[SHAPES[KINDS.index(kind)] for kind in kinds]),
    )  # fmt: skip
    axis = alt.Axis(format=".4~g", tickCount=6, labelOverlap=True)
    x = alt.X("low:Q", title="reward per decision", axis=axis, scale=alt.Scale(zero=False))
    bounds = base.transform_filter("datum.low != null").mark_rule(strokeWidth=3)
    dots = base.mark_point(filled=True, size=90, opacity=1)
    layers = [bounds.encode(x=x, x2="high:Q"), dots.encode(x="value:Q", shape=shape)]
    live = next((row["value"] for row in rows if row["kind"] == "live"), None)
    if live is not None:
        rule = alt.Chart(_data([{"live": live}]))
        layers.insert(
            0, rule.mark_rule(strokeDash=[4, 4], color=PALETTE[0], opacity=0.7).encode(x="live:Q")
        )
    said = "; ".join(
        f"{row['policy']}: {number(row['value'])}"
        + ("" if row["low"] is None else f", from {number(row['low'])} to {number(row['high'])}")
        for row in rows
    )
    return Drawing(
        alt.layer(*layers).properties(height=AXIS_PX + 40 * len(rows) + legend_px(kinds)),
        f"What each policy would earn per decision. {said}.",
    )


def line_row(line: Line) -> dict[str, str]:
    """A line of the table; nothing is told of what is refused."""
    ends = DASH if line.low is None else f"[{number(line.low)}, {number(line.high)}]"
    return {
        "policy": line.label,
        "kind": line.kind,
        "value": DASH if line.verdict == "refuse" else number(line.point),
        "interval": DASH if line.verdict == "refuse" else ends,
        "trust": line.verdict,
        "decisions": f"{line.n:,}",
        "worth (ESS)": number(line.ess),
    }


def whys(lines: Sequence[Line]) -> list[str]:
    """Why a policy has no value, or no interval, or one to be read with care."""
    begin = {"refuse": "no value, because ", "caution": "read with care, because ", "ok": ""}
    return [
        f"**{plain(line.label)}**: {begin[line.verdict]}{line.why}." for line in lines if line.why
    ]


def _line(value: Value, label: str, kind: str, *, anytime: bool) -> Line:
    low, high = (
        (value.anytime_ci_low, value.anytime_ci_high) if anytime else (value.ci_low, value.ci_high)
    )
    why = in_words(value.reasons)
    if anytime and value.value is not None and low is None and value.ci_low is not None:
        why = "; ".join(filter(None, [why, "too few units for an interval at every look"]))
    return Line(
        label, kind, value.value, low, high, value.verdict, why, value.n, value.ess
    )  # fmt: skip


def _kind(policy: str, live: str) -> str:
    if policy == UNIFORM_SLICE:
        return "baseline"
    return "live" if policy == live else "challenger"


def _data(rows: list[Row]) -> dict[str, Any]:
    return {"values": rows}
