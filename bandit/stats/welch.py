"""Welch's test: two means, unequal variances, looked at once."""

import math

import msgspec
from scipy.special import stdtr, stdtrit

from bandit.stats.effect import Effect, Reason
from bandit.stats.fieller import relative_interval
from bandit.stats.moments import Moments


def welch(control: Moments, treatment: Moments, alpha: float = 0.05) -> Effect:
    """Effect of treatment over control with a t interval.

    se² = v_c/n_c + v_t/n_t, df = se⁴ / Σ (v/n)²/(n − 1). Welch and not the pooled t, because
    variants that earn differently also spread differently, and it costs nothing when they do not.

    Args:
        control: Moments of the control's units.
        treatment: Moments of the treatment's units.
        alpha: 1 − the level of the intervals, in (0, 1).

    Returns:
        Every number that can be given; a reason where one can not.

    Raises:
        ValueError: `alpha` is not in (0, 1).

    Source: Welch (1947), "The generalization of 'Student's' problem when several different
    population variances are involved"; df by Satterthwaite (1946).
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha!r}, must be in (0, 1)")
    known = _point(control, treatment, alpha)
    reason = _why_no_interval(control, treatment)
    if reason is not None:
        relative_reason = known.relative_reason or reason
        return msgspec.structs.replace(known, reason=reason, relative_reason=relative_reason)
    var_c, var_t = control.variance / control.n, treatment.variance / treatment.n
    total = var_c + var_t
    # In shares of the total, because the squares of small variances underflow.
    share_c, share_t = var_c / total, var_t / total
    df = 1.0 / (share_c**2 / (control.n - 1) + share_t**2 / (treatment.n - 1))
    std_error = math.sqrt(total)
    effect = treatment.mean - control.mean
    statistic = effect / std_error
    critical = -float(stdtrit(df, alpha / 2))
    ends = relative_interval(control.mean, treatment.mean, var_c, var_t, critical)
    return msgspec.structs.replace(
        known,
        effect_ci_low=effect - critical * std_error,
        effect_ci_high=effect + critical * std_error,
        relative_ci_low=ends[0] if ends else None,
        relative_ci_high=ends[1] if ends else None,
        relative_reason=known.relative_reason or (None if ends else "control_near_zero"),
        std_error=std_error,
        statistic=statistic,
        df=df,
        # The lower tail, not 1 − cdf, which is 0 from |t| ≈ 8 on.
        p_value=2.0 * float(stdtr(df, -abs(statistic))),
    )


def _point(control: Moments, treatment: Moments, alpha: float) -> Effect:
    """What can be said without any spread."""
    both = control.n > 0 and treatment.n > 0
    effect = treatment.mean - control.mean if both else None
    divides = effect is not None and control.mean != 0.0
    reason: Reason | None = None if divides else "control_is_zero" if both else "empty_variant"
    return Effect(
        control=control.mean if control.n else None,
        treatment=treatment.mean if treatment.n else None,
        control_n=control.n,
        treatment_n=treatment.n,
        effect=effect,
        relative_effect=effect / control.mean if effect is not None and divides else None,
        method="welch",
        alpha=alpha,
        relative_reason=reason,
        warnings=("control_is_negative",) if control.n and control.mean < 0.0 else (),
    )


def _why_no_interval(control: Moments, treatment: Moments) -> Reason | None:
    if not control.n or not treatment.n:
        return "empty_variant"
    if control.n < 2 or treatment.n < 2:
        return "one_unit"
    if control.variance / control.n + treatment.variance / treatment.n == 0.0:
        return "no_variance"
    return None
