"""The newest decisions of a surface, so many that a page may look at their rows.

What is asked here costs by `rows`, never by the length of the log; the SQL is in
`queries/recent.sql`.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from bandit.store.client import Store
from bandit.store.reports import Scope, joining

LOOK_BACK_MS = 28 * 86_400_000
"""Older decisions are not recent, however few there are."""
_AROUND_MS = 2 * 3_600_000
MOST_ROWS = 1000
"""Rewards, or exposures, of one decision that are read."""


class Window(NamedTuple):
    """The newest decisions: when they begin, and about how many rows there are."""

    since_ms: int
    rows_n: int


class SegmentSums(NamedTuple):
    """Closed decisions with one value of a member of the context."""

    value: str
    counted_n: int
    rewarded_n: int
    reward_sum: float
    units_n: int
    values_n: int


class OfferedAction(NamedTuple):
    """An action that was first offered lately."""

    action: str
    first_ms: int
    offered_n: int
    eligible_n: int
    expected_n: float
    shown_n: int
    newcomers_n: int


class DelayStep(NamedTuple):
    """Rewards that came 10^(step / 2) to 10^((step + 1) / 2) ms after their decision."""

    step: int
    known: bool
    rewards_n: int
    late_n: int
    repeated_n: int


class DecisionLine(NamedTuple):
    """A decision in a list."""

    event_id: str
    ts_ms: int
    unit_id: str
    experiment: str
    variant: str
    policy: str
    snapshot: int
    top: str
    propensity: float
    offered_n: int


class RewardRow(NamedTuple):
    """A reward as it was accepted."""

    ts_ms: int
    decision_ts_ms: int
    slot: int
    name: str
    value: float
    reward_id: str


class ExposureRow(NamedTuple):
    """An exposure as it was accepted."""

    ts_ms: int
    slots: tuple[int, ...]
    overridden: dict[int, str]


class JudgedDecision(NamedTuple):
    """What a decision's top slot earned, as it is joined."""

    rewarded: bool
    seen: bool
    reward: float
    rewards: dict[str, float]


class Recent:
    """The newest decisions of one store; each method is one query, may raise `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def window(self, surface: str, at_ms: int, rows: int) -> Window | None:
        """Where about the newest so many decisions begin; None without any in 28 days."""
        found = self._store.rows(
            "recent_since",
            surface=surface,
            from_ms=max(0, at_ms - LOOK_BACK_MS),
            at_ms=at_ms,
            rows=rows,
        )
        return Window(*map(int, found[0])) if found else None

    def members(self, surface: str, window: Window, at_ms: int, most: int) -> list[str]:
        """Members of the context that take 2 to `most` values."""
        rows = self._store.rows(
            "recent_members", surface=surface, from_ms=window.since_ms, at_ms=at_ms, most=most
        )
        return [member for (member,) in rows]

    def segments(self, scope: Scope, by: str, policy: str, limit: int) -> list[SegmentSums]:
        """Closed decisions by the value of a member, the most frequent first."""
        rows = self._store.rows(
            "recent_segments", **joining(scope), by=by, policy=policy, limit=limit
        )
        return [SegmentSums(*row) for row in rows]

    def segment_actions(
        self, scope: Scope, by: str, policy: str, segments: Sequence[str], actions_n: int
    ) -> dict[str, tuple[int, dict[str, int]]]:
        """How many decisions some values have, and how often they showed what they showed most."""
        rows = self._store.rows(
            "recent_segment_actions",
            surface=scope.surface.key,
            from_ms=scope.from_ms,
            through_ms=scope.closed_ms,
            by=by,
            policy=policy,
            segments=list(segments),
            actions_n=actions_n,
        )
        found: dict[str, tuple[int, dict[str, int]]] = {}
        for segment, action, shown_n, decisions_n in rows:
            found.setdefault(segment, (int(decisions_n), {}))[1][action] = int(shown_n)
        return found

    def newcomers(
        self, surface: str, window: Window, new_from_ms: int, at_ms: int, limit: int
    ) -> list[OfferedAction]:
        """Actions that were first offered after `new_from_ms`, the newest first."""
        rows = self._store.rows(
            "recent_newcomers",
            surface=surface,
            from_ms=window.since_ms,
            new_from_ms=new_from_ms,
            at_ms=at_ms,
            limit=limit,
        )
        return [OfferedAction(*row) for row in rows]

    def delays(self, surface: str, window: Window, at_ms: int, window_ms: int) -> list[DelayStep]:
        """Rewards for decisions of the window, by how long they took."""
        rows = self._store.rows(
            "recent_delays",
            surface=surface,
            from_ms=window.since_ms,
            at_ms=at_ms,
            window_ms=window_ms,
        )
        return [DelayStep(int(step), bool(known), *map(int, rest)) for step, known, *rest in rows]

    def decisions(
        self, surface: str, unit_id: str, from_ms: int, at_ms: int, limit: int
    ) -> list[DecisionLine]:
        """The newest ones in a range of time, newest first; '' for every unit."""
        rows = self._store.rows(
            "recent_decisions",
            surface=surface,
            unit_id=unit_id,
            from_ms=from_ms,
            at_ms=at_ms,
            limit=limit,
        )
        return [DecisionLine(*row) for row in rows]

    def rewards(self, event_id: str) -> list[RewardRow]:
        """Rewards that name a decision, in the order in which they are joined."""
        rows = self._store.rows("decision_rewards", **_around(event_id), limit=MOST_ROWS)
        return [RewardRow(*row) for row in rows]

    def exposures(self, event_id: str) -> list[ExposureRow]:
        """Exposures that name a decision, oldest first."""
        rows = self._store.rows("decision_exposures", **_around(event_id), limit=MOST_ROWS)
        return [
            ExposureRow(int(ts_ms), tuple(slots), dict(zip(places, ids, strict=True)))
            for ts_ms, slots, places, ids in rows
        ]

    def judged(self, scope: Scope, event_id: str, ts_ms: int) -> JudgedDecision | None:
        """What a decision earned by the rules of its surface; None if it is not in the log."""
        given = joining(scope) | {"from_ms": ts_ms, "through_ms": ts_ms}
        rows = self._store.rows("decision_judged", **given, event_id=event_id)
        return JudgedDecision(*rows[0]) if rows else None


def _around(event_id: str) -> dict[str, object]:
    ts_ms = UUID(event_id).int >> 80
    return {
        "event_id": event_id,
        "since_ms": max(0, ts_ms - _AROUND_MS),
        "until_ms": ts_ms + _AROUND_MS,
    }
