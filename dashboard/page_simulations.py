"""Simulations: saved runs of `bandit simulate`, policies beside each other."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import altair as alt
import msgspec
import streamlit as st

from bandit.service.reporting_tables import as_csv
from bandit.service.reporting_words import DASH, number, p_value
from bandit.service.simulations import Curve, Final, Pair, RunHead, SavedRun, WinLoss
from dashboard.charts import DASHES, PALETTE, Drawing, Row, legend, legend_px
from dashboard.parts import (
    BOX_PX,
    choose,
    show_chart,
    show_downloads,
    show_list,
    show_missing,
    show_table,
    side_by_side,
    switch,
    watch_age,
)
from dashboard.source import Source

NOTHING_SAVED = (
    "No run is saved here yet. `bandit simulate --world synthetic --policy vw --policy uniform "
    "--seeds 5` plays policies in a simulated world and saves what they earned; this page then "
    "compares them."
)
MEASURES = ("regret", "reward")
MOST_LINES = 8


def render(source: Source) -> None:
    """Draw the page."""
    st.title("Simulations")
    overview, _ = source.overview(0.05)
    watch_age(source)
    found, problem = source.simulations()
    if found is None:
        show_missing(problem)
        return
    if found.problems:
        st.warning("Some runs can not be read:", icon=":material/report:")
        show_list(found.problems)
    if not found.runs:
        st.info(NOTHING_SAVED, icon=":material/inbox:")
        if overview is not None and overview.next_step:
            st.markdown(overview.next_step)  # code in a caption is too pale to read
        return
    heads = {head.id: head for head in found.runs}
    run_id = choose("Run", list(heads), "run", width_px=2 * BOX_PX)
    run, problem = source.simulation(run_id)
    if run is None:
        st.error(f"{problem}.", icon=":material/report:")
        return
    st.markdown(run_in_words(heads[run_id]))
    with side_by_side():
        worlds = [world.name for world in run.worlds]
        world = choose("World", worlds, "world", word="world", width_px=BOX_PX)
        measure = switch("Over time", MEASURES, "measure")
    _world(run, world, measure)
    _matrix(run)
    with st.expander("All saved runs"):
        show_table([head_row(head) for head in found.runs])
    show_downloads(
        f"simulation-{run.id}",
        csv=as_csv([dict(final_fields(final)) for final in run.finals]),
        payload=msgspec.json.encode(run),
    )


def _world(run: SavedRun, world: str, measure: str) -> None:
    about = next((each.about for each in run.worlds if each.name == world), "")
    st.header(world, anchor=False)
    if about:
        st.caption(about)
    curves = [curve for curve in run.curves if curve.world == world]
    show_chart(curves_chart(curves, measure), "No curve was saved.")
    seeds_n = len(run.options.seeds)
    level = f"{100 * (1 - run.options.alpha):g} %"
    st.caption(
        f"Means over {seeds_n:,} seeds, with {level} bands over seeds. Regret: what the best "
        "choice would have earned, minus what was earned, so far."
        if seeds_n > 1
        else "One seed alone: there are no bands. Regret: what the best choice would have earned, "
        "minus what was earned, so far."
    )
    finals = [final for final in run.finals if final.world == world]
    show_table([final_row(final) for final in finals])
    pairs = [pair for pair in run.pairs if pair.world == world and pair.other == run.reference]
    if pairs:
        st.subheader(f"Against {run.reference}", anchor=False)
        show_table([pair_row(pair) for pair in pairs])
        st.caption(
            f"Paired by seed, {level} intervals; p is corrected over all pairs of the run "
            f"({run.options.correction})."
        )


def _matrix(run: SavedRun) -> None:
    if not run.wins:
        return
    st.header("Wins and losses", anchor=False)
    show_table(matrix_rows(run.wins, [policy.key for policy in run.policies]))
    st.caption(
        "In how many worlds the policy of the line surely earned more − less than that of the "
        "column; the rest is open."
    )


def run_in_words(head: RunHead) -> str:
    """What a run was."""
    at = datetime.fromisoformat(head.made_at)
    return (
        f"**{head.name}**: {len(head.policies)} policies in {len(head.worlds)} worlds, "
        f"{head.options.rounds_n:,} rounds, {len(head.options.seeds)} seeds; made "
        f"{at:%Y-%m-%d %H:%M %Z}"
    )


def curve_rows(curves: Sequence[Curve], measure: str) -> list[Row]:
    """A row per policy and checkpoint, with the band; of at most `MOST_LINES` policies."""
    rows = []
    for curve in curves[:MOST_LINES]:
        values, lows, highs = (getattr(curve, f"{measure}{end}") for end in ("", "_low", "_high"))
        for n, value, low, high in zip(curve.rounds_n, values, lows, highs, strict=True):
            rows.append(
                {"policy": curve.policy, "rounds": n, "value": value, "low": low, "high": high}
            )
    return rows


def curves_chart(curves: Sequence[Curve], measure: str) -> Drawing | None:
    """A line and a band for each policy; a click on the legend shows one alone."""
    rows = curve_rows(curves, measure)
    if not rows:
        return None
    labels = list(dict.fromkeys(row["policy"] for row in rows))
    one = alt.selection_point(fields=["policy"], bind="legend")
    colour = alt.Color(
        "policy:N", title=None,
        scale=alt.Scale(domain=labels, range=[PALETTE[i % 8] for i in range(len(labels))]),
        legend=legend(labels, lines=True),
    )  # fmt: skip
    title = "regret so far" if measure == "regret" else "reward per round so far"
    scale = alt.Scale(zero=measure == "regret")
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("rounds:Q", title="rounds", axis=alt.Axis(format="~s", tickCount=8)), color=colour
    )
    bands = (
        base.transform_filter("datum.low != null")
        .mark_area(opacity=0.2)
        .encode(
            y=alt.Y("low:Q", title=title, scale=scale),
            y2="high:Q",
            opacity=alt.condition(one, alt.value(0.2), alt.value(0.0)),
        )
    )
    lines = base.mark_line(strokeWidth=2.5).encode(
        y=alt.Y("value:Q", title=title, scale=scale),
        strokeDash=alt.StrokeDash(
            "policy:N", title=None,
            scale=alt.Scale(
                domain=labels, range=[list(DASHES[i % 4]) for i in range(len(labels))]
            ),
            legend=legend(labels, lines=True),
        ),
        opacity=alt.condition(one, alt.value(1.0), alt.value(0.15)),
        tooltip=[
            alt.Tooltip("policy:N"),
            alt.Tooltip("rounds:Q", format=",d"),
            *(alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("value", "low", "high")),
        ],
    )  # fmt: skip
    last = {row["policy"]: row["value"] for row in rows}
    said = ", ".join(f"{label} {number(value)}" for label, value in last.items())
    chart = alt.layer(bands, lines).add_params(one).properties(height=300 + legend_px(labels))
    return Drawing(chart, f"{title.capitalize()} of each policy over rounds; at the end {said}.")


def final_fields(final: Final) -> Row:
    """All of a final, flat."""
    return dict(msgspec.structs.asdict(final))


def final_row(final: Final) -> dict[str, str]:
    """A line of the table of a world."""
    return {
        "policy": final.policy,
        "reward": _in_brackets(final.reward, final.reward_low, final.reward_high),
        "last quarter": number(final.late),
        "regret per round": _in_brackets(final.regret, final.regret_low, final.regret_high),
        "rank": number(final.rank),
        "µs a round": number(final.micros),
    }


def pair_row(pair: Pair) -> dict[str, str]:
    """A line of the table against the reference."""
    effect = pair.effect
    low, high = effect.effect_ci_low, effect.effect_ci_high
    return {
        "policy": pair.policy,
        "more reward a round": _in_brackets(effect.effect, low, high, "+"),
        "p corrected": p_value(effect.p_value_adjusted),
        "verdict": pair.verdict,
    }


def matrix_rows(wins: Sequence[WinLoss], policies: Sequence[str]) -> list[dict[str, str]]:
    """A line for each policy, a column for each other: worlds won − worlds lost."""
    found = {(each.policy, each.other): each for each in wins}
    rows = []
    for policy in policies:
        row = {"policy": policy}
        for other in policies:
            each = found.get((policy, other))
            row[other] = "" if each is None else f"{each.wins_n} − {each.losses_n}"
        rows.append(row)
    return rows


def head_row(head: RunHead) -> dict[str, str]:
    """A line of the list of runs."""
    return {
        "run": head.id,
        "name": head.name,
        "made": head.made_at,
        "worlds": ", ".join(world.name for world in head.worlds),
        "policies": ", ".join(policy.key for policy in head.policies),
        "rounds": f"{head.options.rounds_n:,}",
        "seeds": str(len(head.options.seeds)),
    }


def _in_brackets(value: float | None, low: float | None, high: float | None, sign: str = "") -> str:
    if value is None:
        return DASH
    ends = "" if low is None else f" [{number(low, sign)}, {number(high, sign)}]"
    return f"{number(value, sign)}{ends}"


def _data(rows: list[Row]) -> dict[str, Any]:
    return {"values": rows}
