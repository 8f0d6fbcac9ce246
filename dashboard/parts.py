"""What several pages show the same way."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from bandit.service.reporting import Overview
from bandit.service.reporting_payloads import (
    ExperimentHeadline,
    Problem,
    SurfaceHeadline,
    Verdict,
)
from dashboard.charts import AnyChart, Drawing
from dashboard.glossary import knows, meaning
from dashboard.source import Source

LEVELS = {"90 %": 0.10, "95 %": 0.05, "99 %": 0.01}
LEVEL = "95 %"
"""Unless another one is chosen."""
BOX_PX, HALF_PX = 356, 170
"""Widths of boxes that stand in a row: all of a phone and a third of a desk; half of a phone."""
NO_SURFACE = "No surface is declared: `PUT /v1/surfaces/{key}`."
LONG = 20
"""Lines of a table that are all shown."""
REFRESH_S = 3.0
"""How often a page asks for its report again; `Source` decides whether it is made anew."""

_SIGNS = {
    "timed out": "it does not answer in time",
    "Connection refused": "nobody listens at its address",
}
"""What a driver says, in plain words."""
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


def asked(options: Sequence[str], parameter: str, default: str = "") -> str:
    """What is chosen already, for who must know it before the choice is drawn.

    A box that was just changed is ahead of the address, which is written as it is drawn.
    """
    for found in (st.session_state.get(parameter), st.query_params.get(parameter), default):
        if found in options:
            return str(found)
    return options[0]


def choose(
    label: str,
    options: Sequence[str],
    parameter: str,
    default: str = "",
    *,
    word: str = "",
    width_px: int | None = None,
) -> str:
    """A choice that the page's address keeps, so that it can be sent to somebody.

    Args:
        label: Of the box.
        options: What there is to choose from.
        parameter: Name in the address.
        default: What is chosen if the address says nothing, or what there is not.
        word: Of the glossary, for a tooltip.
        width_px: None: all the room there is.
    """
    wanted = st.query_params.get(parameter, default)
    index = options.index(wanted) if wanted in options else 0
    tooltip = meaning(word) if word else None
    chosen = st.selectbox(
        label, options, index=index, key=parameter, help=tooltip, width=width_px or "stretch"
    )
    st.query_params[parameter] = chosen
    return chosen


def switch(
    label: str, options: Sequence[str], parameter: str, default: str = "", *, word: str = ""
) -> str:
    """The same among a few, all of which can be seen: one click, and no list to open."""
    chosen = st.segmented_control(
        label,
        options,
        default=asked(options, parameter, default),
        key=parameter,
        required=True,
        help=meaning(word) if word else None,
    )
    st.query_params[parameter] = chosen or options[0]
    return chosen or options[0]


def side_by_side(align: Literal["top", "bottom"] = "top") -> DeltaGenerator:
    """A row of boxes, which takes more lines where there is no room beside each other."""
    return st.container(horizontal=True, vertical_alignment=align)


def ordered_experiments(overview: Overview) -> list[ExperimentHeadline]:
    """The running ones first, then those with the most units."""
    return sorted(overview.experiments, key=lambda e: (e.status != "running", -e.units_n))


def choose_surface(overview: Overview) -> str:
    """One of the surfaces, the busiest first."""
    ordered = sorted(overview.surfaces, key=lambda surface: -surface.decisions_n)
    keys = [surface.key for surface in ordered]
    return choose("Surface", keys, "surface", word="surface", width_px=BOX_PX)


def choose_level() -> float:
    """Which intervals to show; returns alpha."""
    return LEVELS[switch("Level of the intervals", list(LEVELS), "level", LEVEL, word="level")]


def asked_level() -> float:
    """The same, for who must know it before the choice is drawn."""
    return LEVELS[asked(list(LEVELS), "level", LEVEL)]


def show_age(as_of_ms: int, problem: str) -> None:
    """When the numbers are of, and that they are old if the store is away."""
    if problem:
        st.warning(
            f"The store tells nothing newer, so these numbers are old. ({in_short(problem)})",
            icon=":material/cloud_off:",
        )
    st.caption(f"Data as of {moment(as_of_ms)}.")


@st.fragment(run_every=REFRESH_S)
def watch_age(source: Source) -> None:
    """The same on a page whose numbers stay as they are while somebody works with them."""
    overview, problem = source.overview(0.05)
    if overview is not None:
        show_age(overview.as_of_ms, problem)


def in_short(problem: str) -> str:
    """Why the store tells nothing, without what only a driver's author understands.

    >>> in_short("x: Error HTTPConnectionPool(host='h', port=1): Read timed out. (read timeout=15)")
    'it does not answer in time'
    """
    for sign, words in _SIGNS.items():
        if sign in problem:
            return words
    return problem


def moment(at_ms: int) -> str:
    """A time as people read it.

    >>> moment(1_790_000_000_000)
    '2026-09-21 14:13:20 UTC'
    """
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def begun(text: str) -> str:
    """The beginning of a sentence.

    >>> begun("it is no TOML")
    'It is no TOML'
    """
    return text[:1].upper() + text[1:]


def plain(text: str) -> str:
    r"""Somebody's own words for `st.markdown`: no image is fetched, no link or style is made.

    >>> print(plain("![x](y)"))
    \!\[x\]\(y\)
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def show_missing(problem: str) -> None:
    """There is no report at all."""
    st.error(f"There is nothing to show: {in_short(problem)}.", icon=":material/cloud_off:")
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
        "nothing is explored.\n\n*Next:* once it is safe, turn it off under *Definitions & audit* "
        f"→ surfaces → {surface}, or `PUT /v1/surfaces/{surface}` with `killed` false.",
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
    st.vega_lite_chart(spec_of(drawing.chart), alt=drawing.alt, width="stretch")


def spec_of(chart: AnyChart) -> dict[str, Any]:
    """A chart as Vega-Lite, in which nothing but the data changes as data come in.

    `st.altair_chart` names data by their content, so that every refresh draws the chart anew; here
    the browser moves what it has drawn. It also checks each chart against Vega-Lite's schema, which
    takes ten times as long as all the rest: tests do that once.
    """
    spec: dict[str, Any] = chart.to_dict(validate=False)
    spec.pop("config", None)  # Altair's sizes, in place of which Streamlit has its own
    given = spec.get("datasets", {})
    names = {name: f"rows-{place}" for place, name in enumerate(given)}
    spec["datasets"] = {names[name]: rows for name, rows in given.items()}
    for part in _parts_of(spec):
        name = part.get("data", {}).get("name")
        if name is not None:
            part["data"] = {"name": names[name]}
    return spec


def _parts_of(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield spec
    for layer in spec.get("layer", ()):
        yield from _parts_of(layer)


def show_table(rows: Sequence[Mapping[str, object]]) -> None:
    """A small table of texts; it scrolls inside itself on a narrow screen.

    A column that is called by a word of the glossary has its meaning as a tooltip. A column in
    which no line has anything is left out.
    """
    table = pd.DataFrame(filled(rows))
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        # With a bar of its own only where it would be very long.
        height="content" if len(table) <= LONG else "auto",
        column_config=tooltips(table.columns),
        alt=table_in_words(table.columns, len(table)),
    )


def show_texts(rows: Sequence[Mapping[str, str]]) -> None:
    """A small table of sentences, which are folded and never cut off; nothing if there are none."""
    if not rows:
        return
    table = pd.DataFrame([{k: plain(v) for k, v in row.items()} for row in filled(rows)])
    said = table_in_words(table.columns, len(table))
    st.table(table, border="horizontal", hide_index=True, alt=said)


def filled(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the columns in which none has anything.

    >>> filled([{"a": "1", "why": ""}, {"a": "–", "why": ""}])
    [{'a': '1'}, {'a': '–'}]
    """
    empty = {name for row in rows for name in row} - {
        name for row in rows for name, value in row.items() if value != ""
    }
    return [{name: value for name, value in row.items() if name not in empty} for row in rows]


def table_in_words(columns: Iterable[str], rows_n: int) -> str:
    """What a table is, for those who can not see it; its cells are read by themselves.

    >>> table_in_words(["policy", "value"], 2)
    'Table of 2 lines: policy, value'
    """
    return f"Table of {rows_n:,} {'line' if rows_n == 1 else 'lines'}: {', '.join(columns)}"


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
