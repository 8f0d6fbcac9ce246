"""Intervals that hold at every n, from known bounds alone: wide, and never wrong."""

import math

import numpy as np
from scipy.special import betaincinv

from bandit.errors import NotEnoughData
from bandit.ope.arrays import Floats, check_alpha
from bandit.ope.batch import LoggedBatch
from bandit.ope.interval import Interval
from bandit.ope.likelihood import weight_range


def hoeffding(values: Floats, span: tuple[float, float], *, alpha: float = 0.05) -> Interval:
    """Mean ± (b − a)·√(log(2 ÷ alpha) ÷ 2n) for independent values in [a, b].

    One side of it is the one-sided bound at alpha ÷ 2.

    Source: Hoeffding (1963), theorem 2; Thomas, Theocharous, Ghavamzadeh (2015), "High-confidence
    off-policy evaluation", section 3.

    Args:
        values: `(n,)` contributions.
        span: a and b, known; the greatest value *seen* is no bound.
        alpha: 1 − the level.

    >>> found = hoeffding(np.array([0.2, 0.4, 0.6] * 100), (0.0, 1.0))
    >>> f"{found.low:.3f} {found.high:.3f}"
    '0.322 0.478'
    """
    mean, n, width = _checked(values, span, alpha)
    reach = width * math.sqrt(math.log(2.0 / alpha) / (2.0 * n))
    return _around(mean, reach, alpha, "hoeffding")


def empirical_bernstein(
    values: Floats, span: tuple[float, float], *, alpha: float = 0.05
) -> Interval:
    """Mean ± (√(2·v·log(4 ÷ alpha) ÷ n) + 7·(b − a)·log(4 ÷ alpha) ÷ 3(n − 1)).

    Source: Maurer & Pontil (2009), "Empirical Bernstein bounds and sample variance penalization",
    theorem 4, each side at alpha ÷ 2.

    Args:
        values: `(n,)` contributions.
        span: a and b, known.
        alpha: 1 − the level.
    """
    mean, n, width = _checked(values, span, alpha)
    if n < 2:
        raise NotEnoughData("the log", n, 2)
    log = math.log(4.0 / alpha)
    reach = math.sqrt(2.0 * float(values.var(ddof=1)) * log / n) + 7.0 * width * log / (
        3.0 * (n - 1)
    )
    return _around(mean, reach, alpha, "empirical_bernstein")


def clopper_pearson(
    batch: LoggedBatch, *, alpha: float = 0.05, weight_bound: float | None = None
) -> Interval:
    """Beta quantiles with successes = Σw·r ÷ wmax in trials = n ÷ wmax, r scaled to [0, 1].

    Holds on ε-greedy logs where normal intervals do not. Where Σw·r exceeds n all trials count as
    successes, no more (vw-estimators goes on: one weight of 10⁶ gives it a lower bound of 1).

    Source: Clopper & Pearson (1934); effective trials as vw-estimators 0.2.2 takes them.

    Args:
        batch: The log.
        alpha: 1 − the level.
        weight_bound: wmax; None takes the batch's own bound, else the greatest weight seen.
    """
    check_alpha(alpha)
    _, known = weight_range(batch)
    if weight_bound is None:
        weight_bound = float(batch.weights.max()) if math.isinf(known) else known
    if weight_bound <= 0.0:
        raise NotEnoughData("decisions that the target could have made", 0, 1)
    least, most = batch.greatest_rewards
    scaled = (batch.reward - least) / (most - least)
    sampling = np.ones(batch.n) if batch.sampling is None else batch.sampling
    worth = batch.n / float(sampling.sum())
    trials = batch.n / weight_bound
    successes = float((sampling * batch.weights * scaled).sum()) * worth / weight_bound
    capped = min(successes, trials)
    low = betaincinv(capped, trials - capped + 1.0, alpha / 2.0) if capped > 0.0 else 0.0
    high = betaincinv(capped + 1.0, trials - capped, 1.0 - alpha / 2.0) if capped < trials else 1.0
    span = most - least
    return Interval(
        low=least + span * float(low),
        high=least + span * float(high),
        alpha=alpha,
        method="clopper_pearson",
    )


def contribution_span(batch: LoggedBatch) -> tuple[float, float]:
    """Range of w·r by the known bounds on weight and reward.

    Raises:
        NotEnoughData: No bound on the weight is known.
    """
    low, high = weight_range(batch)
    if math.isinf(high):
        raise NotEnoughData("known bounds on the weight (weight_bound, or both pmfs)", 0, 1)
    least, most = batch.greatest_rewards
    corners = (low * least, low * most, high * least, high * most)
    return min(corners), max(corners)


def _checked(values: Floats, span: tuple[float, float], alpha: float) -> tuple[float, int, float]:
    check_alpha(alpha)
    if not len(values):
        raise NotEnoughData("the log", 0, 1)
    if not span[0] < span[1]:
        raise ValueError(f"span is {span}, must be two numbers, the lower first")
    least, most = float(values.min()), float(values.max())
    if not (span[0] <= least and most <= span[1]):
        raise ValueError(f"values are in [{least}, {most}], span is {span}")
    return float(values.mean()), len(values), span[1] - span[0]


def _around(mean: float, reach: float, alpha: float, method: str) -> Interval:
    return Interval(low=mean - reach, high=mean + reach, alpha=alpha, method=method)
