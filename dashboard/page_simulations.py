"""Simulations: saved runs of `bandit simulate`, policies beside each other."""

import streamlit as st

from dashboard.parts import show_age
from dashboard.source import Source

NOTHING_SAVED = "No run is saved here yet: `bandit simulate run` makes one."


def render(source: Source) -> None:
    """Draw the page."""
    st.title("Simulations")
    overview, problem = source.overview(0.05)
    st.info(NOTHING_SAVED, icon=":material/inbox:")
    if overview is not None:
        show_age(overview.as_of_ms, problem)
