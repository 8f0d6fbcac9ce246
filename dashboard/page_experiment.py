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
    REFRESH_S,
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
)
from dashboard.source import Source

ARCHIVED = ("hidden", "shown")
SCALES = ("absolute", "relative")


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
    which, level, look, scale, when, *more = st.columns(6 if overview.archived_n else 5)
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
    with when:
        at_ms = choose_time()
    _live(source, key, alpha, at_ms, relative=relative, mode=mode)


def nothing_in_words(overview: Overview) -> str:
    """Why there is no experiment to show, and what to do."""
    if overview.next_step:
        return overview.next_step
    if overview.archived_n:
        return f"All experiments are archived, and hidden: {overview.archived_n:,}."
    return "No experiment is declared: `PUT /v1/experiments/{key}`."


@st.fragment(run_every=REFRESH_S)
def _live(
    source: Source,
    key: str,
    alpha: float,
    at_ms: int | None,
    *,
    relative: bool,
    mode: SequentialMode,
) -> None:
    report, problem = source.experiment(key, alpha, at_ms)
    if report is None:
        show_missing(problem)
        return
    if mode == "planned" and report.plan is None:
        mode = "anytime"  # no looks are planned: what holds is what holds at every look
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


def _answers(report: ExperimentReport) -> None:
    """The three questions that everybody asks, side by side."""
    answers = answers_of(report)
    for column, answer in zip(st.columns(len(answers)), answers, strict=True):
        with column.container(border=True):
            st.markdown(f"{answer.question}  \n**{answer.short}**")
            st.caption(answer.why)


def about_in_words(report: ExperimentReport) -> str:
    """What it is, and who knows more."""
    where = "payloads" if report.surface is None else f"on {report.surface}"
    return f"{report.status} · {where} · owner {report.owner or DASH} · version {report.version}"


def choose_time() -> int | None:
    """As of when, kept in the address; None: now."""
    asked = st.text_input(
        "As of",
        value=st.query_params.get("at", ""),
        key="at",
        placeholder="now, or 2026-11-23",
        help="A day (its start, UTC), or a time with its offset: 2026-11-23T10:00:00Z. Empty: now.",
    )
    if not asked or asked == "now":
        st.query_params.pop("at", None)
        return None
    st.query_params["at"] = asked
    try:
        return moment_ms(asked)
    except RecordError as exc:
        st.error(
            f"{str(exc)[:1].upper()}{str(exc)[1:]}. Shown is now.", icon=":material/event_busy:"
        )
        return None


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
