"""Decisions: why one came out as it did, what came back for it, and whether it replays."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import streamlit as st

from bandit.service.browsing import DecisionHeadline, Joined, JoinedReward
from bandit.service.explaining import Candidate, DrawnSlot, Explanation
from bandit.service.replaying import Replay
from bandit.service.reporting_tables import as_csv
from bandit.service.reporting_words import DASH, duration, number
from dashboard.parts import (
    BOX_PX,
    choose_surface,
    open_surface_page,
    show_downloads,
    show_list,
    show_missing,
    show_table,
    side_by_side,
    watch_age,
)
from dashboard.source import Source

EXCLUDED = {
    "request": "no: the request excluded it",
    "denied": "no: the surface denies it",
    "seen": "no: the unit has seen it",
}
FATES = {
    "counted": "counts",
    "repeated": "not: its id came before",
    "late": "not: the join window had ended",
    "early": "not: it is older than the decision",
    "out_of_bounds": "not: outside the surface's bounds",
    "no_slot": "not: the ranking has no such slot",
}
NEWEST = 20
CHOSEN = "chosen-decision"
"""In the session: the event id of a line that was just chosen; '' for none."""


def render(source: Source) -> None:
    """Draw the page."""
    overview = open_surface_page(source, "Decisions")
    if overview is None:
        return
    watch_age(source)
    wanted = _search()
    if wanted:
        _decision(source, wanted)
        return
    with side_by_side():
        key = choose_surface(overview)
        unit = st.text_input(
            "Unit",
            st.query_params.get("unit", ""),
            key="unit",
            placeholder="all units",
            width=BOX_PX,
        ).strip()
    if unit:
        st.query_params["unit"] = unit
    else:
        st.query_params.pop("unit", None)
    _newest(source, key, unit)


def _search() -> str:
    """The event id that is looked for; the address keeps it."""
    # A chosen line becomes an event id at once: the list changes while somebody reads.
    chosen = st.session_state.pop(CHOSEN, None)
    if chosen is not None or "decision" not in st.session_state:
        st.session_state["decision"] = chosen or st.query_params.get("decision", "")
    field, _ = st.columns([2, 1])
    with field:
        wanted = st.text_input(
            "Event id", key="decision", placeholder="as the answer of POST /v1/rank has it"
        ).strip()
    if wanted:
        st.query_params["decision"] = wanted
        if st.button("Back to the newest", key="back", icon=":material/arrow_back:"):
            st.session_state[CHOSEN] = ""
            st.query_params.pop("decision", None)
            st.rerun()
    else:
        st.query_params.pop("decision", None)
    return wanted


def _newest(source: Source, key: str, unit: str) -> None:
    found, problem = source.look(
        ("decisions", key, unit), lambda d: d.decisions.newest(key, unit, limit=NEWEST)
    )
    if found is None:
        show_missing(problem)
        return
    st.header("The newest decisions", anchor=False)
    if not found.decisions:
        of_whom = f"of unit {unit!r} " if unit else ""
        st.info(
            f"The last 28 days hold no decision {of_whom}on {key}. Ask `POST /v1/rank`.",
            icon=":material/inbox:",
        )
        return
    rows = [headline_row(each) for each in found.decisions]
    event = st.dataframe(
        rows, hide_index=True, width="stretch", on_select="rerun", selection_mode="single-row"
    )
    chosen = event["selection"]["rows"]
    st.caption("Choose a line to see why it came out so, or paste an event id above.")
    if chosen:
        st.session_state[CHOSEN] = found.decisions[chosen[0]].event_id
        st.rerun()
    show_downloads(f"decisions-{key}", csv=as_csv(list(rows)), payload=msgspec.json.encode(found))


def headline_row(found: DecisionHeadline) -> dict[str, object]:
    """A line of the list."""
    return {
        "at (UTC)": _at(found.at_ms),
        "event id": found.event_id,
        "unit": found.unit_id,
        "on top": found.top,
        "propensity": number(found.propensity),
        "of": f"{found.offered_n:,}",
        "policy": f"{found.policy}@{found.snapshot}",
        "experiment": f"{found.experiment}: {found.variant}" if found.experiment else DASH,
    }


def _decision(source: Source, event_id: str) -> None:
    found, problem = source.look(("decision", event_id), lambda d: d.decisions.explain(event_id))
    if found is None:
        st.error(f"{problem}.", icon=":material/search_off:")
        st.markdown(
            "A decision is in the log about a second after it was made, if its answer did not say "
            "`logged: false`."
        )
        return
    joined, why_not = source.look(("joined", event_id), lambda d: d.decisions.joined(event_id))
    st.header(f"{found.ranking[0].id} on top", anchor=False)
    st.caption(
        f"{found.event_id} · {found.time} · {found.surface} · unit {found.unit_id} · "
        f"{found.snapshot}"
    )
    _earned(joined)
    st.subheader("Why", anchor=False)
    show_list(found.because)
    st.subheader("What was offered", anchor=False)
    show_table(candidate_rows(found))
    if len(found.ranking) > 1 or found.ranking[0].shadows:
        st.subheader("What was ranked", anchor=False)
        show_table([slot_row(slot) for slot in found.ranking])
    st.subheader("What came back", anchor=False)
    _feedback(joined, why_not)
    with st.expander("Context, features, rules and seed"):
        st.json(msgspec.to_builtins(found), expanded=1)
    _replay(source, event_id)
    show_downloads(
        f"decision-{event_id}",
        csv=as_csv([dict(row) for row in candidate_rows(found)]),
        payload=msgspec.json.encode({"decision": found, "feedback": joined}),
    )


def _earned(joined: Joined | None) -> None:
    if joined is None:
        return
    st.markdown(earned_in_words(joined))


def earned_in_words(found: Joined) -> str:
    """What the top slot earned, and whether that may still change."""
    if not found.seen:
        said = "Nobody has said that its top slot was seen, so it counts for nothing"
    elif found.rewarded:
        said = f"It earned **{number(found.reward)}**"
    else:
        said = f"Nothing came back, so it counts as the default reward, **{number(found.reward)}**"
    if found.is_closed:
        return f"{said}."
    return f"{said} so far; rewards count until {_at(found.closes_ms)} UTC."


def candidate_rows(found: Explanation) -> list[dict[str, str]]:
    """A line for each offered action: what was shown first, then the likeliest."""
    slots = {slot.id: slot for slot in found.ranking}
    ordered = sorted(
        found.actions,
        key=lambda each: (
            slots[each.id].slot if each.id in slots else len(slots),
            -each.probability,
        ),
    )
    return [_candidate(each, slots.get(each.id), found.floor) for each in ordered]


def _candidate(found: Candidate, slot: DrawnSlot | None, floor: float) -> dict[str, str]:
    if slot is not None:
        shown = f"slot {slot.slot}" + (": pinned" if slot.pinned else ": drawn")
    elif found.excluded is not None:
        shown = EXCLUDED.get(found.excluded, f"no: {found.excluded}")
    else:
        shown = "no: another was drawn"
    return {
        "action": found.id,
        "shown": shown,
        "probability on top": number(found.probability),
        "at the floor": "yes" if found.eligible and found.probability <= floor * 1.000001 else "",
        "features": msgspec.json.encode(found.features).decode(),
    }


def slot_row(found: DrawnSlot) -> dict[str, str]:
    """A line for each slot of the ranking."""
    explored = {True: "yes", False: "no", None: DASH}[found.explored]
    row = {
        "slot": str(found.slot),
        "action": found.id,
        "propensity": number(found.propensity),
        "explored": explored,
        "blocked": ", ".join(found.blocked) or DASH,
        "shown instead": found.overridden or DASH,
    }
    return row | {f"{name} would": number(p) for name, p in found.shadows.items()}


def _feedback(joined: Joined | None, problem: str) -> None:
    if joined is None:
        st.warning(f"This can not be told now: {problem}.", icon=":material/hourglass_empty:")
        return
    if not joined.rewards and not joined.exposures:
        st.markdown("Nothing has come back for it.")
        return
    if joined.rewards:
        show_table([reward_row(each) for each in joined.rewards])
    exposures: Sequence[dict[str, str]] = [
        {
            "exposure after": duration(each.after_ms),
            "slots seen": ", ".join(map(str, each.slots)) or DASH,
            "shown instead": ", ".join(f"{s}: {i}" for s, i in each.overridden.items()) or DASH,
            "counts": "yes" if each.counted else "no",
        }
        for each in joined.exposures
    ]
    if exposures:
        show_table(exposures)


def reward_row(found: JoinedReward) -> dict[str, str]:
    """A line for each reward."""
    return {
        "reward": found.name,
        "value": number(found.value),
        "slot": str(found.slot),
        "after": duration(found.after_ms),
        "counts": FATES[found.fate],
        "reward id": found.reward_id,
    }


def _replay(source: Source, event_id: str) -> None:
    st.subheader("Replay", anchor=False)
    name = f"replayed-{event_id}"
    if st.button("Make this decision again", key=f"replay-{event_id}", icon=":material/replay:"):
        st.session_state[name] = True
    if not st.session_state.get(name):
        st.caption(
            "From the log and the snapshot of then; the answer must be the same, bit for bit."
        )
        return
    found, problem = source.look(("replay", event_id), lambda d: (d.decisions.replay(event_id),))
    if found is None:
        st.warning(
            f"It can not be made again here: {problem}. `GET /v1/decisions/{event_id}/replay` "
            "learns weights again that are not kept.",
            icon=":material/report:",
        )
    elif found[0] is None:
        st.warning(
            "The secret that seeds draws is not at hand here: set `BANDIT_SALT`, or ask "
            f"`GET /v1/decisions/{event_id}/replay`.",
            icon=":material/key_off:",
        )
    else:
        _replayed(found[0])


def _replayed(found: Replay) -> None:
    if found.identical:
        st.success(
            f"**Identical:** {found.policy}@{found.snapshot} draws the same ranking with the same "
            "probabilities from the same seed.",
            icon=":material/verified:",
        )
    else:
        st.error("**It comes out otherwise.**", icon=":material/report:")
        show_list(found.differences)


def _at(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03d}"
