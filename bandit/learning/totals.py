"""Many rewards of one decision → one number per slot; pure."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from bandit.learning.counts import Counts
from bandit.records import LoggedDecision
from bandit.specs import Surface
from bandit.store.logged import LoggedReward

AGGREGATIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "mean": statistics.fmean,
    "max": max,
    "min": min,
}
"""How several rewards of one name and slot, oldest first, become one number."""


def window_ms(surface: Surface) -> int:
    """The join window in whole milliseconds, at least one."""
    return max(1, round(surface.join_window_s * 1000))


def slot_totals(
    decision: LoggedDecision, rows: Iterable[LoggedReward], surface: Surface, counts: Counts
) -> dict[int, float]:
    """Totals of the slots that earned anything.

    Values are taken oldest first by `(ts, writer, seq, surface)`, so the answer does not depend on
    the order in which they were read.

    Args:
        decision: Whose rewards they are.
        rows: All rewards that name its event id.
        surface: Says what counts: window, bounds, weights, aggregation.
        counts: Goes up for what does not count.

    Returns:
        Slot → number in `[reward_low, reward_high]`.
    """
    values = _values(decision, rows, surface, counts)
    aggregate = AGGREGATIONS[surface.aggregation]
    weights = surface.reward_weights
    totals: dict[int, float] = {}
    for slot, name in sorted(values):
        weight = weights.get(name, 0.0) if weights else 1.0
        totals[slot] = totals.get(slot, 0.0) + weight * aggregate(values[slot, name])
    for slot, total in totals.items():
        if not surface.reward_low <= total <= surface.reward_high:
            counts.out_of_bounds += 1
            totals[slot] = min(max(total, surface.reward_low), surface.reward_high)
    return totals


def _values(
    decision: LoggedDecision, rows: Iterable[LoggedReward], surface: Surface, counts: Counts
) -> dict[tuple[int, str], list[float]]:
    """The values that count by slot and name, oldest first."""
    end_ms = decision.ts_ms + window_ms(surface)
    slots_n = len(decision.ranking)
    taken: set[str] = set()
    values: dict[tuple[int, str], list[float]] = {}
    for row in sorted(rows, key=_place):
        reward = row.record
        if not decision.ts_ms <= reward.ts_ms < end_ms:
            counts.late += 1
        elif reward.slot >= slots_n:
            counts.orphan += 1
        elif not surface.reward_low <= reward.value <= surface.reward_high:
            counts.out_of_bounds += 1
        elif reward.reward_id in taken:
            counts.duplicate += 1
        else:
            taken.add(reward.reward_id)
            values.setdefault((reward.slot, reward.name), []).append(reward.value)
    return values


def _place(row: LoggedReward) -> tuple[int, str, int, str]:
    """A total order: a writer counts rows by surface, and those that name none by themselves."""
    return row.record.ts_ms, row.writer, row.seq, row.record.surface
