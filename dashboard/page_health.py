"""Health: does data come in, do models learn, and how fast do they serve what they learned?"""

import streamlit as st

from bandit.service.reporting_payloads import Health, PolicyHealth
from bandit.service.reporting_words import DASH, duration
from dashboard.charts import rate_chart
from dashboard.parts import (
    REFRESH_S,
    choose_surface,
    open_surface_page,
    show_age,
    show_chart,
    show_missing,
    show_problems,
    show_table,
)
from dashboard.source import Source


def render(source: Source) -> None:
    """Draw the page."""
    overview = open_surface_page(source, "Health")
    if overview is None:
        return
    which, _, _ = st.columns(3)
    with which:
        key = choose_surface(overview)
    _live(source, key)


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, key: str) -> None:
    report, problem = source.surface(key, 0.05)
    if report is None:
        show_missing(problem)
        return
    show_age(report.as_of_ms, problem)
    show_problems(report.health.problems)
    if not report.health.problems:
        st.success("Data comes in, and models learn.", icon=":material/check_circle:")
    _counts(report.health)
    st.header("Traffic", anchor=False)
    show_chart(rate_chart(report.series), "No decision yet.")
    st.header("Learning", anchor=False)
    show_table([learning_row(policy) for policy in report.health.policies])
    st.caption(
        "Feedback → served: from the end of a decision's join window to the first decision whose "
        "snapshot had learned from it; over the last hour."
    )


def _counts(health: Health) -> None:
    tiles = tile_texts(health)
    for column, (label, value, more) in zip(st.columns(len(tiles)), tiles, strict=True):
        column.metric(label, value, more, delta_color="off", delta_arrow="off", border=True)


def tile_texts(health: Health) -> list[tuple[str, str, str]]:
    """Label, number and small print of each tile."""
    silent = f", {health.silent_n} silent" if health.silent_n else ""
    return [
        (label, f"{counts.distinct_n:,}", f"{counts.records_n:,} records")
        for label, counts in (
            ("Decisions", health.decisions),
            ("Rewards", health.rewards),
            ("Exposures", health.exposures),
        )
    ] + [
        ("Waiting for rewards", f"{health.open_n:,}", "open join windows"),
        ("Log is behind by", duration(health.drain_lag_ms), f"hosts: {health.hosts_n}{silent}"),
    ]


def learning_row(policy: PolicyHealth) -> dict[str, str]:
    """A line of the table of policies."""
    learning, latency = policy.learning, policy.latency
    row = {
        "policy": policy.policy,
        "type": policy.type,
        "serves snapshot": DASH if policy.served_snapshot is None else str(policy.served_snapshot),
        "newest": DASH,
        "age": DASH,
        "feedback → served p50": DASH if latency is None else duration(latency.p50_ms),
        "p95": DASH if latency is None else duration(latency.p95_ms),
    }
    counts = (
        "trained",
        "defaulted",
        "unseen",
        "late",
        "duplicate",
        "orphan",
        "out_of_bounds",
        "given_up",
    )
    if learning is None:
        return row | dict.fromkeys(counts, DASH)
    row |= {"newest": str(learning.snapshot), "age": duration(learning.age_ms)}
    return row | {name: f"{getattr(learning, name):,}" for name in counts}
