"""Typed sums about single actions of a surface; the SQL is in `queries/actions.sql`.

A log whose probabilities moved with its results tells what always showing one action would earn by
scores (`bandit.stats.adaptive`): here the store adds them up, by unit and then over units.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandit.specs import KILL_SWITCH
from bandit.stats import JointMoments, Propensities
from bandit.store.client import Store
from bandit.store.reports import Scope, joining

SIZE, SCORE, WEIGHT, WEIGHTED, INVERSE, EARNED, BOTH, GAP = range(8)
"""Columns of `ActionScores.moments`."""


class ShownAction(NamedTuple):
    """An action by what was on top: the plain count.

    Attributes:
        actions_n: How many actions were ever shown, this one among them.
    """

    action: str
    shown_n: int
    rewarded_n: int
    reward_sum: float
    actions_n: int


class LeftOut(NamedTuple):
    """Closed decisions by whether scores may be made of them.

    Attributes:
        judged_n: They may.
        forced_n … certain_n: They may not, by the first reason: the variant was set by hand; nobody
            saw the slot; it was given; it showed something else; the kill switch drew nothing; a
            policy drew with certainty although there was a choice.
        first_ms, last_ms: Of the judged ones; 0 without any.
    """

    judged_n: int
    forced_n: int
    unseen_n: int
    pinned_n: int
    overridden_n: int
    killed_n: int
    certain_n: int
    first_ms: int
    last_ms: int


class Periods(NamedTuple):
    """Equal pieces of time, so that a prediction may use what came before its own.

    Attributes:
        first_ms: Where the first begins.
        step_ms: How long each is.
        n: How many.
    """

    first_ms: int
    step_ms: int
    n: int

    @classmethod
    def of(cls, left_out: LeftOut, n: int) -> "Periods":
        """`n` periods from the first judged decision to the last."""
        span = left_out.last_ms - left_out.first_ms + 1
        return cls(left_out.first_ms, max(1, math.ceil(span / n)), n)


class PeriodSums(NamedTuple):
    """Sums per action and period, `(k, periods)` each.

    Attributes:
        eligible: Decisions where the action could be drawn.
        propensity: Its probability there, added up.
        drawn: How often it was drawn.
        reward: What that earned.
    """

    eligible: NDArray[np.float64]
    propensity: NDArray[np.float64]
    drawn: NDArray[np.float64]
    reward: NDArray[np.float64]


class ActionScores(NamedTuple):
    """What the scores of one action add up to.

    Attributes:
        decisions_n: Where it could be drawn.
        drawn_n: How often it was.
        effective_n: How many equal draws those are worth (`stats.effective_draws`).
        moments: Over units; see the constants of this module for the columns.
    """

    decisions_n: int
    drawn_n: int
    effective_n: float
    moments: JointMoments


class ActionNumbers:
    """Sums over one store's log; each method is one query and may raise `StoreUnavailable`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def shown(self, scope: Scope, limit: int) -> list[ShownAction]:
        """The actions shown most often, most shown first."""
        rows = self._store.rows("report_actions_shown", **joining(scope), limit=limit)
        return [ShownAction(*row) for row in rows]

    def left_out(self, scope: Scope) -> LeftOut:
        """Which decisions tell of other actions, and which do not."""
        [row] = self._store.rows(
            "report_actions_left_out", **joining(scope), kill_switch=KILL_SWITCH
        )
        return LeftOut(*map(int, row))

    def draws(self, scope: Scope, actions: Sequence[str]) -> dict[str, Propensities]:
        """Draws of the actions against their propensities, over every drawn decision as of then."""
        rows = self._store.rows(
            "report_actions_draws",
            surface=scope.surface.key,
            from_ms=scope.from_ms,
            at_ms=scope.at_ms,
            actions=list(actions),
        )
        return {
            action: Propensities(n=int(n), drawn=int(drawn), expected=expected, variance=variance)
            for action, n, drawn, expected, variance in rows
        }

    def by_period(self, scope: Scope, actions: Sequence[str], periods: Periods) -> PeriodSums:
        """What each period knows of each action."""
        rows = self._store.rows(
            "report_actions_periods",
            **joining(scope),
            kill_switch=KILL_SWITCH,
            actions=list(actions),
            first_ms=periods.first_ms,
            step_ms=periods.step_ms,
        )
        table = np.zeros((4, len(actions), periods.n))
        places = {action: place for place, action in enumerate(actions)}
        for action, period, *sums in rows:
            table[:, places[action], int(period)] = sums
        return PeriodSums(*table)

    def scores(
        self,
        scope: Scope,
        actions: Sequence[str],
        periods: Periods,
        predictions: NDArray[np.float64],
        weights: NDArray[np.float64],
        reference: int,
    ) -> dict[str, ActionScores]:
        """Scores per action, and their difference to the scores of a reference.

        Args:
            scope: The surface, as of when.
            actions: Ids.
            periods: Of predictions and weights.
            predictions: m, `(k, periods)`, each from earlier periods only.
            weights: h, `(k, periods)`, the same.
            reference: Place of the reference in `actions`.
        """
        rows = self._store.rows(
            "report_actions_scores",
            **joining(scope),
            kill_switch=KILL_SWITCH,
            actions=list(actions),
            first_ms=periods.first_ms,
            step_ms=periods.step_ms,
            periods=periods.n,
            predictions=predictions.ravel().tolist(),
            period_weights=weights.ravel().tolist(),
            reference=reference + 1,
        )
        return {
            action: ActionScores(
                decisions_n=int(decisions_n),
                drawn_n=int(drawn_n),
                effective_n=inverse**2 / squares if squares else 0.0,
                moments=JointMoments.of_covariance(int(units_n), means, covariance),
            )
            for action, units_n, decisions_n, drawn_n, inverse, squares, means, covariance in rows
        }
