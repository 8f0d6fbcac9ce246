"""The effects of an experiment: forests, tables, what covariates did, and what to expect."""

from collections.abc import Mapping, Sequence

import streamlit as st

from bandit.service.reporting import ExperimentReport
from bandit.service.reporting_payloads import MetricEffect, PlanProgress, SequentialMode
from bandit.service.reporting_words import (
    DASH,
    effect_in_words,
    margin_in_words,
    notes_of,
    number,
    outlook_in_words,
    p_value,
    percent,
)
from bandit.stats import Effect
from dashboard.charts import effects_charts
from dashboard.parts import show_chart, show_list, show_table

PROMISES: Mapping[SequentialMode, str] = {
    "anytime": "These intervals hold at every look together, so watch them as you like.",
    "planned": "These intervals hold at the planned looks together; between looks they stay.",
    "fixed": "These intervals hold for one look at a time that was planned; watched, they find "
    "effects that are not there.",
}
"""What intervals promise, by how they are judged."""


def show_effects(report: ExperimentReport, *, relative: bool, mode: SequentialMode) -> None:
    """The metrics, and the guardrails apart from them."""
    metrics = [found for found in report.effects if found.role != "guardrail"]
    guards = [found for found in report.effects if found.role == "guardrail"]
    _forest(metrics, relative=relative, mode=mode)
    show_table([effect_row(found, mode) for found in metrics])
    st.caption(promise_in_words(report.sequential, mode))
    if report.plan is not None:
        st.markdown(plan_in_words(report.plan))
    if guards:
        st.header("Guardrails", anchor=False)
        _forest(guards, relative=relative, mode=mode)
        show_table([guardrail_row(found, report.sequential) for found in guards])
        st.caption("A guardrail is ok when it is shown not to be worse by its margin.")
    show_list(note_texts(report.effects))
    beside = [row for found in report.effects for row in beside_rows(found, mode)]
    if beside:
        st.header("With and without covariates", anchor=False)
        show_table(beside)
        st.caption(
            "The same effect twice: covariates (CUPED) take out what units did before, which "
            "narrows the interval and moves no truth. A cap counts a unit's number at most as it."
        )
    if metrics:
        st.header("Power and days to go", anchor=False)
        show_table([outlook_row(found) for found in metrics])
        st.caption(
            "The effect one cares about is the metric's margin. The least effect is what is found "
            "in four of five runs. Days are by the units of the last week."
        )
        with st.expander("Chance to win, after one look"):
            show_table([belief_row(found) for found in metrics])
            st.caption("Chance to win and expected loss describe one look; watched, they mislead.")


def _forest(effects: Sequence[MetricEffect], *, relative: bool, mode: SequentialMode) -> None:
    drawings = effects_charts(effects, relative=relative, mode=mode)
    for drawing in drawings:
        show_chart(drawing)
    if not drawings:
        st.markdown("There is no effect to draw yet.")


def promise_in_words(decides: SequentialMode, mode: SequentialMode) -> str:
    """What the intervals shown promise, and whether the verdict goes by them."""
    goes = "The verdict goes by them." if mode == decides else "The verdict does not go by them."
    return f"{PROMISES[mode]} {goes}"


def plan_in_words(plan: PlanProgress) -> str:
    """How far a planned experiment is."""
    done = (
        f"{plan.looks_done} of {plan.looks} planned looks were reached, with {plan.units_n:,} of "
        f"{plan.planned_units:,} units"
    )
    if plan.next_look_units_n is None:
        return f"{done}: the plan is over."
    return f"{done}; the next is due at {plan.next_look_units_n:,}."


def note_texts(effects: Sequence[MetricEffect]) -> list[str]:
    """What the reader should know of each comparison."""
    return [
        f"{found.metric}, {found.treatment} − {found.control}: {text}."
        for found in effects
        for text in notes_of(found)
    ]


def effect_row(found: MetricEffect, mode: SequentialMode) -> dict[str, str]:
    """A line of the table of effects."""
    effect = found.by(mode)
    return {
        "metric": f"{found.metric} per {found.per}" + (" (primary)" if found.is_primary else ""),
        "comparison": f"{found.treatment} − {found.control}",
        "control": number(effect.control),
        "treatment": number(effect.treatment),
        "effect": effect_in_words(effect),
        "relative": effect_in_words(effect, relative=True),
        "p": p_value(effect.p_value),
        "p corrected": p_value(effect.p_value_adjusted),
        "better is": found.better,
    }


def guardrail_row(found: MetricEffect, decides: SequentialMode) -> dict[str, str]:
    """A line of the table of guardrails: as what decides judges them."""
    test = found.non_inferiority
    margin = DASH
    if test is not None and test.margin is not None:
        margin = margin_in_words(test.margin, test.margin_scale)
    effect = found.by(decides)
    return {
        "guardrail": found.metric,
        "comparison": f"{found.treatment} − {found.control}",
        "state": found.guardrail or DASH,
        "margin": margin,
        "effect": effect_in_words(effect),
        "relative": effect_in_words(effect, relative=True),
        "p of the margin": p_value(None if test is None else test.p_value),
        "better is": found.better,
    }


def beside_rows(found: MetricEffect, mode: SequentialMode) -> list[dict[str, str]]:
    """The effect and below it what it was without covariates, and without its cap."""
    effect: Effect | None = found.by(mode)
    if effect is None or effect.unadjusted is None:
        return []
    rows = []
    above: Effect | None = None
    while effect is not None:
        rows.append(
            {
                "metric": found.metric,
                "comparison": f"{found.treatment} − {found.control}",
                "as": _name(above, effect),
                "effect": effect_in_words(effect),
                "relative": effect_in_words(effect, relative=True),
                "variance taken": percent(effect.variance_reduction),
                "cap": number(effect.cap),
            }
        )
        above, effect = effect, effect.unadjusted
    return rows


def _name(above: Effect | None, effect: Effect) -> str:
    """What distinguishes a judgement from the one above it."""
    if above is None:
        kinds = ["covariates"] if effect.variance_reduction is not None else []
        kinds += ["cap"] if effect.cap is not None else []
        return f"with {' and '.join(kinds)}" if kinds else "as judged"
    return "without covariates" if above.cap == effect.cap else "without cap"


def outlook_row(found: MetricEffect) -> dict[str, str]:
    """A line of what can be found, and when."""
    ahead = found.outlook
    care = DASH
    if ahead is not None and ahead.relative_effect is not None:
        care = margin_in_words(ahead.relative_effect, "relative")
    elif ahead is not None:
        care = number(ahead.effect)
    return {
        "metric": found.metric,
        "comparison": f"{found.treatment} − {found.control}",
        "one cares about": care,
        "power": percent(None if ahead is None else ahead.power_now),
        "least effect": percent(None if ahead is None else ahead.relative_mde, sign="+"),
        "units a day": number(None if ahead is None else ahead.units_per_day),
        "outlook": outlook_in_words(ahead),
    }


def belief_row(found: MetricEffect) -> dict[str, str]:
    """A line of what to believe after one look."""
    bayes = found.bayes
    return {
        "metric": found.metric,
        "comparison": f"{found.treatment} − {found.control}",
        "chance to win": percent(None if bayes is None else bayes.chance_to_win),
        "expected loss": number(None if bayes is None else bayes.expected_loss),
        "loss of keeping the control": number(None if bayes is None else bayes.control_loss),
    }
