"""What always showing one action would earn, from a log whose probabilities moved with results.

Plain means of such a log mislead: an action that was unlucky early is shown less, and stays at its
bad mean. Scores that are weighted by the logged propensities do not (`bandit.stats.adaptive`). They
are averaged here over the decisions where the action could be drawn, with units as clusters.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bandit.errors import RecordError
from bandit.records import Record
from bandit.service.limits import check_count, check_level
from bandit.service.projects import seen_by
from bandit.service.reporting_declared import DeclaredAt
from bandit.stats import (
    JointMoments,
    Propensities,
    PropensityCheck,
    action_weights,
    check_propensities,
    ratio_of,
)
from bandit.stats.fixed import critical_value as fixed_critical
from bandit.stats.sequential import TUNED_FOR, critical_value, mixture_precision
from bandit.stats.sequential.comparison import FIRST_LOOK
from bandit.stats.sequential.scores import FIRST_DRAWS
from bandit.stats.srm import ALARM
from bandit.store.action_numbers import (
    BOTH,
    EARNED,
    GAP,
    INVERSE,
    SCORE,
    SIZE,
    WEIGHT,
    WEIGHTED,
    ActionNumbers,
    ActionScores,
    LeftOut,
    Periods,
    PeriodSums,
    ShownAction,
)
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.reports import Scope

PERIODS = 50
"""Pieces of the log's time; a prediction uses those before its own."""
MOST = 100
"""Actions that one report tells of."""

WhyNot = Literal[
    "never_eligible", "never_drawn", "few_draws", "one_unit", "no_variance", "never_together"
]


class ActionEstimate(Record, frozen=True, kw_only=True):
    """A number about an action with its intervals; None with a reason.

    Attributes:
        value: Per decision.
        std_error: Over units.
        ci_low, ci_high: For one planned look.
        anytime_ci_low, anytime_ci_high: At every look together.
        reason: Why there is no interval (of `never_…`: no value either).
        anytime_reason: Why there is none for every look: the same, `few_units`, or
            `one_look_only`, because only means of scores with equal weights have one.
    """

    value: float | None = None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    anytime_ci_low: float | None = None
    anytime_ci_high: float | None = None
    reason: WhyNot | None = None
    anytime_reason: WhyNot | Literal["few_units", "one_look_only"] | None = None


class ActionValue(Record, frozen=True, kw_only=True):
    """One action.

    Attributes:
        action: Its id.
        shown_n: Decisions whose top slot showed it.
        rewarded_n: Those that anything came back for.
        mean: What they earned on average. It is biased where a policy learnt from it.
        eligible_n: Decisions where it could have been drawn, and that tell of it.
        drawn_n: How often it was drawn there.
        effective_n: How many equal draws those are worth, given their propensities.
        value: What always showing it would earn per such decision (AIPW, equal weights).
        hajek: The same by self-normalised inverse propensities, without predictions.
        two_point: The same scores with weights that even out their variance: narrower, a little
            too narrow.
        difference: `value` less the reference's, where both could be drawn; None of the reference.
        audit: Whether it was drawn as often as its logged propensities say: the test of the sample
            ratio for an allocation that moves.
    """

    action: str
    shown_n: int
    rewarded_n: int
    mean: float | None
    eligible_n: int = 0
    drawn_n: int = 0
    effective_n: float = 0.0
    value: ActionEstimate
    hajek: ActionEstimate
    two_point: ActionEstimate
    difference: ActionEstimate | None = None
    audit: PropensityCheck


class NotJudged(Record, frozen=True, kw_only=True):
    """Closed decisions that tell nothing of other actions, each under the first reason that holds.

    Attributes:
        forced_n: The variant was set by hand.
        unseen_n: Nobody saw the top slot.
        pinned_n: It was given, not drawn.
        overridden_n: It showed something else.
        killed_n: The kill switch was on, which draws nothing.
        certain_n: A policy gave all its probability to one action although there was a choice.
    """

    forced_n: int
    unseen_n: int
    pinned_n: int
    overridden_n: int
    killed_n: int
    certain_n: int


class ActionsReport(Record, frozen=True, kw_only=True):
    """The most shown actions of a surface.

    Attributes:
        as_of_ms: As of when.
        since_ms: Of decisions from then on.
        alpha: 1 − the level of every interval, each by itself.
        key: Of the surface.
        surface_version: Whose reward rules hold.
        reference: The action that others are compared with; None without any action.
        judged_n: Decisions that scores were made of.
        not_judged: The others, by reason.
        actions_n: How many actions were ever shown; the report has the `limit` most shown.
        actions: Most shown first.
        audit: The worst verdict of the actions' audits, Bonferroni over all actions.
    """

    as_of_ms: int
    since_ms: int
    alpha: float
    key: str
    surface_version: int
    reference: str | None
    judged_n: int
    not_judged: NotJudged
    actions_n: int
    actions: tuple[ActionValue, ...]
    audit: Literal["fine", "mismatch", "unknown"]


class ActionReports:
    """Reports about single actions; keeps nothing, so any thread or process may make its own."""

    def __init__(self, store: Store, now_ms: Callable[[], int], project: str | None = None) -> None:
        """Report on a store.

        Args:
            store: Whose log and definitions.
            now_ms: The clock.
            project: Only this one's surfaces; None: everybody's.
        """
        definitions = Definitions(store)
        self._definitions = seen_by(project, lambda: definitions)()
        self._numbers = ActionNumbers(store)
        self._now_ms = now_ms

    def actions(
        self,
        key: str,
        alpha: float = 0.05,
        *,
        limit: int = 20,
        reference: str | None = None,
        since_ms: int = 0,
        at_ms: int | None = None,
        surface_version: int | None = None,
    ) -> ActionsReport:
        """Report the most shown actions of a surface.

        Args:
            key: Of the surface.
            alpha: 1 − the level of every interval, in (0, 1).
            limit: How many actions, 1 to 100.
            reference: Action that others are compared with; the most shown one if None.
            since_ms: Only decisions from then on; a report costs by decisions × actions.
            at_ms: As of when; now if None.
            surface_version: Whose reward rules hold; the newest if None.

        Raises:
            NotDeclared: No such surface.
            RecordError: An argument is out of its range, or the reference is not among the
                reported actions.
            StoreUnavailable: The store did not answer.
        """
        check_level(alpha)
        check_count("limit", limit, MOST)
        surface, version = DeclaredAt(self._definitions).surface(key, surface_version)
        now_ms = self._now_ms()
        at_ms = now_ms if at_ms is None else min(at_ms, now_ms)  # nobody knows more than now
        scope = Scope(surface, at_ms, from_ms=max(since_ms, 0))
        shown, left_out = self._numbers.shown(scope, limit), self._numbers.left_out(scope)
        names, actions_n = [each.action for each in shown], shown[0].actions_n if shown else 0
        place = _place(names, reference)
        scores = self._scores(scope, names, left_out, place)
        draws = self._numbers.draws(scope, names) if names else {}
        values = tuple(
            _value(each, scores, draws.get(each.action), names[place], alpha) for each in shown
        )
        return ActionsReport(
            as_of_ms=scope.at_ms,
            since_ms=scope.from_ms,
            alpha=alpha,
            key=key,
            surface_version=version,
            reference=names[place] if names else None,
            judged_n=left_out.judged_n,
            not_judged=_not_judged(left_out),
            actions_n=actions_n,
            actions=values,
            audit=_worst([value.audit for value in values], actions_n),
        )

    def _scores(
        self, scope: Scope, names: Sequence[str], left_out: LeftOut, reference: int
    ) -> dict[str, ActionScores]:
        """Scores of the actions; of none where no decision tells of any."""
        if not names or not left_out.judged_n:
            return {}
        periods = Periods.of(left_out, PERIODS)
        sums = self._numbers.by_period(scope, names, periods)
        return self._numbers.scores(
            scope, names, periods, foretold(sums), period_weights(sums), reference
        )


def _not_judged(left_out: LeftOut) -> NotJudged:
    return NotJudged(
        forced_n=left_out.forced_n,
        unseen_n=left_out.unseen_n,
        pinned_n=left_out.pinned_n,
        overridden_n=left_out.overridden_n,
        killed_n=left_out.killed_n,
        certain_n=left_out.certain_n,
    )


def foretold(sums: PeriodSums) -> NDArray[np.float64]:
    """What each action was known to earn before each period, `(k, periods)`.

    Its mean so far, drawn towards that of all listed actions as by one more draw; 0 where nothing
    is known. Scores are free of bias whatever is foretold, if it uses the past only.
    """
    before_n, before = (_before(each) for each in (sums.drawn, sums.reward))
    all_n, every = before_n.sum(axis=0), before.sum(axis=0)
    common = np.divide(every, all_n, out=np.zeros_like(every), where=all_n > 0.0)
    found: NDArray[np.float64] = (before + common) / (before_n + 1.0)
    return found


def period_weights(sums: PeriodSums) -> NDArray[np.float64]:
    """Two-point weights of each period's scores, `(k, periods)`.

    A period is one decision of `action_weights`, with the mean propensity of the last period before
    it in which the action could be drawn; before any, all listed actions are alike.
    """
    k, n = sums.eligible.shape
    known = np.full((k, n), 1.0 / k)
    for period in range(1, n):
        last = sums.eligible[:, period - 1] > 0.0
        mean = sums.propensity[:, period - 1] / np.maximum(sums.eligible[:, period - 1], 1.0)
        known[:, period] = np.where(last, mean, known[:, period - 1])
    weights: NDArray[np.float64] = action_weights(np.clip(known, 1e-6, 1.0).T, "two_point").T
    return weights


def _before(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over all earlier periods."""
    found: NDArray[np.float64] = np.cumsum(sums, axis=1) - sums
    return found


def _place(names: Sequence[str], reference: str | None) -> int:
    if reference is None or not names:
        return 0
    if reference not in names:
        raise RecordError(
            f"reference is {reference!r}, must be one of the {len(names)} reported actions"
        )
    return names.index(reference)


class _Asked(NamedTuple):
    """Whose moments, how well they are known, and how sure an interval is to be."""

    moments: JointMoments
    draws: float
    alpha: float


def _value(
    shown: ShownAction,
    scores: dict[str, ActionScores],
    draws: Propensities | None,
    reference: str,
    alpha: float,
) -> ActionValue:
    """Everything about one action."""
    own, other = scores.get(shown.action), scores.get(reference)
    nothing = Propensities(n=0, drawn=0, expected=0.0, variance=0.0)
    asked = _Asked(own.moments, own.effective_n, alpha) if own else None
    pair = None
    if own and other and shown.action != reference:
        pair = _Asked(own.moments, min(own.effective_n, other.effective_n), alpha)
    without = ActionEstimate(reason="never_eligible", anytime_reason="never_eligible")
    difference = _estimate(pair, GAP, BOTH) if pair else without
    return ActionValue(
        action=shown.action,
        shown_n=shown.shown_n,
        rewarded_n=shown.rewarded_n,
        mean=shown.reward_sum / shown.shown_n if shown.shown_n else None,
        eligible_n=own.decisions_n if own else 0,
        drawn_n=own.drawn_n if own else 0,
        effective_n=own.effective_n if own else 0.0,
        value=_estimate(asked, SCORE, SIZE) if asked else without,
        hajek=_estimate(asked, EARNED, INVERSE, anytime=False) if asked else without,
        two_point=_estimate(asked, WEIGHTED, WEIGHT, anytime=False) if asked else without,
        difference=None if shown.action == reference else difference,
        audit=check_propensities(draws or nothing),
    )


def _estimate(asked: _Asked, total: int, size: int, *, anytime: bool = True) -> ActionEstimate:
    """Sum of one column over the sum of another, with units as clusters."""
    linear = ratio_of(total, size).linear(asked.moments)
    reason: WhyNot | None = None
    if linear.value is None:
        reason = "never_together" if size == BOTH else "never_drawn"
    elif asked.draws <= 0.0:
        reason = "never_drawn"
    elif linear.covariance is None:
        reason = "one_unit"
    elif asked.draws < FIRST_DRAWS:
        reason = "few_draws"
    elif linear.estimate_variance <= 0.0:
        reason = "no_variance"
    untold = reason in ("never_drawn", "never_together")
    value = None if untold else linear.value
    if reason is not None or value is None:
        return ActionEstimate(value=value, reason=reason, anytime_reason=reason)
    error, units_n = math.sqrt(linear.estimate_variance), asked.moments.n
    df = max(min(float(units_n), asked.draws) - 1.0, 1.0)
    reach = fixed_critical(asked.alpha / 2.0, df) * error
    few = units_n < FIRST_LOOK
    anytime_reach = None
    if anytime and not few:
        precision = mixture_precision(TUNED_FOR, asked.alpha)
        anytime_reach = critical_value(float(units_n), asked.alpha, precision) * error
    return ActionEstimate(
        value=value,
        std_error=error,
        ci_low=value - reach,
        ci_high=value + reach,
        anytime_ci_low=None if anytime_reach is None else value - anytime_reach,
        anytime_ci_high=None if anytime_reach is None else value + anytime_reach,
        anytime_reason="one_look_only" if not anytime else "few_units" if few else None,
    )


def _worst(
    checks: Sequence[PropensityCheck], actions_n: int
) -> Literal["fine", "mismatch", "unknown"]:
    """`mismatch` if any p-value is below the alarm's level ÷ how many actions there are.

    Of all and not of the reported ones: the most shown were picked for being drawn often.
    """
    tested = [check.p_value for check in checks if check.p_value is not None]
    if not tested:
        return "unknown"
    return "mismatch" if min(tested) < ALARM / max(actions_n, len(tested)) else "fine"
