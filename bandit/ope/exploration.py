"""What exploring costs, and how much of it a decision in a wanted time needs."""

import math

import numpy as np
import scipy

from bandit.errors import RecordError
from bandit.ope.anytime import log_wealth
from bandit.records import Record

POWER_Z = 0.8416212335729143
"""Φ⁻¹(0.8): plans are for a chance of 80 %."""
MOST_DECISIONS = 1e15


class LogVariance(Record, frozen=True, kw_only=True):
    """What a plan takes from a log.

    Attributes:
        actions_n: Mean number of actions that could be drawn at the top.
        reward_variance: Of a decision's reward.
        reward_range: The least and greatest that can come.
    """

    actions_n: float
    reward_variance: float
    reward_range: tuple[float, float]


def weight_square(floor: float, actions_n: float, changes: float) -> float:
    """E[w²] of a deterministic challenger on a log that draws the others with `floor` each.

    changes ÷ floor + (1 − changes) ÷ (1 − (k − 1)·floor): where it changes nothing its action was
    drawn nearly always; where it does, only by the floor. n ÷ E[w²] is the effective sample.

    Source: Owen (2013), "Monte Carlo theory, methods and examples", eq. 9.13 in expectation.

    >>> weight_square(0.05, 5, 1.0), round(weight_square(0.05, 5, 0.2), 3)
    (20.0, 5.0)
    """
    if not 0.0 < floor <= 1.0 / actions_n + 1e-12:
        raise RecordError(f"floor is {floor!r}, must be in (0, {1.0 / actions_n:g}]")
    return changes / floor + (1.0 - changes) / (1.0 - (actions_n - 1.0) * floor)


def decisions_needed(
    log: LogVariance, floor: float, difference: float, *, changes: float = 1.0, alpha: float = 0.05
) -> float | None:
    """Decisions until the gate opens, with a chance of 80 %, for a challenger that much better.

    The gate's contributions X = ((w − 1)·(r − r̄) + …) ÷ 2 have mean (1 + gain) ÷ 2 and variance
    (E[w²] − 1)·var(r) ÷ 4 on rewards scaled to [0, 1], and fall at most ½ ÷ floor below 0. n is
    where the wealth of their mean less 0.84 standard errors reaches 2 ÷ alpha.

    Args:
        log: As it is now.
        floor: The least probability of an action.
        difference: Of challenger − live per decision.
        changes: Share of decisions in which the challenger does something else.
        alpha: 1 − the level of the gate.

    Returns:
        None above 10¹⁵.

    Source: Howard et al. (2021), proposition 9 (the gate's boundary, solved for n).

    >>> log = LogVariance(actions_n=5, reward_variance=0.09, reward_range=(0.0, 1.0))
    >>> [round(decisions_needed(log, f, 0.01), -3) for f in (0.2, 0.05, 0.01)]
    [77000.0, 376000.0, 1974000.0]
    """
    low, high = log.reward_range
    if not difference > 0.0:
        raise RecordError(f"difference is {difference!r}, must be above 0")
    gain = difference / (high - low) / 2.0
    spread = (weight_square(floor, log.actions_n, changes) - 1.0) / 4.0
    variance = spread * log.reward_variance / (high - low) ** 2 + gain**2
    scale = 1.0 / (1.0 + 0.5 / floor)
    wanted = math.log(2.0 / alpha)

    def excess(log_n: float) -> float:
        n = math.exp(log_n)
        reached = n * gain - POWER_Z * math.sqrt(n * variance)
        if reached <= 0.0:
            return -wanted
        return log_wealth(reached * scale, n * variance * scale**2) - wanted

    most = math.log(MOST_DECISIONS)
    grid = np.linspace(0.0, most, 70)
    above = next((place for place, x in enumerate(grid) if excess(float(x)) > 0.0), None)
    if above is None:
        return None
    if above == 0:
        return 1.0
    ends = float(grid[above - 1]), float(grid[above])
    return math.exp(float(scipy.optimize.brentq(excess, *ends, xtol=1e-9)))


def floor_needed(
    log: LogVariance,
    decisions_n: float,
    difference: float,
    *,
    changes: float = 1.0,
    alpha: float = 0.05,
) -> float | None:
    """The least floor with which that many decisions are enough; None if no floor is.

    >>> log = LogVariance(actions_n=5, reward_variance=0.09, reward_range=(0.0, 1.0))
    >>> round(floor_needed(log, 376_000, 0.01), 3), floor_needed(log, 1_000, 0.01)
    (0.05, None)
    """
    most = 1.0 / log.actions_n

    def enough(floor: float) -> bool:
        needed = decisions_needed(log, floor, difference, changes=changes, alpha=alpha)
        return needed is not None and needed <= decisions_n

    if not enough(most):
        return None
    low, high = math.log(most * 1e-6), math.log(most)
    if enough(math.exp(low)):
        return math.exp(low)
    for _ in range(24):
        middle = (low + high) / 2.0
        low, high = (low, middle) if enough(math.exp(middle)) else (middle, high)
    return math.exp(high)
