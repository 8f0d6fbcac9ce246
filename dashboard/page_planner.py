"""Planner: how many units an experiment needs, how long it takes, and what it will find."""

import streamlit as st

from dashboard.source import Source


def render(source: Source) -> None:
    """Draw the page."""
    st.title("Planner")
    st.caption("Data as of: none is needed.")
