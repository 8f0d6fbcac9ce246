"""Inference at and after the stop of a group-sequential design."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import scipy

from bandit.stats.sequential.checks import check_finite, check_level
from bandit.stats.sequential.group import Bound
from bandit.stats.sequential.walk import Walk

_SEARCH = 9.0  # deviations beyond the statistic


class StagewiseInterval(NamedTuple):
    """Drifts that the stage-wise ordering does not reject, and the median-unbiased one."""

    low: float
    middle: float
    high: float


def stagewise_p_value(
    z: float, fractions: Sequence[float], bounds: Sequence[Bound], *, sides: int = 2
) -> float:
    """Chance, under no effect, of a stop as early and as far out as this one.

    Stops at earlier looks count as more extreme, then |Z| at this look. It is below alpha exactly
    when the bound of this look is passed; a fixed test's p-value after an early stop is too small.

    Args:
        z: Statistic at this look.
        fractions: Information of the looks so far, this one last.
        bounds: Their bounds; this look's own is not used.
        sides: 1 looks for large z only.

    Source: Fairbanks, Madsen (1982), "P values for tests using a repeated significance test
    design"; Jennison, Turnbull (2000), section 8.4.

    >>> f"{stagewise_p_value(2.8, (0.5, 1.0), (2.963, 1.969)):.4f}"
    '0.0074'
    """
    check_finite("z", z)
    reached = _reached(fractions, bounds, 0.0, sides)
    at, extreme = fractions[-1], abs(z) if sides == 2 else z
    earlier = reached.above + (reached.below if sides == 2 else 0.0)
    here = reached.walk.above(at, extreme)
    if sides == 2:
        here += reached.walk.below(at, -extreme)
    return min(earlier + here, 1.0)


def stagewise_interval(
    z: float,
    fractions: Sequence[float],
    bounds: Sequence[Bound],
    *,
    alpha: float = 0.05,
    sides: int = 2,
) -> StagewiseInterval:
    """Interval of the drift (mean of Z at the planned end) after a stop, with exact coverage.

    Each end is the drift under which a result further out on its side has chance alpha/2 in the
    stage-wise order; the middle is where that chance is ½. The naive estimate after an early stop
    is too far from 0.

    Args:
        z: Statistic at the look that stopped, or at the last.
        fractions: Information of the looks so far, this one last.
        bounds: Their bounds; this look's own is not used.
        alpha: 1 − the level of the interval.
        sides: Sides of the design.

    Source: Tsiatis, Rosner, Mehta (1984), "Exact confidence intervals following a group sequential
    test"; Jennison, Turnbull (2000), section 8.5.

    >>> found = stagewise_interval(3.1, (0.5, 1.0), (2.963, 1.969))
    >>> f"{found.middle:.3f} [{found.low:.3f}, {found.high:.3f}]"
    '3.038 [0.990, 5.024]'
    """
    check_level(alpha)
    check_finite("z", z)
    # Wide: a run that jumped over a bound after a low start has its drift near 0, not near z.
    span = (abs(z) + _SEARCH) / math.sqrt(fractions[-1])

    def at(chance: float) -> float:
        return float(
            scipy.optimize.brentq(
                lambda drift: _further_above(z, fractions, bounds, drift, sides) - chance,
                -span,
                span,
                xtol=1e-9,
            )
        )

    return StagewiseInterval(at(alpha / 2.0), at(0.5), at(1.0 - alpha / 2.0))


class _Reached(NamedTuple):
    """Runs that reach a look, and those that stopped before it."""

    walk: Walk
    above: float
    below: float


def _reached(
    fractions: Sequence[float], bounds: Sequence[Bound], drift: float, sides: int
) -> _Reached:
    walk, above, below = Walk.start(fractions, drift), 0.0, 0.0
    for fraction, bound in zip(fractions[:-1], bounds, strict=False):
        high = math.inf if bound is None else bound
        low = -high if sides == 2 else -math.inf
        above += walk.above(fraction, high)
        below += walk.below(fraction, low)
        walk = walk.step(fraction, low, high)
    return _Reached(walk, above, below)


def _further_above(
    z: float, fractions: Sequence[float], bounds: Sequence[Bound], drift: float, sides: int
) -> float:
    """Chance of a result above this one in the stage-wise order; rises with the drift."""
    reached = _reached(fractions, bounds, drift, sides)
    if z >= 0.0:
        return reached.above + reached.walk.above(fractions[-1], z)
    return 1.0 - reached.below - reached.walk.below(fractions[-1], z)
