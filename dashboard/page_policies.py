"""Policies: what each would earn, from the decisions that other policies made."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import streamlit as st

from bandit.ope import REASONS as OPE_REASONS
from bandit.ope import Value
from bandit.service.evaluation_artefact import EvaluationHeadline
from bandit.service.reporting import SurfaceReport
from bandit.service.reporting_agreement import Agreement
from bandit.service.reporting_ope_words import agreement_in_words, exploration_in_words
from bandit.service.reporting_payloads import PolicyValue, Yardstick
from bandit.service.reporting_tables import as_csv, value_rows
from bandit.service.reporting_words import (
    DASH,
    LOOKS,
    exceptions_in_words,
    in_words,
    number,
    percent,
    value_in_words,
    yardstick_in_words,
)
from dashboard.charts import LOGS, effects_charts, values_chart
from dashboard.parts import (
    REFRESH_S,
    choose_level,
    choose_surface,
    open_surface_page,
    show_age,
    show_chart,
    show_downloads,
    show_killed,
    show_list,
    show_missing,
    show_table,
    side_by_side,
    switch,
    with_counts,
)
from dashboard.policies_forest import forest_chart, forest_lines, line_row, whys
from dashboard.policies_promotions import show_promotions
from dashboard.source import Source
from dashboard.writing import Writer

MOST_EXPERIMENTS = 5
"""Whose agreement is shown."""
BARRED = {"barred: pinned": "pinned_n", "barred: overridden": "overridden_n"}


def render(source: Source, writer: Writer | None = None) -> None:
    """Draw the page.

    Args:
        writer: Of this session; None if it may only read.
    """
    overview = open_surface_page(source, "Policies")
    if overview is None:
        return
    with side_by_side():
        key = choose_surface(overview)
        alpha = choose_level()
        anytime = switch("Intervals hold for", LOOKS, "look") == LOOKS[0]
    _live(source, key, alpha, anytime=anytime)
    _promotions(source, key, alpha, writer)
    _live_more(source, key, alpha)


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, key: str, alpha: float, *, anytime: bool) -> None:
    report, problem = source.surface(key, alpha)
    if report is None:
        show_missing(problem)
        return
    show_age(report.as_of_ms, problem)
    if report.killed:
        show_killed(report.key)
    saved, _ = source.evaluations(key)
    lines = forest_lines(report, saved or (), anytime=anytime)
    st.markdown(
        "What each policy would earn per decision on this surface's traffic, by the logged "
        "propensities (SNIPS over the top slot, interval over units). The dashed line is the "
        "policy that serves."
    )
    show_chart(forest_chart(lines), "No policy can be valued yet; see why below.")
    show_list(whys(lines))
    show_table([line_row(line) for line in lines])
    st.caption(
        "*Trust* `refuse`: the log can not tell, and no number is shown. Baselines are of the "
        "decisions of the policy that serves; *searched* are of the newest saved evaluation."
    )
    if report.exploration is not None:
        st.header("What exploring gives up", anchor=False)
        show_list(exploration_in_words(report.exploration))
    if report.uniform is not None:
        _yardstick(report.uniform)


@st.fragment
def _promotions(source: Source, key: str, alpha: float, writer: Writer | None) -> None:
    report, _ = source.surface(key, alpha)
    if report is not None:
        show_promotions(source, report, writer)


@st.fragment(run_every=REFRESH_S)
def _live_more(source: Source, key: str, alpha: float) -> None:
    report, _ = source.surface(key, alpha)
    if report is None:
        return
    st.header("Was the forecast right?", anchor=False)
    st.markdown(
        "The line from *other policies' decisions* was foretold without the policy's own: compare "
        "it with what it then really earned."
    )
    show_chart(values_chart(report.values), "No policy can be valued yet.")
    show_list([*remarks(report.values), *exceptions_in_words(report.policies, report.forced_n)])
    rows = [value_row(found) for found in report.values]
    show_table(with_counts(rows, report.values, BARRED))
    st.caption(
        "Same top: how often the action that the policy would most likely have put on top is the "
        "one that another policy put there."
    )
    _agreement(source, report, alpha)
    saved, _ = source.evaluations(key)
    if saved:
        st.header("Saved evaluations", anchor=False)
        show_table(evaluation_rows(saved))
    show_downloads(
        f"policies-{report.key}",
        csv=as_csv(value_rows(report.values)),
        payload=msgspec.json.encode(report),
    )


def _agreement(source: Source, report: SurfaceReport, alpha: float) -> None:
    """What off-policy evaluation foretold of A/B tests, beside what these found."""
    panels: list[tuple[str, Agreement]] = []
    for experiment in report.experiments[:MOST_EXPERIMENTS]:
        found, _ = source.experiment(experiment, alpha)
        if found is not None:
            panels += [(experiment, panel) for panel in found.agreement]
    if not panels:
        return
    st.header("Against A/B tests", anchor=False)
    show_list(agreement_in_words([panel for _, panel in panels]))
    show_table([agreement_row(experiment, panel) for experiment, panel in panels])


def agreement_row(experiment: str, found: Agreement) -> dict[str, str]:
    """What one arm's log foretold of the other arm, and what that arm earned."""
    return {
        "experiment": experiment,
        "judged": f"{found.judged} ({found.policy})",
        "state": found.state,
        "from the log of": found.log,
        "foretold": _shown(found.foretold),
        "earned": _in_brackets(found.earned, found.earned_low, found.earned_high),
        "difference": _in_brackets(
            found.difference, found.difference_low, found.difference_high, "+"
        ),
        "relative": percent(found.relative, "+"),
        "why": in_words(found.reasons),
    }


def _yardstick(found: Yardstick) -> None:
    st.header("Against chance", anchor=False)
    for drawing in effects_charts([found.difference], relative=False, mode="anytime"):
        show_chart(drawing)
    show_list(yardstick_in_words(found))
    st.caption(
        "Units of the uniform slice always get actions by chance, so the difference is what the "
        "surface's own policy is worth."
    )


def evaluation_rows(saved: Sequence[EvaluationHeadline]) -> list[dict[str, str]]:
    """A line for each candidate; a refused one has reasons in place of numbers."""
    return [
        {
            "made": f"{datetime.fromtimestamp(one.made_at_ms // 1000, UTC):%Y-%m-%d %H:%M}",
            "candidate": found.name,
            "trust": found.verdict,
            "value": _in_brackets(found.value, found.value_low, found.value_high),
            "against logging": _in_brackets(found.gain, found.gain_low, found.gain_high, "+"),
            "why": "; ".join(OPE_REASONS.get(code, code) for code in found.reasons),
            "decisions": f"{one.n:,}",
            "id": one.id,
        }
        for one in saved
        for found in one.candidates
    ]


def _in_brackets(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    if value is None:
        return DASH
    ends = "" if low is None else f" [{number(low, sign)}, {number(high, sign)}]"
    return f"{number(value, sign)}{ends}"


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
        "same top": percent(found.agreement),
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
