"""Experiment: which variant is better, by how much, and whether to believe it."""

from collections.abc import Mapping

import msgspec
import streamlit as st

from bandit.errors import RecordError
from bandit.service.reporting import ExperimentReport, Overview
from bandit.service.reporting_answers import answers_of
from bandit.service.reporting_payloads import GroupCounts, MetricEffect, SequentialMode
from bandit.service.reporting_tables import as_csv, effect_rows
from bandit.service.reporting_times import moment_ms
from bandit.service.reporting_words import DASH, HOLDS, number, percent
from dashboard.experiment_effects import show_effects
from dashboard.experiment_segments import show_segments
from dashboard.experiment_sql import show_sql
from dashboard.experiment_time import show_over_time
from dashboard.experiment_trust import show_trust
from dashboard.parts import (
    BOX_PX,
    REFRESH_S,
    asked,
    asked_level,
    begun,
    choose,
    choose_level,
    open_page,
    ordered_experiments,
    plain,
    show_age,
    show_downloads,
    show_missing,
    show_problems,
    show_verdict,
    side_by_side,
    switch,
)
from dashboard.source import Source

ARCHIVED = ("hidden", "shown")
SCALES = ("absolute", "relative")


def render(source: Source) -> None:
    """Draw the page."""
    shown = asked(ARCHIVED, "archived") == ARCHIVED[1]
    overview = open_page(source, "Experiment", archived=shown)
    if overview is None:
        return
    if not overview.experiments:
        st.info(nothing_in_words(overview), icon=":material/inbox:")
        if overview.archived_n:
            switch("Archived experiments", ARCHIVED, "archived")
        return
    with side_by_side("bottom"):
        keys = [found.key for found in ordered_experiments(overview)]
        key = choose("Experiment", keys, "experiment", width_px=BOX_PX)
        with st.popover("More", icon=":material/tune:"):
            at_ms, problem = choose_time()
            if overview.archived_n:
                switch("Archived experiments", ARCHIVED, "archived")
    if problem:
        st.error(problem, icon=":material/event_busy:")
    _live(source, key, at_ms)


def nothing_in_words(overview: Overview) -> str:
    """Why there is no experiment to show, and what to do."""
    if overview.next_step:
        return overview.next_step
    if overview.archived_n:
        return f"All experiments are archived, and hidden: {overview.archived_n:,}."
    return "No experiment is declared: `PUT /v1/experiments/{key}`."


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, key: str, at_ms: int | None) -> None:
    alpha = asked_level()
    report, problem = source.experiment(key, alpha, at_ms)
    if report is None:
        show_missing(problem)
        return
    show_age(report.as_of_ms, problem)
    if at_ms is not None:
        st.info("These are the numbers and definitions of then.", icon=":material/history:")
    st.caption(about_in_words(report))
    if report.description:
        st.markdown(plain(report.description))
    _answers(report)
    show_verdict(report.verdict)
    show_problems(report.health.problems)
    _tiles(report)
    st.header("Effects", anchor=False)
    relative, mode = choose_view(report)
    show_effects(report, relative=relative, mode=mode)
    history = source.effects_over_time(key, alpha, at_ms)
    show_over_time(report, history.payload, history.problem, relative=relative)
    show_segments(report.segments)
    show_trust(report)
    show_sql(*source.sql(key, at_ms))
    show_downloads(
        f"experiment-{report.key}",
        csv=as_csv(effect_rows(report.effects)),
        payload=msgspec.json.encode(report),
    )


def choose_view(report: ExperimentReport) -> tuple[bool, SequentialMode]:
    """How effects are shown: whether relative to the control, and with which intervals."""
    looks = {
        words: mode
        for mode, words in HOLDS.items()
        if mode != "planned" or report.plan is not None  # only where looks are planned
    }
    with side_by_side():
        relative = switch("Scale of the effects", SCALES, "scale") == "relative"
        choose_level()
        mode = looks[switch("Intervals hold for", list(looks), "look")]
    return relative, mode


def _answers(report: ExperimentReport) -> None:
    """The three questions that everybody asks, side by side."""
    answers = answers_of(report)
    for column, answer in zip(st.columns(len(answers)), answers, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"{answer.question}  \n**{answer.short}**")
            st.caption(answer.why)


def about_in_words(report: ExperimentReport) -> str:
    """What it is, and who knows more."""
    where = "payloads" if report.surface is None else f"on {report.surface}"
    return f"{report.status} · {where} · owner {report.owner or DASH} · version {report.version}"


def choose_time() -> tuple[int | None, str]:
    """As of when, kept in the address, None: now; and why it can not be as it is asked for."""
    wanted = st.text_input(
        "As of",
        value=st.query_params.get("at", ""),
        key="at",
        placeholder="now, or 2026-11-23",
        help="A day (its start, UTC), or a time with its offset: 2026-11-23T10:00:00Z. Empty: now.",
    )
    if not wanted or wanted == "now":
        st.query_params.pop("at", None)
        return None, ""
    st.query_params["at"] = wanted
    try:
        return moment_ms(wanted), ""
    except RecordError as exc:
        return None, f"{begun(str(exc))}. Shown is now."


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
