"""What several pages show the same way."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from bandit.service.reporting import Overview
from bandit.service.reporting_payloads import (
    ExperimentHeadline,
    Problem,
    SurfaceHeadline,
    Verdict,
)
from dashboard.charts import Drawing
from dashboard.glossary import knows, meaning
from dashboard.source import Source
from dashboard.writing import Answer, Writer

LEVELS = {"90 %": 0.10, "95 %": 0.05, "99 %": 0.01}
NO_SURFACE = "No surface is declared: `PUT /v1/surfaces/{key}`."
REFRESH_S = 3.0
"""How often a page asks for its report again; `Source` decides whether it is made anew."""

_STATES: Mapping[str, tuple[str, str]] = {
    "better": ("success", ":material/trending_up:"),
    "worse": ("error", ":material/trending_down:"),
    "guardrail": ("warning", ":material/shield:"),
    "broken": ("error", ":material/report:"),
    "not_yet": ("info", ":material/hourglass_bottom:"),
    "unclear": ("info", ":material/hourglass_top:"),
    "waiting": ("info", ":material/hourglass_empty:"),
    "no_data": ("info", ":material/inbox:"),
}


def open_page(source: Source, title: str, *, archived: bool = False) -> Overview | None:
    """The title, and what there is to choose from; None if the store never told."""
    st.title(title)
    overview, problem = source.overview(0.05, archived=archived)
    if overview is None:
        show_missing(problem)
    return overview


def open_surface_page(source: Source, title: str) -> Overview | None:
    """The same for a page about one surface; None also if there is none, with the next step."""
    overview = open_page(source, title)
    if overview is not None and not overview.surfaces:
        st.info(overview.next_step or NO_SURFACE, icon=":material/inbox:")
        return None
    return overview


def choose(
    label: str, options: Sequence[str], parameter: str, default: str = "", *, word: str = ""
) -> str:
    """A choice that the page's address keeps, so that it can be sent to somebody.

    Args:
        label: Of the box.
        options: What there is to choose from.
        parameter: Name in the address.
        default: What is chosen if the address says nothing, or what there is not.
        word: Of the glossary, for a tooltip.
    """
    wanted = st.query_params.get(parameter, default)
    index = options.index(wanted) if wanted in options else 0
    tooltip = meaning(word) if word else None
    chosen = st.selectbox(label, options, index=index, key=parameter, help=tooltip)
    st.query_params[parameter] = chosen
    return chosen


def ordered_experiments(overview: Overview) -> list[ExperimentHeadline]:
    """The running ones first, then those with the most units."""
    return sorted(overview.experiments, key=lambda e: (e.status != "running", -e.units_n))


def choose_surface(overview: Overview) -> str:
    """One of the surfaces, the busiest first."""
    ordered = sorted(overview.surfaces, key=lambda surface: -surface.decisions_n)
    return choose("Surface", [surface.key for surface in ordered], "surface", word="surface")


def choose_level() -> float:
    """Which intervals to show; returns alpha."""
    return LEVELS[choose("Level of the intervals", list(LEVELS), "level", "95 %", word="level")]


def show_age(as_of_ms: int, problem: str) -> None:
    """When the numbers are of, and that they are old if the store is away."""
    if problem:
        st.warning(
            f"The store tells nothing newer, so these numbers are old. ({problem})",
            icon=":material/cloud_off:",
        )
    st.caption(f"Data as of {moment(as_of_ms)}.")


def moment(at_ms: int) -> str:
    """A time as people read it.

    >>> moment(1_790_000_000_000)
    '2026-09-21 14:13:20 UTC'
    """
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def plain(text: str) -> str:
    r"""Somebody's own words for `st.markdown`: no image is fetched, no link or style is made.

    >>> print(plain("![x](y)"))
    \!\[x\]\(y\)
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def show_missing(problem: str) -> None:
    """There is no report at all."""
    st.error(f"There is nothing to show: {problem}.", icon=":material/cloud_off:")
    st.markdown("The page tries again by itself. `bandit up` starts everything that is needed.")


def show_verdict(verdict: Verdict) -> None:
    """The answer, why, and what to do."""
    kind, icon = _STATES[verdict.state]
    boxes = {"success": st.success, "error": st.error, "info": st.info, "warning": st.warning}
    box = boxes[kind]
    box(f"**{verdict.headline}**\n\n{verdict.reason}\n\n*Next:* {verdict.next_step}", icon=icon)


def show_killed(surface: str) -> None:
    """A surface is switched off, which must not be overlooked."""
    st.error(
        f"**The kill switch of {surface} is on.** Everybody is served the offered order, and "
        f"nothing is explored.\n\n*Next:* `PUT /v1/surfaces/{surface}` with `killed` false, once "
        "it is safe.",
        icon=":material/dangerous:",
    )


def show_killed_of(surfaces: Sequence[SurfaceHeadline]) -> None:
    """The same, of each surface that is."""
    for surface in surfaces:
        if surface.killed:
            show_killed(surface.key)


def show_list(texts: Sequence[str]) -> None:
    """Sentences below each other; nothing if there are none."""
    if texts:
        st.markdown("\n".join(f"- {text}" for text in texts))


def show_problems(problems: Sequence[Problem]) -> None:
    """What keeps data from coming in, and what to do about it."""
    for problem in problems:
        st.warning(f"**{problem.text}** {problem.next_step}", icon=":material/build:")


def show_chart(drawing: Drawing | None, otherwise: str = "") -> None:
    """A chart, or why there is none."""
    if drawing is None:
        st.markdown(otherwise)
        return
    st.altair_chart(drawing.chart, alt=drawing.alt, width="stretch")


def show_table(rows: Sequence[Mapping[str, object]]) -> None:
    """A small table of texts; it scrolls inside itself on a narrow screen.

    A column that is called by a word of the glossary has its meaning as a tooltip.
    """
    table = pd.DataFrame(rows)
    st.dataframe(table, hide_index=True, width="stretch", column_config=tooltips(table.columns))


def tooltips(columns: Iterable[str]) -> dict[str, Any]:
    """`column_config` of those columns that the glossary knows."""
    return {name: st.column_config.Column(help=meaning(name)) for name in columns if knows(name)}


def with_counts(
    rows: Sequence[dict[str, str]], found: Sequence[object], columns: Mapping[str, str]
) -> list[dict[str, str]]:
    """Rows with counts of what is rare: a column only where any is not 0.

    Args:
        rows: A row for each of `found`.
        found: What has the counts.
        columns: Name of the column → field of `found`.
    """
    rows = [dict(row) for row in rows]
    for name, field in columns.items():
        counts = [getattr(one, field) for one in found]
        if any(counts):
            for row, n in zip(rows, counts, strict=True):
                row[name] = f"{n:,}"
    return rows


def show_downloads(name: str, *, csv: str, payload: bytes) -> None:
    """The same numbers to take away."""
    row = st.container(horizontal=True)
    row.download_button(
        "CSV", csv, f"{name}.csv", "text/csv", icon=":material/download:", on_click="ignore"
    )
    row.download_button(
        "JSON",
        payload,
        f"{name}.json",
        "application/json",
        icon=":material/download:",
        on_click="ignore",
    )


READ_ONLY = "This session may only read. Sign in with an API key that has the scope `admin`."


def show_write_button(
    writer: Writer | None, label: str, *, key: str, icon: str | None = None, confirm: str = ""
) -> bool:
    """A button that changes something; for who may not, one that can not be pressed and says why.

    Args:
        writer: Of this session; None if it may only read.
        label: What is done.
        key: Of the widget.
        icon: `:material/…:`.
        confirm: What the change means: it is shown first, with a button of its own.

    Returns:
        Whether it was pressed: then call `writer`, and `show_answer`.
    """
    if writer is None:
        st.button(label, key=key, icon=icon, disabled=True, help=READ_ONLY)
        return False
    if not confirm:
        return st.button(label, key=key, icon=icon)
    with st.popover(label, icon=icon):
        st.markdown(confirm)
        return st.button(label, key=key, type="primary")


def show_answer(answer: Answer, done: str) -> None:
    """What the API said to a change: that it was done, that somebody else was first, or why not."""
    if answer.is_done:
        st.success(done, icon=":material/check_circle:")
    elif answer.is_conflict:
        st.warning(
            f"Nothing was changed, because somebody else changed it meanwhile: {answer.in_words}. "
            "Load it again, and make your change to what is there now.",
            icon=":material/call_merge:",
        )
    else:
        st.error(f"Nothing was changed: {answer.in_words}.", icon=":material/error:")
