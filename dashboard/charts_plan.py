"""Charts of a plan: what is found by when, and what each way of looking finds and costs; pure."""

from collections.abc import Sequence

import altair as alt

from bandit.service.planning import DesignPlan, Plan
from bandit.service.planning_words import SPENDINGS
from bandit.service.reporting_words import number, percent
from bandit.stats.sequential import DesignCost
from dashboard.charts import NEUTRAL, PALETTE, Drawing, Row, colour, dashes, data, legend_px

SHOWN = (("fixed", None, None), ("planned", 5, "obrien_fleming"), ("planned", 5, "pocock"),
         ("anytime", None, None))  # fmt: skip
"""Ways of looking that are drawn: more lines than these can not be told apart."""


def mde_points(plan: Plan) -> list[Row]:
    """A row per duration by which anything is found."""
    relative = _is_relative(plan)
    points = [
        (point.days, point.units, point.relative_effect if relative else point.effect)
        for point in plan.curve
    ]
    return [
        {"days": days, "units": units, "effect": abs(effect)}
        for days, units, effect in points
        if effect is not None
    ]


def drawn(designs: Sequence[DesignPlan]) -> list[DesignPlan]:
    """The ways of looking that are drawn."""
    found = []
    for one in designs:
        cost = one.cost
        looks = cost.looks if cost.kind == "planned" else None
        if (cost.kind, looks, cost.spending) in SHOWN and cost.reason is None:
            found.append(one)
    return found


def name_of(cost: DesignCost) -> str:
    """A way of looking, short enough for a legend."""
    if cost.kind == "planned":
        return f"{cost.looks} looks, {SPENDINGS[str(cost.spending)]}"
    return "one look" if cost.kind == "fixed" else "any time"


def power_points(plan: Plan) -> list[Row]:
    """A row per way of looking and true effect: the chance to find it with the same units."""
    return [
        {
            "label": name_of(one.cost),
            "effect": point.multiple * _size(plan),
            "power": point.power,
        }
        for one in drawn(plan.designs)
        for point in one.cost.curve
    ]


def duration_points(plan: Plan) -> list[Row]:
    """A row per way of looking and true effect: how long it takes on average."""
    rows = []
    for one in drawn(plan.designs):
        if one.days_most is None or not one.cost.units_most:
            continue
        per_unit = one.days_most / one.cost.units_most
        rows += [
            {
                "label": name_of(one.cost),
                "effect": point.multiple * _size(plan),
                "days": point.units * per_unit,
            }
            for point in one.cost.curve
        ]
    return rows


def mde_chart(plan: Plan) -> Drawing | None:
    """The least effect that is found, by days; a mark where the one that is planned for is."""
    rows = mde_points(plan)
    if len(rows) < 2:
        return None
    form = ".3~%" if _is_relative(plan) else ".4~g"
    wanted = abs(_size(plan))
    line = (
        alt.Chart(data(rows))
        .mark_line(strokeWidth=2.5, point={"color": PALETTE[0]}, color=PALETTE[0])
        .encode(
            x=alt.X(
                "days:Q", title="days", scale=alt.Scale(zero=True),
                axis=alt.Axis(format=".4~g", tickCount=8, labelOverlap=True),
            ),
            y=alt.Y("effect:Q", title="least effect found", axis=alt.Axis(format=form)),
            tooltip=[
                alt.Tooltip("days:Q", title="days", format=".4~g"),
                alt.Tooltip("units:Q", title="units", format=",.0f"),
                alt.Tooltip("effect:Q", title="least effect", format=form),
            ],
        )
    )  # fmt: skip
    aim = alt.Chart(data([{"effect": wanted}]))
    rule = aim.mark_rule(strokeDash=[4, 4], color=NEUTRAL).encode(y="effect:Q")
    said = "; ".join(f"{number(row['days'])} days: {_text(plan, row['effect'])}" for row in rows)
    return Drawing(
        alt.layer(rule, line).properties(height=260), f"Least effect found, by days. {said}."
    )


def power_chart(plan: Plan) -> Drawing | None:
    """Chance to find a true effect with the units of one look, by way of looking."""
    rows = power_points(plan)
    if not rows:
        return None
    chart = _lines(plan, rows, "power:Q", "chance to find it", ".0%")
    at_plan = {row["label"]: row["power"] for row in rows if row["effect"] == _size(plan)}
    said = "; ".join(f"{label} {percent(power)}" for label, power in at_plan.items())
    return Drawing(chart, f"Power with the same units, at the effect planned for: {said}.")


def duration_chart(plan: Plan) -> Drawing | None:
    """Average days until the end, by the true effect and the way of looking."""
    rows = duration_points(plan)
    if not rows:
        return None
    chart = _lines(plan, rows, "days:Q", "days on average", ".4~g")
    at_plan = {row["label"]: row["days"] for row in rows if row["effect"] == _size(plan)}
    said = "; ".join(f"{label} {number(days)}" for label, days in at_plan.items())
    return Drawing(chart, f"Days on average, at the effect planned for: {said}.")


def _lines(plan: Plan, rows: Sequence[Row], y: str, title: str, form: str) -> alt.Chart:
    labels = list(dict.fromkeys(row["label"] for row in rows))
    axis = alt.Axis(format=".3~%" if _is_relative(plan) else ".4~g", labelOverlap=True)
    chart: alt.Chart = (
        alt.Chart(data(list(rows)))
        .mark_line(strokeWidth=2.5, interpolate="monotone")
        .encode(
            x=alt.X("effect:Q", title="true effect", axis=axis),
            y=alt.Y(y, title=title, axis=alt.Axis(format=form, tickCount=5)),
            color=colour("label", labels),
            strokeDash=dashes("label", labels),
            tooltip=[
                alt.Tooltip("label:N", title="looks"),
                alt.Tooltip("effect:Q", title="true effect", format=axis.format),
                alt.Tooltip(y, title=title, format=form),
            ],
        )
        .properties(height=230 + legend_px(labels))
    )
    return chart


def _is_relative(plan: Plan) -> bool:
    return plan.relative_effect is not None


def _size(plan: Plan) -> float:
    """What is planned for, on the scale that is shown."""
    size = plan.relative_effect if _is_relative(plan) else plan.effect
    return size or 0.0


def _text(plan: Plan, value: float) -> str:
    return percent(value) if _is_relative(plan) else number(value)
