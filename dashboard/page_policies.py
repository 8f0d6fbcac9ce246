"""Policies: what each would earn, from the decisions that other policies made."""

from collections.abc import Sequence

import msgspec
import streamlit as st

from bandit.ope import Value
from bandit.service.reporting_payloads import PolicyValue
from bandit.service.reporting_tables import as_csv, value_rows
from bandit.service.reporting_words import DASH, in_words, number, value_in_words
from dashboard.charts import LOGS, values_chart
from dashboard.parts import (
    REFRESH_S,
    choose_level,
    choose_surface,
    show_age,
    show_chart,
    show_downloads,
    show_missing,
    show_table,
)
from dashboard.source import Source


def render(source: Source) -> None:
    """Draw the page."""
    st.title("Policies")
    overview, problem = source.overview(0.05)
    if overview is None:
        show_missing(problem)
        return
    if not overview.surfaces:
        st.info(overview.next_step, icon=":material/inbox:")
        return
    which, level, _ = st.columns(3)
    with which:
        key = choose_surface(overview)
    with level:
        alpha = choose_level()
    _live(source, key, alpha)


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, key: str, alpha: float) -> None:
    report, problem = source.surface(key, alpha)
    if report is None:
        show_missing(problem)
        return
    show_age(report.as_of_ms, problem)
    st.markdown(
        "What each policy would earn per decision on this surface's traffic (SNIPS over the top "
        "slot, interval over units). The line from *other policies' decisions* was foretold "
        "without the policy's own: compare it with what it then really earned."
    )
    show_chart(
        values_chart(report.values),
        "No policy can be valued yet; see why below.",
    )
    for remark in remarks(report.values):
        st.markdown(f"- {remark}")
    show_table([value_row(found) for found in report.values])
    show_downloads(
        f"policies-{report.key}",
        csv=as_csv(value_rows(report.values)),
        payload=msgspec.json.encode(report),
    )


def remarks(values: Sequence[PolicyValue]) -> list[str]:
    """Why a value is missing, or should be read with care."""
    words = {"refuse": "no value", "caution": "read with care"}
    return [
        f"**{found.policy}**, from {LOGS[found.log]}: {words[found.snips.verdict]}, because "
        f"{in_words(found.snips.reasons)}."
        for found in values
        if found.snips.verdict in words
    ]


def value_row(found: PolicyValue) -> dict[str, str]:
    """A line of the table of values."""
    value = found.snips
    return {
        "policy": found.policy,
        "from": LOGS[found.log],
        "value": _shown(value),
        "trust": value.verdict,
        "decisions": f"{value.n:,}",
        "units": f"{value.units_n:,}",
        "worth (ESS)": number(value.ess),
        "greatest weight": number(value.max_weight),
        "mean weight": number(value.mean_weight),
        "IPS": _shown(found.ips),
        "barred": f"{found.barred_n:,}",
        "silent about it": f"{found.absent_n:,}",
    }


def _shown(value: Value) -> str:
    """The value and its interval; a column of its own says why there is none."""
    return DASH if value.value is None else value_in_words(value)
