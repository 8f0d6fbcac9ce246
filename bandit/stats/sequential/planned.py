"""Two variants compared at a planned look, on both scales."""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from bandit.records import Record
from bandit.stats.sequential.checks import Alternative, check_level
from bandit.stats.sequential.group import spending_design
from bandit.stats.sequential.pair import Pair, one_side
from bandit.stats.sequential.spending import OBRIEN_FLEMING, Spending
from bandit.stats.sequential.stagewise import stagewise_interval, stagewise_p_value

PlannedReason = Literal["no_variance", "nothing_to_spend", "control_is_zero", "control_near_zero"]


class PlannedEffect(Record, frozen=True, kw_only=True):
    """Treatment − control at one look of a group-sequential design.

    Attributes:
        effect: treatment − control.
        effect_ci_low, effect_ci_high: Repeated interval: the looks' intervals hold together,
            and this one leaves out 0 exactly when its bound is passed. None on an open side.
        relative_effect: (treatment − control) / control.
        relative_ci_low, relative_ci_high: The same by Fieller with the same bound.
        std_error: Of `effect`.
        statistic: effect / std_error.
        bound: Of |statistic| at this look; None when it has nothing to spend.
        alpha_spent: Up to and with this look.
        fraction: Information at this look in shares of the plan.
        look: 1 for the first.
        crossed: Whether the bound is passed: the experiment may stop.
        finished: Whether it is: crossed, or this was the last look.
        p_value: Stage-wise, as of a stop here.
        final_effect: Median-unbiased estimate, when finished.
        final_ci_low, final_ci_high: Its stage-wise interval.
        method: `group_sequential`.
        alpha: Of the whole design.
        alternative: What the test looks for.
        reason: Why there is no interval.
        relative_reason: Why there is none on the relative scale.
    """

    effect: float
    effect_ci_low: float | None = None
    effect_ci_high: float | None = None
    relative_effect: float | None = None
    relative_ci_low: float | None = None
    relative_ci_high: float | None = None
    std_error: float
    statistic: float | None = None
    bound: float | None = None
    alpha_spent: float
    fraction: float
    look: int
    crossed: bool = False
    finished: bool = False
    p_value: float | None = None
    final_effect: float | None = None
    final_ci_low: float | None = None
    final_ci_high: float | None = None
    method: Literal["group_sequential"] = "group_sequential"
    alpha: float
    alternative: Alternative = "two-sided"
    reason: PlannedReason | None = None
    relative_reason: PlannedReason | None = None


def planned_comparison(
    control: float,
    treatment: float,
    control_variance: float,
    treatment_variance: float,
    fractions: Sequence[float],
    *,
    covariance: float = 0.0,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    spending: Spending = OBRIEN_FLEMING,
    last_look: bool = False,
) -> PlannedEffect:
    """Compare two estimates at the last of the looks so far.

    Args:
        control: The control's estimate.
        treatment: The treatment's estimate.
        control_variance: Variance of the control's *estimate*.
        treatment_variance: Variance of the treatment's *estimate*.
        fractions: Information (units ÷ planned units, say) at each look so far, this one last.
        covariance: Of the two estimates.
        alpha: Of the whole design.
        alternative: `greater` and `less` are one-sided designs.
        spending: How alpha is spent; the same at every look.
        last_look: There will be no other, although the plan is not reached.

    Source: Lan, DeMets (1983); repeated intervals: Jennison, Turnbull (1989), "Interim analyses:
    the repeated confidence interval approach"; stage-wise ordering: Tsiatis, Rosner, Mehta (1984).

    >>> look = planned_comparison(10.0, 10.6, 0.01, 0.01, (0.25, 0.5, 0.75))
    >>> look.crossed, f"|z| = {look.statistic:.2f} ≥ {look.bound:.2f}"
    (True, '|z| = 4.24 ≥ 2.36')
    >>> f"{look.final_effect:.3f} [{look.final_ci_low:.3f}, {look.final_ci_high:.3f}]"
    '0.505 [0.173, 0.817]'
    """
    check_level(alpha)
    pair = Pair(control, treatment, control_variance, treatment_variance, covariance)
    pair.check()
    sides: Literal[1, 2] = 2 if alternative == "two-sided" else 1
    design = spending_design(
        fractions, alpha=alpha, sides=sides, spending=spending, last_look=last_look
    )
    known = PlannedEffect(
        effect=pair.effect,
        relative_effect=pair.relative_effect,
        std_error=pair.std_error,
        bound=design.bounds[-1],
        alpha_spent=design.alpha_spent[-1],
        fraction=fractions[-1],
        look=len(fractions),
        finished=last_look or fractions[-1] >= 1.0,
        alpha=alpha,
        alternative=alternative,
    )
    if known.std_error == 0.0:
        return _without(known, "no_variance")
    statistic = pair.effect / known.std_error
    facing_z = -statistic if alternative == "less" else statistic
    known = msgspec.structs.replace(
        known,
        statistic=statistic,
        p_value=stagewise_p_value(facing_z, fractions, design.bounds, sides=sides),
    )
    if known.bound is None:
        return _without(known, "nothing_to_spend")
    crossed = (abs(statistic) if sides == 2 else facing_z) >= known.bound
    look = msgspec.structs.replace(
        known,
        crossed=crossed,
        finished=known.finished or crossed,
        **pair.intervals(known.bound, alternative).named(),
    )
    return _with_final(look, fractions, design.bounds) if look.finished else look


def _with_final(
    look: PlannedEffect, fractions: Sequence[float], bounds: Sequence[float | None]
) -> PlannedEffect:
    """The stage-wise estimate and interval, from drifts back to effects."""
    sides = 2 if look.alternative == "two-sided" else 1
    flip = -1.0 if look.alternative == "less" else 1.0
    z = flip * (look.statistic or 0.0)
    # One side of a one-sided design keeps alpha; its interval is that of level 1 − 2·alpha.
    found = stagewise_interval(
        z, fractions, bounds, alpha=min(look.alpha * (2 // sides), 0.999), sides=sides
    )
    # Z has mean drift·√t and also effect/se, so one unit of drift is se·√t of effect.
    unit = look.std_error * math.sqrt(look.fraction) * flip
    ends = sorted((found.low * unit, found.high * unit))
    low, high = one_side(ends[0], ends[1], look.alternative)
    return msgspec.structs.replace(
        look, final_effect=found.middle * unit, final_ci_low=low, final_ci_high=high
    )


def _without(known: PlannedEffect, reason: PlannedReason) -> PlannedEffect:
    return msgspec.structs.replace(
        known,
        reason=reason,
        relative_reason="control_is_zero" if known.relative_effect is None else reason,
    )
