"""Promotions on the policies page: what the gate says, where a ramp is, promote and revert."""

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from bandit.service.promoting_records import Gate, Promotion
from bandit.service.reporting import SurfaceReport
from bandit.service.reporting_words import DASH, number, percent
from bandit.specs import KILL_SWITCH, UNIFORM_SLICE
from dashboard.changing import show_answer, show_write_button
from dashboard.parts import BOX_PX, choose, show_list, show_table
from dashboard.source import Source
from dashboard.writing import Writer, path_of

UNDER_WAY = ("ramping", "landing", "live", "reverting")
"""What can be taken back."""


def show_promotions(source: Source, report: SurfaceReport, writer: Writer | None) -> None:
    """All about promotions of a surface.

    Args:
        source: Of reports.
        report: Of the surface.
        writer: Of this session; None if it may only read.
    """
    st.header("Promotions", anchor=False)
    key = report.key
    found, problem = source.look(("promotions", key), lambda d: tuple(d.promotions.all(key)))
    if found is None:
        st.warning(f"This can not be told now: {problem}.", icon=":material/hourglass_empty:")
        return
    if found and found[0].id is not None and found[0].state in UNDER_WAY:
        _under_way(source, found[0], writer)
    challengers = challengers_of(report)
    if challengers:
        _ask(source, report, challengers, writer)
    else:
        st.markdown(
            f"There is no challenger: list a policy under the `shadows` of {key}, and the log says "
            "what it would have done."
        )
    if found:
        st.subheader("History", anchor=False)
        show_table([promotion_row(one) for one in found])


def challengers_of(report: SurfaceReport) -> list[str]:
    """Policies that could be promoted: those that the log tells of and that do not serve."""
    never = {report.policy, KILL_SWITCH, UNIFORM_SLICE}
    return list(dict.fromkeys(v.policy for v in report.values if v.policy not in never))


def _ask(
    source: Source, report: SurfaceReport, challengers: Sequence[str], writer: Writer | None
) -> None:
    challenger = choose("Challenger", challengers, "challenger", width_px=BOX_PX)
    row = st.container(horizontal=True)
    with row:
        asked = st.button("Ask the gate", key="ask-gate", icon=":material/rule:")
        wanted = show_write_button(
            writer,
            "Promote",
            key="promote",
            icon=":material/rocket_launch:",
            confirm=f"**{challenger}** is to replace **{report.policy}** on {report.key}: the gate "
            "is asked, and if it opens, a ramp begins with 1 % of units.",
        )
    name = ("gate", report.key, challenger)
    if asked or st.session_state.get("gate-of") == name:
        st.session_state["gate-of"] = name
        gate, problem = source.look(name, lambda d: d.promotions.ask(report.key, challenger))
        if gate is None or gate.gate is None:
            st.warning(f"The gate can not be asked now: {problem}.", icon=":material/report:")
        else:
            show_gate(gate.gate)
    if wanted and writer is not None:
        answer = writer.post(
            path_of("surfaces", report.key, "promotions"), {"challenger": challenger}
        )
        show_answer(answer, promoted_in_words(answer.body))


def promoted_in_words(body: object) -> str:
    """What the API said to a wish to promote: a refusal is an answer, too."""
    told = body if isinstance(body, dict) else {}
    state, reason = told.get("state", ""), told.get("reason", "")
    if state == "refused":
        return f"It was asked and refused, and nothing changed: {reason}"
    return f"It is {state}: {reason}"


def show_gate(gate: Gate) -> None:
    """Whether the gate opens, and what it asked."""
    if gate.passed:
        st.success(f"**The gate would open for {gate.challenger}.**", icon=":material/lock_open:")
    else:
        st.info(f"**The gate stays shut.** {gate.refusal}", icon=":material/lock:")
    show_list([f"{'✓' if check.passed else '✗'} {check.text}" for check in gate.checks])


def _under_way(source: Source, newest: Promotion, writer: Writer | None) -> None:
    surface, id_ = newest.surface, newest.id
    assert id_ is not None
    whole, _ = source.look(("promotion", surface, id_), lambda d: d.promotions.get(surface, id_))
    st.markdown(state_in_words(whole or newest))
    if whole is not None:
        show_table(step_rows(whole))
    if show_write_button(
        writer,
        "Revert",
        key=f"revert-{id_}",
        icon=":material/undo:",
        confirm=f"**{newest.live}** serves everybody again, and **{newest.challenger}** nobody.",
    ):
        assert writer is not None
        answer = writer.post(
            path_of("surfaces", surface, "promotions", str(id_), "revert"),
            {"reason": "Reverted from the dashboard."},
        )
        show_answer(answer, f"{newest.live} serves everybody again.")


def state_in_words(found: Promotion) -> str:
    """Where a promotion is, and what it waits for."""
    said = (
        f"**{found.challenger}** is {found.state} in place of {found.live}: it serves "
        f"{percent(found.share)} of units. {found.reason}"
    )
    if found.look is not None and found.look.action == "hold":
        said += f" It waits: {found.look.reason}"
    return said


def step_rows(found: Promotion) -> list[dict[str, str]]:
    """A line for each step of a promotion."""
    return [
        {
            "step": str(step.seq),
            "at (UTC)": _at(step.at_ms),
            "state": step.state,
            "share": percent(step.share),
            "effect": DASH
            if step.look is None or step.look.effect is None
            else f"{number(step.look.effect, '+')} [{number(step.look.effect_low)}, "
            f"{number(step.look.effect_high)}]",
            "by": step.author,
            "why": step.reason,
        }
        for step in found.steps
    ]


def promotion_row(found: Promotion) -> dict[str, str]:
    """A line of the history."""
    return {
        "id": str(found.id),
        "at (UTC)": _at(found.at_ms),
        "challenger": found.challenger,
        "in place of": found.live,
        "state": found.state,
        "share": percent(found.share),
        "by": found.author,
        "why": found.reason,
    }


def _at(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M}"
