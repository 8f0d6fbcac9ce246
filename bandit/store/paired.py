"""Sums that compare what was logged with what others would have earned; see `paired.sql`."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bandit.ope.paired_moments import PairedMoments
from bandit.store.client import Store
from bandit.store.reports import Scope, joining

DAY_MS = 86_400_000
EXPLORING_DAYS = 28
"""Over which the price of exploring is told."""


class VariantPaired(NamedTuple):
    """What one variant's decisions earned, and what a policy would have earned on them.

    Attributes:
        policy: That the variant serves.
        target: That is judged; `policy` itself for what was logged.
    """

    experiment: str
    variant: str
    policy: str
    target: str
    moments: PairedMoments


class Exploring(NamedTuple):
    """What one policy's decisions cost and tell by being drawn at random.

    Attributes:
        policy: Whose.
        decisions_n: That count.
        first_ms, last_ms: When the first and the last was made.
        actions_n: Mean number of actions that they drew from.
        reward_variance: Of a decision's reward.
        greedy, uniform: By day (`2026-11-23`; '' for all): against always showing the likeliest
            action, and against showing any.
        first: Likewise against always showing the first one offered; empty in numbers kept before.
    """

    policy: str
    decisions_n: int
    first_ms: int
    last_ms: int
    actions_n: float
    reward_variance: float
    greedy: dict[str, PairedMoments]
    uniform: dict[str, PairedMoments]
    first: dict[str, PairedMoments] = {}


def agreement_moments(store: Store, scope: Scope) -> tuple[VariantPaired, ...]:
    """Of every experiment on a surface: each variant's log by every policy that it tells of.

    Args:
        store: Which.
        scope: The surface as of a time.

    Raises:
        StoreUnavailable: The store did not answer.
    """
    rows = store.rows("paired_by_variant", **joining(scope))
    return tuple(
        VariantPaired(experiment, variant, policy, target, _moments(numbers))
        for experiment, variant, target, policy, *numbers in rows
    )


def exploring(store: Store, scope: Scope, policy: str) -> Exploring | None:
    """What exploring by a policy costs, of its last 28 days; None without a decision.

    Raises:
        StoreUnavailable: The store did not answer.
    """
    from_ms = max(scope.from_ms, scope.at_ms - EXPLORING_DAYS * DAY_MS)
    given = joining(scope._replace(from_ms=from_ms)) | {"policy": policy}
    [(decisions_n, first_ms, last_ms, actions_n, variance)] = store.rows(
        "exploring_traffic", **given
    )
    if not decisions_n:
        return None
    found: dict[str, dict[str, PairedMoments]] = {"greedy": {}, "uniform": {}, "first": {}}
    for period, target, *numbers in store.rows("paired_by_exploring", **given):
        found[target][period] = _moments(numbers)
    return Exploring(
        policy=policy,
        decisions_n=int(decisions_n),
        first_ms=int(first_ms),
        last_ms=int(last_ms),
        actions_n=float(actions_n),
        reward_variance=float(variance),
        greedy=found["greedy"],
        uniform=found["uniform"],
        first=found["first"],
    )


def _moments(numbers: Sequence[float]) -> PairedMoments:
    units_n, n, matched_n, decisions, reward, weight, contribution, *rest = numbers
    *comoments, squares, greatest = rest
    assert all(math.isfinite(number) for number in rest)
    return PairedMoments(
        units_n=int(units_n),
        n=int(n),
        matched_n=int(matched_n),
        means=(decisions, reward, weight, contribution),
        comoments=tuple(comoments),
        weight_squares=squares,
        max_weight=greatest,
    )
