"""Experiment: which variant is better, by how much, and whether to believe it."""

from collections.abc import Mapping, Sequence

import msgspec
import streamlit as st

from bandit.service.reporting import ExperimentReport, Overview
from bandit.service.reporting_payloads import GroupCounts, MetricEffect, Series
from bandit.service.reporting_tables import as_csv, effect_rows
from bandit.service.reporting_words import (
    LOOKS,
    effect_in_words,
    exceptions_in_words,
    in_words,
    number,
    p_value,
    percent,
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
HOLDS = {
    False: "These intervals hold at every look together, so watch them as you like. The verdict "
    "goes by them.",
    True: "These intervals hold for one look at a time that was planned; watched, they find "
    "effects that are not there. The verdict does not go by them.",
}
"""By whether the intervals are those of one planned look."""


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
        planned = choose("Intervals hold for", LOOKS, "look") == LOOKS[True]
    with scale:
        relative = choose("Scale of the effects", SCALES, "scale") == "relative"
    _live(source, key, alpha, relative=relative, planned=planned)


def nothing_in_words(overview: Overview) -> str:
    """Why there is no experiment to show, and what to do."""
    if overview.next_step:
        return overview.next_step
    if overview.archived_n:
        return f"All experiments are archived, and hidden: {overview.archived_n:,}."
    return "No experiment is declared: `PUT /v1/experiments/{key}`."


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, key: str, alpha: float, *, relative: bool, planned: bool) -> None:
    report, problem = source.experiment(key, alpha)
    if report is None:
        show_missing(problem)
        return
    show_age(report.as_of_ms, problem)
    if report.description:
        st.markdown(report.description)
    show_verdict(report.verdict)
    show_problems(report.health.problems)
    _tiles(report)
    _effects(report.effects, relative=relative, planned=planned)
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


def _effects(effects: Sequence[MetricEffect], *, relative: bool, planned: bool) -> None:
    st.header("Effects", anchor=False)
    drawings = effects_charts(effects, relative=relative, planned=planned)
    for drawing in drawings:
        show_chart(drawing)
    if not drawings:
        st.markdown("There is no effect to draw yet.")
    show_table([effect_row(found, planned=planned) for found in effects])
    st.caption(HOLDS[planned])


def effect_row(found: MetricEffect, *, planned: bool) -> dict[str, str]:
    """A line of the table of effects."""
    effect = found.judged(planned=planned)
    return {
        "metric": f"{found.metric} per {found.per}" + (" (primary)" if found.is_primary else ""),
        "comparison": f"{found.treatment} − {found.control}",
        "control": number(effect.control),
        "treatment": number(effect.treatment),
        "effect": effect_in_words(effect),
        "relative": effect_in_words(effect, relative=True),
        "p": p_value(effect.p_value),
        "better is": found.better,
    }


def variant_rows(report: ExperimentReport) -> list[dict[str, str]]:
    """A line per variant; of payloads only what they have."""
    rows = []
    for variant in report.variants:
        row = {
            "variant": variant.label,
            "role": "control" if variant.label == report.control else "treatment",
            "serves": variant.policy or "payload",
            "share": percent(variant.share),
            "units": f"{variant.units_n:,}",
        }
        rows.append(row if report.surface is None else row | _decisions(variant))
    return with_counts(rows, report.variants, {"pinned": "pinned_n", "overridden": "overridden_n"})


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
    crossed = f" {report.crossed_units_n:,} units were seen in two variants and are left out."
    forced = f" {report.forced_units_n:,} units were set by hand and are left out."
    return (
        texts[split.verdict]
        + (crossed if report.crossed_units_n else "")
        + (forced if report.forced_units_n else "")
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
