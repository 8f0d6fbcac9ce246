"""Group-sequential designs: a few planned looks share alpha, the power of a fixed test is kept."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import scipy
from scipy.special import ndtr, ndtri

from bandit.records import Record
from bandit.stats.sequential.checks import check_level
from bandit.stats.sequential.spending import OBRIEN_FLEMING, Spending
from bandit.stats.sequential.walk import Walk

_FAR = 38.0  # Φ(−38) is the last that a double holds

Bound = float | None
"""A bound of |Z|; None where a look spends nothing, so that no Z stops there."""


class GroupDesign(Record, frozen=True, kw_only=True):
    """Looks with their bounds.

    Attributes:
        fractions: Information at each look in shares of the plan, rising; 1 is the planned end.
        bounds: Z at which each look stops (|Z| when two-sided).
        alpha: Chance that any look stops under no effect.
        alpha_spent: The same up to and with each look.
        sides: 1 or 2.

    >>> design = spending_design((0.25, 0.5, 0.75, 1.0))
    >>> [round(bound, 3) for bound in design.bounds]
    [4.333, 2.963, 2.359, 2.014]
    >>> f"{design.inflation(0.8):.3f} times the units of a fixed test at most,"
    '1.020 times the units of a fixed test at most,'
    >>> f"{design.expected_size(0.8):.2f} times on average"
    '0.84 times on average'
    """

    fractions: tuple[float, ...]
    bounds: tuple[Bound, ...]
    alpha: float
    alpha_spent: tuple[float, ...]
    sides: Literal[1, 2]

    @property
    def stage_levels(self) -> tuple[float, ...]:
        """One-sided nominal level of each look: 1 − Φ(bound)."""
        return tuple(0.0 if b is None else float(ndtr(-b)) for b in self.bounds)

    def stops(self, drift: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Chance to stop at each look above and below, when Z has mean `drift` at the plan's end.

        Source: Jennison, Turnbull (2000), chapter 19.
        """
        walk, above, below = Walk.start(self.fractions, drift), [], []
        for fraction, bound in zip(self.fractions, self.bounds, strict=True):
            high, low = _ends(bound, self.sides)
            above.append(walk.above(fraction, high))
            below.append(walk.below(fraction, low) if self.sides == 2 else 0.0)
            walk = walk.step(fraction, low, high)
        return tuple(above), tuple(below)

    def power(self, drift: float) -> float:
        """Chance to stop above, at any look, when Z has mean `drift` at the plan's end."""
        return min(sum(self.stops(drift)[0]), 1.0)

    def drift_for(self, power: float) -> float:
        """Mean of Z at the plan's end that gives `power`."""
        check_level(power)
        if power <= self.alpha / self.sides:
            raise ValueError(f"power is {power!r}, must be above {self.alpha / self.sides!r}")
        fixed = _fixed_drift(self.alpha / self.sides, power)
        return _root(lambda drift: self.power(drift) - power, 0.0, fixed + 10.0)

    def inflation(self, power: float) -> float:
        """Units at the last look ÷ units of a fixed test with the same alpha and power.

        Source: Jennison, Turnbull (2000), chapter 2 (the constants R).
        """
        fixed = _fixed_drift(self.alpha / self.sides, power)
        return self.fractions[-1] * (self.drift_for(power) / fixed) ** 2

    def expected_size(self, power: float, effect: float = 1.0) -> float:
        """Average units at the stop ÷ units of the fixed test with that power.

        Args:
            power: Of the design, at the effect it was sized for.
            effect: The true effect in units of that one; 0 gives the size under no effect.
        """
        drift = self.drift_for(power)
        above, below = self.stops(effect * drift)
        stops = [a + b for a, b in zip(above, below, strict=True)]
        stops[-1] += 1.0 - sum(stops)
        average = sum(t * stop for t, stop in zip(self.fractions, stops, strict=True))
        return average * (drift / _fixed_drift(self.alpha / self.sides, power)) ** 2


def spending_design(
    fractions: Sequence[float],
    *,
    alpha: float = 0.05,
    sides: Literal[1, 2] = 2,
    spending: Spending = OBRIEN_FLEMING,
    last_look: bool = False,
) -> GroupDesign:
    """Bounds of looks at `fractions` that spend alpha as a spending function says.

    A bound depends on the looks before it only, so looks may come earlier, later, more or fewer
    than planned, as long as their times do not depend on the results.

    Args:
        fractions: Information at each look in shares of the plan, rising. An end above 1 is an
            overrun: all of alpha is spent at the first look from 1 on.
        alpha: Of the whole design.
        sides: 2 gives each side alpha/2 by the same spending function.
        spending: How alpha is spent.
        last_look: The last fraction is the end although it is below 1: it gets all that is left.

    Source: Lan, DeMets (1983); bounds by recursive integration, Jennison, Turnbull (2000),
    chapters 7 and 19.
    """
    check_level(alpha)
    walk, bounds, spent, total = Walk.start(fractions), [], [], 0.0
    for k, fraction in enumerate(fractions):
        ends = last_look and k == len(fractions) - 1
        wanted = alpha / sides if ends else spending.spent(fraction, alpha / sides)
        bound = _bound(walk, fraction, wanted - total)
        total = total if bound is None else wanted
        high, low = _ends(bound, sides)
        walk = walk.step(fraction, low, high)
        bounds.append(bound)
        spent.append(total * sides)
    return GroupDesign(
        fractions=tuple(fractions),
        bounds=tuple(bounds),
        alpha=alpha,
        alpha_spent=tuple(spent),
        sides=sides,
    )


def shaped_design(
    fractions: Sequence[float],
    shape: float,
    *,
    alpha: float = 0.05,
    sides: Literal[1, 2] = 2,
) -> GroupDesign:
    """Bounds C·t^(shape − ½), with C such that the whole design has alpha.

    Shape 0 is O'Brien–Fleming's design, ½ Pocock's, between them Wang–Tsiatis'. The looks must be
    kept as planned: use a spending design if they may move.

    Source: Wang, Tsiatis (1987), "Approximately optimal one-parameter boundaries for group
    sequential trials"; Jennison, Turnbull (2000), section 2.7.1.

    >>> round(shaped_design((0.25, 0.5, 0.75, 1.0), 0.5).bounds[0], 3)
    2.361
    """
    check_level(alpha)
    slopes = [t ** (shape - 0.5) for t in fractions]

    def design(constant: float) -> GroupDesign:
        free = GroupDesign(
            fractions=tuple(fractions),
            bounds=tuple(constant * slope for slope in slopes),
            alpha=alpha,
            alpha_spent=(),
            sides=sides,
        )
        above, below = free.stops(0.0)
        spent = [math.fsum(above[: k + 1] + below[: k + 1]) for k in range(len(slopes))]
        return GroupDesign(
            fractions=free.fractions,
            bounds=free.bounds,
            alpha=alpha,
            alpha_spent=tuple(spent),
            sides=sides,
        )

    return design(_root(lambda constant: alpha - design(constant).alpha_spent[-1], 0.0, 20.0))


def _bound(walk: Walk, fraction: float, spend: float) -> Bound:
    """The bound that `spend` of all runs cross at `fraction`."""
    if spend <= walk.above(fraction, _FAR):
        return None
    return _root(lambda z: spend - walk.above(fraction, z), -_FAR, _FAR)


def _ends(bound: Bound, sides: int) -> tuple[float, float]:
    high = math.inf if bound is None else bound
    return high, -high if sides == 2 else -math.inf


def _fixed_drift(alpha: float, power: float) -> float:
    return -float(ndtri(alpha)) + float(ndtri(power))


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    return float(scipy.optimize.brentq(f, low, high, xtol=1e-11, rtol=1e-13))
