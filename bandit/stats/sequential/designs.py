"""Before an experiment: what each way of looking costs in units, at most and on average."""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

import scipy
from scipy.special import ndtr, ndtri

from bandit.records import Record
from bandit.stats.planning import check_power
from bandit.stats.sequential.asymptotic import TUNED_FOR, critical_value, mixture_precision
from bandit.stats.sequential.checks import check_above_zero, check_level
from bandit.stats.sequential.comparison import FIRST_LOOK
from bandit.stats.sequential.group import GroupDesign, spending_design
from bandit.stats.sequential.spending import Spending

LookKind = Literal["fixed", "planned", "anytime"]
SpendingKind = Literal["obrien_fleming", "pocock"]

EFFECTS = tuple(i / 5 for i in range(11))
"""True effects that curves are drawn for, as multiples of the one that is planned for."""
ANYTIME_LOOKS = 30
"""Looks by which watching all the time is computed; with twice as many it needs 2 % fewer units."""
MOST_TIMES = 1e4
"""An experiment so many times as long as a fixed one is none."""


class DesignPoint(Record, frozen=True, kw_only=True):
    """What a design does when the truth is this.

    Attributes:
        multiple: The true effect ÷ the one planned for.
        power: Chance to find it with the units of the fixed test, the same for every design.
        units: Average units until the stop, of the design with the power wanted.
    """

    multiple: float
    power: float
    units: float


class DesignCost(Record, frozen=True, kw_only=True):
    """What a way of looking costs.

    Attributes:
        kind: `fixed`: one look at the end; `planned`: some looks; `anytime`: whenever one likes.
        looks: Of a plan; None for any number.
        spending: Of a plan.
        units_most: Of both variants, if it never stops early: then the power is the one wanted.
        units_expected: On average until the stop, if the effect is the one planned for.
        units_expected_null: The same if there is no effect.
        power: Chance to find the effect with the units of the fixed test.
        curve: The same for other true effects.
        reason: `no_effect` if no number of units gives the power; then the numbers are None.
    """

    kind: LookKind
    looks: int | None = None
    spending: SpendingKind | None = None
    units_most: float | None = None
    units_expected: float | None = None
    units_expected_null: float | None = None
    power: float | None = None
    curve: tuple[DesignPoint, ...] = ()
    reason: Literal["no_effect"] | None = None


def compare_designs(
    units_fixed: float,
    *,
    power_wanted: float = 0.8,
    alpha: float = 0.05,
    sides: Literal[1, 2] = 2,
    tuned_for: float = TUNED_FOR,
    looks: Sequence[int] = (5, 10),
) -> tuple[DesignCost, ...]:
    """One look, planned looks and any number of looks, all sized for one effect and power.

    Args:
        units_fixed: Of both variants, that a fixed test needs: see `planning.sample_size`.
        power_wanted: Of each design at that effect.
        alpha: Chance of each to find an effect that is not there.
        sides: 2, or 1 for a margin or one direction.
        tuned_for: Units at which the any-time sequence is tightest.
        looks: Of the plans that are compared.

    Source: Jennison, Turnbull (2000), chapters 2, 7 and 19, with the boundary of
    Waudby-Smith et al. (2103.06476), eq. 9, for looks at any time.

    >>> for design in compare_designs(20_000, looks=(5,)):
    ...     print(design.kind, design.spending, f"{design.units_most:.0f}",
    ...           f"{design.units_expected:.0f}", f"{design.power:.2f}")
    fixed None 20000 20000 0.80
    planned obrien_fleming 20494 16473 0.79
    planned pocock 24253 15913 0.72
    anytime None 37027 22324 0.48
    """
    check_power(power_wanted)
    check_level(alpha)
    check_above_zero("units_fixed", units_fixed)
    drift = -float(ndtri(alpha / sides)) + float(ndtri(power_wanted))
    spendings: tuple[SpendingKind, ...] = ("obrien_fleming", "pocock")
    plans = [(n, kind) for n in looks for kind in spendings]
    return (
        _fixed(units_fixed, drift, alpha, sides),
        *(_planned(units_fixed, drift, power_wanted, alpha, sides, *plan) for plan in plans),
        _anytime(units_fixed, drift, power_wanted, alpha, sides, tuned_for),
    )


def _fixed(units: float, drift: float, alpha: float, sides: Literal[1, 2]) -> DesignCost:
    def power(multiple: float) -> float:
        q, shift = -float(ndtri(alpha / sides)), drift * multiple
        return float(ndtr(shift - q)) + (float(ndtr(-shift - q)) if sides == 2 else 0.0)

    curve = [DesignPoint(multiple=m, power=power(m), units=units) for m in EFFECTS]
    return DesignCost(
        kind="fixed",
        looks=1,
        units_most=units,
        units_expected=units,
        units_expected_null=units,
        power=power(1.0),
        curve=tuple(curve),
    )


def _planned(
    units: float,
    drift: float,
    power_wanted: float,
    alpha: float,
    sides: Literal[1, 2],
    looks: int,
    spending: SpendingKind,
) -> DesignCost:
    design = _plan(looks, spending, alpha, sides)
    own = design.drift_for(power_wanted)
    most = units * (own / drift) ** 2
    expected = {m: most * _stop_share(design, own * m) for m in EFFECTS}
    return DesignCost(
        kind="planned",
        looks=looks,
        spending=spending,
        units_most=most,
        units_expected=expected[1.0],
        units_expected_null=expected[0.0],
        power=_found(design, drift),
        curve=_curve(lambda m: _found(design, drift * m), expected),
    )


@cache
def _plan(looks: int, spending: SpendingKind, alpha: float, sides: Literal[1, 2]) -> GroupDesign:
    fractions = [(k + 1) / looks for k in range(looks)]
    return spending_design(fractions, alpha=alpha, sides=sides, spending=Spending(kind=spending))


def _anytime(
    units: float,
    drift: float,
    power_wanted: float,
    alpha: float,
    sides: Literal[1, 2],
    tuned_for: float,
) -> DesignCost:
    def watched(most: float) -> GroupDesign:
        return _watching(most, alpha, sides, tuned_for)

    def missing(times: float) -> float:
        return power_wanted - _found(watched(times * units), drift * math.sqrt(times))

    top = 1.0
    while missing(top) > 0.0:
        top *= 2.0
        if top > MOST_TIMES:
            return DesignCost(kind="anytime", reason="no_effect")
    least = top / 2.0 if top > 1.0 else 1e-3
    times = float(scipy.optimize.brentq(missing, least, top, rtol=1e-5))
    most = times * units
    own, design, same = drift * math.sqrt(times), watched(most), watched(units)
    expected = {m: most * _stop_share(design, own * m) for m in EFFECTS}
    return DesignCost(
        kind="anytime",
        units_most=most,
        units_expected=expected[1.0],
        units_expected_null=expected[0.0],
        power=_found(same, drift),
        curve=_curve(lambda m: _found(same, drift * m), expected),
    )


def _watching(most: float, alpha: float, sides: Literal[1, 2], tuned_for: float) -> GroupDesign:
    """An any-time sequence that is given up at `most` units, as a design of many looks."""
    alternative: Literal["two-sided", "greater"] = "two-sided" if sides == 2 else "greater"
    precision = mixture_precision(tuned_for, alpha, alternative=alternative)
    fractions = tuple((k + 1) / ANYTIME_LOOKS for k in range(ANYTIME_LOOKS))
    return GroupDesign(
        fractions=fractions,
        bounds=tuple(
            None
            if t * most < FIRST_LOOK
            else critical_value(t * most, alpha, precision, alternative=alternative)
            for t in fractions
        ),
        alpha=alpha,
        alpha_spent=(),
        sides=sides,
    )


def _found(design: GroupDesign, drift: float) -> float:
    """Chance that any look stops, on either side."""
    above, below = design.stops(drift)
    return min(math.fsum((*above, *below)), 1.0)


def _stop_share(design: GroupDesign, drift: float) -> float:
    """Average share of the planned units until the stop."""
    above, below = design.stops(drift)
    stops = [a + b for a, b in zip(above, below, strict=True)]
    stops[-1] += max(1.0 - math.fsum(stops), 0.0)
    return math.fsum(t * stop for t, stop in zip(design.fractions, stops, strict=True))


def _curve(power: Callable[[float], float], units: dict[float, float]) -> tuple[DesignPoint, ...]:
    return tuple(DesignPoint(multiple=m, power=power(m), units=n) for m, n in units.items())
