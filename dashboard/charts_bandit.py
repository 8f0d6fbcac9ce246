"""Charts of a surface: what is shown over time, what is learned and paid, what comes back; pure."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from bandit.service.reporting_actions import ActionValue
from bandit.service.reporting_exploration import ExplorationDay
from bandit.service.reporting_payloads import Series, SnapshotMark
from bandit.service.reporting_surface_payloads import DelayBucket, FeatureWeight, PolicyAllocation
from bandit.service.reporting_words import duration, number, percent
from dashboard.charts import (
    DASHES,
    DAY_MS,
    NEUTRAL,
    PALETTE,
    TICK_PX,
    Drawing,
    Row,
    legend,
    legend_px,
)

OTHERS = "all others"
"""Actions that are not told by name."""
UNIFORM = "uniform-slice"


def allocation_rows(found: PolicyAllocation) -> list[Row]:
    """A row per bucket and action, and one for all others: its share of the bucket's decisions.

    `from` and `to` are where it lies if shares are laid upon one another.
    """
    rows = []
    has_others = sum(found.shown.values()) < found.decisions_n
    for bucket in found.buckets:
        below_n = 0
        parts = [(action, bucket.shown.get(action, 0)) for action in found.actions]
        if has_others:
            parts.append((OTHERS, bucket.decisions_n - sum(n for _, n in parts)))
        for action, n in parts:
            rows.append(_part(bucket.at_ms, action, n, below_n, bucket.decisions_n))
            below_n += n
    return rows


def allocation_chart(
    found: PolicyAllocation, bucket_ms: int, snapshots: Sequence[SnapshotMark]
) -> Drawing | None:
    """Stacked shares of what was on top, with a tick above where a snapshot was published."""
    rows = allocation_rows(found)
    if not rows:
        return None
    for row in rows:
        row["end"] = row["at"] + bucket_ms
    labels = list(dict.fromkeys(row["action"] for row in rows))
    first, last = found.buckets[0].at_ms, found.buckets[-1].at_ms + bucket_ms
    colours = [NEUTRAL if label == OTHERS else PALETTE[i % 7] for i, label in enumerate(labels)]
    bars = (
        alt.Chart(_data(rows))
        .mark_rect()
        .encode(
            x=_time_axis(first, last),
            x2="end:T",
            y=alt.Y(
                "from:Q", title="share of decisions", axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            y2="to:Q",
            color=alt.Color(
                "action:N", title=None, sort=labels,
                scale=alt.Scale(domain=labels, range=colours),
                legend=legend(labels),
            ),
            tooltip=[
                alt.Tooltip("action:N"),
                alt.Tooltip("share:Q", format=".1%"),
                alt.Tooltip("n:Q", title="decisions", format=",d"),
                alt.Tooltip("at:T", title="from", format="%b %d %H:%M:%S"),
            ],
        )
    )  # fmt: skip
    marks = _marks(snapshots, first, last)
    layers = [bars, marks] if marks is not None else [bars]
    shown = ", ".join(f"{action} {percent(found.shares[action])}" for action in found.actions)
    said = f"What {found.policy} had on top over time, as shares. In all: {shown}."
    return Drawing(alt.layer(*layers).properties(height=260 + legend_px(labels)), said)


def explored_chart(found: PolicyAllocation, bucket_ms: int) -> Drawing | None:
    """How often another action was likelier than the one drawn, over time."""
    rows: list[Row] = [
        {"at": bucket.at_ms + bucket_ms, "share": bucket.explored_share}
        for bucket in found.buckets
        if bucket.explored_share is not None
    ]
    if not rows:
        return None
    line = (
        alt.Chart(_data(rows))
        .mark_line(color=PALETTE[0], strokeWidth=2.5, point=len(rows) <= 2)
        .encode(
            x=_time_axis(rows[0]["at"], rows[-1]["at"]),
            y=alt.Y(
                "share:Q",
                title="explored",
                axis=alt.Axis(format=".2~%", tickCount=5),
                scale=alt.Scale(domain=[0, max(0.01, *(row["share"] for row in rows))]),
            ),
            tooltip=[alt.Tooltip("share:Q", title="explored", format=".1%")],
        )
        .properties(height=200)
    )
    said = (
        f"Share of decisions at which {found.policy} drew an action that was not the likeliest, "
        f"over time; {percent(found.explored_share)} in all."
    )
    return Drawing(line, said)


def learning_rows(series: Series, policies: Sequence[str]) -> list[Row]:
    """A row per policy and bucket: the mean of the bucket, and the mean so far."""
    return [
        {
            "policy": point.label,
            "at": point.at_ms,
            "so far": point.running_mean,
            "mean": point.reward_sum / point.decisions_n,
            "decisions": point.decisions_n,
        }
        for point in series.running
        if point.label in policies
    ]


def learning_chart(series: Series, policy: str) -> Drawing | None:
    """Reward per decision so far, of a policy and of the uniform slice."""
    rows = learning_rows(series, (policy, UNIFORM))
    if not any(row["policy"] == policy for row in rows):
        return None
    labels = [policy, *([UNIFORM] if any(row["policy"] == UNIFORM for row in rows) else [])]
    scale = alt.Scale(domain=labels, range=list(PALETTE[: len(labels)]))
    shown_as = legend(labels, lines=True)
    lines = (
        alt.Chart(_data(rows))
        .mark_line(strokeWidth=2.5, point=len(rows) <= 2 * len(labels))
        .encode(
            x=_time_axis(min(r["at"] for r in rows), max(r["at"] for r in rows)),
            y=alt.Y("so far:Q", title="reward per decision so far", scale=alt.Scale(zero=False)),
            color=alt.Color("policy:N", title=None, scale=scale, legend=shown_as),
            strokeDash=alt.StrokeDash(
                "policy:N", title=None, legend=shown_as,
                scale=alt.Scale(domain=labels, range=[list(d) for d in DASHES[: len(labels)]]),
            ),
            tooltip=[
                alt.Tooltip("policy:N"),
                alt.Tooltip("so far:Q", format=".4~g"),
                alt.Tooltip("mean:Q", title="in this time", format=".4~g"),
                alt.Tooltip("decisions:Q", format=",d"),
            ],
        )
    )  # fmt: skip
    last = {row["policy"]: row["so far"] for row in rows}
    said = ", ".join(f"{label} {number(last[label])}" for label in labels)
    marks = _marks(
        [m for m in series.snapshots if m.policy == policy],
        min(r["at"] for r in rows),
        max(r["at"] for r in rows),
    )
    layers = [marks, lines] if marks is not None else [lines]
    chart = alt.layer(*layers).properties(height=240 + legend_px(labels))
    return Drawing(chart, f"Reward per decision so far, over time; now {said}.")


def price_rows(days: Sequence[ExplorationDay]) -> list[Row]:
    """A row per day that can be told."""
    return [
        {"day": day.day, "price": day.price, "low": day.price_low, "high": day.price_high}
        for day in days
        if day.price is not None
    ]


def price_chart(days: Sequence[ExplorationDay]) -> Drawing | None:
    """Reward given up per day, with intervals."""
    rows = price_rows(days)
    if not rows:
        return None
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("day:O", title="day (UTC)", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        tooltip=[
            alt.Tooltip("day:O"),
            *(alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("price", "low", "high")),
        ],
    )
    bounds = base.transform_filter("datum.low != null").mark_rule(color=PALETTE[0], strokeWidth=3)
    dots = base.mark_point(filled=True, size=90, opacity=1, color=PALETTE[0])
    chart = alt.layer(
        bounds.encode(y=alt.Y("low:Q", title="reward given up"), y2="high:Q"),
        dots.encode(y="price:Q"),
    ).properties(height=220)
    said = "; ".join(f"{row['day']}: {number(row['price'])}" for row in rows)
    return Drawing(chart, f"Reward that exploring gave up, by day. {said}.")


def action_rows(actions: Sequence[ActionValue], *, anytime: bool) -> list[Row]:
    """A row per action that can be valued."""
    rows = []
    for found in actions:
        value = found.value
        if value.value is not None:
            low, high = (
                (value.anytime_ci_low, value.anytime_ci_high)
                if anytime
                else (value.ci_low, value.ci_high)
            )
            rows.append(
                {
                    "action": found.action,
                    "value": value.value,
                    "low": low,
                    "high": high,
                    "shown": found.shown_n,
                }
            )
    return rows


def actions_chart(actions: Sequence[ActionValue], *, anytime: bool = True) -> Drawing | None:
    """What always showing each action would earn: a dot and its interval."""
    rows = action_rows(actions, anytime=anytime)
    if not rows:
        return None
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y(
            "action:N", title=None, sort=[row["action"] for row in rows],
            axis=alt.Axis(labelLimit=140, labelOverlap=False, ticks=False, domain=False),
        ),
        tooltip=[
            alt.Tooltip("action:N"),
            *(alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("value", "low", "high")),
            alt.Tooltip("shown:Q", format=",d"),
        ],
    )  # fmt: skip
    bounds = base.transform_filter("datum.low != null").mark_rule(color=PALETTE[0], strokeWidth=3)
    axis = alt.Axis(format=".4~g", tickCount=6, labelOverlap=True)
    x = alt.X("low:Q", title="reward per decision", axis=axis, scale=alt.Scale(zero=False))
    dots = base.mark_point(filled=True, size=80, opacity=1, color=PALETTE[0])
    chart = alt.layer(bounds.encode(x=x, x2="high:Q"), dots.encode(x="value:Q"))
    said = "; ".join(
        f"{row['action']}: {number(row['value'])}"
        + ("" if row["low"] is None else f", from {number(row['low'])} to {number(row['high'])}")
        for row in rows
    )
    return Drawing(
        chart.properties(height=80 + 36 * len(rows)),
        f"What always showing an action would earn per decision. {said}.",
    )


def weight_name(found: FeatureWeight) -> str:
    """A pair of features as one text."""
    return f"{found.context} × {found.action}" if found.context else found.action


def weights_chart(weights: Sequence[FeatureWeight]) -> Drawing | None:
    """How far each feature moves predictions: to the right it helps, to the left it harms."""
    rows: list[Row] = [
        {
            "feature": weight_name(found),
            "moves": found.spread if found.weight > 0 else -found.spread,
            "weight": found.weight,
            "seen": found.seen_n,
            "side": "more reward" if found.weight > 0 else "less reward",
        }
        for found in weights
    ]
    if not rows:
        return None
    both = ["more reward", "less reward"]
    sides = [side for side in both if any(row["side"] == side for row in rows)]
    colours = [PALETTE[both.index(side)] for side in sides]
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X(
                "moves:Q", title="predicted reward moves by",
                axis=alt.Axis(format=".3~g", tickCount=6, labelOverlap=True),
            ),
            y=alt.Y(
                "feature:N", title=None, sort=[row["feature"] for row in rows],
                axis=alt.Axis(labelLimit=170, labelOverlap=False, ticks=False, domain=False),
            ),
            color=alt.Color(
                "side:N", title=None, legend=legend(sides, columns=1),
                scale=alt.Scale(domain=sides, range=colours),
            ),
            tooltip=[
                alt.Tooltip("feature:N"),
                alt.Tooltip("weight:Q", format="+.4~g"),
                alt.Tooltip("moves:Q", format="+.4~g"),
                alt.Tooltip("seen:Q", title="offers with it", format=",d"),
            ],
        )
        .properties(height=110 + 30 * len(rows))
    )  # fmt: skip
    said = "; ".join(f"{row['feature']}: {number(row['moves'], '+')}" for row in rows)
    return Drawing(chart, f"Features that move the predicted reward the most. {said}.")


def delay_rows(delays: Sequence[DelayBucket]) -> list[Row]:
    """A row per bucket."""
    return [
        {
            "delay": f"{duration(bucket.from_ms)} to {duration(bucket.to_ms)}",
            "rewards": bucket.rewards_n,
            "from_ms": bucket.from_ms,
        }
        for bucket in delays
    ]


def delays_chart(delays: Sequence[DelayBucket], window_ms: int) -> Drawing | None:
    """How long rewards took; those after the join window in another colour."""
    rows = delay_rows(delays)
    if not rows:
        return None
    sides = ["in the join window", "some or all of them after it"]
    for row, bucket in zip(rows, delays, strict=True):
        row["side"] = sides[bucket.to_ms > window_ms]
    chart = (
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            y=alt.Y("delay:N", title=None, sort=[row["delay"] for row in rows],
                    axis=alt.Axis(labelLimit=170, labelOverlap=False)),
            x=alt.X("rewards:Q", title="rewards", axis=alt.Axis(tickMinStep=1, tickCount=6)),
            color=alt.Color("side:N", title=None, legend=legend(sides, columns=1),
                            scale=alt.Scale(domain=sides, range=list(PALETTE[:2]))),
            tooltip=[alt.Tooltip("delay:N"), alt.Tooltip("rewards:Q", format=",d")],
        )
        .properties(height=110 + 30 * len(rows))
    )  # fmt: skip
    said = "; ".join(f"{row['delay']}: {row['rewards']:,}" for row in rows)
    return Drawing(
        chart, f"How long rewards took; the join window is {duration(window_ms)}. {said}."
    )


def _data(rows: list[Row]) -> dict[str, Any]:
    """Rows inside the specification itself."""
    return {"values": rows}


def _part(at_ms: int, action: str, n: int, below_n: int, of_n: int) -> Row:
    return {
        "at": at_ms,
        "action": action,
        "n": n,
        "share": n / of_n,
        "from": below_n / of_n,
        "to": (below_n + n) / of_n,
    }


def _marks(snapshots: Sequence[SnapshotMark], first_ms: int, last_ms: int) -> Any:
    rows = [
        {"at": mark.at_ms, "snapshot": f"{mark.policy}@{mark.number}", "trained": mark.trained}
        for mark in snapshots
        if first_ms <= mark.at_ms <= last_ms
    ]
    if not rows:
        return None
    return (
        alt.Chart(_data(rows))
        .mark_rule(color=NEUTRAL, strokeWidth=1.5)
        .encode(
            x=_time_axis(first_ms, last_ms),
            y=alt.value(-TICK_PX),
            y2=alt.value(0),
            tooltip=[
                alt.Tooltip("snapshot:N"),
                alt.Tooltip("trained:Q", title="decisions learned from", format=",d"),
            ],
        )
    )


def _time_axis(first_ms: int, last_ms: int) -> alt.X:
    """In UTC, as fine as the time shown is long."""
    span_ms = last_ms - first_ms
    form = "%H:%M:%S" if span_ms < 180_000 else "%H:%M" if span_ms < DAY_MS else "%b %d %H:%M"
    return alt.X(
        "at:T",
        title="time (UTC)",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(format=form, tickCount=6, labelOverlap=True),
    )
