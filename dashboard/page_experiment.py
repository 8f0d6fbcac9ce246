"""Experiment: which variant is better, by how much, and whether to believe it."""

from collections.abc import Mapping, Sequence

import msgspec
import streamlit as st

from bandit.service.reporting import ExperimentReport, Overview
from bandit.service.reporting_payloads import (
    GroupCounts,
    MetricEffect,
    PlanProgress,
    SegmentFinding,
    SegmentRow,
    SequentialMode,
    Series,
)
from bandit.service.reporting_tables import as_csv, effect_rows
from bandit.service.reporting_words import (
    DASH,
    HOLDS,
    effect_in_words,
    exceptions_in_words,
    in_words,
    margin_in_words,
    notes_of,
    number,
    outlook_in_words,
    p_value,
    percent,
    segment_in_words,
)
from dashboard.charts import effects_charts, running_chart
from dashboard.parts import (
    REFRESH_S,
    choose,
    choose_level,
    open_page,
    ordered_experiments,
    show_age,
    show_chart,
    show_downloads,
    show_list,
    show_missing,
    show_problems,
    show_table,
    show_verdict,
    with_counts,
)
from dashboard.source import Source

ARCHIVED = ("hidden", "shown")
SCALES = ("absolute", "relative")
PROMISES: Mapping[SequentialMode, str] = {
    "anytime": "These intervals hold at every look together, so watch them as you like.",
    "planned": "These intervals hold at the planned looks together; between looks they stay.",
    "fixed": "These intervals hold for one look at a time that was planned; watched, they find "
    "effects that are not there.",
}
"""What intervals promise, by how they are judged."""


def render(source: Source) -> None:
    """Draw the page."""
    shown = st.query_params.get("archived") == ARCHIVED[1]
    overview = open_page(source, "Experiment", archived=shown)
    if overview is None:
        return
    if not overview.experiments:
        st.info(nothing_in_words(overview), icon=":material/inbox:")
        if overview.archived_n:
            choose("Archived experiments", ARCHIVED, "archived")
        return
    which, level, look, scale, *more = st.columns(5 if overview.archived_n else 4)
    for column in more:
        with column:
            choose("Archived experiments", ARCHIVED, "archived")
    with which:
        key = choose(
            "Experiment", [found.key for found in ordered_experiments(overview)], "experiment"
        )
    with level:
        alpha = choose_level()
    with look:
        looks = {words: mode for mode, words in HOLDS.items()}
        mode = looks[choose("Intervals hold for", list(looks), "look")]
    with scale:
        relative = choose("Scale of the effects", SCALES, "scale") == "relative"
    _live(source, key, alpha, relative=relative, mode=mode)


def nothing_in_words(overview: Overview) -> str:
    """Why there is no experiment to show, and what to do."""
    if overview.next_step:
        return overview.next_step
    if overview.archived_n:
        return f"All experiments are archived, and hidden: {overview.archived_n:,}."
    return "No experiment is declared: `PUT /v1/experiments/{key}`."


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, key: str, alpha: float, *, relative: bool, mode: SequentialMode) -> None:
    report, problem = source.experiment(key, alpha)
    if report is None:
        show_missing(problem)
        return
    if mode == "planned" and report.plan is None:
        mode = "anytime"  # no looks are planned: what holds is what holds at every look
    show_age(report.as_of_ms, problem)
    if report.description:
        st.markdown(report.description)
    show_verdict(report.verdict)
    show_problems(report.health.problems)
    _tiles(report)
    _effects(report, relative=relative, mode=mode)
    _segments(report.segments)
    if report.surface is not None:
        _over_time(report.series)
    st.header("Variants", anchor=False)
    show_table(variant_rows(report))
    st.markdown(split_in_words(report))
    show_list(exceptions_in_words(report.variants, report.forced_n))
    show_downloads(
        f"experiment-{report.key}",
        csv=as_csv(effect_rows(report.effects)),
        payload=msgspec.json.encode(report),
    )


def _over_time(series: Series) -> None:
    st.header("Reward over time", anchor=False)
    show_chart(running_chart(series), "No decision counts yet: their join window must end first.")
    if series.snapshots:
        st.caption("Thin upright lines: a snapshot was published.")


def _effects(report: ExperimentReport, *, relative: bool, mode: SequentialMode) -> None:
    """The metrics, and the guardrails apart from them."""
    metrics = [found for found in report.effects if found.role != "guardrail"]
    guards = [found for found in report.effects if found.role == "guardrail"]
    st.header("Effects", anchor=False)
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
    if metrics:
        with st.expander("Chances and outlook"):
            show_table([belief_row(found) for found in metrics])
            st.caption(
                "Chance to win and expected loss describe one look; watched, they mislead. The "
                "least effect is what is found in four of five runs."
            )


def _forest(effects: Sequence[MetricEffect], *, relative: bool, mode: SequentialMode) -> None:
    drawings = effects_charts(effects, relative=relative, mode=mode)
    for drawing in drawings:
        show_chart(drawing)
    if not drawings:
        st.markdown("There is no effect to draw yet.")


def _segments(segments: Sequence[SegmentFinding]) -> None:
    if not segments:
        return
    st.header("Segments", anchor=False)
    show_list([segment_in_words(found) for found in segments])
    with st.expander("Effects by segment"):
        show_table([segment_row(found, row) for found in segments for row in found.rows])


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


def belief_row(found: MetricEffect) -> dict[str, str]:
    """A line of what to believe after one look, and of what is to come."""
    bayes = found.bayes
    return {
        "metric": found.metric,
        "comparison": f"{found.treatment} − {found.control}",
        "chance to win": percent(None if bayes is None else bayes.chance_to_win),
        "expected loss": number(None if bayes is None else bayes.expected_loss),
        "least effect found": outlook_in_words(found.outlook),
    }


def segment_row(found: SegmentFinding, row: SegmentRow) -> dict[str, str]:
    """A line of the table of segments."""
    return {
        "by": found.by,
        "value": row.value or "others",
        "metric": found.metric,
        "comparison": f"{found.treatment} − {found.control}",
        "effect": effect_in_words(row.effect),
        "relative": effect_in_words(row.effect, relative=True),
        "believed": number(row.shrunk, sign="+"),
        "differs": "yes" if row.differs else "can not be told",
    }


def variant_rows(report: ExperimentReport) -> list[dict[str, str]]:
    """A line per variant; of payloads only what they have."""
    rows: list[dict[str, str]] = []
    for variant in report.variants:
        row = {
            "variant": variant.label,
            "role": "control" if variant.label == report.control else "treatment",
            "serves": variant.policy or "payload",
            "share": percent(variant.share),
            "units": f"{variant.units_n:,}",
        }
        rows.append(row if report.surface is None else row | _decisions(variant))
    return with_counts(
        rows,
        report.variants,
        {"pinned": "pinned_n", "overridden": "overridden_n", "bots": "bots_n"},
    )


def _decisions(variant: GroupCounts) -> dict[str, str]:
    return {
        "decisions": f"{variant.decisions_n:,}",
        "waiting for rewards": f"{variant.open_n:,}",
        "counted": f"{variant.counted_n:,}",
        "rewarded": f"{variant.rewarded_n:,}",
        "reward": number(variant.reward_sum),
        "per decision": number(variant.reward_mean),
    }


def split_in_words(report: ExperimentReport) -> str:
    """Whether units arrived as they were allocated."""
    split = report.srm
    texts = {
        "fine": f"Units are split as allocated (p = {p_value(split.p_value)}).",
        "mismatch": f"**Units are not split as allocated** (p = {p_value(split.p_value)}).",
        "unknown": f"The split can not be checked: {in_words([split.reason or ''])}.",
    }
    watched = report.srm_sequential
    if watched is not None and report.sequential != "fixed":
        texts |= {
            "fine": f"Units are split as allocated (p = {p_value(watched.p_value)}, watched).",
            "mismatch": f"**Units are not split as allocated** (p = {p_value(watched.p_value)}, "
            "watched).",
        }
    verdict = split.verdict if watched is None or report.sequential == "fixed" else watched.verdict
    crossed = f" {report.crossed_units_n:,} units were seen in two variants and are left out."
    forced = f" {report.forced_units_n:,} units were set by hand and are left out."
    bots = f" {report.bots_units_n:,} units made more decisions than a person and are left out."
    return (
        texts[verdict]
        + (crossed if report.crossed_units_n else "")
        + (forced if report.forced_units_n else "")
        + (bots if report.bots_units_n else "")
    )


def tile_texts(report: ExperimentReport) -> list[tuple[str, str, str, str]]:
    """Label, number, change and small print of each variant's tile: of the primary metric."""
    primary = {found.treatment: found for found in report.effects if found.is_primary}
    return [_tile(variant, primary, report) for variant in report.variants]


def _tile(
    variant: GroupCounts, primary: Mapping[str, MetricEffect], report: ExperimentReport
) -> tuple[str, str, str, str]:
    serves = f" · {variant.policy}" if variant.policy else ""
    label = f"{variant.label}{serves}"
    role = "control" if variant.label == report.control else "treatment"
    if not primary:
        return label, f"{variant.units_n:,}", role, "units; no metric to judge by"
    found = primary.get(variant.label)
    if found is not None:
        mean, change = found.effect.treatment, percent(found.effect.relative_effect, sign="+")
    else:
        found = next(iter(primary.values()))
        mean, change = found.effect.control, role
    decisions = "" if report.surface is None else f", {variant.counted_n:,} decisions"
    more = f"{found.metric} per {found.per} · {variant.units_n:,} units{decisions}"
    return label, number(mean), change, more


def _tiles(report: ExperimentReport) -> None:
    tiles = tile_texts(report)
    for column, (label, value, change, more) in zip(st.columns(len(tiles)), tiles, strict=True):
        column.metric(label, value, change, delta_color="off", delta_arrow="off", border=True)
        column.caption(more)
