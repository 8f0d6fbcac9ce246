"""Experiments: every experiment in a line, to filter, sort and open; and every surface."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pandas as pd
import streamlit as st
from streamlit.navigation.page import StreamlitPage

from bandit.service.judging_payloads import MetricEffect
from bandit.service.reporting import Overview
from bandit.service.reporting_payloads import ExperimentHeadline, HealthState
from bandit.service.reporting_tables import as_csv, headline_rows
from bandit.service.reporting_words import DASH, duration, in_words, number, percent, so_many_days
from bandit.stats import Effect
from dashboard.interval_picture import Interval, picture, reach_of
from dashboard.parts import (
    HALF_PX,
    REFRESH_S,
    asked,
    choose,
    ordered_experiments,
    plain,
    show_age,
    show_downloads,
    show_killed_of,
    show_missing,
    show_table,
    show_verdict,
    side_by_side,
    tooltips,
)
from dashboard.source import Source

ANY = "all"
NO_SURFACE = "no surface"
STATUSES = ("not archived", "running", "draft", "stopped", "archived", ANY)
OPENED = "experiment-opened"
"""Key of the session's state: which experiment was clicked."""
SPELLED_OUT = 5
"""So many verdicts are written out below the table."""
HEALTH: Mapping[HealthState, str] = {
    "fine": "● fine",
    "attention": "▲ look into it",
    "broken": "■ broken",
    "unknown": "○ no data",
}
"""A shape and a word each, so that colour carries nothing."""
STATES = {
    "better": "better",
    "worse": "worse",
    "guardrail": "better, but a guardrail",
    "broken": "do not trust it",
    "not_yet": "not yet",
    "unclear": "can not be told yet",
    "waiting": "waits for rewards",
    "no_data": "no data",
}
"""A verdict in a word or two."""


def render(source: Source, experiment_page: StreamlitPage | None = None) -> None:
    """Draw the page.

    Args:
        experiment_page: Where an experiment's line leads.
    """
    opened = st.session_state.pop(OPENED, None)
    if opened is not None and experiment_page is not None:
        st.switch_page(experiment_page, query_params={"experiment": opened})
    st.title("Experiments")
    _live(source, experiment_page)


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, experiment_page: StreamlitPage | None) -> None:
    archived = asked(STATUSES, "status", STATUSES[0]) in ("archived", ANY)
    overview, problem = source.overview(0.05, archived=archived)
    if overview is None:
        show_missing(problem)
        return
    show_age(overview.as_of_ms, problem)
    if overview.next_step:
        st.info(overview.next_step, icon=":material/inbox:")
        return
    show_killed_of(overview.surfaces)
    if not overview.experiments and not overview.archived_n:
        st.markdown(
            "No experiment is declared: make one under *Definitions & audit*, or "
            "`PUT /v1/experiments/{key}`. *Planner* says how long it will take."
        )
    else:
        _experiments(overview, experiment_page)
    st.header("Surfaces", anchor=False)
    show_table(surface_rows(overview))


def _experiments(overview: Overview, page: StreamlitPage | None) -> None:
    shown = _filtered(overview)
    if overview.archived_n:
        st.caption(
            f"Archived, and hidden here: {overview.archived_n:,}; choose the status *archived*."
            if not any(one.status == "archived" for one in overview.experiments)
            else f"{overview.archived_n:,} are archived."
        )
    if not shown:
        st.markdown("No experiment is like that. Choose *all*, or another word.")
        return
    _table(shown, page)
    for found in shown[:SPELLED_OUT]:
        _verdict(found, page)
    if len(shown) > SPELLED_OUT:
        st.caption(f"The other {len(shown) - SPELLED_OUT} verdicts: open them in the table.")
    show_downloads(
        "experiments", csv=as_csv(headline_rows(shown)), payload=msgspec.json.encode(shown)
    )


def _filtered(overview: Overview) -> list[ExperimentHeadline]:
    """What the filters leave; the address keeps them."""
    every = ordered_experiments(overview)
    surfaces = sorted({one.surface or NO_SURFACE for one in every})
    owners = sorted({one.owner for one in every if one.owner})
    with side_by_side():
        wanted = choose("Status", STATUSES, "status", width_px=HALF_PX)
        where = choose("Surface", [ANY, *surfaces], "surface", ANY, width_px=HALF_PX)
        whose = choose("Owner", [ANY, *owners], "owner", ANY, width_px=HALF_PX)
        word = st.text_input(
            "Words",
            value=st.query_params.get("words", ""),
            key="words",
            placeholder="key or text",
            width=HALF_PX,
        )
    if word:
        st.query_params["words"] = word
    else:
        st.query_params.pop("words", None)
    return filtered(every, status=wanted, surface=where, owner=whose, words=word)


def filtered(
    every: Sequence[ExperimentHeadline], *, status: str, surface: str, owner: str, words: str
) -> list[ExperimentHeadline]:
    """Experiments that every filter lets through.

    Args:
        every: Experiments, in order.
        status: One of theirs, `all`, or anything else for all that are not archived.
        surface: A surface's key, `all` or `no surface`.
        owner: Or `all`.
        words: All of which must be in the key, the description, the owner or the metric.
    """
    named = {"running", "draft", "stopped", "archived"}

    def passes(one: ExperimentHeadline) -> bool:
        if status in named and one.status != status:
            return False
        if status not in (*named, ANY) and one.status == "archived":
            return False
        if surface != ANY and (one.surface or NO_SURFACE) != surface:
            return False
        if owner not in (ANY, one.owner):
            return False
        metrics = " ".join(effect.metric for effect in one.primary)
        text = f"{one.key} {one.description} {one.owner} {metrics}".lower()
        return all(word in text for word in words.lower().split())

    return [one for one in every if passes(one)]


def _table(shown: Sequence[ExperimentHeadline], page: StreamlitPage | None) -> None:
    """The list; choosing a row opens the experiment."""
    rows = experiment_rows(shown)
    table = pd.DataFrame(rows)
    config: dict[str, Any] = tooltips(table.columns) | {
        "interval": st.column_config.ImageColumn(
            "interval",
            help="Relative effect on the primary metric: line = interval that may be watched, dot "
            "= effect, dashes = no effect",
            width="medium",
        ),
        "days left": st.column_config.NumberColumn(
            "days left",
            help="Until the effect that one cares about can be told, or the plan is over, at the "
            "pace of the last week",
            format="%.1f",
        ),
        "units": st.column_config.NumberColumn("units", format="localized"),
    }
    chosen = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        column_config=config,
        on_select="rerun",
        selection_mode="single-row",
        key="experiments-table",
        placeholder=DASH,
        alt="Experiments with verdict, health, effect and days left; each is written out below",
    )
    picked = chosen.selection.rows if page is not None else []
    if picked and picked[0] < len(shown):
        # A fragment can not leave the page by itself: it would draw the other page inside this one.
        st.session_state[OPENED] = shown[picked[0]].key
        st.rerun()
    st.caption("Click the box before a row to open it; click a column's name to sort.")


def experiment_rows(shown: Sequence[ExperimentHeadline]) -> list[dict[str, Any]]:
    """A line per experiment, on one scale of relative effects."""
    intervals = [interval_of(one) for one in shown]
    reach = reach_of([one for one in intervals if one is not None])
    return [
        {
            "experiment": one.key,
            "says": STATES[one.verdict.state],
            "health": HEALTH[one.health] + (f": {one.health_reason}" if one.health_reason else ""),
            "effect": effect_text(one),
            "interval": picture(interval, reach),
            "days left": one.days_left,
            "status": one.status,
            "surface": one.surface or DASH,
            "owner": one.owner or DASH,
            "units": one.units_n,
        }
        for one, interval in zip(shown, intervals, strict=True)
    ]


def shown_effect(one: ExperimentHeadline) -> tuple[MetricEffect, Effect] | None:
    """Of the primary metric's comparisons the surest, as what decides judges it."""
    judged = [(found, found.by(one.sequential)) for found in one.primary]
    known = [pair for pair in judged if pair[1].p_value is not None]
    return min(known, key=lambda pair: pair[1].p_value or 0.0, default=None)


def effect_text(one: ExperimentHeadline) -> str:
    """The primary effect: relative where there is such an interval, or else absolute."""
    found = shown_effect(one)
    if found is None:
        return DASH
    metric, effect = found
    if effect.relative_effect is not None and effect.relative_reason is None:
        return f"{metric.metric} {percent(effect.relative_effect, sign='+')}"
    return f"{metric.metric} {number(effect.effect, sign='+')}"


def interval_of(one: ExperimentHeadline) -> Interval | None:
    """The relative interval; None where it has no ends."""
    found = shown_effect(one)
    if found is None:
        return None
    metric, effect = found
    low, high = effect.relative_ci_low, effect.relative_ci_high
    if effect.relative_effect is None or low is None or high is None:
        return None
    good = (low > 0.0, high < 0.0)
    better, worse = good if metric.better == "higher" else good[::-1]
    state = "better" if better else "worse" if worse else "open"
    return Interval(effect.relative_effect, low, high, state)


def days_left_in_words(one: ExperimentHeadline) -> str:
    """How long it still takes, or why nobody knows; nothing of one that is not running."""
    if one.days_left_reason == "not_running":
        return ""
    if one.days_left is None:
        return f"days left can not be told: {in_words([one.days_left_reason or 'no_estimate'])}"
    if one.verdict.state in ("better", "worse"):
        return "decided"
    if one.days_left == 0.0:
        return "all the units that it needs are in"
    return f"about {so_many_days(one.days_left)} left"


def surface_rows(overview: Overview) -> list[dict[str, str]]:
    """A line per surface."""
    return [
        {
            "surface": surface.key,
            "decisions": f"{surface.decisions_n:,}",
            "per second, last minute": number(surface.per_s),
            "newest decision": DASH
            if surface.newest_decision_ms is None
            else f"{duration(overview.as_of_ms - surface.newest_decision_ms)} ago",
            "serves": "offered order (killed)" if surface.killed else surface.policy,
            "experiments": ", ".join(surface.experiments) or DASH,
        }
        for surface in overview.surfaces
    ]


def caption_of(found: ExperimentHeadline) -> str:
    """What it is, under its name."""
    where = "payloads" if found.surface is None else f"on {found.surface}"
    parts = [found.status, where, f"{found.units_n:,} units", f"owner {found.owner or DASH}"]
    days = days_left_in_words(found)
    return " · ".join([*parts, days] if days else parts)


def _verdict(found: ExperimentHeadline, page: StreamlitPage | None) -> None:
    with st.container(border=True):
        st.subheader(found.key, anchor=False)
        st.caption(caption_of(found))
        if found.description:
            st.markdown(plain(found.description))
        show_verdict(found.verdict)
        if found.health == "attention":
            st.markdown(f"{HEALTH['attention']}: {found.health_reason}.")
        if page is not None:
            st.page_link(
                page,
                label="Effects, variants and reward over time",
                icon=":material/arrow_forward:",
                query_params={"experiment": found.key},
            )
