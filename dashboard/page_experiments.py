"""Experiments: every experiment in a line, and every surface."""

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from bandit.service.reporting import Overview
from bandit.service.reporting_payloads import ExperimentHeadline
from bandit.service.reporting_words import DASH, duration, number
from dashboard.parts import (
    REFRESH_S,
    ordered_experiments,
    show_age,
    show_killed_of,
    show_missing,
    show_table,
    show_verdict,
)
from dashboard.source import Source


def render(source: Source, experiment_page: StreamlitPage | None = None) -> None:
    """Draw the page.

    Args:
        experiment_page: Where an experiment's line leads.
    """
    st.title("Experiments")
    _live(source, experiment_page)


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, experiment_page: StreamlitPage | None) -> None:
    overview, problem = source.overview(0.05)
    if overview is None:
        show_missing(problem)
        return
    show_age(overview.as_of_ms, problem)
    if overview.next_step:
        st.info(overview.next_step, icon=":material/inbox:")
        return
    show_killed_of(overview.surfaces)
    st.header("Experiments")
    if not overview.experiments and not overview.archived_n:
        st.markdown("No experiment is declared: `PUT /v1/experiments/{key}`.")
    for found in ordered_experiments(overview):
        _experiment(found, experiment_page)
    if overview.archived_n:
        st.caption(f"Archived, and hidden here: {overview.archived_n:,}; see *Experiment*.")
    st.header("Surfaces")
    show_table(surface_rows(overview))


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


def _experiment(found: ExperimentHeadline, page: StreamlitPage | None) -> None:
    with st.container(border=True):
        st.subheader(found.key, anchor=False)
        where = ", payloads" if found.surface is None else f" on {found.surface}"
        st.caption(f"{found.status}{where} · {found.units_n:,} units")
        if found.description:
            st.markdown(found.description)
        show_verdict(found.verdict)
        if page is not None:
            st.page_link(
                page,
                label="Effects, variants and reward over time",
                icon=":material/arrow_forward:",
                query_params={"experiment": found.key},
            )
