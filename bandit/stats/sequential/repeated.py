"""The p-value of a planned look that did not stop: it decides as the look's bound does."""

import math
from collections.abc import Sequence
from typing import Literal

import scipy

from bandit.stats.sequential.checks import check_finite
from bandit.stats.sequential.group import spending_design
from bandit.stats.sequential.spending import OBRIEN_FLEMING, Spending

_LEAST, _MOST = 1e-12, 1.0 - 1e-9


def repeated_p_value(
    statistic: float,
    fractions: Sequence[float],
    *,
    sides: Literal[1, 2] = 2,
    spending: Spending = OBRIEN_FLEMING,
) -> float:
    """The least alpha whose design would have stopped at the last of `fractions`.

    So it is at most alpha exactly where the bound is passed, at every look, and the chance that it
    ever is at most alpha is at most alpha. The stage-wise p-value is that of a stop: at a look that
    goes on, a small one passes no bound.

    Args:
        statistic: Z at the look; two-sided its size counts.
        fractions: Information at each look so far, this one last.
        sides: 1 or 2.
        spending: How alpha is spent.

    Source: Jennison, Turnbull (2000), "Group sequential methods", section 9.1 (repeated p-values);
    their use in families: Maurer, Bretz (2013), "Multiple testing in group sequential trials using
    graphical approaches".

    >>> f"{repeated_p_value(3.0, (0.25,)):.3f} early, {repeated_p_value(3.0, (1.0,)):.4f} late"
    '0.218 early, 0.0027 late'
    """
    check_finite("statistic", statistic)
    z = abs(statistic) if sides == 2 else statistic

    def short(log_alpha: float) -> float:
        design = spending_design(
            fractions, alpha=math.exp(log_alpha), sides=sides, spending=spending
        )
        bound = design.bounds[-1]
        return 40.0 - z if bound is None else bound - z

    low, high = math.log(_LEAST), math.log(_MOST)
    if short(high) > 0.0:
        return 1.0
    if short(low) <= 0.0:
        return _LEAST
    return math.exp(float(scipy.optimize.brentq(short, low, high, xtol=1e-9)))
