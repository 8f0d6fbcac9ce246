"""Health: does data come in, do models learn, and how fast do they serve what they learned?"""

from collections.abc import Sequence

import msgspec
import streamlit as st

from bandit.service.findings import Finding
from bandit.service.reporting_payloads import Health, PolicyHealth
from bandit.service.reporting_surface_payloads import BehaviourReport, FeedbackReport
from bandit.service.reporting_tables import as_csv
from bandit.service.reporting_words import DASH, duration, percent
from dashboard.charts import rate_chart
from dashboard.charts_bandit import delay_rows, delays_chart
from dashboard.parts import (
    BOX_PX,
    REFRESH_S,
    choose,
    choose_surface,
    open_surface_page,
    show_age,
    show_chart,
    show_downloads,
    show_missing,
    show_problems,
    show_table,
    show_texts,
)
from dashboard.source import Desk, Source

RUNNING = ("processes", "journal", "drains")
"""What is told of also while all is well."""
EXAMINED_S = 30.0
"""How often the host and its store are looked at again: it takes a second."""


def render(source: Source) -> None:
    """Draw the page."""
    overview = open_surface_page(source, "Health")
    if overview is None:
        return
    key = choose_surface(overview)
    _live(source, key)
    _live_feedback(source, key)
    _live_learning(source, key)
    _live_findings(source)


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


@st.fragment(run_every=REFRESH_S)
def _live_feedback(source: Source, key: str) -> None:
    found, problem = source.look(("feedback", key), lambda d: d.surfaces.feedback(key))
    st.header("What comes back", anchor=False)
    if found is None:
        st.warning(f"This can not be told now: {problem}.", icon=":material/hourglass_empty:")
        return
    if found.since_ms is None:
        st.markdown("No decision of the last 28 days can be rewarded.")
        return
    for column, (label, value, more) in zip(st.columns(4), feedback_tiles(found), strict=True):
        column.metric(label, value, more, delta_color="off", delta_arrow="off", border=True)
    show_chart(delays_chart(found.delays, found.window_ms), "No reward has come back.")
    st.caption(
        f"Of the newest {found.counted_n:,} decisions that count. Rewards after the join window "
        f"of {duration(found.window_ms)} count for nothing."
    )
    _defaulted(source, key)
    show_downloads(
        f"health-{key}", csv=as_csv(delay_rows(found.delays)), payload=msgspec.json.encode(found)
    )


def feedback_tiles(found: FeedbackReport) -> list[tuple[str, str, str]]:
    """Label, number and small print of each tile."""
    return [
        (
            "Join rate",
            percent(found.join_rate),
            f"{found.rewarded_n:,} of {found.counted_n:,} decisions",
        ),
        ("Late rewards", f"{found.late_n:,}", f"of {found.rewards_n:,}"),
        ("Orphans", f"{found.orphan_n:,}", "no such decision"),
        ("Duplicates", f"{found.repeated_n:,}", "same reward id"),
    ]


def _defaulted(source: Source, key: str) -> None:
    """Who never sends a reward: by the member of the context that tells clients apart."""
    wanted = st.query_params.get("by", "")
    found, _ = source.look(("behaviour", key, wanted), lambda d: d.surfaces.behaviour(key, wanted))
    st.subheader("Defaulted, by client", anchor=False)
    if found is None or not found.members:
        st.caption(
            "Decisions log no client version of their own. Send one in the context "
            '(`{"app_version": "4.2"}`), and this table tells which version forgets rewards.'
        )
        return
    choose("By", found.members, "by", found.by, width_px=BOX_PX)
    show_table(defaulted_rows(found))
    st.caption(
        "Decisions that count and that nothing came back for. Decisions log no client version of "
        "their own: choose the member of the context that holds it."
    )


def defaulted_rows(found: BehaviourReport) -> list[dict[str, str]]:
    """A line for each value, those that lack rewards the most first."""
    ordered = sorted(found.segments, key=lambda each: each.rewarded_share)
    return [
        {
            found.by: each.value.strip('"') or "(absent)",
            "defaulted share": percent(1 - each.rewarded_share),
            "defaulted n": f"{each.counted_n - each.rewarded_n:,}",
            "decisions": f"{each.counted_n:,}",
        }
        for each in ordered
    ]


@st.fragment(run_every=REFRESH_S)
def _live_learning(source: Source, key: str) -> None:
    report, _ = source.surface(key, 0.05)
    if report is None:
        return
    st.header("Learning", anchor=False)
    show_table([learning_row(policy) for policy in report.health.policies])
    st.caption(
        "Feedback → served: from the end of a decision's join window to the first decision whose "
        "snapshot had learned from it; over the last hour."
    )


@st.fragment(run_every=EXAMINED_S)
def _live_findings(source: Source) -> None:
    """What `bandit doctor` says: processes, journal, disk, drains, streams, propensities."""
    found, problem = source.look(("findings",), _examined)
    if found is None:
        st.header("This host and its store", anchor=False)
        st.warning(f"It can not be looked at now: {problem}.", icon=":material/hourglass_empty:")
        return
    if not found:
        return  # who sees one project only is not told of the host
    st.header("This host and its store", anchor=False)
    show_findings(found)
    show_texts([finding_row(each) for each in found if each.area in RUNNING])
    with st.expander("Everything that was looked at"):
        show_texts([finding_row(each) for each in found])
    st.caption("The same as `bandit doctor` says on the dashboard's host, but for its API.")


def _examined(desk: Desk) -> tuple[Finding, ...]:
    return desk.examine() if desk.examine is not None else ()


def show_findings(found: Sequence[Finding]) -> None:
    """What is wrong, the worst first, with what to do; or that nothing is."""
    wrong = [each for each in found if each.level != "ok"]
    for each in sorted(wrong, key=lambda each: each.level != "problem"):
        box = st.error if each.level == "problem" else st.warning
        box(
            f"**{each.area}: {each.text}** Must be: {each.must_be}.\n\n*Next:* {each.next_step}",
            icon=":material/report:" if each.level == "problem" else ":material/build:",
        )
    if not wrong:
        st.success(f"All is well: {len(found)} checks.", icon=":material/check_circle:")


def finding_row(found: Finding) -> dict[str, str]:
    """A line of the table."""
    return {"area": found.area, "level": found.level, "what is": found.text}


def _counts(health: Health) -> None:
    tiles = tile_texts(health)
    for column, (label, value, more) in zip(st.columns(len(tiles)), tiles, strict=True):
        column.metric(label, value, more, delta_color="off", delta_arrow="off", border=True)


def tile_texts(health: Health) -> list[tuple[str, str, str]]:
    """Label, number and small print of each tile."""
    silent = f", {health.silent_n} silent" if health.silent_n else ""
    return [
        (
            label,
            f"{counts.distinct_n:,}",
            "each once in the log"
            if counts.records_n == counts.distinct_n
            else f"{counts.records_n:,} records, some twice",
        )
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
        return row | dict.fromkeys((name.replace("_", " ") for name in counts), DASH)
    row |= {"newest": str(learning.snapshot), "age": duration(learning.age_ms)}
    return row | {name.replace("_", " "): f"{getattr(learning, name):,}" for name in counts}
