"""The least and greatest mean within a Cressie–Read divergence of what was logged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtri

from bandit.errors import RecordError
from bandit.ope.arrays import Floats, check_alpha
from bandit.ope.columns import ROUNDING
from bandit.ope.interval import Interval
from bandit.ope.joint import JointMoments

LEAST_SQUARES = 4.0
"""About the quantile of F(1, n), which the divergence of a row with a share is held against."""


@dataclass(frozen=True)
class Extra:
    """A row that could have been logged and was not.

    Attributes:
        known: Its `(m,)` columns of known mean, the weight first.
        least, most: Range of its contribution. Where the weight is infinite, all but the weight
            are per unit of weight.
    """

    known: tuple[float, ...]
    least: float
    most: float


def earning(weight: float, least: float, most: float) -> tuple[float, float]:
    """Range of w·r; of r, which is per unit of weight, where w is infinite."""
    return (least, most) if math.isinf(weight) else (weight * least, weight * most)


def unseen_change(weights: tuple[float, float], span: float) -> Extra:
    """Rows of the least and the greatest weight, of mean 1 together, as one: what (w − 1)·r may be.

    Where no row of the log tells candidate and log apart, no single extra row can have a share.

    Args:
        weights: The least and the greatest; equal ones change nothing.
        span: Greatest − least reward.
    """
    low, high = weights
    share = 1.0 if math.isinf(high) else (high - 1.0) / (high - low) if high > low else 0.0
    change = max(0.0, (1.0 - low) * share) * span
    return Extra((1.0,), -change, change)


def clamped(
    found: tuple[float, float], span: tuple[float, float], alpha: float, method: str
) -> Interval:
    """The interval inside the range of the possible."""
    low, high = (min(span[1], max(span[0], bound)) for bound in found)
    return Interval(low=low, high=high, alpha=alpha, method=method)


def is_thin(moments: JointMoments) -> bool:
    """Whether the first column varies so little that no row far away from 1 can have a share.

    Where Σ(w − w̄)² is less than about 4, such as on the log of the very same policy, E[w] = 1
    leaves such a row none, and 200 decisions without a click would say that clicks do not exist:
    [0, 0]. A row of weight 1 has one in any log; it moves the value by up to about 3 ÷ n of the
    rewards' range, which one at the bound does once Σ(w − w̄)² is above 2.3.
    """
    squares: float = moments.comoments[0, 0] / moments.mass * moments.rows_n
    return squares < LEAST_SQUARES


def profile(
    moments: JointMoments,
    extras: Sequence[Extra],
    *,
    nearest: Extra,
    alpha: float,
    known: tuple[float, ...] = (1.0,),
    design: float = 1.0,
    spare: Extra | None = None,
    thin: bool = False,
) -> tuple[float, float]:
    """Least and greatest mean of the last column within the divergence's quantile.

    Args:
        moments: Of m columns of known mean (the weight first), and of the contribution.
        extras: Where the extra row may lie: at the least and at the greatest weight.
        nearest: The one of them that brings the weights' mean towards 1.
        alpha: 1 − the level.
        known: `(m,)` the known means.
        design: What the quantile is multiplied by.
        spare: A row with the known means, for logs that are thin or leave no doubt at all; None to
            have the extras alone, as the paper does.
        thin: Whether `is_thin` holds.
    """
    check_alpha(alpha)
    greatest = max(float(extra.known[0]) for extra in extras)
    if greatest < 1.0 - ROUNDING:
        raise RecordError(f"the greatest weight is {greatest!r}, must be at least 1: E[w] is 1")
    n, target = moments.rows_n, np.array(known)
    quantile = design * float(fdtri(1.0, n, 1.0 - alpha))
    if math.isinf(nearest.known[0]):
        free = 1.0 / n
    else:
        free = _distance(moments.with_row(np.array([*nearest.known, nearest.least])), target)
    budget = free + quantile / (1.0 + n)
    rows = [*extras, spare] if thin and spare is not None else extras
    found = _ends(moments, rows, target, budget)
    if spare is not None and found[1] - found[0] <= 1e-12 * (spare.most - spare.least):
        # No share is left for a row that could have earned something: doubt is not over.
        own = _distance(moments.with_row(np.array([*spare.known, spare.least])), target)
        found = _ends(moments, [spare], target, max(budget, own + quantile / (1.0 + n)))
    return found


def _ends(
    moments: JointMoments, extras: Sequence[Extra], target: Floats, budget: float
) -> tuple[float, float]:
    """The least and the greatest mean with any of the extra rows."""
    bounds = []
    for sign in (1.0, -1.0):
        signed = _flipped(moments, sign)
        found = [_least_with(signed, extra, sign, target, budget) for extra in extras]
        bounds.append(sign * min(bound for bound in found if bound is not None))
    return bounds[0], bounds[1]


def _flipped(moments: JointMoments, sign: float) -> JointMoments:
    """The same moments with the last column's sign changed."""
    signs = np.ones(len(moments.means))
    signs[-1] = sign
    return JointMoments(
        moments.mass,
        moments.mass_squares,
        moments.means * signs,
        moments.comoments * np.outer(signs, signs),
    )


def _least_with(
    moments: JointMoments, extra: Extra, sign: float, target: Floats, budget: float
) -> float | None:
    """Least mean of the contribution with one more row; None where the budget is overdrawn."""
    earns = min(sign * extra.least, sign * extra.most)
    if math.isinf(extra.known[0]):
        return _least_unbounded(moments, extra, earns, target, budget)
    return _least(moments.with_row(np.array([*extra.known, earns])), target, budget)


def _distance(moments: JointMoments, target: Floats) -> float:
    """gapᵀS⁻¹gap: how far the columns' means are from the known ones."""
    gap = target - moments.means[:-1]
    spread = moments.comoments[:-1, :-1] / moments.mass
    return float(gap @ np.linalg.pinv(spread, hermitian=True) @ gap)


def _least(moments: JointMoments, target: Floats, budget: float) -> float | None:
    """x̄ + gapᵀβ − √(var(x | known columns)·(budget − distance))."""
    spread = moments.comoments / moments.mass
    inverse = np.linalg.pinv(spread[:-1, :-1], hermitian=True)
    slope = inverse @ spread[:-1, -1]
    gap = target - moments.means[:-1]
    left = budget - float(gap @ inverse @ gap)
    if left < -1e-12:
        return None
    rest = max(float(spread[-1, -1] - spread[:-1, -1] @ slope), 0.0)
    return float(moments.means[-1] + gap @ slope) - math.sqrt(rest * max(left, 0.0))


def _least_unbounded(
    moments: JointMoments, extra: Extra, earns: float, target: Floats, budget: float
) -> float | None:
    """The limit of `_least` as the extra row's weight grows: what w misses of 1 is the row's.

    Then x and the other columns lose their part in w, and the row costs the divergence 1 ÷ n.
    """
    n, left = moments.rows_n, budget - 1.0 / moments.rows_n
    if left < -1e-12:
        return None
    per_weight = np.array([*extra.known[1:], earns])
    change = np.concatenate([-per_weight[:, None], np.eye(len(per_weight))], axis=1)
    means = change @ moments.means
    spread = change @ moments.comoments @ change.T / (1.0 + n) * (n / moments.mass)
    known = target[1:] - target[0] * per_weight[:-1]
    rest = JointMoments(n, n, means, spread * n)
    if not len(known):
        reach = math.sqrt(max(float(spread[-1, -1]), 0.0) * max(left, 0.0))
        return float(earns * target[0] + means[-1]) - reach
    bound = _least(rest, known, left)
    return None if bound is None else bound + earns * float(target[0])
