"""The dashboard's composition root: environment, clock, connection, pages.

Streamlit runs this file for every view; what is shared between views is made once in `_source`.
"""

import os
import time
from functools import partial
from pathlib import Path

import streamlit as st

from bandit.service.reporting import ReportService
from bandit.service.store_link import StoreLink
from bandit.settings import Settings
from bandit.store.opening import open_store
from dashboard import (
    page_bandit,
    page_decisions,
    page_experiment,
    page_experiments,
    page_health,
    page_planner,
    page_policies,
    page_simulations,
)
from dashboard.source import Source

# A file of ours: Streamlit fetches its own icons and emoji for the tab from other hosts.
ICON = Path(__file__).with_name("icon.svg")


@st.cache_resource(show_spinner=False)
def _source() -> Source:
    """One connection and one memory of reports for all viewers: everybody may see everything."""
    settings = Settings.from_environ(os.environ)
    connect = partial(open_store, settings, os.urandom, readonly=True)
    link = StoreLink(connect, monotonic_s=time.monotonic)
    return Source(
        lambda: ReportService(
            link.store(),
            lambda: time.time_ns() // 1_000_000,
            silent_after_ms=settings.silent_host_ms,
        ),
        monotonic_s=time.monotonic,
    )


def main() -> None:
    """Show the page that the address names."""
    st.set_page_config(page_title="bandit", page_icon=str(ICON), layout="wide")
    source = _source()
    experiment = st.Page(
        partial(page_experiment.render, source),
        title="Experiment",
        icon=":material/science:",
        url_path="experiment",
    )
    experiments = st.Page(
        partial(page_experiments.render, source, experiment),
        title="Experiments",
        icon=":material/home:",
        url_path="experiments",
        default=True,
    )
    planner = st.Page(
        partial(page_planner.render, source),
        title="Planner",
        icon=":material/calculate:",
        url_path="planner",
    )
    policies = st.Page(
        partial(page_policies.render, source),
        title="Policies",
        icon=":material/balance:",
        url_path="policies",
    )
    health = st.Page(
        partial(page_health.render, source),
        title="Health",
        icon=":material/monitor_heart:",
        url_path="health",
    )
    bandit = st.Page(
        partial(page_bandit.render, source),
        title="Bandit",
        icon=":material/trending_up:",
        url_path="bandit",
    )
    decisions = st.Page(
        partial(page_decisions.render, source),
        title="Decisions",
        icon=":material/manage_search:",
        url_path="decisions",
    )
    simulations = st.Page(
        partial(page_simulations.render, source),
        title="Simulations",
        icon=":material/casino:",
        url_path="simulations",
    )
    pages = [
        experiments,
        experiment,
        planner,
        bandit,
        policies,
        decisions,
        health,
        simulations,
    ]
    st.navigation(pages, position="top").run()


main()
