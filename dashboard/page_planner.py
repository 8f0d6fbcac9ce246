"""Planner: how many units an experiment needs, how long it takes, and what it will find."""

from collections.abc import Sequence
from typing import get_args

import msgspec
import streamlit as st

from bandit.errors import RecordError
from bandit.service.planning import Hypothesis, Planning, PlanQuestion
from bandit.service.planning_words import (
    answer_in_words,
    baseline_row,
    design_row,
    traffic_in_words,
)
from bandit.service.reporting import Overview
from bandit.service.reporting_planning import typed_planning
from bandit.service.reporting_tables import Row, as_csv
from bandit.service.reporting_words import number
from bandit.specs import MetricType
from dashboard.charts_plan import duration_chart, mde_chart, power_chart
from dashboard.parts import (
    BOX_PX,
    HALF_PX,
    choose,
    choose_level,
    show_chart,
    show_downloads,
    show_missing,
    show_table,
    side_by_side,
    switch,
    watch_age,
)
from dashboard.source import Source

TYPED = "typed-in numbers"
SHOWS: dict[str, Hypothesis] = {
    "a difference": "different",
    "that it is better": "better",
    "that it is not worse": "not_worse",
}
POWERS = {"80 %": 0.8, "90 %": 0.9, "95 %": 0.95, "70 %": 0.7, "50 %": 0.5}
SHARES = ("proportion", "retention")
SIZE = "The least effect one cares about. Empty: the metric's margin, and 5 % of typed-in numbers."


def render(source: Source) -> None:
    """Draw the page."""
    st.title("Planner")
    overview, problem = source.overview(0.05)
    if overview is None:
        show_missing(problem)
        st.markdown("Typed-in numbers can be planned with all the same.")
    else:
        watch_age(source)
        if overview.next_step:
            st.info(overview.next_step, icon=":material/inbox:")
    with side_by_side():
        surface = _surface(overview)
        shows = SHOWS[choose("To be shown", list(SHOWS), "shows", width_px=HALF_PX)]
        runs = choose(
            "Found in how many runs", list(POWERS), "power", word="power", width_px=HALF_PX
        )
        wanted = POWERS[runs]
        alpha = choose_level()
    if surface is None:
        _typed(shows, alpha, wanted)
    else:
        _known(source, surface, shows, alpha, wanted)


def _surface(overview: Overview | None) -> str | None:
    """The busiest first; None for typed-in numbers."""
    surfaces = [] if overview is None else overview.surfaces
    ordered = sorted(surfaces, key=lambda surface: -surface.decisions_n)
    chosen = choose("Surface", [*(one.key for one in ordered), TYPED], "surface", width_px=BOX_PX)
    return None if chosen == TYPED else chosen


def _known(source: Source, surface: str, shows: Hypothesis, alpha: float, power: float) -> None:
    """By the surface's own traffic and spread; what is typed in counts before them."""
    first, problem = source.planning(surface, PlanQuestion(), None)
    if first is None:
        show_missing(problem)
        return
    st.markdown(traffic_in_words(first))
    keys = [str(one.metric) for one in first.metrics]
    if not keys:
        st.info(
            "No experiment has run here, so mean and spread of its metrics are not known. Type "
            "them in.",
            icon=":material/edit:",
        )
        _typed(shows, alpha, power, first)
        return
    metric = choose("Metric", keys, "metric", word="metric", width_px=BOX_PX)
    baseline = next(one for one in first.metrics if one.metric == metric)
    typed = baseline.mean is None or baseline.sd is None
    question = _question(shows, alpha, power, pace=first.units_per_day)
    with st.expander("What is known, and what to take in its place", expanded=typed):
        show_table([baseline_row(one) for one in first.metrics])
        with side_by_side():
            given_mean = _number("Mean, in place of what is known", "mean", baseline.mean)
            given_sd = _number("Spread (sd per unit)", "sd", baseline.sd, low=0.0)
    question = msgspec.structs.replace(question, mean=given_mean, sd=given_sd)
    _answer(*source.planning(surface, question, metric))


def _typed(shows: Hypothesis, alpha: float, power: float, known: Planning | None = None) -> None:
    """By what somebody types in."""
    with side_by_side():
        kinds = list(get_args(MetricType))
        chosen = choose("Kind of metric", kinds, "type", "proportion", width_px=HALF_PX)
        metric_type = next(one for one in get_args(MetricType) if one == chosen)
        is_share = metric_type in SHARES
        given = _number("Mean (0.05 is 5 %)" if is_share else "Mean", "mean")
        spread = None if is_share else _number("Spread (sd per unit)", "sd", low=0.0)
    question = _question(shows, alpha, power, pace=None if known is None else known.units_per_day)
    if given is None:
        st.info(
            "Type in the metric's mean"
            + ("" if is_share else " and its spread")
            + ": what it is per unit now.",
            icon=":material/edit:",
        )
        return
    pace = question.units_per_day or (None if known is None else known.units_per_day)
    try:
        found = typed_planning(
            msgspec.structs.replace(
                question, mean=given, sd=spread, type=metric_type, units_per_day=pace
            )
        )
    except RecordError as exc:
        _answer(None, str(exc))
        return
    _answer(found, "")


def _question(shows: Hypothesis, alpha: float, power: float, *, pace: float | None) -> PlanQuestion:
    """What is asked beside the metric; the address keeps it."""
    with side_by_side():
        absolute = switch("The effect is", ("relative", "absolute"), "scale") == "absolute"
        label = "Effect to find" + ("" if absolute else ", in %")
        size = _number(label, "effect", placeholder="the margin", low=0.0, tooltip=SIZE)
        given = _number("New units a day", "units_per_day", pace, low=0.0)
        part = _number("Share of traffic, in %", "share", 100.0, low=0.0, high=100.0)
        n = _number("Treatments", "treatments", 1.0, low=1.0, high=49.0)
    size = size or None
    return PlanQuestion(
        effect=size if absolute or size is None else size / 100.0,
        effect_scale="absolute" if absolute else "relative",
        shows=shows,
        power=power,
        alpha=alpha,
        treatments=int(n or 1),
        share=(part or 100.0) / 100.0,
        units_per_day=given or None,
    )


def _number(
    label: str,
    parameter: str,
    known: float | None = None,
    *,
    placeholder: str = "",
    low: float | None = None,
    high: float | None = None,
    tooltip: str | None = None,
) -> float | None:
    """A number that the address keeps; what is known stands in the empty box."""
    given = number_asked(st.query_params.get(parameter, ""), low, high)
    found = st.number_input(
        label,
        value=given,
        min_value=low,
        max_value=high,
        key=parameter,
        format="%.6g",
        placeholder=placeholder or (number(known) if known is not None else ""),
        help=tooltip,
        width=HALF_PX,
    )
    if found is None:
        st.query_params.pop(parameter, None)
    else:
        st.query_params[parameter] = f"{found:.10g}"
    return found


def number_asked(text: str, low: float | None, high: float | None) -> float | None:
    """A number of an address; None if it is none, or out of range."""
    try:
        value = float(text)
    except ValueError:
        return None
    inside = (low is None or value >= low) and (high is None or value <= high)
    return value if inside and abs(value) <= 1e15 else None


def _answer(found: Planning | None, problem: str) -> None:
    """What it needs, and the charts and tables behind it."""
    if found is None:
        st.error(f"There is no plan: {problem}.", icon=":material/error:")
        return
    headline, more = answer_in_words(found)
    plan = found.plan
    box = st.success if plan is not None and plan.units is not None else st.warning
    box(f"**{headline}**" + (f"\n\n{more}" if more else ""), icon=":material/calculate:")
    if plan is None or plan.units is None:
        return
    st.header("What is found by when", anchor=False)
    show_chart(mde_chart(plan), "How many days it takes is not known: type in new units a day.")
    st.caption(
        "The least effect that is found as often as asked for, with one look at the end. The "
        "dashed line is the effect one cares about."
    )
    st.header("Ways of looking", anchor=False)
    show_table([design_row(one) for one in plan.designs])
    st.caption(
        "All are sized for the same effect and the same chance to find it, and err at most as "
        "often as the level says. Declare them as the experiment's `sequential`."
    )
    st.header("Chance to find a true effect, with the same units", anchor=False)
    show_chart(power_chart(plan))
    st.header("Days on average, by the true effect", anchor=False)
    show_chart(duration_chart(plan), "How many new units come a day is not known.")
    show_downloads("plan", csv=as_csv(plan_rows(found)), payload=msgspec.json.encode(found))


def plan_rows(found: Planning) -> Sequence[Row]:
    """One row per way of looking, for a spreadsheet."""
    plan = found.plan
    if plan is None:
        return []
    return [
        {
            "metric": None if found.baseline is None else found.baseline.metric,
            "effect": plan.effect,
            "relative_effect": plan.relative_effect,
            "looks": one.cost.looks,
            "kind": one.cost.kind,
            "spending": one.cost.spending,
            "units_most": one.cost.units_most,
            "units_expected": one.cost.units_expected,
            "units_expected_null": one.cost.units_expected_null,
            "days_most": one.days_most,
            "days_expected": one.days_expected,
            "days_expected_null": one.days_expected_null,
            "power": one.cost.power,
        }
        for one in plan.designs
    ]
