"""An experiment over time: effects, units, rewards, and what happened meanwhile."""

import streamlit as st

from bandit.service.reporting import ExperimentReport
from bandit.service.reporting_payloads import ExperimentHistory, Series
from dashboard.charts import running_chart
from dashboard.charts_time import arrivals_chart, history_chart, mark_rows
from dashboard.parts import BOX_PX, choose, show_chart, show_texts


def show_over_time(
    report: ExperimentReport, history: ExperimentHistory | None, problem: str, *, relative: bool
) -> None:
    """Everything with a time axis, and the list of what happened."""
    st.header("Effect over time", anchor=False)
    if history is None:
        st.markdown(f"It can not be shown now: {problem}.")
    else:
        _effects(report, history, relative=relative)
    marks = () if history is None else history.marks
    st.header("Units exposed over time", anchor=False)
    show_chart(arrivals_chart(report.arrivals, marks), "No unit counts yet.")
    what = "when it was assigned" if report.surface is None else "at its first decision"
    st.caption(f"A unit is exposed {what}, and counts from then on.")
    if report.surface is not None:
        _rewards(report.series)
    if marks:
        st.header("What happened", anchor=False)
        show_texts(mark_rows(marks))
        st.caption(
            "Changes of the experiment, its surface and its metrics, and its notes: dashed upright "
            "lines in the charts above. Notes are the experiment's own: *Definitions & audit* → "
            f"{report.key} → `notes`, or `PUT /v1/experiments/{report.key}`."
        )


def _effects(report: ExperimentReport, history: ExperimentHistory, *, relative: bool) -> None:
    metrics = list(dict.fromkeys(found.metric for found in report.effects))
    if not metrics:
        st.markdown("There is no metric to follow.")
        return
    metric = metrics[0]
    if len(metrics) > 1:
        metric = choose("Metric over time", metrics, "metric", width_px=BOX_PX)
    drawing = history_chart(history, metric, relative=relative)
    otherwise = history.next_step or (
        "Nothing is kept of this metric yet; a point is added at every refresh."
    )
    show_chart(drawing, otherwise)
    if drawing is not None:
        st.caption(
            "The band holds at all looks together: once it leaves out 0, it may be believed, "
            "however often you looked. Points are the numbers that were kept; other definitions "
            "begin anew."
        )


def _rewards(series: Series) -> None:
    st.header("Reward over time", anchor=False)
    show_chart(running_chart(series), "No decision counts yet: their join window must end first.")
    if series.snapshots:
        st.caption("Ticks above: a snapshot was published.")
