"""Bandit: what a surface's policies show, what they have learned, and what exploring costs."""

from collections.abc import Sequence

import msgspec
import streamlit as st

from bandit.service.reporting import SurfaceReport
from bandit.service.reporting_actions import ActionEstimate, ActionsReport, ActionValue
from bandit.service.reporting_ope_words import exploration_in_words
from bandit.service.reporting_surface_payloads import (
    AllocationReport,
    BehaviourReport,
    FeatureWeight,
    Newcomer,
    NewcomersReport,
    PolicyAllocation,
    WeightsReport,
)
from bandit.service.reporting_tables import as_csv
from bandit.service.reporting_words import (
    DASH,
    duration,
    in_words,
    number,
    p_value,
    percent,
    yardstick_in_words,
)
from dashboard.charts import Row
from dashboard.charts_bandit import (
    actions_chart,
    allocation_chart,
    allocation_rows,
    explored_chart,
    learning_chart,
    price_chart,
    weight_name,
    weights_chart,
)
from dashboard.parts import (
    BOX_PX,
    REFRESH_S,
    choose,
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
)
from dashboard.source import Source

NAMED = 7
"""Actions that have a colour of their own."""
ACTIONS = 12
"""In the table and the chart of actions."""
WEIGHTS = 15
PLACES = ("most shown", "second", "third")
AUDITS = {
    "fine": "Actions were drawn as often as the log says they should have been.",
    "mismatch": "**Actions were not drawn as often as the log says.** Numbers that go by "
    "propensities (values, promotions) can not be trusted until this is found: see the audit of "
    "each action, and `bandit doctor`.",
    "unknown": "There are too few draws to check propensities by.",
}
NO_WEIGHTS = {
    "not_learning": "it does not learn",
    "no_snapshot": "it has published no snapshot",
    "no_weights": "its newest snapshot keeps no weights",
    "no_features": "it learns of each action by itself, not of features: see *Actions*",
    "not_readable": "its weights can not be told apart: there are several models in one, or an "
    "explorer that only Vowpal Wabbit itself can ask",
    "no_decisions": "no decision of the last 28 days says which features there are",
}


def render(source: Source) -> None:
    """Draw the page."""
    overview = open_surface_page(source, "Bandit")
    if overview is None:
        return
    with side_by_side():
        key = choose_surface(overview)
        alpha = choose_level()
    _live(source, key, alpha)
    _live_actions(source, key, alpha)
    _live_behaviour(source, key)
    _live_weights(source, key, alpha)


@st.fragment(run_every=REFRESH_S)
def _live(source: Source, key: str, alpha: float) -> None:
    report, problem = source.surface(key, alpha)
    found, missing = source.look(
        ("allocation", key), lambda d: d.surfaces.allocation(key, top=NAMED)
    )
    if report is None or found is None:
        show_missing(problem or missing)
        return
    show_age(report.as_of_ms, problem or missing)
    if report.killed:
        show_killed(key)
    if not found.policies:
        st.info(
            f"Nothing has been shown on {key} yet. Ask `POST /v1/rank`, or start `bandit demo`.",
            icon=":material/inbox:",
        )
        return
    _tiles(tile_texts(report, found))
    policy = choose_policy(found)
    _allocation(report, found, policy)
    _exploration(report, found, policy)
    show_downloads(
        f"bandit-{key}",
        csv=as_csv(allocation_table(found)),
        payload=msgspec.json.encode(found),
    )


def allocation_table(found: AllocationReport) -> list[Row]:
    """A row per policy, bucket and action, for a spreadsheet."""
    return [
        {"policy": each.policy, **row} for each in found.policies for row in allocation_rows(each)
    ]


def choose_policy(found: AllocationReport) -> PolicyAllocation:
    """One of the policies that showed anything; the surface's own first."""
    ordered = sorted(found.policies, key=lambda each: each.policy != found.policy)
    keys = [each.policy for each in ordered]
    chosen = choose("Policy", keys, "policy", word="policy", width_px=BOX_PX)
    return ordered[keys.index(chosen)]


def tile_texts(report: SurfaceReport, found: AllocationReport) -> list[tuple[str, str, str]]:
    """Label, number and small print of each tile; of the surface's own policy."""
    own = next((each for each in found.policies if each.policy == found.policy), None)
    learning = next(
        (each.learning for each in report.health.policies if each.learning is not None), None
    )
    exploration = report.exploration
    price, small = DASH, "the log can not tell"
    if exploration is not None and exploration.price is not None:
        price = number(exploration.price)
        small = "reward per day"
        if exploration.price_low is not None:
            small += f", {number(exploration.price_low)} to {number(exploration.price_high)}"
    return [
        (
            "Explores",
            percent(own.explored_share if own else None),
            "of decisions draw what is not likeliest",
        ),
        ("Price of exploring", price, small),
        (
            "Draws at the floor",
            percent(own.floor_drawn_share if own else None),
            f"{percent(own.floor_share if own else None)} of offered actions are at it",
        ),
        (
            "Newest snapshot",
            DASH if learning is None else f"@{learning.snapshot}",
            "nothing learns"
            if learning is None
            else f"{duration(learning.age_ms)} old, of {learning.trained:,} rewards",
        ),
    ]


def _tiles(tiles: Sequence[tuple[str, str, str]]) -> None:
    for column, (label, value, more) in zip(st.columns(len(tiles)), tiles, strict=True):
        column.metric(label, value, more, delta_color="off", delta_arrow="off", border=True)


def _allocation(report: SurfaceReport, found: AllocationReport, policy: PolicyAllocation) -> None:
    st.header("What is shown over time", anchor=False)
    snapshots = [mark for mark in report.series.snapshots if mark.policy == policy.policy]
    show_chart(allocation_chart(policy, found.bucket_ms, snapshots))
    more = " Ticks above are snapshots." if snapshots else ""
    part = "" if found.source == "kept" else " Of the newest decisions: `bandit refresh` keeps all."
    st.caption(
        f"{policy.decisions_n:,} decisions of {policy.policy}, by what was on top.{more}{part}"
    )
    st.header("What is learned", anchor=False)
    show_chart(learning_chart(report.series, policy.policy), "No decision counts yet.")
    if report.uniform is not None:
        show_list(yardstick_in_words(report.uniform))
    else:
        st.caption(
            "Without a uniform slice (`uniform_share` of the surface) there is nothing that was "
            "always drawn by chance to compare with."
        )


def _exploration(report: SurfaceReport, found: AllocationReport, policy: PolicyAllocation) -> None:
    st.header("What exploring costs", anchor=False)
    if report.exploration is not None:
        show_list(exploration_in_words(report.exploration))
        if len(report.exploration.by_day) > 1:
            show_chart(price_chart(report.exploration.by_day))
    show_chart(explored_chart(policy, found.bucket_ms), "Nothing was drawn at random.")
    st.caption(
        f"Of {policy.drawn_n:,} decisions that {policy.policy} drew, those at which another "
        f"action was likelier. What it drew had a probability of {number(policy.chosen_mean)} on "
        f"average; {percent(policy.floor_drawn_share)} of draws were of actions at the floor."
    )


@st.fragment(run_every=REFRESH_S)
def _live_actions(source: Source, key: str, alpha: float) -> None:
    fresh, _ = source.look(("newcomers", key), lambda d: d.surfaces.newcomers(key))
    since_ms = None if fresh is None else fresh.since_ms
    if since_ms is None:
        return
    report, problem = source.look(
        ("actions", key, alpha),
        lambda d: d.actions.actions(key, alpha, limit=ACTIONS, since_ms=since_ms),
    )
    st.header("Actions", anchor=False)
    if report is None:
        st.warning(f"Actions can not be told now: {problem}.", icon=":material/hourglass_empty:")
        return
    if report.audit == "mismatch":
        st.error(AUDITS["mismatch"], icon=":material/report:")
    st.markdown(
        "What always showing an action would earn per decision, by the logged propensities; "
        "intervals hold at every look."
    )
    show_chart(actions_chart(report.actions), "No action can be valued yet.")
    show_table([action_row(found) for found in report.actions])
    told = left_out(report)
    st.caption(told if report.audit == "mismatch" else f"{AUDITS[report.audit]} {told}")
    st.subheader("New actions", anchor=False)
    _newcomers(fresh)
    show_downloads(
        f"actions-{key}",
        csv=as_csv([dict(action_row(found)) for found in report.actions]),
        payload=msgspec.json.encode(report),
    )


def _newcomers(fresh: NewcomersReport | None) -> None:
    if fresh is None or not fresh.newcomers:
        st.markdown("No action was first offered lately.")
        return
    show_table([newcomer_row(each, fresh.as_of_ms) for each in fresh.newcomers])
    more = fresh.newcomers_n - len(fresh.newcomers)
    if more > 0:
        st.caption(f"And {more:,} more.")


def left_out(report: ActionsReport) -> str:
    """Decisions that tell nothing of other actions, in words."""
    words = {
        "forced_n": "set by hand",
        "unseen_n": "not seen",
        "pinned_n": "pinned",
        "overridden_n": "overridden",
        "killed_n": "switched off",
        "certain_n": "certain",
    }
    parts = [
        f"{getattr(report.not_judged, name):,} {word}"
        for name, word in words.items()
        if getattr(report.not_judged, name)
    ]
    told = f"{report.judged_n:,} decisions tell of actions"
    return f"{told}; left out: {', '.join(parts)}." if parts else f"{told}."


def action_row(found: ActionValue) -> dict[str, str]:
    """A line of the table of actions."""
    audit = found.audit.p_value
    return {
        "action": found.action,
        "shown": f"{found.shown_n:,}",
        "rewarded": f"{found.rewarded_n:,}",
        "mean": number(found.mean),
        "value": estimate_in_words(found.value),
        "more than the most shown": "reference"
        if found.difference is None
        else estimate_in_words(found.difference, "+"),
        "IPS": number(found.hajek.value),
        "draws worth": number(found.effective_n),
        "audit p": p_value(audit),
        "why": in_words([found.value.reason]) if found.value.reason else "",
    }


def estimate_in_words(found: ActionEstimate, sign: str = "") -> str:
    """The number, with the interval that holds at every look if there is one."""
    if found.value is None:
        return DASH
    if found.anytime_ci_low is None:
        return number(found.value, sign)
    low, high = number(found.anytime_ci_low, sign), number(found.anytime_ci_high, sign)
    return f"{number(found.value, sign)} [{low}, {high}]"


def newcomer_row(found: Newcomer, at_ms: int) -> dict[str, str]:
    """A line of the table of new actions."""
    return {
        "action": found.action,
        "first offered": f"{duration(max(0, at_ms - found.first_ms))} ago",
        "offered": f"{found.offered_n:,}",
        "shown": f"{found.shown_n:,}",
        "share": percent(found.shown_share),
        "expected": percent(found.expected_share),
    }


@st.fragment(run_every=REFRESH_S)
def _live_behaviour(source: Source, key: str) -> None:
    wanted = st.query_params.get("by", "")
    found, problem = source.look(
        ("behaviour", key, wanted), lambda d: d.surfaces.behaviour(key, wanted)
    )
    if found is not None and found.since_ms is None:
        return
    st.header("For whom", anchor=False)
    if found is None:
        st.warning(f"This can not be told now: {problem}.", icon=":material/hourglass_empty:")
        return
    if not found.members:
        st.markdown(
            "No member of the context has 2 to 50 values, so there are no segments to tell apart."
        )
        return
    choose("By", found.members, "by", found.by, width_px=BOX_PX)
    show_table(segment_rows(found))
    st.caption("The newest decisions that count, and how often each action was shown.")


def segment_rows(found: BehaviourReport) -> list[dict[str, str]]:
    """A line for each value."""
    rows = []
    for segment in found.segments:
        shown_n = max(1, segment.decisions_n)
        shown = [f"{a} {percent(n / shown_n)}" for a, n in segment.actions.items()]
        rows.append(
            {
                found.by: segment.value.strip('"') or "(absent)",
                "decisions": f"{segment.counted_n:,}",
                "units": f"{segment.units_n:,}",
                "rewarded": percent(segment.rewarded_share),
                "reward": number(segment.reward_mean),
            }
            | dict(zip(PLACES, [*shown, "", "", ""], strict=False))
        )
    return rows


@st.fragment(run_every=REFRESH_S)
def _live_weights(source: Source, key: str, alpha: float) -> None:
    report, _ = source.surface(key, alpha)
    if report is None or report.health.newest_decision_ms is None:
        return
    st.header("What the newest snapshot has learned", anchor=False)
    learning = [policy.policy for policy in report.health.policies if policy.learns]
    if not learning:
        st.markdown(f"No policy learns from {key}.")
        return
    policy = choose("Learning policy", learning, "learner") if learning[1:] else learning[0]
    found, problem = source.look(("weights", policy), lambda d: d.surfaces.weights(policy))
    if found is None:
        st.warning(f"This can not be told now: {problem}.", icon=":material/hourglass_empty:")
        return
    if found.reason is not None:
        st.markdown(f"{policy} can not be read: {NO_WEIGHTS[found.reason]}.")
        return
    show_chart(weights_chart(found.weights[:WEIGHTS]), "Nothing has a weight yet.")
    st.caption(weights_in_words(found))
    with st.expander("All of these weights"):
        show_table([weight_row(weight) for weight in found.weights])


def weights_in_words(found: WeightsReport) -> str:
    """Of what the weights are."""
    return (
        f"{found.policy}@{found.snapshot}: {found.features_n:,} features and pairs of features of "
        f"the newest {found.sampled_n:,} decisions have a weight. *Moves by*: weight × how much "
        "the feature varies between what is offered."
    )


def weight_row(found: FeatureWeight) -> dict[str, str]:
    """A line of the table of weights."""
    return {
        "feature": weight_name(found),
        "weight": number(found.weight, "+"),
        "moves by": number(found.spread),
        "offers with it": f"{found.seen_n:,}",
    }
