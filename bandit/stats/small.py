"""Two shares in small counts, as the same flat record that every other test gives."""

import math
from typing import Literal

import msgspec
from scipy.special import ndtr

from bandit.stats.effect import Alternative, Effect
from bandit.stats.exact import exact_p_value
from bandit.stats.fixed import Margin
from bandit.stats.proportions import (
    Share,
    check_share,
    difference_interval,
    score_statistic,
)
from bandit.stats.share_ratios import ratio_interval

FEW = 5
"""Successes or failures of a variant below which a normal approximation misleads (Cochran)."""
BARNARD_UP_TO = 200
"""Units of both variants up to which Barnard's test is computed: 15 ms; Fisher's above."""


def is_small(control: Share, treatment: Share, few: int = FEW) -> bool:
    """Whether either share has fewer successes or failures than a normal approximation needs.

    Source: Cochran (1954), "Some methods for strengthening the common χ² tests".

    >>> is_small(Share(4, 1000), Share(40, 1000)), is_small(Share(5, 1000), Share(40, 1000))
    (True, False)
    """
    return any(min(s.successes, s.n - s.successes) < few for s in (control, treatment))


def compare_shares(control: Share, treatment: Share, *, alpha: float = 0.05) -> Effect:
    """Treatment − control of two shares: an exact p-value, and intervals that agree with it.

    The intervals invert the score test on each scale; of equal shares both have one statistic, so
    both scales decide alike. Where the exact test (Barnard's, Fisher's in larger samples) does not
    reject and they leave out 0, they are widened up to 0; p is the larger of both tests'. So
    p ≤ alpha exactly where both intervals leave out 0.

    Args:
        control: Successes and units.
        treatment: The same.
        alpha: 1 − the level of the intervals.

    Source: Barnard (1945); Fisher (1935); Mee (1984); Koopman (1984).

    >>> r = compare_shares(Share(1, 40), Share(9, 40))
    >>> f"{r.effect:+.2f} [{r.effect_ci_low:+.3f}, {r.effect_ci_high:+.3f}], p = {r.p_value:.4f}"
    '+0.20 [+0.066, +0.354], p = 0.0073'
    >>> f"{r.relative_effect:+.0%} [{r.relative_ci_low:+.0%}, {r.relative_ci_high:+.0%}]"
    '+800% [+59%, +5283%]'
    """
    known = _point(control, treatment, alpha)
    exact: Literal["barnard", "fisher"] = "barnard"
    if control.n + treatment.n > BARNARD_UP_TO:
        exact = "fisher"
    z = score_statistic(control, treatment, 0.0)
    p_value = max(exact_p_value(control, treatment, exact), min(2.0 * float(ndtr(-abs(z))), 1.0))
    low, high = difference_interval(control, treatment, alpha=alpha, kind="score")
    ratio_low, ratio_high = ratio_interval(control, treatment, alpha=alpha)
    relative_low, relative_high = ratio_low - 1.0, None if ratio_high is None else ratio_high - 1.0
    if p_value > alpha:
        low, high = min(low, 0.0), max(high, 0.0)
        relative_low = min(relative_low, 0.0)
        relative_high = None if relative_high is None else max(relative_high, 0.0)
    return msgspec.structs.replace(
        known,
        method=exact,
        effect_ci_low=low,
        effect_ci_high=high,
        relative_ci_low=relative_low if known.relative_effect is not None else None,
        relative_ci_high=relative_high if known.relative_effect is not None else None,
        statistic=z if math.isfinite(z) else None,
        p_value=p_value,
        relative_reason=known.relative_reason
        or ("control_near_zero" if relative_high is None else None),
    )


def shares_not_worse(
    control: Share,
    treatment: Share,
    margin: Margin,
    *,
    better: Literal["higher", "lower"] = "higher",
    alpha: float = 0.05,
) -> Effect:
    """Is the treatment's share not worse than the control's by `margin`? The score test.

    The variance is that under the margin, not the one seen, so counts of 0 have one too.

    Args:
        control: Successes and units.
        treatment: The same.
        margin: In shares, or relative to the control's.
        better: Which direction is good.
        alpha: 1 − the level of the one-sided interval.

    Source: Farrington, Manning (1990), "Test statistics and sample size formulae for comparative
    binomial trials with null hypothesis of non-zero risk difference or non-unity relative risk".

    >>> r = shares_not_worse(Share(80, 1000), Share(78, 1000), Margin(0.03))
    >>> f"p = {r.p_value:.4f}, effect above {r.effect_ci_low:.4f}"
    'p = 0.0109, effect above -0.0220'
    """
    ahead = -1.0 if better == "higher" else 1.0
    side: Alternative = "greater" if better == "higher" else "less"
    # A share is in [0, 1], so no margin reaches further.
    z = score_statistic(control, treatment, ahead * _reach(margin, better), margin.scale)
    known = _point(control, treatment, alpha)
    wide = min(2.0 * alpha, 1.0 - 1e-12)
    low, high = difference_interval(control, treatment, alpha=wide, kind="score")
    ratio_low, ratio_high = ratio_interval(control, treatment, alpha=wide)
    up, given = better == "higher", known.relative_effect is not None
    size = margin.value * (control.rate if margin.scale == "relative" else 1.0)
    return msgspec.structs.replace(
        known,
        method="score",
        alternative=side,
        hypothesis="non_inferiority",
        margin=margin.value,
        margin_scale=margin.scale,
        null_value=ahead * size,
        effect_ci_low=low if up else None,
        effect_ci_high=None if up else high,
        relative_ci_low=ratio_low - 1.0 if up and given else None,
        relative_ci_high=None if up or not given or ratio_high is None else ratio_high - 1.0,
        statistic=z if math.isfinite(z) else None,
        p_value=float(ndtr(-z if up else z)),
    )


def _reach(margin: Margin, better: str) -> float:
    if margin.scale == "absolute" or better == "higher":
        return min(margin.value, 1.0 - 1e-9)
    return margin.value


def _point(control: Share, treatment: Share, alpha: float) -> Effect:
    check_share(control)
    check_share(treatment)
    effect = treatment.rate - control.rate
    spread = sum(s.rate * (1.0 - s.rate) / s.n for s in (control, treatment))
    return Effect(
        control=control.rate,
        treatment=treatment.rate,
        control_n=control.n,
        treatment_n=treatment.n,
        effect=effect,
        relative_effect=effect / control.rate if control.successes else None,
        relative_reason=None if control.successes else "control_is_zero",
        std_error=math.sqrt(spread) if spread > 0.0 else None,
        method="score",
        alpha=alpha,
        kind="proportion",
    )
